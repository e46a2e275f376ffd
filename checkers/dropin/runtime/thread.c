#define _GNU_SOURCE
#include "thread.h"

#include "checkers/dropin/os/raw_syscall.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/memory_tags.h"
#include "dead_stacks.h"
#include "signals.h"

#include <pthread.h>
#include <ringfence/port.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

RF_THREAD_LOCAL rf_thread rf_current_thread;

static struct {
  rf_futex lock;
  rf_thread *first;
  pthread_key_t key;
  bool has_key;
} threads;

static void link_self(void) {
  rf_futex_lock(&threads.lock);
  rf_current_thread.previous = NULL;
  rf_current_thread.next = threads.first;
  if (threads.first != NULL) {
    threads.first->previous = &rf_current_thread;
  }
  threads.first = &rf_current_thread;
  rf_futex_unlock(&threads.lock);
}

static void unlink_self(void) {
  rf_futex_lock(&threads.lock);
  *(rf_current_thread.previous != NULL ? &rf_current_thread.previous->next : &threads.first) = rf_current_thread.next;
  if (rf_current_thread.next != NULL) {
    rf_current_thread.next->previous = rf_current_thread.previous;
  }
  rf_dead_stacks_note(rf_current_thread.id);
  rf_futex_unlock(&threads.lock);
}

/* If the stacks of ended threads cannot be told apart (dead_stacks.h), they are at least cleared. The C library
 * gives the lower pages back itself, all but 16 KiB; these are cleared here, from the top down, by the kernel, which
 * stops where the stack ends without harm. A call would have its frames there: the loader's alone have a kilobyte where
 * a library of LD_AUDIT sees it return. */
#define STALE_PAGES 5
#define FRAME_MARGIN 512U

__attribute__((noinline)) static void clear_stale_stack(void) {
  static const char zeros[4096];
  struct iovec local[STALE_PAGES];
  struct iovec remote[STALE_PAGES];
  uintptr_t at = ((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)15) - sizeof local - sizeof remote - FRAME_MARGIN;
  for (unsigned i = 0; i < STALE_PAGES; i++) {
    at -= sizeof zeros;
    local[i] = (struct iovec){(void *)(uintptr_t)zeros, sizeof zeros};
    remote[i] = (struct iovec){(void *)at, sizeof zeros};
  }
  (void)rf_raw_syscall(SYS_process_vm_writev,
                       (const long[6]){getpid(), (long)local, STALE_PAGES, (long)remote, STALE_PAGES, 0});
}

static void ended(void *self) {
  (void)self;
  if (rf_current_thread.ended) {
    return;
  }
  rf_current_thread.ended = true;
  rf_current_thread.on_end();
  unlink_self();
  if (!rf_is_forbidden(RF_CALL_OTHERS | RF_CALL_GETPID)) {
    clear_stale_stack();
  }
}

void rf_thread_init(void) {
  /* Keys that are made this early are among those that the C library stores without allocating. */
  threads.has_key = pthread_key_create(&threads.key, ended) == 0;
}

#define MADE_UP ((uint32_t)1 << 31) /* no number of the system's is as high */

uint32_t rf_thread_id(void) {
  static uint32_t count;
  if (rf_is_forbidden(RF_CALL_GETTID) && rf_port_known_id == 0) {
    rf_port_known_id = MADE_UP + __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
  }
  return rf_port_thread_id();
}

void rf_thread_begin(void (*on_end)(void)) {
  if (rf_current_thread.id != 0 || !threads.has_key) {
    return;
  }
  rf_current_thread.id = rf_thread_id();
  rf_current_thread.on_end = on_end;
  rf_memory_tags_join();
  rf_signals_begin_thread();
  if (pthread_setspecific(threads.key, &rf_current_thread) != 0) {
    return; /* its end would not be noticed, so it is not linked either */
  }
  rf_current_thread.linked = true;
  link_self();
}

const rf_thread *rf_thread_find(uint32_t id) {
  const rf_thread *t = threads.first;
  while (t != NULL && t->id != id) {
    t = t->next;
  }
  return t;
}

bool rf_thread_lock(unsigned ms) {
  return rf_futex_lock_within(&threads.lock, ms);
}

void rf_thread_unlock(void) {
  rf_futex_unlock(&threads.lock);
}

void rf_thread_fork_child(void) {
  bool const linked = rf_current_thread.linked && !rf_current_thread.ended;
  if (linked) {
    rf_current_thread.id = rf_port_thread_id();
    rf_current_thread.previous = NULL;
    rf_current_thread.next = NULL;
  }
  threads.first = linked ? &rf_current_thread : NULL;
  threads.lock.state = 0;
}
