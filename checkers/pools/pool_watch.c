/* The checker of pools: which are watched, and how their blocks come and go. */
#include "pool_watch_impl.h"

#include <ringfence/block.h>
#include <ringfence/port.h>
#include <string.h>

#include "checkers/os/host.h"

#define FILL_DEFAULT ((size_t)64 * 1024)

void rf_pool_watch_options_default(rf_pool_watch_options *options) {
  *options = (rf_pool_watch_options){rf_reporter_plain(), "guard", FILL_DEFAULT};
}

#if RF_WATCH

/* ---- The pools ---- */

static rf_pool_watched *all; /* grows at the front, never shrinks: read without a lock */
static rf_mutex lock;        /* of making and ending; zeroed static storage is a mutex on the ports at hand */
rf_pool_watch_options rf_pool_watch_options_now;

static rf_pool_watched *find(const void *pool) {
  rf_pool_watched *w = __atomic_load_n(&all, __ATOMIC_ACQUIRE);
  while (w != NULL && __atomic_load_n(&w->pool, __ATOMIC_ACQUIRE) != pool) {
    w = w->next;
  }
  return w;
}

/* NULL where the pool is not watched, or not as it was when it began. */
static rf_pool_watched *find_same(const rf_watched_pool *view) {
  rf_pool_watched *const w = find(view->pool);
  bool const same = w != NULL && w->view.start == view->start && w->view.num_blocks == view->num_blocks &&
                    w->view.stride == view->stride;
  return same ? w : NULL;
}

/* ---- Pools that begin and end ---- */

static bool overlaps(const rf_watched_pool *a, const rf_watched_pool *b) {
  uintptr_t const a_start = (uintptr_t)a->start;
  uintptr_t const b_start = (uintptr_t)b->start;
  return a_start < b_start + rf_pool_span_of(b) && b_start < a_start + rf_pool_span_of(a);
}

/* Whether the new pool lies in blocks of `w` that the program has. */
static bool lies_in_live_blocks(const rf_pool_watched *w, const rf_watched_pool *view) {
  size_t const offset = (uintptr_t)view->start - (uintptr_t)w->view.start;
  if ((uintptr_t)view->start < (uintptr_t)w->view.start || offset + rf_pool_span_of(view) > rf_pool_span_of(&w->view)) {
    return false;
  }
  for (size_t i = offset / w->view.stride; i <= (offset + rf_pool_span_of(view) - 1) / w->view.stride; i++) {
    if (!rf_pool_is_live(w, i)) {
      return false;
    }
  }
  return true;
}

/* Forgets pools that are not any more, though nobody ended them: where the new one is. */
static void forget_former(const rf_watched_pool *view) {
  for (rf_pool_watched *w = all; w != NULL; w = w->next) {
    bool const used = w->pool != NULL;
    if (used && (w->pool == view->pool || (overlaps(&w->view, view) && !lies_in_live_blocks(w, view)))) {
      __atomic_store_n(&w->pool, NULL, __ATOMIC_RELEASE);
    }
  }
}

static rf_pool_watched *room_for(size_t num_blocks) {
  rf_pool_watched *w = all;
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
  if (!rf_mul(capacity, sizeof(rf_pool_block), &bytes) || !rf_add(bytes, sizeof *w, &bytes)) {
    return NULL;
  }
  w = (rf_pool_watched *)rf_host_map(bytes);
  if (w != NULL) {
    w->capacity = capacity;
    w->next = all;
    __atomic_store_n(&all, w, __ATOMIC_RELEASE);
  }
  return w;
}

/* Blocks of memblocks may be memory that this processor cannot reach. */
static bool can_be_watched(const rf_watched_pool *view) {
  return view->num_blocks != 0 && (!view->may_claim || rf_host_readable(view->start, rf_pool_span_of(view)));
}

static void add(const rf_watched_pool *view, bool is_static) {
  rf_mutex_lock(&lock);
  forget_former(view);
  rf_pool_watched *const w = can_be_watched(view) ? room_for(view->num_blocks) : NULL;
  if (w != NULL) {
    w->view = *view;
    w->is_static = is_static;
    for (size_t i = 0; i < view->num_blocks; i++) {
      w->blocks[i].state = RF_POOL_BLOCK_UNKNOWN;
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

/* The linker's. */
extern char __data_start[] __attribute__((weak));
extern char _end[] __attribute__((weak));

/* The program itself, from its data on; not known of libraries. */
static bool is_in_program(const void *p) {
  return __data_start != NULL && _end != NULL && (uintptr_t)p >= (uintptr_t)__data_start &&
         (uintptr_t)p < (uintptr_t)_end;
}

static void watch_begin_static(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                               const void *caller) {
  (void)first;
  (void)count;
  (void)site;
  (void)caller;
  const rf_pool_watched *const w = find(view->pool);
  bool const was_made = w != NULL && !w->is_static; /* by a call, and this is its first use */
  add(view, !was_made && is_in_program(view->pool) && is_in_program(view->start) &&
                is_in_program(view->start + rf_pool_span_of(view) - 1));
}

static void watch_end(const rf_watched_pool *view, void *first, size_t count, const rf_site *site, const void *caller) {
  (void)first;
  (void)count;
  rf_origin const origin = {site, (uintptr_t)caller, __builtin_frame_address(0)};
  rf_pool_watched *const w = find_same(view);
  if (w != NULL) {
    (void)rf_pool_inspect_all(w, &origin);
    __atomic_store_n(&w->pool, NULL, __ATOMIC_RELEASE);
  }
}

/* ---- Blocks that are taken and given back; under the pool's lock ---- */

/* Stacks begin with the caller of the pool; without frame pointers they are no more than that. */
static void note(rf_pool_call *call, const rf_origin *origin) {
  uintptr_t frames[2 * RF_POOL_FRAMES];
  unsigned const found = rf_stack_capture(&(rf_origin){NULL, (uintptr_t)__builtin_return_address(0), origin->frame},
                                          frames, 2 * RF_POOL_FRAMES);
  unsigned first = 0;
  while (first < found && frames[first] != origin->caller) {
    first++;
  }
  unsigned const depth = found - first < RF_POOL_FRAMES ? found - first : RF_POOL_FRAMES;
  call->site = origin->site;
  call->thread = rf_port_thread_id();
  call->frames[0] = origin->caller;
  call->depth = origin->caller != 0 ? 1 : 0;
  if (depth > 1) {
    memcpy(call->frames, frames + first, depth * sizeof frames[0]);
    call->depth = depth;
  }
}

static bool find_blocks(const rf_watched_pool *view, const void *first, size_t count, rf_pool_watched **w,
                        size_t *index) {
  *w = find_same(view);
  if (*w == NULL) {
    return false;
  }
  *index = ((uintptr_t)first - (uintptr_t)view->start) / view->stride;
  return *index < view->num_blocks && count <= view->num_blocks - *index;
}

/* So that an overflow is seen on the other side of it. Memory that may hold what is to be claimed is filled only where
 * it is zero, which a claim restores. */
static void arm(rf_pool_watched *w, size_t index) {
  if (index >= w->view.num_blocks || w->blocks[index].state != RF_POOL_BLOCK_UNKNOWN) {
    return;
  }
  if (!w->view.may_claim || rf_pattern_holds(rf_pool_block_at(w, index), rf_pool_fill_now(w), 0)) {
    rf_pool_fill(w, index, RF_POOL_BLOCK_READY);
  }
}

/* Looks at the freed block behind those that are about to be taken: later, a write to its start would count as an
 * overflow of the last of them. */
static void inspect_behind(rf_pool_watched *w, size_t index, const rf_origin *origin) {
  if (index >= w->view.num_blocks || w->blocks[index].state != RF_POOL_BLOCK_FREED) {
    return;
  }
  rf_pattern_area const area = rf_pool_area_of(w, index);
  if (area.size != 0 && *area.at != area.byte) {
    (void)rf_pool_inspect(w, index, origin);
  }
}

static void take(rf_pool_watched *w, size_t index, size_t count, const rf_origin *origin) {
  rf_pool_call call;
  note(&call, origin);
  inspect_behind(w, index + count, origin);
  for (size_t i = index; i < index + count; i++) {
    w->blocks[i].state = RF_POOL_BLOCK_LIVE;
    w->blocks[i].allocated = call;
  }
  arm(w, index + count);
}

static void watch_alloc(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                        const void *caller) {
  rf_origin const origin = {site, (uintptr_t)caller, __builtin_frame_address(0)};
  rf_pool_watched *w;
  size_t index;
  if (find_blocks(view, first, count, &w, &index)) {
    for (size_t i = index; i < index + count; i++) {
      (void)rf_pool_inspect(w, i, &origin);
    }
    take(w, index, count, &origin);
  }
}

/* Blocks that were never out get their zeros back: the owner of a mailbox may look at them. */
static void watch_claim(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                        const void *caller) {
  rf_origin const origin = {site, (uintptr_t)caller, __builtin_frame_address(0)};
  rf_pool_watched *w;
  size_t index;
  if (!find_blocks(view, first, count, &w, &index)) {
    return;
  }
  for (size_t i = index; i < index + count; i++) {
    if (w->blocks[i].state != RF_POOL_BLOCK_READY) {
      (void)rf_pool_inspect(w, i, &origin);
      continue;
    }
    rf_pattern_area const area = rf_pool_area_of(w, i);
    for (size_t at = 0; at < area.size; at++) {
      area.at[at] = area.at[at] == area.byte ? 0 : area.at[at];
    }
  }
  take(w, index, count, &origin);
}

static void watch_free(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                       const void *caller) {
  rf_origin const origin = {site, (uintptr_t)caller, __builtin_frame_address(0)};
  rf_pool_call call;
  rf_pool_watched *w;
  size_t index;
  if (!find_blocks(view, first, count, &w, &index)) {
    return;
  }
  if (index != 0) {
    (void)rf_pool_inspect(w, index - 1, &origin);
  }
  (void)rf_pool_inspect(w, index + count, &origin);
  note(&call, &origin);
  for (size_t i = index; i < index + count; i++) {
    w->blocks[i].released = call;
    rf_pool_fill(w, i, RF_POOL_BLOCK_FREED);
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
  rf_pool_watch_options_default(&rf_pool_watch_options_now);
  if (options != NULL) {
    rf_reporter *const plain = rf_pool_watch_options_now.reporter;
    rf_pool_watch_options_now = *options;
    rf_pool_watch_options_now.reporter = options->reporter != NULL ? options->reporter : plain;
  }
  __atomic_store_n(&rf_watcher_of_process, &pool_watcher, __ATOMIC_RELEASE);
  return RF_OK;
}

void rf_pool_watch_stop(void) {
  __atomic_store_n(&rf_watcher_of_process, NULL, __ATOMIC_RELEASE);
  rf_mutex_lock(&lock);
  for (rf_pool_watched *w = all; w != NULL; w = w->next) {
    __atomic_store_n(&w->pool, NULL, __ATOMIC_RELEASE);
  }
  rf_mutex_unlock(&lock);
}

size_t rf_pool_watch_sweep(void) {
  size_t count = 0;
  for (rf_pool_watched *w = __atomic_load_n(&all, __ATOMIC_ACQUIRE); w != NULL; w = w->next) {
    if (w->pool != NULL && w->is_static) {
      count += rf_pool_inspect_all(w, RF_NO_ORIGIN);
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
