/* Regions and the page map: which heap, if any, owns an address.
 *
 * A region is a mapping that one heap carves blocks from. It begins at a multiple of 1 MiB and no other region lies in
 * a megabyte that it touches, so that a table over address / 1 MiB finds it: two loads, no lock, and never a look at
 * the memory itself. Pointers to stacks, globals and other mappings are therefore told apart safely.
 *
 *     address = | 0 | root index (14 bits) | leaf index (14 bits) | 20 bits |          64 bit
 *               |     root index (6 bits)  | leaf index (6 bits)  | 20 bits |          32 bit
 *
 * Leaves are mapped when first needed and stay. Descriptors are recycled but never unmapped, so a reader that races
 * with a release sees some descriptor, and its range check or the owner's lock sorts that out.
 */
#ifndef RINGFENCE_DROPIN_REGION_H
#define RINGFENCE_DROPIN_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_REGION_ALIGN ((size_t)1 << 20)

struct rf_growing_heap;

typedef enum rf_region_kind {
  RF_REGION_HEAP,     /* many blocks, by tlsf */
  RF_REGION_BIG,      /* one block of its own */
  RF_REGION_ABANDONED /* many blocks, of a tlsf that was damaged: these are freed, and none is made */
} rf_region_kind;

typedef struct rf_region {
  uintptr_t base;
  size_t size;                  /* mapped bytes */
  struct rf_growing_heap *heap; /* the owner; NULL: not in use */
  rf_region_kind kind;
  bool fresh;                 /* big: never written since it was mapped, so all zero */
  bool first;                 /* abandoned: it was the tlsf's first */
  size_t blocks;              /* heap, abandoned: blocks in use; big: 1 in use, 0 kept for reuse */
  size_t block_size;          /* big: of its block, which starts at `base` */
  struct rf_region *previous; /* in the owner's list */
  struct rf_region *next;
  size_t first_live; /* leak scan: its blocks in the scan's table */
  size_t live;
  uint32_t *pages; /* and how many of them start before each of its pages */
} rf_region;

/* Maps `size` bytes for `heap` (not NULL) and enters them in the page map. NULL where the system refuses. `room`: as
 * for rf_pages_map. Any thread; the region is then the heap's to protect. */
rf_region *rf_region_map(struct rf_growing_heap *heap, rf_region_kind kind, size_t size, size_t align, size_t room);

/* Takes the region out of the page map and gives its memory back. In a signal handler that interrupted a change of the
 * map the memory may be kept, to no further use. */
void rf_region_unmap(rf_region *region);

/* Grows a region in place to at least `size` bytes; false, and nothing changed, where that cannot be. */
bool rf_region_extend(rf_region *region, size_t size);

/* Gives back the pages beyond the first `size` bytes. */
void rf_region_trim(rf_region *region, size_t size);

/* The table. Entries change under a lock and are read without one. */
#define RF_REGION_SHIFT 20U
#if UINTPTR_MAX > UINT32_MAX
#define RF_REGION_INDEX_BITS 14U
#else
#define RF_REGION_INDEX_BITS 6U
#endif
#define RF_REGION_ENTRIES ((size_t)1 << RF_REGION_INDEX_BITS)

typedef struct rf_region_leaf {
  rf_region *entries[RF_REGION_ENTRIES];
} rf_region_leaf;

extern rf_region_leaf *rf_region_root[RF_REGION_ENTRIES] __attribute__((visibility("hidden")));

/* The region that has the megabyte number `chunk`, or NULL. */
static inline rf_region *rf_region_of_chunk(uintptr_t chunk) {
  size_t const index = chunk >> RF_REGION_INDEX_BITS;
  if (index >= RF_REGION_ENTRIES) {
    return NULL;
  }
  rf_region_leaf *const leaf = __atomic_load_n(&rf_region_root[index], __ATOMIC_ACQUIRE);
  return leaf != NULL ? __atomic_load_n(&leaf->entries[chunk & (RF_REGION_ENTRIES - 1)], __ATOMIC_ACQUIRE) : NULL;
}

/* The region that `address` lies in, or NULL. Lock-free, touches only the table. */
static inline rf_region *rf_region_find(uintptr_t address) {
  rf_region *const region = rf_region_of_chunk(address >> RF_REGION_SHIFT);
  return region != NULL && address - region->base < region->size ? region : NULL;
}

/* The first region at or above `address`, or NULL: for walks over the whole table with nobody else running. */
rf_region *rf_region_above(uintptr_t address);

/* Around fork: as rf_pages_fork_*. */
bool rf_region_fork_prepare(unsigned ms);
void rf_region_fork_done(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_DROPIN_REGION_H */
