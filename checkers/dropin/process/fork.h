/* Forks of the process: no lock is held by a thread that the child does not have. */
#ifndef RINGFENCE_DROPIN_FORK_H
#define RINGFENCE_DROPIN_FORK_H

#include <stdbool.h>

/* Registers the handlers of fork. */
void rf_fork_init(void);

/* `function` is called in each child, which has this thread alone: for the one floor above that has locks. */
void rf_fork_child_also(void (*function)(void));

/* Before a fork of which the C library tells nobody, and after it in the parent, or in the child. Where the first
 * answers false, the others are not to be called: the handlers of a fork that it is part of are under way, or are not
 * registered yet. errno stays. The child has its parent's storage of threads. */
bool rf_fork_unnoticed_prepare(void);
void rf_fork_unnoticed_parent(void);
void rf_fork_unnoticed_child(void);

#endif /* RINGFENCE_DROPIN_FORK_H */
