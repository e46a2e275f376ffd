#include "tools/trace/demand.h"

#include <stdlib.h>

void demand_of(const trace *t, rf_pool_class classes[DEMAND_CLASSES]) {
  size_t live[DEMAND_CLASSES + 1] = {0};
  size_t peak[DEMAND_CLASSES + 1] = {0};
  size_t const count = t != NULL ? t->count : 0;
  unsigned char *const now = (unsigned char *)trace_must(malloc(t != NULL ? t->ids + 1 : 1));
  for (size_t i = 0; i < count; i++) {
    const trace_op *const op = &t->ops[i];
    if (op->kind != TRACE_ALLOC) {
      live[now[op->id]]--;
    }
    if (op->kind != TRACE_FREE) {
      unsigned const c = demand_class_of(op, DEMAND_CLASSES);
      now[op->id] = (unsigned char)c;
      live[c]++;
      peak[c] = live[c] > peak[c] ? live[c] : peak[c];
    }
  }
  free(now);
  for (unsigned c = 0; c < DEMAND_CLASSES; c++) {
    classes[c] = (rf_pool_class){(size_t)DEMAND_GRAIN * (c + 1), peak[c]};
  }
}
