/* What /proc/self tells, read without allocating and without stdio. */
#ifndef RINGFENCE_DROPIN_PROCFS_H
#define RINGFENCE_DROPIN_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rf_mapping {
  uintptr_t start;
  uintptr_t end;
  bool readable;
  bool writable;
  bool executable;
  bool shared;
  const char *path; /* "" where there is none; valid during the call */
} rf_mapping;

/* Calls `visit` for each mapping of the process in address order; false where they cannot be read. */
bool rf_procfs_each_mapping(void (*visit)(const rf_mapping *mapping, void *context), void *context);

/* Calls `visit` with the id of each thread; false where they cannot be read. */
bool rf_procfs_each_thread(void (*visit)(uint32_t id, void *context), void *context);

/* True where the thread has ended, though it may still be listed. */
bool rf_procfs_is_dead(uint32_t id);

#endif /* RINGFENCE_DROPIN_PROCFS_H */
