/* rf_guard: blocks leave the quarantine for the inner allocator. */
#include "guard_quarantine.h"

#include "guard_inner.h"

/* Bytes freed in one age: four of them are the wait, which is half of a small quarantine and an eighth of a large
 * one. */
static size_t quarantine_age_length(const rf_guard *guard) {
  size_t const all = guard->options.quarantine;
  size_t const half = all / 2 < GUARD_WAIT ? all / 2 : GUARD_WAIT;
  return (half > all / 8 ? half : all / 8) / RF_GUARD_AGES;
}

/* The age ends with the free of `total` bytes, and perhaps more than one: what was freed in the age that comes round
 * again has waited long enough. */
void rf_guard_begin_age(rf_guard *guard, size_t total) {
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

RF_INLINE void retire(rf_guard *guard, rf_guard_header *h, guard_checksum parts, const rf_origin *origin) {
  unsigned char *const block = block_of(h);
  size_t const total = total_of(h);
  rf_inner_call call;
  uint8_t const kind = (uint8_t)(h->kind | STATE_RETIRED);
  parts.next = checksum_next(0);
  parts.body ^= traits_part(0, 0, h->kind ^ kind);
  h->kind = kind;
  h->next = NULL;
#if RF_GUARD_THREADS
  parts.body ^= threads_of(h) ^ threads_part(0, 0);
  h->allocated_by = 0;
  h->released_by = 0;
#else
  parts.body ^= rotate(h->size, 29);
  h->size = 0;
#endif
  h->checksum = checksum_of(parts);
  if (RF_UNLIKELY(guard->inner_damaged)) {
    return; /* its bookkeeping would lead it anywhere */
  }
  track_returned(guard, payload_of(h), block, total);
  forget_pages(guard);
  rf_inner_call_begin(&call);
  (void)guard->inner->ops->free(guard->inner, block, origin->site);
  call_end(guard, &call, origin);
}

void rf_guard_retire(rf_guard *guard, rf_guard_header *h, guard_checksum parts, const rf_origin *origin) {
  retire(guard, h, parts, origin);
}

/* The queue from which a block is to leave: one with a ripe block, else one with the oldest there are. NULL: all are
 * empty. */
RF_RARE static rf_guard_queue *next_to_leave(rf_guard *guard) {
  for (unsigned age = 0; age <= RF_GUARD_AGES; age++) {
    for (unsigned i = 0; i < RF_GUARD_QUEUES; i++) {
      rf_guard_queue *const q = &guard->queues[(guard->leaving + i) % RF_GUARD_QUEUES];
      if (q->oldest != NULL && (age == 0 ? q->ripe : q->young[(guard->age + age) % RF_GUARD_AGES]) != 0) {
        guard->leaving = (guard->leaving + i) % RF_GUARD_QUEUES;
        return q;
      }
    }
  }
  return NULL;
}

/* An inner allocator that is damaged gets nothing back: blocks stay in the quarantine until it is whole again, unless
 * all are to go. */
void rf_guard_flush_from(rf_guard *guard, size_t keep, const rf_origin *origin) {
  while (guard->quarantined > keep && (keep == 0 || !guard->inner_damaged)) {
    rf_guard_queue *q = &guard->queues[guard->leaving];
    guard_checksum parts;
    if (q->ripe == 0) {
      q = next_to_leave(guard);
      if (q == NULL) {
        return;
      }
    }
    rf_guard_header *const h = take_oldest(guard, q, origin, &parts);
    if (h != NULL) {
      retire(guard, h, parts, origin);
    }
  }
}

void rf_guard_flush(rf_guard *guard, size_t keep) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  rf_track_enter();
  rf_guard_flush_from(guard, keep, &origin);
  rf_track_leave();
}
