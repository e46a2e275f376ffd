/* The checker of pools: the fill of free blocks, and findings where it was overwritten. */
#include "pool_watch_impl.h"

#include <string.h>

#include "checkers/shared/window.h"
#include "checkers/shared/wrapper.h"

#if RF_WATCH

/* ---- Free blocks ---- */

/* Between two blocks the pool has at least a word of its own. */
static bool has_header(const rf_pool_watched *w) {
  return w->view.stride - w->view.block_size >= sizeof(uintptr_t);
}

/* The pool's own word between block `index` and the bytes of the block before it: its header, or the link at its start.
 * NULL where there is none. */
static unsigned char *own_word(const rf_pool_watched *w, size_t index) {
  if (has_header(w)) {
    return index != 0 ? rf_pool_block_at(w, index) - sizeof(uintptr_t) : NULL;
  }
  bool const has_link = w->view.links == sizeof(uintptr_t) && w->blocks[index].state == RF_POOL_BLOCK_FREED;
  return has_link ? rf_pool_block_at(w, index) : NULL;
}

static bool is_filled(const rf_pool_watched *w, size_t index) {
  return index < w->view.num_blocks &&
         (w->blocks[index].state == RF_POOL_BLOCK_FREED || w->blocks[index].state == RF_POOL_BLOCK_READY);
}

rf_pattern_area rf_pool_area_of(const rf_pool_watched *w, size_t index) {
  const rf_pool_block *const b = &w->blocks[index];
  size_t const links = b->state == RF_POOL_BLOCK_READY ? 0 : w->view.links;
  size_t const skipped = links < b->filled ? links : b->filled;
  return (rf_pattern_area){rf_pool_block_at(w, index) + skipped, b->filled - skipped, RF_PATTERN_FREED};
}

void rf_pool_fill(rf_pool_watched *w, size_t index, rf_pool_block_state state) {
  rf_pool_block *const b = &w->blocks[index];
  b->state = state;
  b->filled = rf_pool_fill_now(w);
  rf_pattern_area const area = rf_pool_area_of(w, index);
  rf_pattern_write(area.at, area.size, area.byte);
  const unsigned char *const word = own_word(w, index);
  if (word != NULL) {
    memcpy(&b->word, word, sizeof b->word);
  }
}

/* ---- Findings ---- */

typedef struct damage {
  rf_pattern_area at;
  rf_bug bug;
  size_t about; /* index of the block that was misused */
  const char *detail;
} damage;

static void trace_of(rf_trace *out, const rf_pool_call *call) {
  rf_trace_of_call(out, call->site, 0, call->thread);
  memcpy(out->frames, call->frames, call->depth * sizeof call->frames[0]);
  out->depth = call->depth;
}

static rf_byte_class class_of(const void *context, uintptr_t address, int *expected) {
  const rf_pool_watched *const w = (const rf_pool_watched *)context;
  size_t const offset = address - (uintptr_t)w->view.start;
  size_t const index = offset / w->view.stride;
  if (offset % w->view.stride >= w->view.block_size) {
    return RF_BYTE_HEADER;
  }
  if (!is_filled(w, index)) {
    return rf_pool_is_live(w, index) ? RF_BYTE_USER : RF_BYTE_OTHER;
  }
  rf_pattern_area const area = rf_pool_area_of(w, index);
  bool const in_fill = address - (uintptr_t)area.at < area.size;
  *expected = in_fill ? area.byte : -1;
  return in_fill ? RF_BYTE_FREED : RF_BYTE_OTHER;
}

static void report(const rf_pool_watched *w, const damage *d, const rf_origin *origin) {
  const rf_pool_block *const b = &w->blocks[d->about];
  uintptr_t const start = (uintptr_t)w->view.start;
  rf_finding f;
  rf_finding_begin(&f, d->bug, RF_ACCESS_WRITE, d->at.at, w->view.name, rf_pool_watch_options_now.mode, origin);
  f.block = (uintptr_t)rf_pool_block_at(w, d->about);
  f.size = w->view.block_size;
  f.blocks = 1;
  f.offset = (ptrdiff_t)(f.address - f.block);
  f.freed = b->state == RF_POOL_BLOCK_FREED;
  f.access_size = d->at.size;
  f.detail = d->detail;
  trace_of(&f.allocated, &b->allocated);
  if (f.freed) {
    trace_of(&f.released, &b->released);
  }
  rf_finding_window(&f, start, start + rf_pool_span_of(&w->view), (uintptr_t)d->at.at, class_of, w);
  rf_report(rf_pool_watch_options_now.reporter, &f);
}

/* The block that was misused. A block that was never out has one before it. */
static void explain(const rf_pool_watched *w, size_t index, damage *d) {
  bool const from_start = d->at.at == rf_pool_block_at(w, index) && index != 0 && !has_header(w);
  bool const to_end = d->at.at + d->at.size == rf_pool_block_at(w, index) + w->view.block_size;
  bool const was_out = w->blocks[index].state == RF_POOL_BLOCK_FREED;
  d->bug = RF_BUG_USE_AFTER_FREE;
  d->about = index;
  d->detail = "the fill of a freed block was overwritten";
  if (!was_out && !from_start && to_end && rf_pool_is_live(w, index + 1)) {
    d->bug = RF_BUG_BUFFER_UNDERFLOW;
    d->about = index + 1;
    d->detail = "the block before it, which was never allocated, was overwritten up to its last byte";
  } else if (!was_out || (from_start && rf_pool_is_live(w, index - 1))) {
    d->bug = RF_BUG_BUFFER_OVERFLOW;
    d->about = index - 1;
    d->detail = was_out ? "the free block behind it was overwritten from its first byte on"
                        : "the block behind it, which was never allocated, was overwritten";
  }
}

/* The pool's own word between a live block and a free one. */
static bool header_damage(const rf_pool_watched *w, size_t index, damage *d) {
  uintptr_t const expected = w->blocks[index].word;
  unsigned char *const header = own_word(w, index);
  if (header == NULL || index == 0 || !rf_pool_is_live(w, index - 1)) {
    return false;
  }
  size_t low = 0;
  while (low < sizeof expected && header[low] == ((const unsigned char *)&expected)[low]) {
    low++;
  }
  *d = (damage){{header + low, sizeof expected - low, 0},
                RF_BUG_BUFFER_OVERFLOW,
                index - 1,
                "the pool's own word behind it, before a free block or at its start, was overwritten"};
  return low != sizeof expected;
}

size_t rf_pool_inspect(rf_pool_watched *w, size_t index, const rf_origin *origin) {
  damage d;
  if (!is_filled(w, index)) {
    return 0;
  }
  rf_pattern_area const area = rf_pool_area_of(w, index);
  if (header_damage(w, index, &d)) {
    report(w, &d, origin);
    memcpy(own_word(w, index), &w->blocks[index].word, sizeof(uintptr_t));
    rf_pattern_write(area.at, area.size, area.byte);
    return 1;
  }
  if (!rf_pattern_damage(&area, &d.at)) {
    return 0;
  }
  explain(w, index, &d);
  report(w, &d, origin);
  rf_pattern_write(d.at.at, d.at.size, d.at.byte);
  return 1;
}

size_t rf_pool_inspect_all(rf_pool_watched *w, const rf_origin *origin) {
  size_t count = 0;
  for (size_t i = 0; i < w->view.num_blocks; i++) {
    count += rf_pool_inspect(w, i, origin);
  }
  return count;
}

#endif
