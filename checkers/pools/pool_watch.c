#include <ringfence/pool_watch.h>

#include <ringfence/block.h>
#include <ringfence/port.h>
#include <ringfence/watch.h>
#include <string.h>

#include "checkers/os/host.h"
#include "checkers/shared/origin.h"
#include "checkers/shared/pattern.h"
#include "checkers/shared/window.h"
#include "checkers/shared/wrapper.h"

#define FILL_DEFAULT ((size_t)64 * 1024)

void rf_pool_watch_options_default(rf_pool_watch_options *options) {
  *options = (rf_pool_watch_options){rf_reporter_plain(), "guard", FILL_DEFAULT};
}

#if RF_WATCH

/* ---- Records: kept outside of the pools ---- */

/* Enough for the wrappers of a compatibility header and the functions above them. */
#define FRAMES 6

typedef struct pool_call {
  const rf_site *site;
  uint32_t thread;
  uint32_t depth;
  uintptr_t frames[FRAMES];
} pool_call;

typedef enum block_state {
  BLOCK_UNKNOWN, /* never out while it was watched, and not filled */
  BLOCK_READY,   /* never out, and filled */
  BLOCK_LIVE,
  BLOCK_FREED
} block_state;

typedef struct block_record {
  block_state state;
  uintptr_t word; /* the pool's own word of a filled block: see own_word */
  pool_call allocated;
  pool_call released;
} block_record;

typedef struct watched {
  struct watched *next;
  const void *pool; /* by which it is found; NULL: free for another pool. Accessed atomically */
  rf_watched_pool view;
  bool is_static;
  size_t capacity;
  block_record blocks[];
} watched;

static watched *all;  /* grows at the front, never shrinks: read without a lock */
static rf_mutex lock; /* of making and ending; zeroed static storage is a mutex on the ports at hand */
static rf_pool_watch_options the_options;

static watched *find(const void *pool) {
  watched *w = __atomic_load_n(&all, __ATOMIC_ACQUIRE);
  while (w != NULL && __atomic_load_n(&w->pool, __ATOMIC_ACQUIRE) != pool) {
    w = w->next;
  }
  return w;
}

static unsigned char *block_at(const watched *w, size_t index) {
  return w->view.start + index * w->view.stride;
}

static size_t span_of(const rf_watched_pool *view) {
  return (view->num_blocks - 1) * view->stride + view->block_size;
}

/* NULL where the pool is not watched, or not as it was when it began. */
static watched *find_same(const rf_watched_pool *view) {
  watched *const w = find(view->pool);
  bool const same = w != NULL && w->view.start == view->start && w->view.num_blocks == view->num_blocks &&
                    w->view.stride == view->stride;
  return same ? w : NULL;
}

static bool is_live(const watched *w, size_t index) {
  return index < w->view.num_blocks && w->blocks[index].state == BLOCK_LIVE;
}

/* ---- Free blocks ---- */

/* Between two blocks the pool has at least a word of its own. */
static bool has_header(const watched *w) {
  return w->view.stride - w->view.block_size >= sizeof(uintptr_t);
}

/* The pool's own word between block `index` and the bytes of the block before it: its header, or the link at its start.
 * NULL where there is none. */
static unsigned char *own_word(const watched *w, size_t index) {
  if (has_header(w)) {
    return index != 0 ? block_at(w, index) - sizeof(uintptr_t) : NULL;
  }
  bool const has_link = w->view.links == sizeof(uintptr_t) && w->blocks[index].state == BLOCK_FREED;
  return has_link ? block_at(w, index) : NULL;
}

static bool is_filled(const watched *w, size_t index) {
  return index < w->view.num_blocks && (w->blocks[index].state == BLOCK_FREED || w->blocks[index].state == BLOCK_READY);
}

/* The bytes of a free block that must hold the fill. */
static rf_pattern_area area_of(const watched *w, size_t index) {
  size_t const size = w->view.block_size < the_options.fill ? w->view.block_size : the_options.fill;
  size_t const links = w->blocks[index].state == BLOCK_READY ? 0 : w->view.links;
  size_t const skipped = links < size ? links : size;
  return (rf_pattern_area){block_at(w, index) + skipped, size - skipped, RF_PATTERN_FREED};
}

static void fill(watched *w, size_t index, block_state state) {
  block_record *const b = &w->blocks[index];
  b->state = state;
  rf_pattern_area const area = area_of(w, index);
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

static void trace_of(rf_trace *out, const pool_call *call) {
  rf_trace_of_call(out, call->site, 0, call->thread);
  memcpy(out->frames, call->frames, call->depth * sizeof call->frames[0]);
  out->depth = call->depth;
}

static rf_byte_class class_of(const void *context, uintptr_t address, int *expected) {
  const watched *const w = (const watched *)context;
  size_t const offset = address - (uintptr_t)w->view.start;
  size_t const index = offset / w->view.stride;
  if (offset % w->view.stride >= w->view.block_size) {
    return RF_BYTE_HEADER;
  }
  if (!is_filled(w, index)) {
    return is_live(w, index) ? RF_BYTE_USER : RF_BYTE_OTHER;
  }
  rf_pattern_area const area = area_of(w, index);
  bool const in_fill = address - (uintptr_t)area.at < area.size;
  *expected = in_fill ? area.byte : -1;
  return in_fill ? RF_BYTE_FREED : RF_BYTE_OTHER;
}

static void report(const watched *w, const damage *d, const rf_origin *origin) {
  const block_record *const b = &w->blocks[d->about];
  uintptr_t const start = (uintptr_t)w->view.start;
  rf_finding f;
  rf_finding_begin(&f, d->bug, RF_ACCESS_WRITE, d->at.at, w->view.name, the_options.mode, origin);
  f.block = (uintptr_t)block_at(w, d->about);
  f.size = w->view.block_size;
  f.blocks = 1;
  f.offset = (ptrdiff_t)(f.address - f.block);
  f.freed = b->state == BLOCK_FREED;
  f.access_size = d->at.size;
  f.detail = d->detail;
  trace_of(&f.allocated, &b->allocated);
  if (f.freed) {
    trace_of(&f.released, &b->released);
  }
  rf_finding_window(&f, start, start + span_of(&w->view), (uintptr_t)d->at.at, class_of, w);
  rf_report(the_options.reporter, &f);
}

/* Which block was misused. A block that was never out has one before it. */
static void explain(const watched *w, size_t index, damage *d) {
  bool const from_start = d->at.at == block_at(w, index) && index != 0 && !has_header(w);
  bool const to_end = d->at.at + d->at.size == block_at(w, index) + w->view.block_size;
  bool const was_out = w->blocks[index].state == BLOCK_FREED;
  d->bug = RF_BUG_USE_AFTER_FREE;
  d->about = index;
  d->detail = "the fill of a freed block was overwritten";
  if (!was_out && !from_start && to_end && is_live(w, index + 1)) {
    d->bug = RF_BUG_BUFFER_UNDERFLOW;
    d->about = index + 1;
    d->detail = "the block before it, which was never allocated, was overwritten up to its last byte";
  } else if (!was_out || (from_start && is_live(w, index - 1))) {
    d->bug = RF_BUG_BUFFER_OVERFLOW;
    d->about = index - 1;
    d->detail = was_out ? "the free block behind it was overwritten from its first byte on"
                        : "the block behind it, which was never allocated, was overwritten";
  }
}

/* The pool's own word between a live block and a free one. */
static bool header_damage(const watched *w, size_t index, damage *d) {
  uintptr_t const expected = w->blocks[index].word;
  unsigned char *const header = own_word(w, index);
  if (header == NULL || index == 0 || !is_live(w, index - 1)) {
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

/* Reports damage to a free block, and mends it. Returns the number of findings. */
static size_t inspect(watched *w, size_t index, const rf_origin *origin) {
  damage d;
  if (!is_filled(w, index)) {
    return 0;
  }
  rf_pattern_area const area = area_of(w, index);
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

static size_t inspect_all(watched *w, const rf_origin *origin) {
  size_t count = 0;
  for (size_t i = 0; i < w->view.num_blocks; i++) {
    count += inspect(w, i, origin);
  }
  return count;
}

/* ---- Pools that begin and end ---- */

static bool overlaps(const rf_watched_pool *a, const rf_watched_pool *b) {
  uintptr_t const a_start = (uintptr_t)a->start;
  uintptr_t const b_start = (uintptr_t)b->start;
  return a_start < b_start + span_of(b) && b_start < a_start + span_of(a);
}

/* Whether the new pool lies in blocks of `w` that the program has. */
static bool lies_in_live_blocks(const watched *w, const rf_watched_pool *view) {
  size_t const offset = (uintptr_t)view->start - (uintptr_t)w->view.start;
  if ((uintptr_t)view->start < (uintptr_t)w->view.start || offset + span_of(view) > span_of(&w->view)) {
    return false;
  }
  for (size_t i = offset / w->view.stride; i <= (offset + span_of(view) - 1) / w->view.stride; i++) {
    if (!is_live(w, i)) {
      return false;
    }
  }
  return true;
}

/* Forgets pools that are not any more, though nobody ended them: where the new one is. */
static void forget_former(const rf_watched_pool *view) {
  for (watched *w = all; w != NULL; w = w->next) {
    bool const used = w->pool != NULL;
    if (used && (w->pool == view->pool || (overlaps(&w->view, view) && !lies_in_live_blocks(w, view)))) {
      __atomic_store_n(&w->pool, NULL, __ATOMIC_RELEASE);
    }
  }
}

static watched *room_for(size_t num_blocks) {
  watched *w = all;
  size_t capacity = 1;
  size_t bytes;
  while (w != NULL && (w->pool != NULL || w->capacity < num_blocks)) {
    w = w->next;
  }
  if (w != NULL) {
    return w;
  }
  while (capacity < num_blocks) {
    capacity *= 2;
  }
  if (!rf_mul(capacity, sizeof(block_record), &bytes) || !rf_add(bytes, sizeof *w, &bytes)) {
    return NULL;
  }
  w = (watched *)rf_host_map(bytes);
  if (w != NULL) {
    w->capacity = capacity;
    w->next = all;
    __atomic_store_n(&all, w, __ATOMIC_RELEASE);
  }
  return w;
}

/* Blocks of memblocks may be memory that this processor cannot reach. */
static bool can_be_watched(const rf_watched_pool *view) {
  return view->num_blocks != 0 && (!view->may_claim || rf_host_readable(view->start, span_of(view)));
}

static void add(const rf_watched_pool *view, bool is_static) {
  rf_mutex_lock(&lock);
  forget_former(view);
  watched *const w = can_be_watched(view) ? room_for(view->num_blocks) : NULL;
  if (w != NULL) {
    w->view = *view;
    w->is_static = is_static;
    for (size_t i = 0; i < view->num_blocks; i++) {
      w->blocks[i].state = BLOCK_UNKNOWN;
    }
    __atomic_store_n(&w->pool, view->pool, __ATOMIC_RELEASE);
  }
  rf_mutex_unlock(&lock);
}

static void watch_begin(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                        const void *caller) {
  (void)first;
  (void)count;
  (void)site;
  (void)caller;
  add(view, false);
}

/* The program itself, from its data on; not known of libraries. */
static bool is_in_program(const void *p) {
  extern char __data_start[] __attribute__((weak));
  extern char _end[] __attribute__((weak));
  return __data_start != NULL && _end != NULL && (uintptr_t)p >= (uintptr_t)__data_start &&
         (uintptr_t)p < (uintptr_t)_end;
}

static void watch_begin_static(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                               const void *caller) {
  (void)first;
  (void)count;
  (void)site;
  (void)caller;
  const watched *const w = find(view->pool);
  bool const was_made = w != NULL && !w->is_static; /* by a call, and this is its first use */
  add(view, !was_made && is_in_program(view->pool) && is_in_program(view->start) &&
                is_in_program(view->start + span_of(view) - 1));
}

static void watch_end(const rf_watched_pool *view, void *first, size_t count, const rf_site *site, const void *caller) {
  (void)first;
  (void)count;
  rf_origin const origin = {site, (uintptr_t)caller, __builtin_frame_address(0)};
  watched *const w = find_same(view);
  if (w != NULL) {
    (void)inspect_all(w, &origin);
    __atomic_store_n(&w->pool, NULL, __ATOMIC_RELEASE);
  }
}

/* ---- Blocks that are taken and given back; under the pool's lock ---- */

/* Stacks begin with the caller of the pool; without frame pointers they are no more than that. */
static void note(pool_call *call, const rf_origin *origin) {
  uintptr_t frames[2 * FRAMES];
  unsigned const found =
      rf_stack_capture(&(rf_origin){NULL, (uintptr_t)__builtin_return_address(0), origin->frame}, frames, 2 * FRAMES);
  unsigned first = 0;
  while (first < found && frames[first] != origin->caller) {
    first++;
  }
  unsigned const depth = found - first < FRAMES ? found - first : FRAMES;
  call->site = origin->site;
  call->thread = rf_port_thread_id();
  call->frames[0] = origin->caller;
  call->depth = origin->caller != 0 ? 1 : 0;
  if (depth > 1) {
    memcpy(call->frames, frames + first, depth * sizeof frames[0]);
    call->depth = depth;
  }
}

static bool find_blocks(const rf_watched_pool *view, const void *first, size_t count, watched **w, size_t *index) {
  *w = find_same(view);
  if (*w == NULL) {
    return false;
  }
  *index = ((uintptr_t)first - (uintptr_t)view->start) / view->stride;
  return *index < view->num_blocks && count <= view->num_blocks - *index;
}

/* So that an overflow is seen on the other side of it. Memory that may hold what is to be claimed is filled only where
 * it is zero, which a claim restores. */
static void arm(watched *w, size_t index) {
  if (index >= w->view.num_blocks || w->blocks[index].state != BLOCK_UNKNOWN) {
    return;
  }
  size_t const size = w->view.block_size < the_options.fill ? w->view.block_size : the_options.fill;
  if (!w->view.may_claim || rf_pattern_holds(block_at(w, index), size, 0)) {
    fill(w, index, BLOCK_READY);
  }
}

static void take(watched *w, size_t index, size_t count, const rf_origin *origin) {
  pool_call call;
  note(&call, origin);
  for (size_t i = index; i < index + count; i++) {
    w->blocks[i].state = BLOCK_LIVE;
    w->blocks[i].allocated = call;
  }
  arm(w, index + count);
}

static void watch_alloc(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                        const void *caller) {
  rf_origin const origin = {site, (uintptr_t)caller, __builtin_frame_address(0)};
  watched *w;
  size_t index;
  if (find_blocks(view, first, count, &w, &index)) {
    for (size_t i = index; i < index + count; i++) {
      (void)inspect(w, i, &origin);
    }
    take(w, index, count, &origin);
  }
}

/* Blocks that were never out get their zeros back: the owner of a mailbox may look at them. */
static void watch_claim(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                        const void *caller) {
  rf_origin const origin = {site, (uintptr_t)caller, __builtin_frame_address(0)};
  watched *w;
  size_t index;
  if (!find_blocks(view, first, count, &w, &index)) {
    return;
  }
  for (size_t i = index; i < index + count; i++) {
    if (w->blocks[i].state != BLOCK_READY) {
      (void)inspect(w, i, &origin);
      continue;
    }
    rf_pattern_area const area = area_of(w, i);
    for (size_t at = 0; at < area.size; at++) {
      area.at[at] = area.at[at] == area.byte ? 0 : area.at[at];
    }
  }
  take(w, index, count, &origin);
}

static void watch_free(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                       const void *caller) {
  rf_origin const origin = {site, (uintptr_t)caller, __builtin_frame_address(0)};
  pool_call call;
  watched *w;
  size_t index;
  if (!find_blocks(view, first, count, &w, &index)) {
    return;
  }
  if (index != 0) {
    (void)inspect(w, index - 1, &origin);
  }
  (void)inspect(w, index + count, &origin);
  note(&call, &origin);
  for (size_t i = index; i < index + count; i++) {
    w->blocks[i].released = call;
    fill(w, i, BLOCK_FREED);
  }
}

static const rf_watcher pool_watcher = {
    .begin = watch_begin,
    .begin_static = watch_begin_static,
    .end = watch_end,
    .alloc = watch_alloc,
    .claim = watch_claim,
    .free = watch_free,
};

/* ---- All of them ---- */

rf_status rf_pool_watch_start(const rf_pool_watch_options *options) {
  rf_pool_watch_options_default(&the_options);
  if (options != NULL) {
    rf_reporter *const plain = the_options.reporter;
    the_options = *options;
    the_options.reporter = options->reporter != NULL ? options->reporter : plain;
  }
  __atomic_store_n(&rf_watcher_of_process, &pool_watcher, __ATOMIC_RELEASE);
  return RF_OK;
}

void rf_pool_watch_stop(void) {
  __atomic_store_n(&rf_watcher_of_process, NULL, __ATOMIC_RELEASE);
  rf_mutex_lock(&lock);
  for (watched *w = all; w != NULL; w = w->next) {
    __atomic_store_n(&w->pool, NULL, __ATOMIC_RELEASE);
  }
  rf_mutex_unlock(&lock);
}

size_t rf_pool_watch_sweep(void) {
  size_t count = 0;
  for (watched *w = __atomic_load_n(&all, __ATOMIC_ACQUIRE); w != NULL; w = w->next) {
    if (w->pool != NULL && w->is_static) {
      count += inspect_all(w, RF_NO_ORIGIN);
    }
  }
  return count;
}

#else

rf_status rf_pool_watch_start(const rf_pool_watch_options *options) {
  (void)options;
  return RF_ERR_UNSUPPORTED;
}

void rf_pool_watch_stop(void) {}

size_t rf_pool_watch_sweep(void) {
  return 0;
}

#endif
