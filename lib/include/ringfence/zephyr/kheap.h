/* Zephyr: heaps that threads share, and wait on for memory; k_malloc and the like. Part of <zephyr/kernel.h>.
 *
 * Threads: every call from any thread. Interrupts: over the bare port, whose mutex masks them; none waits there.
 */
#ifndef RINGFENCE_ZEPHYR_KHEAP_H
#define RINGFENCE_ZEPHYR_KHEAP_H

#include <ringfence/port.h>
#include <ringfence/zephyr/spinlock.h>
#include <ringfence/zephyr/sys/sys_heap.h>
#include <ringfence/zephyr/timeout.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's storage. */
struct k_heap {
  struct sys_heap heap;
  /* Ours. */
  struct k_spinlock lock;
  struct rf_zephyr_waiter *waiters;
};

/* Defines a heap in which one block of `bytes` bytes fits, and no larger one; it is made at its first use. IN_SECT: its
 * memory has the attribute `in_section`. */
#define K_HEAP_DEFINE(name, bytes) Z_HEAP_DEFINE_IN_SECT(name, bytes, )
#define Z_HEAP_DEFINE_IN_SECT(name, bytes, in_section)                                                                 \
  char in_section __aligned(8) kheap_##name[ROUND_UP(bytes, 8) + 8];                                                   \
  RF_ZEPHYR_HEAP_LISTED_ struct k_heap name = {                                                                        \
      {NULL, kheap_##name, sizeof(kheap_##name), RF_ZEPHYR_NO_CHUNKS, NULL, 0, NULL, &(name).lock}, {{{0}}, 0}, NULL}
#define K_HEAP_DEFINE_NOCACHE(name, bytes) K_HEAP_DEFINE(name, bytes)

/* Puts them one after the other, as elements of an array: with an alignment of their own, or a compiler might choose a
 * larger one; and also those that nothing names. */
#ifdef __ELF__
#define RF_ZEPHYR_HEAP_LISTED_ __attribute__((used, section("rf_zephyr_heaps"), aligned(__alignof__(struct k_heap))))
#else
#define RF_ZEPHYR_HEAP_LISTED_
#endif

/* *heaps is the array of all heaps of K_HEAP_DEFINE, made or not yet: how many there are. _system_heap is among them,
 * but not where its size is configured. 0 where programs are not ELF files. */
int k_heap_array_get(struct k_heap **heaps);

/* As sys_heap_init. */
void k_heap_init(struct k_heap *h, void *mem, size_t bytes);

/* As the calls of sys_heap, but that they wait for memory, no longer than `timeout`; a free wakes all that wait. There
 * is no waiting for what is refused, or larger than the heap. k_heap_calloc clears it, and gives NULL where the product
 * wraps. */
void *k_heap_alloc(struct k_heap *h, size_t bytes, k_timeout_t timeout);
void *k_heap_aligned_alloc(struct k_heap *h, size_t align, size_t bytes, k_timeout_t timeout);
void *k_heap_calloc(struct k_heap *h, size_t num, size_t size, k_timeout_t timeout);
void *k_heap_realloc(struct k_heap *h, void *ptr, size_t bytes, k_timeout_t timeout);
void k_heap_free(struct k_heap *h, void *mem);

/* The program's heap, which code declares for itself where it looks at it (extern struct k_heap _system_heap, or struct
 * sys_heap, which it begins with): CONFIG_HEAP_MEM_POOL_SIZE bytes where that is defined where this is included, else
 * RF_ZEPHYR_POOL_SIZE. */
#define RF_ZEPHYR_POOL_SIZE (64 * 1024)
#ifdef CONFIG_HEAP_MEM_POOL_SIZE
#define K_HEAP_MEM_POOL_SIZE CONFIG_HEAP_MEM_POOL_SIZE
#else
#define K_HEAP_MEM_POOL_SIZE RF_ZEPHYR_POOL_SIZE
#endif

/* The library has one, too, which is not linked where the program brings this. */
#if defined(CONFIG_HEAP_MEM_POOL_SIZE) && !defined(RINGFENCE_ZEPHYR_SYSTEM_HEAP)
#define RF_ZEPHYR_SYMBOL_(name) RF_ZEPHYR_TEXT_(__USER_LABEL_PREFIX__) name
#define RF_ZEPHYR_TEXT_(prefix) RF_ZEPHYR_TEXT_2_(prefix)
#define RF_ZEPHYR_TEXT_2_(prefix) #prefix
/* Under another name here, so that theirs is free. */
__attribute__((weak)) char __aligned(8) rf_zephyr_system_memory[ROUND_UP(CONFIG_HEAP_MEM_POOL_SIZE, 8) + 8];
extern struct k_heap rf_zephyr_system_heap __asm__(RF_ZEPHYR_SYMBOL_("_system_heap"));
__attribute__((weak)) struct k_heap rf_zephyr_system_heap = {{NULL, rf_zephyr_system_memory,
                                                              sizeof(rf_zephyr_system_memory), RF_ZEPHYR_NO_CHUNKS,
                                                              NULL, 0, NULL, &rf_zephyr_system_heap.lock},
                                                             {{{0}}, 0},
                                                             NULL};
#endif

/* As C's malloc, aligned_alloc, calloc, realloc and free on it, without waiting. 0 bytes are a block, too; k_realloc to
 * 0 bytes frees and gives NULL. */
void *k_malloc(size_t size);
void *k_aligned_alloc(size_t align, size_t size);
void *k_calloc(size_t nmemb, size_t size);
void *k_realloc(void *ptr, size_t size);
void k_free(void *ptr);

/* ---- Additions ---- */

/* The calls with their site as an argument. */
void *rf_zephyr_heap_alloc_at(struct k_heap *h, size_t align, size_t bytes, k_timeout_t timeout, const rf_site *site);
void *rf_zephyr_heap_calloc_at(struct k_heap *h, size_t num, size_t size, k_timeout_t timeout, const rf_site *site);
void *rf_zephyr_heap_realloc_at(struct k_heap *h, void *ptr, size_t bytes, k_timeout_t timeout, const rf_site *site);
void rf_zephyr_heap_free_at(struct k_heap *h, void *mem, const rf_site *site);
void *rf_zephyr_malloc_at(size_t align, size_t size, const rf_site *site);
void *rf_zephyr_calloc_at(size_t nmemb, size_t size, const rf_site *site);
void *rf_zephyr_krealloc_at(void *ptr, size_t size, const rf_site *site);
void rf_zephyr_kfree_at(void *ptr, const rf_site *site);

#ifdef __cplusplus
}
#endif

#if RF_SITES && !defined(RINGFENCE_ZEPHYR_IMPL)
#define k_heap_alloc(h, bytes, timeout) rf_zephyr_heap_alloc_at((h), 0, (bytes), (timeout), RF_HERE)
#define k_heap_aligned_alloc(h, align, bytes, timeout)                                                                 \
  rf_zephyr_heap_alloc_at((h), (align), (bytes), (timeout), RF_HERE)
#define k_heap_calloc(h, num, size, timeout) rf_zephyr_heap_calloc_at((h), (num), (size), (timeout), RF_HERE)
#define k_heap_realloc(h, ptr, bytes, timeout) rf_zephyr_heap_realloc_at((h), (ptr), (bytes), (timeout), RF_HERE)
#define k_heap_free(h, mem) rf_zephyr_heap_free_at((h), (mem), RF_HERE)
#define k_malloc(size) rf_zephyr_malloc_at(0, (size), RF_HERE)
#define k_aligned_alloc(align, size) rf_zephyr_malloc_at((align), (size), RF_HERE)
#define k_calloc(nmemb, size) rf_zephyr_calloc_at((nmemb), (size), RF_HERE)
#define k_realloc(ptr, size) rf_zephyr_krealloc_at((ptr), (size), RF_HERE)
#define k_free(ptr) rf_zephyr_kfree_at((ptr), RF_HERE)
#endif

#endif /* RINGFENCE_ZEPHYR_KHEAP_H */
