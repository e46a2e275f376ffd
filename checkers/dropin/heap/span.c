#define _GNU_SOURCE
#include "span.h"

#include "checkers/dropin/os/pages.h"
#include "checkers/os/forbidden_calls.h"
#include "heap.h"

#include <string.h>
#include <sys/mman.h>

rf_span_leaf *rf_span_root[RF_SPAN_MAP_ENTRIES];

/* ---- The page map ---- */

static uintptr_t lowest = UINTPTR_MAX; /* unit ever entered; accessed atomically, as is the next */
static uintptr_t highest;

/* NOLINTNEXTLINE(readability-non-const-parameter): it does not see that the builtin writes */
static void lower_to(uintptr_t *limit, uintptr_t value) {
  uintptr_t now = __atomic_load_n(limit, __ATOMIC_RELAXED);
  while (value < now && !__atomic_compare_exchange_n(limit, &now, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it does not see that the builtin writes */
static void raise_to(uintptr_t *limit, uintptr_t value) {
  uintptr_t now = __atomic_load_n(limit, __ATOMIC_RELAXED);
  while (value > now && !__atomic_compare_exchange_n(limit, &now, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

static rf_span_leaf *leaf_for(uintptr_t unit) {
  rf_span_leaf **const place = &rf_span_root[unit >> RF_SPAN_MAP_BITS];
  rf_span_leaf *leaf = __atomic_load_n(place, __ATOMIC_ACQUIRE);
  if (leaf == NULL) {
    rf_span_leaf *const made = rf_record_table(sizeof *made);
    if (made != NULL && __atomic_compare_exchange_n(place, &leaf, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      leaf = made;
    }
  }
  return leaf;
}

bool rf_span_make_room(uintptr_t start, size_t bytes) {
  uintptr_t const last = (start + bytes - 1) >> RF_UNIT_SHIFT;
  bool done = last >> RF_SPAN_MAP_BITS < RF_SPAN_MAP_ENTRIES;
  for (uintptr_t unit = start >> RF_UNIT_SHIFT; unit <= last && done; unit++) {
    done = leaf_for(unit) != NULL;
  }
  return done;
}

bool rf_span_enter(uintptr_t start, size_t bytes, rf_span *span) {
  uintptr_t const first = start >> RF_UNIT_SHIFT;
  uintptr_t const last = (start + bytes - 1) >> RF_UNIT_SHIFT;
  if (!rf_span_make_room(start, bytes)) {
    return false;
  }
  lower_to(&lowest, first);
  raise_to(&highest, last);
  for (uintptr_t unit = first; unit <= last; unit++) {
    rf_span_leaf *const leaf = leaf_for(unit);
    uintptr_t const index = unit & (RF_SPAN_MAP_ENTRIES - 1);
    raise_to(&leaf->begin, RF_SPAN_MAP_ENTRIES - index);
    raise_to(&leaf->end, index + 1);
    __atomic_store_n(&leaf->entries[index], span, __ATOMIC_RELEASE);
  }
  return true;
}

rf_span *rf_span_above(uintptr_t address) {
  uintptr_t unit = address >> RF_UNIT_SHIFT;
  unit = unit < lowest ? lowest : unit;
  for (uintptr_t base; unit <= highest; unit = base + RF_SPAN_MAP_ENTRIES) {
    const rf_span_leaf *const leaf = rf_span_root[unit >> RF_SPAN_MAP_BITS];
    base = unit & ~(uintptr_t)(RF_SPAN_MAP_ENTRIES - 1);
    uintptr_t const begin = leaf != NULL ? RF_SPAN_MAP_ENTRIES - leaf->begin : 0;
    uintptr_t const end = leaf != NULL ? leaf->end : 0;
    for (uintptr_t i = unit - base < begin ? begin : unit - base; i < end; i++) {
      rf_span *const span = leaf->entries[i];
      if (span != NULL && rf_span_start(span) + span->bytes > address) {
        return span;
      }
    }
  }
  return NULL;
}

/* ---- Descriptions: carved from mappings with a closed page at either end ---- */

#define CHUNK ((size_t)1 << 20)
#define CHUNK_LEAST ((size_t)128 * 1024)
#define LINE ((size_t)64)
#define PAGE ((size_t)4096)

static rf_meta_chunk *chunk_of(unsigned heap) {
  return &rf_heaps[heap].meta;
}

static size_t slots_of(unsigned class_number) {
  return class_number == RF_CLASSES ? 1 : rf_size_classes[class_number].count;
}

static size_t description_size(unsigned class_number) {
  size_t const slots = slots_of(class_number);
  size_t const small = class_number == RF_CLASSES ? 0 : slots * sizeof(uint16_t);
  return (sizeof(rf_span) + (slots + 1) * sizeof(rf_slot) + small + LINE - 1) & ~(LINE - 1);
}

static void close_page(char *page) {
  if (!rf_is_forbidden(RF_CALL_MPROTECT)) {
    (void)mprotect(page, PAGE, PROT_NONE);
  }
}

static bool map_chunk(rf_meta_chunk *chunk, size_t least) {
  for (size_t size = CHUNK; size >= CHUNK_LEAST && size >= least + 2 * PAGE; size /= 2) {
    char *const memory = rf_record_table(size);
    if (memory != NULL) {
      close_page(memory);
      close_page(memory + size - PAGE);
      chunk->next = (uintptr_t)memory + PAGE;
      chunk->end = (uintptr_t)memory + size - PAGE;
      return true;
    }
  }
  return false;
}

uint32_t rf_span_numbers;

static rf_span *carve(unsigned heap, unsigned class_number) {
  rf_meta_chunk *const chunk = chunk_of(heap);
  size_t const size = description_size(class_number);
  if (chunk->end - chunk->next < size && !map_chunk(chunk, size)) {
    return NULL;
  }
  rf_span *const span = (rf_span *)chunk->next;
  span->number = __atomic_fetch_add(&rf_span_numbers, 1, __ATOMIC_RELAXED);
  chunk->next += size;
  return span;
}

rf_span *rf_span_describe(unsigned heap, unsigned class_number) {
  rf_span **const recycled = &chunk_of(heap)->recycled[class_number];
  rf_span *span = *recycled;
  if (span != NULL) {
    *recycled = span->next;
    size_t const used = class_number == RF_CLASSES ? 1 : span->carved;
    memset(span->slots, 0, used * sizeof(rf_slot));
    *span = (rf_span){.number = span->number};
  } else {
    span = carve(heap, class_number);
    if (span == NULL) {
      return NULL;
    }
  }
  span->slots = (rf_slot *)(span + 1);
  span->free = class_number == RF_CLASSES ? NULL : (uint16_t *)(span->slots + slots_of(class_number) + 1);
  span->heap = (uint16_t)heap;
  span->class_number = (uint16_t)class_number;
  return span;
}

void rf_span_forget(rf_span *span) {
  rf_span **const recycled = &chunk_of(span->heap)->recycled[span->class_number];
  span->next = *recycled;
  *recycled = span;
}
