/* memblocks: blocks of one size in a buffer, marked in a bitmap outside it; many are taken or given back in one call.
 *
 *     RF_MEMBLOCKS_DEFINE(rx, 1536, 32, 64);               32 blocks of 1536 bytes, each on a 64-byte line; no init
 *     void *frames[8];
 *     if (rf_memblocks_alloc(&rx, 8, frames) == RF_OK) …   all eight or none
 *     rf_memblocks_free(&rx, 8, frames);                   all eight or none
 *
 * Algorithm: first fit on a bitmap, a word of it at a time (count trailing zeros), from a hint below which every word
 *   is full. How many blocks are free is known beforehand: a request that cannot be met looks at no bitmap at all.
 * From: Zephyr's sys_mem_blocks, whose calls these are; the scan by words, the hint, all-or-nothing batches and the
 *   integrity checksum are ours.
 * Memory: one bit per block in the bitmap, and the rf_memblocks. Not a byte of the buffer is read or written, so blocks
 *   may be DMA targets, write-only memory, or another core's.
 *
 *     buffer  | block 0 | block 1 | block 2 | … | block n-1 |       block i at buffer + i * block_size, no gaps
 *     bitmap  | word 0: blocks 0 … w-1, lowest bit first | word 1 … |      1: taken. Bits past block n-1 stay 0.
 *
 * Complexity: alloc of k blocks O(k + words scanned), where words scanned ≤ n / bits of a word and usually 1; free of k
 *   blocks O(k); contiguous alloc O(words + free runs); claim, contiguous free, is-region-free O(count / bits of a
 *   word).
 * Alignment: that of the buffer, as far as the block size is a multiple of it. Any block size will do (96, 1536, 20).
 * Threads and interrupts: with a mutex (rf_memblocks_share) every call may come from any thread, and each is one locked
 *   section. Over the bare port the mutex masks interrupts, so then interrupts may call too. Without one (the
 *   default) the pool belongs to one thread. Listeners and the fault handler run outside the lock.
 * An allocation fails iff fewer blocks are free than asked for (contiguous: no run of them so long).
 * NULL for the pool: RF_ERR_INVALID from calls that answer a status, false from those that answer a bool; the others
 *   need a pool.
 *
 * As an rf_allocator, for checkers and for code that wants bytes: memblocks_allocator.h.
 */
#ifndef RINGFENCE_MEMBLOCKS_H
#define RINGFENCE_MEMBLOCKS_H

#include <ringfence/bits.h>
#include <ringfence/fault.h>
#include <ringfence/port.h>
#include <ringfence/site.h>
#include <ringfence/stats.h>
#include <ringfence/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_memblocks rf_memblocks;

/* Told of each success: one call per block of a batch, one per contiguous run. Either function may be NULL. The
 * listener is the caller's storage, in one pool's list at a time. It runs outside the lock, in the thread of the call,
 * and may call the pool. */
typedef struct rf_memblocks_listener {
  void (*on_alloc)(rf_memblocks *pool, void *ptr, size_t bytes, void *context);
  void (*on_free)(rf_memblocks *pool, void *ptr, size_t bytes, void *context);
  void *context;
  struct rf_memblocks_listener *next; /* the pool's */
} rf_memblocks_listener;

/* Read freely, change by calls only (`quiet` is yours to set), leave where it is: a copy is not the pool. */
struct rf_memblocks {
  unsigned char *buffer;
  size_t *bitmap;
  size_t block_size;
  size_t num_blocks;
  unsigned shift; /* log2 of a block size that is a power of two, else RF_MEMBLOCKS_NO_SHIFT: spares a division */
  bool quiet;     /* a refused free is answered by its status alone and does not go to the fault handler */
  size_t hint;    /* every word of the bitmap below this index is full */
  size_t bitmap_checksum; /* sum of bitmap[w] * (an odd number that belongs to w): any change to one word changes it */
  size_t used;            /* blocks taken now */
  size_t peak;            /* and at most, since init or rf_memblocks_reset_peak */
  size_t allocations;     /* blocks ever handed out */
  size_t failures;        /* well-formed requests turned down */
  rf_mutex *mutex;        /* NULL: none */
  rf_memblocks_listener *listeners;
  size_t checksum; /* of what stays the same: buffer, bitmap, geometry, mutex, listeners; 0: not made yet */
};

/* How many words the bitmap of `num_blocks` blocks has: `size_t bitmap[RF_MEMBLOCKS_WORDS(100)] = {0};` */
#define RF_MEMBLOCKS_WORDS(num_blocks)                                                                                 \
  (RF_MEMBLOCKS_SIZE_(num_blocks) / RF_SIZE_BITS + (RF_MEMBLOCKS_SIZE_(num_blocks) % RF_SIZE_BITS != 0 ? 1U : 0U))

#define RF_MEMBLOCKS_NO_SHIFT 255U

/* ---- Pools that are ready before main: no call initialises them. C and C++, at file scope (the static ones inside
 * functions too). ---- */

/* Defines the pool `name`: `num_blocks` blocks of `block_size` bytes, a multiple of `align`, a power of two. */
#define RF_MEMBLOCKS_DEFINE(name, block_size, num_blocks, align)                                                       \
  RF_MEMBLOCKS_DEFINE_OWN_(, name, block_size, num_blocks, align)

/* The same with internal linkage. */
#define RF_MEMBLOCKS_DEFINE_STATIC(name, block_size, num_blocks, align)                                                \
  RF_MEMBLOCKS_DEFINE_OWN_(static, name, block_size, num_blocks, align)

/* Over the array `buffer` of yours, of at least block_size * num_blocks bytes and aligned as you need the blocks. */
#define RF_MEMBLOCKS_DEFINE_WITH_EXT_BUF(name, block_size, num_blocks, buffer)                                         \
  RF_MEMBLOCKS_DEFINE_(, name, block_size, num_blocks, buffer)
#define RF_MEMBLOCKS_DEFINE_STATIC_WITH_EXT_BUF(name, block_size, num_blocks, buffer)                                  \
  RF_MEMBLOCKS_DEFINE_(static, name, block_size, num_blocks, buffer)

/* The initialiser behind them, for a pool inside a struct of yours. `bitmap` is RF_MEMBLOCKS_WORDS(num_blocks) zeroed
 * words; `quiet`, `mutex` (initialised, or zeroed static storage on the ports at hand) and `listeners` as in the
 * struct. */
#define RF_MEMBLOCKS_INITIALIZER(block_size, num_blocks, buffer, bitmap, quiet, mutex, listeners)                      \
  {                                                                                                                    \
    RF_MEMBLOCKS_BYTES_(buffer), (bitmap), (block_size), (num_blocks), RF_MEMBLOCKS_SHIFT_(block_size), (quiet), 0, 0, \
        0, 0, 0, 0, (mutex), (listeners), 0                                                                            \
  }

/* `blocks` is set to manage the first num_blocks * block_size bytes of `buffer`, with `bitmap` of
 * RF_MEMBLOCKS_WORDS(num_blocks) words (cleared here); both stay the caller's and must outlive the pool. RF_OK, or
 * RF_ERR_INVALID for NULL, 0, or a product that wraps. Not while another thread uses the pool. */
rf_status rf_memblocks_init(rf_memblocks *blocks, void *buffer, size_t block_size, size_t num_blocks, size_t *bitmap);

/* Ends the pool: every later call that takes or gives back fails, with a count of 0, too; rf_memblocks_check finds no
 * damage. A second call does nothing. The mutex is the caller's to end. */
void rf_memblocks_deinit(rf_memblocks *blocks);

/* Makes the pool shared: every call locks `mutex` (initialised, the caller's, may serve several pools). NULL: no
 * longer. Before other threads use it. */
void rf_memblocks_share(rf_memblocks *blocks, rf_mutex *mutex);

/* Takes `count` blocks, lowest addresses first, not necessarily adjacent, into out[0 … count-1]. RF_OK (for count 0
 * too, nothing written); RF_ERR_NO_MEMORY with nothing taken and `out` undefined; RF_ERR_INVALID for NULL;
 * RF_ERR_CORRUPT, reported, where the bitmap is damaged. */
rf_status rf_memblocks_alloc(rf_memblocks *blocks, size_t count, void **out);

/* Takes `count` adjacent blocks, the first run that is long enough; *out is its start (NULL for count 0). Results as
 * rf_memblocks_alloc; on failure *out is untouched. */
rf_status rf_memblocks_alloc_contiguous(rf_memblocks *blocks, size_t count, void **out);

/* Takes the `count` blocks from `first` on, the address of a block: memory that is already in use for something (a boot
 * splash screen, a firmware's mailbox). RF_OK (for count 0 too, whatever `first` is); RF_ERR_NO_MEMORY where one of
 * them is taken; RF_ERR_BAD_POINTER where `first` is no block of this pool; RF_ERR_INVALID where the run leaves the
 * buffer. */
rf_status rf_memblocks_claim(rf_memblocks *blocks, void *first, size_t count);

/* Gives back in[0 … count-1], in any order, however they were taken; all or none. RF_OK (for count 0 too);
 * RF_ERR_BAD_POINTER: one is foreign, interior or NULL; RF_ERR_NOT_ALLOCATED: one is free already, or named twice;
 * RF_ERR_INVALID: `in` is NULL or count exceeds the pool. The two former are reported to the fault handler (unless the
 * pool is quiet) with the pointer in question. */
#define rf_memblocks_free(blocks, count, in) rf_memblocks_free_at((blocks), (count), (in), RF_HERE)
rf_status rf_memblocks_free_at(rf_memblocks *blocks, size_t count, void *const *in, const rf_site *site);

/* Gives back the `count` blocks from `first` on, however they were taken; all or none. Results and reports as
 * rf_memblocks_free; RF_ERR_INVALID also where the run leaves the buffer. */
#define rf_memblocks_free_contiguous(blocks, first, count)                                                             \
  rf_memblocks_free_contiguous_at((blocks), (first), (count), RF_HERE)
rf_status rf_memblocks_free_contiguous_at(rf_memblocks *blocks, void *first, size_t count, const rf_site *site);

/* True where `first` is a block and it and the following, `count` in sum, lie in the pool and are all free. True for
 * count 0 at any block. */
bool rf_memblocks_is_region_free(rf_memblocks *blocks, const void *first, size_t count);

/* True where `ptr` lies in the buffer, taken or not. */
bool rf_memblocks_owns(const rf_memblocks *blocks, const void *ptr);

/* A snapshot, all of *out filled: used = blocks * block_size (requested sizes are not known here), overhead is 0, since
 * the bitmap is not in the buffer; all 0 where the record is damaged. O(words + free runs), for largest_free. */
void rf_memblocks_stats(rf_memblocks *blocks, rf_stats *out);

/* From now on the peak is counted anew, starting from what is taken now. */
void rf_memblocks_reset_peak(rf_memblocks *blocks);

/* Compares bitmap, hint, counts and checksums. RF_OK, or RF_ERR_CORRUPT with *where (NULL allowed) filled. Finds
 * every change confined to one word of the bitmap or one field of the pool, but for those that do no harm: `quiet`, a
 * hint that is lower than need be, figures that stay possible. (Every other call refuses to work on a pool whose record
 * is damaged, and reports it. The first call makes the checksum of a pool that no call initialised; of a record whose
 * checksum is 0 it is damage where no initialiser can have made the rest.) */
rf_status rf_memblocks_check(rf_memblocks *blocks, rf_fault *where);

/* Adds a listener, told before those that were added earlier, and does nothing where it is there; removes one, and does
 * nothing where it is not there. Not while another thread uses the pool. */
void rf_memblocks_listen(rf_memblocks *blocks, rf_memblocks_listener *listener);
void rf_memblocks_unlisten(rf_memblocks *blocks, rf_memblocks_listener *listener);

/* ---- Parts of the macros above. ---- */

#ifdef __cplusplus
#define RF_MEMBLOCKS_ALIGNAS_(align) alignas(align)
#define RF_MEMBLOCKS_ASSERT_(condition, text) static_assert(condition, text)
#define RF_MEMBLOCKS_SIZE_(number) static_cast<size_t>(number)
#define RF_MEMBLOCKS_LOG_(number) static_cast<unsigned>(__builtin_ctzll(static_cast<unsigned long long>(number)))
#define RF_MEMBLOCKS_BYTES_(buffer) reinterpret_cast<unsigned char *>(buffer)
#else
#define RF_MEMBLOCKS_ALIGNAS_(align) _Alignas(align)
#define RF_MEMBLOCKS_ASSERT_(condition, text) _Static_assert(condition, text)
#define RF_MEMBLOCKS_SIZE_(number) ((size_t)(number))
#define RF_MEMBLOCKS_LOG_(number) ((unsigned)__builtin_ctzll((unsigned long long)(number)))
#define RF_MEMBLOCKS_BYTES_(buffer) ((unsigned char *)(buffer))
#endif

#define RF_MEMBLOCKS_SHIFT_(block_size)                                                                                \
  (((block_size) & ((block_size)-1)) == 0 ? RF_MEMBLOCKS_LOG_(block_size) : RF_MEMBLOCKS_NO_SHIFT)

#define RF_MEMBLOCKS_DEFINE_(linkage, name, block_size, num_blocks, buffer)                                            \
  RF_MEMBLOCKS_ASSERT_((block_size) > 0 && (num_blocks) > 0, #name " needs at least one block of one byte");           \
  RF_MEMBLOCKS_ASSERT_((num_blocks) <= SIZE_MAX / 2 / (block_size), #name " is too large");                            \
  static size_t name##_rf_bitmap_[RF_MEMBLOCKS_WORDS(num_blocks)];                                                     \
  linkage rf_memblocks name =                                                                                          \
      RF_MEMBLOCKS_INITIALIZER(block_size, num_blocks, buffer, name##_rf_bitmap_, false, NULL, NULL)

#define RF_MEMBLOCKS_DEFINE_OWN_(linkage, name, block_size, num_blocks, align)                                         \
  RF_MEMBLOCKS_ASSERT_((block_size) % (align) == 0, "blocks of " #name " would not all be aligned");                   \
  RF_MEMBLOCKS_ALIGNAS_(align) static unsigned char name##_rf_buffer_[RF_MEMBLOCKS_SIZE_(block_size) * (num_blocks)];  \
  RF_MEMBLOCKS_DEFINE_(linkage, name, block_size, num_blocks, name##_rf_buffer_)

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_MEMBLOCKS_H */
