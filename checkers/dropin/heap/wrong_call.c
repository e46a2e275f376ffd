/* Calls that are wrong: frees of what is no live block, and by another family or size. */
#include "check.h"

#include <ringfence/block.h>
#include <ringfence/fault.h>
#include <ringfence/sink.h>

#include "checkers/os/host.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/shared/family.h"
#include "checkers/shared/filled_pointer.h"
#include "checkers/shared/wrapper.h"

#include "lib/core/compiler.h"

static void report(const rf_finding *f) {
  rf_finding copy = *f;
  rf_report(rf_heap_options_now.reporter, &copy);
}

typedef struct mismatch {
  const rf_view *view;
  rf_bug bug;
  rf_family family;
  size_t size;
  const rf_origin *origin;
} mismatch;

RF_COLD static void report_mismatch(void *argument) {
  const mismatch *const m = argument;
  rf_finding f;
  rf_finding_begin(&f, m->bug, RF_ACCESS_FREE, m->view->payload, "malloc", "guard", m->origin);
  rf_check_about(&f, m->view);
  rf_finding_families(&f, rf_slot_family(m->view->slot), m->family, m->size);
  report(&f);
}

RF_COLD void rf_check_mismatch(const rf_view *v, rf_bug bug, rf_family family, size_t size, const rf_origin *origin) {
  mismatch m = {v, bug, family, size, origin};
  rf_on_reserve_stack(report_mismatch, &m);
}

typedef struct misalignment {
  const rf_view *view;
  size_t align;
  const rf_origin *origin;
} misalignment;

RF_COLD static void report_misalignment(void *argument) {
  const misalignment *const m = argument;
  rf_family const family = rf_slot_family(m->view->slot);
  rf_finding f;
  char text[RF_ALIGNMENTS_TEXT];
  rf_finding_begin(&f, RF_BUG_DEALLOC_MISMATCH, RF_ACCESS_FREE, m->view->payload, "malloc", "guard", m->origin);
  rf_check_about(&f, m->view);
  rf_finding_families(&f, family, family, SIZE_MAX);
  f.detail = rf_alignments_text(text, rf_slot_align(m->view->slot), m->align);
  report(&f);
}

RF_COLD void rf_check_alignment(const rf_view *v, size_t align, const rf_origin *origin) {
  misalignment m = {v, align, origin};
  rf_on_reserve_stack(report_misalignment, &m);
}

static void report_double_free(const rf_view *v, const rf_origin *origin) {
  rf_finding f;
  (void)rf_check_report(v, origin); /* what was written after the first free is a bug of its own */
  rf_finding_begin(&f, RF_BUG_DOUBLE_FREE, RF_ACCESS_FREE, v->payload, "malloc", "guard", origin);
  rf_check_about(&f, v);
  f.freed = true;
  report(&f);
}

static void report_interior(const rf_view *v, const void *ptr, bool between, const rf_origin *origin) {
  rf_finding f;
  rf_finding_begin(&f, RF_BUG_BAD_FREE, RF_ACCESS_FREE, ptr, "malloc", "guard", origin);
  rf_check_about(&f, v);
  bool const inside = f.offset >= 0 && (size_t)f.offset < f.size;
  f.cwe = inside ? 761 : f.cwe;
  f.detail = inside    ? "the pointer is inside a block"
             : between ? "the pointer is beside a block, and 16 bytes before the next one"
                       : "the pointer is beside a block";
  report(&f);
}

/* ---- The block that is meant ---- */

#define HEADER ((size_t)16) /* before a block, which is freed as if the program had put a header of its own there */

/* The block of the slot behind the one that `address` lies in, or behind the front of its span. */
static bool block_above(uintptr_t address, rf_view *out) {
  rf_span *const span = rf_span_holding(address);
  if (span == NULL) {
    return false;
  }
  unsigned const index = address < span->base ? 0 : rf_span_index(span, address) + 1;
  if (index >= span->count || rf_slot_state_of(&span->slots[index]) == RF_SLOT_NEW) {
    return false;
  }
  *out = rf_view_of(span, index);
  return true;
}

/* True where `address`, behind the payload of `low`, is meant for the block in the next slot: it is nearer to that one,
 * or where a header of it would be. The end of `low` is its own, unless it alone was freed; `between` says then that it
 * may be the place of the header as well. */
static bool is_meant_for_next(const rf_view *low, const rf_view *next, uintptr_t address, bool *between) {
  size_t const behind = address - (uintptr_t)low->payload - low->size;
  size_t const before = (uintptr_t)next->payload - address;
  bool const is_end = behind == 0 && (!rf_view_is_freed(low) || rf_view_is_freed(next));
  *between = is_end && before == HEADER;
  return before <= behind || (before == HEADER && !is_end);
}

/* The block, live or freed, that a free of `address` is about: it lies in it, or in the guard bytes beside it. */
static bool find_meant(uintptr_t address, rf_view *out, bool *between) {
  rf_view next;
  *between = false;
  if (!rf_view_at(address, out)) {
    return block_above(address, out) && (uintptr_t)out->payload - address <= RF_SPAN_FRONT;
  }
  uintptr_t const start = (uintptr_t)out->payload;
  bool const behind = address > start && address - start >= out->size;
  if (behind && block_above(address, &next) && is_meant_for_next(out, &next, address, between)) {
    *out = next;
  }
  return true;
}

/* ---- No block ---- */

static const char *what_is_at(const void *ptr) {
  const char *const source = rf_filled_pointer_source(ptr);
  if (source != NULL) {
    return source;
  }
  return rf_span_holding((uintptr_t)ptr) != NULL ? "no block is there, or any more" : rf_host_describe_address(ptr);
}

/* Two threads may free one large block at once: the second one then finds no block at its address any more. */
static void report_no_block(const void *ptr, const rf_origin *origin) {
  rf_finding f;
  if (rf_heap_options_now.left != NULL && rf_heap_options_now.left(ptr, origin)) {
    return;
  }
  rf_bug const bug = rf_filled_pointer_is_stale(ptr) ? RF_BUG_USE_AFTER_FREE : RF_BUG_BAD_FREE;
  rf_finding_begin(&f, bug, RF_ACCESS_FREE, ptr, "malloc", "guard", origin);
  f.detail = what_is_at(ptr);
  report(&f);
}

/* No checker is told: the allocator's own refusal. */
static void refuse(const void *ptr, const rf_origin *origin) {
  rf_view v;
  bool const freed = rf_view_at((uintptr_t)ptr, &v) && v.payload == ptr;
  rf_status const status = freed ? RF_ERR_NOT_ALLOCATED : RF_ERR_BAD_POINTER;
  if (rf_heap_options_now.refused != NULL) {
    rf_heap_options_now.refused(status, ptr, origin);
  }
}

typedef struct bad_free {
  const void *ptr;
  const rf_origin *origin;
} bad_free;

RF_COLD static void report_bad_free(void *argument) {
  const bad_free *const b = argument;
  rf_view v;
  bool between;
  if (!find_meant((uintptr_t)b->ptr, &v, &between)) {
    report_no_block(b->ptr, b->origin);
  } else if (v.payload == b->ptr) {
    report_double_free(&v, b->origin);
  } else {
    report_interior(&v, b->ptr, between, b->origin);
  }
}

RF_COLD void rf_check_bad_free(const void *ptr, const rf_origin *origin) {
  bad_free b = {ptr, origin};
  if (rf_heap_options_now.checked) {
    rf_on_reserve_stack(report_bad_free, &b);
  } else {
    refuse(ptr, origin);
  }
}
