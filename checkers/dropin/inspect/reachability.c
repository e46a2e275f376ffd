#include "reachability.h"

#include "checkers/dropin/malloc/guarded_blocks.h"

#if UINTPTR_MAX > UINT32_MAX
#define ADDRESS_BITS (((uintptr_t)1 << 48) - 1)
#else
#define ADDRESS_BITS UINTPTR_MAX
#endif

/* From this size on pages that were never touched are not read either. */
#define SPARSE ((size_t)256 * 1024)

/* ---- The table ---- */

size_t rf_live_count(void) {
  size_t count = 0;
  for (unsigned i = 0; i < rf_arena_count(); i++) {
    count += rf_arena_at(i)->guard.counters.blocks;
  }
  rf_page_figures paged;
  rf_paged_figures(&paged);
  return count + paged.counters.blocks;
}

#define PAGE_SHIFT 12U

static size_t pages_of(const rf_region *region) {
  return (region->size >> PAGE_SHIFT) + 2;
}

size_t rf_live_pages(void) {
  size_t count = 0;
  for (const rf_region *r = rf_region_above(0); r != NULL; r = rf_region_above(r->base + r->size)) {
    count += pages_of(r);
  }
  return count;
}

static bool add(const rf_block *block, void *context) {
  rf_live *const live = context;
  uintptr_t const start = (uintptr_t)block->ptr;
  rf_region *const region = rf_region_find(start);
  if (!block->used || region == NULL) {
    return true;
  }
  if (live->count == live->capacity) {
    return false;
  }
  if (region->live == 0) {
    region->first_live = live->count;
  }
  region->live++;
  live->blocks[live->count++] = (rf_live_block){start, block->size, live->arena, RF_LIVE_UNKNOWN, NULL};
  live->low = start < live->low ? start : live->low;
  live->high = start + block->size > live->high ? start + block->size : live->high;
  return true;
}

/* In address order. */
static bool add_paged(const rf_page_block *block, void *context) {
  rf_live *const live = context;
  uintptr_t const start = (uintptr_t)block->ptr;
  rf_live_state const state = rf_paged_inherited(block) ? RF_LIVE_REACHABLE : RF_LIVE_UNKNOWN;
  if (live->count == live->capacity) {
    return false;
  }
  live->blocks[live->count++] = (rf_live_block){start, block->size, RF_LIVE_PAGED, state, NULL};
  live->low = start < live->low ? start : live->low;
  live->high = start + block->size > live->high ? start + block->size : live->high;
  return true;
}

/* A region's blocks are in the table in address order. */
static void index_pages(rf_live *live, rf_region *region) {
  const rf_live_block *const first = live->blocks + region->first_live;
  size_t const pages = pages_of(region);
  size_t before = 0;
  if (region->live == 0 || pages > live->pages_capacity) {
    region->live = 0;
    return;
  }
  region->pages = live->pages;
  live->pages += pages;
  live->pages_capacity -= pages;
  for (size_t page = 0; page < pages; page++) {
    uintptr_t const start = region->base + (page << PAGE_SHIFT);
    while (before < region->live && first[before].start < start) {
      before++;
    }
    region->pages[page] = (uint32_t)before;
  }
}

void rf_live_collect(rf_live *live) {
  for (rf_region *r = rf_region_above(0); r != NULL; r = rf_region_above(r->base + r->size)) {
    r->live = 0;
  }
  live->count = 0;
  live->low = UINTPTR_MAX;
  live->high = 0;
  for (live->arena = 0; live->arena < rf_arena_count(); live->arena++) {
    (void)rf_walk(&rf_arena_at(live->arena)->guard.base, add, live);
  }
  for (rf_region *r = rf_region_above(0); r != NULL; r = rf_region_above(r->base + r->size)) {
    index_pages(live, r);
  }
  live->first_paged = live->count;
  if (rf_paged.store != NULL) {
    rf_page_store_each(rf_paged.store, add_paged, live);
  }
}

/* Of `count` blocks in address order, the one among those from number `below` on that `address` points into. */
static rf_live_block *find_among(rf_live_block *first, size_t below, size_t above, uintptr_t address) {
  while (below < above) {
    size_t const middle = below + (above - below) / 2;
    if (first[middle].start <= address) {
      below = middle + 1;
    } else {
      above = middle;
    }
  }
  if (below == 0 || address - first[below - 1].start > first[below - 1].size) {
    return NULL;
  }
  return &first[below - 1];
}

/* The block that `address` points into. */
static rf_live_block *find(const rf_live *live, uintptr_t address) {
  if (address < live->low || address > live->high) {
    return NULL;
  }
  const rf_region *const region = rf_region_find(address);
  if (region == NULL) {
    return find_among(live->blocks + live->first_paged, 0, live->count - live->first_paged, address);
  }
  if (region->live == 0) {
    return NULL;
  }
  rf_live_block *const first = live->blocks + region->first_live;
  size_t const page = (address - region->base) >> PAGE_SHIFT;
  return find_among(first, region->pages[page], region->pages[page + 1], address);
}

/* ---- Blocks of the parent's ---- */

static void set_all(rf_live *live, uint32_t arena, rf_live_state state) {
  for (size_t i = 0; i < live->count; i++) {
    if (live->blocks[i].arena == arena) {
      live->blocks[i].state = state;
    }
  }
}

/* In the child of a process of several threads, what is older than the fork counts as reachable. */
static void spare_inherited(rf_live *live, uint32_t index) {
  const rf_arena *const arena = rf_arena_at(index);
  if (arena->inherited == NULL) {
    return;
  }
  set_all(live, index, RF_LIVE_REACHABLE);
  const rf_guard_header *h = arena->guard.live.next;
  for (size_t i = 0; i < arena->guard.counters.blocks && h != &arena->guard.live; i++, h = h->next) {
    uintptr_t const start = (uintptr_t)h + RF_GUARD_PREFIX;
    rf_live_block *const block = find(live, start);
    if (start == (uintptr_t)arena->inherited) {
      return;
    }
    if (block != NULL) {
      block->state = RF_LIVE_UNKNOWN;
    }
  }
}

/* What was spared is read like a root. */
static void read_inherited(rf_live *live) {
  for (size_t i = 0; i < live->count; i++) {
    rf_live_block *const block = &live->blocks[i];
    if (block->state == RF_LIVE_REACHABLE) {
      block->todo = live->todo;
      live->todo = block;
    }
  }
}

/* ---- Following words ---- */

static void look(const uintptr_t *words, size_t count, void *context) {
  rf_live *const live = context;
  for (size_t i = 0; i < count; i++) {
    rf_live_block *const block = find(live, words[i] & ADDRESS_BITS);
    if (block == NULL || block->state != RF_LIVE_UNKNOWN || block == live->reading) {
      continue;
    }
    block->state = live->found;
    block->todo = live->todo;
    live->todo = block;
  }
}

static void read_block(rf_live *live, rf_live_block *block) {
  live->reading = block;
  if (block->size < SPARSE) {
    look((const uintptr_t *)block->start, block->size / sizeof(uintptr_t), live);
  } else {
    rf_roots_read_range(live->roots, block->start, block->start + block->size);
  }
  live->reading = NULL;
}

static void follow(rf_live *live) {
  while (live->todo != NULL) {
    rf_live_block *const block = live->todo;
    live->todo = block->todo;
    read_block(live, block);
  }
}

/* ---- Direct and indirect ---- */

/* Marks what other leaked blocks point to, without following: what is left over is pointed to by nothing. */
static void mark_pointed_to(rf_live *live) {
  live->found = RF_LIVE_INDIRECT;
  for (size_t i = 0; i < live->count; i++) {
    rf_live_block *const block = &live->blocks[i];
    if (block->state == RF_LIVE_UNKNOWN || block->state == RF_LIVE_INDIRECT) {
      read_block(live, block);
      live->todo = NULL;
    }
  }
}

/* Everything that a direct leak keeps becomes known; what is still unknown then lies in rings. */
static void tell_direct_from_indirect(rf_live *live) {
  mark_pointed_to(live);
  for (size_t i = 0; i < live->count; i++) {
    rf_live_block *const block = &live->blocks[i];
    if (block->state == RF_LIVE_UNKNOWN) {
      block->state = RF_LIVE_DIRECT;
    } else if (block->state == RF_LIVE_INDIRECT) {
      block->state = RF_LIVE_UNKNOWN;
    }
  }
  for (size_t i = 0; i < live->count; i++) {
    if (live->blocks[i].state == RF_LIVE_DIRECT) {
      read_block(live, &live->blocks[i]);
      follow(live);
    }
  }
  for (size_t i = 0; i < live->count; i++) {
    if (live->blocks[i].state == RF_LIVE_UNKNOWN) {
      live->blocks[i].state = RF_LIVE_DIRECT;
      read_block(live, &live->blocks[i]);
      follow(live);
    }
  }
}

bool rf_live_mark(rf_live *live) {
  live->roots->visit = look;
  live->roots->context = live;
  live->found = RF_LIVE_REACHABLE;
  live->todo = NULL;
  live->reading = NULL;
  for (uint32_t i = 0; i < rf_arena_count(); i++) {
    spare_inherited(live, i);
  }
  read_inherited(live);
  if (!rf_roots_read(live->roots)) {
    return false;
  }
  follow(live);
  tell_direct_from_indirect(live);
  return true;
}
