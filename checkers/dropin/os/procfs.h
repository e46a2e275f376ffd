/* The threads and descriptors of the process, read from /proc/self without allocating and without stdio. */
#ifndef RINGFENCE_DROPIN_PROCFS_H
#define RINGFENCE_DROPIN_PROCFS_H

#include <stdbool.h>
#include <stdint.h>

/* Calls `visit` with the id of each thread; false where they cannot be read. */
bool rf_procfs_each_thread(void (*visit)(uint32_t id, void *context), void *context);

/* Calls `visit` with the number of each descriptor, the one of this very list among them; false where they cannot be
 * read. */
bool rf_procfs_each_descriptor(void (*visit)(uint32_t descriptor, void *context), void *context);

/* True where the thread has ended, though it may still be listed. */
bool rf_procfs_is_dead(uint32_t id);

#endif /* RINGFENCE_DROPIN_PROCFS_H */
