#include <ringfence/tlsf.h>

#include <ringfence/bits.h>
#include <string.h>

/* A block: its header is the word before the payload.
 *
 *     header: size in bytes, a multiple of GRANULE, header included | FREE | PREV_FREE | SLACK
 *     used:   payload; with SLACK the last byte tells how many bytes at the end were not requested
 *     free:   next, previous in the list; the last word is a pointer to the payload
 */
struct rf_tlsf_block {
  rf_tlsf_block *next;
  rf_tlsf_block *prev;
};

enum { GRANULE = 2 * sizeof(void *), HEADER = sizeof(size_t), MIN_BLOCK = 2 * GRANULE };
enum { FREE = 1, PREV_FREE = 2, SLACK = 4, FLAGS = 7 };

static inline size_t *header(const void *p) {
  return (size_t *)p - 1;
}

static inline size_t size_of(const void *p) {
  return *header(p) & ~(size_t)FLAGS;
}

static inline void *after(const void *p, size_t bytes) {
  return (unsigned char *)p + bytes;
}

static inline void **footer(const void *p) {
  return (void **)after(p, size_of(p) - HEADER - sizeof(void *));
}

static inline size_t requested(const void *p) {
  size_t const payload = size_of(p) - HEADER;
  return (*header(p) & SLACK) != 0 ? payload - *(unsigned char *)after(p, payload - 1) : payload;
}

/* ---- Size classes ---- */

static inline unsigned class_of(const rf_tlsf *h, size_t size) {
  size_t const k = size / GRANULE;
  unsigned const f = rf_log2(k | (size_t)1 << h->shift) - h->shift;
  unsigned const c = (f << h->shift) + (unsigned)(k >> f);
  return c < h->classes ? c : h->classes - 1;
}

static void insert(rf_tlsf *h, void *p, size_t size, size_t prev_free) {
  unsigned const c = class_of(h, size);
  rf_tlsf_block *const b = p;
  *header(p) = size | FREE | prev_free;
  *footer(p) = p;
  b->next = h->lists[c];
  b->prev = NULL;
  if (b->next != NULL) {
    b->next->prev = b;
  }
  h->lists[c] = b;
  h->map |= (size_t)1 << c;
  *header(after(p, size)) |= PREV_FREE;
}

static void unlink_block(rf_tlsf *h, void *p) {
  rf_tlsf_block *const b = p;
  if (b->next != NULL) {
    b->next->prev = b->prev;
  }
  if (b->prev != NULL) {
    b->prev->next = b->next;
  } else {
    unsigned const c = class_of(h, size_of(p));
    h->lists[c] = b->next;
    if (b->next == NULL) {
      h->map &= ~((size_t)1 << c);
    }
  }
}

static void *find(const rf_tlsf *h, size_t size) {
  unsigned c = class_of(h, size);
  if (h->lists[c] != NULL && size_of(h->lists[c]) >= size) {
    return h->lists[c];
  }
  if (c + 1 >= h->classes || h->map >> (c + 1) == 0) {
    return NULL;
  }
  c += 1 + rf_ctz(h->map >> (c + 1));
  return size_of(h->lists[c]) >= size ? h->lists[c] : NULL;
}

/* ---- Regions ---- */

static rf_tlsf_region *region_of(const rf_tlsf *h, const void *p) {
  rf_tlsf_region *r = h->regions;
  while (r != NULL && ((uintptr_t)p - (uintptr_t)r->first) / GRANULE >= r->granules) {
    r = r->next;
  }
  return r;
}

static inline size_t granule(const rf_tlsf_region *r, const void *p) {
  return ((uintptr_t)p - (uintptr_t)r->first) / GRANULE;
}

static inline bool is_start(const rf_tlsf_region *r, size_t i) {
  return (r->starts[i / RF_SIZE_BITS] >> i % RF_SIZE_BITS & 1) != 0;
}

static inline void flip_start(rf_tlsf_region *r, size_t i) {
  r->starts[i / RF_SIZE_BITS] ^= (size_t)1 << i % RF_SIZE_BITS;
}

static rf_status layout_region(rf_tlsf_region *r, uintptr_t begin, uintptr_t end) {
  size_t gap = -begin & (sizeof(size_t) - 1);
  if (end < begin || end - begin < gap + MIN_BLOCK + HEADER) {
    return RF_ERR_NO_MEMORY;
  }
  begin += gap;
  size_t const words = (end - begin) / GRANULE / RF_SIZE_BITS + 1;
  r->starts = (size_t *)begin;
  begin += words * sizeof(size_t) + HEADER;
  begin += -begin & (GRANULE - 1);
  if (end < begin || end - begin < MIN_BLOCK) {
    return RF_ERR_NO_MEMORY;
  }
  r->first = (unsigned char *)begin;
  r->granules = (end - begin) / GRANULE;
  memset(r->starts, 0, words * sizeof(size_t));
  return RF_OK;
}

static void open_region(rf_tlsf *h, rf_tlsf_region *r) {
  rf_tlsf_region **at = &h->regions;
  while (*at != NULL && (*at)->first < r->first) {
    at = &(*at)->next;
  }
  r->next = *at;
  *at = r;
  *header(r->first + r->granules * GRANULE) = 0;
  insert(h, r->first, r->granules * GRANULE, 0);
}

/* ---- Operations ---- */

static void take(rf_tlsf *h, unsigned char *p, size_t need, size_t size) {
  size_t const rest = size_of(p) - need;
  size_t const prev_free = *header(p) & PREV_FREE;
  if (rest >= MIN_BLOCK) {
    *header(p) = need | prev_free;
    insert(h, p + need, rest, 0);
  } else {
    need += rest;
    *header(p) = need | prev_free;
    *header(p + need) &= ~(size_t)PREV_FREE;
  }
  size_t const slack = need - HEADER - size;
  if (slack != 0) {
    *header(p) |= SLACK;
    p[need - HEADER - 1] = (unsigned char)slack;
  }
}

static size_t block_size(size_t size) {
  size_t const need = (size + HEADER + GRANULE - 1) & ~(size_t)(GRANULE - 1);
  return need < MIN_BLOCK ? MIN_BLOCK : need;
}

static void *tlsf_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_tlsf *const h = (rf_tlsf *)self;
  size_t const need = block_size(size);
  size_t const extra = align > GRANULE ? align + MIN_BLOCK : 0;
  (void)site;
  unsigned char *p = need + extra <= RF_SIZE_LIMIT && extra <= RF_SIZE_LIMIT ? find(h, need + extra) : NULL;
  if (p == NULL) {
    h->counters.failures++;
    return NULL;
  }
  unlink_block(h, p);
  size_t gap = extra == 0 ? 0 : rf_align_gap(p, align);
  if (gap != 0) {
    gap = gap < MIN_BLOCK ? gap + align : gap;
    while (gap < MIN_BLOCK) {
      gap += align;
    }
    size_t const total = size_of(p);
    *header(p + gap) = total - gap;
    insert(h, p, gap, 0);
    p += gap;
  }
  take(h, p, need, size);
  rf_tlsf_region *const r = region_of(h, p);
  flip_start(r, granule(r, p));
  rf_count_alloc(&h->counters, size);
  return p;
}

static rf_status refuse(rf_tlsf *h, const void *ptr, const rf_site *site) {
  rf_tlsf_region *const r = region_of(h, ptr);
  if (r == NULL || !rf_is_aligned(ptr, GRANULE)) {
    return rf_fault_refuse(&h->base, RF_ERR_BAD_POINTER, "free of a pointer that is not a block", ptr, site);
  }
  for (unsigned char *p = r->first; p <= (unsigned char *)ptr && size_of(p) != 0; p += size_of(p)) {
    if (p == ptr) {
      return rf_fault_refuse(&h->base, RF_ERR_NOT_ALLOCATED, "double free", ptr, site);
    }
  }
  return rf_fault_refuse(&h->base, RF_ERR_BAD_POINTER, "free of a pointer into a block", ptr, site);
}

static bool live(const rf_tlsf *h, const void *p) {
  rf_tlsf_region *const r = region_of(h, p);
  return r != NULL && rf_is_aligned(p, GRANULE) && is_start(r, granule(r, p));
}

static rf_status tlsf_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_tlsf *const h = (rf_tlsf *)self;
  unsigned char *p = ptr;
  if (!live(h, ptr)) {
    return refuse(h, ptr, site);
  }
  rf_tlsf_region *const r = region_of(h, p);
  flip_start(r, granule(r, p));
  rf_count_free(&h->counters, requested(p));
  size_t size = size_of(p);
  if ((*header(p + size) & FREE) != 0) {
    unlink_block(h, p + size);
    size += size_of(p + size);
  }
  if ((*header(p) & PREV_FREE) != 0) {
    p = ((void **)header(p))[-1];
    unlink_block(h, p);
    size += size_of(p);
  }
  insert(h, p, size, 0);
  return RF_OK;
}

static rf_status tlsf_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_tlsf *const h = (rf_tlsf *)self;
  unsigned char *const p = ptr;
  if (!live(h, ptr)) {
    return refuse(h, ptr, site);
  }
  size_t const need = block_size(size);
  size_t const old = requested(p);
  size_t room = size_of(p);
  unsigned char *const next = p + room;
  size_t const spare = (*header(next) & FREE) != 0 ? size_of(next) : 0;
  if (need > room + spare) {
    return RF_ERR_NO_MEMORY;
  }
  if (spare != 0) {
    unlink_block(h, next);
    room += spare;
  }
  *header(p) = room | (*header(p) & PREV_FREE);
  take(h, p, need, size);
  rf_count_resize(&h->counters, old, size);
  return RF_OK;
}

static size_t tlsf_usable_size(rf_allocator *self, const void *ptr) {
  return live((rf_tlsf *)self, ptr) ? requested(ptr) : 0;
}

static bool tlsf_owns(rf_allocator *self, const void *ptr) {
  return region_of((rf_tlsf *)self, ptr) != NULL;
}

static rf_status tlsf_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  for (rf_tlsf_region *r = ((rf_tlsf *)self)->regions; r != NULL; r = r->next) {
    for (unsigned char *p = r->first; size_of(p) != 0; p += size_of(p)) {
      bool const used = (*header(p) & FREE) == 0;
      size_t const size = used ? requested(p) : size_of(p) - HEADER;
      rf_block const block = {p, size, size_of(p) - size, used, NULL};
      if (!visit(&block, context)) {
        return RF_OK;
      }
    }
  }
  return RF_OK;
}

static rf_status corrupt(rf_tlsf *h, rf_fault *where, const void *p) {
  *where = (rf_fault){RF_ERR_CORRUPT, "damaged heap", &h->base, p, NULL};
  return RF_ERR_CORRUPT;
}

static rf_status tlsf_check(rf_allocator *self, rf_fault *where) {
  rf_tlsf *const h = (rf_tlsf *)self;
  for (rf_tlsf_region *r = h->regions; r != NULL; r = r->next) {
    size_t left = r->granules * GRANULE;
    for (unsigned char *p = r->first; left != 0; left -= size_of(p), p += size_of(p)) {
      bool const used = (*header(p) & FREE) == 0;
      if (size_of(p) > left || size_of(p) < MIN_BLOCK || used != is_start(r, granule(r, p))) {
        return corrupt(h, where, p);
      }
      if (!used && (*footer(p) != p || (*header(p + size_of(p)) & PREV_FREE) == 0)) {
        return corrupt(h, where, p);
      }
    }
  }
  return RF_OK;
}

static void tlsf_stats(rf_allocator *self, rf_stats *out) {
  rf_tlsf *const h = (rf_tlsf *)self;
  memset(out, 0, sizeof *out);
  rf_count_into(&h->counters, out);
  for (rf_tlsf_region *r = h->regions; r != NULL; r = r->next) {
    out->capacity += r->size;
  }
  for (unsigned c = 0; c < h->classes; c++) {
    for (rf_tlsf_block *b = h->lists[c]; b != NULL; b = b->next) {
      size_t const payload = size_of(b) - HEADER;
      out->free_bytes += payload;
      if (h->lists[c] == b) {
        out->largest_free = payload;
      }
    }
  }
  out->overhead = out->capacity - out->used - out->free_bytes;
}

static void tlsf_deinit(rf_allocator *self) {
  rf_tlsf *const h = (rf_tlsf *)self;
  h->regions = NULL;
  h->classes = 0;
  h->map = 0;
}

static const rf_allocator_ops tlsf_ops = {
    .name = "tlsf",
    .alloc = tlsf_alloc,
    .free = tlsf_free,
    .resize = tlsf_resize,
    .usable_size = tlsf_usable_size,
    .owns = tlsf_owns,
    .walk = tlsf_walk,
    .check = tlsf_check,
    .stats = tlsf_stats,
    .deinit = tlsf_deinit,
};

rf_status rf_tlsf_init(rf_tlsf *heap, void *arena, size_t size) {
  return rf_tlsf_init_for(heap, arena, size, size);
}

static unsigned class_shift(size_t granules) {
  unsigned shift = 3;
  while (shift != 0 && rf_log2(granules | 8) >= shift + RF_SIZE_BITS / (1U << shift) - 1) {
    shift--;
  }
  return shift;
}

rf_status rf_tlsf_init_for(rf_tlsf *heap, void *arena, size_t size, size_t largest) {
  uintptr_t begin = (uintptr_t)arena;
  if (arena == NULL || size > RF_SIZE_LIMIT || begin + size < begin) {
    return RF_ERR_INVALID;
  }
  memset(heap, 0, sizeof *heap);
  heap->base.ops = &tlsf_ops;
  uintptr_t const end = begin + size;
  size_t const granules = (largest > size ? largest : size) / GRANULE;
  begin += -begin & (sizeof(size_t) - 1);
  heap->classes = RF_SIZE_BITS;
  heap->shift = class_shift(granules);
  heap->classes = class_of(heap, granules * GRANULE) + 1;
  heap->lists = (rf_tlsf_block **)begin;
  begin += heap->classes * sizeof(void *);
  rf_status const status = layout_region(&heap->main, begin, end);
  if (status != RF_OK) {
    return status;
  }
  memset(heap->lists, 0, heap->classes * sizeof(void *));
  heap->main.mem = arena;
  heap->main.size = size;
  open_region(heap, &heap->main);
  return RF_OK;
}

rf_status rf_tlsf_add_region(rf_tlsf *heap, void *memory, size_t size) {
  uintptr_t begin = (uintptr_t)memory;
  if (memory == NULL || size > RF_SIZE_LIMIT || begin + size < begin) {
    return RF_ERR_INVALID;
  }
  for (rf_tlsf_region *r = heap->regions; r != NULL; r = r->next) {
    if (begin < (uintptr_t)r->mem + r->size && (uintptr_t)r->mem < begin + size) {
      return RF_ERR_INVALID;
    }
  }
  uintptr_t const end = begin + size;
  begin += -begin & (sizeof(size_t) - 1);
  if (end < begin || end - begin < sizeof(rf_tlsf_region)) {
    return RF_ERR_NO_MEMORY;
  }
  rf_tlsf_region *const r = (rf_tlsf_region *)begin;
  rf_status const status = layout_region(r, begin + sizeof *r, end);
  if (status != RF_OK) {
    return status;
  }
  r->mem = memory;
  r->size = size;
  open_region(heap, r);
  return RF_OK;
}

rf_status rf_tlsf_remove_region(rf_tlsf *heap, void *memory) {
  for (rf_tlsf_region **at = &heap->regions; *at != NULL; at = &(*at)->next) {
    rf_tlsf_region *const r = *at;
    if (r->mem == memory && r != &heap->main) {
      if ((*header(r->first) & FREE) == 0 || size_of(r->first) != r->granules * GRANULE) {
        return RF_ERR_BUSY;
      }
      unlink_block(heap, r->first);
      *at = r->next;
      return RF_OK;
    }
  }
  return RF_ERR_INVALID;
}
