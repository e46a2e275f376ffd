/* rf_guard: finding damage, telling what happened, and putting right what the checks themselves rely on. */
#include "guard_impl.h"

/* ---- One block ---- */

static bool damaged(const unsigned char *p, size_t size, unsigned char byte, guard_damage *out) {
  size_t first;
  if (rf_filled(p, size, byte)) {
    return false;
  }
  out->size = rf_disturbed(p, size, byte, &first);
  out->at = p + first;
  return true;
}

bool rf_guard_inspect(const rf_guard *guard, const rf_guard_header *h, guard_damage *out) {
  bool const freed = state_of(h) == STATE_FREED;
  if (freed && damaged(payload_of(h), fill_of(guard, h), RF_FILL_FREE, out)) {
    out->bug = RF_BUG_USE_AFTER_FREE;
    out->detail = "the fill of a freed block was overwritten";
    return true;
  }
  if (damaged(front_of(h), RF_GUARD_FRONT, RF_FILL_GUARD, out)) {
    out->bug = RF_BUG_BUFFER_UNDERFLOW;
    out->detail = "guard bytes before the block were overwritten";
    return true;
  }
  if (damaged(payload_of(h) + h->size, h->back, RF_FILL_GUARD, out)) {
    out->bug = RF_BUG_BUFFER_OVERFLOW;
    out->detail = "guard bytes after the block were overwritten";
    return true;
  }
  return false;
}

static void repair(const guard_damage *damage) {
  bool const fill = damage->bug == RF_BUG_USE_AFTER_FREE;
  rf_track_fill((unsigned char *)(uintptr_t)damage->at, fill ? RF_FILL_FREE : RF_FILL_GUARD, damage->size);
}

/* ---- Every block ---- */

static bool is_sentinel(const rf_guard *guard, const rf_guard_header *h) {
  return h == &guard->live;
}

static bool sound(const rf_guard *guard, const rf_guard_header *h, guard_state state) {
  return intact(guard, h) && state_of(h) == state;
}

/* The same for an address of which nothing is known. */
static bool credible(const rf_guard *guard, const rf_guard_header *h, guard_state state) {
  const void *const ptr = (const void *)((uintptr_t)h + RF_GUARD_PREFIX);
  return rf_is_aligned(ptr, GUARD_ALIGN) && rf_guard_reachable(guard, ptr) && sound(guard, h, state);
}

/* Where the ring goes on after a damaged header: where its own link still agrees with the other side; else the block whose
 * way back leads to it; else the nearest damaged one that can be reached from the far end. */
static rf_guard_header *beyond(const rf_guard *guard, const rf_guard_header *h) {
  rf_guard_header *const sentinel = (rf_guard_header *)(uintptr_t)&guard->live;
  rf_guard_header *after = sentinel;
  if (!is_sentinel(guard, h->next) && credible(guard, h->next, STATE_LIVE) && h->next->u.prev == h) {
    return h->next;
  }
  for (rf_guard_header *n = guard->live.u.prev; n != h; n = n->u.prev) {
    if (is_sentinel(guard, n)) {
      return sentinel; /* `h` is no longer in the ring */
    }
    after = n;
    if (!sound(guard, n, STATE_LIVE)) {
      break;
    }
  }
  return after;
}

static rf_guard_header *successor(const rf_guard *guard, const rf_guard_header *h) {
  return sound(guard, h, STATE_LIVE) ? h->next : beyond(guard, h);
}

/* The same in quarantine, where links lead one way only: what follows a damaged link is lost. */
static rf_guard_header *successor_freed(const rf_guard *guard, const rf_guard_header *h) {
  if (sound(guard, h, STATE_FREED)) {
    return h->next;
  }
  return credible(guard, h->next, STATE_FREED) ? h->next : NULL;
}

static void look_at(const rf_guard *guard, guard_cursor *at, rf_guard_header *h) {
  if (!at->freed && is_sentinel(guard, h)) {
    at->freed = true;
    h = guard->queues[0].oldest;
  }
  while (at->freed && h == NULL && at->queue != RF_GUARD_QUEUES - 1) {
    h = guard->queues[++at->queue].oldest;
  }
  at->h = h;
  at->intact = h != NULL && sound(guard, h, at->freed ? STATE_FREED : STATE_LIVE);
}

guard_cursor rf_guard_first(const rf_guard *guard) {
  guard_cursor at = {NULL, false, false, 0};
  look_at(guard, &at, guard->live.next);
  return at;
}

void rf_guard_next(const rf_guard *guard, guard_cursor *at) {
  look_at(guard, at, at->freed ? successor_freed(guard, at->h) : successor(guard, at->h));
}

/* The intact block that ends nearest before `address`; NULL where there is none. */
static rf_guard_header *block_before(const rf_guard *guard, const void *address) {
  rf_guard_header *best = NULL;
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    if (at.intact && (uintptr_t)end_of(at.h) <= (uintptr_t)address && (best == NULL || best < at.h)) {
      best = at.h;
    }
  }
  return best;
}

/* The nearest known block of any condition whose header is at or after `address`. */
static guard_cursor block_after(const rf_guard *guard, const void *address) {
  guard_cursor best = {NULL, false, false, 0};
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    if ((uintptr_t)at.h >= (uintptr_t)address && (best.h == NULL || at.h < best.h)) {
      best = at;
    }
  }
  return best;
}

/* ---- Condemning ---- */

/* Makes a valid header again of one that was damaged and explained: it says that the block must not be used. The memory
 * stays with the inner allocator, since where its block starts is no longer known. */
static void condemn(rf_guard *guard, rf_guard_header *h, bool freed) {
  guard->condemned += freed ? 0 : 1;
  rf_track_fill(h, 0, sizeof *h);
  h->kind = make_kind(STATE_CONDEMNED, RF_FAMILY_MALLOC, ORIGIN_SITE, ORIGIN_SITE);
  seal(guard, h);
}

static bool is_condemned(const rf_guard *guard, const rf_guard_header *h) {
  return sound(guard, h, STATE_CONDEMNED);
}

/* How far from the end of a block's guard the header of the next one may be for one overflow to have reached it: what an
 * inner allocator puts between two blocks. */
#define REACH 128

/* Condemns the blocks whose headers an overflow that ran on beyond `end` has overwritten. True where there are any. */
static bool condemn_overrun(rf_guard *guard, const unsigned char *end) {
  guard_cursor hit = block_after(guard, end);
  if (hit.h == NULL || (uintptr_t)hit.h - (uintptr_t)end > REACH) {
    return false;
  }
  bool any = false;
  while (hit.h != NULL && !hit.intact) {
    if (!is_condemned(guard, hit.h)) {
      condemn(guard, hit.h, hit.freed);
      any = true;
    }
    hit = block_after(guard, payload_of(hit.h));
  }
  return any;
}

bool rf_guard_has_lost(const rf_guard *guard) {
  size_t known = guard->condemned;
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL && !at.freed; rf_guard_next(guard, &at)) {
    known++;
  }
  return known < guard->counters.blocks;
}

/* ---- The inner allocator ---- */

/* True where its own check fails. Then *where says why. */
static bool inner_is_damaged(rf_guard *guard, rf_fault *where) {
  guard->inner_damaged = rf_check(guard->inner, where) != RF_OK;
  if (!guard->inner_damaged) {
    guard->inner_explained = false;
  }
  return guard->inner_damaged;
}

/* After bytes beyond a block's own were overwritten: the finding that says so explains what the inner allocator suffered. */
static bool inner_was_hit(rf_guard *guard) {
  rf_fault where;
  bool const hit = !guard->inner_damaged && inner_is_damaged(guard, &where);
  guard->inner_explained = guard->inner_explained || hit;
  return hit;
}

/* ---- Reporting ---- */

static bool reaches_end(const guard_damage *damage, const rf_guard_header *h) {
  return damage->bug == RF_BUG_BUFFER_OVERFLOW && damage->at + damage->size == end_of(h);
}

static void report_stretch(rf_guard *guard, const rf_guard_header *h, const guard_damage *damage,
                           const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, damage->bug, RF_ACCESS_WRITE, damage->at, origin);
  rf_guard_finding_block(guard, &f, h);
  rf_guard_finding_window(guard, &f, h, damage->at);
  f.access_size = damage->size;
  f.detail = damage->detail;
  repair(damage);
  rf_report(guard->options.reporter, &f);
}

static bool ran_on(rf_guard *guard, const unsigned char *end) {
  bool const header_hit = condemn_overrun(guard, end);
  return inner_was_hit(guard) || header_hit;
}

size_t rf_guard_report_damage(rf_guard *guard, rf_guard_header *h, const rf_origin *origin) {
  guard_damage damage;
  size_t count = 0;
  while (rf_guard_inspect(guard, h, &damage)) {
    if (reaches_end(&damage, h) && ran_on(guard, end_of(h))) {
      damage.detail = "the metadata of the next block was overwritten too";
    }
    report_stretch(guard, h, &damage, origin);
    count++;
  }
  return count;
}

/* Back guard bytes, perhaps, at a place that a damaged header points to. */
RF_PEEKS static bool looks_like_guard(const unsigned char *p) {
  for (size_t i = 0; i < RF_GUARD_BACK_MIN; i++) {
    if (p[i] != RF_FILL_GUARD) {
      return false;
    }
  }
  return true;
}

/* The size in a damaged header, where guard bytes at the place to which it points bear it out; else 0. */
static size_t size_borne_out(const rf_guard *guard, const rf_guard_header *h) {
  if (h->size > RF_SIZE_LIMIT / 2) {
    return 0;
  }
  const void *const back = (const void *)((uintptr_t)payload_of(h) + h->size);
  bool const borne_out =
      rf_guard_has_memory(guard, back, RF_GUARD_BACK_MIN) && looks_like_guard((const unsigned char *)back);
  return borne_out ? h->size : 0;
}

/* The stack in a damaged header, where the depot did hand out its number. */
static void allocation_borne_out(const rf_guard *guard, const rf_guard_header *h, rf_trace *out) {
  memset(out, 0, sizeof *out);
  if (guard->options.depot != NULL && h->allocated <= UINT32_MAX) {
    rf_guard_trace(guard, ORIGIN_STACK, h->allocated, 0, out);
  }
}

static size_t report_header_itself(rf_guard *guard, rf_guard_header *h, bool freed, const rf_origin *origin) {
  rf_finding f;
  guard_damage front = {RF_BUG_BUFFER_UNDERFLOW, NULL, 0, NULL};
  bool const underflow = damaged(front_of(h), RF_GUARD_FRONT, RF_FILL_GUARD, &front);
  rf_guard_finding(guard, &f, underflow ? RF_BUG_BUFFER_UNDERFLOW : RF_BUG_METADATA, RF_ACCESS_WRITE,
                   underflow ? front.at : (const unsigned char *)h, origin);
  f.block = (uintptr_t)payload_of(h);
  f.size = size_borne_out(guard, h);
  f.offset = (ptrdiff_t)(f.address - f.block);
  allocation_borne_out(guard, h, &f.allocated);
  f.blocks = 1;
  f.freed = freed;
  f.access_size = underflow ? front.size : 0;
  f.detail = underflow ? "the block's metadata were overwritten too" : "the block's metadata were overwritten";
  rf_guard_finding_header(&f, h);
  if (underflow) {
    repair(&front);
  }
  condemn(guard, h, freed);
  (void)inner_was_hit(guard);
  rf_report(guard->options.reporter, &f);
  return 1;
}

/* Says what happened to a header that is no longer intact: an overflow of the block before it where that one's guard is
 * broken up to its end, else an underflow or a stray write. Condemns the block. Returns the number of findings. */
static size_t report_header(rf_guard *guard, rf_guard_header *h, bool freed, const rf_origin *origin) {
  guard_damage damage;
  rf_guard_header *const before = block_before(guard, h);
  if (before != NULL && (uintptr_t)h - (uintptr_t)end_of(before) <= REACH && rf_guard_inspect(guard, before, &damage)) {
    size_t const count = rf_guard_report_damage(guard, before, origin);
    if (is_condemned(guard, h)) {
      return count;
    }
    return count + report_header_itself(guard, h, freed, origin);
  }
  return report_header_itself(guard, h, freed, origin);
}

/* ---- Mending ---- */

static size_t mend_live(rf_guard *guard, const rf_origin *origin) {
  size_t count = 0;
  rf_guard_header *prev = &guard->live;
  rf_guard_header *h = prev->next;
  while (!is_sentinel(guard, h)) {
    if (sound(guard, h, STATE_LIVE)) {
      prev = h;
      h = h->next;
      continue;
    }
    rf_guard_header *const next = beyond(guard, h);
    if (!is_condemned(guard, h)) {
      count += report_header(guard, h, false, origin);
    }
    set_next(prev, next);
    if (is_sentinel(guard, next) || sound(guard, next, STATE_LIVE)) {
      set_prev(next, prev);
    }
    h = next;
  }
  return count;
}

/* What is left of a queue waits as if it were freed now: of what was lost nobody knows the age. */
static size_t mend_queue(rf_guard *guard, rf_guard_queue *q, const rf_origin *origin) {
  size_t count = 0;
  uint32_t left = 0;
  rf_guard_header *last = NULL;
  rf_guard_header *h = q->oldest;
  while (h != NULL) {
    rf_guard_header *const next = successor_freed(guard, h);
    if (sound(guard, h, STATE_FREED)) {
      guard->quarantined += total_of(h);
      left++;
      last = h;
    } else {
      if (!is_condemned(guard, h)) {
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

static size_t mend_freed(rf_guard *guard, const rf_origin *origin) {
  size_t count = 0;
  guard->quarantined = 0;
  for (size_t i = 0; i < RF_GUARD_QUEUES; i++) {
    count += mend_queue(guard, &guard->queues[i], origin);
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

/* The overflows that ran on into headers come first, since each explains all the headers that it went over. */
static size_t report_overruns(rf_guard *guard, const rf_origin *origin) {
  size_t count = 0;
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    guard_damage damage;
    if (at.intact && rf_guard_inspect(guard, at.h, &damage) && reaches_end(&damage, at.h)) {
      count += rf_guard_report_damage(guard, at.h, origin);
    }
  }
  return count;
}

size_t rf_guard_mend(rf_guard *guard, const rf_origin *origin) {
  size_t count = any_damaged(guard) ? report_overruns(guard, origin) : 0;
  count += mend_live(guard, origin);
  return count + mend_freed(guard, origin);
}

bool rf_guard_inner_is_explained(rf_guard *guard, const rf_origin *origin) {
  rf_fault where;
  if (!guard->inner_explained) {
    (void)report_overruns(guard, origin);
  }
  bool const known = guard->inner_explained;
  guard->inner_explained = known || inner_is_damaged(guard, &where);
  return known;
}

#define NEAR 256U /* bytes from a block's end, where what is damaged was probably written past that end */

void rf_guard_name_before(const rf_guard *guard, rf_finding *f) {
  const rf_guard_header *nearest = NULL;
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    uintptr_t const end = at.intact ? (uintptr_t)payload_of(at.h) + at.h->size : UINTPTR_MAX;
    bool const before = end <= f->address && f->address - end < NEAR;
    nearest = before && (nearest == NULL || at.h > nearest) ? at.h : nearest;
  }
  if (nearest != NULL) {
    rf_guard_finding_block(guard, f, nearest);
  }
}

/* ---- Sweep ---- */

static size_t sweep_inner(rf_guard *guard, const rf_origin *origin) {
  rf_fault where = {RF_OK, NULL, NULL, NULL, NULL};
  if (!inner_is_damaged(guard, &where) || guard->inner_explained) {
    return 0;
  }
  guard->inner_explained = true;
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_METADATA, RF_ACCESS_WRITE, where.ptr, origin);
  rf_guard_name_before(guard, &f);
  f.detail = where.what != NULL ? where.what : "the allocator's own data contradict themselves";
  rf_report(guard->options.reporter, &f);
  return 1;
}

size_t rf_guard_sweep_from(rf_guard *guard, const rf_origin *origin) {
  static const rf_origin nobody;
  origin = origin != NULL ? origin : &nobody;
  size_t count = rf_guard_mend(guard, origin);
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    count += rf_guard_report_damage(guard, at.h, origin);
  }
  return count + sweep_inner(guard, origin);
}
