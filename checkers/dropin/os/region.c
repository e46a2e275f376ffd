#include "region.h"

#include "futex.h"
#include "pages.h"

#include <ringfence/layout.h>

rf_region_leaf *rf_region_root[RF_REGION_ENTRIES];

static struct {
  rf_futex lock; /* of changes: new leaves, entries, the free list */
  rf_region *unused;
} map;

/* A signal handler may have interrupted its own thread with the lock: it gives up rather than wait for ever. */
#define PATIENCE_MS 200U

static bool lock_map(void) {
  return rf_futex_lock_within(&map.lock, PATIENCE_MS);
}

static uintptr_t chunk_of(uintptr_t address) {
  return address >> RF_REGION_SHIFT;
}

static uintptr_t last_chunk(uintptr_t base, size_t size) {
  return chunk_of(base + size - 1);
}

rf_region *rf_region_above(uintptr_t address) {
  uintptr_t chunk = chunk_of(address);
  while (chunk >> RF_REGION_INDEX_BITS < RF_REGION_ENTRIES) {
    if (rf_region_root[chunk >> RF_REGION_INDEX_BITS] == NULL) {
      chunk = ((chunk >> RF_REGION_INDEX_BITS) + 1) << RF_REGION_INDEX_BITS;
      continue;
    }
    rf_region *const region = rf_region_of_chunk(chunk);
    if (region != NULL && region->base + region->size > address) {
      return region;
    }
    chunk++;
  }
  return NULL;
}

/* Sees to it that the chunks have leaves. Under the lock. */
static bool have_leaves(uintptr_t first, uintptr_t last) {
  if (last >> RF_REGION_INDEX_BITS >= RF_REGION_ENTRIES) {
    return false;
  }
  for (uintptr_t index = first >> RF_REGION_INDEX_BITS; index <= last >> RF_REGION_INDEX_BITS; index++) {
    if (rf_region_root[index] == NULL) {
      rf_region_leaf *const l = rf_record_table(sizeof *l);
      if (l == NULL) {
        return false;
      }
      __atomic_store_n(&rf_region_root[index], l, __ATOMIC_RELEASE);
    }
  }
  return true;
}

static void enter(uintptr_t first, uintptr_t last, rf_region *region) {
  for (uintptr_t chunk = first; chunk <= last; chunk++) {
    rf_region_leaf *const leaf = rf_region_root[chunk >> RF_REGION_INDEX_BITS];
    __atomic_store_n(&leaf->entries[chunk & (RF_REGION_ENTRIES - 1)], region, __ATOMIC_RELEASE);
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
  if (!lock_map()) {
    return NULL;
  }
  rf_region *const region = have_leaves(first, last) ? take_descriptor() : NULL;
  if (region != NULL) {
    region->base = base;
    region->size = size;
    enter(first, last, region);
  }
  rf_futex_unlock(&map.lock);
  return region;
}

rf_region *rf_region_map(struct rf_growing_heap *heap, rf_region_kind kind, size_t size, size_t align, size_t room) {
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
  region->block_size = 0;
  region->previous = NULL;
  region->next = NULL;
  __atomic_store_n(&region->heap, heap, __ATOMIC_RELEASE);
  return region;
}

void rf_region_unmap(rf_region *region) {
  uintptr_t const base = region->base;
  size_t const size = region->size;
  if (!lock_map()) {
    return;
  }
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
  bool possible = false;
  if (lock_map()) {
    possible = have_leaves(first, last);
    if (possible) {
      enter(first, last, region);
    }
    rf_futex_unlock(&map.lock);
  }
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
  if (whole == 0 || whole >= old || !lock_map()) {
    return;
  }
  enter(last_chunk(region->base, whole) + 1, last_chunk(region->base, old), NULL);
  region->size = whole;
  rf_futex_unlock(&map.lock);
  rf_pages_unmap((void *)(region->base + whole), old - whole);
}

bool rf_region_fork_prepare(unsigned ms) {
  if (!rf_futex_lock_within(&map.lock, ms)) {
    return false;
  }
  if (!rf_pages_fork_prepare(ms)) {
    rf_futex_unlock(&map.lock);
    return false;
  }
  return true;
}

void rf_region_fork_done(void) {
  rf_pages_fork_done();
  rf_futex_unlock(&map.lock);
}
