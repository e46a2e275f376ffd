/* Forks of the process: no lock is held by a thread that the child does not have. */
#ifndef RINGFENCE_DROPIN_FORK_H
#define RINGFENCE_DROPIN_FORK_H

/* Registers the handlers of fork. */
void rf_fork_init(void);

#endif /* RINGFENCE_DROPIN_FORK_H */
