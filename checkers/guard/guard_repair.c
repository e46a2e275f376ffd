/* rf_guard: damaged headers. Each is explained, reported, and taken out of the ring or the quarantine. */
#include "guard_impl.h"

static bool is_abandoned(const rf_guard *guard, const rf_guard_header *h) {
  return rf_guard_sound(guard, h, STATE_ABANDONED);
}

/* ---- Fields that a damaged header may still have ---- */

/* Back guard bytes, perhaps, at a place that a damaged header points to. */
RF_NO_SANITIZE static bool looks_like_guard(const unsigned char *p) {
  for (size_t i = 0; i < RF_GUARD_BACK_MIN; i++) {
    if (p[i] != RF_PATTERN_REDZONE) {
      return false;
    }
  }
  return true;
}

/* The size in a damaged header, where guard bytes at the place to which it points bear it out; else 0. */
static size_t plausible_size(const rf_guard *guard, const rf_guard_header *h) {
  if (h->size > RF_SIZE_LIMIT / 2) {
    return 0;
  }
  const void *const back = (const void *)((uintptr_t)payload_of(h) + h->size);
  bool const borne_out =
      rf_guard_has_memory(guard, back, RF_GUARD_BACK_MIN) && looks_like_guard((const unsigned char *)back);
  return borne_out ? h->size : 0;
}

/* The stack in a damaged header, where the depot did hand out its number. */
static void plausible_allocation(const rf_guard *guard, const rf_guard_header *h, rf_trace *out) {
  memset(out, 0, sizeof *out);
  if (guard->options.depot != NULL && h->allocated <= UINT32_MAX) {
    rf_guard_trace(guard, ORIGIN_STACK, h->allocated, 0, out);
  }
}

/* ---- Reporting ---- */

static size_t report_header_itself(rf_guard *guard, rf_guard_header *h, bool freed, const rf_origin *origin) {
  rf_finding f;
  rf_pattern_area const redzone = {front_redzone_of(h), RF_GUARD_FRONT, RF_PATTERN_REDZONE};
  rf_pattern_area front;
  bool const underflow = rf_pattern_damage(&redzone, &front);
  rf_guard_finding(guard, &f, underflow ? RF_BUG_BUFFER_UNDERFLOW : RF_BUG_METADATA, RF_ACCESS_WRITE,
                   underflow ? front.at : (const unsigned char *)h, origin);
  f.block = (uintptr_t)payload_of(h);
  f.size = plausible_size(guard, h);
  f.offset = (ptrdiff_t)(f.address - f.block);
  plausible_allocation(guard, h, &f.allocated);
  f.blocks = 1;
  f.freed = freed;
  f.access_size = underflow ? front.size : 0;
  f.detail = underflow ? "the block's metadata were overwritten too" : "the block's metadata were overwritten";
  rf_guard_finding_header(&f, h);
  if (underflow) {
    rf_track_fill(front.at, front.byte, front.size);
  }
  rf_guard_abandon(guard, h, freed);
  (void)rf_guard_inner_was_hit(guard);
  rf_report(guard->options.reporter, &f);
  return 1;
}

/* Says what happened to a header that is no longer intact: an overflow of the block before it where that one's guard is
 * broken up to its end, else an underflow or a stray write. Condemns the block. Returns the number of findings. */
static size_t report_header(rf_guard *guard, rf_guard_header *h, bool freed, const rf_origin *origin) {
  guard_damage damage;
  rf_guard_header *const before = rf_guard_block_before(guard, h);
  if (before != NULL && (uintptr_t)h - (uintptr_t)end_of(before) <= GUARD_REACH &&
      rf_guard_inspect(guard, before, &damage)) {
    size_t const count = rf_guard_report_damage(guard, before, origin);
    if (is_abandoned(guard, h)) {
      return count;
    }
    return count + report_header_itself(guard, h, freed, origin);
  }
  return report_header_itself(guard, h, freed, origin);
}

/* ---- The ring and the quarantine ---- */

static size_t repair_ring(rf_guard *guard, const rf_origin *origin) {
  size_t count = 0;
  rf_guard_header *prev = &guard->live;
  rf_guard_header *h = prev->next;
  while (h != &guard->live) {
    if (rf_guard_sound(guard, h, STATE_LIVE)) {
      prev = h;
      h = h->next;
      continue;
    }
    rf_guard_header *const next = rf_guard_skip_damaged(guard, h);
    if (!is_abandoned(guard, h)) {
      count += report_header(guard, h, false, origin);
    }
    set_next(prev, next);
    if (next == &guard->live || rf_guard_sound(guard, next, STATE_LIVE)) {
      set_prev(next, prev);
    }
    h = next;
  }
  return count;
}

/* What is left of a queue waits as if it were freed now: of what was lost nobody knows the age. */
static size_t repair_queue(rf_guard *guard, rf_guard_queue *q, const rf_origin *origin) {
  size_t count = 0;
  uint32_t left = 0;
  rf_guard_header *last = NULL;
  rf_guard_header *h = q->oldest;
  while (h != NULL) {
    rf_guard_header *const next = rf_guard_next_freed(guard, h);
    if (rf_guard_sound(guard, h, STATE_FREED)) {
      guard->quarantined += total_of(h);
      left++;
      last = h;
    } else {
      if (!is_abandoned(guard, h)) {
        count += report_header(guard, h, true, origin);
      }
      if (last != NULL) {
        set_next(last, next);
      } else {
        q->oldest = next;
      }
    }
    h = next;
  }
  q->newest = last;
  q->ripe = 0;
  memset(q->young, 0, sizeof q->young);
  q->young[guard->age] = left;
  return count;
}

static size_t repair_quarantine(rf_guard *guard, const rf_origin *origin) {
  size_t count = 0;
  guard->quarantined = 0;
  for (size_t i = 0; i < RF_GUARD_QUEUES; i++) {
    count += repair_queue(guard, &guard->queues[i], origin);
  }
  return count;
}

static bool any_damaged(const rf_guard *guard) {
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    if (!at.intact) {
      return true;
    }
  }
  return false;
}

size_t rf_guard_repair(rf_guard *guard, const rf_origin *origin) {
  size_t count = any_damaged(guard) ? rf_guard_report_overruns(guard, origin) : 0;
  count += repair_ring(guard, origin);
  return count + repair_quarantine(guard, origin);
}
