/* Blocks of the drop-in on pages of their own: all of them in mode page, some in mode sample, a few in mode guard, as
 * far as there is room. The rest are the heap's.
 *
 * Guard looks at one allocation in `watch`, by lot, and at the one that follows each stack that is new to the process;
 * it takes those whose path to malloc was not watched yet, and some of the others, as time allows: together below a
 * hundredth of the process's time. With a seed it takes all that it looks at. The option `raise` and a policy
 * (steer.h) change how often, and the table of sites (runtime/site_choice.h) which.
 *
 * Any thread, and signal handlers.
 */
#ifndef RINGFENCE_DROPIN_GUARDED_BLOCKS_H
#define RINGFENCE_DROPIN_GUARDED_BLOCKS_H

#include "checkers/page/page_store.h"
#include "checkers/page/sample_pick.h"

#include <ringfence/guard.h>
#include <ringfence/options.h>

#include "lib/core/compiler.h"

typedef struct rf_guarded_blocks_state {
  rf_reporter *reporter;
  uint32_t rate;        /* one allocation in so many gets pages; 0: none; 1: each */
  rf_page_store *store; /* NULL: none */
  bool keeps_alignment; /* only where it was named */
} rf_guarded_blocks_state;

extern rf_guarded_blocks_state rf_guarded_blocks __attribute__((visibility("hidden")));
extern RF_THREAD_LOCAL rf_sample_pick rf_guarded_blocks_pick __attribute__((visibility("hidden")));

/* The next allocation of this thread that may be due is so many away; 0 and less: it has come. */
extern RF_THREAD_LOCAL int32_t rf_guarded_blocks_left __attribute__((visibility("hidden")));

/* This thread's countdown has come to its end: true where it is this allocation's turn by lot. Sets *left to how far
 * away the next end is. */
bool rf_guarded_blocks_draw(int32_t *left);

/* Counts an allocation. True where it is certain that it gets no pages. */
static inline bool rf_guarded_blocks_passes(void) {
  if (__builtin_expect(--rf_guarded_blocks_left > 0, 1)) {
    return true;
  }
  rf_guarded_blocks_left = 0;
  return false;
}

/* After that: true where the allocation is to get pages of its own. */
bool rf_guarded_blocks_due(const rf_origin *origin);

/* True where call sites are all alike, or the table of sites (runtime/site_choice.h) wants that of `caller`. For
 * allocations that are due by lot. */
bool rf_guarded_blocks_want_site(const rf_origin *caller);

/* Opens the store, as the options say. Findings go to `reporter`. */
void rf_guarded_blocks_begin(const rf_options *options, rf_stack_depot *depot, rf_reporter *reporter);

/* A block on pages; NULL where it is to be the heap's. */
void *rf_guarded_blocks_alloc(const rf_page_request *request, const rf_origin *origin);

/* The alignment to ask for where the program names `align`, which is small: with align=exact and align=1 that of malloc
 * is given up. */
static inline size_t rf_guarded_blocks_align(size_t align) {
  size_t const least = rf_guarded_blocks.keeps_alignment ? 2 * RF_ALIGN_DEFAULT : RF_ALIGN_DEFAULT;
  return align < least ? least : align;
}

/* True where `ptr` lies among pages. Never looks at the memory. */
bool rf_guarded_blocks_own(const void *ptr);

/* For owned blocks only. */
void rf_guarded_blocks_free(void *ptr, rf_family family, size_t size, const rf_origin *origin);
bool rf_guarded_blocks_usable_size(const void *ptr, size_t *size);

/* The block that was freed at `ptr`, or that it lies in, becomes the finding's. */
void rf_guarded_blocks_tell_of(const void *ptr, rf_finding *f);

/* The block in place, or elsewhere on pages or (NULL from here, *size its old one) to be moved by the caller to the
 * heap. False where no block starts at `ptr`, which was reported. */
bool rf_guarded_blocks_realloc(void *ptr, size_t size, const rf_origin *origin, void **moved, size_t *old_size);

/* Checks slack. `origin`: the call that asked for it. Returns the number of findings. */
size_t rf_guarded_blocks_sweep(uint64_t budget_ns, const rf_origin *origin);

/* All zero where there is no store. */
void rf_guarded_blocks_figures(rf_page_figures *out);

/* The same without a lock, for a process that ends: another thread may hold it for good. */
void rf_guarded_blocks_figures_unlocked(rf_page_figures *out);

/* In mode page, how many blocks got no pages: `heap` has what the heap has served or refused. 0 in other modes. */
uint64_t rf_guarded_blocks_unpaged(const rf_page_figures *figures, const rf_counters *heap);

/* The program has installed a handler of faults: ours goes in front of it now, for the next block may be too late. Any
 * thread, and signal handlers. */
void rf_guarded_blocks_handlers_changed(void);

/* In the child of a fork. */
void rf_guarded_blocks_forked(void);

/* In the child of a process of several threads: what lives now may have been held by threads that are gone. */
void rf_guarded_blocks_inherit(void);

/* True where the block was there before that. */
bool rf_guarded_blocks_inherited(const rf_page_block *block);

#endif /* RINGFENCE_DROPIN_GUARDED_BLOCKS_H */
