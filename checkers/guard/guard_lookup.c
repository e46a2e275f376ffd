/* rf_guard: blocks by address and in order. */
#include "guard_lookup.h"

/* ---- One block ---- */

bool rf_guard_has_memory(const rf_guard *guard, const void *p, size_t size) {
  return has_memory(guard, p, size);
}

bool rf_guard_reachable(const rf_guard *guard, const void *ptr) {
  return reachable(guard, ptr);
}

/* A live block in memory that the inner allocator calls none of its own: it does not know all of it. From here on the
 * system is asked. */
RF_RARE static bool is_live_unknown_to_inner(rf_guard *guard, const void *ptr, guard_checksum *parts) {
  bool const live = RF_GUARD_THREADS && guard->has_owns && (uintptr_t)ptr > RF_GUARD_PREFIX &&
                    rf_host_readable(header_of(ptr), RF_GUARD_PREFIX) && is_header_of_live(guard, ptr, parts);
  guard->has_owns = guard->has_owns && !live;
  return live;
}

bool rf_guard_is_live_on_new_page(rf_guard *guard, const void *ptr, guard_checksum *parts) {
  bool const live =
      reachable(guard, ptr) ? is_header_of_live(guard, ptr, parts) : is_live_unknown_to_inner(guard, ptr, parts);
  if (live) {
    know_page(guard, ptr);
  }
  return live;
}

bool rf_guard_is_live(const rf_guard *guard, const void *ptr) {
  guard_checksum parts;
  return rf_is_aligned(ptr, GUARD_ALIGN) && reachable(guard, ptr) && is_header_of_live(guard, ptr, &parts);
}

/* ---- Every block ---- */

/* rf_guard_sound for any address. */
static bool credible(const rf_guard *guard, const rf_guard_header *h, guard_state state) {
  const void *const ptr = (const void *)((uintptr_t)h + RF_GUARD_PREFIX);
  return rf_is_aligned(ptr, GUARD_ALIGN) && rf_guard_reachable(guard, ptr) && rf_guard_sound(guard, h, state);
}

/* Follows the link of the damaged header where the block there agrees; else finds, from the far end of the ring, the
 * block whose way back leads to it, or the nearest damaged one. */
rf_guard_header *rf_guard_skip_damaged(const rf_guard *guard, const rf_guard_header *h) {
  rf_guard_header *const sentinel = (rf_guard_header *)(uintptr_t)&guard->live;
  rf_guard_header *after = sentinel;
  guard_lap lap = {NULL, 0};
  if (h->next != sentinel && credible(guard, h->next, STATE_LIVE) && h->next->u.prev == h) {
    return h->next;
  }
  for (rf_guard_header *n = guard->live.u.prev; n != h; n = n->u.prev) {
    if (n == sentinel || comes_again(&lap, n)) {
      return sentinel; /* `h` is no longer in the ring */
    }
    after = n;
    if (!rf_guard_sound(guard, n, STATE_LIVE)) {
      break;
    }
  }
  return after;
}

static rf_guard_header *successor(const rf_guard *guard, const rf_guard_header *h) {
  return rf_guard_sound(guard, h, STATE_LIVE) ? h->next : rf_guard_skip_damaged(guard, h);
}

/* Queues have one link only: the blocks behind a damaged link are lost. */
rf_guard_header *rf_guard_next_freed(const rf_guard *guard, const rf_guard_header *h) {
  if (rf_guard_sound(guard, h, STATE_FREED)) {
    return h->next;
  }
  return credible(guard, h->next, STATE_FREED) ? h->next : NULL;
}

/* The oldest block of that queue, with which the walk goes on. */
static rf_guard_header *begin_queue(const rf_guard *guard, guard_cursor *at, unsigned queue) {
  at->freed = true;
  at->queue = queue;
  at->lap = (guard_lap){NULL, 0};
  return guard->queues[queue].oldest;
}

static void set_cursor(const rf_guard *guard, guard_cursor *at, rf_guard_header *h) {
  bool const ended = at->freed ? h == NULL : h == &guard->live;
  if (ended || comes_again(&at->lap, h)) {
    h = at->freed ? NULL : begin_queue(guard, at, 0);
  }
  while (at->freed && h == NULL && at->queue != RF_GUARD_QUEUES - 1) {
    h = begin_queue(guard, at, at->queue + 1);
  }
  at->h = h;
  at->intact = h != NULL && rf_guard_sound(guard, h, at->freed ? STATE_FREED : STATE_LIVE);
}

guard_cursor rf_guard_first(const rf_guard *guard) {
  guard_cursor at = {NULL, false, false, 0, {NULL, 0}};
  set_cursor(guard, &at, guard->live.next);
  return at;
}

void rf_guard_next(const rf_guard *guard, guard_cursor *at) {
  set_cursor(guard, at, at->freed ? rf_guard_next_freed(guard, at->h) : successor(guard, at->h));
}

rf_guard_header *rf_guard_block_before(const rf_guard *guard, const void *address) {
  rf_guard_header *best = NULL;
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    if (at.intact && (uintptr_t)end_of(at.h) <= (uintptr_t)address && (best == NULL || best < at.h)) {
      best = at.h;
    }
  }
  return best;
}

guard_cursor rf_guard_block_after(const rf_guard *guard, const void *address) {
  guard_cursor best = {NULL, false, false, 0, {NULL, 0}};
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    if ((uintptr_t)at.h >= (uintptr_t)address && (best.h == NULL || at.h < best.h)) {
      best = at;
    }
  }
  return best;
}

const rf_guard_header *rf_guard_block_around(const rf_guard *guard, const void *ptr) {
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    if (at.intact && (uintptr_t)block_of(at.h) <= (uintptr_t)ptr && (uintptr_t)ptr < (uintptr_t)end_of(at.h)) {
      return at.h;
    }
  }
  return NULL;
}
