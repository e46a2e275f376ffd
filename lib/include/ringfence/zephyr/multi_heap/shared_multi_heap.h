/* Zephyr: one pool of memory of several kinds for all of the program: regions, each with an attribute, and requests for
 * memory of an attribute, which the first of its regions that can serves.
 *
 * Threads: every call from any thread. Interrupts: over the bare port, whose mutex masks them.
 */
#ifndef RINGFENCE_ZEPHYR_MULTI_HEAP_SHARED_MULTI_HEAP_H
#define RINGFENCE_ZEPHYR_MULTI_HEAP_SHARED_MULTI_HEAP_H

#include <ringfence/site.h>
#include <ringfence/zephyr/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum shared_multi_heap_attr { SMH_REG_ATTR_CACHEABLE, SMH_REG_ATTR_NON_CACHEABLE, SMH_REG_ATTR_NUM };

#define MAX_SHARED_MULTI_HEAP_ATTR SMH_REG_ATTR_NUM

struct shared_multi_heap_region {
  uint32_t attr; /* below MAX_SHARED_MULTI_HEAP_ATTR */
  uintptr_t addr;
  size_t size;
};

/* Makes the pool, without memory. 0; -EALREADY where it is there already. */
int shared_multi_heap_pool_init(void);

/* Adds a region, in use from then on; the struct need not last. 0; -EINVAL for NULL, an attribute that is none, a
 * region too small for a block, and before the pool is made; -ENOMEM where there are MAX_MULTI_HEAPS already. */
int shared_multi_heap_add(struct shared_multi_heap_region *region, void *user_data);

/* As sys_heap_alloc and sys_heap_aligned_alloc, of that attribute; NULL for one that is none. */
void *shared_multi_heap_alloc(enum shared_multi_heap_attr attr, size_t bytes);
void *shared_multi_heap_aligned_alloc(enum shared_multi_heap_attr attr, size_t align, size_t bytes);

/* As sys_heap_realloc, in the block's own region where there is room, else in another of `attr`; NULL, and the block
 * stays, for an attribute that is none. */
void *shared_multi_heap_realloc(enum shared_multi_heap_attr attr, void *ptr, size_t bytes);

/* Gives a block back. NULL does nothing; what is no live block is refused and reported. */
void shared_multi_heap_free(void *block);

/* ---- Additions ---- */

/* The calls with their site as an argument. */
void *rf_zephyr_shared_alloc_at(enum shared_multi_heap_attr attr, size_t align, size_t bytes, const rf_site *site);
void *rf_zephyr_shared_realloc_at(enum shared_multi_heap_attr attr, void *ptr, size_t bytes, const rf_site *site);
void rf_zephyr_shared_free_at(void *block, const rf_site *site);

#ifdef __cplusplus
}
#endif

#if RF_SITES && !defined(RINGFENCE_ZEPHYR_IMPL)
#define shared_multi_heap_alloc(attr, bytes) rf_zephyr_shared_alloc_at((attr), 0, (bytes), RF_HERE)
#define shared_multi_heap_aligned_alloc(attr, align, bytes) rf_zephyr_shared_alloc_at((attr), (align), (bytes), RF_HERE)
#define shared_multi_heap_realloc(attr, ptr, bytes) rf_zephyr_shared_realloc_at((attr), (ptr), (bytes), RF_HERE)
#define shared_multi_heap_free(block) rf_zephyr_shared_free_at((block), RF_HERE)
#endif

#endif /* RINGFENCE_ZEPHYR_MULTI_HEAP_SHARED_MULTI_HEAP_H */
