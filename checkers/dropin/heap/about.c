/* The part of a finding that tells of its block. */
#include "check.h"
#include "heap.h"
#include "threads.h"

#include <string.h>

#include "lib/core/compiler.h"

RF_COLD void rf_check_trace(uint32_t stack, uint16_t thread, rf_trace *out) {
  memset(out, 0, sizeof *out);
  out->thread = rf_thread_of_number(thread);
  out->depth = stack != 0 ? rf_stack_depot_get(rf_heap_options_now.depot, stack, out->frames, RF_TRACE_DEPTH) : 0;
}

RF_COLD void rf_check_about(rf_finding *f, const rf_view *v) {
  f->block = (uintptr_t)v->payload;
  f->size = v->size;
  f->blocks = 1;
  f->freed = rf_view_is_freed(v);
  f->offset = (ptrdiff_t)(f->address - f->block);
  rf_check_trace(v->slot->allocated, v->slot->allocated_by, &f->allocated);
  if (f->freed) {
    rf_check_trace(v->slot->released, v->slot->released_by, &f->released);
  }
}
