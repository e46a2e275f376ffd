/* Layout of blocks and steps of operations that the sources of sizeclass share. Not a public header. */
#ifndef RINGFENCE_SIZECLASS_IMPL_H
#define RINGFENCE_SIZECLASS_IMPL_H

#include "lib/core/checksum.h"
#include <ringfence/bits.h>
#include <ringfence/sizeclass.h>
#include <ringfence/track.h>

/* ---- Headers ----
 *
 * | word  | used: requested size in 17 bits, row of the site table above; free: the next free block of the class |
 * |       | fallback: the row alone; second header: the distance back to the first payload                       |
 * | flags | 31 MALLOCED | 30 … 28 check | 27 … 12 magic | 11 … 6 log2 of alignment | SECOND | FREED | 3 … 0 class     |
 * | sum   | of address, heap, word and flags, where a header has room for it                                     |
 */

/* The checksum takes no room if max_align_t is aligned to 16: a header then has 16 bytes anyway. */
#if UINTPTR_MAX > UINT32_MAX || defined(__i386__)
#define SEALED 1
#else
#define SEALED 0
#endif

typedef struct header {
  uintptr_t word;
  uint32_t flags;
#if SEALED
  uint32_t checksum;
#endif
} header;

#define HEADER_SIZE ((sizeof(header) + RF_ALIGN_DEFAULT - 1) / RF_ALIGN_DEFAULT * RF_ALIGN_DEFAULT)

_Static_assert(HEADER_SIZE == (SEALED ? 16 : 8) || RF_ALIGN_DEFAULT > 8, "the overhead that sizeclass.h tells");

#define CLASS_MASK 0xFU
#define LARGE_CLASS 0xFU /* a block from the fallback: no class */
#define FREED 0x10U
#define SECOND 0x20U
#define ALIGN_SHIFT 6U
#define ALIGN_MASK 0x3FU
#define CHECK_BITS 0x70000000U
#define MALLOCED 0x80000000U

#define SIZE_BITS 17U
#define SIZE_MASK (((uintptr_t)1 << SIZE_BITS) - 1)

_Static_assert(RF_SIZECLASS_LARGEST <= SIZE_MASK, "a requested size must fit");
_Static_assert((uint64_t)RF_SIZECLASS_SITES_MAX << SIZE_BITS <= UINT32_MAX, "a row must fit beside it");

/* Before the header of a block from the fallback: a node of the tree of them. */
typedef struct rf_sizeclass_large {
  rf_sizeclass_link child[2];
  size_t requested;
  size_t room;
  size_t checksum; /* over the two above */
} large;

/* The block of a pointer. */
typedef struct found {
  header *h; /* the first header */
  unsigned char *payload;
  rf_sizeclass_link *at; /* leads to the record of a block from the fallback; NULL for a block of a class */
  size_t requested;
  size_t room; /* bytes from the payload on */
} found;

/* A walk over the tree without recursion: what is still to be visited, at most one node per level. */
typedef struct large_walk {
  large *todo[sizeof(size_t) * CHAR_BIT + 2];
  unsigned count;
} large_walk;

static inline rf_sizeclass *sizeclass_of(rf_allocator *self) {
  return (rf_sizeclass *)(void *)self;
}

static inline header *header_of(const void *payload) {
  return (header *)((uintptr_t)payload - HEADER_SIZE);
}

static inline unsigned char *first_payload(const header *h) {
  return (unsigned char *)((uintptr_t)h + HEADER_SIZE);
}

static inline unsigned class_of(const header *h) {
  return h->flags & CLASS_MASK;
}

static inline size_t class_size(unsigned q) {
  return (size_t)RF_SIZECLASS_SMALLEST << q;
}

static inline size_t align_of(const header *h) {
  return (size_t)1 << (h->flags >> ALIGN_SHIFT & ALIGN_MASK);
}

static inline size_t row_of(const header *h) {
  return h->word >> SIZE_BITS & RF_SIZECLASS_SITES_MAX;
}

/* The payload that the caller of a used block got: behind a second header where the first payload is not aligned
 * enough. */
static inline unsigned char *user_payload(const header *h) {
  unsigned char *const first = first_payload(h);
  if (rf_is_aligned(first, align_of(h))) {
    return first;
  }
  return first + HEADER_SIZE + rf_align_gap(first + HEADER_SIZE, align_of(h));
}

static inline size_t room_of(const header *h) {
  return class_size(class_of(h)) - (size_t)(user_payload(h) - first_payload(h));
}

static inline size_t offset_of(const rf_sizeclass *heap, const void *p) {
  return (size_t)((uintptr_t)p - (uintptr_t)heap->buffer);
}

static inline bool is_free(const header *h) {
  return (h->flags & FREED) != 0;
}

static inline unsigned char *large_payload(const large *p) {
  return (unsigned char *)((uintptr_t)p + sizeof(large) + HEADER_SIZE);
}

static inline bool in_buffer(const rf_sizeclass *heap, const void *ptr) {
  return offset_of(heap, ptr) < heap->size;
}

/* ---- sizeclass_block.c ---- */

/* Writes a header: no word or flag of one is changed elsewhere. */
void rf_sizeclass_header_set(const rf_sizeclass *heap, header *h, uintptr_t word, uint32_t flags);
/* Magic and checksum. `h` is readable. */
bool rf_sizeclass_header_intact(const rf_sizeclass *heap, const header *h);
/* Covers the part of the heap's record that never changes. */
uintptr_t rf_sizeclass_record_checksum(const rf_sizeclass *heap);
bool rf_sizeclass_record_intact(const rf_sizeclass *heap);
/* Reports, and gives `status` back. */
rf_status rf_sizeclass_refuse(rf_sizeclass *heap, rf_status status, const void *where, const rf_site *site);
/* True for the first header of a carved block, undamaged. `h` may be any address. */
bool rf_sizeclass_block_intact(const rf_sizeclass *heap, const header *h);
/* True where the second header, if the block has one, leads back to the first. */
bool rf_sizeclass_second_intact(const rf_sizeclass *heap, const header *h);
/* The used block at `ptr`, an address in the buffer; else why there is none. */
rf_status rf_sizeclass_find_in_buffer(const rf_sizeclass *heap, const void *ptr, found *out);
/* A block of the buffer, or NULL; `align` is RF_ALIGN_DEFAULT or more. Damage in a queue is reported. */
void *rf_sizeclass_serve_class(rf_sizeclass *heap, size_t size, size_t align, size_t row, const rf_site *site);
void rf_sizeclass_release_class(rf_sizeclass *heap, const found *f);
/* Nothing of the buffer is in use: it can be carved anew, for other classes. Headers left there say FREED. */
void rf_sizeclass_uncarve(rf_sizeclass *heap);

/* ---- sizeclass_large.c ---- */

void rf_sizeclass_link_set(const rf_sizeclass *heap, rf_sizeclass_link *l, large *to);
bool rf_sizeclass_link_intact(const rf_sizeclass *heap, const rf_sizeclass_link *l);
/* The used block at `ptr`, any address outside the buffer; else why there is none. */
rf_status rf_sizeclass_find_in_fallback(rf_sizeclass *heap, const void *ptr, found *out);
void *rf_sizeclass_serve_fallback(rf_sizeclass *heap, size_t size, size_t align, size_t row, const rf_site *site);
/* Bytes from the start of what the fallback gave to the payload. */
size_t rf_sizeclass_front_of(const header *h);
/* RF_OK, or the fault that was reported: the block is then as it was. */
rf_status rf_sizeclass_release_fallback(rf_sizeclass *heap, const found *f, const rf_site *site);
void rf_sizeclass_large_walk_begin(large_walk *w, const rf_sizeclass *heap);
/* The next block; NULL at the end, and at damage, which leaves w->count above 0. */
large *rf_sizeclass_large_walk_next(large_walk *w, const rf_sizeclass *heap);
/* Grows or shrinks a block where it is. False, with its size unchanged, where it cannot be. */
bool rf_sizeclass_reshape_fallback(rf_sizeclass *heap, const found *f, size_t size, const rf_site *site);
/* All blocks that can be reached go back to the fallback. */
void rf_sizeclass_give_all_back(rf_sizeclass *heap);

/* ---- sizeclass_sites.c ---- */

/* The row for a site; 0 where none are tracked. */
size_t rf_sizeclass_site_choose(const rf_sizeclass *heap, const rf_site *site);
void rf_sizeclass_site_count(rf_sizeclass *heap, size_t row, size_t size, const rf_site *site);
void rf_sizeclass_site_uncount(rf_sizeclass *heap, size_t row, size_t size);
void rf_sizeclass_site_resize(rf_sizeclass *heap, size_t row, size_t old_size, size_t size);
/* The site of a row; NULL where none are tracked. */
const rf_site *rf_sizeclass_site_at(const rf_sizeclass *heap, size_t row);

/* ---- sizeclass_view.c ---- */

rf_status rf_sizeclass_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_sizeclass_check(rf_allocator *self, rf_fault *where);
void rf_sizeclass_stats(rf_allocator *self, rf_stats *out);

#endif /* RINGFENCE_SIZECLASS_IMPL_H */
