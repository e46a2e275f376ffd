/* The quarantine of rf_guard: freed blocks wait in queues, first in, first out, one queue for each capacity.
 *
 *     queue   | ripe ripe ripe | young, of three ages ago … | of the last one | of this one |
 *             oldest, leaves first                                                          newest
 *
 * Blocks of one queue are alike, so one that is ripe serves a request of its size once it was checked, and the inner
 * allocator is asked for nothing. Time is counted in bytes freed: an age is an eighth of the quarantine's size, up to
 * 128 KiB or a thirty-second part of it, and a block is ripe when the fourth age after its own has begun. So a block is
 * kept back while at least three ages' bytes are freed, and until a request comes for it. Where more is held than the
 * quarantine's size, the oldest was freed before all that, and is ripe: it goes back to the inner allocator.
 *
 * That blocks wait on when they are ripe is what makes most requests find one: a program that frees much at once asks for as
 * much again. It keeps no more memory than the quarantine's size.
 *
 * Queues are linked from header to header. Only what is told by an intact header is followed. Internal to guard*.c. */
#ifndef RINGFENCE_GUARD_QUARANTINE_H
#define RINGFENCE_GUARD_QUARANTINE_H

#include "guard_impl.h"

/* Longer than this blocks wait only where the quarantine is eight times as large: they had better be in a cache when they
 * serve again. */
#define GUARD_WAIT ((size_t)512 * 1024)

/* The queue of what no request is served from: blocks that are large or aligned to more than the default. */
#define GUARD_OTHERS (RF_GUARD_QUEUES - 1U)

/* The queue whose blocks have room for `size` bytes and the least of guards behind, and little more; GUARD_OTHERS where
 * there is none. */
RF_INLINE size_t queue_for(const rf_guard *guard, size_t size) {
  size_t const number = (size + (RF_GUARD_STEP - 1) - guard->odd) / RF_GUARD_STEP;
  return number + 1 < RF_GUARD_QUEUES ? number : GUARD_OTHERS;
}

/* The queue in which a block waits, by the bytes of its payload and the guard behind and by its prefix. */
RF_INLINE size_t queue_of(const rf_guard *guard, size_t room, size_t prefix) {
  size_t const number = (room - RF_GUARD_BACK_MIN - guard->odd) / RF_GUARD_STEP;
  return RF_LIKELY(number + 1 < RF_GUARD_QUEUES) && RF_LIKELY(prefix == RF_GUARD_PREFIX) ? number : GUARD_OTHERS;
}

/* Bytes freed in one age: four of them are the wait, which is half of a small quarantine and an eighth of a large one. */
static size_t quarantine_age_length(const rf_guard *guard) {
  size_t const all = guard->options.quarantine;
  size_t const half = all / 2 < GUARD_WAIT ? all / 2 : GUARD_WAIT;
  return (half > all / 8 ? half : all / 8) / RF_GUARD_AGES;
}

/* The age ends with the free of `total` bytes, and perhaps more than one: what was freed in the age that comes round again has
 * waited long enough. */
RF_RARE static void quarantine_age(rf_guard *guard, size_t total) {
  size_t const length = quarantine_age_length(guard);
  while (total >= guard->age_left) {
    total -= guard->age_left;
    guard->age_left = length;
    guard->age = (guard->age + 1) % RF_GUARD_AGES;
    for (size_t i = 0; i < RF_GUARD_QUEUES; i++) {
      rf_guard_queue *const q = &guard->queues[i];
      q->ripe += q->young[guard->age];
      q->young[guard->age] = 0;
    }
  }
  guard->age_left -= total;
}

/* `h`, a freed block of `total` bytes, its magic made for no next one, waits. */
RF_INLINE void quarantine_put(rf_guard *guard, rf_guard_header *h, size_t prefix, size_t total) {
  rf_guard_queue *const q = &guard->queues[queue_of(guard, total - prefix, prefix)];
  rf_guard_header *const newest = q->newest;
  if (RF_LIKELY(newest != NULL)) {
    if (RF_LIKELY(newest->next == NULL)) { /* else it was overwritten, and the magic is to go on saying so */
      newest->magic += next_part((uintptr_t)h) - next_part(0);
    }
    newest->next = h;
  } else {
    q->oldest = h;
  }
  q->newest = h;
  q->young[guard->age]++;
  guard->quarantined += total;
  if (RF_UNLIKELY(total >= guard->age_left)) {
    quarantine_age(guard, total);
  } else {
    guard->age_left -= total;
  }
}

/* Of a queue that is not empty, the oldest is about to go. */
RF_INLINE void quarantine_count_out(rf_guard *guard, rf_guard_queue *q) {
  if (RF_LIKELY(q->ripe != 0)) {
    q->ripe--;
    return;
  }
  for (unsigned i = 1; i <= RF_GUARD_AGES; i++) {
    uint32_t *const young = &q->young[(guard->age + i) % RF_GUARD_AGES];
    if (*young != 0) {
      --*young;
      return;
    }
  }
}

/* Takes the oldest of `q`, its header found intact, out. */
RF_INLINE void quarantine_take(rf_guard *guard, rf_guard_queue *q) {
  rf_guard_header *const h = q->oldest;
  rf_guard_header *const next = h->next;
  q->oldest = next;
  if (RF_LIKELY(next != NULL)) {
    __builtin_prefetch(next, 1);
    __builtin_prefetch((const char *)next + EXPECTED_LINE, 1);
    __builtin_prefetch((const char *)next + 2 * EXPECTED_LINE, 1);
  } else {
    q->newest = NULL;
  }
  guard->quarantined -= total_of(h);
}

#endif /* RINGFENCE_GUARD_QUARANTINE_H */
