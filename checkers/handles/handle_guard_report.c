/* rf_handle_guard: headers, findings, damage to one block. */
#include "handle_guard_impl.h"

#include "checkers/shared/window.h"

/* ---- Headers ---- */

/* Each step can be undone, so a change of one word changes the checksum. */
static uintptr_t checksum_of(const rf_handle_guard *guard, const handle_header *h) {
  uintptr_t words[offsetof(handle_header, checksum) / sizeof(uintptr_t)];
  uintptr_t checksum = guard->secret;
  memcpy(words, h, sizeof words);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    checksum = (checksum ^ words[i]) * (uintptr_t)0x9E3779B97F4A7C15U;
    checksum ^= checksum >> (sizeof checksum * 4);
  }
  return checksum;
}

void rf_handle_guard_write(const rf_handle_guard *guard, unsigned char *block, handle_header *h) {
  h->checksum = checksum_of(guard, h);
  memcpy(block, h, sizeof *h);
}

bool rf_handle_guard_read(const rf_handle_guard *guard, const unsigned char *block, rf_handle handle,
                          handle_header *h) {
  memcpy(h, block, sizeof *h);
  return h->checksum == checksum_of(guard, h) && h->self == handle;
}

handle_areas rf_handle_guard_areas(const rf_handle_guard *guard, unsigned char *block, const handle_header *h) {
  size_t const before = guard->prefix + h->size;
  return (handle_areas){
      .payload = {handle_payload(guard, block), h->size, RF_PATTERN_FREED},
      .front = {block + sizeof(handle_header), guard->prefix - sizeof(handle_header), RF_PATTERN_REDZONE},
      .back = {block + before, handle_total(guard, h->size) - before, RF_PATTERN_REDZONE},
  };
}

void rf_handle_guard_write_redzones(const rf_handle_guard *guard, unsigned char *block, const handle_header *h) {
  handle_areas const areas = rf_handle_guard_areas(guard, block, h);
  memset(areas.front.at, areas.front.byte, areas.front.size);
  memset(areas.back.at, areas.back.byte, areas.back.size);
}

/* ---- Findings ---- */

void rf_handle_guard_finding(const rf_handle_guard *guard, rf_finding *f, rf_bug bug, rf_access access,
                             const void *address, const rf_origin *origin) {
  const char *const name = guard->inner != NULL ? guard->inner->ops->name : guard->base.ops->name;
  rf_finding_begin(f, bug, access, address, name, "guard", origin);
}

static void trace_of(rf_trace *out, const handle_call *call) {
  rf_trace_of_call(out, call->site, call->caller, (uint32_t)call->thread);
}

void rf_handle_guard_finding_block(rf_finding *f, const handle_header *h, const unsigned char *payload) {
  f->block = (uintptr_t)payload;
  f->size = h->size;
  f->blocks = 1;
  f->freed = h->state == HANDLE_FREED;
  f->offset = (ptrdiff_t)(f->address - f->block);
  trace_of(&f->allocated, &h->allocated);
  if (h->state != HANDLE_LIVE) {
    trace_of(&f->released, &h->released);
  }
}

typedef struct shown {
  const rf_handle_guard *guard;
  const unsigned char *block;
  const handle_header *h;
} shown;

static rf_byte_class class_of(const void *context, uintptr_t address, int *expected) {
  const shown *const s = (const shown *)context;
  size_t const offset = (size_t)(address - (uintptr_t)s->block);
  bool const inside = offset >= s->guard->prefix && offset < s->guard->prefix + s->h->size;
  if (offset < sizeof *s->h) {
    return RF_BYTE_HEADER;
  }
  if (inside && s->h->state == HANDLE_LIVE) {
    return RF_BYTE_USER;
  }
  *expected = inside ? RF_PATTERN_FREED : RF_PATTERN_REDZONE;
  return inside ? RF_BYTE_FREED : RF_BYTE_GUARD;
}

/* ---- Damage ---- */

typedef struct inspection {
  rf_handle_guard *guard;
  unsigned char *block;
  const handle_header *h;
  const rf_origin *origin;
  size_t count;
} inspection;

/* Reports damage to `area`. False where there is none; then *damage is empty. */
static bool inspect_area(inspection *i, const rf_pattern_area *area, rf_bug bug, const char *detail,
                         rf_pattern_area *damage) {
  shown const s = {i->guard, i->block, i->h};
  uintptr_t const low = (uintptr_t)i->block;
  rf_finding f;
  if (!rf_pattern_damage(area, damage)) {
    return false;
  }
  rf_handle_guard_finding(i->guard, &f, bug, RF_ACCESS_WRITE, damage->at, i->origin);
  rf_handle_guard_finding_block(&f, i->h, handle_payload(i->guard, i->block));
  rf_finding_window(&f, low, low + handle_total(i->guard, i->h->size), (uintptr_t)damage->at, class_of, &s);
  f.access_size = damage->size;
  f.detail = detail;
  f.argument = i->h->subject;
  rf_track_fill(damage->at, damage->byte, damage->size);
  rf_report(i->guard->options.reporter, &f);
  i->count++;
  return true;
}

static void inspect(inspection *i, bool *reaches_end) {
  handle_areas const areas = rf_handle_guard_areas(i->guard, i->block, i->h);
  rf_pattern_area damage;
  if (i->h->state == HANDLE_FREED) {
    (void)inspect_area(i, &areas.payload, RF_BUG_USE_AFTER_FREE, "the fill of a freed block was overwritten", &damage);
  }
  if (i->h->state == HANDLE_MOVED) {
    (void)inspect_area(
        i, &areas.payload, RF_BUG_USE_AFTER_MOVE,
        "an address was kept while its block was not locked, and written through after the block had moved", &damage);
  }
  (void)inspect_area(i, &areas.front, RF_BUG_BUFFER_UNDERFLOW, "guard bytes before the block were overwritten",
                     &damage);
  *reaches_end =
      inspect_area(i, &areas.back, RF_BUG_BUFFER_OVERFLOW, "guard bytes after the block were overwritten", &damage) &&
      damage.at + damage.size == areas.back.at + areas.back.size;
}

size_t rf_handle_guard_inspect(rf_handle_guard *guard, unsigned char *block, const handle_header *h,
                               const rf_origin *origin, bool *reaches_end) {
  inspection i = {guard, block, h, origin, 0};
  *reaches_end = false;
  if (h->state == HANDLE_ABANDONED) {
    return 0;
  }
  if (handle_is_quarantined(h)) {
    HANDLE_UNPOISON(handle_payload(guard, block), h->size);
  }
  inspect(&i, reaches_end);
  if (handle_is_quarantined(h)) {
    HANDLE_POISON(handle_payload(guard, block), h->size);
  }
  return i.count;
}
