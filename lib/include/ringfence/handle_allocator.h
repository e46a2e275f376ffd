/* A handle heap as an rf_allocator: its blocks are held by their pointers, and so never move.
 *
 *     rf_handle_heap heap;
 *     rf_handle_allocator pinned;
 *     rf_handle_heap_init(&heap, arena, sizeof arena, NULL);
 *     rf_handle_allocator_init(&pinned, &heap);
 *     void *p = rf_alloc(&pinned.base, 200);
 *
 * So checkers, conformance, fuzzers and traces serve the handle heap too, and code that wants pointers can share its
 * arena with code that wants handles: those blocks slide around these. Each block is given back the way it was taken.
 *
 * Algorithm, memory, fills: the heap's. Complexity: alloc as the heap's; free, resize and usable_size O(1) for the
 * block found last, else O(n).
 * Alignment: RF_ALIGN_DEFAULT unless asked for less or more; blocks are multiples of the heap's own.
 * Threads and interrupts: as the heap.
 * alloc returns NULL iff the heap's alloc would, for a block that begins at a multiple of the alignment.
 */
#ifndef RINGFENCE_HANDLE_ALLOCATOR_H
#define RINGFENCE_HANDLE_ALLOCATOR_H

#include <ringfence/adapter.h>
#include <ringfence/handle.h>

#ifdef __cplusplus
extern "C" {
#endif

/* &adapter.base is the allocator. */
typedef rf_adapter rf_handle_allocator;

/* Serves requests from `heap`, which outlives the adapter. RF_OK, or RF_ERR_INVALID for NULL. Then use &adapter->base;
 * rf_deinit on it ends the heap as well. */
rf_status rf_handle_allocator_init(rf_handle_allocator *adapter, rf_handle_heap *heap);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_HANDLE_ALLOCATOR_H */
