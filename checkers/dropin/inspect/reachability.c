#include "reachability.h"

#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/pages.h"
#include "kernel_roots.h"

#if UINTPTR_MAX > UINT32_MAX
#define ADDRESS_BITS (((uintptr_t)1 << 48) - 1)
#else
#define ADDRESS_BITS UINTPTR_MAX
#endif

/* From this size on pages that were never touched are not read either. */
#define SPARSE ((size_t)256 * 1024)

/* ---- The table ---- */

size_t rf_reachability_count_blocks(void) {
  rf_cache_figures figures;
  rf_page_figures paged;
  rf_cache_figures_of_all(&figures);
  rf_guarded_blocks_figures(&paged);
  return figures.counters.blocks + paged.counters.blocks;
}

static rf_span *after(const rf_span *span) {
  return rf_span_above(rf_span_start(span) + span->bytes);
}

size_t rf_reachability_count_slots(void) {
  size_t count = 0;
  for (const rf_span *span = rf_span_above(0); span != NULL; span = after(span)) {
    count += span->large ? 1 : span->carved;
  }
  return count;
}

size_t rf_reachability_count_spans(void) {
  return __atomic_load_n(&rf_span_numbers, __ATOMIC_RELAXED);
}

static void extend(rf_reachability *table, uintptr_t start, size_t size) {
  table->low = start < table->low ? start : table->low;
  table->high = start + size > table->high ? start + size : table->high;
}

/* The place of a slot in `index`. No descriptor is written to: a forked child would take a copy of its page. */
static size_t place_of(const rf_reachability *table, const rf_span *span, unsigned index) {
  return span->number < table->first_capacity ? (size_t)table->first[span->number] + index : SIZE_MAX;
}

/* C++ keeps the number of elements before an array of objects with destructors, in as many bytes as they are aligned
 * to. If a program has operators of its own, or a runtime that is linked in and hidden, the block is malloc's. */
static bool may_be_counted(size_t size, rf_family family) {
  bool const array = family == RF_FAMILY_NEW_ARRAY || family == RF_FAMILY_NEW_ARRAY_ALIGNED;
  return size == sizeof(uintptr_t) || (array && size > sizeof(uintptr_t) && rf_is_pow2(size));
}

/* In the child of a process of several threads, what is older than the fork counts as reachable. */
static bool add(const rf_view *view, void *context) {
  rf_reachability *const table = context;
  uintptr_t const start = (uintptr_t)view->payload;
  bool const inherited = rf_slot_generation(view->slot) != rf_heap_generation;
  rf_reachability_state const state = inherited ? RF_REACHABILITY_REACHABLE : RF_REACHABILITY_UNKNOWN;
  size_t const slot = place_of(table, view->span, view->index);
  if (table->count == table->capacity || slot >= table->index_capacity) {
    return false;
  }
  bool const counted = may_be_counted(view->size, rf_slot_family(view->slot));
  table->blocks[table->count++] = (rf_reachability_block){start, view->size, state, false, counted, NULL};
  table->index[slot] = (uint32_t)table->count;
  extend(table, start, view->size);
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
  bool const counted = may_be_counted(block->size, block->family);
  table->blocks[table->count++] = (rf_reachability_block){start, block->size, state, true, counted, NULL};
  extend(table, start, block->size);
  return true;
}

void rf_reachability_collect(rf_reachability *table) {
  size_t slots = 0;
  for (const rf_span *span = rf_span_above(0); span != NULL; span = after(span)) {
    if (span->number < table->first_capacity) {
      table->first[span->number] = (uint32_t)slots;
    }
    slots += span->large ? 1 : span->carved;
  }
  table->count = 0;
  table->low = UINTPTR_MAX;
  table->high = 0;
  rf_heap_walk(add, table);
  table->first_paged = table->count;
  if (rf_guarded_blocks.store != NULL) {
    rf_page_store_each(rf_guarded_blocks.store, add_paged, table);
  }
}

/* The program may have closed its page. */
static bool is_closed(const rf_reachability_block *block) {
  const void *const start = (const void *)block->start;
  return block->paged ? rf_page_store_is_restricted(rf_guarded_blocks.store, start) : rf_heap_is_restricted(start);
}

/* The number of elements is the last word before them: the program has but the address behind it. */
static bool is_empty_array(const rf_reachability_block *block) {
  const uintptr_t *const end = (const uintptr_t *)(block->start + block->size);
  return block->counted && (is_closed(block) || end[-1] == 0);
}

static bool holds(const rf_reachability_block *block, uintptr_t address) {
  size_t const size = block->size != 0 ? block->size : 1; /* a block of no bytes is held by its address */
  uintptr_t const offset = address - block->start;
  return offset < size || (offset == size && is_empty_array(block));
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
  return holds(&first[below - 1], address) ? &first[below - 1] : NULL;
}

/* The heap's, by its slot. */
static rf_reachability_block *find_in_span(const rf_reachability *table, const rf_span *span, uintptr_t address) {
  unsigned const index = rf_span_slot_at(span, address);
  bool const known = index < (span->large ? 1 : span->carved);
  size_t const slot = known ? place_of(table, span, index) : SIZE_MAX;
  uint32_t const number = slot < table->index_capacity ? table->index[slot] : 0;
  rf_reachability_block *const block = number != 0 ? &table->blocks[number - 1] : NULL;
  return block != NULL && holds(block, address) ? block : NULL;
}

/* The block that `address` points into. */
static rf_reachability_block *find(const rf_reachability *table, uintptr_t address) {
  if (address < table->low || address > table->high) {
    return NULL;
  }
  const rf_span *const span = rf_span_holding(address);
  if (span != NULL) {
    return find_in_span(table, span, address);
  }
  return find_among(table->blocks + table->first_paged, 0, table->count - table->first_paged, address);
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
  if (block->size < rf_pages_round(1) && !is_closed(block)) {
    look((const uintptr_t *)block->start, block->size / sizeof(uintptr_t), table);
  } else if (block->size < SPARSE) {
    rf_roots_copy_range(table->roots, block->start, block->start + block->size);
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

static bool any_is_unknown(const rf_reachability *table) {
  size_t i = 0;
  while (i < table->count && table->blocks[i].state != RF_REACHABILITY_UNKNOWN) {
    i++;
  }
  return i < table->count;
}

bool rf_reachability_mark(rf_reachability *table) {
  table->roots->visit = look;
  table->roots->context = table;
  table->found = RF_REACHABILITY_REACHABLE;
  table->todo = NULL;
  table->reading = NULL;
  read_inherited(table);
  if (!rf_roots_read(table->roots)) {
    return false;
  }
  follow(table);
  if (any_is_unknown(table)) {
    rf_kernel_roots_read(table->roots);
    rf_roots_read_rest(table->roots);
    follow(table);
  }
  tell_direct_from_indirect(table);
  return true;
}
