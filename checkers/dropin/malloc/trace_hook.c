#define _GNU_SOURCE
#include "trace_hook.h"

#include "checkers/dropin/os/kept_file.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/os/host.h"
#include "checkers/os/modules.h"
#include "checkers/os/pid_path.h"
#include "checkers/os/uncancelled.h"

#include <errno.h>
#include <fcntl.h>
#include <ringfence/port.h>
#include <ringfence/trace_writer.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MEMORY ((size_t)1 << 20) /* at first; tables grow */
#define PATH_BYTES 4096
#define KNOWN_MODULES 256U
#define LOOKS_MOST 1000U /* at the process's map, for code that is in no module */
#define END_MS 1000U
#define FLUSH_NS 1000000000U

typedef struct range {
  uintptr_t start;
  uintptr_t end;
} range;

bool rf_tracing_on;

static struct {
  rf_futex lock; /* of all that follows */
  rf_trace_writer writer;
  void *memory;
  char path[PATH_BYTES];
  rf_kept_file file;
  uint64_t flushed_ns;
  bool restart; /* a child's trace is to be begun */
  range known[KNOWN_MODULES];
  unsigned known_count;
  unsigned looks;
  rf_modules modules; /* too large for small stacks */
} tracing;

/* This thread holds the lock, or is about to. */
static RF_THREAD_LOCAL bool inside;

/* It holds the lock for a fork. */
static RF_THREAD_LOCAL bool forking;

/* ---- Taking part ---- */

/* False where this thread, interrupted by a signal, is in here already. */
static bool enter(void) {
  if (inside) {
    return false;
  }
  inside = true;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_futex_lock(&tracing.lock);
  return true;
}

static void leave(void) {
  rf_futex_unlock(&tracing.lock);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  inside = false;
}

static void stop(void) {
  __atomic_store_n(&rf_tracing_on, false, __ATOMIC_RELAXED);
}

static void say(const char *what, int error) {
  char text[PATH_BYTES + 128];
  rf_sink_buffer line;
  rf_sink_buffer_init(&line, text, sizeof text);
  rf_sink_str(&line.sink, "ringfence: trace=");
  rf_sink_str(&line.sink, tracing.path);
  rf_sink_str(&line.sink, what);
  if (error != 0) {
    rf_sink_str(&line.sink, " (errno ");
    rf_sink_int(&line.sink, error);
    rf_sink_str(&line.sink, ")");
  }
  rf_sink_str(&line.sink, "\n");
  rf_port_log(line.data, line.length);
}

/* ---- The file ---- */

/* False where it cannot be opened, which is said, or another process records to it. */
static bool open_file(void) {
  int const file = open(tracing.path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
  if (file < 0) {
    say(": cannot be opened; nothing is recorded", errno);
    return false;
  }
  if (flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    (void)close(file);
    return false;
  }
  if (ftruncate(file, 0) != 0 && errno != EINVAL) { /* EINVAL: a pipe or a device, which has no length */
    say(": cannot be emptied; nothing is recorded", errno);
    (void)close(file);
    return false;
  }
  rf_kept_file_keep(&tracing.file, file);
  if (tracing.file.descriptor < 0) {
    tracing.file.descriptor = file; /* no high number is left */
  } else {
    (void)close(file);
  }
  return true;
}

/* The writer's sink. */
static void put(void *context, const char *bytes, size_t size) {
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin();
  int error = rf_kept_file_is_there(&tracing.file) ? 0 : EBADF;
  (void)context;
  while (size != 0 && error == 0) {
    ssize_t const written = write(tracing.file.descriptor, bytes, size);
    if (written > 0) {
      bytes += written;
      size -= (size_t)written;
    } else if (written == 0 || errno != EINTR) {
      error = written == 0 ? ENOSPC : errno;
    }
  }
  if (error != 0 && rf_tracing()) {
    stop();
    say(": cannot be written; the trace ends here", error);
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
}

/* ---- Modules ---- */

static bool is_known(uintptr_t pc) {
  for (unsigned i = 0; i < tracing.known_count; i++) {
    if (pc > tracing.known[i].start && pc <= tracing.known[i].end) {
      return true;
    }
  }
  return false;
}

static void note_module(const rf_module *m) {
  if (!is_known(m->end) && tracing.known_count < KNOWN_MODULES) {
    tracing.known[tracing.known_count++] = (range){m->start, m->end};
    rf_trace_writer_module(&tracing.writer, m->start, m->end, m->bias, tracing.modules.text + m->path, m->build_id);
  }
}

/* A call site is about to be written. */
static void met(void *context, const rf_trace *where) {
  bool known = true;
  (void)context;
  for (unsigned i = 0; i < where->depth; i++) {
    known = known && is_known(where->frames[i]);
  }
  if (known || tracing.looks == LOOKS_MOST) {
    return;
  }
  tracing.looks++;
  rf_modules_load(&tracing.modules, &where, 1);
  for (unsigned i = 0; i < tracing.modules.count; i++) {
    note_module(&tracing.modules.modules[i]);
  }
}

/* ---- The beginning ---- */

static void *more(void *context, size_t size) {
  (void)context;
  return rf_record_table(size);
}

static bool make_path(void) {
  const rf_options *const o = &rf_process.options;
  rf_sink_buffer path;
  rf_sink_buffer_init(&path, tracing.path, sizeof tracing.path);
  return rf_pid_path(o->trace, o->trace_length, &path);
}

static bool begin(void) {
  rf_trace_writer_options const options = {
      .sink = {put, NULL},
      .memory = tracing.memory,
      .size = MEMORY,
      .process = (uint32_t)rf_process_now(),
      .more = more,
      .met = met,
  };
  tracing.known_count = 0;
  tracing.looks = 0;
  tracing.flushed_ns = rf_port_now_ns();
  int const cancellation = rf_uncancelled_begin(); /* in a child, its first request for memory comes here */
  bool const begun = make_path() && open_file() && rf_trace_writer_init(&tracing.writer, &options) == RF_OK;
  rf_uncancelled_end(cancellation);
  return begun;
}

void rf_tracing_begin(void) {
  int const saved = errno;
  if (rf_process.options.trace == NULL || !enter()) {
    return;
  }
  tracing.memory = rf_record_table(MEMORY);
  __atomic_store_n(&rf_tracing_on, tracing.memory != NULL && begin(), __ATOMIC_RELAXED);
  leave();
  errno = saved;
}

/* ---- Requests ---- */

/* False, with nothing entered, where the request is not recorded. */
static bool enter_request(void) {
  if (!enter()) {
    rf_trace_writer_lost(&tracing.writer); /* by the thread that holds the lock: itself */
    return false;
  }
  if (tracing.restart) {
    tracing.restart = false;
    if (!begin()) {
      stop();
    }
  }
  if (!rf_tracing()) {
    leave();
    return false;
  }
  return true;
}

static void leave_request(uint64_t now) {
  if (now - tracing.flushed_ns > FLUSH_NS) {
    tracing.flushed_ns = now;
    rf_trace_writer_flush(&tracing.writer);
  }
  leave();
}

/* The stack is followed before the lock is taken. */
static void look_back(rf_trace *where, const rf_origin *origin) {
  unsigned const depth = rf_process.options.stack_depth;
  where->site = NULL;
  where->thread = rf_current_thread.id != 0 ? rf_current_thread.id : rf_port_thread_id();
  where->depth = rf_stack_capture(origin, where->frames, depth == 0 ? 1 : depth);
}

void rf_tracing_alloc(const void *ptr, size_t size, size_t align, const rf_origin *origin) {
  rf_trace where;
  int const saved = errno;
  look_back(&where, origin);
  if (enter_request()) {
    uint64_t const now = rf_port_now_ns();
    rf_trace_writer_alloc(&tracing.writer, ptr, size, align, &where, now);
    leave_request(now);
  }
  errno = saved;
}

void rf_tracing_free(const void *ptr, const rf_origin *origin) {
  rf_trace where;
  int const saved = errno;
  look_back(&where, origin);
  if (enter_request()) {
    uint64_t const now = rf_port_now_ns();
    rf_trace_writer_free(&tracing.writer, ptr, &where, now);
    leave_request(now);
  }
  errno = saved;
}

bool rf_tracing_take(const void *ptr, size_t *block) {
  int const saved = errno;
  bool taken = false;
  if (enter_request()) {
    taken = rf_trace_writer_take(&tracing.writer, ptr, block);
    leave();
  }
  errno = saved;
  return taken;
}

void rf_tracing_resized(size_t block, const void *ptr, size_t size, bool failed, const rf_origin *origin) {
  rf_trace where;
  int const saved = errno;
  look_back(&where, origin);
  if (enter_request()) {
    uint64_t const now = rf_port_now_ns();
    rf_trace_writer_resized(&tracing.writer, block, ptr, size, RF_ALIGN_DEFAULT, failed, &where, now);
    leave_request(now);
  }
  errno = saved;
}

/* ---- The end, and forks ---- */

void rf_tracing_end(void) {
  if (!rf_tracing() || inside || rf_process_now() != rf_process.id) {
    return;
  }
  int const saved = errno;
  inside = true;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  if (rf_futex_lock_within(&tracing.lock, END_MS)) {
    if (!tracing.restart) {
      rf_trace_writer_end(&tracing.writer);
    }
    rf_futex_unlock(&tracing.lock);
  }
  inside = false;
  errno = saved;
}

/* A handler that interrupted the recorder forks without the lock, which is its own thread's or another one's. */
bool rf_tracing_fork_prepare(unsigned ms) {
  if (!rf_tracing() || inside) {
    return true;
  }
  inside = true;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  forking = rf_futex_lock_within(&tracing.lock, ms);
  inside = forking;
  return forking;
}

void rf_tracing_fork_parent(void) {
  if (forking) {
    forking = false;
    leave();
  }
}

static bool names_process(void) {
  const rf_options *const o = &rf_process.options;
  for (size_t i = 0; i + 1 < o->trace_length; i++) {
    if (o->trace[i] == '%' && o->trace[i + 1] == 'p') {
      return true;
    }
  }
  return false;
}

/* The parent's file is the parent's. What a handler interrupted goes on in the child, where it finds no file. */
void rf_tracing_fork_child(void) {
  if (!inside) {
    return;
  }
  int const saved = errno;
  if (rf_kept_file_is_there(&tracing.file)) {
    rf_host_close(tracing.file.descriptor);
  }
  if (forking && names_process()) {
    tracing.restart = true;
  } else {
    stop();
  }
  if (forking) {
    tracing.lock.state = 1; /* nobody waits any more */
    forking = false;
    leave();
  } else {
    tracing.lock.state = 0; /* a thread that is not here may have had it */
  }
  errno = saved;
}
