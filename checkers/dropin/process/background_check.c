#define _GNU_SOURCE
#include "background_check.h"

#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/procfs.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/shared/origin.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)256 * 1024)

static struct {
  unsigned every_ms;
  uint64_t budget_ns;
  unsigned turn; /* whose blocks come next: the heap's, or those on pages */
  sigset_t mask; /* of the program's first thread */
} checking;

#define WAIT_MS 2U

/* A heap that is busy is left for another time. */
static void sweep_heap(void) {
  if (rf_process.checked && rf_lock_all(WAIT_MS)) {
    (void)rf_heap_sweep_step(checking.budget_ns, RF_NO_ORIGIN);
    rf_unlock_all();
  }
}

static void sweep_next(void) {
  if (checking.turn++ % 2 == 0) {
    sweep_heap();
  } else {
    (void)rf_guarded_blocks_sweep(checking.budget_ns, RF_NO_ORIGIN);
  }
}

/* ---- The end ----
 *
 * If all threads end by pthread_exit, the C library ends the process with the last one. It takes the one here for
 * such a thread, too, which has to do it in its place. */

/* Its memory is no longer the process's then. This takes no descriptor, of which there may be none. */
static bool has_first_thread_ended(void) {
  char byte = 0;
  struct iovec const here = {&byte, sizeof byte};
  return process_vm_readv(getpid(), &here, 1, &here, 1, 0) < 0 && errno == ESRCH;
}

static void count_thread(uint32_t id, void *count) {
  (void)id;
  ++*(unsigned *)count;
}

/* The first thread is listed after its end, too. */
static bool is_left_alone(void) {
  unsigned threads = 0;
  return !rf_is_forbidden(RF_CALL_GETPID | RF_CALL_OPEN | RF_CALL_OTHERS) && has_first_thread_ended() &&
         rf_procfs_each_thread(count_thread, &threads) && threads == 2;
}

/* As the program does, for which faults stay open all the same (runtime/signals.h): a thread that asks for memory for
 * the first time takes what is blocked in truth for the program's wish. */
static void set_mask(const sigset_t *mask, sigset_t *before) {
  (void)rf_signals_mask(SIG_SETMASK, mask, before, true);
}

static void *end_process(void *unused) {
  (void)unused;
  set_mask(&checking.mask, NULL);
  exit(0);
}

/* Functions of the program's run then, which need a stack as threads have it. */
static void end_process_elsewhere(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, end_process, NULL) != 0) {
    (void)end_process(NULL);
  }
}

/* ---- The thread ---- */

static void *run(void *unused) {
  struct timespec const pause = {(time_t)(checking.every_ms / 1000), (long)(checking.every_ms % 1000) * 1000000};
  (void)unused;
  while (!rf_process_has_ended()) {
    sweep_next();
    (void)nanosleep(&pause, NULL);
    if (is_left_alone()) {
      end_process_elsewhere();
      break;
    }
  }
  return NULL;
}

/* Signals are the program's threads' business. */
void rf_background_check_begin(unsigned every_ms, unsigned budget_us) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all;
  if (every_ms == 0 || pthread_attr_init(&attributes) != 0) {
    return;
  }
  checking.every_ms = every_ms;
  checking.budget_ns = (uint64_t)budget_us * 1000;
  (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
  (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  (void)sigfillset(&all);
  set_mask(&all, &checking.mask);
  (void)pthread_create(&thread, &attributes, run, NULL);
  set_mask(&checking.mask, NULL);
  (void)pthread_attr_destroy(&attributes);
}
