/* Records of pages, words of chunks and steps of operations that the sources of slab share. Not a public header.
 * The sources use each other in this order: slab_record, slab_pages, slab_zone, slab_run, slab_view, slab.
 *
 * Every page has a record, whose checksum is right at all times. It tells what begins at the page:
 *
 *     kind     length         a               b                   next, prev
 *     INSIDE                                                                    nothing begins here
 *     FREE     pages          child 0         child 1             runs as long  a run of free pages, node of the trie
 *     LAST     pages                                                            the last page of a run of two or more
 *     RUN      pages          bytes not used                                    pages of one block
 *     ZONE     pages          used | cut<<16  free | class << 16  open zones    chunks of one class
 *     MEMBER   distance                                                         a page so far behind its zone's first
 *
 * A FREE, RUN or ZONE is always true: when it ends, its record is overwritten. LAST and MEMBER may be left over from
 * before, and count where the record that they lead to agrees. Two runs of free pages never touch.
 *
 * A zone's chunks begin with its first page; behind them all, up to its end, is a word for each:
 *
 *     31      check      20 19     log2 of alignment    16 15     requested bytes      1 | 1   used
 *     31      check      20                             16        next free chunk      1 | 0   free
 *
 * Chunks are cut when they are first used: the words of those above `cut` mean nothing. NO_CHUNK ends the list of free
 * ones.
 */
#ifndef RINGFENCE_SLAB_IMPL_H
#define RINGFENCE_SLAB_IMPL_H

#include "lib/core/checksum.h"
#include "lib/core/verdict.h"
#include <ringfence/bits.h>
#include <ringfence/slab.h>

typedef struct rf_slab_record {
  uint32_t head; /* length << KIND_BITS | kind */
  uint32_t a;
  uint32_t b;
  uint32_t next;
  uint32_t prev;
  uint32_t checksum;
} record;

_Static_assert(sizeof(record) == 24, "the overhead that slab.h tells");

enum { INSIDE, FREE, LAST, RUN, ZONE, MEMBER, KIND_BITS = 3 };

enum {
  WORD = sizeof(uint32_t),
  LEAST_CHUNKS = 4, /* of a zone within the budget */
  FEWEST_CHUNKS = 3 /* of a zone of one page */
};

#define NO_PAGE UINT32_MAX
#define NO_CHUNK 0xFFFFU
#define MAX_PAGES ((UINT32_MAX >> KIND_BITS) - 1)
#define TRIE_STEPS 33 /* more than any path has nodes */

_Static_assert(RF_SLAB_LEAST_ARENA >= 7 + sizeof(record) + RF_SLAB_LEAST_PAGE - 1 + RF_SLAB_LEAST_PAGE,
               "what slab.h tells");
_Static_assert(RF_ALIGN_DEFAULT <= RF_SLAB_LEAST_PAGE, "pages are aligned as usual");

/* ---- Classes ---- */

/* The class whose chunks are the smallest of at least `size` bytes, 1 to RF_SLAB_LARGEST_CHUNK. */
static inline unsigned class_for(size_t size) {
  if (size <= 128) {
    return (unsigned)((size - 1) / 8);
  }
  unsigned const log = rf_log2(size - 1);
  return 8 * (log - 6) + (unsigned)((size - 1) >> (log - 3));
}

static inline uint32_t chunk_size(unsigned q) {
  return q < 16 ? 8 * (q + 1) : (9 + q % 8) << (2 + q / 8);
}

/* Every chunk of the class is aligned to this. */
static inline size_t natural_align(const rf_slab *h, uint32_t chunk) {
  size_t const align = chunk & -chunk;
  size_t const page = (size_t)1 << h->page_shift;
  return align < page ? align : page;
}

/* Bytes of a chunk, from where it may have to be aligned; what a chunk serves whatever its place. */
static inline size_t room_for_align(const rf_slab *h, uint32_t chunk, size_t align) {
  size_t const natural = natural_align(h, chunk);
  size_t const loss = align > natural ? align - natural : 0;
  return loss <= chunk ? chunk - loss : 0;
}

/* Pages of a zone: enough for LEAST_CHUNKS, unless that exceeds the budget. */
static inline uint32_t zone_pages(const rf_slab *h, uint32_t chunk) {
  uint32_t const page = (uint32_t)1 << h->page_shift;
  uint32_t const least = LEAST_CHUNKS * (chunk + WORD);
  uint32_t const wanted = least > h->zone_least ? least : h->zone_least;
  return wanted > h->zone_budget ? 1 : (wanted + page - 1) >> h->page_shift;
}

static inline uint32_t zone_chunks(const rf_slab *h, uint32_t chunk, uint32_t pages) {
  return (pages << h->page_shift) / (chunk + WORD);
}

/* ---- Records ---- */

static inline unsigned kind_of(const record *r) {
  return r->head & ((1U << KIND_BITS) - 1);
}

static inline uint32_t length_of(const record *r) {
  return r->head >> KIND_BITS;
}

static inline uint32_t checksum_of(const record *r) {
  uint32_t sum = rf_checksum32_begin(r);
  sum = rf_checksum32_add(sum, r->head);
  sum = rf_checksum32_add(sum, r->a);
  sum = rf_checksum32_add(sum, r->b);
  sum = rf_checksum32_add(sum, r->next);
  return rf_checksum32_add(sum, r->prev);
}

static inline void update_checksum(record *r) {
  r->checksum = checksum_of(r);
}

static inline bool is_intact(const record *r) {
  return r->checksum == checksum_of(r);
}

/* A record anew. */
static inline void write_record(record *r, unsigned kind, uint32_t length) {
  r->head = length << KIND_BITS | kind;
  r->a = 0;
  r->b = 0;
  r->next = NO_PAGE;
  r->prev = NO_PAGE;
  update_checksum(r);
}

/* The record of page `i`, any number, where it is of that kind and undamaged; else NULL. */
static inline record *record_of_kind(const rf_slab *h, uint32_t i, unsigned kind) {
  if (i >= h->count) {
    return NULL;
  }
  record *const r = &h->records[i];
  return is_intact(r) && kind_of(r) == kind ? r : NULL;
}

static inline unsigned char *page_at(const rf_slab *h, uint32_t i) {
  return h->pages + ((size_t)i << h->page_shift);
}

static inline uint32_t zone_used(const record *z) {
  return z->a & 0xFFFFU;
}

static inline uint32_t zone_cut(const record *z) {
  return z->a >> 16;
}

static inline uint32_t zone_free(const record *z) {
  return z->b & 0xFFFFU;
}

static inline unsigned zone_class(const record *z) {
  return z->b >> 16;
}

/* ---- Words of chunks ---- */

#define WORD_DATA 0xFFFFFU
#define WORD_USED 1U
#define WORD_SHIFT 1U
#define WORD_ALIGN_SHIFT 16U

/* Checks the twenty bits of data. It is one to one in each byte, so any changed byte is found. */
static inline uint32_t word_check(const uint32_t *at, uint32_t data) {
  uint32_t const place = (uint32_t)(uintptr_t)at * 0x9E3779B1U >> 20;
  return (data ^ data >> 12 ^ place) << 20;
}

static inline void write_word(uint32_t *at, uint32_t data) {
  *at = data | word_check(at, data);
}

static inline bool is_word(const uint32_t *at) {
  return *at >> 20 == word_check(at, *at & WORD_DATA) >> 20;
}

static inline uint32_t size_of_word(uint32_t word) {
  return word >> WORD_SHIFT & 0x7FFFU;
}

static inline uint32_t next_of_word(uint32_t word) {
  return word >> WORD_SHIFT & NO_CHUNK;
}

static inline size_t align_of_word(uint32_t word) {
  return (size_t)1 << (word >> WORD_ALIGN_SHIFT & 0xF);
}

_Static_assert(RF_SLAB_LARGEST_CHUNK <= 0x7FFF, "a requested size must fit");

/* A zone, from its record. */
typedef struct zone {
  record *r;
  uint32_t page;
  unsigned q;
  uint32_t chunk;
  uint32_t chunks;
  unsigned char *start;
  uint32_t *words;
} zone;

/* The block of a pointer. */
typedef struct found {
  record *r; /* of a run, or of the zone */
  uint32_t page;
  size_t size;    /* requested */
  size_t room;    /* from the pointer on */
  uint32_t index; /* of the chunk in `z`; both only where there is one */
  zone z;
} found;

static inline rf_slab *slab_of(rf_allocator *self) {
  return (rf_slab *)(void *)self;
}

/* ---- slab_record.c ---- */

/* Covers the part of the heap's record that never changes. */
size_t rf_slab_checksum(const rf_slab *h);

static inline bool rf_slab_intact(const rf_slab *h) {
  return h->checksum == rf_slab_checksum(h);
}

/* Reports damage at `at`: RF_ERR_CORRUPT. */
rf_status rf_slab_damaged(rf_slab *h, const void *at, const rf_site *site);
/* The record of the FREE, RUN or ZONE that page `i` belongs to, and its first page; NULL where damage bars the way. */
record *rf_slab_page_owner(const rf_slab *h, uint32_t i, uint32_t *first);
/* The record at `i`, any number, of a FREE, RUN or ZONE that ends within the heap; else NULL. */
record *rf_slab_owner_at(const rf_slab *h, uint32_t i);

/* ---- slab_pages.c: runs of pages. False, or RF_ERR_CORRUPT, where damage was met, which is then reported. ---- */

enum { MOST_CHANGES = 15 }; /* removing a run changes three records at most, inserting two five each; its two ends */

/* The records that an operation on free pages has changed, as they were before. */
typedef struct change {
  rf_slab *h;
  const rf_site *site;
  uint32_t root;
  unsigned count; /* 0: nothing to revert */
  struct {
    uint32_t page;
    record before;
  } was[MOST_CHANGES];
} change;

/* Cuts `pages` from a multiple of `align` bytes on out of a free run: *out is the first, whose record is the caller's
 * to write. RF_ERR_NO_MEMORY: there is no such run; RF_ERR_INVALID: there cannot be one. With `log`, not NULL, it
 * can be reverted. */
rf_status rf_slab_pages_alloc(rf_slab *h, size_t pages, size_t align, uint32_t *out, change *log, const rf_site *site);
/* Undoes a rf_slab_pages_alloc, before any other change of free pages. Cannot meet damage. */
void rf_slab_revert(change *c);
/* Cuts `pages` off the free run that begins at `page`. RF_ERR_NO_MEMORY where there is none so long. */
rf_status rf_slab_pages_alloc_at(rf_slab *h, uint32_t page, uint32_t pages, const rf_site *site);
/* Makes pages free that nothing owns any more, and merges them. */
bool rf_slab_pages_free(rf_slab *h, uint32_t page, uint32_t pages, const rf_site *site);

/* ---- slab_zone.c: chunks ---- */

/* Fills *out from the record of page `i`, an intact ZONE. False where it contradicts itself. */
bool rf_slab_zone_at(const rf_slab *h, uint32_t i, zone *out);
/* The start of the user's part of a chunk. */
unsigned char *rf_slab_chunk_user(const zone *z, uint32_t index);
/* A chunk of class `q` from a zone that is open; NULL where none is, or damage was met. */
void *rf_slab_chunk_alloc(rf_slab *h, unsigned q, size_t size, size_t align, const rf_site *site);
/* Opens a new zone. False where there are no pages for it. `log` as by rf_slab_pages_alloc. */
bool rf_slab_zone_open(rf_slab *h, unsigned q, change *log, const rf_site *site);
/* Takes a zone that was just opened out of its list. Cannot meet damage. */
void rf_slab_zone_forget(rf_slab *h, const zone *z);
/* The zone and chunk of a pointer into `page`, found by the zone's own record alone. False where the page is a
 * RUN's. */
bool rf_slab_chunk_at(const rf_slab *h, uint32_t page, const void *ptr, found *out);
rf_status rf_slab_chunk_free(rf_slab *h, const found *f, const rf_site *site);
/* Within its room. */
void rf_slab_chunk_resize(const found *f, size_t size);
/* Frees the zones in reserve. False where there was none. */
bool rf_slab_release_reserve(rf_slab *h, const rf_site *site);
/* rf_slab_pages_alloc, tried again without the reserve. */
rf_status rf_slab_pages_find(rf_slab *h, size_t pages, size_t align, uint32_t *out, change *log, const rf_site *site);

/* ---- slab_run.c: blocks of whole pages ---- */

/* Pages for `size` bytes; NULL where there are none, or damage was met. `log` as by rf_slab_pages_alloc. */
void *rf_slab_run_alloc(rf_slab *h, size_t size, size_t align, change *log, const rf_site *site);
rf_status rf_slab_run_resize(rf_slab *h, const found *f, size_t size, const rf_site *site);

static inline size_t run_size(const rf_slab *h, const record *r) {
  return ((size_t)length_of(r) << h->page_shift) - r->a;
}

/* ---- slab_view.c ---- */

rf_status rf_slab_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_slab_check(rf_allocator *self, rf_fault *where);
void rf_slab_stats(rf_allocator *self, rf_stats *out);

#endif /* RINGFENCE_SLAB_IMPL_H */
