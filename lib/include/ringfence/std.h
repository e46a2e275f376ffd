/* std: the C library's malloc as an rf_allocator, with the statistics and refusals that malloc lacks.
 *
 *     rf_std heap;
 *     rf_std_init(&heap);
 *     char *p = rf_alloc(&heap.base, 13);
 *
 * For hosted programs, and for code that runs on a small heap on its target and on malloc in its tests. The role of
 * AWTK's mem_allocator_std.
 *
 * Algorithm: every block is one of malloc's with a header before the payload, and goes back by free at once.
 * Layout of a block of malloc's:
 *
 *     | lead ... | header: size, checksum, lead | payload: size bytes |
 *                ^ PREFIX bytes: 16              ^ multiple of the alignment
 *
 * `lead` is empty but for alignments beyond RF_ALIGN_DEFAULT, which take `align - RF_ALIGN_DEFAULT` more bytes.
 * `checksum` covers the header's address, size and lead and the heap's address: a copied header, a block of another
 * heap and memory that is no block do not pass (but for one chance in four thousand million), nor does a freed block.
 * Limits: free reads the 16 bytes before a pointer, so a pointer to unmapped memory faults as in free(); that is also
 *   the case for a double free of a block that the C library unmapped. The C library overwrites most freed memory, so a
 *   double free is refused, but mostly as a bad pointer. owns and walk are not offered. The guard checker has none of
 *   these limits.
 * Complexity: that of malloc, realloc and free, plus O(1). resize: never in place, the C library cannot.
 * Overhead: 16 bytes a block, and malloc's own.
 * Alignment: any power of two.
 * Statistics: used, blocks, their peaks, allocations and failures are exact. capacity, free_bytes, largest_free and
 *   overhead are not known, and 0.
 * Threads: any, at any time, except for init; the counting is atomic and takes no lock.
 * Interrupts and signal handlers: none, as malloc.
 * Needs a malloc and realloc that align for any type, as C demands (picolibc 1.8 on RISC-V gives multiples of 8).
 * Returns NULL iff malloc does, or does not align, or size, alignment and header together exceed RF_SIZE_LIMIT; realloc
 *   also where it refused the pointer.
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

/* Makes `heap` an allocator: &heap->base. RF_OK, or RF_ERR_INVALID for NULL. Blocks that are live when the heap is no
 * longer used stay malloc's; rf_deinit has nothing to do. */
rf_status rf_std_init(rf_std *heap);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_STD_H */
