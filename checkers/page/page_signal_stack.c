/* The page store: a stack for the handlers of each thread, lest they cannot run where its own is at its end. */
#define _GNU_SOURCE /* sigaltstack */
#include "page_impl.h"

#include "checkers/os/own_key.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#define STACK_BYTES ((size_t)128 * 1024)

typedef enum stack_state { STACK_UNKNOWN, STACK_OF_PROGRAM, STACK_OURS } stack_state;

static RF_THREAD_LOCAL stack_state own_stack;
static pthread_key_t stack_key; /* its value is the stack, while that is ours */
static bool has_key;

static bool kept; /* accessed atomically */

void rf_page_signals_set_kept(bool keep) {
  __atomic_store_n(&kept, keep, __ATOMIC_RELAXED);
}

bool rf_page_signals_are_kept(void) {
  return __atomic_load_n(&kept, __ATOMIC_RELAXED);
}

/* Those of ended threads, for new ones: to map one and give it back takes the system as long as all else that a short
 * thread asks of it here. Accessed atomically. */
static void *spare_stacks[8];

#define SPARE_STACKS (sizeof spare_stacks / sizeof *spare_stacks)

static void *take_stack(void) {
  for (size_t i = 0; i < SPARE_STACKS; i++) {
    void *const memory = __atomic_load_n(&spare_stacks[i], __ATOMIC_RELAXED) != NULL
                             ? __atomic_exchange_n(&spare_stacks[i], NULL, __ATOMIC_ACQUIRE)
                             : NULL;
    if (memory != NULL) {
      return memory;
    }
  }
  return rf_page_records(STACK_BYTES);
}

static void leave_stack(void *memory) {
  for (size_t i = 0; i < SPARE_STACKS; i++) {
    void *none = NULL;
    if (__atomic_compare_exchange_n(&spare_stacks[i], &none, memory, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
      return;
    }
  }
  rf_page_release(memory, STACK_BYTES);
}

/* Makes `next` the thread's stack for handlers where there is none, or the one at `before`; any other one stays. One
 * call, as for each new thread, where that is so. False as well while the thread is on such a stack. */
static bool replace_stack(const stack_t *next, const void *before) {
  stack_t now;
  if (sigaltstack(next, &now) != 0) {
    return false;
  }
  if ((now.ss_flags & SS_DISABLE) != 0 || now.ss_sp == before) {
    return true;
  }
  (void)sigaltstack(&now, NULL);
  return false;
}

static const stack_t no_stack = {.ss_flags = SS_DISABLE, .ss_size = STACK_BYTES};

static void drop_stack(void *memory) {
  stack_t now;
  if (rf_page_signals_are_kept()) {
    return;
  }
  if (replace_stack(&no_stack, memory) || (sigaltstack(NULL, &now) == 0 && now.ss_sp != memory)) {
    leave_stack(memory);
  }
}

static void make_key(void) {
  has_key = rf_own_key_create(&stack_key, drop_stack);
}

/* Without the key the end of the thread would not be noticed, and its stack never given back. */
static void give_stack(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  own_stack = STACK_OF_PROGRAM; /* first: pthread_setspecific may allocate, and come back here */
  (void)pthread_once(&once, make_key);
  stack_t const ours = {.ss_sp = has_key ? take_stack() : NULL, .ss_size = STACK_BYTES};
  if (ours.ss_sp == NULL) {
    return;
  }
  if (replace_stack(&ours, NULL)) {
    if (pthread_setspecific(stack_key, ours.ss_sp) == 0) {
      own_stack = STACK_OURS;
      return;
    }
    (void)replace_stack(&no_stack, ours.ss_sp);
  }
  leave_stack(ours.ss_sp);
}

bool rf_page_stack_is_settled(void) {
  return own_stack != STACK_UNKNOWN;
}

void *rf_page_given_stack(size_t *size) {
  *size = STACK_BYTES;
  return own_stack == STACK_OURS ? pthread_getspecific(stack_key) : NULL;
}

void rf_page_give_stack(void) {
  int const saved = errno;
  if (own_stack == STACK_UNKNOWN && !rf_page_signals_are_kept()) {
    give_stack();
  }
  errno = saved;
}
