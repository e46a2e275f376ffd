/* Chunks and free lists of <ringfence/zephyr/sys/chunk_heap.h>, where the layout is drawn. Private to chunk_heap.c and
 * chunk_check.c. */
#ifndef RINGFENCE_ZEPHYR_CHUNK_H
#define RINGFENCE_ZEPHYR_CHUNK_H

#include <ringfence/bits.h>
#include <ringfence/zephyr/sys/chunk_heap.h>

#include "lib/core/compiler.h"

#define UNIT 8U
#define LARGEST ((UINT32_C(1) << RF_ZEPHYR_LISTS) - 1) /* units */

/* A chunk is named by the units from the start to its header; links hold 32 bits of it. */
typedef size_t chunk;

static inline rf_zephyr_chunk_heap *heap_of(rf_allocator *allocator) {
  return (rf_zephyr_chunk_heap *)(void *)allocator;
}

/* ---- Chunks ---- */

enum { SIZE, LEFT, PREVIOUS, NEXT }; /* words of a chunk; the last two of a free one */
enum { WORDS = UNIT / sizeof(uint32_t) };

static inline uint32_t *words(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (uint32_t *)(void *)(heap->start + c * UNIT);
}

static inline size_t size_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return words(heap, c)[SIZE] >> 2;
}

static inline size_t left_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return words(heap, c)[LEFT] >> 2;
}

static inline chunk right_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return c + size_of(heap, c);
}

static inline bool is_free(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (words(heap, c)[SIZE] & 3) == 0;
}

/* Bytes of the payload of a live chunk that were not requested; more than UNIT where the header is damaged. */
static inline unsigned slack_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  const uint32_t *const w = words(heap, c);
  return ((w[SIZE] & 3) - 1) * 4 + (w[LEFT] & 3);
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

/* Whether header and neighbours agree on where chunk `c` begins and ends; `c` is below the end. */
RF_INLINE bool is_whole(const rf_zephyr_chunk_heap *heap, chunk c) {
  const uint32_t *const w = words(heap, c);
  size_t const size = w[SIZE] >> 2;
  size_t const left = w[LEFT] >> 2;
  return size - 1 < heap->end - c && (c + size == heap->end || (w[WORDS * size + LEFT] ^ w[SIZE]) < 4) && left <= c &&
         (left != 0 ? (words(heap, c - left)[SIZE] ^ w[LEFT]) < 4 : c == 0);
}

/* ---- Free lists: rings; a chunk of one unit has no room for links and is in none ---- */

static inline unsigned list_for(size_t size) {
  return rf_log2(size);
}

#define NONE UINT32_MAX

/* Whether the links of `c`, in a list, lead to chunks that link back. */
RF_INLINE bool is_linked(const rf_zephyr_chunk_heap *heap, chunk c) {
  const uint32_t *const w = words(heap, c);
  chunk const next = w[NEXT];
  chunk const previous = w[PREVIOUS];
  return next < heap->last && words(heap, next)[PREVIOUS] == (uint32_t)c && previous < heap->last &&
         words(heap, previous)[NEXT] == (uint32_t)c;
}

/* Whether the size of `c`, a free chunk below the end, is that which its neighbour to the right says. */
RF_INLINE bool is_sized(const rf_zephyr_chunk_heap *heap, chunk c) {
  const uint32_t *const w = words(heap, c);
  size_t const size = w[SIZE] >> 2;
  return size - 1 < heap->end - c && (c + size == heap->end || (w[WORDS * size + LEFT] ^ w[SIZE]) < 4);
}

/* ---- Operations on the whole heap: see <ringfence/allocator.h> ---- */

rf_status rf_zephyr_chunk_walk(rf_allocator *allocator, rf_walk_fn visit, void *context);
void rf_zephyr_chunk_stats(rf_allocator *allocator, rf_stats *out);
rf_status rf_zephyr_chunk_check(rf_allocator *allocator, rf_fault *where);

#endif /* RINGFENCE_ZEPHYR_CHUNK_H */
