/* rf_handle_guard: sweeps and checks of the whole heap. */
#include "handle_guard_impl.h"

typedef struct sweep {
  rf_handle_guard *guard;
  const rf_origin *origin;
  size_t count;
  bool overrun; /* the block before ran on beyond its end */
} sweep;

static void abandon(const rf_handle_guard *guard, unsigned char *block, rf_handle handle) {
  handle_header h;
  memset(&h, 0, sizeof h);
  h.self = handle;
  h.state = HANDLE_ABANDONED;
  rf_handle_guard_write(guard, block, &h);
}

/* A header that is none any more: what the overflow before it did, else a finding of its own. */
static void report_header(sweep *s, const rf_handle_block *b) {
  unsigned char *const block = (unsigned char *)b->ptr;
  rf_pattern_area const front = {block + sizeof(handle_header), s->guard->prefix - sizeof(handle_header),
                                 RF_PATTERN_REDZONE};
  rf_pattern_area hit;
  if (!s->overrun) {
    rf_finding f;
    bool const underflow = rf_pattern_damage(&front, &hit);
    rf_handle_guard_finding(s->guard, &f, underflow ? RF_BUG_BUFFER_UNDERFLOW : RF_BUG_METADATA, RF_ACCESS_WRITE,
                            underflow ? hit.at : block, s->origin);
    f.block = (uintptr_t)handle_payload(s->guard, block);
    f.offset = (ptrdiff_t)(f.address - f.block);
    f.blocks = 1;
    f.access_size = underflow ? hit.size : 0;
    f.argument = b->handle;
    f.detail = underflow ? "the block's metadata were overwritten too" : "the block's metadata were overwritten";
    rf_report(s->guard->options.reporter, &f);
    s->count++;
  }
  abandon(s->guard, block, b->handle);
}

/* Free memory is filled from the guard's init on. */
static void sweep_hole(sweep *s, const rf_handle_block *b) {
  rf_pattern_area const hole = {(unsigned char *)b->ptr, b->size, RF_PATTERN_FREED};
  rf_pattern_area hit;
  if (rf_pattern_damage(&hole, &hit) && !s->overrun) {
    rf_finding f;
    rf_handle_guard_finding(s->guard, &f, RF_BUG_USE_AFTER_FREE, RF_ACCESS_WRITE, hit.at, s->origin);
    f.access_size = hit.size;
    f.detail = "free memory was written to";
    rf_report(s->guard->options.reporter, &f);
    s->count++;
  }
  rf_track_fill(hole.at, hole.byte, hole.size);
  s->overrun = false;
}

static bool sweep_one(const rf_handle_block *b, void *context) {
  sweep *const s = (sweep *)context;
  handle_header h;
  if (b->handle == RF_HANDLE_NULL) {
    sweep_hole(s, b);
  } else if (rf_handle_guard_read(s->guard, (unsigned char *)b->ptr, b->handle, &h)) {
    s->count += rf_handle_guard_inspect(s->guard, (unsigned char *)b->ptr, &h, s->origin, &s->overrun);
  } else {
    report_header(s, b);
  }
  return true;
}

size_t rf_handle_guard_sweep_from(rf_handle_guard *guard, const rf_origin *origin) {
  sweep s = {guard, origin, 0, false};
  rf_fault where;
  rf_handles *const inner = guard->inner;
  (void)inner->ops->walk(inner, sweep_one, &s);
  if (inner->ops->check(inner, &where) != RF_OK) {
    rf_finding f;
    rf_handle_guard_finding(guard, &f, RF_BUG_METADATA, RF_ACCESS_WRITE, where.ptr, origin);
    f.detail = where.what;
    rf_report(guard->options.reporter, &f);
    s.count++;
  }
  return s.count;
}

/* ---- The same without a word ---- */

typedef struct search {
  rf_handle_guard *guard;
  rf_fault *where;
} search;

static void search_block(search *s, unsigned char *block, const handle_header *h) {
  handle_areas const areas = rf_handle_guard_areas(s->guard, block, h);
  rf_pattern_area damage = {0};
  if (handle_is_quarantined(h)) {
    HANDLE_UNPOISON(areas.payload.at, areas.payload.size);
    if (rf_pattern_damage(&areas.payload, &damage)) {
      s->where->what = "the fill of a freed or moved block was overwritten";
    }
    HANDLE_POISON(areas.payload.at, areas.payload.size);
  }
  if (s->where->what == NULL && (rf_pattern_damage(&areas.front, &damage) || rf_pattern_damage(&areas.back, &damage))) {
    s->where->what = "guard bytes were overwritten";
  }
  if (s->where->what != NULL) {
    s->where->ptr = damage.at;
    s->where->site = h->allocated.site;
  }
}

static bool look(const rf_handle_block *b, void *context) {
  search *const s = (search *)context;
  unsigned char *const block = (unsigned char *)b->ptr;
  handle_header h;
  rf_pattern_area hit = {block, 0, 0};
  rf_pattern_area const hole = {block, b->size, RF_PATTERN_FREED};
  if (b->handle == RF_HANDLE_NULL) {
    s->where->what = rf_pattern_damage(&hole, &hit) ? "free memory was written to" : NULL;
    s->where->ptr = hit.at;
    return s->where->what == NULL;
  }
  if (!rf_handle_guard_read(s->guard, block, b->handle, &h)) {
    s->where->what = "the header of a block was overwritten";
    s->where->ptr = block;
    return false;
  }
  if (h.state != HANDLE_ABANDONED) {
    search_block(s, block, &h);
  }
  return s->where->what == NULL;
}

rf_status rf_handle_guard_first_damage(rf_handle_guard *guard, rf_fault *where) {
  search s = {guard, where};
  *where = (rf_fault){RF_ERR_CORRUPT, NULL, NULL, NULL, NULL};
  if (guard->inner->ops->walk(guard->inner, look, &s) == RF_OK && where->what != NULL) {
    return RF_ERR_CORRUPT;
  }
  return guard->inner->ops->check(guard->inner, where);
}
