#include "growing_heap.h"

#include "checkers/dropin/os/pages.h"

#include <ringfence/fault.h>
#include <ringfence/track.h>

#include "lib/core/compiler.h"
#include "lib/heaps/tlsf/salvage.h"

#define MIN_REGION RF_REGION_ALIGN
/* In one region everything is found at the first look, and what is not touched costs nothing but address space. */
#define FIRST_REGION (sizeof(size_t) > 4 ? 8 * MIN_REGION : MIN_REGION)
#define MAX_REGION ((size_t)64 << 20)
#define EMPTY_KEPT ((size_t)4 << 20)
#define REGION_OVERHEAD ((size_t)64 * 1024) /* of tlsf's tables, in a region just large enough: generous */

static rf_growing_heap *growing_heap_of(rf_allocator *self) {
  return (rf_growing_heap *)self;
}

static bool is_in(const rf_region *region, const rf_growing_heap *heap, const void *ptr) {
  return (uintptr_t)ptr - region->base < region->size && region->heap == heap;
}

static rf_region *find_region(const rf_growing_heap *heap, const void *ptr) {
  rf_region *const region = rf_region_find((uintptr_t)ptr);
  return region != NULL && region->heap == heap ? region : NULL;
}

/* Descriptors stay readable after their regions are gone, so the one that served last can be asked first. */
RF_RARE static rf_region *find_other_region(rf_growing_heap *heap, const void *ptr) {
  rf_region *const region = find_region(heap, ptr);
  if (region != NULL) {
    heap->recent = region;
  }
  return region;
}

static inline rf_region *region_of(rf_growing_heap *heap, const void *ptr) {
  rf_region *const recent = heap->recent;
  return RF_LIKELY(recent != NULL && is_in(recent, heap, ptr)) ? recent : find_other_region(heap, ptr);
}

/* ---- Counting: tlsf does it for its blocks; peaks of both kinds together are noted while there are big ones ---- */

static void note_peaks(rf_growing_heap *heap) {
  size_t const used = rf_growing_heap_used(heap);
  size_t const blocks = heap->big_blocks + heap->tlsf.counters.blocks;
  heap->peak = used > heap->peak ? used : heap->peak;
  heap->peak_blocks = blocks > heap->peak_blocks ? blocks : heap->peak_blocks;
}

static inline void note_peaks_if_big(rf_growing_heap *heap) {
  if (RF_UNLIKELY(heap->big_blocks != 0)) {
    note_peaks(heap);
  }
}

/* Before the first region the tlsf is all zero. */
rf_counters rf_growing_heap_counters(const rf_growing_heap *heap) {
  const rf_counters *const small = &heap->tlsf.counters;
  return (rf_counters){
      .used = rf_growing_heap_used(heap),
      .peak = small->peak > heap->peak ? small->peak : heap->peak,
      .blocks = small->blocks + heap->big_blocks,
      .peak_blocks = small->peak_blocks > heap->peak_blocks ? small->peak_blocks : heap->peak_blocks,
      .allocations = small->allocations + heap->big_allocations,
      .failures = heap->failures,
  };
}

/* ---- Regions for tlsf ---- */

static bool enter_tlsf(rf_growing_heap *heap, rf_region *region) {
  void *const memory = (void *)region->base;
  rf_status const status = heap->first != NULL ? rf_tlsf_add_region(&heap->tlsf, memory, region->size)
                                               : rf_tlsf_init(&heap->tlsf, memory, region->size);
  if (status != RF_OK) {
    rf_region_unmap(region);
    return false;
  }
  if (heap->first == NULL) {
    heap->first = region;
  }
  heap->heap_bytes += region->size;
  heap->empty_bytes += region->size;
  return true;
}

static size_t whole_regions(size_t size) {
  return (size + MIN_REGION - 1) & ~(MIN_REGION - 1);
}

/* Adds a region in which a block of `size` at `align`, both below RF_BIG_BLOCK, fits: as large as the plan says, or
 * what the system still has. */
static bool grow(rf_growing_heap *heap, size_t size, size_t align) {
  size_t const least = whole_regions(size + align + REGION_OVERHEAD);
  size_t want = heap->next_size > least ? heap->next_size : least;
  rf_region *region = rf_region_map(heap, RF_REGION_HEAP, want, 1, 0);
  while (region == NULL && want > least) {
    want = want / 2 > least ? rf_round_down(want / 2, MIN_REGION) : least;
    region = rf_region_map(heap, RF_REGION_HEAP, want, 1, 0);
  }
  if (region == NULL || !enter_tlsf(heap, region)) {
    return false;
  }
  size_t const half = rf_round_down(heap->heap_bytes / 2, MIN_REGION);
  heap->next_size = half < MIN_REGION ? MIN_REGION : half > MAX_REGION ? MAX_REGION : half;
  return true;
}

/* A region in which nothing lives goes back, unless little of the heap is empty: it may be needed again at once. */
RF_RARE static void region_emptied(rf_growing_heap *heap, rf_region *region) {
  heap->empty_bytes += region->size;
  if (region == heap->first || heap->empty_bytes <= heap->heap_bytes / 4 + EMPTY_KEPT) {
    return;
  }
  if (rf_tlsf_remove_region(&heap->tlsf, (void *)region->base) == RF_OK) {
    heap->heap_bytes -= region->size;
    heap->empty_bytes -= region->size;
    rf_region_unmap(region);
  }
}

/* From the regions that there are. */
static inline void *small_alloc(rf_growing_heap *heap, size_t size, size_t align, const rf_site *site) {
  void *const p = heap->tlsf.base.ops->alloc(&heap->tlsf.base, size, align, site);
  if (RF_UNLIKELY(p == NULL)) {
    return NULL;
  }
  rf_region *const region = region_of(heap, p);
  if (RF_UNLIKELY(region->blocks++ == 0)) {
    heap->empty_bytes -= region->size;
  }
  note_peaks_if_big(heap);
  return p;
}

static inline rf_status small_free(rf_growing_heap *heap, rf_region *region, void *ptr, const rf_site *site) {
  rf_status const status = heap->tlsf.base.ops->free(&heap->tlsf.base, ptr, site);
  if (RF_LIKELY(status == RF_OK) && RF_UNLIKELY(--region->blocks == 0)) {
    region_emptied(heap, region);
  }
  return status;
}

/* ---- Big regions that are kept ---- */

static void unlink_kept(rf_growing_heap *heap, rf_region *region) {
  *(region->previous != NULL ? &region->previous->next : &heap->kept) = region->next;
  *(region->next != NULL ? &region->next->previous : &heap->kept_last) = region->previous;
  heap->kept_bytes -= region->size;
  heap->kept_count--;
}

static void give_up(rf_growing_heap *heap, rf_region *region) {
  if (heap->leaving != NULL) {
    heap->leaving(heap, (const void *)region->base, region->size);
  }
  rf_region_unmap(region);
}

static void release_oldest_kept(rf_growing_heap *heap) {
  rf_region *const oldest = heap->kept_last;
  unlink_kept(heap, oldest);
  give_up(heap, oldest);
}

static void keep(rf_growing_heap *heap, rf_region *region) {
  if (region->size > RF_KEPT_BYTES) {
    give_up(heap, region);
    return;
  }
  while (heap->kept_count == RF_KEPT_REGIONS || heap->kept_bytes + region->size > RF_KEPT_BYTES) {
    release_oldest_kept(heap);
  }
  region->previous = NULL;
  region->next = heap->kept;
  *(heap->kept != NULL ? &heap->kept->previous : &heap->kept_last) = region;
  heap->kept = region;
  heap->kept_bytes += region->size;
  heap->kept_count++;
}

/* The newest kept region that fits without wasting more than half. */
static rf_region *take_kept(rf_growing_heap *heap, size_t size, size_t align) {
  for (rf_region *region = heap->kept; region != NULL; region = region->next) {
    if (region->size >= size && region->size / 2 <= size && (region->base & (align - 1)) == 0) {
      unlink_kept(heap, region);
      region->fresh = false;
      return region;
    }
  }
  return NULL;
}

/* ---- Big blocks ---- */

static void link_big(rf_growing_heap *heap, rf_region *region) {
  region->previous = NULL;
  region->next = heap->big;
  if (heap->big != NULL) {
    heap->big->previous = region;
  }
  heap->big = region;
}

static void unlink_big(rf_growing_heap *heap, rf_region *region) {
  *(region->previous != NULL ? &region->previous->next : &heap->big) = region->next;
  if (region->next != NULL) {
    region->next->previous = region->previous;
  }
}

/* `size` may be 0, where the alignment is big: a page all the same. */
static rf_region *get_big_region(rf_growing_heap *heap, size_t size, size_t align) {
  size_t const needed = size != 0 ? size : 1;
  size_t const room = heap->growing && sizeof(size_t) > 4 ? needed : 0;
  rf_region *region = heap->growing ? NULL : take_kept(heap, needed, align);
  if (region == NULL) {
    region = rf_region_map(heap, RF_REGION_BIG, needed, align, room);
  }
  if (region == NULL && rf_growing_heap_trim(heap) != 0) {
    region = rf_region_map(heap, RF_REGION_BIG, needed, align, 0);
  }
  return region;
}

static void *big_alloc(rf_growing_heap *heap, size_t size, size_t align) {
  rf_region *const region = get_big_region(heap, size, align);
  if (region == NULL) {
    return NULL;
  }
  region->blocks = 1;
  region->block_size = size;
  link_big(heap, region);
  heap->big_bytes += region->size;
  heap->big_used += size;
  heap->big_blocks++;
  heap->big_allocations++;
  note_peaks(heap);
  return (void *)region->base;
}

static bool is_big_block(const rf_region *region, const void *ptr) {
  return region->kind == RF_REGION_BIG && region->blocks == 1 && region->base == (uintptr_t)ptr;
}

static rf_status refuse(rf_growing_heap *heap, const rf_region *region, const void *ptr, const rf_site *site) {
  bool const kept = region != NULL && region->blocks == 0 && region->base == (uintptr_t)ptr;
  bool const freed = kept || (region != NULL && region->kind == RF_REGION_ABANDONED);
  return rf_fault_refuse(&heap->base, freed ? RF_ERR_NOT_ALLOCATED : RF_ERR_BAD_POINTER, NULL, ptr, site);
}

static void big_free(rf_growing_heap *heap, rf_region *region) {
  unlink_big(heap, region);
  heap->big_bytes -= region->size;
  heap->big_used -= region->block_size;
  heap->big_blocks--;
  region->blocks = 0;
  keep(heap, region);
}

/* In place, within the region or by growing it; what a smaller block no longer needs goes back. */
static rf_status big_resize(rf_growing_heap *heap, rf_region *region, size_t size) {
  size_t const before = region->size;
  if (size > before && !rf_region_extend(region, size)) {
    return RF_ERR_NO_MEMORY;
  }
  if (size < before && before - size >= RF_BIG_BLOCK / 2) {
    rf_region_trim(region, size);
  }
  heap->big_bytes = heap->big_bytes - before + region->size;
  heap->big_used = heap->big_used - region->block_size + size;
  region->block_size = size;
  note_peaks(heap);
  return RF_OK;
}

/* ---- Regions of a tlsf that was damaged: listed and counted with the big blocks ---- */

static rf_tlsf_salvage salvage_of(const rf_region *region) {
  return (rf_tlsf_salvage){(void *)region->base, region->size, region->first};
}

static bool find_abandoned(const rf_region *region, const void *ptr, rf_block *block) {
  rf_tlsf_salvage const memory = salvage_of(region);
  return region->kind == RF_REGION_ABANDONED && rf_tlsf_salvage_find(&memory, ptr, block);
}

static void unmap_abandoned(rf_region *region) {
  rf_track_arena_end((void *)region->base, region->size);
  rf_region_unmap(region);
}

static void free_abandoned(rf_growing_heap *heap, rf_region *region, const rf_block *block) {
  rf_tlsf_salvage const memory = salvage_of(region);
  rf_tlsf_salvage_free(&memory, block->ptr);
  heap->big_blocks--;
  heap->big_used -= block->size < heap->big_used ? block->size : heap->big_used;
  if (--region->blocks == 0) {
    unlink_big(heap, region);
    heap->big_bytes -= region->size;
    unmap_abandoned(region);
  }
}

static void abandon_region(rf_growing_heap *heap, rf_region *region) {
  if (region->blocks == 0) {
    unmap_abandoned(region);
    return;
  }
  region->kind = RF_REGION_ABANDONED;
  region->first = region == heap->first;
  link_big(heap, region);
  heap->big_bytes += region->size;
}

/* Other heaps may map and unmap meanwhile: a descriptor that was recycled must not lead back. */
static void abandon_regions(rf_growing_heap *heap) {
  uintptr_t at = 0;
  for (rf_region *region = rf_region_above(at); region != NULL; region = rf_region_above(at)) {
    uintptr_t const end = region->base + region->size;
    at = end > at ? end : at + RF_REGION_ALIGN;
    if (region->heap == heap && region->kind == RF_REGION_HEAP) {
      abandon_region(heap, region);
    }
  }
}

bool rf_growing_heap_recover(rf_growing_heap *heap) {
  rf_fault where;
  if (heap->first == NULL || rf_check(&heap->tlsf.base, &where) == RF_OK) {
    return false;
  }
  rf_counters const counters = rf_growing_heap_counters(heap);
  heap->big_used = counters.used;
  heap->big_blocks = counters.blocks;
  heap->big_allocations = counters.allocations;
  heap->peak = counters.peak;
  heap->peak_blocks = counters.peak_blocks;
  abandon_regions(heap);
  heap->tlsf = (rf_tlsf){0};
  heap->first = NULL;
  heap->heap_bytes = 0;
  heap->empty_bytes = 0;
  heap->next_size = MIN_REGION;
  return true;
}

/* ---- Operations ---- */

static inline bool is_big(size_t size, size_t align) {
  return size >= RF_BIG_BLOCK || align >= RF_BIG_BLOCK - size;
}

RF_RARE static void *alloc_from_system(rf_growing_heap *heap, size_t size, size_t align, const rf_site *site) {
  void *p = NULL;
  if (is_big(size, align)) {
    p = big_alloc(heap, size, align);
  } else if (grow(heap, size, align)) {
    p = small_alloc(heap, size, align, site);
  }
  heap->failures += p == NULL ? 1 : 0;
  return p;
}

static void *growing_heap_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_growing_heap *const heap = growing_heap_of(self);
  if (RF_LIKELY(!is_big(size, align) && heap->first != NULL)) {
    void *const p = small_alloc(heap, size, align, site);
    if (RF_LIKELY(p != NULL)) {
      return p;
    }
  }
  return alloc_from_system(heap, size, align, site);
}

RF_RARE static rf_status free_big_or_refuse(rf_growing_heap *heap, rf_region *region, void *ptr, const rf_site *site) {
  rf_block block;
  if (region != NULL && find_abandoned(region, ptr, &block)) {
    free_abandoned(heap, region, &block);
    return RF_OK;
  }
  if (region == NULL || !is_big_block(region, ptr)) {
    return refuse(heap, region, ptr, site);
  }
  big_free(heap, region);
  return RF_OK;
}

static rf_status growing_heap_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_growing_heap *const heap = growing_heap_of(self);
  rf_region *const region = region_of(heap, ptr);
  if (RF_UNLIKELY(region == NULL || region->kind != RF_REGION_HEAP)) {
    return free_big_or_refuse(heap, region, ptr, site);
  }
  return small_free(heap, region, ptr, site);
}

void *rf_growing_heap_quick_alloc(rf_growing_heap *heap, size_t size) {
  return RF_LIKELY(heap->first != NULL) ? small_alloc(heap, size, RF_ALIGN_DEFAULT, NULL) : NULL;
}

/* Since it was found the region may have gone. */
bool rf_growing_heap_quick_free(rf_growing_heap *heap, rf_region *region, void *ptr) {
  if (RF_UNLIKELY(!is_in(region, heap, ptr) || region->kind != RF_REGION_HEAP)) {
    return false;
  }
  (void)small_free(heap, region, ptr, NULL);
  return true;
}

static rf_status growing_heap_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_growing_heap *const heap = growing_heap_of(self);
  rf_region *const region = region_of(heap, ptr);
  rf_status status = RF_ERR_NO_MEMORY;
  rf_block block;
  if (region != NULL && region->kind == RF_REGION_HEAP) {
    status = rf_resize_at(&heap->tlsf.base, ptr, size, site);
  } else if (region != NULL && is_big_block(region, ptr)) {
    status = big_resize(heap, region, size);
  } else if (region != NULL && find_abandoned(region, ptr, &block)) {
    return RF_ERR_NO_MEMORY; /* it moves out */
  } else {
    return refuse(heap, region, ptr, site);
  }
  note_peaks_if_big(heap);
  return status;
}

static size_t growing_heap_usable_size(rf_allocator *self, const void *ptr) {
  rf_growing_heap *const heap = growing_heap_of(self);
  rf_region *const region = region_of(heap, ptr);
  if (RF_LIKELY(region != NULL && region->kind == RF_REGION_HEAP)) {
    return heap->tlsf.base.ops->usable_size(&heap->tlsf.base, ptr);
  }
  rf_block block;
  if (region != NULL && find_abandoned(region, ptr, &block)) {
    return block.size + block.overhead;
  }
  return region != NULL && is_big_block(region, ptr) ? region->size : 0;
}

/* NULL where there is no memory for it. */
static void *move_big(rf_growing_heap *heap, rf_region *region, size_t size, size_t align, const rf_site *site) {
  size_t const kept = region->block_size < size ? region->block_size : size;
  void *const moved = growing_heap_alloc(&heap->base, size, align, site);
  if (moved != NULL) {
    rf_pages_move(moved, (void *)region->base, kept);
    big_free(heap, region);
  }
  return moved;
}

static void *growing_heap_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_growing_heap *const heap = growing_heap_of(self);
  if (rf_is_aligned(ptr, align)) {
    rf_status const status = growing_heap_resize(self, ptr, size, site);
    if (status != RF_ERR_NO_MEMORY) {
      return status == RF_OK ? ptr : NULL;
    }
  }
  size_t const usable = growing_heap_usable_size(self, ptr);
  if (usable == 0) {
    (void)growing_heap_free(self, ptr, site); /* which refuses and reports it */
    return NULL;
  }
  rf_region *const region = region_of(heap, ptr);
  return region->kind == RF_REGION_BIG ? move_big(heap, region, size, align, site)
                                       : rf_realloc_move(self, ptr, usable, size, align, site);
}

static bool growing_heap_owns(rf_allocator *self, const void *ptr) {
  return region_of(growing_heap_of(self), ptr) != NULL;
}

/* Tells whether a walk was ended by its visitor, which goes for all of the heap. */
typedef struct walk {
  rf_walk_fn visit;
  void *context;
  bool ended;
} walk;

static bool visit_small(const rf_block *block, void *context) {
  walk *const w = (walk *)context;
  w->ended = !w->visit(block, w->context);
  return !w->ended;
}

static void visit_abandoned(const rf_region *region, walk *w) {
  rf_tlsf_salvage const memory = salvage_of(region);
  rf_block block;
  const void *at = NULL;
  while (!w->ended && rf_tlsf_salvage_next(&memory, at, &block)) {
    at = block.ptr;
    w->ended = !w->visit(&block, w->context);
  }
}

static void visit_big(const rf_region *region, walk *w) {
  if (region->kind == RF_REGION_ABANDONED) {
    visit_abandoned(region, w);
    return;
  }
  size_t const overhead = region->size - region->block_size;
  rf_block const block = {(void *)region->base, region->block_size, overhead, true, NULL};
  w->ended = !w->visit(&block, w->context);
}

static rf_status growing_heap_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_growing_heap *const heap = growing_heap_of(self);
  walk w = {visit, context, false};
  rf_status const status = heap->first != NULL ? rf_walk(&heap->tlsf.base, visit_small, &w) : RF_OK;
  if (status != RF_OK) {
    return status;
  }
  for (rf_region *region = heap->big; region != NULL && !w.ended; region = region->next) {
    visit_big(region, &w);
  }
  return RF_OK;
}

static rf_status growing_heap_check(rf_allocator *self, rf_fault *where) {
  rf_growing_heap *const heap = growing_heap_of(self);
  rf_status const status = heap->first != NULL ? rf_check(&heap->tlsf.base, where) : RF_OK;
  if (status != RF_OK && heap->damaged != NULL) {
    heap->damaged(heap);
  }
  return status;
}

static void growing_heap_stats(rf_allocator *self, rf_stats *out) {
  rf_growing_heap *const heap = growing_heap_of(self);
  *out = (rf_stats){0};
  if (heap->first != NULL) {
    rf_stats_get(&heap->tlsf.base, out);
  }
  rf_counters const counters = rf_growing_heap_counters(heap);
  rf_count_into(&counters, out);
  out->capacity = heap->heap_bytes + heap->big_bytes + heap->kept_bytes;
  out->free_bytes += heap->kept_bytes;
  out->overhead = out->capacity - out->used - out->free_bytes;
}

static void growing_heap_deinit(rf_allocator *self) {
  rf_growing_heap *const heap = growing_heap_of(self);
  if (heap->first != NULL) {
    rf_deinit(&heap->tlsf.base);
  }
  rf_region *region = rf_region_above(0);
  while (region != NULL) {
    uintptr_t const end = region->base + region->size;
    if (region->heap == heap) {
      rf_region_unmap(region);
    }
    region = rf_region_above(end);
  }
  rf_growing_heap_init(heap);
}

static const rf_allocator_ops growing_heap_ops = {
    .name = "malloc",
    .alloc = growing_heap_alloc,
    .free = growing_heap_free,
    .realloc = growing_heap_realloc,
    .resize = growing_heap_resize,
    .usable_size = growing_heap_usable_size,
    .owns = growing_heap_owns,
    .walk = growing_heap_walk,
    .check = growing_heap_check,
    .stats = growing_heap_stats,
    .deinit = growing_heap_deinit,
};

void rf_growing_heap_init(rf_growing_heap *heap) {
  *heap = (rf_growing_heap){0};
  heap->base.ops = &growing_heap_ops;
  heap->next_size = FIRST_REGION;
}

bool rf_growing_heap_is_fresh(const rf_growing_heap *heap, const void *p) {
  const rf_region *const region = find_region(heap, p);
  return region != NULL && region->kind == RF_REGION_BIG && region->fresh;
}

size_t rf_growing_heap_trim(rf_growing_heap *heap) {
  size_t const before = heap->kept_bytes;
  while (heap->kept_last != NULL) {
    release_oldest_kept(heap);
  }
  return before - heap->kept_bytes;
}
