/* slab: zones of equal chunks over a page allocator. For larger systems: many blocks, the same sizes again and again.
 *
 *     static unsigned char arena[4 * 1024 * 1024];
 *     rf_slab heap;
 *     if (rf_slab_init(&heap, arena, sizeof arena) == RF_OK) {
 *       char *p = rf_alloc(&heap.base, 13);
 *
 * Algorithm: the slab allocator (J. Bonwick, The slab allocator, USENIX 1994) in the form of RT-Thread's, which is that
 * of DragonFly BSD's kernel: 72 classes, 8 bytes apart up to 128, then eight to each power of two up to 16 KiB. A zone
 * is a run of pages, cut into chunks of one class; the zone of a class that had a chunk freed last serves first, and of
 * it that chunk. Larger requests get pages of their own. Free pages merge with both neighbours at once; a run of them
 * is found by exact best fit in a trie over its length (as in D. Lea's malloc). Two zones that became empty are kept
 * for their class, and given back, too, before any request fails. Unlike theirs: nothing of the heap is in free
 * memory or before a chunk; each chunk has its requested size in a table; a request takes a chunk of a larger class, or
 * a page, before it fails.
 *
 *     arena  | a record for each page | page | page | page | page | ...     pages: powers of two, 128 bytes to 4 KiB
 *     zone   | chunk | chunk | ... | chunk | rest | a word for each chunk |  one page up to 128 KiB
 *
 * Complexity: alloc, free, resize, realloc (but for the bytes it moves), usable_size, owns: O(1). A request that finds
 * no zone of its class open writes a record for each page of a new one, 32 at most (more where you choose smaller
 * pages), and takes as many steps in the trie as a number of pages has bits. check O(pages and chunks), walk O(chunks),
 * stats O(runs and zones); a refusal is decided in O(1) and told apart in O(runs and zones). Overhead: 4 bytes a chunk,
 * rounding up to the class (an eighth at most above 128 bytes), 24 bytes a page, open chunks of each zone. Alignment:
 * any power of two; up to the page without a byte lost but for rounding up.
 *
 * Threads and interrupts: none by itself, rf_lock makes it shared. Each call is short and waits for nothing.
 *
 * alloc returns NULL iff there is neither a free chunk in which the request, aligned, fits, nor, with the zones kept in
 * reserve given back, a run of free pages that can hold it (for an alignment above the page: size and alignment less a
 * page); or damage is met, and reported. realloc returns NULL iff the block cannot stay where it is and alloc returns
 * NULL; or the pointer was refused, or damage was met. The block is then as it was.
 */
#ifndef RINGFENCE_SLAB_H
#define RINGFENCE_SLAB_H

#include <ringfence/allocator.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_SLAB_CLASSES 72
#define RF_SLAB_LARGEST_CHUNK 16384
#define RF_SLAB_LEAST_PAGE 128
#define RF_SLAB_LARGEST_PAGE 4096
#define RF_SLAB_RESERVE 2 /* empty zones that are kept */

/* An arena of so many bytes, of any alignment, is enough for a page. */
#define RF_SLAB_LEAST_ARENA 288

struct rf_slab_record;

/* The caller's storage, its fields the heap's own. */
typedef struct rf_slab {
  rf_allocator base;
  struct rf_slab_record *records; /* one for each page */
  unsigned char *pages;           /* the first, a multiple of its size */
  size_t size;                    /* of the arena */
  uint32_t count;                 /* of pages */
  uint32_t page_shift;
  uint32_t zone_least;  /* bytes of a zone at least */
  uint32_t zone_budget; /* a larger zone would take too much of the arena */
  uint32_t classes;     /* the first so many are in use */
  uint32_t path_shift;  /* of lengths, which lead through the trie with their highest bit first */
  size_t checksum;      /* of the nine above */
  uint32_t root;        /* of the trie of free runs */
  uint32_t reserve[RF_SLAB_RESERVE];
  uint32_t open[RF_SLAB_CLASSES]; /* of each class, the zones with free chunks */
  rf_counters counters;
} rf_slab;

/* Makes a heap of the `size` bytes at `arena`, of any alignment, both the caller's until rf_deinit. Pages are a 128th
 * of it, within RF_SLAB_LEAST_PAGE and RF_SLAB_LARGEST_PAGE. RF_OK: &heap->base is an allocator. With `heap` as it was:
 * RF_ERR_INVALID for a NULL argument or a size above RF_SIZE_LIMIT, RF_ERR_NO_MEMORY for an arena too small for one
 * page. Call from one thread, not from an interrupt that uses this heap. */
rf_status rf_slab_init(rf_slab *heap, void *arena, size_t size);

/* The same with pages of `page_size` bytes: a power of two from RF_SLAB_LEAST_PAGE to RF_SLAB_LARGEST_PAGE, else
 * RF_ERR_INVALID. */
rf_status rf_slab_init_paged(rf_slab *heap, void *arena, size_t size, size_t page_size);

/* Bytes of a page, which pages are aligned to. */
size_t rf_slab_page_size(const rf_slab *heap);

/* `count` pages in a row, a block like any other, or NULL: as rf_alloc of so many bytes, but of whole pages at any
 * size. NULL also for 0 pages. Synchronise it as a call of the allocator. */
void *rf_slab_alloc_pages(rf_slab *heap, size_t count, const rf_site *site);

/* Gives `count` pages from `ptr` on back: all of a block of pages, or any part of one of whole pages, the rest staying
 * live. (A block of which fewer bytes were asked for than its pages have is given back as a whole alone.) RF_OK also
 * for NULL. RF_ERR_INVALID for 0 pages; else what free answers for a bad pointer: RF_ERR_BAD_POINTER also where the
 * block has fewer pages, or is no whole pages. O(1) from the block's beginning on, else O(runs and zones). Synchronise
 * it as a call of the allocator. */
rf_status rf_slab_free_pages(rf_slab *heap, void *ptr, size_t count, const rf_site *site);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SLAB_H */
