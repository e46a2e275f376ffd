/* rf_guard: all guards of the process, to tell whose block a foreign pointer is. */
#include "guard_impl.h"

static rf_guard *all_guards;

/* A registered guard has this in a field that its sentinel has no use for. */
static inline uintptr_t registered_tag(const rf_guard *guard) {
  return (uintptr_t)guard ^ (uintptr_t)&all_guards;
}

/* A program may drop a guard without ending it: its remains are never trusted. */
RF_NO_SANITIZE static bool is_registered(const rf_guard *guard) {
  return guard != NULL && rf_host_readable(guard, sizeof *guard) && guard->live.allocated == registered_tag(guard);
}

/* Cuts the list off at what is no guard any more, and at `guard` itself, which may have been made anew where it was. */
RF_NO_SANITIZE static void cut_list(const rf_guard *guard) {
  rf_guard **at = &all_guards;
  while (*at != guard && is_registered(*at)) {
    at = &(*at)->other;
  }
  *at = NULL;
}

void rf_guard_register(rf_guard *guard) {
  bool const locked = rf_host_report_lock();
  cut_list(guard);
  guard->other = all_guards;
  guard->live.allocated = registered_tag(guard);
  all_guards = guard;
  if (locked) {
    rf_host_report_unlock();
  }
}

RF_NO_SANITIZE void rf_guard_unregister(rf_guard *guard) {
  bool const locked = rf_host_report_lock();
  for (rf_guard **at = &all_guards; is_registered(*at); at = &(*at)->other) {
    if (*at == guard) {
      *at = guard->other;
      break;
    }
  }
  guard->live.allocated = 0;
  if (locked) {
    rf_host_report_unlock();
  }
}

/* True where `ptr` starts a live block of `guard`, which another thread may be using: asks the system, not the inner
 * allocator, whether the header can be read (targets without a system have no threads). Misses the block at worst, if
 * the free of a neighbour changes its links just now. */
RF_NO_SANITIZE static bool is_live_block_of(const rf_guard *guard, const void *ptr) {
  const rf_guard_header *const h = header_of(ptr);
  bool const may_look = RF_GUARD_THREADS ? rf_host_readable(h, RF_GUARD_PREFIX) : rf_guard_reachable(guard, ptr);
  return may_look && rf_is_aligned(ptr, GUARD_ALIGN) && rf_guard_sound(guard, h, STATE_LIVE);
}

RF_NO_SANITIZE const rf_guard *rf_guard_owner(const rf_guard *guard, const void *ptr) {
  const rf_guard *owner = NULL;
  bool const locked = rf_host_report_lock();
  for (const rf_guard *g = all_guards; is_registered(g) && owner == NULL; g = g->other) {
    if (g != guard && is_live_block_of(g, ptr)) {
      owner = g;
    }
  }
  if (locked) {
    rf_host_report_unlock();
  }
  return owner;
}

/* ---- The nearest block ---- */

/* Bytes between an address and a block of `guard`; 0 inside. */
static size_t distance_to(const rf_guard_header *h, const void *address) {
  uintptr_t const at = (uintptr_t)address;
  uintptr_t const start = (uintptr_t)payload_of(h);
  uintptr_t const end = start + h->size;
  return at < start ? start - at : at < end ? 0 : at - end;
}

/* Follows intact headers in readable memory only, and takes no more steps than there can be blocks: another thread may
 * be changing them. */
typedef struct search {
  const rf_guard *guard;
  const void *address;
  const rf_guard_header *best;
  size_t distance;
  bool by_tag; /* only blocks with the tag, and those that have the address inside */
  unsigned tag;
} search;

static bool is_meant(const search *s, const rf_guard_header *h, guard_state state, size_t distance) {
  return !s->by_tag || distance == 0 || (state == STATE_LIVE && tag_of_block(h) == s->tag);
}

/* False where `h` is no block in that state. */
static bool consider(search *s, const rf_guard_header *h, guard_state state) {
  if (!rf_guard_reachable(s->guard, (const void *)((uintptr_t)h + RF_GUARD_PREFIX)) ||
      !rf_guard_sound(s->guard, h, state)) {
    return false;
  }
  size_t const distance = distance_to(h, s->address);
  /* Live blocks come first, and win against freed ones at the same distance. */
  if ((s->best == NULL || distance < s->distance) && is_meant(s, h, state, distance)) {
    s->best = h;
    s->distance = distance;
  }
  return true;
}

static void search_all(search *s) {
  const rf_guard *const g = s->guard;
  size_t left = g->counters.blocks + 1;
  for (const rf_guard_header *h = g->live.next; h != &g->live && left != 0 && consider(s, h, STATE_LIVE); left--) {
    h = h->next;
  }
  left = g->quarantined / (RF_GUARD_PREFIX + RF_GUARD_BACK_MIN) + 1;
  for (size_t i = 0; i < RF_GUARD_QUEUES; i++) {
    const rf_guard_header *h = g->queues[i].oldest;
    for (; h != NULL && left != 0 && consider(s, h, STATE_FREED); left--) {
      h = h->next;
    }
  }
}

/* Bytes from a block within which an address concerns it, where the inner allocator cannot tell its own memory. */
#define NEAR 4096

/* The guards that are watched, or those whose blocks have tags. */
RF_NO_SANITIZE static search search_guards(const void *address, bool tagged, bool by_tag, unsigned tag) {
  search best = {NULL, address, NULL, SIZE_MAX, by_tag, tag};
  for (const rf_guard *g = all_guards; is_registered(g); g = g->other) {
    search s = {g, address, NULL, SIZE_MAX, by_tag, tag};
    if (tagged ? !is_tagged(g) : !is_watched(g)) {
      continue;
    }
    search_all(&s);
    bool const ours = rf_owns(g->inner, address) || s.distance <= NEAR;
    if (ours && (best.guard == NULL || s.distance < best.distance)) {
      best = s;
    }
  }
  return best;
}

RF_NO_SANITIZE const rf_guard *rf_guard_nearest(const void *address, const rf_guard_header **nearest) {
  search const found = search_guards(address, false, false, 0);
  *nearest = found.best;
  return found.guard;
}

/* Farther off it is another block that has the tag by chance. */
#define BY_TAG ((size_t)64 * 1024)

RF_NO_SANITIZE const rf_guard *rf_guard_nearest_tagged(const void *address, unsigned tag,
                                                       const rf_guard_header **nearest) {
  search found = search_guards(address, true, true, tag);
  if (found.best == NULL || found.distance > BY_TAG) {
    found = search_guards(address, true, false, tag);
  }
  *nearest = found.best;
  return found.guard;
}
