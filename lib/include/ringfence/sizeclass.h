/* sizeclass: a queue of free blocks per power of two, carved on demand from one primary buffer.
 *
 *     static unsigned char buffer[64 * 1024];
 *     rf_sizeclass heap;
 *     if (rf_sizeclass_init(&heap, buffer, sizeof buffer, NULL) == RF_OK) {
 *       char *p = rf_alloc(&heap.base, 13);
 *
 * Source: GoAhead's allocator (walloc, before it balloc). Thirteen classes of 16 … 65536 bytes. A request takes the
 * first free block of its class; where there is none, a new one is carved from the primary buffer; where that is spent,
 * a free block of a larger class is taken; and last, as for requests above the largest class, a fallback allocator
 * serves it, if there is one. Blocks never split or join; but when the last block of the buffer is freed, all of it is
 * as after init.
 *
 *   primary buffer  | header | payload 16 << class | header | payload … | not carved yet |
 *   over-aligned    | header | gap | header | payload |       the second header leads back to the first
 *   from fallback   | record | header | payload as requested |
 *
 * Overhead: a header (16 bytes where max_align_t is aligned to 16, 8 where to 8) and the rounding up to the class; from
 * the fallback a record of seven words more. Complexity: alloc, free, resize and realloc in place O(1), classes being
 * thirteen; blocks of the fallback are found in a tree by address, O(log n), at most one step per bit of an address;
 * walk and check O(n); owns O(1) in the buffer, O(log n) at the start of a block of the fallback, else O(blocks of the
 * fallback). A refusal is decided in O(1) and explained in O(n).
 * Alignment: RF_ALIGN_DEFAULT; any power of two on request, at the price of a class for size + alignment + header.
 * Threads and interrupts: none, as the original; wrap it in rf_lock.
 *
 * alloc returns NULL iff neither the request's class nor a larger one has a free block, what is left of the buffer
 * cannot hold one of the class (or there is no class so large), and there is no fallback or it gives NULL. A damaged
 * heap record gives NULL, too. realloc returns NULL iff the size does not fit the block and alloc would return NULL, or
 * the pointer was refused.
 */
#ifndef RINGFENCE_SIZECLASS_H
#define RINGFENCE_SIZECLASS_H

#include <ringfence/allocator.h>
#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_SIZECLASS_COUNT 13
#define RF_SIZECLASS_SMALLEST 16
#define RF_SIZECLASS_LARGEST 65536
#define RF_SIZECLASS_DEFAULT_BUFFER ((size_t)64 * 1024)

/* The magic in the flags word of each header. */
#define RF_SIZECLASS_INTEGRITY 0x8124000U
#define RF_SIZECLASS_INTEGRITY_MASK 0xFFFF000U

/* Told of each well-formed request that ends in NULL, with its size, after the attempt. Must not call this
 * allocator. */
typedef void (*rf_sizeclass_notifier)(void *context, size_t size);

/* The figures of one call site: a row of the caller's table. */
typedef struct rf_sizeclass_site {
  const rf_site *site; /* NULL: calls from code that was built without sites */
  size_t blocks;       /* live */
  size_t bytes;        /* requested bytes live */
  size_t peak;         /* highest `bytes` */
  size_t allocations;  /* ever; 0: the row is not in use */
} rf_sizeclass_site;

/* Rows of a table at most. */
#define RF_SIZECLASS_SITES_MAX 32767

/* Addresses of fallback blocks freed last that are remembered, so that a second free is told from a foreign pointer. */
#define RF_SIZECLASS_RECENT 16

struct rf_sizeclass_large;

/* A pointer that tells when it was overwritten. */
typedef struct rf_sizeclass_link {
  struct rf_sizeclass_large *to;
  uintptr_t check;
} rf_sizeclass_link;

/* The caller's storage, its fields the heap's own. */
typedef struct rf_sizeclass {
  rf_allocator base;
  rf_allocator *fallback;
  unsigned char *buffer;
  size_t size;   /* bytes of it */
  size_t carved; /* bytes of it in blocks */
  rf_sizeclass_site *sites;
  uintptr_t site_rows;
  uintptr_t borrowed;     /* 1: the buffer came from the fallback */
  size_t checksum;        /* of the seven above */
  rf_sizeclass_link root; /* of the tree of live blocks from the fallback */
  size_t large_blocks;    /* their number, */
  size_t large_bytes;     /* and the bytes that were taken for them */
  void *queue[RF_SIZECLASS_COUNT];
  size_t queued[RF_SIZECLASS_COUNT];
  size_t live[RF_SIZECLASS_COUNT];
  uintptr_t recent[RF_SIZECLASS_RECENT];
  size_t recent_at;
  rf_counters counters;
  rf_sizeclass_notifier notifier;
  void *notifier_context;
} rf_sizeclass;

/* Serves from `buffer`, `size` bytes of the caller's at any address (the start is trimmed to RF_ALIGN_DEFAULT), until
 * rf_deinit, and from `fallback`, which may be NULL and is not ended with the heap. `buffer` NULL: `size` bytes (0:
 * RF_SIZECLASS_DEFAULT_BUFFER) are taken from the fallback. RF_OK: &heap->base is an allocator. RF_ERR_INVALID: heap
 * NULL, a buffer that cannot hold one block of 16 bytes or is larger than RF_SIZE_LIMIT, no buffer and no fallback.
 * RF_ERR_NO_MEMORY: the fallback cannot give the buffer. */
rf_status rf_sizeclass_init(rf_sizeclass *heap, void *buffer, size_t size, rf_allocator *fallback);

/* Installs the notifier; NULL removes it. Nothing else may call the heap meanwhile. */
void rf_sizeclass_set_notifier(rf_sizeclass *heap, rf_sizeclass_notifier notifier, void *context);

/* Counts from now on per call site (file and line) in `table`, `rows` rows of the caller's that live until rf_deinit.
 * Sites that find no row are counted together in the last one, whose site is then called "other sites". RF_OK;
 * RF_ERR_INVALID for a NULL table, no rows or more than RF_SIZECLASS_SITES_MAX; RF_ERR_BUSY while blocks are live;
 * RF_ERR_CORRUPT, reported, where the heap's record was overwritten. */
rf_status rf_sizeclass_track_sites(rf_sizeclass *heap, rf_sizeclass_site *table, size_t rows);

/* Writes what is live and free per class, and the rows of the table of sites; of a heap whose record was overwritten,
 * that alone. Allocates nothing. */
void rf_sizeclass_print(rf_sizeclass *heap, const rf_sink *sink);

/* Writes a line for each live block, with its site where sites are tracked: before rf_deinit, the leaks. Their
 * number. */
size_t rf_sizeclass_print_live(rf_sizeclass *heap, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SIZECLASS_H */
