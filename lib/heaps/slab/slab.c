/* slab: the operations. */
#include "slab_impl.h"

#include "lib/core/compiler.h"
#include <ringfence/track.h>
#include <string.h>

/* ---- From a pointer to its block ---- */

static rf_verdict in_free_memory(const void *ptr) {
  return rf_is_aligned(ptr, 8) ? RF_POINTER_FREE : RF_POINTER_MISALIGNED;
}

/* Why no live block starts at `ptr`, which is in page `page`, all that it leads to being undamaged. */
static rf_verdict explain(const rf_slab *h, uint32_t page, const void *ptr) {
  uint32_t first;
  const record *const r = rf_slab_page_owner(h, page, &first);
  if (r == NULL || (kind_of(r) == ZONE && zone_used(r) != 0)) {
    return RF_POINTER_CORRUPT; /* a zone's pages lead to it */
  }
  return kind_of(r) == RUN ? RF_POINTER_INTERIOR : in_free_memory(ptr);
}

static rf_verdict find_chunk(const rf_slab *h, uint32_t page, const void *ptr, found *out) {
  zone *const z = &out->z;
  if (!rf_slab_zone_at(h, page, z)) {
    return RF_POINTER_CORRUPT;
  }
  uint32_t const index = (uint32_t)((uintptr_t)ptr - (uintptr_t)z->start) / z->chunk;
  if (index >= zone_cut(z->r)) {
    return index >= z->chunks ? RF_POINTER_NO_BLOCK : in_free_memory(ptr);
  }
  uint32_t const word = z->words[index];
  if (!is_word(&z->words[index])) {
    return RF_POINTER_CORRUPT;
  }
  if ((word & WORD_USED) == 0) {
    return in_free_memory(ptr);
  }
  const unsigned char *const user = rf_slab_chunk_user(z, index);
  size_t const lost = (size_t)(user - z->start) - (size_t)index * z->chunk;
  if (lost > z->chunk || size_of_word(word) > z->chunk - lost) {
    return RF_POINTER_CORRUPT;
  }
  out->r = z->r;
  out->page = page;
  out->size = size_of_word(word);
  out->room = z->chunk - lost;
  out->index = index;
  return user == ptr ? RF_POINTER_OK : RF_POINTER_INTERIOR;
}

static rf_verdict find_run(const rf_slab *h, uint32_t page, const void *ptr, found *out) {
  record *const r = &h->records[page];
  size_t const bytes = (size_t)length_of(r) << h->page_shift;
  if (rf_slab_owner_at(h, page) == NULL || r->a > bytes) {
    return RF_POINTER_CORRUPT;
  }
  out->r = r;
  out->page = page;
  out->size = bytes - r->a;
  out->room = bytes;
  return ptr == page_at(h, page) ? RF_POINTER_OK : RF_POINTER_INTERIOR;
}

/* The zone of a page that is called a member of one; NO_PAGE where that is left over from before. */
static uint32_t zone_of_member(const rf_slab *h, uint32_t page) {
  uint32_t const distance = length_of(&h->records[page]);
  const record *const r = distance <= page ? record_of_kind(h, page - distance, ZONE) : NULL;
  return r != NULL && distance < length_of(r) ? page - distance : NO_PAGE;
}

/* The live block at `ptr`, any pointer but NULL. Else why there is none. */
static rf_verdict find(const rf_slab *h, const void *ptr, found *out) {
  size_t const offset = (size_t)((uintptr_t)ptr - (uintptr_t)h->pages);
  if (!rf_slab_intact(h)) {
    return RF_POINTER_CORRUPT;
  }
  if (offset >> h->page_shift >= h->count) {
    return RF_POINTER_FOREIGN;
  }
  uint32_t const page = (uint32_t)(offset >> h->page_shift);
  const record *const r = &h->records[page];
  if (!is_intact(r)) {
    return RF_POINTER_CORRUPT;
  }
  uint32_t const head = kind_of(r) == ZONE ? page : kind_of(r) == MEMBER ? zone_of_member(h, page) : NO_PAGE;
  if (head != NO_PAGE) {
    return find_chunk(h, head, ptr, out);
  }
  return kind_of(r) == RUN ? find_run(h, page, ptr, out) : explain(h, page, ptr);
}

/* ---- Serving: inlined twice, because alloc is too frequent for a call that only realloc needs ---- */

/* The class with the smallest open chunks that serve the request, `size` not 0, wherever they lie; h->classes: none. */
static unsigned open_class(const rf_slab *h, size_t size, size_t align) {
  unsigned q = size <= RF_SLAB_LARGEST_CHUNK ? class_for(size) : h->classes;
  while (q < h->classes && (h->open[q] == NO_PAGE || room_for_align(h, chunk_size(q), align) < size)) {
    q++;
  }
  return q < h->classes ? q : h->classes;
}

/* Without a zone of its class: what takes less, a larger chunk or pages. Where there are no pages, the chunk's zone is
 * still open: the pages of a zone that the reserve gave back would have been enough. */
RF_INLINE void *serve_otherwise(rf_slab *h, size_t size, size_t align, change *log, const rf_site *site) {
  unsigned const q = open_class(h, size != 0 ? size : 1, align);
  bool const is_small = q < h->classes && chunk_size(q) <= rf_slab_page_size(h);
  void *p = is_small ? rf_slab_chunk_alloc(h, q, size, align, site) : NULL;
  if (p == NULL) {
    p = rf_slab_run_alloc(h, size, align, log, site);
  }
  if (p == NULL && q < h->classes) {
    p = rf_slab_chunk_alloc(h, q, size, align, site);
  }
  return p;
}

/* *log, unless it is NULL, can revert the pages that were allocated; it stays untouched if none were. */
RF_INLINE void *serve(rf_slab *h, size_t size, size_t align, change *log, const rf_site *site) {
  size_t rounded;
  if (!rf_round_up(size != 0 ? size : 1, align, &rounded)) {
    return NULL;
  }
  unsigned const q = rounded <= RF_SLAB_LARGEST_CHUNK ? class_for(rounded) : RF_SLAB_CLASSES;
  void *p = NULL;
  if (q < h->classes && align <= rf_slab_page_size(h) &&
      (h->open[q] != NO_PAGE || rf_slab_zone_open(h, q, log, site))) {
    p = rf_slab_chunk_alloc(h, q, size, align, site);
  }
  return p != NULL ? p : serve_otherwise(h, size, align, log, site);
}

static void *slab_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_slab *const h = slab_of(self);
  if (!rf_slab_intact(h)) {
    (void)rf_slab_damaged(h, h, site);
    return NULL;
  }
  void *const p = serve(h, size, align, NULL, site);
  if (p == NULL) {
    h->counters.failures++;
    return NULL;
  }
  rf_count_alloc(&h->counters, size);
  return p;
}

static rf_status slab_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_slab *const h = slab_of(self);
  found f;
  rf_verdict const verdict = find(h, ptr, &f);
  rf_status status = RF_OK;
  if (verdict != RF_POINTER_OK) {
    return rf_verdict_refuse(self, verdict, ptr, site);
  }
  /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): found with the verdict */
  if (kind_of(f.r) == ZONE) {
    status = rf_slab_chunk_free(h, &f, site);
  } else if (!rf_slab_pages_free(h, f.page, length_of(f.r), site)) {
    status = RF_ERR_CORRUPT;
  }
  if (status == RF_OK) {
    rf_count_free(&h->counters, f.size);
  }
  return status;
}

static rf_status resize_found(rf_slab *h, const found *f, size_t size, const rf_site *site) {
  rf_status status = RF_ERR_NO_MEMORY;
  if (kind_of(f->r) == RUN) {
    status = rf_slab_run_resize(h, f, size, site);
  } else if (size <= f->room) {
    rf_slab_chunk_resize(f, size);
    status = RF_OK;
  }
  if (status == RF_OK) {
    rf_count_resize(&h->counters, f->size, size);
  }
  return status;
}

static rf_status slab_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  found f;
  rf_verdict const verdict = find(slab_of(self), ptr, &f);
  return verdict == RF_POINTER_OK ? resize_found(slab_of(self), &f, size, site)
                                  : rf_verdict_refuse(self, verdict, ptr, site);
}

/* Takes back a block that was served just now, on a heap that has not changed since, whatever damage there is. A free
 * would read more records than the allocation wrote, and might be refused. */
static void retract(rf_slab *h, const void *p, change *c, const rf_site *site) {
  uint32_t const page = (uint32_t)((size_t)((uintptr_t)p - (uintptr_t)h->pages) >> h->page_shift);
  found f;
  bool const is_chunk = rf_slab_chunk_at(h, page, p, &f);
  if (c->count == 0) { /* a chunk of a zone that was open: its zone is in front, or full */
    (void)rf_slab_chunk_free(h, &f, site);
    return;
  }
  if (is_chunk) {
    rf_slab_zone_forget(h, &f.z);
  }
  rf_slab_revert(c);
}

/* To another place. NULL, and the block is as it was, where there is none or damage was met. */
static void *move(rf_slab *h, void *ptr, size_t room, size_t size, size_t align, const rf_site *site) {
  change c;
  c.count = 0;
  void *const moved = serve(h, size, align, &c, site);
  if (moved == NULL) {
    h->counters.failures++;
    return NULL;
  }
  rf_track_copy(moved, ptr, room < size ? room : size);
  rf_counters const before = h->counters;
  rf_count_alloc(&h->counters, size);
  if (slab_free(&h->base, ptr, site) != RF_OK) {
    h->counters = before;
    retract(h, moved, &c, site);
    return NULL;
  }
  return moved;
}

static void *slab_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_slab *const h = slab_of(self);
  found f;
  rf_verdict const verdict = find(h, ptr, &f);
  if (verdict != RF_POINTER_OK) {
    (void)rf_verdict_refuse(self, verdict, ptr, site);
    return NULL;
  }
  rf_status const status = rf_is_aligned(ptr, align) ? resize_found(h, &f, size, site) : RF_ERR_NO_MEMORY;
  if (status == RF_ERR_NO_MEMORY) {
    return move(h, ptr, f.room, size, align, site);
  }
  return status == RF_OK ? ptr : NULL;
}

static size_t slab_usable_size(rf_allocator *self, const void *ptr) {
  found f;
  return find(slab_of(self), ptr, &f) == RF_POINTER_OK ? f.room : 0;
}

static bool slab_owns(rf_allocator *self, const void *ptr) {
  const rf_slab *const h = slab_of(self);
  size_t const offset = (size_t)((uintptr_t)ptr - (uintptr_t)h->pages);
  return rf_slab_intact(h) && offset >> h->page_shift < h->count;
}

/* Bytes of the arena in use, from the records to the last page. */
static size_t extent_of(const rf_slab *h) {
  return (size_t)((uintptr_t)h->pages - (uintptr_t)h->records) + ((size_t)h->count << h->page_shift);
}

/* A heap of no pages, which refuses everything. */
static void empty(rf_slab *h) {
  memset(&h->records, 0, sizeof *h - offsetof(rf_slab, records));
  memset(h->reserve, 0xFF, sizeof h->reserve);
  memset(h->open, 0xFF, sizeof h->open);
  h->root = NO_PAGE;
  h->checksum = rf_slab_checksum(h);
}

static void slab_deinit(rf_allocator *self) {
  rf_slab *const h = slab_of(self);
  if (RF_TRACK && rf_slab_intact(h)) {
    rf_track_arena_end(h->records, extent_of(h));
  }
  empty(h);
}

static void slab_counters(rf_allocator *self, rf_counters *out) {
  *out = slab_of(self)->counters;
}

static const rf_allocator_ops slab_ops = {
    .name = "slab",
    .alloc = slab_alloc,
    .free = slab_free,
    .realloc = slab_realloc,
    .resize = slab_resize,
    .usable_size = slab_usable_size,
    .owns = slab_owns,
    .walk = rf_slab_walk,
    .check = rf_slab_check,
    .stats = rf_slab_stats,
    .deinit = slab_deinit,
    .counters = slab_counters,
};

/* ---- Making one ---- */

/* The largest power of two up to `n`, within bounds that are powers of two. */
static size_t power_within(size_t n, size_t least, size_t most) {
  size_t const power = n != 0 ? (size_t)1 << rf_log2(n) : 0;
  return power < least ? least : power > most ? most : power;
}

/* Records, then pages: as many as fit. */
static bool lay_out(rf_slab *h, uintptr_t arena, size_t size) {
  size_t const page = (size_t)1 << h->page_shift;
  uintptr_t const records = arena + (-arena & (_Alignof(record) - 1));
  uintptr_t const end = arena + size;
  size_t count = records < end ? (end - records) / (page + sizeof(record)) : 0;
  count = count < MAX_PAGES ? count : MAX_PAGES;
  for (; count != 0; count--) {
    uintptr_t const behind = records + count * sizeof(record);
    uintptr_t const pages = behind + (-behind & (page - 1));
    if (pages <= end && (end - pages) >> h->page_shift >= count) {
      h->records = (record *)records;
      h->pages = (unsigned char *)pages;
      h->size = size;
      h->count = (uint32_t)count;
      h->path_shift = 31 - rf_log2(count);
      return true;
    }
  }
  return false;
}

/* A class is in use where its zones are within the budget, or a page has room for some chunks. */
static bool is_useful(const rf_slab *h, unsigned q) {
  uint32_t const pages = zone_pages(h, chunk_size(q));
  return zone_chunks(h, chunk_size(q), pages) >= FEWEST_CHUNKS;
}

/* Zones grow with the arena, so that those of all classes together leave room in it. */
static void plan_zones(rf_slab *h) {
  size_t const bytes = (size_t)h->count << h->page_shift;
  h->zone_least = (uint32_t)power_within(bytes / 1024, (size_t)1 << h->page_shift, (size_t)128 * 1024);
  h->zone_budget = (uint32_t)(bytes / 32 < UINT32_MAX / 2 ? bytes / 32 : UINT32_MAX / 2);
  while (h->classes < RF_SLAB_CLASSES && is_useful(h, h->classes)) {
    h->classes++;
  }
}

rf_status rf_slab_init_paged(rf_slab *heap, void *arena, size_t size, size_t page_size) {
  rf_slab h;
  if (heap == NULL || arena == NULL || size > RF_SIZE_LIMIT || (uintptr_t)arena > UINTPTR_MAX - size ||
      !rf_is_pow2(page_size) || page_size < RF_SLAB_LEAST_PAGE || page_size > RF_SLAB_LARGEST_PAGE) {
    return RF_ERR_INVALID;
  }
  empty(&h);
  h.base.ops = rf_track_ops(&slab_ops);
  h.page_shift = rf_log2(page_size);
  if (!lay_out(&h, (uintptr_t)arena, size)) {
    return RF_ERR_NO_MEMORY;
  }
  plan_zones(&h);
  h.checksum = rf_slab_checksum(&h);
  *heap = h;
  for (uint32_t i = 0; i < h.count; i++) {
    write_record(&h.records[i], INSIDE, 0);
  }
  (void)rf_slab_pages_free(heap, 0, h.count, NULL);
  rf_track_arena(heap->records, extent_of(heap));
  return RF_OK;
}

rf_status rf_slab_init(rf_slab *heap, void *arena, size_t size) {
  return rf_slab_init_paged(heap, arena, size, power_within(size / 128, RF_SLAB_LEAST_PAGE, RF_SLAB_LARGEST_PAGE));
}
