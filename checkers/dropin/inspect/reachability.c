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

size_t rf_reachability_count_blocks(void) {
  size_t count = 0;
  for (unsigned i = 0; i < rf_arena_count(); i++) {
    count += rf_arena_at(i)->guard.counters.blocks;
  }
  rf_page_figures paged;
  rf_guarded_blocks_figures(&paged);
  return count + paged.counters.blocks;
}

#define PAGE_SHIFT 12U

static size_t pages_of(const rf_region *region) {
  return (region->size >> PAGE_SHIFT) + 2;
}

size_t rf_reachability_count_pages(void) {
  size_t count = 0;
  for (const rf_region *r = rf_region_above(0); r != NULL; r = rf_region_above(r->base + r->size)) {
    count += pages_of(r);
  }
  return count;
}

static bool add(const rf_block *block, void *context) {
  rf_reachability *const table = context;
  uintptr_t const start = (uintptr_t)block->ptr;
  rf_region *const region = rf_region_find(start);
  if (!block->used || region == NULL) {
    return true;
  }
  if (table->count == table->capacity) {
    return false;
  }
  if (region->live == 0) {
    region->first_live = table->count;
  }
  region->live++;
  table->blocks[table->count++] =
      (rf_reachability_block){start, block->size, table->arena, RF_REACHABILITY_UNKNOWN, NULL};
  table->low = start < table->low ? start : table->low;
  table->high = start + block->size > table->high ? start + block->size : table->high;
  return true;
}

/* In address order. */
static bool add_paged(const rf_page_block *block, void *context) {
  rf_reachability *const table = context;
  uintptr_t const start = (uintptr_t)block->ptr;
  rf_reachability_state const state =
      rf_guarded_blocks_inherited(block) ? RF_REACHABILITY_REACHABLE : RF_REACHABILITY_UNKNOWN;
  if (table->count == table->capacity) {
    return false;
  }
  table->blocks[table->count++] = (rf_reachability_block){start, block->size, RF_REACHABILITY_GUARDED, state, NULL};
  table->low = start < table->low ? start : table->low;
  table->high = start + block->size > table->high ? start + block->size : table->high;
  return true;
}

/* A region's blocks are in the table in address order. */
static void index_pages(rf_reachability *table, rf_region *region) {
  const rf_reachability_block *const first = table->blocks + region->first_live;
  size_t const pages = pages_of(region);
  size_t before = 0;
  if (region->live == 0 || pages > table->pages_capacity) {
    region->live = 0;
    return;
  }
  region->pages = table->pages;
  table->pages += pages;
  table->pages_capacity -= pages;
  for (size_t page = 0; page < pages; page++) {
    uintptr_t const start = region->base + (page << PAGE_SHIFT);
    while (before < region->live && first[before].start < start) {
      before++;
    }
    region->pages[page] = (uint32_t)before;
  }
}

void rf_reachability_collect(rf_reachability *table) {
  for (rf_region *r = rf_region_above(0); r != NULL; r = rf_region_above(r->base + r->size)) {
    r->live = 0;
  }
  table->count = 0;
  table->low = UINTPTR_MAX;
  table->high = 0;
  for (table->arena = 0; table->arena < rf_arena_count(); table->arena++) {
    (void)rf_walk(&rf_arena_at(table->arena)->guard.base, add, table);
  }
  for (rf_region *r = rf_region_above(0); r != NULL; r = rf_region_above(r->base + r->size)) {
    index_pages(table, r);
  }
  table->first_paged = table->count;
  if (rf_guarded_blocks.store != NULL) {
    rf_page_store_each(rf_guarded_blocks.store, add_paged, table);
  }
}

/* The block that `address` points into, among those number `below` to `above` of a list in address order; or NULL. */
static rf_reachability_block *find_among(rf_reachability_block *first, size_t below, size_t above, uintptr_t address) {
  while (below < above) {
    size_t const middle = below + (above - below) / 2;
    if (first[middle].start <= address) {
      below = middle + 1;
    } else {
      above = middle;
    }
  }
  if (below == 0) {
    return NULL;
  }
  rf_reachability_block *const block = &first[below - 1];
  size_t const size = block->size != 0 ? block->size : 1; /* a block of no bytes is held by its address */
  return address - block->start < size ? block : NULL;
}

/* The block that `address` points into. */
static rf_reachability_block *find(const rf_reachability *table, uintptr_t address) {
  if (address < table->low || address > table->high) {
    return NULL;
  }
  const rf_region *const region = rf_region_find(address);
  if (region == NULL) {
    return find_among(table->blocks + table->first_paged, 0, table->count - table->first_paged, address);
  }
  if (region->live == 0) {
    return NULL;
  }
  rf_reachability_block *const first = table->blocks + region->first_live;
  size_t const page = (address - region->base) >> PAGE_SHIFT;
  return find_among(first, region->pages[page], region->pages[page + 1], address);
}

/* ---- Blocks of the parent's ---- */

static void set_all(rf_reachability *table, uint32_t arena, rf_reachability_state state) {
  for (size_t i = 0; i < table->count; i++) {
    if (table->blocks[i].arena == arena) {
      table->blocks[i].state = state;
    }
  }
}

/* In the child of a process of several threads, what is older than the fork counts as reachable. */
static void spare_inherited(rf_reachability *table, uint32_t index) {
  const rf_arena *const arena = rf_arena_at(index);
  if (arena->inherited == NULL) {
    return;
  }
  set_all(table, index, RF_REACHABILITY_REACHABLE);
  const rf_guard_header *h = arena->guard.live.next;
  for (size_t i = 0; i < arena->guard.counters.blocks && h != &arena->guard.live; i++, h = h->next) {
    uintptr_t const start = (uintptr_t)h + RF_GUARD_PREFIX;
    rf_reachability_block *const block = find(table, start);
    if (start == (uintptr_t)arena->inherited) {
      return;
    }
    if (block != NULL) {
      block->state = RF_REACHABILITY_UNKNOWN;
    }
  }
}

/* Inherited blocks are read like roots. */
static void read_inherited(rf_reachability *table) {
  for (size_t i = 0; i < table->count; i++) {
    rf_reachability_block *const block = &table->blocks[i];
    if (block->state == RF_REACHABILITY_REACHABLE) {
      block->todo = table->todo;
      table->todo = block;
    }
  }
}

/* ---- Following words ---- */

static void look(const uintptr_t *words, size_t count, void *context) {
  rf_reachability *const table = context;
  for (size_t i = 0; i < count; i++) {
    rf_reachability_block *const block = find(table, words[i] & ADDRESS_BITS);
    if (block == NULL || block->state != RF_REACHABILITY_UNKNOWN || block == table->reading) {
      continue;
    }
    block->state = table->found;
    block->todo = table->todo;
    table->todo = block;
  }
}

static void read_block(rf_reachability *table, rf_reachability_block *block) {
  table->reading = block;
  if (block->size < SPARSE) {
    look((const uintptr_t *)block->start, block->size / sizeof(uintptr_t), table);
  } else {
    rf_roots_read_range(table->roots, block->start, block->start + block->size);
  }
  table->reading = NULL;
}

static void follow(rf_reachability *table) {
  while (table->todo != NULL) {
    rf_reachability_block *const block = table->todo;
    table->todo = block->todo;
    read_block(table, block);
  }
}

/* ---- Direct and indirect ---- */

/* Marks what other leaked blocks point to, without following: what is left over is pointed to by nothing. */
static void mark_pointed_to(rf_reachability *table) {
  table->found = RF_REACHABILITY_LEAKED_INDIRECTLY;
  for (size_t i = 0; i < table->count; i++) {
    rf_reachability_block *const block = &table->blocks[i];
    if (block->state == RF_REACHABILITY_UNKNOWN || block->state == RF_REACHABILITY_LEAKED_INDIRECTLY) {
      read_block(table, block);
      table->todo = NULL;
    }
  }
}

/* Everything that a direct leak keeps becomes known; what is still unknown then lies in rings. */
static void tell_direct_from_indirect(rf_reachability *table) {
  mark_pointed_to(table);
  for (size_t i = 0; i < table->count; i++) {
    rf_reachability_block *const block = &table->blocks[i];
    if (block->state == RF_REACHABILITY_UNKNOWN) {
      block->state = RF_REACHABILITY_LEAKED;
    } else if (block->state == RF_REACHABILITY_LEAKED_INDIRECTLY) {
      block->state = RF_REACHABILITY_UNKNOWN;
    }
  }
  for (size_t i = 0; i < table->count; i++) {
    if (table->blocks[i].state == RF_REACHABILITY_LEAKED) {
      read_block(table, &table->blocks[i]);
      follow(table);
    }
  }
  for (size_t i = 0; i < table->count; i++) {
    if (table->blocks[i].state == RF_REACHABILITY_UNKNOWN) {
      table->blocks[i].state = RF_REACHABILITY_LEAKED;
      read_block(table, &table->blocks[i]);
      follow(table);
    }
  }
}

bool rf_reachability_mark(rf_reachability *table) {
  table->roots->visit = look;
  table->roots->context = table;
  table->found = RF_REACHABILITY_REACHABLE;
  table->todo = NULL;
  table->reading = NULL;
  for (uint32_t i = 0; i < rf_arena_count(); i++) {
    spare_inherited(table, i);
  }
  read_inherited(table);
  if (!rf_roots_read(table->roots)) {
    return false;
  }
  follow(table);
  tell_direct_from_indirect(table);
  return true;
}
