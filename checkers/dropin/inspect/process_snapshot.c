/* Snapshots of the whole process: asked for by the program, or by a signal from outside. */
#define _GNU_SOURCE
#include "process_snapshot.h"

#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/process_reporter.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/steering.h"
#include "checkers/os/uncancelled.h"
#include "checkers/report/collector.h"
#include "heap_dump.h"
#include "lib/core/compiler.h"
#include "process_log.h"
#include "snapshot_record.h"

#include <errno.h>
#include <ringfence/dropin.h>
#include <ringfence/port.h>
#include <ringfence/snapshot.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SITES 4096U
#define NAME_BYTES 64
#define WAIT_MS 1000U
#define WAIT_IN_HANDLER_MS 1U
#define AGAIN_NS 10000000L
#define TRIES 500U

typedef struct kept {
  rf_snapshot snapshot;
  char name[NAME_BYTES];
} kept;

static struct {
  rf_futex lock;
  kept pair[2]; /* this one and the one before it */
  unsigned now; /* index of the one taken last */
  bool ready;
} state;

/* Mapped once; what is not used is never touched. */
static bool get_memory(void) {
  if (!state.ready) {
    rf_snapshot_site *const sites = (rf_snapshot_site *)rf_record_table((size_t)2 * SITES * sizeof *sites);
    if (sites == NULL) {
      return false;
    }
    for (unsigned i = 0; i < 2; i++) {
      rf_snapshot_init(&state.pair[i].snapshot, NULL, sites + (size_t)i * SITES, SITES);
    }
    state.ready = true;
  }
  return true;
}

static void name_it(kept *k, const char *name) {
  size_t const length = strnlen(name, NAME_BYTES - 1);
  memcpy(k->name, name, length);
  k->name[length] = '\0';
}

RF_COLD static bool add_paged(const rf_page_block *paged, void *context) {
  rf_trace allocated;
  if (!rf_page_store_allocated(rf_guarded_blocks.store, paged->ptr, &allocated)) {
    memset(&allocated, 0, sizeof allocated);
  }
  rf_snapshot_add((rf_snapshot *)context, &allocated, paged->size);
  rf_snapshot_record_add((uintptr_t)paged->ptr, paged->size);
  return true;
}

RF_COLD static bool add_block(const rf_view *view, void *context) {
  rf_trace allocated;
  rf_check_trace(view->slot->allocated, view->slot->allocated_by, &allocated);
  rf_snapshot_add((rf_snapshot *)context, &allocated, view->size);
  rf_snapshot_record_add((uintptr_t)view->payload, view->size);
  return true;
}

static bool take(unsigned wait_ms, const char *name) {
  kept *const k = &state.pair[1 - state.now];
  if (!rf_lock_blocks(wait_ms)) {
    return false;
  }
  rf_snapshot_init(&k->snapshot, k->name, k->snapshot.sites, SITES);
  rf_snapshot_record_begin(SITES);
  rf_heap_walk(add_block, &k->snapshot);
  if (rf_guarded_blocks.store != NULL) {
    (void)rf_page_store_each(rf_guarded_blocks.store, add_paged, &k->snapshot);
  }
  rf_unlock_blocks();
  name_it(k, name);
  k->snapshot.allocator = "malloc";
  k->snapshot.time_ns = rf_port_now_ns();
  state.now = 1 - state.now;
  return true;
}

/* The command works the difference out itself. */
RF_COLD static bool tell(void) {
  const rf_snapshot *const now = &state.pair[state.now].snapshot;
  const rf_snapshot *const before = &state.pair[1 - state.now].snapshot;
  bool const done = rf_process_report_snapshot(now, NULL);
  if (done) {
    rf_snapshot_record_tell(now);
  }
  return rf_process.options.format != RF_FORMAT_TEXT || before->name == NULL
             ? done
             : done && rf_process_report_snapshot(now, before);
}

/* Not where people look: nobody asked at this moment. */
static bool tell_collector(void) {
  rf_snapshot_record_tell(&state.pair[state.now].snapshot);
  return true;
}

/* How many bytes are live; SIZE_MAX where that could not be told. */
RF_COLD static size_t snapshot(unsigned wait_ms, const char *name, bool (*tell_of_it)(void)) {
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin();
  size_t bytes = SIZE_MAX;
  if (rf_futex_lock_within(&state.lock, wait_ms)) {
    if (get_memory() && take(wait_ms, name) && tell_of_it()) {
      bytes = state.pair[state.now].snapshot.bytes;
    }
    rf_futex_unlock(&state.lock);
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
  return bytes;
}

RF_COLD RF_EXPORT size_t __ringfence_snapshot(const char *name) {
  size_t const bytes = rf_process.checked ? snapshot(WAIT_MS, name != NULL ? name : "snapshot", tell) : SIZE_MAX;
  return bytes == SIZE_MAX ? 0 : bytes;
}

/* The page stays the parent's where no other thread was taking one. */
void rf_process_snapshot_forked(void) {
  if (state.lock.state != 0) {
    state.lock.state = 0;
  }
}

/* ---- From time to time ---- */

void rf_process_snapshot_warn(void) {
  char text[192];
  rf_sink_buffer line;
  bool const tells = rf_collector_is_named() && rf_process.options.mode != RF_MODE_OFF;
  if (rf_process.options.snapshot_every != 0 && !rf_process.checked && !tells &&
      (rf_steering_now.rules[0] == '\0' || rf_steering_now.own.snapshot_every != 0)) {
    rf_sink_buffer_init(&line, text, sizeof text);
    rf_sink_str(&line.sink, "ringfence: snapshot_every: mode ");
    rf_sink_str(&line.sink, rf_mode_name(rf_process.options.mode));
    rf_sink_str(&line.sink, " takes no snapshots, since it does not know all live blocks: use mode guard or page\n");
    rf_port_log(line.data, line.length);
  }
}

RF_COLD void rf_process_snapshot_regular(const char *name) {
  if (rf_process.checked) {
    (void)snapshot(WAIT_IN_HANDLER_MS, name, rf_collector_is_named() ? tell_collector : tell);
  }
  rf_process_log_running();
}

/* ---- By signal ---- */

static struct {
  pid_t process; /* whose timer it is: a child of fork inherits none */
  int timer;
  unsigned tries;
  unsigned taken;
} by_signal;

/* As the kernel takes it. The C library's own functions may not be called from a signal handler. */
typedef struct timer_time {
  long interval[2];
  long value[2];
} timer_time;

static bool make_timer(int number) {
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = number;
  if (by_signal.process != getpid() && syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &by_signal.timer) == 0) {
    by_signal.process = getpid();
  }
  return by_signal.process == getpid();
}

static bool try_again(int number) {
  timer_time const soon = {{0, 0}, {0, AGAIN_NS}};
  return by_signal.tries++ < TRIES && make_timer(number) &&
         syscall(SYS_timer_settime, by_signal.timer, 0, &soon, NULL) == 0;
}

static void say_busy(void) {
  static const char text[] = "ringfence: no snapshot: at each attempt a thread was inside an allocation function\n";
  rf_port_log(text, sizeof text - 1);
}

RF_COLD static void on_signal(int number) {
  int const saved = errno;
  char name[NAME_BYTES];
  rf_sink_buffer text;
  rf_sink_buffer_init(&text, name, sizeof name);
  rf_sink_str(&text.sink, "signal ");
  rf_sink_uint(&text.sink, by_signal.taken + 1);
  if (snapshot(WAIT_IN_HANDLER_MS, name, tell) != SIZE_MAX) {
    by_signal.taken++;
    by_signal.tries = 0;
  } else if (!try_again(number)) {
    by_signal.tries = 0;
    say_busy();
  }
  errno = saved;
}

void rf_process_snapshot_init(void) {
  int const number = rf_process.checked ? rf_dump_signal_number(rf_process.options.snapshot_signal) : 0;
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
  (void)sigemptyset(&action.sa_mask);
  if (number != 0) {
    rf_signals_install(number, &action, false);
  }
}
