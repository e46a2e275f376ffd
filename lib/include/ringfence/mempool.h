/* mempool: a pool of equal blocks that a thread can wait on until one is given back.
 *
 *     static unsigned char memory[(80 + sizeof(void *)) * 32];     exactly 32 blocks of 80 bytes
 *     rf_mempool pool;
 *     rf_mempool_init(&pool, memory, sizeof memory, 80, sizeof(void *));
 *     void *block;
 *     if (rf_mempool_alloc(&pool, 100, &block) == RF_OK) …          waits up to 100 ms
 *     rf_mempool_free(&pool, block);
 *
 * Algorithm: a LIFO list of free blocks, so that the block used last, still in the cache, is taken first. A block that
 *   is given back while threads wait goes straight to the first of them: nobody who comes later can take it away.
 * From: RT-Thread's memory pool; headers bound to their place, refusals in O(1), priorities and orderly deletion are
 * ours.
 * Overhead: one pointer per block.
 *
 *     start ─┐
 *            | header 0 | block 0 … pad | header 1 | block 1 … pad | … | header n-1 | block n-1 |
 *            |<-------- stride -------->|
 *
 *     header  = mask ^ pool ^ state             mask: address of the header * an odd constant, so that a header copied
 *                                               elsewhere does not pass; pool: address of the owner
 *     state   = 0 … 2                           the block is out; 0: all of it was asked for, 1: s bytes fewer, s in
 *                                               its last byte, 2: s bytes fewer, s in its last word
 *             = 3 + next                        the block is free; next: index of the next free one, n at the end
 *
 * So the requested size costs nothing, and an overflow into the last byte of a smaller request is seen when it is
 * freed, or by rf_check.
 *
 * Complexity: O(1), but for waiting with different priorities: O(threads that wait).
 * Alignment: chosen at init, any power of two from sizeof(void *) up; with more than that, stride is a multiple of it.
 * Threads and interrupts: every call from any thread. alloc with timeout 0, free and the looking calls also from
 *   interrupts, over a port whose mutex allows it (the bare port masks interrupts). init, deinit, create, delete:
 *   threads only.
 * alloc fails iff no block is free, nor comes back within the timeout; as an rf_allocator (&pool.base, never waits)
 *   also where the size exceeds the block size or the alignment that of the pool.
 */
#ifndef RINGFENCE_MEMPOOL_H
#define RINGFENCE_MEMPOOL_H

#include <ringfence/allocator.h>
#include <ringfence/port.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rf_mempool_waiter; /* on the stack of the thread that waits */

/* The contents belong to the pool; rf_mempool_info_get reads them. */
typedef struct rf_mempool {
  rf_allocator base;
  unsigned char *start; /* header of block 0 */
  size_t capacity;      /* bytes that the caller gave */
  size_t stride;
  size_t block_size;
  size_t num_blocks; /* 0: ended */
  size_t align;
  size_t head; /* index of the first free block; num_blocks: none */
  size_t used; /* blocks that are out */
  size_t peak;
  size_t used_bytes; /* requested of them */
  size_t peak_bytes;
  size_t allocations;
  size_t failures;
  struct rf_mempool_waiter *first; /* who gets the next block */
  struct rf_mempool_waiter *last;
  size_t waiters;        /* threads inside a wait, served ones that have not left yet included */
  rf_event *emptied;     /* NULL until deinit begins; then of the thread in it, set when the last waiter leaves */
  rf_allocator *from;    /* what rf_mempool_create took the memory from; NULL: rf_mempool_init */
  size_t checksum;       /* of start … align and from, which stay the same */
  size_t queue_checksum; /* of first, last, waiters and emptied */
  rf_mutex mutex;
} rf_mempool;

/* Makes a pool of as many blocks as fit in the `size` bytes at `buffer`, any address; both are the caller's and stay
 * until deinit. Blocks have `block_size` bytes, at multiples of `align`, a power of two (sizeof(void *) where that is
 * larger). RF_OK; RF_ERR_INVALID for NULL, sizes that wrap or exceed RF_SIZE_LIMIT, block_size 0, a bad alignment;
 * RF_ERR_NO_MEMORY where not one block fits, or the system has no mutex. Then &pool->base is an rf_allocator. */
rf_status rf_mempool_init(rf_mempool *pool, void *buffer, size_t size, size_t block_size, size_t align);

/* Ends the pool: every waiting thread gets RF_ERR_DELETED, and when the last of them has left, the pool is gone; blocks
 * that are out lose their memory to the caller of this. RF_OK, also for a pool that is ended already; RF_ERR_INVALID
 * for NULL; RF_ERR_NO_MEMORY, nothing done, where threads wait and the system has no event to wait for them. Other
 * calls must not begin meanwhile. */
rf_status rf_mempool_deinit(rf_mempool *pool);

/* A pool of exactly `num_blocks` blocks in one block of memory from `from`, which must outlive it; *out is then the
 * pool. RF_OK; RF_ERR_INVALID as init or for num_blocks 0 or sizes that wrap; RF_ERR_NO_MEMORY where `from` has none.
 */
#define rf_mempool_create(from, num_blocks, block_size, align, out)                                                    \
  rf_mempool_create_at((from), (num_blocks), (block_size), (align), (out), RF_HERE)
rf_status rf_mempool_create_at(rf_allocator *from, size_t num_blocks, size_t block_size, size_t align, rf_mempool **out,
                               const rf_site *site);

/* rf_mempool_deinit, then gives the memory back to where it came from. Also RF_ERR_INVALID for a pool that was not
 * created. */
#define rf_mempool_delete(pool) rf_mempool_delete_at((pool), RF_HERE)
rf_status rf_mempool_delete_at(rf_mempool *pool, const rf_site *site);

/* Takes a block; where none is free, waits for one up to `timeout_ms` milliseconds (0: not at all; RF_WAIT_FOREVER).
 * Waiting threads are served in order of arrival. RF_OK and the block in *out; else *out is NULL: RF_ERR_NO_MEMORY none
 * free and timeout 0, RF_ERR_TIMEOUT waited in vain, RF_ERR_DELETED the pool was ended meanwhile, RF_ERR_INVALID for
 * NULL or a timeout other than 0 in an interrupt, RF_ERR_CORRUPT, reported, where a free block was overwritten. */
rf_status rf_mempool_alloc(rf_mempool *pool, uint32_t timeout_ms, void **out);

/* The same, but threads of a higher priority are served first, those of equal priority in order of arrival.
 * rf_mempool_alloc waits with priority 0. */
rf_status rf_mempool_alloc_prio(rf_mempool *pool, uint32_t timeout_ms, int priority, void **out);

/* Gives a block back: to the first waiting thread, or to the list. NULL does nothing. RF_OK; else nothing was changed
 * and the fault handler was told: RF_ERR_BAD_POINTER not a block of this pool (foreign, interior, misaligned),
 * RF_ERR_NOT_ALLOCATED free already, RF_ERR_CORRUPT its header was overwritten. */
#define rf_mempool_free(pool, block) rf_mempool_free_at((pool), (block), RF_HERE)
rf_status rf_mempool_free_at(rf_mempool *pool, void *block, const rf_site *site);

/* The pool that the header of `block` names, for code that has lost track of it. Reads the word before `block`; the
 * answer for a pointer that is no live block of a mempool is a wild one, to be compared with the pools one knows before
 * it is used. */
rf_mempool *rf_mempool_of(const void *block);

typedef struct rf_mempool_info {
  size_t num_blocks;
  size_t block_size;
  size_t free_blocks;
  size_t peak_blocks; /* most blocks that were out at once */
  size_t waiters;     /* threads waiting now */
} rf_mempool_info;

/* A snapshot, all of *out filled. */
void rf_mempool_info_get(rf_mempool *pool, rf_mempool_info *out);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_MEMPOOL_H */
