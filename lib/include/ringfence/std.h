/* std: the C library's malloc as an rf_allocator, with the statistics and refusals that malloc lacks.
 *
 *     rf_std heap;
 *     rf_std_init(&heap);
 *     char *p = rf_alloc(&heap.base, 13);
 *
 * For hosted programs, and for code that runs on a small heap on its target and on malloc in its tests. Source: the
 * role of AWTK's mem_allocator_std. Memory comes from malloc, goes back by free and is never kept back.
 *
 * Layout of what malloc gives:
 *
 *     | lead ... | header: size, seal, lead | payload: size bytes |
 *                ^ PREFIX bytes: 16          ^ multiple of the alignment
 *
 * `lead` is empty but for alignments beyond RF_ALIGN_DEFAULT, for which `align - RF_ALIGN_DEFAULT` more bytes are asked
 * for. `seal` is a hash of the header's address, size and lead and of the instance: a copied header, a block of another
 * instance and memory that is no block do not have it (but for one chance in four thousand million), and a free block
 * has lost it.
 *
 * What it cannot tell: it reads the 16 bytes before a pointer that it is asked to free, so a pointer to unmapped memory
 * faults as it would in free(), which happens after a double free of a block so large that the C library unmapped it.
 * The C library overwrites most of what is freed, so a double free is refused, but mostly as a bad pointer rather than
 * by its name. Whether an address within a block is its own (owns), and which blocks there are (walk), it does not know.
 * The guard checker over it tells all of these.
 *
 * Complexity: that of malloc, realloc and free, plus O(1). Overhead: 16 bytes a block, and malloc's own. Alignment: any
 * power of two. resize: never, the C library has none.
 * Statistics: used, blocks, their peaks, allocations and failures are exact. capacity, free_bytes, largest_free and
 * overhead are the C library's secret, and 0.
 * Threads: any, at any time, but for init; the counting is atomic and takes no lock. Interrupts and signal handlers:
 * none, as malloc.
 *
 * Returns NULL iff malloc does, or size, alignment and header together exceed RF_SIZE_LIMIT; realloc also where it
 * refused the pointer.
 */
#ifndef RINGFENCE_STD_H
#define RINGFENCE_STD_H

#include <ringfence/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's storage. The counters are changed atomically. */
typedef struct rf_std {
  rf_allocator base;
  rf_counters counters;
} rf_std;

/* Makes `heap` an allocator: &heap->base. RF_OK, or RF_ERR_INVALID for NULL. Blocks that are live when the heap is no longer
 * used stay malloc's; rf_deinit has nothing to do. */
rf_status rf_std_init(rf_std *heap);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_STD_H */
