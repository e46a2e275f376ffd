/* rf_sample: the decorator over the page store with a fixed number of slots. */
#include "sample_impl.h"

#include <string.h>

#include "checkers/os/stack_walk.h"
#include "lib/core/compiler.h"
#include "sample_pick.h"

/* ---- The thread's own state ---- */

#define PICKS 4U /* countdowns kept, for as many objects; more of them draw anew now and then */

typedef struct thread_pick {
  uint32_t number; /* of the object; 0: none */
  rf_sample_pick pick;
} thread_pick;

typedef struct thread_state {
  /* The last call that went straight to an inner allocator: whose, and from where. If it is refused there, this
   * makes the finding, so that the call itself needs no scope. */
  rf_sample *sample;
  uintptr_t caller;
  const void *ptr;
  thread_pick now;         /* of the object that allocated last */
  thread_pick kept[PICKS]; /* of others; that one's is out of date */
} thread_state;

static RF_THREAD_LOCAL thread_state mine;

/* ---- Picking ---- */

static void begin_pick(rf_sample *sample) {
  uint32_t const ordinal = __atomic_fetch_add(&sample->threads, 1, __ATOMIC_RELAXED);
  mine.now.number = sample->number;
  mine.now.pick.left = 0;
  rf_sample_seed(&mine.now.pick, sample->options.seed + ordinal);
}

static void change_pick(rf_sample *sample) {
  mine.kept[mine.now.number % PICKS] = mine.now;
  mine.now = mine.kept[sample->number % PICKS];
  if (mine.now.number != sample->number) {
    begin_pick(sample);
  }
}

/* False, and nothing counted, where the countdown is at its end or not this object's. */
static inline bool count_down(const rf_sample *sample) {
  if (RF_UNLIKELY(mine.now.number != sample->number || mine.now.pick.left <= 1)) {
    return false;
  }
  mine.now.pick.left--;
  return true;
}

/* True where this allocation is to be sampled; for those that count_down has not counted. */
static bool is_due(rf_sample *sample) {
  if (mine.now.number != sample->number) {
    change_pick(sample);
  }
  return rf_sample_due(&mine.now.pick, sample->options.rate);
}

/* ---- Findings that are not the store's ---- */

/* The operations end in calls, with their caller's address as an argument, of what is rarely done, so that in the
 * common case they are a jump to the inner allocator. Where the compiler made that call a jump as well, this frame is
 * in place of theirs; else it is one further in, from which theirs is found. The frame pointer that it keeps need not
 * lead there: in an operation without a frame it is the program's, which may have a block's address in it. */
#define CALLER ((uintptr_t)__builtin_return_address(0))
#define RF_ORIGIN_SLOW(site, caller) ((rf_origin){(site), (caller), __builtin_frame_address(0)})

/* A refusal of the inner allocator becomes a finding. */
static void report_refusal(const rf_sample *sample, const rf_fault *fault, const rf_origin *origin) {
  rf_finding f;
  rf_finding_begin_refused(&f, fault, sample->inner->ops->name, "sample", origin);
  rf_report(sample->options.reporter, &f);
}

static void call_end(const rf_sample *sample, rf_inner_call *c, const rf_origin *origin) {
  if (rf_inner_call_end(c)) {
    report_refusal(sample, &c->fault, origin);
  }
}

/* The same without a scope, for a call that ends in the inner allocator's. */
static inline void note_call(rf_sample *sample, const void *ptr, uintptr_t caller) {
  mine.sample = sample;
  mine.caller = caller;
  mine.ptr = ptr;
}

/* Allocators have others in them of which nobody knows, but these are handed the same pointer. */
static bool is_of_call(const rf_sample *sample, const rf_fault *fault) {
  rf_allocator *below = sample->inner;
  while (below != NULL && below != fault->allocator) {
    below = rf_inner(below);
  }
  return below == fault->allocator || fault->ptr == mine.ptr;
}

/* True where the call that was noted is still under way, and so the fault its own. */
static bool take_fault(const rf_fault *fault) {
  const rf_sample *const sample = mine.sample;
  const void *frame = NULL;
  if (sample == NULL || !rf_page_store_has_owner(sample) || !is_of_call(sample, fault) ||
      !rf_stack_returns_to(mine.caller, &frame)) { /* the address is nowhere on the stack of this function */
    return false;
  }
  rf_origin const origin = {fault->site, mine.caller, frame};
  report_refusal(sample, fault, &origin);
  return true;
}

void rf_sample_watch_refusals(void) {
  static rf_fault_filter filter = {take_fault, NULL};
  rf_fault_filter_add(&filter);
}

void rf_sample_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  rf_sample *const sample = sample_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  rf_finding f;
  rf_finding_begin_rejected(&f, why, size, detail, sample->inner->ops->name, "sample", &origin);
  rf_report(sample->options.reporter, &f);
  (void)rf_reject_at(sample->inner, why, size, detail, site);
}

/* ---- Sampled blocks ---- */

/* A backing block may lie where the program had a block before: a stale pointer to that one must not free this one. */
static inline bool may_be_backing(const rf_sample *sample, const void *ptr) {
  rf_page_backing const backing_tags = {sample->backing_tags, sample->backing_mask};
  return rf_page_may_be_backing(&backing_tags, ptr);
}

/* False for nearly all that is the inner allocator's affair alone. */
static inline bool needs_slow_path(const rf_sample *sample, const void *ptr) {
  return RF_UNLIKELY(rf_page_may_be(ptr) || may_be_backing(sample, ptr));
}

/* Pages for the block at `inner`, or that block itself. */
static void *put_on_pages(const rf_sample *sample, void *inner, size_t size, size_t align, const rf_origin *origin) {
  rf_page_request const request = {.size = size, .align = align, .backing = inner};
  void *const p = rf_page_store_alloc(sample->store, &request, origin);
  return p != NULL ? p : inner;
}

static rf_status take_off_pages(const rf_sample *sample, void *ptr, const rf_origin *origin, rf_page_block *freed) {
  return rf_page_store_free(sample->store, ptr, RF_FAMILY_MALLOC, SIZE_MAX, origin, freed);
}

RF_RARE static void *alloc_slow(rf_sample *sample, size_t size, size_t align, const rf_site *site, uintptr_t caller) {
  rf_origin const origin = RF_ORIGIN_SLOW(site, caller);
  bool const due = is_due(sample);
  void *const p = sample->inner->ops->alloc(sample->inner, size, align, site);
  return due && p != NULL ? put_on_pages(sample, p, size, align, &origin) : p;
}

void *rf_sample_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_sample *const sample = sample_of(self);
  if (RF_UNLIKELY(!count_down(sample))) {
    return alloc_slow(sample, size, align, site, CALLER);
  }
  return sample->inner->ops->alloc(sample->inner, size, align, site);
}

static rf_status report_backing_block(const rf_sample *sample, const void *ptr, const rf_origin *origin) {
  rf_finding f;
  rf_finding_begin(&f, RF_BUG_DOUBLE_FREE, RF_ACCESS_FREE, ptr, sample->inner->ops->name, "sample", origin);
  f.detail = "the block was freed or moved, and its memory now stands for a sampled block";
  rf_report(sample->options.reporter, &f);
  return RF_ERR_NOT_ALLOCATED;
}

/* Refuses pointers that the allocator below must not get: blocks on pages of another store, and backing blocks. RF_OK
 * where it may have the pointer. */
static rf_status refuse_foreign(const rf_sample *sample, const void *ptr, const rf_origin *origin) {
  rf_status status = RF_OK;
  if (rf_page_may_be(ptr)) {
    status = rf_page_store_refuse_others(sample->store, sample->inner, ptr, origin);
  }
  if (status == RF_OK && sample_is_backing(sample, ptr)) {
    status = report_backing_block(sample, ptr, origin);
  }
  return status;
}

rf_status rf_sample_free_inner(const rf_sample *sample, void *ptr, const rf_origin *origin) {
  rf_inner_call c;
  rf_inner_call_begin(&c);
  rf_status const status = sample->inner->ops->free(sample->inner, ptr, origin->site);
  call_end(sample, &c, origin);
  return status;
}

static rf_status free_sampled(const rf_sample *sample, void *ptr, const rf_origin *origin) {
  rf_page_block freed;
  rf_status const status = take_off_pages(sample, ptr, origin, &freed);
  return status == RF_OK ? rf_sample_free_inner(sample, freed.backing, origin) : status;
}

RF_RARE static rf_status free_slow(const rf_sample *sample, void *ptr, const rf_site *site, uintptr_t caller) {
  rf_origin const origin = RF_ORIGIN_SLOW(site, caller);
  if (sample_has_pages(sample, ptr)) {
    return free_sampled(sample, ptr, &origin);
  }
  rf_status const status = refuse_foreign(sample, ptr, &origin);
  return status != RF_OK ? status : rf_sample_free_inner(sample, ptr, &origin);
}

rf_status rf_sample_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_sample *const sample = sample_of(self);
  if (needs_slow_path(sample, ptr)) {
    return free_slow(sample, ptr, site, CALLER);
  }
  note_call(sample, ptr, CALLER);
  return sample->inner->ops->free(sample->inner, ptr, site);
}

/* ---- Realloc ---- */

/* The step that can fail comes first, and can be undone. */
static rf_status resize_sampled(rf_sample *sample, void *ptr, size_t size, const rf_origin *origin) {
  rf_page_block block;
  if (!rf_page_store_find(sample->store, ptr, &block)) {
    return rf_page_store_refuse(sample->store, ptr, origin);
  }
  if (size <= block.size) {
    rf_status const shrunk = rf_resize_at(sample->inner, block.backing, size, origin->site);
    return shrunk == RF_OK ? rf_page_store_resize(sample->store, ptr, size, origin) : shrunk;
  }
  if (size > sample->options.largest) {
    return RF_ERR_NO_MEMORY; /* pages for it would be missed by the other slots */
  }
  rf_status status = rf_page_store_resize(sample->store, ptr, size, origin);
  if (status == RF_OK) {
    status = rf_resize_at(sample->inner, block.backing, size, origin->site);
    if (status != RF_OK) {
      (void)rf_page_store_resize(sample->store, ptr, block.size, origin);
    }
  }
  return status;
}

static void *realloc_inner(rf_sample *sample, void *ptr, size_t size, size_t align, const rf_origin *origin) {
  rf_inner_call c;
  rf_inner_call_begin(&c);
  void *const p = rf_realloc_at(sample->inner, ptr, size, align, origin->site);
  call_end(sample, &c, origin);
  return p;
}

/* A sampled block moves: to other pages if it is their turn, else to what stood for it. It stays where it is aligned
 * and that one is not, which could cost memory that is not there. */
static void *realloc_sampled(rf_sample *sample, void *ptr, size_t size, size_t align, bool due,
                             const rf_origin *origin) {
  rf_page_block block;
  if (!rf_page_store_find(sample->store, ptr, &block)) {
    (void)rf_page_store_refuse(sample->store, ptr, origin);
    return NULL;
  }
  bool const only_here = rf_is_aligned(ptr, align) && !rf_is_aligned(block.backing, align);
  if (only_here && resize_sampled(sample, ptr, size, origin) == RF_OK) {
    return ptr;
  }
  /* The backing block is freed in there, and may at once be another thread's. */
  rf_page_store_set_backing(sample->store, ptr, NULL);
  void *const inner = realloc_inner(sample, block.backing, size, align, origin);
  if (inner == NULL) {
    rf_page_store_set_backing(sample->store, ptr, block.backing);
    return NULL;
  }
  void *const moved = due ? put_on_pages(sample, inner, size, align, origin) : inner;
  memcpy(moved, ptr, block.size < size ? block.size : size);
  (void)take_off_pages(sample, ptr, origin, &block);
  return moved;
}

RF_RARE static void *realloc_slow(rf_sample *sample, void *ptr, size_t size, size_t align, const rf_site *site,
                                  uintptr_t caller) {
  rf_origin const origin = RF_ORIGIN_SLOW(site, caller);
  bool const due = !count_down(sample) && is_due(sample);
  if (sample_has_pages(sample, ptr)) {
    return realloc_sampled(sample, ptr, size, align, due, &origin);
  }
  if (refuse_foreign(sample, ptr, &origin) != RF_OK) {
    return NULL;
  }
  void *const p = realloc_inner(sample, ptr, size, align, &origin);
  if (p == NULL || !due) {
    return p;
  }
  void *const sampled = put_on_pages(sample, p, size, align, &origin);
  if (sampled != p) {
    memcpy(sampled, p, size);
  }
  return sampled;
}

void *rf_sample_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_sample *const sample = sample_of(self);
  rf_allocator *const inner = sample->inner;
  if (needs_slow_path(sample, ptr) || RF_UNLIKELY(!count_down(sample))) {
    return realloc_slow(sample, ptr, size, align, site, CALLER);
  }
  note_call(sample, ptr, CALLER);
  return RF_LIKELY(inner->ops->realloc != NULL) ? inner->ops->realloc(inner, ptr, size, align, site)
                                                : rf_realloc_at(inner, ptr, size, align, site);
}

rf_status rf_sample_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_sample *const sample = sample_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  rf_inner_call c;
  if (sample_has_pages(sample, ptr)) {
    return resize_sampled(sample, ptr, size, &origin);
  }
  rf_status const refused = refuse_foreign(sample, ptr, &origin);
  if (refused != RF_OK) {
    return refused;
  }
  rf_inner_call_begin(&c);
  rf_status const status = rf_resize_at(sample->inner, ptr, size, site);
  call_end(sample, &c, &origin);
  return status;
}
