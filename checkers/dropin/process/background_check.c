#define _GNU_SOURCE
#include "background_check.h"

#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/state.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#define STACK_BYTES ((size_t)256 * 1024)

static struct {
  unsigned every_ms;
  uint64_t budget_ns;
  unsigned turn; /* whose blocks come next: the heap's, or those on pages */
} checking;

#define WAIT_MS 2U

/* A heap that is busy is left for another time. */
static void sweep_heap(void) {
  rf_origin const origin = {NULL, (uintptr_t)__builtin_return_address(0), __builtin_frame_address(0)};
  if (rf_process.checked && rf_lock_all(WAIT_MS)) {
    (void)rf_heap_sweep_step(checking.budget_ns, &origin);
    rf_unlock_all();
  }
}

static void sweep_next(void) {
  if (checking.turn++ % 2 == 0) {
    sweep_heap();
  } else {
    (void)rf_guarded_blocks_sweep(checking.budget_ns);
  }
}

static void *run(void *unused) {
  struct timespec const pause = {(time_t)(checking.every_ms / 1000), (long)(checking.every_ms % 1000) * 1000000};
  (void)unused;
  while (!rf_process_has_ended()) {
    sweep_next();
    (void)nanosleep(&pause, NULL);
  }
  return NULL;
}

/* Signals are the program's threads' business. */
void rf_background_check_begin(unsigned every_ms, unsigned budget_us) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all;
  sigset_t before;
  if (every_ms == 0 || pthread_attr_init(&attributes) != 0) {
    return;
  }
  checking.every_ms = every_ms;
  checking.budget_ns = (uint64_t)budget_us * 1000;
  (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
  (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  (void)pthread_create(&thread, &attributes, run, NULL);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  (void)pthread_attr_destroy(&attributes);
}
