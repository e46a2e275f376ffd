#include <ringfence/smallmem.h>

#include "block_list_impl.h"

#include <ringfence/track.h>
#include <string.h>

static rf_smallmem *smallmem_of(rf_allocator *self) {
  return (rf_smallmem *)(void *)self;
}

/* ---- First fit: no free block lies below list->free ---- */

/* The lowest free block that serves a request, with its neighbours, and the bytes to leave free before it. False: none
 * does, or, with fault->what not NULL, damage was met. Headers passed on the way are read, not verified: a damaged
 * one cannot lead out of the list or backwards, and the chosen block is verified with its neighbours. */
static bool first_fit(const rf_block_list *list, size_t size, size_t align, rf_block_neighbours *out, size_t *gap,
                      rf_fault *fault) {
  fault->what = NULL;
  for (size_t at = list->free, next; at != list->limit; at = next) {
    const rf_block_header *const h = rf_block_list_readable(list, at) ? rf_block_list_header_at(list, at) : NULL;
    if (h == NULL || h->next <= at) {
      return rf_block_list_damaged(list, at, fault);
    }
    next = h->next;
    if ((h->tag & RF_BLOCK_USED) == 0 && next - at >= list->header && size <= next - at - list->header) {
      if (!rf_block_list_read_neighbours(list, at, out, fault)) {
        return false;
      }
      rf_block_span const span = rf_block_list_span_of(&out->block);
      if (rf_block_list_fits(list, &span, size, align, gap)) {
        return true;
      }
    }
  }
  return false;
}

static void raise_lowest(rf_block_list *list, size_t at, size_t end) {
  if (list->free == at) {
    list->free = end;
  }
}

static void lower_lowest(rf_block_list *list, size_t at) {
  if (list->free > at) {
    list->free = at;
  }
}

static const rf_block_policy policy = {.remove = raise_lowest, .insert = lower_lowest};

/* ---- Operations ---- */

/* Allocates, uncounted; damage is reported. */
static void *alloc_block(rf_smallmem *heap, size_t size, size_t align, const rf_site *site) {
  rf_block_neighbours chosen;
  rf_fault fault;
  size_t gap;
  if (first_fit(&heap->blocks, size, align, &chosen, &gap, &fault)) {
    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): first_fit has written it */
    return rf_block_list_alloc(&policy, &heap->blocks, &chosen, gap, size, site);
  }
  if (fault.what != NULL) {
    (void)rf_block_list_raise(&fault, &heap->base, site);
  }
  return NULL;
}

static void *smallmem_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_smallmem *const heap = smallmem_of(self);
  void *p = NULL;
  if (!rf_block_list_intact(&heap->blocks)) {
    (void)rf_fault_refuse(self, RF_ERR_CORRUPT, "damaged heap record", heap, site);
  } else {
    p = alloc_block(heap, size, align, site);
  }
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_alloc(&heap->counters, size);
  }
  return p;
}

static rf_status smallmem_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_smallmem *const heap = smallmem_of(self);
  rf_block_neighbours near;
  rf_fault fault;
  if (!rf_block_list_find(&heap->blocks, ptr, &near, &fault)) {
    return rf_block_list_raise(&fault, &heap->base, site);
  }
  rf_count_free(&heap->counters, rf_block_list_size(&heap->blocks, &near.block));
  rf_block_list_free(&policy, &heap->blocks, &near);
  return RF_OK;
}

static void *smallmem_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_smallmem *const heap = smallmem_of(self);
  rf_block_neighbours near;
  rf_fault fault;
  if (!rf_block_list_find(&heap->blocks, ptr, &near, &fault)) {
    (void)rf_block_list_raise(&fault, &heap->base, site);
    return NULL;
  }
  void *p = rf_block_list_realloc(&policy, &heap->blocks, &near, size, align, site);
  if (p == NULL && (p = alloc_block(heap, size, align, site)) != NULL) {
    rf_block_list_move(&policy, &heap->blocks, &near, p, size);
  }
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_resize(&heap->counters, rf_block_list_size(&heap->blocks, &near.block), size);
  }
  return p;
}

static rf_status smallmem_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_smallmem *const heap = smallmem_of(self);
  rf_block_neighbours near;
  rf_fault fault;
  if (!rf_block_list_find(&heap->blocks, ptr, &near, &fault)) {
    return rf_block_list_raise(&fault, &heap->base, site);
  }
  if (!rf_block_list_resize(&policy, &heap->blocks, &near, size, site)) {
    return RF_ERR_NO_MEMORY;
  }
  rf_count_resize(&heap->counters, rf_block_list_size(&heap->blocks, &near.block), size);
  return RF_OK;
}

static size_t smallmem_usable_size(rf_allocator *self, const void *ptr) {
  const rf_smallmem *const heap = smallmem_of(self);
  rf_block_neighbours near;
  rf_fault unused;
  return rf_block_list_find(&heap->blocks, ptr, &near, &unused) ? rf_block_list_room(&heap->blocks, &near.block) : 0;
}

static bool smallmem_owns(rf_allocator *self, const void *ptr) {
  return rf_block_list_owns(&smallmem_of(self)->blocks, ptr);
}

static rf_status smallmem_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  bool more;
  return rf_block_list_walk(&smallmem_of(self)->blocks, visit, context, &more);
}

static bool lowest_is_right(const rf_block_list *list, const rf_block_sums *sums) {
  rf_block_entry b;
  return list->free <= sums->lowest_free && (list->free == list->limit || rf_block_list_read(list, list->free, &b));
}

static bool check_all(const rf_smallmem *heap, rf_fault *fault) {
  rf_block_sums sums;
  if (!rf_block_list_check(&heap->blocks, &sums, fault)) {
    return false;
  }
  if (!lowest_is_right(&heap->blocks, &sums)) {
    return rf_block_list_corrupt("free memory where none should be", heap, fault);
  }
  return rf_block_list_adds_up(&heap->counters, sums.used, sums.blocks) ||
         rf_block_list_corrupt("blocks do not add up to what was counted", heap, fault);
}

static rf_status smallmem_check(rf_allocator *self, rf_fault *where) {
  where->allocator = self;
  where->site = NULL;
  return check_all(smallmem_of(self), where) ? RF_OK : RF_ERR_CORRUPT;
}

static void smallmem_stats(rf_allocator *self, rf_stats *out) {
  const rf_smallmem *const heap = smallmem_of(self);
  rf_block_list_stats(&heap->blocks, &heap->counters, out);
}

static void smallmem_counters(rf_allocator *self, rf_counters *out) {
  *out = smallmem_of(self)->counters;
}

static void smallmem_deinit(rf_allocator *self) {
  rf_smallmem *const heap = smallmem_of(self);
  rf_block_list_deinit(&heap->blocks);
  memset(&heap->counters, 0, sizeof heap->counters);
}

static const rf_allocator_ops smallmem_ops = {
    .name = "smallmem",
    .alloc = smallmem_alloc,
    .free = smallmem_free,
    .realloc = smallmem_realloc,
    .resize = smallmem_resize,
    .usable_size = smallmem_usable_size,
    .owns = smallmem_owns,
    .walk = smallmem_walk,
    .check = smallmem_check,
    .stats = smallmem_stats,
    .deinit = smallmem_deinit,
    .counters = smallmem_counters,
};

rf_status rf_smallmem_init_owned(rf_smallmem *heap, void *arena, size_t size, rf_owner_fn owner_of) {
  rf_block_list blocks;
  if (heap == NULL || rf_block_list_init(&blocks, arena, size, 1, owner_of) != RF_OK) {
    return RF_ERR_INVALID;
  }
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_ops(&smallmem_ops);
  heap->blocks = blocks;
  return RF_OK;
}

rf_status rf_smallmem_init(rf_smallmem *heap, void *arena, size_t size) {
  return rf_smallmem_init_owned(heap, arena, size, NULL);
}

/* ---- Owners ---- */

uintptr_t rf_smallmem_owner(const rf_smallmem *heap, const void *ptr) {
  rf_block_neighbours near;
  rf_fault unused;
  rf_track_enter();
  uintptr_t const owner = rf_block_list_find(&heap->blocks, ptr, &near, &unused) ? near.block.owner : 0;
  rf_track_leave();
  return owner;
}

rf_status rf_smallmem_set_owner(rf_smallmem *heap, void *ptr, uintptr_t owner) {
  rf_block_neighbours near;
  rf_fault fault;
  if (heap->blocks.owner_of == NULL) {
    return RF_ERR_UNSUPPORTED;
  }
  rf_track_enter();
  bool const found = rf_block_list_find(&heap->blocks, ptr, &near, &fault);
  if (found) {
    rf_block_list_set_owner(&heap->blocks, &near.block, owner);
  }
  rf_track_leave();
  return found ? RF_OK : rf_block_list_raise(&fault, &heap->base, NULL);
}
