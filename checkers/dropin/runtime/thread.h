/* The threads that use the drop-in: their caches, their stacks, and their end. */
#ifndef RINGFENCE_DROPIN_THREAD_H
#define RINGFENCE_DROPIN_THREAD_H

#include "checkers/dropin/os/futex.h"

#include "lib/core/compiler.h"

struct rf_cache;

/* A thread of the program. Lives in the thread's own storage, to which nothing else may lead: not every thread's end is
 * told. One whose first request comes behind its destructors, as from a signal handler, just goes, with its storage. */
typedef struct rf_thread {
  struct rf_cache *cache; /* its own; NULL: not yet, or no more */
  bool binding;           /* it is about to get a cache, */
  bool stopping;          /* to stop all others, or to let them go */
  bool ended;             /* its cache was left to others */
  bool unchecked;         /* mode mte: it went on after a finding, and its next request ends that */
  uint32_t id;            /* the kernel's number */
  void (*on_end)(void);
} rf_thread;

extern RF_THREAD_LOCAL rf_thread rf_current_thread __attribute__((visibility("hidden")));

/* Once per process, before the first thread begins. */
void rf_thread_init(void);

/* The calling thread's number; where a sandbox forbids to ask the system, one that is made up. Any thread. */
uint32_t rf_thread_id(void);

/* The calling thread has a cache. Has `on_end` called, by the thread itself, when its destructors are. */
void rf_thread_begin(void (*on_end)(void));

/* True for a handler of a signal that interrupted its own thread while that noted its end. */
bool rf_thread_notes_end(void);

/* No thread notes its end from here on, within `ms` milliseconds, until the lock is let go of. False, too, where this
 * one does. */
bool rf_thread_lock(unsigned ms);
void rf_thread_unlock(void);

/* In the child of a fork: it has a number of its own, and the lock is free, whoever had it. */
void rf_thread_fork_child(void);

#endif /* RINGFENCE_DROPIN_THREAD_H */
