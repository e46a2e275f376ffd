/* memheap: taking blocks and giving them back, with the records, the lists of free blocks and best fit. */
#include "memheap_impl.h"

/* ---- Records ---- */

bool rf_memheap_step(const rf_memheap *heap, rf_memheap_region **r, rf_fault *fault) {
  if (*r == NULL && heap->checksum != heap_checksum(heap)) {
    return rf_block_list_corrupt("damaged heap record", heap, fault);
  }
  rf_memheap_region *const next = *r == NULL ? heap->first : (*r)->next;
  if (next != NULL &&
      (next->checksum != region_checksum(next) || next->heap != heap || !rf_block_list_intact(&next->blocks))) {
    return rf_block_list_corrupt("damaged region record", next, fault);
  }
  *r = next;
  return true;
}

rf_memheap_region *rf_memheap_find_region(const rf_memheap *heap, const void *ptr, rf_fault *fault) {
  rf_memheap_region *r = NULL;
  do {
    if (!rf_memheap_step(heap, &r, fault)) {
      return NULL;
    }
  } while (r != NULL && !rf_block_list_owns(&r->blocks, ptr));
  if (r == NULL) {
    (void)rf_block_list_refuse(RF_POINTER_FOREIGN, ptr, fault);
  }
  return r;
}

/* ---- The list of free blocks: region->free names the one freed last ---- */

bool rf_memheap_is_free(const rf_block_list *list, size_t at) {
  rf_block_entry b;
  return rf_block_list_read(list, at, &b) && !b.used;
}

/* Whether the free block at `at` is in the list: its neighbours there, which its removal changes, name it. */
static bool is_linked(const rf_block_list *list, size_t at) {
  const links *const l = links_at(list, at);
  bool const before = l->prev == RF_BLOCK_NONE
                          ? list->free == at
                          : rf_memheap_is_free(list, l->prev) && links_at(list, l->prev)->next == at;
  return before &&
         (l->next == RF_BLOCK_NONE || (rf_memheap_is_free(list, l->next) && links_at(list, l->next)->prev == at));
}

/* Whether a block can be inserted before the first. */
static bool is_headed(const rf_block_list *list) {
  return list->free == RF_BLOCK_NONE ||
         (rf_memheap_is_free(list, list->free) && links_at(list, list->free)->prev == RF_BLOCK_NONE);
}

bool rf_memheap_damaged_links(const rf_block_list *list, size_t at, rf_fault *fault) {
  const void *const where = at == RF_BLOCK_NONE ? (const void *)list : rf_block_list_payload(list, at);
  return rf_block_list_corrupt("damaged list of free blocks", where, fault);
}

/* Whether the list can be changed around a block: its free neighbours removed, others inserted. */
static bool is_ready(const rf_block_list *list, const rf_block_neighbours *near, rf_fault *fault) {
  if (!near->before.used && !is_linked(list, near->before.at)) {
    return rf_memheap_damaged_links(list, near->before.at, fault);
  }
  if (!near->after.used && !is_linked(list, near->after.at)) {
    return rf_memheap_damaged_links(list, near->after.at, fault);
  }
  return is_headed(list) || rf_memheap_damaged_links(list, RF_BLOCK_NONE, fault);
}

static void remove_free(rf_block_list *list, size_t at, size_t end) {
  links const l = *links_at(list, at);
  (void)end;
  if (l.prev == RF_BLOCK_NONE) {
    list->free = l.next;
  } else {
    links_at(list, l.prev)->next = l.next;
  }
  if (l.next != RF_BLOCK_NONE) {
    links_at(list, l.next)->prev = l.prev;
  }
}

void rf_memheap_insert_free(rf_block_list *list, size_t at) {
  links *const l = links_at(list, at);
  l->prev = RF_BLOCK_NONE;
  l->next = list->free;
  if (list->free != RF_BLOCK_NONE) {
    links_at(list, list->free)->prev = at;
  }
  list->free = at;
}

static const rf_block_policy policy = {.remove = remove_free, .insert = rf_memheap_insert_free};

/* ---- Best fit ---- */

/* The smallest free block that can hold the size, or the first that holds it with nothing to split off; RF_BLOCK_NONE
 * where none can. Headers and links passed on the way are read, not verified: damage cannot lead out of the region, nor
 * round in a circle, because each block must name the one before it. False, and *fault, where that is not so. */
static bool search(const rf_block_list *list, size_t size, size_t align, size_t *best, rf_fault *fault) {
  size_t least = SIZE_MAX;
  *best = RF_BLOCK_NONE;
  for (size_t at = list->free, from = RF_BLOCK_NONE; at != RF_BLOCK_NONE && least - size >= RF_ALIGN_DEFAULT;) {
    if (!rf_block_list_readable(list, at) || links_at(list, at)->prev != from) {
      return rf_memheap_damaged_links(list, from, fault);
    }
    const rf_block_header *const h = rf_block_list_header_at(list, at);
    if ((h->tag & RF_BLOCK_USED) != 0) {
      return rf_block_list_damaged(list, at, fault);
    }
    size_t const room = h->next - at - list->header;
    if (room >= size && room < least) {
      rf_block_span const span = {at, h->next, h->prev};
      size_t gap;
      if (rf_block_list_fits(list, &span, size, align, &gap)) {
        *best = at;
        least = room;
      }
    }
    from = at;
    at = links_at(list, at)->next;
  }
  return true;
}

/* The block that a request gets, with its neighbours, and the bytes to leave free before it. False: none can serve it,
 * or, with fault->what not NULL, damage was met. */
static bool best_fit(const rf_block_list *list, size_t size, size_t align, rf_block_neighbours *out, size_t *gap,
                     rf_fault *fault) {
  size_t at;
  if (!search(list, size, align, &at, fault) || at == RF_BLOCK_NONE ||
      !rf_block_list_read_neighbours(list, at, out, fault)) {
    return false;
  }
  if (!is_linked(list, at) || !is_headed(list)) {
    return rf_memheap_damaged_links(list, at, fault);
  }
  rf_block_span const span = rf_block_list_span_of(&out->block);
  return rf_block_list_fits(list, &span, size, align, gap);
}

/* ---- Operations ---- */

/* Allocates from the first region that can, counted for the region only. Damage is reported, and ends the search: what
 * lies behind it is not known. */
static void *alloc_block(rf_memheap *heap, size_t size, size_t align, const rf_site *site) {
  rf_fault fault = {RF_OK, NULL, NULL, NULL, NULL};
  rf_memheap_region *r = NULL;
  while (fault.what == NULL && rf_memheap_step(heap, &r, &fault) && r != NULL) {
    rf_block_neighbours chosen;
    size_t gap;
    if (best_fit(&r->blocks, size, align, &chosen, &gap, &fault)) {
      rf_count_alloc(&r->counters, size);
      /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): best_fit has written it */
      return rf_block_list_alloc(&policy, &r->blocks, &chosen, gap, size, site);
    }
    r->counters.failures += fault.what == NULL ? 1 : 0;
  }
  if (fault.what != NULL) {
    (void)rf_block_list_raise(&fault, &heap->base, site);
  }
  return NULL;
}

void *rf_memheap_op_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_memheap *const heap = memheap_of(self);
  void *const p = alloc_block(heap, size, align, site);
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_alloc(&heap->counters, size);
  }
  return p;
}

rf_memheap_region *rf_memheap_find(const rf_memheap *heap, const void *ptr, rf_block_neighbours *near,
                                   rf_fault *fault) {
  rf_memheap_region *const r = rf_memheap_find_region(heap, ptr, fault);
  return r != NULL && rf_block_list_find(&r->blocks, ptr, near, fault) ? r : NULL;
}

/* rf_memheap_find for a block that is to change; what is refused is reported. */
static rf_memheap_region *find_to_change(rf_memheap *heap, const void *ptr, rf_block_neighbours *near,
                                         rf_status *status, const rf_site *site) {
  rf_fault fault;
  rf_memheap_region *const r = rf_memheap_find(heap, ptr, near, &fault);
  if (r != NULL && is_ready(&r->blocks, near, &fault)) {
    return r;
  }
  *status = rf_block_list_raise(&fault, &heap->base, site);
  return NULL;
}

rf_status rf_memheap_op_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_memheap *const heap = memheap_of(self);
  rf_block_neighbours near;
  rf_status status = RF_OK;
  rf_memheap_region *const r = find_to_change(heap, ptr, &near, &status, site);
  if (r != NULL) {
    size_t const size = rf_block_list_size(&r->blocks, &near.block);
    rf_count_free(&heap->counters, size);
    rf_count_free(&r->counters, size);
    rf_block_list_free(&policy, &r->blocks, &near);
  }
  return status;
}

/* Resizes the block in its region, else where an allocation is served. */
static void *realloc_block(rf_memheap *heap, rf_memheap_region *r, const rf_block_neighbours *near, size_t size,
                           size_t align, const rf_site *site) {
  size_t const old_size = rf_block_list_size(&r->blocks, &near->block);
  void *p = rf_block_list_realloc(&policy, &r->blocks, near, size, align, site);
  if (p != NULL) {
    rf_count_resize(&r->counters, old_size, size);
    return p;
  }
  p = alloc_block(heap, size, align, site);
  if (p != NULL) {
    rf_count_free(&r->counters, old_size);
    rf_block_list_move(&policy, &r->blocks, near, p, size);
  }
  return p;
}

void *rf_memheap_op_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_memheap *const heap = memheap_of(self);
  rf_block_neighbours near;
  rf_status status;
  rf_memheap_region *const r = find_to_change(heap, ptr, &near, &status, site);
  if (r == NULL) {
    return NULL;
  }
  void *const p = realloc_block(heap, r, &near, size, align, site);
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_resize(&heap->counters, rf_block_list_size(&r->blocks, &near.block), size);
  }
  return p;
}

rf_status rf_memheap_op_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_memheap *const heap = memheap_of(self);
  rf_block_neighbours near;
  rf_status status = RF_OK;
  rf_memheap_region *const r = find_to_change(heap, ptr, &near, &status, site);
  if (r == NULL) {
    return status;
  }
  if (!rf_block_list_resize(&policy, &r->blocks, &near, size, site)) {
    return RF_ERR_NO_MEMORY;
  }
  size_t const old_size = rf_block_list_size(&r->blocks, &near.block);
  rf_count_resize(&heap->counters, old_size, size);
  rf_count_resize(&r->counters, old_size, size);
  return RF_OK;
}
