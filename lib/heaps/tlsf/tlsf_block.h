/* What rf_tlsf's memory looks like, and the steps that its operations are made of. Private to tlsf*.c.
 *
 * Blocks lie in a region one behind the other. A block is known by where its payload begins, b; its header is the four
 * bytes before that, and the block behind it begins where it ends, at e.
 *
 *     live   b-4      b                                           e-4      e
 *            +--------+-------------------------------+-----------+--------+---
 *            | header | requested bytes               | slack     | header of the block behind
 *            +--------+-------------------------------+-----------+--------+---
 *              granules << 8 | (bytes not requested, header included) << 2 | block before it is free << 1 | 0
 *
 *     free   b-4      b      b+4                         e-8      e-4      e
 *            +--------+------+------+--------------------+--------+--------+---
 *            | tag    | next | prev | not looked at      | tag    | header of the block behind
 *            +--------+------+------+--------------------+--------+--------+---
 *              granules << 1 | 1
 *
 *     huge   b-4      b        b+8        b+12            b+16
 *            +--------+--------+----------+---------------+--------------------
 *            | header | bytes  | slack    | header        | requested bytes
 *            +--------+--------+----------+---------------+--------------------
 *              HUGE_BLOCK << 2              HUGE_USER << 2, both with 0 granules; on 64 bit
 *
 *     end    a header with 0 granules: the block behind the last, live for ever
 *
 *     lists  from the region's origin, 8 bytes each: next, prev. An empty one links to itself.
 *
 * Two free blocks never touch. Bit g of a region's bitmap is set where what the program holds begins, g granules behind
 * the origin, also for the b of a huge block and for the end. Links are places, which is to say multiples of 8 bytes
 * behind the origin, and every operation sees that they are below the end before it follows them: whatever a program
 * writes into freed memory, nothing but the region's lists and blocks is touched.
 */
#ifndef RINGFENCE_TLSF_BLOCK_H
#define RINGFENCE_TLSF_BLOCK_H

#include <ringfence/bits.h>
#include <ringfence/track.h>
#include <ringfence/tlsf.h>

enum {
  GRANULE = RF_ALIGN_DEFAULT > 8 ? 16 : 8, /* every block is aligned as usual, none takes luck */
  GRANULE_SHIFT = GRANULE == 16 ? 4 : 3,
  PLACE = 8, /* bytes that a link counts in */
  HEADER = sizeof(uint32_t),
  MIN_BLOCK = 16, /* header, two links, tag */
  LISTS = 64,
  HAS_HUGE = sizeof(size_t) == 8,
};

enum {
  FREE = 1,
  TAG_SHIFT = 1,
  PREV_FREE = 2,
  SLACK_SHIFT = 2,
  SIZE_SHIFT = 8,
  HUGE_BLOCK = 1, /* in the place of slack */
  HUGE_USER = 2,
  HUGE_LEAD = 16, /* bytes from b to what the program holds */
};

_Static_assert(sizeof(void *) == 8 || sizeof(void *) == 4, "layout is drawn for 32 and 64 bit");
_Static_assert(RF_ALIGN_DEFAULT <= GRANULE, "a stricter usual alignment wants a larger granule");
_Static_assert(MIN_BLOCK % GRANULE == 0 && MIN_BLOCK == HEADER + 3 * sizeof(uint32_t), "smallest free block");
_Static_assert(2 * MIN_BLOCK < 1 << (SIZE_SHIFT - SLACK_SHIFT), "slack fits: of alloc(0), with a rest not split off");
_Static_assert(HUGE_LEAD >= sizeof(size_t) + 2 * sizeof(uint32_t), "room for size, slack and header");

/* Bytes of the largest block whose size fits a header. Larger ones are huge, on 64 bit: 256 MiB and more. On 32 bit, from
 * 128 MiB, there are none. */
#ifndef RF_TLSF_MAX_PLAIN /* fuzzers lower it */
#define RF_TLSF_MAX_PLAIN ((((size_t)1 << (32 - SIZE_SHIFT)) - 2) * GRANULE)
#endif
#define MAX_PLAIN RF_TLSF_MAX_PLAIN

/* A region, and so a block, has fewer bytes: list numbers, tags and links are made for this. */
#ifndef RF_TLSF_MAX_REGION /* fuzzers lower it */
#define RF_TLSF_MAX_REGION (sizeof(size_t) == 8 ? (size_t)(UINT64_C(3) << 32) : SIZE_MAX / 2 + 1)
#endif
#define MAX_REGION RF_TLSF_MAX_REGION

/* ---- For the common paths ----
 *
 * Their worst case is counted in instructions, and has none to spare for registers that are saved and restored. These
 * make no code. They keep compilers from holding on to values that are as quickly computed or read again. */
#define RF_LIKELY(x) __builtin_expect(!!(x), 1)
#define RF_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define RF_FORGET(x) __asm__("" : "+r"(x))        /* what `x` was computed from */
#define RF_FORGET_MEMORY(x) __asm__("" : "+m"(x)) /* what was read from `x` */

/* `word` with bit `n`, modulo its bits, turned over. gcc 12 makes three instructions and a register of the shift. */
static inline uint64_t turn_bit(uint64_t word, size_t n) {
#if defined(__x86_64__)
  __asm__("btcq %1, %0" : "+r"(word) : "r"(n) : "cc");
  return word;
#else
  return word ^ (uint64_t)1 << n % 64;
#endif
}

/* Index of the lowest and of the highest set bit of `map`, which is not 0. Without libgcc on 32 bit. */
static inline unsigned first_in(uint64_t map) {
  if (sizeof(size_t) == 8) {
    return rf_ctz((size_t)map);
  }
  return (uint32_t)map != 0 ? rf_ctz((uint32_t)map) : 32 + rf_ctz((uint32_t)(map >> 32));
}

static inline unsigned last_in(uint64_t map) {
  if (sizeof(size_t) == 8) {
    return rf_log2((size_t)map);
  }
  return map >> 32 != 0 ? 32 + rf_log2((uint32_t)(map >> 32)) : rf_log2((uint32_t)map);
}

static inline size_t turn_bit_of_word(size_t word, size_t n) {
  return sizeof(size_t) == 8 ? (size_t)turn_bit(word, n) : word ^ (size_t)1 << n % RF_SIZE_BITS;
}

/* ---- Words of a block ---- */

static inline uint32_t *header_of(unsigned char *b) {
  return (uint32_t *)(void *)(b - HEADER);
}

static inline uint32_t *next_of(unsigned char *b) {
  return (uint32_t *)(void *)b;
}

static inline uint32_t *prev_of(unsigned char *b) {
  return (uint32_t *)(void *)(b + sizeof(uint32_t));
}

/* The tag at the end of the free block before `e`. */
static inline uint32_t *foot_before(unsigned char *e) {
  return (uint32_t *)(void *)(e - HEADER - sizeof(uint32_t));
}

static inline size_t places_of_tag(size_t tag) {
  return (tag - FREE) * (GRANULE >> TAG_SHIFT) / PLACE;
}

static inline size_t size_of_tag(size_t tag) {
  return tag * (GRANULE >> TAG_SHIFT) - (GRANULE >> TAG_SHIFT);
}

static inline size_t size_of_header(size_t header) {
  return header >> (SIZE_SHIFT - GRANULE_SHIFT) & ~(size_t)(GRANULE - 1);
}

/* Bytes of a live block that were not requested. */
static inline size_t slack_of_header(size_t header) {
  return (size_t)(uint8_t)header >> SLACK_SHIFT;
}

/* A live header but for PREV_FREE. */
static inline uint32_t live_header(size_t granules, size_t size) {
  return (uint32_t)(granules << SIZE_SHIFT) + ((uint32_t)(granules * GRANULE - size) << SLACK_SHIFT);
}

/* Whether the block for `size` bytes is huge; on 32 bit, there is none. */
static inline bool is_huge(size_t size) {
  return size > MAX_PLAIN - MIN_BLOCK;
}

/* True of the header before the b of a huge block. */
static inline bool is_huge_header(uint32_t header) {
  return HAS_HUGE && (header & ~(uint32_t)PREV_FREE) == HUGE_BLOCK << SLACK_SHIFT;
}

/* Granules of the block for `size` bytes. */
static inline size_t granules_for(size_t size) {
  size_t const granules = (size + HEADER + GRANULE - 1) / GRANULE;
  return MIN_BLOCK == GRANULE || granules > MIN_BLOCK / GRANULE ? granules : (size_t)MIN_BLOCK / GRANULE;
}

/* ---- Size classes ----
 *
 * List n holds the free blocks of n granules up to 11 granules, then there are two lists for each power of two: from
 * 12, 16, 24, 32, 48, ... granules. With k = m * 2^f, 1 <= m < 2, that is 2m rounded down + 2f + 3, which is above k for
 * the small ones. */

/* The list for a free block. */
static inline size_t list_of(size_t granules) {
  unsigned const log = rf_log2(granules);
  size_t const number = (unsigned)(2 * granules >> log) + 2 * log + 3;
  return granules < number ? granules : number;
}

/* The first list whose blocks are all large enough: the one behind the list of granules - 1. */
static inline unsigned list_for(size_t granules) {
  size_t const doubled = 2 * granules - 1; /* not 0, and its logarithm is that of granules - 1 and one more */
  unsigned const log = rf_log2(doubled);
  unsigned const number = (unsigned)(2 * doubled >> log) + 2 * log + 2;
  return (unsigned)granules < number ? (unsigned)granules : number;
}

/* ---- Regions ---- */

/* Granules from `origin` to `p`; more than any region has where `p` is before it or misaligned. */
static inline size_t granules_behind(const unsigned char *origin, const void *p) {
  uintptr_t const offset = (uintptr_t)p - (uintptr_t)origin;
  return offset >> GRANULE_SHIFT | offset << (RF_SIZE_BITS - GRANULE_SHIFT);
}

/* Granules from the region's origin to `p`. */
static inline size_t granule_in(const rf_tlsf_region *region, const void *p) {
  return granules_behind(region->origin, p);
}

static inline unsigned char *at_place(const rf_tlsf_region *region, size_t place) {
  return region->origin + place * PLACE;
}

static inline bool is_marked(const rf_tlsf_region *region, const unsigned char *p) {
  size_t const granule = (size_t)(p - region->origin) / GRANULE;
  return (region->starts[granule / RF_SIZE_BITS] >> granule % RF_SIZE_BITS & 1) != 0;
}

static inline void turn_mark(rf_tlsf_region *region, size_t granule) {
  region->starts[granule / RF_SIZE_BITS] ^= (size_t)1 << granule % RF_SIZE_BITS;
}

/* The next region on the way down the tree to `p`. */
static inline rf_tlsf_region *toward(const rf_tlsf_region *region, const void *p) {
  return region->child[(uintptr_t)p > (uintptr_t)region->origin].region;
}

/* Whether [b, e), `size` bytes by its header, leaves the region. A damaged size cannot wrap a 64-bit address. */
static inline bool leaves(const rf_tlsf_region *region, const unsigned char *b, size_t size, const unsigned char *e) {
  return sizeof(size_t) == 8 ? e > region->end : size > (size_t)(region->end - b);
}

/* ---- Free lists ----
 *
 * `map` is passed in and out, so that an operation reads and writes it once. */

/* Makes [b, e) a free block, `granules` long and at `place`, and files it first in its list; whoever calls says so in
 * the header at `e`. False, and nothing changed but the tags, where the list leads out of the region. */
static inline bool file_block(rf_tlsf_region *region, unsigned char *origin, uint64_t map, unsigned char *b,
                              unsigned char *e, size_t granules, size_t place) {
  size_t list = list_of(granules);
  RF_FORGET(list);
  uint32_t const tag = (uint32_t)(granules << TAG_SHIFT) + FREE;
  *header_of(b) = tag;
  *foot_before(e) = tag;
  size_t const next = *next_of(origin + list * PLACE);
  if (RF_UNLIKELY((uint32_t)next >= region->places)) {
    return false;
  }
  region->map = map | (uint64_t)1 << list;
  *prev_of(b) = (uint32_t)list;
  RF_FORGET(list);
  *next_of(origin + list * PLACE) = (uint32_t)place;
  *next_of(b) = (uint32_t)next;
  *prev_of(origin + next * PLACE) = (uint32_t)place;
  return true;
}

/* Takes the block at `b` out of its list. False, and nothing changed, where a link leads out of the region. */
static inline bool unfile(rf_tlsf_region *region, unsigned char *origin, uint64_t *map, unsigned char *b) {
  size_t const next = *next_of(b);
  size_t const prev = *prev_of(b);
  if (RF_UNLIKELY((uint32_t)next >= region->places)) {
    return false;
  }
  RF_FORGET_MEMORY(region->places);
  if (RF_UNLIKELY((uint32_t)prev >= region->places)) {
    return false;
  }
  *prev_of(origin + next * PLACE) = (uint32_t)prev;
  *next_of(origin + prev * PLACE) = (uint32_t)next;
  if (RF_LIKELY(next == prev)) {
    *map = turn_bit(*map, next);
  }
  return true;
}

/* ---- tlsf.c: the common paths, and more ---- */

void *rf_tlsf_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site);
rf_status rf_tlsf_free(rf_allocator *self, void *p, const rf_site *site);

/* ---- tlsf_apart.c: where they end early. The order of arguments leaves values where those paths have them. ---- */

/* For alignments above the granule and for huge blocks. */
void *rf_tlsf_alloc_apart(rf_tlsf *h, size_t size, size_t align, const rf_site *site);

/* The current region has no room. */
void *rf_tlsf_alloc_elsewhere(rf_tlsf *h, size_t size);

/* A list of the current region leads out of it: to where a block was looked for, or where what `b` does not need was to
 * be filed. */
void *rf_tlsf_alloc_astray(rf_tlsf *h);
void *rf_tlsf_alloc_alone(rf_tlsf *h, unsigned char *b);

/* The block at `place`, already marked as live, is too small; or it is damaged. */
void *rf_tlsf_alloc_larger(rf_tlsf *h, size_t size, size_t unused, rf_tlsf_region *region, size_t place);
void *rf_tlsf_alloc_damaged(rf_tlsf *h, size_t size, size_t unused, rf_tlsf_region *region, size_t place);

/* `p` is not marked as live. */
rf_status rf_tlsf_free_apart(rf_tlsf *h, void *p, const rf_site *site);

/* The block at `b`, already marked and counted as free, is huge, or it or a neighbour is damaged. If `e` is not NULL, it
 * is the end of the block behind, already taken out of its list where it is not the end of the block itself. */
rf_status rf_tlsf_free_again(unsigned char *e, unsigned char *b, rf_tlsf_region *region);

/* A list of the region leads out of it: what was freed is in no list. */
rf_status rf_tlsf_free_alone(rf_tlsf_region *region);

/* The first place from `b` where a block may begin, so that what lies `lead` bytes behind is a multiple of `align` and
 * what is left before it nothing, or large enough for a block. */
unsigned char *rf_tlsf_fit_alignment(unsigned char *b, size_t lead, size_t align);

/* ---- tlsf_live.c: blocks, one at a time and with care ---- */

/* A live block. */
typedef struct rf_tlsf_live {
  rf_tlsf_region *region;
  unsigned char *user; /* what the program holds */
  unsigned char *b;    /* `user`, or HUGE_LEAD before it */
  unsigned char *e;
  size_t size; /* as requested */
  bool prev_free;
} rf_tlsf_live;

/* Fills *out from the headers of the live block whose `user` is marked in `region`. False where they make no sense. */
bool rf_tlsf_read_live(rf_tlsf_region *region, unsigned char *user, rf_tlsf_live *out);

/* Fills *out for the live block that the program knows as `p`: RF_OK. Else what speaks against it: RF_ERR_BAD_POINTER,
 * RF_ERR_NOT_ALLOCATED, RF_ERR_CORRUPT. */
rf_status rf_tlsf_find_live(const rf_tlsf *h, const void *p, rf_tlsf_live *out);

/* The same; what is not RF_OK is reported. */
rf_status rf_tlsf_open_live(rf_tlsf *h, void *p, rf_tlsf_live *out, const rf_site *site);

/* How many bytes the block for `size` bytes takes. */
size_t rf_tlsf_block_for(size_t size);

/* Makes [b, e), filed nowhere, a live block of `size` bytes, and files what it does not need. The bitmap stays. */
void rf_tlsf_settle(rf_tlsf_region *region, unsigned char *b, unsigned char *e, size_t size, bool prev_free);

/* Turns the marks of a live block over in the bitmap: makes it live, or no longer. */
void rf_tlsf_turn_marks(rf_tlsf_region *region, const unsigned char *b, size_t size);

/* Files [b, e) and says so in the header at `e`. */
void rf_tlsf_file(rf_tlsf_region *region, unsigned char *b, unsigned char *e);

/* Both tags of the free block at `b`, its links and the links back. */
bool rf_tlsf_is_sound_free(const rf_tlsf_region *region, unsigned char *b);

/* Bytes of the free block at `b`; 0 where it is live; SIZE_MAX where it is damaged. */
size_t rf_tlsf_free_size(const rf_tlsf_region *region, unsigned char *b);

/* Where the free block that ends at `e` begins; NULL where it is damaged. */
unsigned char *rf_tlsf_free_before(const rf_tlsf_region *region, unsigned char *e);

/* Takes a free block, seen to be sound, out of its list. */
void rf_tlsf_unfile(rf_tlsf_region *region, unsigned char *b);

/* Reports damage. */
rf_status rf_tlsf_damaged(rf_tlsf *h, const void *p, const rf_site *site);

/* ---- tlsf_huge.c ---- */

void *rf_tlsf_alloc_huge(rf_tlsf *h, size_t size, size_t align, const rf_site *site);
rf_status rf_tlsf_free_huge(rf_tlsf *h, const rf_tlsf_live *live);

/* ---- tlsf_region.c ---- */

/* The region in whose blocks `p` lies, whatever its alignment; NULL where there is none. */
rf_tlsf_region *rf_tlsf_region_of(const rf_tlsf *h, const void *p);

/* The first region that begins above address `p`; NULL where there is none. */
rf_tlsf_region *rf_tlsf_region_above(const rf_tlsf *h, const void *p);

/* Lists of a region: those that its sizes need. */
size_t rf_tlsf_list_count(const rf_tlsf_region *region);

/* What a region's `seal` should be. */
uintptr_t rf_tlsf_seal(const rf_tlsf_region *region);

/* Fills in what a region's record has from its memory alone: all but `map`, `heap`, `whole` and the links of the tree.
 * The first `lead` aligned bytes are kept free for the record itself. RF_OK; RF_ERR_NO_MEMORY where no block fits. */
rf_status rf_tlsf_plan(rf_tlsf_region *region, void *memory, size_t size, size_t lead);

/* What rf_tlsf_init does, with the operations as an argument. */
rf_status rf_tlsf_open(rf_tlsf *heap, const rf_allocator_ops *ops, void *arena, size_t size);

/* ---- tlsf_resize.c, tlsf_walk.c, tlsf_check.c ---- */

/* What a walk meets. */
typedef struct rf_tlsf_step {
  unsigned char *b;
  unsigned char *e;
  unsigned char *user; /* NULL: free */
  size_t size;         /* requested; of a free block, what could be */
  bool prev_free;      /* as the header says, of a live block */
} rf_tlsf_step;

/* Reads the block at `b`. False where its headers make no sense. */
bool rf_tlsf_step_at(rf_tlsf_region *region, unsigned char *b, rf_tlsf_step *out);

void *rf_tlsf_realloc(rf_allocator *self, void *p, size_t size, size_t align, const rf_site *site);
rf_status rf_tlsf_resize(rf_allocator *self, void *p, size_t size, const rf_site *site);
rf_status rf_tlsf_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_tlsf_check(rf_allocator *self, rf_fault *where);
void rf_tlsf_stats(rf_allocator *self, rf_stats *out);

#endif /* RINGFENCE_TLSF_BLOCK_H */
