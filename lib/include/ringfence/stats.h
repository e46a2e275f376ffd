/* Statistics of allocators. */
#ifndef RINGFENCE_STATS_H
#define RINGFENCE_STATS_H

#include <stddef.h>

/* A snapshot. Bytes unless the name says blocks or count. A field that an allocator cannot know is 0, and its docs page
 * says so. If capacity is not 0 it is the sum of used, free_bytes and overhead. A realloc that moves a block may
 * count as an allocation, and the peaks may then hold the old and the new block at once. */
typedef struct rf_stats {
  size_t capacity;     /* bytes under management, overhead included */
  size_t used;         /* requested bytes of the live blocks */
  size_t peak;         /* highest `used` ever */
  size_t blocks;       /* live blocks */
  size_t peak_blocks;  /* highest `blocks` ever */
  size_t free_bytes;   /* bytes in free blocks, as payload */
  size_t largest_free; /* the largest request that would be served now */
  size_t allocations;  /* successful allocations ever */
  size_t failures;     /* well-formed requests answered with NULL ever */
  size_t overhead;     /* bytes of capacity that are neither requested nor free: headers, slack, tables */
} rf_stats;

/* The running part, embedded by allocators that count. All fields start at 0. Not synchronised. */
typedef struct rf_counters {
  size_t used;
  size_t peak;
  size_t blocks;
  size_t peak_blocks;
  size_t allocations;
  size_t failures;
} rf_counters;

/* A block of `size` requested bytes became live. */
static inline void rf_count_alloc(rf_counters *c, size_t size) {
  size_t const used = c->used + size;
  size_t const blocks = c->blocks + 1;
  c->used = used;
  c->peak = c->peak < used ? used : c->peak;
  c->blocks = blocks;
  c->peak_blocks = c->peak_blocks < blocks ? blocks : c->peak_blocks;
  c->allocations++;
}

/* A live block of `size` requested bytes was freed. */
static inline void rf_count_free(rf_counters *c, size_t size) {
  c->used -= size;
  c->blocks--;
}

/* A live block changed its requested size in place. */
static inline void rf_count_resize(rf_counters *c, size_t old_size, size_t new_size) {
  c->used = c->used - old_size + new_size;
  c->peak = c->peak < c->used ? c->used : c->peak;
}

/* Copies the running part into a snapshot; the other fields are the allocator's to fill. */
static inline void rf_count_into(const rf_counters *c, rf_stats *out) {
  out->used = c->used;
  out->peak = c->peak;
  out->blocks = c->blocks;
  out->peak_blocks = c->peak_blocks;
  out->allocations = c->allocations;
  out->failures = c->failures;
}

#endif /* RINGFENCE_STATS_H */
