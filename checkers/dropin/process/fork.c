#define _GNU_SOURCE
#include "fork.h"

#include "checkers/dropin/inspect/heap_dump.h"
#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/inspect/process_snapshot.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/steer.h"
#include "checkers/dropin/malloc/trace_hook.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"
#include "checkers/os/modules.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/os/seen_sites.h"
#include "checkers/os/stack_modules.h"
#include "checkers/os/uncancelled.h"
#include "checkers/report/collector.h"
#include "stream_list.h"

#include <errno.h>
#include <pthread.h>
#include <ringfence/port.h>
#include <signal.h>
#include <unistd.h>

#define INSIDE_MS 200U /* nobody is inside the heap for as long, unless it is interrupted */
#define MS_NS 1000000L /* nanoseconds in a millisecond */

static bool registered; /* the handlers are */
static void (*child_also)(void);

static RF_THREAD_LOCAL struct {
  sigset_t blocked; /* before */
  bool prepared;    /* fork_parent or fork_child is to come */
  bool streams;     /* their list is locked */
  bool dump;        /* one is under way */
} forking;

void rf_fork_child_also(void (*function)(void)) {
  child_also = function;
}

static void unlock_outer(void) {
  rf_tracing_fork_parent();
  if (forking.streams) {
    rf_stream_list_unlock();
  }
}

static bool lock_heap_and_pages(void) {
  if (!rf_own_cache_fork_prepare(INSIDE_MS)) {
    return false;
  }
  if (!rf_page_try_lock_all()) {
    rf_own_cache_fork_parent();
    return false;
  }
  return true;
}

/* A thread inside the heap, with the lock of pages, or who records for it, may be interrupted by a handler that
 * allocates or forks as well, and waits for what this one has. */
static bool lock_all(bool streams) {
  forking.streams = streams && rf_stream_list_lock();
  bool const done = rf_tracing_fork_prepare(INSIDE_MS) && lock_heap_and_pages();
  if (!done) {
    unlock_outer();
  }
  return done;
}

/* glibc reads what it is to call after it has let go of its lock: where a module's handlers are taken away meanwhile,
 * at its end, those that move to their place run twice. The second time would give back what others have by then.
 *
 * A handler that ran now might allocate, or fork itself, and would wait for its own thread. */
static void prepare(bool streams) {
  if (rf_process.hands_all_on) { /* there is no lock to take */
    forking.dump = rf_heap_dump_is_under_way();
    return;
  }
  if (forking.prepared) {
    return;
  }
  sigset_t all;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &forking.blocked);
  while (!lock_all(streams)) {
    if (!rf_is_forbidden(RF_CALL_NANOSLEEP)) {
      rf_uncancelled_nap(MS_NS);
    }
  }
  forking.prepared = true;
}

static void fork_prepare(void) {
  prepare(true);
}

static void fork_parent(void) {
  if (!forking.prepared) {
    return;
  }
  forking.prepared = false;
  rf_page_unlock_all();
  rf_own_cache_fork_parent();
  unlock_outer();
  (void)pthread_sigmask(SIG_SETMASK, &forking.blocked, NULL);
}

/* Each page that is written here costs the child a fault: all that is called writes only what is to be another. */
static void fork_child(void) {
  if (rf_process.hands_all_on) {
    rf_process.id = rf_process_now();
    rf_process.forked = true;
    if (forking.dump) {
      rf_heap_dump_forked();
    }
    return;
  }
  forking.prepared = false;
  rf_page_unlock_all_in_child();
  rf_guarded_blocks_forked();
  switch (rf_own_cache_fork_child()) {
  case RF_FORK_OF_ONE:
    break;
  case RF_FORK_OF_MANY:
    rf_guarded_blocks_inherit();
    break;
  case RF_FORK_INSIDE:
    rf_process.options.leaks = RF_LEAKS_NONE;
    break;
  }
  rf_process.id = rf_process_now();
  rf_process.forked = true;
  rf_process.start_ns = rf_port_now_ns();
  rf_host_report_lock_reset();
  rf_log_reporter_forked();
  rf_reserve_stack_forked();
  rf_stack_modules_reset();
  rf_modules_forked();
  if (child_also != NULL) {
    child_also();
  }
  rf_process.ended = false;
  rf_process.ends = 0;
  rf_process.ending = false;
  rf_process.findings = 0;
  rf_process_log_forked();
  rf_seen_sites_forget();
  rf_steer_forked();
  rf_collector_forked();
  rf_tracing_fork_child();
  rf_heap_dump_forked();
  rf_process_snapshot_forked();
  if (forking.streams) {
    rf_stream_list_reset();
  }
  (void)pthread_sigmask(SIG_SETMASK, &forking.blocked, NULL);
}

/* Streams stay as they are: _Fork leaves them alone, and a signal handler may call it. */
bool rf_fork_unnoticed_prepare(void) {
  if (!registered || forking.prepared) {
    return false;
  }
  int const saved = errno;
  prepare(false);
  errno = saved;
  return true;
}

void rf_fork_unnoticed_parent(void) {
  int const saved = errno;
  fork_parent();
  errno = saved;
}

void rf_fork_unnoticed_child(void) {
  int const saved = errno;
#if defined(__linux__)
  rf_port_known_id = 0;
#endif
  fork_child();
  errno = saved;
}

/* glibc's pthread_atfork, with the module whose end takes the handlers away: at exit ours has ended when the process is
 * checked, and a fork that another thread is in would never give the locks back. For no module they stay. */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *module)
    __attribute__((weak));

void rf_fork_init(void) {
  if (__register_atfork != NULL) {
    (void)__register_atfork(fork_prepare, fork_parent, fork_child, NULL);
  } else {
    (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
  }
  registered = true;
}
