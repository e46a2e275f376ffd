/* Chunks and free lists of <ringfence/zephyr/sys/chunk_heap.h>, where the layout is drawn. Private to chunk_heap.c and
 * chunk_check.c. */
#ifndef RINGFENCE_ZEPHYR_CHUNK_H
#define RINGFENCE_ZEPHYR_CHUNK_H

#include <ringfence/bits.h>
#include <ringfence/zephyr/sys/chunk_heap.h>

#include "lib/core/compiler.h"

#define UNIT 8U
#define LARGEST (UINT32_MAX >> 4) /* units */

/* A chunk is named by the units from the start to its header; links hold 32 bits of it. */
typedef size_t chunk;

static inline rf_zephyr_chunk_heap *heap_of(rf_allocator *allocator) {
  return (rf_zephyr_chunk_heap *)(void *)allocator;
}

/* ---- Chunks ---- */

enum { SIZE, LEFT, PREVIOUS, NEXT }; /* words of a chunk; the last two of a free one */
enum { WORDS = UNIT / sizeof(uint32_t) };

#define STATE_BITS 4
#define STATE ((UINT32_C(1) << STATE_BITS) - 1) /* of the word SIZE */

static inline uint32_t *words(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (uint32_t *)(void *)(heap->start + c * UNIT);
}

static inline size_t size_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return words(heap, c)[SIZE] >> STATE_BITS;
}

static inline size_t left_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return words(heap, c)[LEFT];
}

static inline chunk right_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return c + size_of(heap, c);
}

static inline bool is_free(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (words(heap, c)[SIZE] & STATE) == 0;
}

/* Whether `c` is live, by a state that a live chunk can have. */
static inline bool is_live(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (words(heap, c)[SIZE] & STATE) - 1 <= UNIT;
}

/* Whether `c` is live and has room for a payload. */
static inline bool is_block(const rf_zephyr_chunk_heap *heap, chunk c) {
  return size_of(heap, c) > 1 && is_live(heap, c);
}

/* Bytes of the payload of a live chunk that were not requested; more than UNIT where the header is damaged. */
static inline unsigned slack_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (words(heap, c)[SIZE] & STATE) - 1;
}

static inline void *payload_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return heap->start + (c + 1) * UNIT;
}

static inline size_t room_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (size_of(heap, c) - 1) * UNIT;
}

static inline size_t requested(const rf_zephyr_chunk_heap *heap, chunk c) {
  return room_of(heap, c) - slack_of(heap, c);
}

/* Whether `c` ends within the heap and the chunk to its right says of `c` that it has `size` units, too. */
RF_INLINE bool is_sized(const rf_zephyr_chunk_heap *heap, chunk c, size_t size) {
  chunk const right = c + size;
  return size != 0 && (right == heap->end || (right < heap->end && words(heap, right)[LEFT] == size));
}

/* Whether header and neighbours agree on where chunk `c` begins and ends; `c` is below the end. */
RF_INLINE bool is_whole(const rf_zephyr_chunk_heap *heap, chunk c) {
  size_t const left = left_of(heap, c);
  return is_sized(heap, c, size_of(heap, c)) && left <= c && (left != 0 ? size_of(heap, c - left) == left : c == 0);
}

/* ---- Free lists; a chunk of one unit has no room for links and is in none ---- */

#define NONE UINT32_MAX

/* The list of chunks of `size` units, two or more. */
RF_INLINE size_t list_for(size_t size) {
  unsigned const log2 = rf_log2(size);
  return (unsigned)(size >> (log2 - 1)) + 2 * log2 - 4;
}

/* The first list in a bitmap of those that are not empty, which has one. */
RF_INLINE unsigned lowest_bit(uint64_t lists) {
  return sizeof(size_t) == sizeof lists ? rf_ctz((size_t)lists)
         : (uint32_t)lists != 0         ? rf_ctz((uint32_t)lists)
                                        : 32 + rf_ctz((size_t)(lists >> 32));
}

/* The link PREVIOUS of the first chunk of `list`: the list counted from the end of all lists, which is negative. */
RF_INLINE uint32_t head_of(size_t list) {
  return (uint32_t)(list - RF_ZEPHYR_LISTS);
}

/* The link PREVIOUS of `c`: a chunk below heap->last, or the head of a list, which is negative. */
RF_INLINE size_t previous_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (size_t)(ptrdiff_t)(int32_t)words(heap, c)[PREVIOUS];
}

/* Whether a link PREVIOUS that is no chunk's names a list. */
RF_INLINE bool is_head(size_t previous) {
  return previous >= (size_t)-RF_ZEPHYR_LISTS;
}

/* The link to the first chunk of the list that `head` names. */
RF_INLINE uint32_t *first_of(rf_zephyr_chunk_heap *heap, size_t head) {
  uint32_t *const end = heap->first + RF_ZEPHYR_LISTS;
  return end + (ptrdiff_t)head;
}

/* The bit of that list in `lists`. */
RF_INLINE uint64_t bit_of(size_t head) {
  return UINT64_C(1) << head % 64;
}

/* The link that leads to the chunk before which `previous` comes; NULL where `previous` is damaged. */
RF_INLINE uint32_t *link_after(rf_zephyr_chunk_heap *heap, size_t previous) {
  if (previous < heap->last) {
    return words(heap, previous) + NEXT;
  }
  return is_head(previous) ? first_of(heap, previous) : NULL;
}

/* Whether `next`, the link of `c`, is the end or leads to a chunk that links back. */
RF_INLINE bool is_next(const rf_zephyr_chunk_heap *heap, chunk c, uint32_t next) {
  return next == NONE || (next < heap->last && words(heap, next)[PREVIOUS] == (uint32_t)c);
}

/* Whether the links of `c`, in a list, and those that lead to it agree. */
RF_INLINE bool is_linked(rf_zephyr_chunk_heap *heap, chunk c) {
  const uint32_t *const w = words(heap, c);
  const uint32_t *const before = link_after(heap, previous_of(heap, c));
  return before != NULL && *before == (uint32_t)c && is_next(heap, c, w[NEXT]);
}

/* ---- Operations on the whole heap: see <ringfence/allocator.h> ---- */

rf_status rf_zephyr_chunk_walk(rf_allocator *allocator, rf_walk_fn visit, void *context);
void rf_zephyr_chunk_stats(rf_allocator *allocator, rf_stats *out);
rf_status rf_zephyr_chunk_check(rf_allocator *allocator, rf_fault *where);

#endif /* RINGFENCE_ZEPHYR_CHUNK_H */
