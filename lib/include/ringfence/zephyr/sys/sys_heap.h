/* Zephyr: a heap over the caller's memory, and its helpers.
 *
 *     struct sys_heap heap;
 *     sys_heap_init(&heap, memory, sizeof(memory));
 *     char *p = sys_heap_alloc(&heap, 13);
 *     sys_heap_free(&heap, p);
 *
 * Layout and complexity are those of Zephyr's heaps of more than 256 KiB, whatever the size: see chunk_heap.h. Figures,
 * buckets and the end of the heap are in this struct, not in the memory.
 *
 * Threads and interrupts: none; put a lock of yours around it, or take a k_heap. Calls that only look at the heap of a
 * k_heap (&h->heap) take the lock of that, unless the caller holds it.
 */
#ifndef RINGFENCE_ZEPHYR_SYS_SYS_HEAP_H
#define RINGFENCE_ZEPHYR_SYS_SYS_HEAP_H

#include <ringfence/zephyr/sys/chunk_heap.h>
#include <ringfence/zephyr/sys/mem_stats.h>
#include <ringfence/zephyr/sys/util.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's storage. */
struct sys_heap {
  struct z_heap *heap; /* ours points to the struct itself once it is made */
  void *init_mem;
  size_t init_bytes;
  /* Ours. */
  rf_zephyr_chunk_heap chunks;
  rf_allocator *calls;
  size_t peak;             /* bytes that live blocks requested at most */
  const rf_site *site;     /* of the call of a multi heap whose choice function is running; NULL: none is */
  struct k_spinlock *lock; /* of the k_heap that this is in; NULL: none */
};

struct z_heap_stress_result {
  uint32_t total_allocs;
  uint32_t successful_allocs;
  uint32_t total_frees;
  uint64_t accumulated_in_use_bytes; /* summed up after each operation */
};

/* Bytes of memory in which one block of `amount` bytes fits, at any address; and of which nothing fits less. */
#define Z_HEAP_MIN_SIZE 24
#define Z_HEAP_MIN_SIZE_FOR(amount) (ROUND_UP((amount), 8) + 16)

/* Makes a heap of the `bytes` bytes at `mem`, the caller's as long as it is used. Made anew, what was live is gone.
 * If the memory is too small for any block, each request returns NULL. */
void sys_heap_init(struct sys_heap *heap, void *mem, size_t bytes);

/* `bytes` bytes aligned to 8, or to `align`, a power of two (0: as without); NULL for 0 bytes, another alignment, and
 * where there is no room. */
void *sys_heap_alloc(struct sys_heap *heap, size_t bytes);
void *sys_heap_aligned_alloc(struct sys_heap *heap, size_t align, size_t bytes);
/* As sys_heap_alloc; `align` is not looked at. */
void *sys_heap_noalign_alloc(struct sys_heap *heap, size_t align, size_t bytes);

/* Gives a block back. NULL does nothing; what is no live block is refused and reported (fault.h). */
void sys_heap_free(struct sys_heap *heap, void *mem);

/* Resizes, in place where there is room. NULL allocates; 0 bytes free and give NULL; failure gives NULL and keeps the
 * block. */
void *sys_heap_realloc(struct sys_heap *heap, void *ptr, size_t bytes);
void *sys_heap_aligned_realloc(struct sys_heap *heap, void *ptr, size_t align, size_t bytes);

/* Bytes that the owner may use; 0 for what is not a live block. */
size_t sys_heap_usable_size(struct sys_heap *heap, void *mem);

/* Whether everything the heap relies on is whole. Always on, whatever CONFIG_SYS_HEAP_VALIDATE says. */
bool sys_heap_validate(struct sys_heap *heap);

/* Exercises any heap: `op_count` allocations and frees in random order and sizes (small ones mostly; the same each
 * time), so that about `target_percent` of `total_bytes` are in use. Live blocks are noted in `scratch_mem`, and freed
 * at the end. */
void sys_heap_stress(void *(*alloc_fn)(void *arg, size_t bytes), void (*free_fn)(void *arg, void *p), void *arg,
                     size_t total_bytes, uint32_t op_count, void *scratch_mem, size_t scratch_bytes, int target_percent,
                     struct z_heap_stress_result *result);

/* Prints figures, a histogram and a map to the log; with `dump_chunks` each live block. */
void sys_heap_print_info(struct sys_heap *heap, bool dump_chunks);

/* Bytes free, requested by live blocks, and the highest number of the latter since the heap was made or _reset_max was
 * called. 0; -EINVAL for NULL. Always on, whatever CONFIG_SYS_HEAP_RUNTIME_STATS says. */
int sys_heap_runtime_stats_get(struct sys_heap *heap, struct sys_memory_stats *stats);
int sys_heap_runtime_stats_reset_max(struct sys_heap *heap);

/* The heaps that were made, the first SYS_HEAP_ARRAY_SIZE of them: sys_heap_init notes them. -EINVAL for NULL, and
 * where there is no room; 0, or how many. */
#define SYS_HEAP_ARRAY_SIZE 16
int sys_heap_array_save(struct sys_heap *heap);
int sys_heap_array_get(struct sys_heap ***heap);

/* ---- Additions ---- */

/* Called with each heap as it is made: the answer is what all calls to it go to, the heap itself or a checker around
 * it. NULL: none. */
typedef rf_allocator *(*rf_zephyr_wrap_fn)(rf_allocator *allocator, struct sys_heap *heap, void *context);
void rf_zephyr_wrap_set(rf_zephyr_wrap_fn wrap, void *context);

/* The heap as an rf_allocator; NULL before it is made. */
rf_allocator *rf_zephyr_allocator(struct sys_heap *heap);

/* The calls with their site as an argument. */
void *rf_zephyr_alloc_at(struct sys_heap *heap, size_t align, size_t bytes, const rf_site *site);
void *rf_zephyr_realloc_at(struct sys_heap *heap, void *ptr, size_t align, size_t bytes, const rf_site *site);
void rf_zephyr_free_at(struct sys_heap *heap, void *mem, const rf_site *site);

#ifdef __cplusplus
}
#endif

#if RF_SITES && !defined(RINGFENCE_ZEPHYR_IMPL)
#define sys_heap_alloc(heap, bytes) rf_zephyr_alloc_at((heap), 0, (bytes), RF_HERE)
#define sys_heap_aligned_alloc(heap, align, bytes) rf_zephyr_alloc_at((heap), (align), (bytes), RF_HERE)
#define sys_heap_noalign_alloc(heap, align, bytes) ((void)(align), rf_zephyr_alloc_at((heap), 0, (bytes), RF_HERE))
#define sys_heap_realloc(heap, ptr, bytes) rf_zephyr_realloc_at((heap), (ptr), 0, (bytes), RF_HERE)
#define sys_heap_aligned_realloc(heap, ptr, align, bytes) rf_zephyr_realloc_at((heap), (ptr), (align), (bytes), RF_HERE)
#define sys_heap_free(heap, mem) rf_zephyr_free_at((heap), (mem), RF_HERE)
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_SYS_HEAP_H */
