/* smallmem: first fit over one doubly linked list of all blocks, used and free.
 *
 *     static unsigned char arena[64 * 1024];
 *     rf_smallmem heap;
 *     if (rf_smallmem_init(&heap, arena, sizeof arena) == RF_OK) {
 *       char *p = rf_alloc(&heap.base, 13);
 *
 * Algorithm: every block, used or free, has a header that names the blocks before and after it. An allocation goes
 * along that list from the lowest free block to the first that is large enough, and splits it; a free merges with both
 * neighbours, which the header names. After lwIP's mem.c and RT-Thread's small-memory heap; the checksum in each
 * header, the refusals in O(1), growth in place to either side and the exact sizes are ours.
 *
 * Layout: a header is three words, four with owners:
 *
 *       |<--------------- a multiple of RF_ALIGN_DEFAULT --------------->|
 *       +----------------------+------+------+---------+---------+-------+--- - -
 *       | checksum, slack, used| next | prev | (owner) | payload | slack | next header
 *       +----------------------+------+------+---------+---------+-------+--- - -
 *
 * | header                    | 64 bit | 32 bit |
 * |---------------------------|--------|--------|
 * | plain                     | 24     | 12     |
 * | with owners               | 32     | 16     |
 *
 * Complexity: n blocks; alloc O(n) from the lowest free block on; free, resize, usable_size, owns O(1); realloc O(1) in
 * place, else as alloc; walk, check, stats O(n). Refusing a bad pointer is decided in O(1) and explained in O(n).
 * Overhead: the header, and up to RF_ALIGN_DEFAULT - 1 bytes of slack (more where the rest of a free block is too small
 * for a block of its own); nothing else in the arena. Free payloads hold nothing that is relied upon.
 * Alignment: RF_ALIGN_DEFAULT; more as asked for, what lies before staying free.
 * Threads and interrupts: none; wrap it in rf_lock.
 *
 * alloc returns NULL iff no free block can hold the size at the alignment, or a damaged header is met (and reported).
 * realloc returns NULL iff neither the block with its free neighbours nor any free block can hold the size, or the
 * pointer was refused, or a damaged header is met; the block is then as it was.
 */
#ifndef RINGFENCE_SMALLMEM_H
#define RINGFENCE_SMALLMEM_H

#include <ringfence/allocator.h>
#include <ringfence/block_list.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's storage, its fields the heap's own. */
typedef struct rf_smallmem {
  rf_allocator base;
  rf_block_list blocks; /* no free block lies below blocks.free, the offset of a block */
  rf_counters counters;
} rf_smallmem;

/* Makes a heap of the `size` bytes at `arena`, of any alignment, both the caller's until rf_deinit. RF_OK: &heap->base
 * is an allocator. RF_ERR_INVALID, `heap` untouched: NULL, a size above RF_SIZE_LIMIT, an arena that cannot hold a
 * header and one byte (header + RF_ALIGN_DEFAULT bytes always can). An arena that was a heap of this kind before must
 * have been ended by rf_deinit, which erases its headers: else a pointer from its former life may pass for one of
 * this. */
rf_status rf_smallmem_init(rf_smallmem *heap, void *arena, size_t size);

/* The same, and each block carries a word that tells whose it is: what `owner_of` makes of the call site (NULL in code
 * that was built without sites) when the block is allocated or resized, in the caller's thread; it must not call the
 * heap. rf_site_owner keeps the site itself, which a walk then gives; a function of yours may keep the name of a
 * thread. */
rf_status rf_smallmem_init_owned(rf_smallmem *heap, void *arena, size_t size, rf_owner_fn owner_of);

/* The owner word of a live block; 0 for anything else and in heaps without owners. O(1). */
uintptr_t rf_smallmem_owner(const rf_smallmem *heap, const void *ptr);

/* Replaces it. RF_OK; RF_ERR_UNSUPPORTED without owners; a bad `ptr` is refused and reported as by rf_free. */
rf_status rf_smallmem_set_owner(rf_smallmem *heap, void *ptr, uintptr_t owner);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SMALLMEM_H */
