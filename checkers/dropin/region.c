#include "region.h"

#include "futex.h"
#include "pages.h"

#include <ringfence/layout.h>

#define CHUNK_SHIFT 20U
#if UINTPTR_MAX > UINT32_MAX
#define INDEX_BITS 14U
#else
#define INDEX_BITS 6U
#endif
#define ENTRIES ((size_t)1 << INDEX_BITS)

typedef struct leaf {
  rf_region *entries[ENTRIES]; /* accessed atomically */
} leaf;

static struct {
  rf_futex lock; /* of changes: new leaves, entries, the free list */
  rf_region *unused;
  leaf *root[ENTRIES]; /* accessed atomically */
} map;

static uintptr_t chunk_of(uintptr_t address) {
  return address >> CHUNK_SHIFT;
}

static uintptr_t last_chunk(uintptr_t base, size_t size) {
  return chunk_of(base + size - 1);
}

static leaf *leaf_at(uintptr_t chunk) {
  size_t const index = chunk >> INDEX_BITS;
  return index < ENTRIES ? __atomic_load_n(&map.root[index], __ATOMIC_ACQUIRE) : NULL;
}

static rf_region *entry_at(uintptr_t chunk) {
  leaf *const l = leaf_at(chunk);
  return l != NULL ? __atomic_load_n(&l->entries[chunk & (ENTRIES - 1)], __ATOMIC_ACQUIRE) : NULL;
}

rf_region *rf_region_find(uintptr_t address) {
  rf_region *const region = entry_at(chunk_of(address));
  return region != NULL && address - region->base < region->size ? region : NULL;
}

rf_region *rf_region_above(uintptr_t address) {
  uintptr_t chunk = chunk_of(address);
  while (chunk >> INDEX_BITS < ENTRIES) {
    if (leaf_at(chunk) == NULL) {
      chunk = ((chunk >> INDEX_BITS) + 1) << INDEX_BITS;
      continue;
    }
    rf_region *const region = entry_at(chunk);
    if (region != NULL && region->base + region->size > address) {
      return region;
    }
    chunk++;
  }
  return NULL;
}

/* Sees to it that the chunks have leaves. Under the lock. */
static bool have_leaves(uintptr_t first, uintptr_t last) {
  if (last >> INDEX_BITS >= ENTRIES) {
    return false;
  }
  for (uintptr_t index = first >> INDEX_BITS; index <= last >> INDEX_BITS; index++) {
    if (map.root[index] == NULL) {
      leaf *const l = rf_record_table(sizeof *l);
      if (l == NULL) {
        return false;
      }
      __atomic_store_n(&map.root[index], l, __ATOMIC_RELEASE);
    }
  }
  return true;
}

static void enter(uintptr_t first, uintptr_t last, rf_region *region) {
  for (uintptr_t chunk = first; chunk <= last; chunk++) {
    __atomic_store_n(&leaf_at(chunk)->entries[chunk & (ENTRIES - 1)], region, __ATOMIC_RELEASE);
  }
}

static rf_region *take_descriptor(void) {
  rf_region *const region = map.unused;
  if (region == NULL) {
    return rf_record_alloc(sizeof *region);
  }
  map.unused = region->next;
  return region;
}

static void put_descriptor(rf_region *region) {
  region->heap = NULL;
  region->size = 0;
  region->next = map.unused;
  map.unused = region;
}

static rf_region *enter_new(uintptr_t base, size_t size) {
  uintptr_t const first = chunk_of(base);
  uintptr_t const last = last_chunk(base, size);
  rf_futex_lock(&map.lock);
  rf_region *const region = have_leaves(first, last) ? take_descriptor() : NULL;
  if (region != NULL) {
    region->base = base;
    region->size = size;
    enter(first, last, region);
  }
  rf_futex_unlock(&map.lock);
  return region;
}

rf_region *rf_region_map(struct rf_sysheap *heap, rf_region_kind kind, size_t size, size_t align, size_t room) {
  size_t const whole = rf_pages_round(size);
  void *const pages = rf_pages_map(whole, align < RF_REGION_ALIGN ? RF_REGION_ALIGN : align, room);
  if (pages == NULL) {
    return NULL;
  }
  rf_region *const region = enter_new((uintptr_t)pages, whole);
  if (region == NULL) {
    rf_pages_unmap(pages, whole);
    return NULL;
  }
  region->kind = kind;
  region->fresh = true;
  region->blocks = 0;
  region->block = 0;
  region->block_size = 0;
  region->previous = NULL;
  region->next = NULL;
  __atomic_store_n(&region->heap, heap, __ATOMIC_RELEASE);
  return region;
}

void rf_region_unmap(rf_region *region) {
  uintptr_t const base = region->base;
  size_t const size = region->size;
  rf_futex_lock(&map.lock);
  enter(chunk_of(base), last_chunk(base, size), NULL);
  put_descriptor(region);
  rf_futex_unlock(&map.lock);
  rf_pages_unmap((void *)base, size);
}

bool rf_region_extend(rf_region *region, size_t size) {
  size_t const whole = rf_pages_round(size);
  uintptr_t const first = last_chunk(region->base, region->size) + 1;
  if (whole == 0 || whole > RF_SIZE_LIMIT || region->base + whole < region->base ||
      !rf_pages_extend((void *)region->base, region->size, whole)) {
    return false;
  }
  uintptr_t const last = last_chunk(region->base, whole);
  rf_futex_lock(&map.lock);
  bool const possible = have_leaves(first, last);
  if (possible) {
    enter(first, last, region);
  }
  rf_futex_unlock(&map.lock);
  if (!possible) {
    rf_pages_unmap((void *)(region->base + region->size), whole - region->size);
    return false;
  }
  region->size = whole;
  return true;
}

void rf_region_trim(rf_region *region, size_t size) {
  size_t const whole = rf_pages_round(size);
  size_t const old = region->size;
  if (whole == 0 || whole >= old) {
    return;
  }
  rf_futex_lock(&map.lock);
  enter(last_chunk(region->base, whole) + 1, last_chunk(region->base, old), NULL);
  region->size = whole;
  rf_futex_unlock(&map.lock);
  rf_pages_unmap((void *)(region->base + whole), old - whole);
}

void rf_region_fork_prepare(void) {
  rf_futex_lock(&map.lock);
  rf_pages_fork_prepare();
}

void rf_region_fork_done(void) {
  rf_pages_fork_done();
  rf_futex_unlock(&map.lock);
}
