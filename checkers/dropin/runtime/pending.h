/* Frees that wait for an arena: noted by signal handlers, done by the next thread that enters the arena.
 *
 * Algorithm: places in segments, each as large as all before it, so that there is one as long as there is memory. A
 * place is claimed by a compare-and-swap of its pointer; the blocks themselves are not touched, since a checker
 * verifies their bytes.
 * Complexity: O(1) to note one, amortised; O(places in use) to do all. Segments stay.
 * Threads and interrupts: noting is lock-free and async-signal-safe; taking needs the arena's lock.
 */
#ifndef RINGFENCE_DROPIN_PENDING_H
#define RINGFENCE_DROPIN_PENDING_H

#include <ringfence/block.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_PENDING_FIRST 64U
#define RF_PENDING_SEGMENTS 25U

/* A free that waits. `ptr` is written last; NULL: the place is not in use. */
typedef struct rf_pending_free {
  void *ptr;
  uintptr_t caller;
  size_t size;
  rf_family family;
} rf_pending_free;

/* All zero at first. */
typedef struct rf_pending {
  uint32_t next;     /* the place to look at first; accessed atomically, as is the next */
  uint32_t segments; /* behind the first places */
  rf_pending_free first[RF_PENDING_FIRST];
  rf_pending_free *more[RF_PENDING_SEGMENTS];
} rf_pending;

/* Notes a free; false only where the system has no memory. */
bool rf_pending_put(rf_pending *pending, const rf_pending_free *free);

/* Before the first take of a round. */
void rf_pending_rewind(rf_pending *pending);

/* Takes the first free at or behind place *at, and moves *at behind it; false where there is none. */
bool rf_pending_take(rf_pending *pending, uint32_t *at, rf_pending_free *out);

#endif /* RINGFENCE_DROPIN_PENDING_H */
