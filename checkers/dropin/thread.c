#define _GNU_SOURCE
#include "thread.h"

#include <pthread.h>
#include <ringfence/port.h>
#include <unistd.h>

_Thread_local rf_thread rf_self;

static struct {
  rf_futex lock;
  rf_thread *first;
  pthread_key_t key;
  bool has_key;
} threads;

static void link_self(void) {
  rf_futex_lock(&threads.lock);
  rf_self.previous = NULL;
  rf_self.next = threads.first;
  if (threads.first != NULL) {
    threads.first->previous = &rf_self;
  }
  threads.first = &rf_self;
  rf_futex_unlock(&threads.lock);
}

static void unlink_self(void) {
  rf_futex_lock(&threads.lock);
  *(rf_self.previous != NULL ? &rf_self.previous->next : &threads.first) = rf_self.next;
  if (rf_self.next != NULL) {
    rf_self.next->previous = rf_self.previous;
  }
  rf_futex_unlock(&threads.lock);
}

/* The C library keeps the stacks of ended threads for new ones, and with them what lay on them: addresses that would make
 * lost blocks look reachable. It gives the lower pages back itself, all but about 16 KiB. */
#define STALE_STACK ((size_t)24 * 1024)
#define FRAME_MARGIN 256U /* of clear_stale_stack itself */

/* By hand: a function called here would have its frame where the clearing goes. */
__attribute__((noinline)) static void clear_stale_stack(void) {
  uintptr_t const here = ((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)15) - FRAME_MARGIN;
  if (rf_self.stack_low == 0 || here <= rf_self.stack_low) {
    return;
  }
  size_t const below = here - rf_self.stack_low;
  uintptr_t const end = here - (below < STALE_STACK ? below : STALE_STACK);
  for (volatile uintptr_t *word = (uintptr_t *)here; (uintptr_t)word > end;) {
    *--word = 0;
  }
}

static void ended(void *self) {
  (void)self;
  if (rf_self.ended) {
    return;
  }
  rf_self.ended = true;
  __atomic_fetch_sub(&rf_self.arena->threads, 1, __ATOMIC_RELAXED);
  unlink_self();
  clear_stale_stack();
}

void rf_thread_init(void) {
  /* Keys that are made this early are among those that the C library stores without allocating. */
  threads.has_key = pthread_key_create(&threads.key, ended) == 0;
}

/* The first thread's stack is known from the kernel's map; asking pthread_getattr_np would read that map each time. */
static bool is_first_thread(void) {
  return rf_self.id == (uint32_t)getpid();
}

static void find_stack(void) {
  pthread_attr_t attributes;
  void *low;
  size_t size;
  if (is_first_thread() || pthread_getattr_np(pthread_self(), &attributes) != 0) {
    return;
  }
  if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
    rf_self.stack_high = (uintptr_t)low + size;
    rf_self.stack_low = (uintptr_t)low;
  }
  (void)pthread_attr_destroy(&attributes);
}

void rf_thread_begin(void) {
  if (rf_self.id != 0 || !threads.has_key) {
    return;
  }
  rf_self.id = rf_port_thread_id();
  if (pthread_setspecific(threads.key, &rf_self) != 0) {
    return; /* its end would not be noticed, so it is not linked either */
  }
  rf_self.linked = true;
  find_stack();
  link_self();
}

bool rf_thread_stack(uint32_t id, uintptr_t *low, uintptr_t *high) {
  for (const rf_thread *t = threads.first; t != NULL; t = t->next) {
    if (t->id == id && t->stack_low != 0) {
      *low = t->stack_low;
      *high = t->stack_high;
      return true;
    }
  }
  return false;
}

bool rf_thread_lock(unsigned ms) {
  return rf_futex_lock_within(&threads.lock, ms);
}

void rf_thread_unlock(void) {
  rf_futex_unlock(&threads.lock);
}

void rf_thread_fork_prepare(void) {
  rf_futex_lock(&threads.lock);
}

void rf_thread_fork_parent(void) {
  rf_futex_unlock(&threads.lock);
}

void rf_thread_fork_child(void) {
  bool const linked = rf_self.linked && !rf_self.ended;
  if (linked) {
    rf_self.id = rf_port_thread_id();
    rf_self.previous = NULL;
    rf_self.next = NULL;
  }
  threads.first = linked ? &rf_self : NULL;
  threads.lock.state = 0;
}
