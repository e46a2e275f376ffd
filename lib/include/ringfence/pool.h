/* pool: preallocated pools of small blocks in front of any allocator, against fragmentation.
 *
 * Source: AWTK's mem_allocator_pool. Requests up to the largest class come from arrays of equal blocks, set aside at
 * init; the rest, and what finds its class and all larger ones full, goes to the inner allocator. Small short-lived
 * blocks then leave no holes between large ones.
 *
 *   | class 0: count blocks of its size | class 1: … | … | one state byte per block |
 *
 * A state byte holds the requested size, or RF_POOL_FREE. Free blocks of a class are linked through their first word.
 *
 * Overhead: no header in a pooled block; one state byte each outside of it. Complexity: O(classes) over a handful of
 * classes, then that of the inner allocator. Alignment: a class serves requests up to the largest power of two that
 * divides its size (48: 16), capped at RF_ALIGN_DEFAULT; stricter ones go on. Threads and interrupts: none; put rf_lock
 * outside.
 *
 * Bad frees within the pools are refused in O(1), exactly: any pointer into a live block but its start, and any into
 * the state bytes, is RF_ERR_BAD_POINTER; the start of a free block is RF_ERR_NOT_ALLOCATED, whether it was ever
 * allocated or not, also where it lies right behind the block that the caller meant. A free block that was written to
 * is noticed when its link is used; the list is then rebuilt from the state bytes. rf_pool itself is relied upon as it
 * is by calls that serve requests; rf_check tells a change of it, rf_walk gives RF_ERR_CORRUPT, rf_stats_get zeros,
 * rf_inner NULL, and rf_deinit leaves it as it is.
 *
 * Returns NULL iff no class that fits has a free block and the inner allocator returns NULL.
 */
#ifndef RINGFENCE_POOL_H
#define RINGFENCE_POOL_H

#include <ringfence/allocator.h>
#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_POOL_CLASSES_MAX 8
/* Largest block size of a class: requested sizes are kept in a byte. */
#define RF_POOL_SIZE_MAX 248

/* A class as configured. */
typedef struct rf_pool_class {
  size_t size;  /* bytes per block: a multiple of sizeof(void *), at most RF_POOL_SIZE_MAX */
  size_t count; /* blocks set aside; 0: the class is only counted, all its requests go on */
} rf_pool_class;

typedef struct rf_pool_options {
  const rf_pool_class *classes; /* sizes ascending; NULL: 8, 16, 32, 48, 64 bytes, RF_POOL_DEFAULT_COUNT of each */
  unsigned class_count;         /* 1 … RF_POOL_CLASSES_MAX; ignored where classes is NULL */
  void *buffer;       /* memory for the pools, the caller's, outliving the pool; NULL: taken from the inner allocator */
  size_t buffer_size; /* rf_pool_buffer_size() bytes are enough; as many fewer do as the buffer's alignment spares.
                         Ignored where buffer is NULL */
} rf_pool_options;

#define RF_POOL_DEFAULT_COUNT 64

/* The figures of one class. */
typedef struct rf_pool_class_stats {
  size_t size;
  size_t count;
  size_t used;        /* its blocks in use */
  size_t peak;        /* highest `used` */
  size_t requests;    /* successful requests whose smallest class this is */
  size_t hits;        /* of those, served by this class */
  size_t spills;      /* of those, served by a larger class or the inner allocator */
  size_t demand;      /* live blocks whose smallest class this is, wherever they are */
  size_t peak_demand; /* highest `demand`: the count with which nothing would have spilled */
} rf_pool_class_stats;

typedef struct rf_pool_slots {
  rf_pool_class_stats stats;
  unsigned char *area;
  unsigned char *state;
  size_t align;
  size_t free_head; /* index of the first free block; count: none */
} rf_pool_slots;

typedef struct rf_pool {
  rf_allocator base;
  rf_allocator *inner;
  unsigned class_count;
  unsigned char *memory; /* all areas and state bytes */
  size_t memory_size;
  bool borrowed;     /* memory came from inner */
  size_t inner_used; /* requested bytes and blocks live in inner, own memory apart */
  size_t inner_blocks;
  size_t inner_failures;
  size_t pool_used;
  size_t pool_blocks;
  rf_counters counters; /* both together */
  rf_pool_slots slots[RF_POOL_CLASSES_MAX];
  size_t checksum; /* of what stays the same: inner, memory, and each class's size, count and places */
} rf_pool;

/* Bytes that the pools of `options` (NULL: defaults) need in a buffer of any alignment; 0 where options are invalid. */
size_t rf_pool_buffer_size(const rf_pool_options *options);

/* Sets the pools aside and wraps `inner`, which must outlive the pool and be used through it only. RF_OK;
 * RF_ERR_INVALID for bad arguments or a buffer that is too small; RF_ERR_NO_MEMORY where inner cannot give the
 * memory. */
rf_status rf_pool_init(rf_pool *pool, rf_allocator *inner, const rf_pool_options *options);

/* Copies the figures of class `index` (0: the smallest) to *out. False where there is no such class, or the record of
 * the pool was overwritten. */
bool rf_pool_class_stats_get(const rf_pool *pool, unsigned index, rf_pool_class_stats *out);

/* Prints a table of the classes with their hit rates, and the counts that the use so far calls for as an initialiser to
 * paste; of a pool whose record was overwritten, that. No allocation. */
void rf_pool_advise(const rf_pool *pool, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_POOL_H */
