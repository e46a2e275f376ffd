/* rf_tlsf: the layout of its memory, words of a block, size classes, bits of a region. Private to tlsf*.c.
 *
 * Blocks lie in a region one behind the other. A block is named by the address b of its payload. Its header is the four
 * bytes before b; its end e is the b of the next block.
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
 * Two free blocks never touch. Bit g of a region's bitmap is set where a live payload begins, g granules behind the
 * origin; also at the b of a huge block and at the end. A link is a place: a distance from the origin in units of 8
 * bytes. Every operation compares a link with the end of the region before it follows the link, so that writes into
 * freed memory cannot make it touch anything but the region's lists and blocks.
 */
#ifndef RINGFENCE_TLSF_LAYOUT_H
#define RINGFENCE_TLSF_LAYOUT_H

#include <ringfence/bits.h>
#include <ringfence/tlsf.h>
#include <ringfence/track.h>

/* Little code instead of the shortest paths: one region, no alignment above the granule, no huge blocks. */
#ifndef RF_TLSF_SMALL
#define RF_TLSF_SMALL 0
#endif

enum {
  GRANULE = RF_ALIGN_DEFAULT > 8 ? 16 : 8, /* every block has the usual alignment */
  GRANULE_SHIFT = GRANULE == 16 ? 4 : 3,
  PLACE = 8, /* the unit of a link, in bytes */
  HEADER = sizeof(uint32_t),
  MIN_BLOCK = 16, /* header, two links, tag */
  LISTS = RF_TLSF_SMALL ? 32 : 64,
  HAS_HUGE = sizeof(size_t) == 8 && !RF_TLSF_SMALL,
};

enum {
  FREE = 1,
  TAG_SHIFT = 1,
  PREV_FREE = 2,
  SLACK_SHIFT = 2,
  SIZE_SHIFT = 8,
  HUGE_BLOCK = 1, /* in the place of slack */
  HUGE_USER = 2,
  HUGE_LEAD = 16, /* bytes from b to the payload */
};

_Static_assert(sizeof(void *) == 8 || sizeof(void *) == 4, "layout is drawn for 32 and 64 bit");
_Static_assert(RF_ALIGN_DEFAULT <= GRANULE, "a stricter usual alignment wants a larger granule");
_Static_assert(MIN_BLOCK % GRANULE == 0 && MIN_BLOCK == HEADER + 3 * sizeof(uint32_t), "smallest free block");
_Static_assert(2 * MIN_BLOCK < 1 << (SIZE_SHIFT - SLACK_SHIFT), "slack fits: of alloc(0), with a rest not split off");
_Static_assert(HUGE_LEAD >= sizeof(size_t) + 2 * sizeof(uint32_t), "room for size, slack and header");

static inline rf_tlsf *rf_tlsf_of(rf_allocator *self) {
  return (rf_tlsf *)(void *)self;
}

/* Bytes of the largest block whose size fits a header. Larger ones are huge, on 64 bit: 256 MiB and more. On 32 bit,
 * from 128 MiB, there are none. */
#ifndef RF_TLSF_MAX_PLAIN
#define RF_TLSF_MAX_PLAIN ((((size_t)1 << (32 - SIZE_SHIFT)) - 2) * GRANULE)
#endif

/* A region, and so a block, has fewer bytes: list numbers, tags and links hold no more. */
#ifndef RF_TLSF_MAX_REGION
#define RF_TLSF_MAX_REGION (sizeof(size_t) == 8 ? (size_t)(UINT64_C(3) << 32) : SIZE_MAX / 2 + 1)
#endif

/* ---- Bits ---- */

/* The bitmap of lists that have a block. */
#if RF_TLSF_SMALL
typedef uint32_t rf_tlsf_map;
#else
typedef uint64_t rf_tlsf_map;
#endif

/* `word` with bit `n`, modulo its width, inverted. gcc 12 compiles the shift to three instructions and a register. */
static inline rf_tlsf_map toggle_bit(rf_tlsf_map word, size_t n) {
#if defined(__x86_64__) && !RF_TLSF_SMALL
  __asm__("btcq %1, %0" : "+r"(word) : "r"(n) : "cc");
  return word;
#else
  return word ^ (rf_tlsf_map)1 << n % LISTS;
#endif
}

/* Index of the lowest and of the highest set bit of `map`, which is not 0. Without libgcc on 32 bit. */
static inline unsigned first_in(rf_tlsf_map map) {
  if (sizeof map <= sizeof(size_t)) {
    return rf_ctz((size_t)map);
  }
  return (uint32_t)map != 0 ? rf_ctz((uint32_t)map) : 32 + rf_ctz((uint32_t)((uint64_t)map >> 32));
}

static inline unsigned last_in(uint64_t map) {
  if (sizeof(size_t) == 8) {
    return rf_log2((size_t)map);
  }
  return map >> 32 != 0 ? 32 + rf_log2((uint32_t)(map >> 32)) : rf_log2((uint32_t)map);
}

static inline size_t toggle_bit_of_word(size_t word, size_t n) {
  return sizeof(size_t) == sizeof(rf_tlsf_map) ? (size_t)toggle_bit((rf_tlsf_map)word, n)
                                               : word ^ (size_t)1 << n % RF_SIZE_BITS;
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

/* True where the block for `size` bytes is huge; on 32 bit it cannot be served. */
static inline bool is_huge(size_t size) {
  return size > RF_TLSF_MAX_PLAIN - MIN_BLOCK;
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
 * List n holds the free blocks of n granules, up to n = 11. Above that there are two lists for each power of two: from
 * 12, 16, 24, 32, 48, ... granules. With k = m * 2^f, 1 <= m < 2, the list of k granules is floor(2m) + 2f + 3, or k
 * where that is less. */

/* The list for a free block. */
static inline size_t list_of(size_t granules) {
  unsigned const log = rf_log2(granules);
  size_t const number = (unsigned)(2 * granules >> log) + 2 * log + 3;
  if (RF_TLSF_SMALL && number > LISTS - 1) {
    return LISTS - 1;
  }
  return granules < number ? granules : number;
}

/* The first list in which every block is large enough: the one behind the list of granules - 1. */
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

static inline bool is_start(const rf_tlsf_region *region, const unsigned char *p) {
  size_t const granule = (size_t)(p - region->origin) / GRANULE;
  return (region->starts[granule / RF_SIZE_BITS] >> granule % RF_SIZE_BITS & 1) != 0;
}

static inline void toggle_start(rf_tlsf_region *region, size_t granule) {
  region->starts[granule / RF_SIZE_BITS] ^= (size_t)1 << granule % RF_SIZE_BITS;
}

/* The next region on the way down the tree to `p`. */
static inline rf_tlsf_region *toward(const rf_tlsf_region *region, const void *p) {
  return RF_TLSF_SMALL ? NULL : region->child[(uintptr_t)p > (uintptr_t)region->origin].region;
}

/* True where [b, e), of `size` bytes by its header, leaves the region. A damaged size cannot wrap a 64-bit address. */
static inline bool leaves(const rf_tlsf_region *region, const unsigned char *b, size_t size, const unsigned char *e) {
  return sizeof(size_t) == 8 ? e > region->end : size > (size_t)(region->end - b);
}

#endif /* RINGFENCE_TLSF_LAYOUT_H */
