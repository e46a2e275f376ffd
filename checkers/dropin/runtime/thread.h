/* The threads that use the drop-in: their caches, their stacks, and their end. */
#ifndef RINGFENCE_DROPIN_THREAD_H
#define RINGFENCE_DROPIN_THREAD_H

#include "checkers/dropin/os/futex.h"

#include "lib/core/compiler.h"

struct rf_cache;

/* A thread of the program. Lives in the thread's own storage; linked while the thread runs. */
typedef struct rf_thread {
  struct rf_cache *cache; /* its own; NULL: not yet, or no more */
  bool binding;           /* it is about to get a cache, */
  bool stopping;          /* to stop all others, or to let them go */
  bool linked;            /* in the list of threads, or was */
  bool ended;             /* its cache was left to others */
  bool unchecked;         /* mode mte: it went on after a finding, and its next request ends that */
  uint32_t id;            /* the kernel's number */
  void (*on_end)(void);
  struct rf_thread *previous;
  struct rf_thread *next;
} rf_thread;

extern RF_THREAD_LOCAL rf_thread rf_current_thread __attribute__((visibility("hidden")));

/* Once per process, before the first thread begins. */
void rf_thread_init(void);

/* The calling thread's number; where a sandbox forbids to ask the system, one that is made up. Any thread. */
uint32_t rf_thread_id(void);

/* The calling thread has a cache: links it. Has `on_end` called, by the thread itself, when it ends. */
void rf_thread_begin(void (*on_end)(void));

/* The linked thread `id`, in its own storage; NULL where there is none. Only with the list locked. */
const rf_thread *rf_thread_find(uint32_t id);

/* Locks the list within `ms` milliseconds. */
bool rf_thread_lock(unsigned ms);
void rf_thread_unlock(void);

/* In the child of a fork, with the list locked: it is the only one, and the list is unlocked. */
void rf_thread_fork_child(void);

#endif /* RINGFENCE_DROPIN_THREAD_H */
