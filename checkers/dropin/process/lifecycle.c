#define _GNU_SOURCE
#include "lifecycle.h"

#include "background_check.h"
#include "checkers/checked/mode_options.h"
#include "checkers/dropin/inspect/heap_dump.h"
#include "checkers/dropin/inspect/leak_check.h"
#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/inspect/process_snapshot.h"
#include "checkers/dropin/inspect/roots.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/mallinfo.h"
#include "checkers/dropin/malloc/malloc_impl.h"
#include "checkers/dropin/malloc/steer.h"
#include "checkers/dropin/malloc/trace_hook.h"
#include "checkers/dropin/malloc/watched_sites.h"
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/runtime/caller.h"
#include "checkers/dropin/runtime/init.h"
#include "checkers/dropin/runtime/output.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/process_reporter.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/tag_fault.h"
#include "checkers/dropin/runtime/tag_pause.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/os/uncancelled.h"
#include "checkers/report/collector.h"
#include "checkers/report/log_lines.h"
#include "fatal_signals.h"
#include "fork.h"
#include "lib/core/compiler.h"
#include "sanitizer_check.h"
#include "stream_buffer.h"

#include <errno.h>
#include <ringfence/dropin.h>
#include <ringfence/port.h>
#include <signal.h>
#include <unistd.h>

#define MS_NS 1000000 /* nanoseconds in a millisecond */
#define LOCK_MS 1000U
#define TERMINATED_LOCK_MS 20U /* nobody is inside the heap for long */
#define TERMINATED_NS ((uint64_t)100 * MS_NS)
#define END_MS 5000U /* an end that takes longer is cut short by signals and by other threads */

/* Nanoseconds that a child of fork looks at blocks when it ends: at least, and for each allocation of its own. */
#define CHILD_ABRUPT_NS ((uint64_t)600 * 1000)
#define CHILD_EXIT_NS ((uint64_t)6 * MS_NS)
#define CHILD_BLOCK_NS ((uint64_t)4000)

/* ---- The end ---- */

static uintptr_t stack_from; /* where the stack was when the program was left; 0: not known */
static int left_with;        /* the status then */

void rf_process_leaving(uintptr_t sp, int status) {
  if (rf_process_now() == rf_process.id) { /* not in a child of vfork */
    stack_from = sp;
    left_with = status;
  }
}

RF_COLD bool rf_process_closes(FILE *stream, const rf_origin *origin) {
  if (stream == stderr && stack_from != 0 && rf_process_now() == rf_process.id) {
    rf_output_keep_standard_error();
  }
  if (!rf_malloc_impl_is_freed(stream)) {
    rf_stream_buffer_look(stream, origin);
    return true;
  }
  rf_malloc_impl_free(stream, RF_FAMILY_MALLOC, SIZE_MAX, origin);
  errno = EBADF;
  return false;
}

bool rf_process_uses(const void *stream, const rf_origin *origin) {
  if (RF_LIKELY(!rf_malloc_impl_is_freed(stream)) || !rf_malloc_impl_report_stale(stream, 1, RF_ACCESS_READ, origin)) {
    return true;
  }
  errno = EBADF;
  return false;
}

/* A dying process may have died inside the heap, which is then looked at as it stands: there is nothing left to lose.
 * `budget_ns` 0: all blocks. */
static size_t sweep(bool dying, uint64_t budget_ns, const rf_origin *origin) {
  size_t found = rf_guarded_blocks_sweep(budget_ns / 2, origin);
  bool const locked = rf_lock_all(dying ? LOCK_MS / 10 : LOCK_MS);
  if (rf_process.checked && (locked || dying)) {
    uint64_t const checks = rf_tag_pause();
    found += budget_ns == 0 ? rf_heap_sweep(origin) : rf_heap_sweep_newest(budget_ns / 2, origin);
    rf_tag_resume(checks);
  }
  if (locked) {
    rf_unlock_all();
  }
  return found;
}

/* For a process that others end: NULL, or why not all was checked. A block that a thread is changing is left alone, for
 * it would look damaged; and who waits for the end does not wait long. */
static const char *sweep_shortly(void) {
  uint64_t const begin = rf_port_now_ns();
  uint64_t gone = 0;
  if (!rf_lock_all(TERMINATED_LOCK_MS)) {
    return "a thread was allocating";
  }
  if (rf_process.checked) {
    (void)rf_heap_sweep_newest(TERMINATED_NS, RF_NO_ORIGIN);
    gone = rf_port_now_ns() - begin;
  }
  rf_unlock_all();
  if (gone < TERMINATED_NS) {
    (void)rf_guarded_blocks_sweep(TERMINATED_NS - gone, RF_NO_ORIGIN);
    gone = rf_port_now_ns() - begin;
  }
  return gone < TERMINATED_NS ? NULL : "there was no time";
}

/* A child of fork has all of its parent's blocks, which the parent checks at its own end: the child's own activity
 * decides how long it looks at them. 0: no bound. */
static uint64_t sweep_budget(rf_process_ending ending) {
  if (!rf_process.forked) {
    return 0;
  }
  uint64_t const least = ending == RF_ENDING_ABRUPT ? CHILD_ABRUPT_NS : CHILD_EXIT_NS;
  return least + rf_process_log_allocations() * CHILD_BLOCK_NS;
}

/* NULL, or why not all blocks were checked. */
static const char *check_blocks(rf_process_ending ending) {
  if (rf_process.options.mode == RF_MODE_OFF || !rf_process.options.sweep) {
    return NULL;
  }
  if (ending == RF_ENDING_TERMINATED) {
    return sweep_shortly();
  }
  (void)sweep(ending == RF_ENDING_SIGNAL, sweep_budget(ending), RF_NO_ORIGIN);
  return NULL;
}

/* A child of fork that allocated nothing has nothing of its own to lose. */
static void look_for_leaks(uintptr_t sp, rf_leak_summary *leaks) {
  rf_leaks const policy = rf_process.options.leaks;
  if (rf_process.forked && policy == RF_LEAKS_LOST && rf_process_log_allocations() == 0) {
    leaks->checked = true;
  } else {
    rf_leak_check(policy, sp, &rf_process_reporter, leaks);
  }
}

static rf_process_exit exit_of(rf_process_ending ending, int status) {
  switch (ending) {
  case RF_ENDING_EXEC:
    return (rf_process_exit){status == 0 ? "exec" : NULL, 0};
  case RF_ENDING_TERMINATED:
  case RF_ENDING_SIGNAL:
    return (rf_process_exit){"signal", status};
  case RF_ENDING_EXIT:
  case RF_ENDING_ABRUPT:
    break;
  }
  if (status == -1 && stack_from != 0) {
    return (rf_process_exit){"status", left_with & 0xFF};
  }
  return status == -1 ? (rf_process_exit){"unknown", 0} : (rf_process_exit){"status", status & 0xFF};
}

typedef struct end {
  rf_process_ending ending;
  int status;   /* in: the program's; out: the process's */
  uintptr_t sp; /* below it nothing of the program's lives */
} end;

/* True where no request came to us, since the program brings a malloc of its own, or another is loaded before ours. One
 * that hands its requests on makes some. */
static bool is_served_by_another_malloc(const end *e) {
  return rf_process.checked && e->ending == RF_ENDING_EXIT && !rf_process.forked && rf_malloc_is_replaced() &&
         rf_process_log_allocations() == 0 && rf_sanitizer_name() == NULL;
}

static int status_after_findings(int status) {
  bool const failed = rf_process.findings != 0 && rf_process.options.exitcode != 0;
  return failed ? (int)rf_process.options.exitcode : status;
}

static void end_process(void *context) {
  end *const e = context;
  rf_leak_summary leaks = {.checked = false, .why = NULL};
  __atomic_store_n(&rf_process.ending, true, __ATOMIC_RELAXED);
  int const cancellation = rf_uncancelled_begin();
  rf_output_restore_standard_error();
  if (e->ending == RF_ENDING_EXIT && rf_process.options.mode != RF_MODE_OFF) {
    rf_stream_buffer_look(NULL, NULL);
  }
  const char *const unchecked = check_blocks(e->ending);
  if (rf_process.checked && e->ending == RF_ENDING_EXIT && rf_process.options.leaks != RF_LEAKS_NONE) {
    look_for_leaks(e->sp, &leaks);
  }
  rf_tracing_end();
  rf_watched_sites_end();
  int const result = status_after_findings(e->status);
  rf_process_exit const exit = exit_of(e->ending, e->ending >= RF_ENDING_EXEC ? e->status : result);
  if (is_served_by_another_malloc(e)) {
    rf_process_log_unchecked(rf_process_now(), NULL, "with a malloc of its own", rf_host_now_ns());
  }
  rf_process_log_end(rf_process.findings, &leaks, unchecked, &exit);
  rf_uncancelled_end(cancellation);
  e->status = result;
}

/* ---- One end ----
 *
 * rf_process.ends is its claim: when the end began, in milliseconds, and in the last bit whether it is for good. One
 * word, for a signal may come, or another thread, between any two stores. */

#define FOR_GOOD 1U
#define CLAIMED 2U /* never 0 */

static uint32_t claim_now(bool for_good) {
  uint32_t const ms = (uint32_t)(rf_host_now_ns() / MS_NS) & ~FOR_GOOD;
  return ms | CLAIMED | (for_good ? FOR_GOOD : 0);
}

static RF_THREAD_LOCAL bool is_at_the_end; /* this thread is */

static bool is_recent(uint32_t claim) {
  return claim != 0 && rf_process_now() == rf_process.id && claim_now(true) - claim < END_MS;
}

/* A thread is at the end, and has not been for long. */
static bool is_under_way(void) {
  return is_recent(__atomic_load_n(&rf_process.ends, __ATOMIC_ACQUIRE));
}

/* For a signal that asks a process to end. */
static bool ends_anyway(void) {
  uint32_t const claim = __atomic_load_n(&rf_process.ends, __ATOMIC_ACQUIRE);
  return (claim & FOR_GOOD) != 0 && is_recent(claim);
}

/* A process that went while another thread is at its end would cut that one's checks short. */
static int wait_for_end(int status) {
  if (is_at_the_end || rf_is_forbidden(RF_CALL_NANOSLEEP) || !is_under_way()) {
    return status;
  }
  while (is_under_way()) {
    rf_uncancelled_nap(MS_NS); /* _exit is no point of cancellation */
  }
  return status_after_findings(status);
}

/* True for the one that is to do it. A child of vfork ends in its parent's memory, whose end it is not. A handler that
 * comes once the claim is there must know its own thread: it would wait for itself. */
static bool begin_end(bool for_good) {
  uint32_t none = 0;
  if (!rf_process.ready || rf_process_now() != rf_process.id || rf_process_has_ended()) {
    return false;
  }
  bool const before = is_at_the_end;
  is_at_the_end = true;
  bool const claimed = __atomic_compare_exchange_n(&rf_process.ends, &none, claim_now(for_good), false,
                                                   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
  bool const begun = claimed && !__atomic_exchange_n(&rf_process.ended, true, __ATOMIC_ACQ_REL);
  if (claimed && !begun) {
    __atomic_store_n(&rf_process.ends, 0, __ATOMIC_RELEASE);
  }
  is_at_the_end = begun || before;
  return begun;
}

int rf_process_end(rf_process_ending ending, int status) {
  end e = {ending, status, (uintptr_t)__builtin_frame_address(0)};
  bool const has_nothing_to_tell = rf_process.hands_all_on && rf_process.forked && rf_process.findings == 0;
  if (has_nothing_to_tell || rf_is_forbidden(RF_CALL_CLOCK)) {
    return status;
  }
  if (!begin_end(ending != RF_ENDING_EXEC)) {
    return wait_for_end(status);
  }
  e.sp = stack_from != 0 ? stack_from : e.sp;
  sigset_t mask;
  bool const blocks = rf_signals_block_handled(&mask);
  rf_on_reserve_stack(end_process, &e);
  if (blocks) {
    rf_signals_open_handled(&mask, ending == RF_ENDING_EXIT || ending == RF_ENDING_ABRUPT);
  }
  __atomic_store_n(&rf_process.ends, 0, __ATOMIC_RELEASE);
  __atomic_signal_fence(__ATOMIC_SEQ_CST); /* a handler that comes before the next line must not wait for its thread */
  is_at_the_end = false;
  return e.status;
}

void rf_process_resume(void) {
  if (rf_process.ready && rf_process_now() == rf_process.id) {
    rf_process.ended = false;
    __atomic_store_n(&rf_process.ending, false, __ATOMIC_RELAXED);
  }
}

/* ---- On demand ---- */

/* The frame of this function lies below that of the exported one, with the registers that it saved. */
RF_COLD __attribute__((noinline)) static size_t check_leaks(void) {
  rf_leak_summary leaks = {.checked = false};
  if (rf_process.checked) {
    int const cancellation = rf_uncancelled_begin();
    rf_leak_check(rf_process.options.leaks, (uintptr_t)__builtin_frame_address(0), &rf_process_reporter, &leaks);
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

RF_COLD RF_EXPORT size_t __ringfence_sweep(void) {
  rf_origin const origin = RF_CALLER;
  return rf_process.options.mode != RF_MODE_OFF ? sweep(false, 0, &origin) : 0;
}

static void sweep_as_told(void) {
  if (rf_process.options.mode != RF_MODE_OFF) {
    (void)sweep(false, 0, RF_NO_ORIGIN);
  }
}

static bool snapshot_as_told(const char *name) {
  return __ringfence_snapshot(name) != 0;
}

static const rf_steer_actions as_told = {sweep_as_told, snapshot_as_told, rf_process_snapshot_regular};

/* ---- The beginning ---- */

/* Before a finding ends the process, or a child of vfork in its memory: within a function of the heap, where its parent
 * would be inside for ever. */
static void halting(void) {
  if (rf_process_now() == rf_process.id) {
    rf_tracing_end();
    rf_watched_sites_end();
  } else if (rf_current_thread.cache != NULL) {
    rf_cache_exit(rf_current_thread.cache);
  }
  int const code = rf_process_reporter.exitcode;
  bool const aborts = code == RF_EXITCODE_ABORT;
  rf_process_exit const exit = {aborts ? "signal" : "status", aborts ? SIGABRT : code};
  rf_process_log_end(rf_process.findings, NULL, NULL, &exit);
}

/* Another checker, whose malloc knows all blocks and ours none of them: signals are its own as well. */
static void step_aside(rf_options *o) {
  o->signals = false;
  o->sweep = false;
  o->leaks = RF_LEAKS_NONE;
}

static void leave_to_tool(rf_options *o) {
  static const char line[] = "ringfence: this program runs under a tool that serves its malloc (Valgrind, or one like "
                             "it): it is not checked by Ringfence\n";
  rf_port_log(line, sizeof line - 1);
  o->mode = RF_MODE_OFF;
  o->heap = RF_HEAP_NEXT;
  o->trace = NULL;
  step_aside(o);
}

/* True where a tool serves the program's malloc. */
static bool read_options(void) {
  (void)rf_process_configure();
  bool const left = rf_malloc_find_interception();
  if (left) {
    leave_to_tool(&rf_process.options);
  }
  if (rf_sanitizer_check() != NULL) {
    step_aside(&rf_process.options);
  }
  rf_log_reporter_read_suppressions(&rf_process.log);
  return left;
}

static void show_help(void) {
  rf_log_lines lines;
  if (!rf_process.options.help) {
    return;
  }
  const rf_sink *const out = rf_log_lines_init(&lines);
  rf_options_help(&rf_process.options, out);
  if (rf_steering_now.rules[0] != '\0') {
    rf_sink_str(out, "rules of the collector's policy that set some of these values: ");
    rf_sink_str(out, rf_steering_now.rules);
    rf_sink_str(out, "\n");
  }
}

static void dying(int number) {
  (void)rf_process_end(RF_ENDING_SIGNAL, number);
}

static void terminated(int number) {
  (void)rf_process_end(RF_ENDING_TERMINATED, number);
}

/* Handlers of signals that the options name are installed before those of signals that end the process. */
static void install_handlers(void) {
  bool const off = rf_process.options.mode == RF_MODE_OFF;
  if (rf_process.options.signals && (!off || rf_forward.now == RF_FORWARD_ON)) {
    rf_fatal_signals_init(dying, off);
  }
  rf_process_snapshot_init();
  rf_process_snapshot_warn();
  if (rf_process.options.signals) {
    rf_heap_dump_init();
  }
  if (rf_process.options.signals && rf_process.library) {
    rf_terminating_signals_init(ends_anyway, terminated);
  }
}

/* musl allocates a record for each. */
static void watch_forks(void) {
  rf_port_watch_forks(); /* first: what a child does else asks for its number */
  rf_fork_init();
}

/* Mode off where nothing else was asked for: neither a record of the process nor one of its requests. */
static bool hands_all_on(void) {
  const rf_options *const o = &rf_process.options;
  return o->mode == RF_MODE_OFF && rf_forward.now == RF_FORWARD_ON && rf_cache_total() == 0 && !o->summary &&
         o->verbosity == 0 && !rf_collector_is_named();
}

static void begin_log(bool left_to_tool) {
  if (left_to_tool) {
    rf_process_log_unchecked(getpid(), NULL, "under a tool with its own malloc", rf_port_now_ns());
    rf_process.options.summary = false;
  } else {
    rf_process_log_begin();
  }
}

void rf_process_begin(bool library) {
  const rf_options *const o = &rf_process.options;
  rf_forward_own(watch_forks);
  rf_process_init();
  rf_process.start_ns = rf_port_now_ns();
  rf_process.library = library;
  rf_process.halting = halting;
  rf_output_set_standard_error();
  bool const left_to_tool = read_options();
  rf_forward_begin(o);
  rf_mallinfo_begin();
  rf_options_name_policy(rf_steering_now.rules[0] != '\0' ? rf_steering_now.rules : NULL);
  (void)rf_options_begin_collector(o);
  rf_caller_init();
  rf_roots_init();
  show_help();
  install_handlers();
  if (rf_memory_tags_on()) {
    rf_tag_faults_watch();
  }
  rf_tracing_begin();
  rf_guarded_blocks_begin(o, rf_process.guard_options.depot, &rf_process_reporter);
  rf_steer_begin(&as_told);
  rf_forward_begin_sampling();
  rf_malloc_choose_way();
  rf_background_check_begin(o->mode != RF_MODE_OFF ? o->sweep_every : 0, o->sweep_budget);
  begin_log(left_to_tool);
  rf_process.hands_all_on = hands_all_on();
}
