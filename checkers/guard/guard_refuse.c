/* rf_guard: a pointer was handed in that does not start a live block. Tells what it is, and says so. */
#include "guard_impl.h"

/* ---- All guards of the process, to tell whose block a foreign pointer is ---- */

static rf_guard *all_guards;

/* A program may let a guard go without ending it: what is left of one is never trusted. */
RF_PEEKS static bool still_there(const rf_guard *guard) {
  return guard != NULL && rf_host_readable(guard, sizeof *guard) && rf_guard_is_guard(guard);
}

/* Cuts the list off at what is no guard any more, and at `guard` itself, which may have been made anew where it was. */
RF_PEEKS static void cut(const rf_guard *guard) {
  rf_guard **at = &all_guards;
  while (*at != guard && still_there(*at)) {
    at = &(*at)->other;
  }
  *at = NULL;
}

void rf_guard_register(rf_guard *guard) {
  bool const turn = rf_host_turn_begin();
  cut(guard);
  guard->other = all_guards;
  all_guards = guard;
  if (turn) {
    rf_host_turn_end();
  }
}

RF_PEEKS void rf_guard_unregister(rf_guard *guard) {
  bool const turn = rf_host_turn_begin();
  for (rf_guard **at = &all_guards; still_there(*at); at = &(*at)->other) {
    if (*at == guard) {
      *at = guard->other;
      break;
    }
  }
  if (turn) {
    rf_host_turn_end();
  }
}

/* True where `ptr` starts a live block of `guard`, which another thread may be using at this moment: asks the system rather than
 * its inner allocator whether the header may be read (where there is no system to ask there are no threads either), and
 * misses the block at worst, if a neighbour's free changes its links just now. */
RF_PEEKS static bool is_live_block_of(const rf_guard *guard, const void *ptr) {
  const rf_guard_header *const h = header_of(ptr);
  bool const may_look = RF_GUARD_THREADS ? rf_host_readable(h, RF_GUARD_PREFIX) : rf_guard_reachable(guard, ptr);
  return may_look && rf_is_aligned(ptr, GUARD_ALIGN) && intact(guard, h) && state_of(h) == STATE_LIVE;
}

RF_PEEKS static const rf_guard *owner_of(const rf_guard *guard, const void *ptr) {
  const rf_guard *owner = NULL;
  bool const turn = rf_host_turn_begin();
  for (const rf_guard *g = all_guards; still_there(g) && owner == NULL; g = g->other) {
    if (g != guard && is_live_block_of(g, ptr)) {
      owner = g;
    }
  }
  if (turn) {
    rf_host_turn_end();
  }
  return owner;
}

/* ---- Double free ---- */

/* A header that left the quarantine with its block, and was not overwritten since: without the words that an inner heap
 * uses for itself. False where it is something else. */
RF_PEEKS static bool read_retired(const rf_guard *guard, const rf_guard_header *h, rf_guard_header *out) {
  *out = *h;
  out->next = NULL;
#if RF_GUARD_THREADS
  out->allocated_by = 0;
  out->released_by = 0;
#else
  out->size = 0;
#endif
  return state_of(out) == STATE_RETIRED && out->magic == seal_of(guard, out, h);
}

bool rf_guard_remains_of(const rf_guard *guard, const void *inner_block, size_t size, rf_guard_remains *out) {
  for (size_t align = GUARD_ALIGN; prefix_for(align) <= size; align *= 2) {
    const rf_guard_header *const h = header_of((const unsigned char *)inner_block + prefix_for(align));
    if (read_retired(guard, h, &out->header) && align_of(&out->header) == align) {
      out->ptr = payload_of(h);
      out->size = out->header.size;
      return true;
    }
  }
  out->ptr = NULL;
  return false;
}

void rf_guard_report_remains(rf_guard *guard, const rf_guard_remains *remains, const void *address, rf_access access,
                             const rf_origin *origin) {
  rf_finding f;
  bool const freed_again = access == RF_ACCESS_FREE;
  rf_guard_finding(guard, &f, freed_again ? RF_BUG_DOUBLE_FREE : RF_BUG_USE_AFTER_FREE, access, address, origin);
  rf_guard_finding_block(guard, &f, &remains->header);
  f.block = (uintptr_t)remains->ptr;
  f.offset = (ptrdiff_t)(f.address - f.block);
  f.detail = "the memory of the block has gone back to the system";
  if (!freed_again && f.found.depth != 0) {
    f.found.frames[0]++; /* frames are return addresses: what names them looks one byte before */
  }
  rf_report(guard->options.reporter, &f);
}

static rf_status report_double_free(rf_guard *guard, const rf_guard_header *h, const void *ptr, const char *detail,
                                    const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_DOUBLE_FREE, RF_ACCESS_FREE, ptr, origin);
  if (h != NULL) {
    rf_guard_finding_block(guard, &f, h);
  }
  f.block = f.address;
  f.offset = 0;
  f.freed = true;
  f.detail = detail;
  rf_report(guard->options.reporter, &f);
  return RF_ERR_NOT_ALLOCATED;
}

static rf_status report_freed(rf_guard *guard, rf_guard_header *h, const rf_origin *origin) {
  (void)rf_guard_report_damage(guard, h, origin); /* what was written after the first free is a bug of its own */
  return report_double_free(guard, h, payload_of(h), NULL, origin);
}

/* ---- Bad free ---- */

/* The intact block of which any byte, header and guards included, is at `ptr`. */
static const rf_guard_header *enclosing(const rf_guard *guard, const void *ptr) {
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    if (at.intact && (uintptr_t)block_of(at.h) <= (uintptr_t)ptr && (uintptr_t)ptr < (uintptr_t)end_of(at.h)) {
      return at.h;
    }
  }
  return NULL;
}

static bool is_listed(const rf_guard *guard, const rf_guard_header *h) {
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    if (at.h == h) {
      return true;
    }
  }
  return false;
}

static rf_status report_interior(rf_guard *guard, const rf_guard_header *h, const void *ptr, const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_BAD_FREE, RF_ACCESS_FREE, ptr, origin);
  rf_guard_finding_block(guard, &f, h);
  bool const inside = f.offset >= 0 && (size_t)f.offset < f.size;
  f.cwe = inside ? 761 : f.cwe;
  f.detail = inside ? "the pointer is inside a block" : "the pointer is beside a block";
  rf_report(guard->options.reporter, &f);
  return RF_ERR_BAD_POINTER;
}

static rf_status report_bad_free(rf_guard *guard, const void *ptr, const char *detail, const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_BAD_FREE, RF_ACCESS_FREE, ptr, origin);
  f.detail = detail;
  rf_report(guard->options.reporter, &f);
  return RF_ERR_BAD_POINTER;
}

/* ---- Another allocator's ---- */

static rf_status report_others(rf_guard *guard, const rf_guard *owner, const void *ptr, const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_DEALLOC_MISMATCH, RF_ACCESS_FREE, ptr, origin);
  if (owner != NULL) {
    rf_guard_finding_block(owner, &f, header_of(ptr));
    f.allocation = owner->inner->ops->name;
    f.deallocation = guard->inner->ops->name;
    f.detail = "the block belongs to another allocator";
  } else {
    f.allocation = guard->inner->ops->name;
    f.deallocation = "guard";
    f.detail = "the block was allocated behind the checker's back, from the allocator that it wraps";
  }
  rf_report(guard->options.reporter, &f);
  return RF_ERR_BAD_POINTER;
}

/* ---- What only the inner allocator knows ---- */

/* A block of ours in all likelihood, but its header is none any more and no neighbour leads to it: an overflow has gone over
 * several blocks. */
static rf_status report_lost(rf_guard *guard, const rf_guard_header *h, const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_METADATA, RF_ACCESS_WRITE, h, origin);
  f.block = (uintptr_t)payload_of(h);
  f.offset = (ptrdiff_t)(f.address - f.block);
  f.detail = "the block's metadata were overwritten";
  rf_guard_finding_header(&f, h);
  rf_report(guard->options.reporter, &f);
  return RF_ERR_CORRUPT;
}

/* An inner allocator that can say what it owns and how large its live blocks are may be asked about memory in which guard
 * has no block: whether it handed the block out itself, or what it answers when its former place is freed. RF_OK where
 * it has nothing to say, else the status, reported. */
static rf_status ask_inner(rf_guard *guard, void *ptr, const rf_origin *origin) {
  rf_allocator *const inner = guard->inner;
  rf_guard_header *const h = header_of(ptr);
  rf_inner_call call;
  if (!guard->inner_tells || inner->ops->usable_size == NULL || !rf_guard_has_memory(guard, ptr, 1)) {
    return RF_OK;
  }
  if (inner->ops->usable_size(inner, ptr) != 0) {
    return report_others(guard, NULL, ptr, origin);
  }
  if (!rf_is_aligned(h, GUARD_ALIGN) || !rf_guard_reachable(guard, ptr)) {
    return RF_OK;
  }
  if (inner->ops->usable_size(inner, h) != 0 || rf_guard_has_lost(guard)) {
    return report_lost(guard, h, origin);
  }
  if (guard->inner_damaged) {
    return RF_OK;
  }
  rf_inner_call_begin(&call);
  rf_status const status = inner->ops->free(inner, h, origin->site);
  (void)rf_inner_call_end(&call);
  return status == RF_ERR_NOT_ALLOCATED
             ? report_double_free(guard, NULL, ptr, "the block has left the quarantine", origin)
             : RF_OK;
}

/* ---- All together ---- */

/* `ptr` is aligned and the memory before it may be looked at. RF_OK where there never was a block of this guard, as far
 * as its header tells; else the status, reported. */
static rf_status refuse_known(rf_guard *guard, void *ptr, const rf_origin *origin) {
  rf_guard_header *const h = header_of(ptr);
  rf_guard_header retired;
  if (read_retired(guard, h, &retired)) {
    return report_double_free(guard, &retired, ptr, "the block has left the quarantine", origin);
  }
  if (intact(guard, h)) {
    return state_of(h) == STATE_FREED ? report_freed(guard, h, origin) : RF_ERR_CORRUPT;
  }
  if (is_listed(guard, h)) {
    (void)rf_guard_mend(guard, origin);
    return RF_ERR_CORRUPT;
  }
  return RF_OK;
}

rf_status rf_guard_refuse(rf_guard *guard, void *ptr, const rf_origin *origin) {
  rf_status status = RF_OK;
  if (rf_is_aligned(ptr, GUARD_ALIGN) && rf_guard_reachable(guard, ptr)) {
    status = refuse_known(guard, ptr, origin);
  }
  if (status != RF_OK) {
    return status;
  }
  const rf_guard_header *const around = enclosing(guard, ptr);
  if (around != NULL) {
    return report_interior(guard, around, ptr, origin);
  }
  const rf_guard *const owner = owner_of(guard, ptr);
  if (owner != NULL) {
    return report_others(guard, owner, ptr, origin);
  }
  status = ask_inner(guard, ptr, origin);
  return status != RF_OK ? status : report_bad_free(guard, ptr, rf_host_whereabouts(ptr), origin);
}

/* ---- Whose memory an address is ---- */

/* Bytes between an address and a block of `guard`; 0 inside. */
static size_t distance_to(const rf_guard_header *h, const void *address) {
  uintptr_t const at = (uintptr_t)address;
  uintptr_t const start = (uintptr_t)payload_of(h);
  uintptr_t const end = start + h->size;
  return at < start ? start - at : at < end ? 0 : at - end;
}

/* Keeps to headers that are in order and memory that can be read, and to as many steps as there can be blocks: another thread
 * may be at work on them. */
typedef struct search {
  const rf_guard *guard;
  const void *address;
  const rf_guard_header *best;
  size_t distance;
} search;

/* False at what is no block of that state. */
static bool look_closer(search *s, const rf_guard_header *h, guard_state state) {
  if (!rf_guard_reachable(s->guard, (const void *)((uintptr_t)h + RF_GUARD_PREFIX)) || !intact(s->guard, h) ||
      state_of(h) != state) {
    return false;
  }
  size_t const distance = distance_to(h, s->address);
  /* Of a block that was freed and a live one at the same distance, the live one. */
  if (s->best == NULL || distance < s->distance) {
    s->best = h;
    s->distance = distance;
  }
  return true;
}

static void search_all(search *s) {
  const rf_guard *const g = s->guard;
  size_t left = g->counters.blocks + 1;
  for (const rf_guard_header *h = g->live.next; h != &g->live && left != 0 && look_closer(s, h, STATE_LIVE); left--) {
    h = h->next;
  }
  left = g->quarantined / (RF_GUARD_PREFIX + RF_GUARD_BACK_MIN) + 1;
  for (size_t i = 0; i < RF_GUARD_QUEUES; i++) {
    const rf_guard_header *h = g->queues[i].oldest;
    for (; h != NULL && left != 0 && look_closer(s, h, STATE_FREED); left--) {
      h = h->next;
    }
  }
}

/* How far from a block an address in nobody's memory may be to concern it, where the inner allocator cannot tell its own. */
#define NEAR 4096

RF_PEEKS const rf_guard *rf_guard_around(const void *address, const rf_guard_header **nearest) {
  search best = {NULL, address, NULL, SIZE_MAX};
  for (const rf_guard *g = all_guards; still_there(g); g = g->other) {
    search s = {g, address, NULL, SIZE_MAX};
    if (!is_watched(g)) {
      continue;
    }
    search_all(&s);
    bool const ours = rf_owns(g->inner, address) || s.distance <= NEAR;
    if (ours && (best.guard == NULL || s.distance < best.distance)) {
      best = s;
    }
  }
  *nearest = best.best;
  return best.guard;
}
