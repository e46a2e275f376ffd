/* The threads that use the drop-in: who they are, where their stacks lie, and their end. */
#ifndef RINGFENCE_DROPIN_THREAD_H
#define RINGFENCE_DROPIN_THREAD_H

#include "arena.h"

/* Once per process, before the first thread begins. */
void rf_thread_init(void);

/* The calling thread was bound to an arena: links it, and sees to it that its end is noticed. */
void rf_thread_begin(void);

/* The linked thread `id`, in its own storage; NULL where there is none. Only with the list locked. */
const rf_thread *rf_thread_find(uint32_t id);

/* Locks the list within `ms` milliseconds. */
bool rf_thread_lock(unsigned ms);
void rf_thread_unlock(void);

/* In the child of a fork, with the list locked: it is the only one, and the list is unlocked. */
void rf_thread_fork_child(void);

#endif /* RINGFENCE_DROPIN_THREAD_H */
