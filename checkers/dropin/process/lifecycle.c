#define _GNU_SOURCE
#include "lifecycle.h"

#include "background_check.h"
#include "checkers/dropin/inspect/heap_dump.h"
#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/inspect/process_snapshot.h"
#include "checkers/dropin/inspect/roots.h"
#include "checkers/dropin/malloc/cxx.h"
#include "checkers/dropin/malloc/foreign_malloc.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/malloc_impl.h"
#include "checkers/dropin/malloc/trace_hook.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/caller.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/os/host.h"
#include "checkers/os/uncancelled.h"
#include "sanitizer_check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <ringfence/dropin.h>
#include <ringfence/port.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPOT_BYTES ((size_t)16 << 20)
#define DEPOT_LEAST ((size_t)256 << 10)
#define DEPOT_SHARE 64U /* of a limited address space, one part in so many */
#define DEFAULT_STACK_DEPTH 12U
#define DEFAULT_QUARANTINE ((size_t)4 << 20)
#define LOCK_MS 1000U
#define FINDING_BYTES 16384 /* of a finding as text */
#define PATH_BYTES 512
#define KEPT_FROM 1000 /* programs number their own files from below */

rf_process_state rf_process;

static struct {
  rf_futex lock;
  bool configured; /* the environment could be read */
  bool ended;
  uint64_t findings;    /* reported so far; accessed atomically */
  bool ending;          /* findings no longer end the process at once */
  uintptr_t stack_from; /* 0: not known */
  int standard_error;   /* a copy of it; 0 or less: none */
  rf_reporter reporter; /* in front of the one that writes */
  char log[PATH_BYTES]; /* the options: the environment is the program's, which may write over it */
  char trace[PATH_BYTES];
  int kept; /* a descriptor of the file of records; 0 or less: none */
  struct stat kept_file;
} process;

/* ---- Output ---- */

static void close_log(void) {
  rf_log_reporter *const log = &rf_process.log;
  if (log->fd >= 0) {
    (void)close(log->fd);
  }
  log->fd = -1;
  log->opened_by = 0;
}

bool rf_process_path(const char *text, size_t length, rf_sink_buffer *path) {
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '%' && i + 1 < length && text[i + 1] == 'p') {
      rf_sink_uint(&path->sink, (uint64_t)getpid());
      i++;
    } else {
      rf_sink_char(&path->sink, text[i]);
    }
  }
  return path->length + 1 < path->capacity;
}

/* A process that changes its root folder or its user can no longer open the file, so one that runs under the command keeps
 * it open. */
static void keep(int file) {
  struct rlimit limit;
  int from = KEPT_FROM;
  if (!rf_process.options.summary || process.kept > 0 || fstat(file, &process.kept_file) != 0) {
    return;
  }
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= KEPT_FROM) {
    from = (int)limit.rlim_cur / 2;
  }
  process.kept = fcntl(file, F_DUPFD_CLOEXEC, from);
}

/* The program may have closed it, and opened another file in its place. */
static bool is_kept(void) {
  struct stat file;
  return process.kept > 0 && fstat(process.kept, &file) == 0 && file.st_dev == process.kept_file.st_dev &&
         file.st_ino == process.kept_file.st_ino;
}

/* The file of the option log, to be closed; -1 where there is none. A child that cannot open its own has its parent's. */
static int open_log(void) {
  char path[PATH_BYTES];
  rf_sink_buffer expanded;
  rf_sink_buffer_init(&expanded, path, sizeof path);
  if (rf_process.options.log == NULL ||
      !rf_process_path(rf_process.options.log, rf_process.options.log_length, &expanded)) {
    return -1;
  }
  int const file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
  if (file >= 0) {
    keep(file);
    return file;
  }
  return is_kept() ? fcntl(process.kept, F_DUPFD_CLOEXEC, 0) : -1;
}

void rf_process_tell(const char *text, size_t size) {
  int const saved = errno;
  if (rf_process.options.log == NULL) {
    rf_port_log(text, size);
  } else {
    int const file = open_log();
    if (file >= 0) {
      (void)rf_host_write(file, text, size);
      (void)close(file);
    }
  }
  errno = saved;
}

/* So that the reporter need not open it. */
static void give_log(void) {
  rf_process.log.fd = open_log();
  rf_process.log.opened_by = rf_process.log.fd >= 0 ? (uint32_t)getpid() : 0;
}

/* Programs of the GNU core utilities close standard error in their exit handlers, and what is found at the end comes
 * after these. */
static void keep_standard_error(void) {
  int const saved = errno;
  if (process.standard_error <= 0) {
    process.standard_error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  }
  errno = saved;
}

static void restore_standard_error(void) {
  int const saved = errno;
  if (process.standard_error > 0 && fcntl(STDERR_FILENO, F_GETFD) < 0) {
    (void)dup2(process.standard_error, STDERR_FILENO);
  }
  errno = saved;
}

/* ---- Findings ---- */

static bool is_operator(const char *function) {
  return function != NULL && strncmp(function, "operator", 8) == 0;
}

static bool called_from_own_runtime(const rf_trace *trace) {
  return trace->depth != 0 && rf_cxx_is_own(trace->frames[0]);
}

/* new of one module and delete of another, where one of the two goes by malloc or free because its C++ runtime is its own. */
static bool is_no_mismatch(const rf_finding *f) {
  if (f->bug != RF_BUG_DEALLOC_MISMATCH || is_operator(f->allocation) == is_operator(f->deallocation)) {
    return false;
  }
  return called_from_own_runtime(is_operator(f->allocation) ? &f->found : &f->allocated);
}

/* ---- Findings for the program itself ---- */

static void (*finding_callback)(const char *text, size_t length, void *context);
static void *finding_context;
static char finding_text[FINDING_BYTES];

RF_EXPORT void __ringfence_on_finding(void (*callback)(const char *text, size_t length, void *context), void *context) {
  finding_context = context;
  __atomic_store_n(&finding_callback, callback, __ATOMIC_RELEASE);
}

static bool told_to_callback(const rf_finding *f) {
  void (*const callback)(const char *, size_t, void *) = __atomic_load_n(&finding_callback, __ATOMIC_ACQUIRE);
  if (callback == NULL || getpid() != rf_process.id || rf_process.forked) {
    return false; /* a child is on its own */
  }
  callback(finding_text, rf_reporter_text(f, finding_text, sizeof finding_text), finding_context);
  return true;
}

/* ---- The reporter ---- */

/* At the end of the process all that is wrong is reported, then it ends with the code of a halted one. */
static rf_action tell(rf_reporter *self, const rf_finding *f) {
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin();
  if (is_no_mismatch(f) || rf_log_reporter_suppresses(&rf_process.log, f)) {
    self->sequence--;
    rf_uncancelled_end(cancellation);
    errno = saved;
    return RF_ACTION_CONTINUE;
  }
  if (told_to_callback(f)) {
    rf_uncancelled_end(cancellation);
    errno = saved;
    return RF_ACTION_CONTINUE;
  }
  give_log();
  rf_action action = rf_log_reporter_put(&rf_process.log, f);
  close_log();
  __atomic_fetch_add(&process.findings, 1, __ATOMIC_RELAXED);
  if (__atomic_load_n(&process.ending, __ATOMIC_RELAXED)) {
    action = RF_ACTION_CONTINUE;
  }
  if (action == RF_ACTION_HALT) {
    process.ended = true;
    rf_tracing_end();
    rf_journal_end(process.findings, NULL);
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
  return action;
}

/* In mode page it is a guard that refuses what is no block at all, and that has no mode but the process's. */
static rf_action report(rf_reporter *self, const rf_finding *f) {
  if (f->block != 0 || rf_process.options.mode != RF_MODE_PAGE) {
    return tell(self, f);
  }
  rf_finding own = *f;
  own.mode = rf_mode_name(RF_MODE_PAGE);
  return tell(self, &own);
}

bool rf_process_snapshot(const rf_snapshot *snapshot, const rf_snapshot *before) {
  give_log();
  bool const done = rf_log_reporter_snapshot(&rf_process.log, snapshot, before);
  close_log();
  return done;
}

/* ---- Options ---- */

static void to_standard_error(void *context, const char *text, size_t length) {
  (void)context;
  rf_port_log(text, length);
}

static void apply(const rf_options *o) {
  rf_process.checked = o->mode == RF_MODE_GUARD || o->mode == RF_MODE_PAGE;
  rf_process.report_rejected = o->rejected;
  rf_process.guard_options = (rf_guard_options){
      .quarantine = o->quarantine,
      .fill_alloc = o->fill_alloc,
      .fill_free = o->fill,
      .move_below = o->move_below,
      .stack_depth = o->stack_depth,
      .depot = &rf_process.depot,
      .reporter = &process.reporter,
      .leaks_at_deinit = false,
  };
  rf_report_options const report_options = rf_options_for_reporter(o);
  rf_log_reporter_init(&rf_process.log, &report_options);
  process.reporter.report = report;
  process.reporter.exitcode = (int)o->exitcode;
}

static void keep_paths(rf_options *o) {
  if (o->log != NULL && o->log_length < sizeof process.log) {
    memcpy(process.log, o->log, o->log_length);
    o->log = process.log;
  }
  if (o->trace != NULL && o->trace_length < sizeof process.trace) {
    memcpy(process.trace, o->trace, o->trace_length);
    o->trace = process.trace;
  }
}

static void leave_mode_asan(rf_options *o, const rf_sink *out) {
  if (o->mode == RF_MODE_ASAN) {
    rf_sink_str(
        out, "ringfence: mode asan is for a program's own allocators: AddressSanitizer has its own malloc; mode guard "
             "it is\n");
    o->mode = RF_MODE_GUARD;
  }
}

/* Where the environment is not there yet (an allocation before the C library's own start), it is read later. */
static void configure(void) {
  rf_sink const warnings = {to_standard_error, NULL};
  rf_options *const o = &rf_process.options;
  rf_options_default(o);
  o->mode = RF_MODE_GUARD;
  o->stack_depth = DEFAULT_STACK_DEPTH;
  o->quarantine = DEFAULT_QUARANTINE;
  if (environ != NULL) {
    (void)rf_options_load(o, &warnings);
    leave_mode_asan(o, &warnings);
    process.configured = true;
    keep_paths(o);
  }
  apply(o);
}

/* Address space may be scarce, and most of the depot is never touched. */
static size_t depot_bytes(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur / DEPOT_SHARE >= DEPOT_BYTES) {
    return DEPOT_BYTES;
  }
  return (size_t)limit.rlim_cur / DEPOT_SHARE;
}

static void open_depot(void) {
  for (size_t size = depot_bytes(); size >= DEPOT_LEAST; size /= 2) {
    void *const memory = rf_record_table(size);
    if (memory != NULL) {
      (void)rf_stack_depot_init(&rf_process.depot, memory, size);
      return;
    }
  }
  rf_process.guard_options.stack_depth = 0;
  rf_process.guard_options.depot = NULL;
}

void rf_process_init(void) {
  if (__atomic_load_n(&rf_process.ready, __ATOMIC_ACQUIRE)) {
    return;
  }
  rf_futex_lock(&process.lock);
  if (!rf_process.ready) {
    rf_process.id = getpid();
    rf_process.start_ns = rf_port_now_ns();
    configure();
    open_depot();
    rf_thread_init();
    __atomic_store_n(&rf_process.ready, true, __ATOMIC_RELEASE);
  }
  rf_futex_unlock(&process.lock);
}

void rf_process_guard_init(rf_arena *arena) {
  (void)rf_guard_init(&arena->guard, &arena->heap.base, &rf_process.guard_options);
}

/* ---- Fork ---- */

/* The C library's lock of all streams. Threads that hold it wait for streams whose holders allocate, and fork takes it after
 * our preparation: so it comes before our own locks, which it may then wait for. Recursive; reset in a child. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

static _Thread_local struct {
  sigset_t blocked; /* before */
  bool streams;     /* are locked */
} forking __attribute__((tls_model("initial-exec")));

/* A handler that ran now might allocate, or fork itself, and would wait for its own thread. */
static void fork_prepare(void) {
  sigset_t all;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &forking.blocked);
  forking.streams = !rf_one_thread() && _IO_list_lock != NULL && _IO_list_unlock != NULL && _IO_list_resetlock != NULL;
  if (forking.streams) {
    _IO_list_lock();
  }
  rf_tracing_fork_prepare();
  rf_arena_fork_prepare();
  rf_page_lock_all();
}

static void fork_parent(void) {
  rf_page_unlock_all();
  rf_arena_fork_parent();
  rf_tracing_fork_parent();
  if (forking.streams) {
    _IO_list_unlock();
  }
  (void)pthread_sigmask(SIG_SETMASK, &forking.blocked, NULL);
}

static void fork_child(void) {
  rf_page_unlock_all();
  if (!rf_arena_fork_child()) {
    rf_process.options.leaks = RF_LEAKS_NONE;
  }
  rf_process.id = getpid();
  rf_process.forked = true;
  rf_process.start_ns = rf_port_now_ns();
  rf_host_turn_forget();
  process.ended = false;
  process.findings = 0;
  rf_journal_forked();
  rf_tracing_fork_child();
  rf_ondemand_forked();
  if (forking.streams) {
    _IO_list_resetlock();
  }
  (void)pthread_sigmask(SIG_SETMASK, &forking.blocked, NULL);
}

/* ---- The end ---- */

void rf_process_leaving(uintptr_t sp) {
  if (getpid() == rf_process.id) { /* not in a child of vfork */
    process.stack_from = sp;
    keep_standard_error();
  }
}

/* A dying process may have died inside an arena, which is then looked at as it stands: there is nothing left to lose. */
static size_t sweep(bool dying, const rf_origin *origin) {
  size_t found = rf_paged_sweep(0);
  bool const locked = rf_arena_lock_all(dying ? LOCK_MS / 10 : LOCK_MS);
  for (unsigned i = 0; rf_process.checked && (locked || dying) && i < rf_arena_count(); i++) {
    found += rf_guard_sweep_from(&rf_arena_at(i)->guard, origin);
  }
  if (locked) {
    rf_arena_unlock_all();
  }
  return found;
}

/* True for the one that is to do it. A child of vfork ends in its parent's memory, whose end it is not. */
static bool begin_end(void) {
  return rf_process.ready && getpid() == rf_process.id && !__atomic_exchange_n(&process.ended, true, __ATOMIC_ACQ_REL);
}

int rf_process_end(rf_process_ending ending, int status) {
  rf_leak_summary leaks = {.checked = false, .why = NULL};
  uintptr_t const here = (uintptr_t)__builtin_frame_address(0);
  if (!begin_end()) {
    return status;
  }
  __atomic_store_n(&process.ending, true, __ATOMIC_RELAXED);
  int const cancellation = rf_uncancelled_begin();
  restore_standard_error();
  if (rf_process.options.mode != RF_MODE_OFF && rf_process.options.sweep) {
    (void)sweep(ending == RF_ENDING_SIGNAL, NULL);
  }
  if (rf_process.checked && ending == RF_ENDING_EXIT && rf_process.options.leaks != RF_LEAKS_NONE) {
    rf_leak_check(rf_process.options.leaks, process.stack_from != 0 ? process.stack_from : here, &process.reporter,
                  &leaks);
  }
  rf_tracing_end();
  rf_journal_end(process.findings, &leaks);
  rf_uncancelled_end(cancellation);
  return process.findings != 0 && rf_process.options.exitcode != 0 ? (int)rf_process.options.exitcode : status;
}

bool rf_process_has_ended(void) {
  return __atomic_load_n(&process.ended, __ATOMIC_RELAXED);
}

void rf_process_resume(void) {
  if (rf_process.ready && getpid() == rf_process.id) {
    process.ended = false;
    __atomic_store_n(&process.ending, false, __ATOMIC_RELAXED);
  }
}

/* ---- On demand ---- */

/* The frame of this function lies below that of the exported one, with the registers that it saved. */
__attribute__((noinline)) static size_t check_leaks(void) {
  rf_leak_summary leaks = {.checked = false};
  if (rf_process.checked) {
    int const cancellation = rf_uncancelled_begin();
    rf_leak_check(rf_process.options.leaks, (uintptr_t)__builtin_frame_address(0), &process.reporter, &leaks);
    rf_uncancelled_end(cancellation);
  }
  return leaks.findings;
}

RF_EXPORT size_t __ringfence_check_leaks(void) {
  __builtin_unwind_init();
  size_t const found = check_leaks();
  __asm__ volatile("" ::: "memory"); /* not a tail call: the frame is needed */
  return found;
}

RF_EXPORT size_t __ringfence_sweep(void) {
  rf_origin const origin = RF_CALLER;
  return rf_process.options.mode != RF_MODE_OFF ? sweep(false, &origin) : 0;
}

/* ---- The beginning ---- */

void rf_process_begin(void) {
  rf_process_init();
  if (!process.configured) {
    configure();
    for (unsigned i = 0; i < rf_arena_count(); i++) {
      rf_arena_at(i)->guard.options = rf_process.guard_options;
    }
  }
  if (rf_aside_for() != NULL) {
    rf_process.options.signals = false; /* they are the sanitizer's */
    rf_process.options.sweep = false;
    rf_process.options.leaks = RF_LEAKS_NONE;
  }
  rf_caller_init();
  rf_elsewhere_init();
  rf_roots_init();
  rf_log_reporter_read_suppressions(&rf_process.log);
  (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
  if (rf_process.options.help) {
    rf_sink const out = {to_standard_error, NULL};
    rf_options_help(&rf_process.options, &out);
  }
  if (rf_process.options.mode != RF_MODE_OFF && rf_process.options.signals) {
    rf_signals_init();
  }
  rf_snap_init();
  if (rf_process.options.signals) {
    rf_ondemand_init();
  }
  rf_tracing_begin();
  rf_paged_begin(&rf_process.options, &rf_process.depot, &process.reporter);
  rf_sweeper_begin(rf_process.options.mode != RF_MODE_OFF ? rf_process.options.sweep_every : 0,
                   rf_process.options.sweep_budget);
  rf_journal_begin();
}
