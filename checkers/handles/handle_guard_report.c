/* rf_handle_guard: headers, finding damage, making findings. */
#include "handle_guard_impl.h"

/* ---- Headers ---- */

/* Each step can be undone, so a change of one word changes the magic. */
static uintptr_t magic_of(const rf_handle_guard *guard, const handle_header *h) {
  uintptr_t words[offsetof(handle_header, magic) / sizeof(uintptr_t)];
  uintptr_t magic = guard->secret;
  memcpy(words, h, sizeof words);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    magic = (magic ^ words[i]) * (uintptr_t)0x9E3779B97F4A7C15U;
    magic ^= magic >> (sizeof magic * 4);
  }
  return magic;
}

void rf_handle_guard_write(const rf_handle_guard *guard, unsigned char *block, handle_header *h) {
  h->magic = magic_of(guard, h);
  memcpy(block, h, sizeof *h);
}

bool rf_handle_guard_read(const rf_handle_guard *guard, const unsigned char *block, rf_handle handle,
                          handle_header *h) {
  memcpy(h, block, sizeof *h);
  return h->magic == magic_of(guard, h) && h->self == handle;
}

/* A stretch of bytes that should all be the same. */
typedef struct stretch {
  unsigned char *at;
  size_t size;
  unsigned char byte;
} stretch;

static stretch front_of(const rf_handle_guard *guard, unsigned char *block) {
  return (stretch){block + sizeof(handle_header), guard->prefix - sizeof(handle_header), HANDLE_FILL_GUARD};
}

static stretch back_of(const rf_handle_guard *guard, unsigned char *block, const handle_header *h) {
  size_t const before = guard->prefix + h->size;
  return (stretch){block + before, handle_total(guard, h->size) - before, HANDLE_FILL_GUARD};
}

static stretch fill_of(const rf_handle_guard *guard, unsigned char *block, const handle_header *h) {
  return (stretch){handle_payload(guard, block), h->size, HANDLE_FILL_FREE};
}

void rf_handle_guard_fence(const rf_handle_guard *guard, unsigned char *block, const handle_header *h) {
  stretch const front = front_of(guard, block);
  stretch const back = back_of(guard, block, h);
  memset(front.at, front.byte, front.size);
  memset(back.at, back.byte, back.size);
}

/* ---- Findings ---- */

void rf_handle_guard_finding(const rf_handle_guard *guard, rf_finding *f, rf_bug bug, rf_access access,
                             const void *address, const rf_origin *origin) {
  const char *const name = guard->inner != NULL ? guard->inner->ops->name : guard->base.ops->name;
  rf_finding_begin(f, bug, access, address, name, "guard", origin);
}

static void tell_place(rf_trace *out, const handle_place *place) {
  out->site = place->site;
  out->frames[0] = place->caller;
  out->depth = place->caller != 0 ? 1 : 0;
  out->thread = (uint32_t)place->thread;
}

void rf_handle_guard_finding_block(rf_finding *f, const handle_header *h, const unsigned char *payload) {
  f->block = (uintptr_t)payload;
  f->size = h->size;
  f->blocks = 1;
  f->freed = h->state == HANDLE_FREED;
  f->offset = (ptrdiff_t)(f->address - f->block);
  tell_place(&f->allocated, &h->allocated);
  if (h->state != HANDLE_LIVE) {
    tell_place(&f->released, &h->released);
  }
}

#define ROW 16U

static rf_byte_class class_of(const rf_handle_guard *guard, const unsigned char *block, const handle_header *h,
                              const unsigned char *at, int *expected) {
  size_t const offset = (size_t)(at - block);
  bool const inside = offset >= guard->prefix && offset < guard->prefix + h->size;
  *expected = -1;
  if (offset < sizeof *h) {
    return RF_BYTE_HEADER;
  }
  if (inside && h->state == HANDLE_LIVE) {
    return RF_BYTE_USER;
  }
  *expected = inside ? HANDLE_FILL_FREE : HANDLE_FILL_GUARD;
  return inside ? RF_BYTE_FREED : RF_BYTE_GUARD;
}

/* The rows around `at` as far as they lie in the block. */
static void show_window(const rf_handle_guard *guard, rf_finding *f, const unsigned char *block, const handle_header *h,
                        const unsigned char *at) {
  const unsigned char *const end = block + handle_total(guard, h->size);
  size_t const back = ((uintptr_t)at & (ROW - 1)) + ROW;
  const unsigned char *const start = back < (size_t)(at - block) ? at - back : block;
  size_t const room = (size_t)(end - start);
  f->window_address = (uintptr_t)start;
  f->window_size = room < RF_WINDOW ? (unsigned)room : RF_WINDOW;
  for (unsigned i = 0; i < f->window_size; i++) {
    int expected;
    rf_byte_class const usual = class_of(guard, block, h, start + i, &expected);
    bool const bad = expected >= 0 && start[i] != expected;
    f->window[i] = start[i];
    f->expected[i] = bad ? (unsigned char)expected : start[i];
    f->window_class[i] = (unsigned char)(bad ? RF_BYTE_BAD : usual);
  }
}

/* ---- One block ---- */

static bool disturbed(const stretch *s, stretch *out) {
  size_t first;
  if (rf_filled(s->at, s->size, s->byte)) {
    return false;
  }
  out->size = rf_disturbed(s->at, s->size, s->byte, &first);
  out->at = s->at + first;
  out->byte = s->byte;
  return true;
}

static void report_stretch(rf_handle_guard *guard, unsigned char *block, const handle_header *h, rf_bug bug,
                           const char *detail, const stretch *s, const rf_origin *origin) {
  rf_finding f;
  rf_handle_guard_finding(guard, &f, bug, RF_ACCESS_WRITE, s->at, origin);
  rf_handle_guard_finding_block(&f, h, handle_payload(guard, block));
  show_window(guard, &f, block, h, s->at);
  f.access_size = s->size;
  f.detail = detail;
  f.argument = h->subject;
  rf_track_fill(s->at, s->byte, s->size);
  rf_report(guard->options.reporter, &f);
}

static size_t inspect(rf_handle_guard *guard, unsigned char *block, const handle_header *h, const rf_origin *origin,
                      bool *to_the_end) {
  size_t count = 0;
  stretch hit;
  stretch const fill = fill_of(guard, block, h);
  stretch const front = front_of(guard, block);
  stretch const back = back_of(guard, block, h);
  if (h->state == HANDLE_FREED && disturbed(&fill, &hit)) {
    report_stretch(guard, block, h, RF_BUG_USE_AFTER_FREE, "the fill of a freed block was overwritten", &hit, origin);
    count++;
  }
  if (h->state == HANDLE_MOVED && disturbed(&fill, &hit)) {
    report_stretch(guard, block, h, RF_BUG_USE_AFTER_MOVE,
                   "an address was kept while its block was not locked, and written through after the block had moved",
                   &hit, origin);
    count++;
  }
  if (disturbed(&front, &hit)) {
    report_stretch(guard, block, h, RF_BUG_BUFFER_UNDERFLOW, "guard bytes before the block were overwritten", &hit,
                   origin);
    count++;
  }
  *to_the_end = false;
  if (disturbed(&back, &hit)) {
    *to_the_end = hit.at + hit.size == back.at + back.size;
    report_stretch(guard, block, h, RF_BUG_BUFFER_OVERFLOW, "guard bytes after the block were overwritten", &hit,
                   origin);
    count++;
  }
  return count;
}

size_t rf_handle_guard_inspect(rf_handle_guard *guard, unsigned char *block, const handle_header *h,
                               const rf_origin *origin, bool *to_the_end) {
  bool const left = h->state == HANDLE_FREED || h->state == HANDLE_MOVED;
  if (h->state == HANDLE_CONDEMNED) {
    *to_the_end = false;
    return 0;
  }
  if (left) {
    HANDLE_UNPOISON(handle_payload(guard, block), h->size);
  }
  size_t const count = inspect(guard, block, h, origin, to_the_end);
  if (left) {
    HANDLE_POISON(handle_payload(guard, block), h->size);
  }
  return count;
}

/* ---- Everything ---- */

typedef struct sweep {
  rf_handle_guard *guard;
  const rf_origin *origin;
  size_t count;
  bool overrun; /* the block before ran on beyond its end */
} sweep;

static void condemn(const rf_handle_guard *guard, unsigned char *block, rf_handle handle) {
  handle_header h;
  memset(&h, 0, sizeof h);
  h.self = handle;
  h.state = HANDLE_CONDEMNED;
  rf_handle_guard_write(guard, block, &h);
}

/* A header that is none any more: what the overflow before it did, else a finding of its own. */
static void report_header(sweep *s, const rf_handle_block *b) {
  unsigned char *const block = (unsigned char *)b->ptr;
  stretch const front = front_of(s->guard, block);
  stretch hit;
  if (!s->overrun) {
    rf_finding f;
    bool const underflow = disturbed(&front, &hit);
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
  condemn(s->guard, block, b->handle);
}

/* Free memory is filled from the guard's init on. */
static void sweep_hole(sweep *s, const rf_handle_block *b) {
  stretch const hole = {(unsigned char *)b->ptr, b->size, HANDLE_FILL_FREE};
  stretch hit;
  if (disturbed(&hole, &hit) && !s->overrun) {
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

static bool look(const rf_handle_block *b, void *context) {
  search *const s = (search *)context;
  unsigned char *const block = (unsigned char *)b->ptr;
  handle_header h;
  stretch hit = {block, 0, 0};
  stretch const hole = {block, b->size, HANDLE_FILL_FREE};
  if (b->handle == RF_HANDLE_NULL) {
    s->where->what = disturbed(&hole, &hit) ? "free memory was written to" : NULL;
    s->where->ptr = hit.at;
    return s->where->what == NULL;
  }
  if (!rf_handle_guard_read(s->guard, block, b->handle, &h)) {
    s->where->what = "the header of a block was overwritten";
    s->where->ptr = block;
    return false;
  }
  stretch const parts[] = {fill_of(s->guard, block, &h), front_of(s->guard, block), back_of(s->guard, block, &h)};
  bool const left = h.state == HANDLE_FREED || h.state == HANDLE_MOVED;
  if (h.state == HANDLE_CONDEMNED) {
    return true;
  }
  if (left) {
    HANDLE_UNPOISON(handle_payload(s->guard, block), h.size);
  }
  for (size_t i = left ? 0 : 1; i < 3 && s->where->what == NULL; i++) {
    if (disturbed(&parts[i], &hit)) {
      s->where->what = i == 0 ? "the fill of a freed or moved block was overwritten" : "guard bytes were overwritten";
      s->where->ptr = hit.at;
      s->where->site = h.allocated.site;
    }
  }
  if (left) {
    HANDLE_POISON(handle_payload(s->guard, block), h.size);
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
