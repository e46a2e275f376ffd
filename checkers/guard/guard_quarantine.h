/* The quarantine of rf_guard: freed blocks wait in queues, first in, first out, one queue for each capacity.
 *
 *     queue   | ripe ripe ripe | young, of three ages ago … | of the last one | of this one |
 *             oldest, leaves first                                                          newest
 *
 * Blocks of one queue are alike, so one that is ripe serves a request of its size once it was checked, and the inner
 * allocator is asked for nothing. Time is counted in bytes freed: an age is an eighth of the quarantine's size, up to
 * 128 KiB or a thirty-second part of it, and a block is ripe when the fourth age after its own has begun. So a block is
 * kept back while at least three ages' bytes are freed, and until a request comes for it. If more is held than the
 * quarantine's size, the oldest was freed before all that, and is ripe: it goes back to the inner allocator.
 *
 * Ripe blocks wait on, so that most requests find one: a program that frees much at once asks for as much again. It
 * keeps no more memory than the quarantine's size.
 *
 * Queues are linked from header to header. Only what is told by an intact header is followed. Internal to guard*.c. */
#ifndef RINGFENCE_GUARD_QUARANTINE_H
#define RINGFENCE_GUARD_QUARANTINE_H

#include "guard_redzone.h"

/* Longer than this blocks wait only where the quarantine is eight times as large: they had better be in a cache when
 * they serve again. */
#define GUARD_WAIT ((size_t)512 * 1024)

/* The queue of blocks that serve no request: large ones, and those aligned to more than the default. */
#define GUARD_OTHERS (RF_GUARD_QUEUES - 1U)

/* The queue whose blocks have room for `size` bytes and the smallest back redzone, and little more; GUARD_OTHERS where
 * there is none. */
RF_INLINE size_t queue_for(const rf_guard *guard, size_t size) {
  size_t const number = (size + (RF_GUARD_STEP - 1) - guard->remainder) / RF_GUARD_STEP;
  return number + 1 < RF_GUARD_QUEUES ? number : GUARD_OTHERS;
}

/* The queue for a block with `room` bytes of payload and back redzone. */
RF_INLINE size_t queue_of(const rf_guard *guard, size_t room, size_t prefix) {
  size_t const number = (room - RF_GUARD_BACK_MIN - guard->remainder) / RF_GUARD_STEP;
  return RF_LIKELY(number + 1 < RF_GUARD_QUEUES) && RF_LIKELY(prefix == RF_GUARD_PREFIX) ? number : GUARD_OTHERS;
}

/* Adds `h`, a freed block of `total` bytes whose checksum is made for no next one. */
RF_INLINE void quarantine_put(rf_guard *guard, rf_guard_header *h, size_t prefix, size_t total) {
  rf_guard_queue *const q = &guard->queues[queue_of(guard, total - prefix, prefix)];
  rf_guard_header *const newest = q->newest;
  if (RF_LIKELY(newest != NULL)) {
    if (RF_LIKELY(newest->next == NULL)) { /* else it was overwritten, and the checksum must stay wrong */
      newest->checksum += checksum_next((uintptr_t)h) - checksum_next(0);
    }
    newest->next = h;
  } else {
    q->oldest = h;
  }
  q->newest = h;
  q->young[guard->age]++;
  guard->quarantined += total;
  if (RF_UNLIKELY(total >= guard->age_left)) {
    rf_guard_begin_age(guard, total);
  } else {
    guard->age_left -= total;
  }
}

/* Counts the oldest of `q`, which is not empty, out. */
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

/* Takes the oldest of `q`, its header intact, out. */
RF_INLINE void quarantine_take(rf_guard *guard, rf_guard_queue *q) {
  rf_guard_header *const h = q->oldest;
  rf_guard_header *const next = h->next;
  q->oldest = next;
  if (RF_LIKELY(next != NULL)) {
    __builtin_prefetch(next, 1);
    __builtin_prefetch((const char *)next + RF_CACHE_LINE, 1);
    __builtin_prefetch((const char *)next + 2 * RF_CACHE_LINE, 1);
  } else {
    q->newest = NULL;
  }
  guard->quarantined -= total_of(h);
}

/* Takes the oldest block of `q`, which is not empty, out of the quarantine and checks it. NULL where its header was
 * overwritten: then everything that is damaged was reported. */
RF_INLINE rf_guard_header *take_oldest(rf_guard *guard, rf_guard_queue *q, const rf_origin *origin,
                                       guard_checksum *parts) {
  rf_guard_header *const h = q->oldest;
  *parts = checksum_parts(guard, h, h);
  if (RF_UNLIKELY(h->checksum != checksum_of(*parts) || state_of(h) != STATE_FREED)) {
    (void)rf_guard_repair(guard, origin);
    return NULL;
  }
  quarantine_count_out(guard, q);
  quarantine_take(guard, q);
  if (RF_UNLIKELY(!freed_intact(guard, h))) {
    (void)rf_guard_report_damage(guard, h, origin);
  }
  return h;
}

#endif /* RINGFENCE_GUARD_QUARANTINE_H */
