#include <ringfence/memheap.h>

#include "block_list_impl.h"

#include <ringfence/track.h>
#include <string.h>

/* In the payload of a free block. */
typedef struct links {
  size_t next;
  size_t prev;
} links;

static rf_memheap *memheap_of(rf_allocator *self) {
  return (rf_memheap *)(void *)self;
}

/* ---- Records ---- */

static size_t region_checksum(const rf_memheap_region *r) {
  size_t sum = rf_checksum_begin(r);
  sum = rf_checksum_add_address(sum, r->next);
  sum = rf_checksum_add_address(sum, r->heap);
  sum = rf_checksum_add_address(sum, r->name);
  return rf_checksum_add(sum, r->blocks.checksum);
}

static size_t heap_checksum(const rf_memheap *heap) {
  return rf_checksum_add(rf_checksum_begin(heap->first), heap->regions);
}

/* Goes to the first region or the one after *r; sets *r to NULL at the end. Each record vouches for the address of the
 * next. False, and *fault, where one is damaged. */
static bool step(const rf_memheap *heap, rf_memheap_region **r, rf_fault *fault) {
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

/* The region that holds `ptr`. */
static rf_memheap_region *find_region(const rf_memheap *heap, const void *ptr, rf_fault *fault) {
  rf_memheap_region *r = NULL;
  do {
    if (!step(heap, &r, fault)) {
      return NULL;
    }
  } while (r != NULL && !rf_block_list_owns(&r->blocks, ptr));
  if (r == NULL) {
    (void)rf_block_list_refuse(RF_POINTER_FOREIGN, ptr, fault);
  }
  return r;
}

/* ---- The list of free blocks: region->free names the one freed last ---- */

static links *links_at(const rf_block_list *list, size_t at) {
  return (links *)(void *)rf_block_list_payload(list, at);
}

/* An intact free block at `at`, any number. */
static bool is_free(const rf_block_list *list, size_t at) {
  rf_block_entry b;
  return rf_block_list_read(list, at, &b) && !b.used;
}

/* Whether the free block at `at` is in the list: its neighbours there, which its removal changes, name it. */
static bool is_linked(const rf_block_list *list, size_t at) {
  const links *const l = links_at(list, at);
  bool const before =
      l->prev == RF_BLOCK_NONE ? list->free == at : is_free(list, l->prev) && links_at(list, l->prev)->next == at;
  return before && (l->next == RF_BLOCK_NONE || (is_free(list, l->next) && links_at(list, l->next)->prev == at));
}

/* Whether a block can be inserted before the first. */
static bool is_headed(const rf_block_list *list) {
  return list->free == RF_BLOCK_NONE ||
         (is_free(list, list->free) && links_at(list, list->free)->prev == RF_BLOCK_NONE);
}

static bool damaged_links(const rf_block_list *list, size_t at, rf_fault *fault) {
  const void *const where = at == RF_BLOCK_NONE ? (const void *)list : rf_block_list_payload(list, at);
  return rf_block_list_corrupt("damaged list of free blocks", where, fault);
}

/* Whether the list can be changed around a block: its free neighbours removed, others inserted. */
static bool is_ready(const rf_block_list *list, const rf_block_neighbours *near, rf_fault *fault) {
  if (!near->before.used && !is_linked(list, near->before.at)) {
    return damaged_links(list, near->before.at, fault);
  }
  if (!near->after.used && !is_linked(list, near->after.at)) {
    return damaged_links(list, near->after.at, fault);
  }
  return is_headed(list) || damaged_links(list, RF_BLOCK_NONE, fault);
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

static void insert_free(rf_block_list *list, size_t at) {
  links *const l = links_at(list, at);
  l->prev = RF_BLOCK_NONE;
  l->next = list->free;
  if (list->free != RF_BLOCK_NONE) {
    links_at(list, list->free)->prev = at;
  }
  list->free = at;
}

static const rf_block_policy policy = {.remove = remove_free, .insert = insert_free};

/* ---- Best fit ---- */

/* The smallest free block that can hold the size, or the first that holds it with nothing to split off; RF_BLOCK_NONE
 * where none can. Headers and links passed on the way are read, not verified: damage cannot lead out of the region, nor
 * round in a circle, because each block must name the one before it. False, and *fault, where that is not so. */
static bool search(const rf_block_list *list, size_t size, size_t align, size_t *best, rf_fault *fault) {
  size_t least = SIZE_MAX;
  *best = RF_BLOCK_NONE;
  for (size_t at = list->free, from = RF_BLOCK_NONE; at != RF_BLOCK_NONE && least - size >= RF_ALIGN_DEFAULT;) {
    if (!rf_block_list_readable(list, at) || links_at(list, at)->prev != from) {
      return damaged_links(list, from, fault);
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
    return damaged_links(list, at, fault);
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
  while (fault.what == NULL && step(heap, &r, &fault) && r != NULL) {
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

static void *memheap_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_memheap *const heap = memheap_of(self);
  void *const p = alloc_block(heap, size, align, site);
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_alloc(&heap->counters, size);
  }
  return p;
}

/* The region and the live block that starts at `ptr`; NULL, and *fault, where there is none. */
static rf_memheap_region *find(const rf_memheap *heap, const void *ptr, rf_block_neighbours *near, rf_fault *fault) {
  rf_memheap_region *const r = find_region(heap, ptr, fault);
  return r != NULL && rf_block_list_find(&r->blocks, ptr, near, fault) ? r : NULL;
}

/* The same for a block that is to change; what is refused is reported. */
static rf_memheap_region *find_to_change(rf_memheap *heap, const void *ptr, rf_block_neighbours *near,
                                         rf_status *status, const rf_site *site) {
  rf_fault fault;
  rf_memheap_region *const r = find(heap, ptr, near, &fault);
  if (r != NULL && is_ready(&r->blocks, near, &fault)) {
    return r;
  }
  *status = rf_block_list_raise(&fault, &heap->base, site);
  return NULL;
}

static rf_status memheap_free(rf_allocator *self, void *ptr, const rf_site *site) {
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

static void *memheap_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
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

static rf_status memheap_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
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

static size_t memheap_usable_size(rf_allocator *self, const void *ptr) {
  rf_block_neighbours near;
  rf_fault unused;
  const rf_memheap_region *const r = find(memheap_of(self), ptr, &near, &unused);
  return r != NULL ? rf_block_list_room(&r->blocks, &near.block) : 0;
}

static bool memheap_owns(rf_allocator *self, const void *ptr) {
  return rf_memheap_region_of(memheap_of(self), ptr) != NULL;
}

static rf_status memheap_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  const rf_memheap *const heap = memheap_of(self);
  rf_memheap_region *r = NULL;
  rf_fault unused;
  rf_status status = RF_OK;
  bool more = true;
  do {
    if (!step(heap, &r, &unused)) {
      return RF_ERR_CORRUPT;
    }
    if (r != NULL) {
      status = rf_block_list_walk(&r->blocks, visit, context, &more);
    }
  } while (r != NULL && status == RF_OK && more);
  return status;
}

/* ---- Integrity ---- */

static bool check_list(const rf_block_list *list, size_t free_blocks, rf_fault *fault) {
  size_t seen = 0;
  size_t from = RF_BLOCK_NONE;
  for (size_t at = list->free; at != RF_BLOCK_NONE && seen <= free_blocks; at = links_at(list, at)->next) {
    if (!is_free(list, at) || links_at(list, at)->prev != from) {
      return damaged_links(list, from, fault);
    }
    from = at;
    seen++;
  }
  return seen == free_blocks || damaged_links(list, from, fault);
}

static bool adds_up(const rf_counters *counted, size_t used, size_t blocks, const void *where, rf_fault *fault) {
  return rf_block_list_adds_up(counted, used, blocks) ||
         rf_block_list_corrupt("blocks do not add up to what was counted", where, fault);
}

static bool check_all(const rf_memheap *heap, rf_fault *fault) {
  rf_block_sums sums;
  rf_memheap_region *r = NULL;
  size_t used = 0;
  size_t blocks = 0;
  for (;;) {
    if (!step(heap, &r, fault)) {
      return false;
    }
    if (r == NULL) {
      return adds_up(&heap->counters, used, blocks, heap, fault);
    }
    if (!rf_block_list_check(&r->blocks, &sums, fault) || !check_list(&r->blocks, sums.free_blocks, fault) ||
        !adds_up(&r->counters, sums.used, sums.blocks, r, fault)) {
      return false;
    }
    used += sums.used;
    blocks += sums.blocks;
  }
}

static rf_status memheap_check(rf_allocator *self, rf_fault *where) {
  where->allocator = self;
  where->site = NULL;
  return check_all(memheap_of(self), where) ? RF_OK : RF_ERR_CORRUPT;
}

/* ---- Statistics ---- */

void rf_memheap_region_stats(const rf_memheap_region *region, rf_stats *out) {
  rf_block_list_stats(&region->blocks, &region->counters, out);
}

static void memheap_stats(rf_allocator *self, rf_stats *out) {
  const rf_memheap *const heap = memheap_of(self);
  memset(out, 0, sizeof *out);
  rf_count_into(&heap->counters, out);
  for (const rf_memheap_region *r = rf_memheap_next(heap, NULL); r != NULL; r = rf_memheap_next(heap, r)) {
    rf_stats part;
    rf_memheap_region_stats(r, &part);
    out->capacity += part.capacity;
    out->free_bytes += part.free_bytes;
    out->largest_free = out->largest_free < part.largest_free ? part.largest_free : out->largest_free;
    out->overhead += part.overhead;
  }
}

static void memheap_counters(rf_allocator *self, rf_counters *out) {
  *out = memheap_of(self)->counters;
}

/* ---- Regions ---- */

rf_memheap_region *rf_memheap_next(const rf_memheap *heap, const rf_memheap_region *region) {
  rf_memheap_region *r = (rf_memheap_region *)(uintptr_t)region;
  rf_fault unused;
  return step(heap, &r, &unused) ? r : NULL;
}

rf_memheap_region *rf_memheap_region_of(const rf_memheap *heap, const void *ptr) {
  rf_fault unused;
  return find_region(heap, ptr, &unused);
}

const char *rf_memheap_region_name(const rf_memheap_region *region) {
  return region->name != NULL ? region->name : "";
}

static bool overlap(const void *a, size_t a_size, const void *b, size_t b_size) {
  return (uintptr_t)a < (uintptr_t)b + b_size && (uintptr_t)b < (uintptr_t)a + a_size;
}

/* Makes `region` the one after `last` (NULL: the first), and `count` their number. */
static void set_next(rf_memheap *heap, rf_memheap_region *last, rf_memheap_region *region, size_t count) {
  if (last == NULL) {
    heap->first = region;
  } else {
    last->next = region;
    last->checksum = region_checksum(last);
  }
  heap->regions = count;
  heap->checksum = heap_checksum(heap);
}

rf_status rf_memheap_add(rf_memheap *heap, rf_memheap_region *region, const char *name, void *memory, size_t size) {
  rf_memheap_region *last = NULL;
  rf_memheap_region *r = NULL;
  rf_fault fault;
  rf_block_list blocks;
  if (heap == NULL || region == NULL || memory == NULL || size > RF_SIZE_LIMIT ||
      (uintptr_t)memory > UINTPTR_MAX - size || overlap(region, sizeof *region, memory, size)) {
    return RF_ERR_INVALID;
  }
  for (;;) {
    if (!step(heap, &r, &fault)) {
      return rf_block_list_raise(&fault, &heap->base, NULL);
    }
    if (r == NULL) {
      break;
    }
    if (r == region || overlap(r->blocks.start, r->blocks.limit, memory, size)) {
      return RF_ERR_INVALID;
    }
    last = r;
  }
  if (rf_block_list_init(&blocks, memory, size, sizeof(links), NULL) != RF_OK) {
    return RF_ERR_INVALID;
  }
  memset(region, 0, sizeof *region);
  region->heap = heap;
  region->name = name;
  region->blocks = blocks;
  region->checksum = region_checksum(region);
  region->blocks.free = RF_BLOCK_NONE;
  rf_track_enter();
  insert_free(&region->blocks, 0);
  rf_track_leave();
  set_next(heap, last, region, heap->regions + 1);
  return RF_OK;
}

rf_status rf_memheap_remove(rf_memheap *heap, rf_memheap_region *region) {
  rf_memheap_region *last = NULL;
  rf_memheap_region *r = NULL;
  rf_fault fault;
  if (heap == NULL || region == NULL) {
    return RF_ERR_INVALID;
  }
  for (;;) {
    if (!step(heap, &r, &fault)) {
      return rf_block_list_raise(&fault, &heap->base, NULL);
    }
    if (r == NULL) {
      return RF_ERR_INVALID;
    }
    if (r == region) {
      break;
    }
    last = r;
  }
  if (region->counters.blocks != 0) {
    return RF_ERR_BUSY;
  }
  set_next(heap, last, region->next, heap->regions - 1);
  rf_track_enter();
  rf_block_list_deinit(&region->blocks);
  rf_track_leave();
  memset(region, 0, sizeof *region);
  return RF_OK;
}

/* ---- Init and deinit ---- */

static void memheap_deinit(rf_allocator *self) {
  rf_memheap *const heap = memheap_of(self);
  rf_memheap_region *r = rf_memheap_next(heap, NULL);
  while (r != NULL) {
    rf_memheap_region *const next = rf_memheap_next(heap, r);
    rf_block_list_deinit(&r->blocks);
    memset(r, 0, sizeof *r);
    r = next;
  }
  (void)rf_memheap_init(heap);
}

static const rf_allocator_ops memheap_ops = {
    .name = "memheap",
    .alloc = memheap_alloc,
    .free = memheap_free,
    .realloc = memheap_realloc,
    .resize = memheap_resize,
    .usable_size = memheap_usable_size,
    .owns = memheap_owns,
    .walk = memheap_walk,
    .check = memheap_check,
    .stats = memheap_stats,
    .deinit = memheap_deinit,
    .counters = memheap_counters,
};

rf_status rf_memheap_init(rf_memheap *heap) {
  if (heap == NULL) {
    return RF_ERR_INVALID;
  }
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_ops(&memheap_ops);
  heap->checksum = heap_checksum(heap);
  return RF_OK;
}
