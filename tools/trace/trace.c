#include "tools/trace/trace.h"

#include <stdio.h>
#include <stdlib.h>

void *trace_must(void *p) {
  if (p == NULL) {
    (void)fprintf(stderr, "out of memory\n");
    exit(1);
  }
  return p;
}

void trace_add(trace *t, const trace_op *op) {
  if (t->count == t->capacity) {
    t->capacity = t->capacity == 0 ? 1024 : 2 * t->capacity;
    t->ops = (trace_op *)trace_must(realloc(t->ops, t->capacity * sizeof *t->ops));
  }
  t->ops[t->count++] = *op;
}

void trace_free(trace *t) {
  for (size_t i = 0; i < t->site_count; i++) {
    free(t->sites[i].file);
    free(t->sites[i].function);
    free(t->sites[i].frames);
  }
  for (size_t i = 0; i < t->module_count; i++) {
    free(t->modules[i].path);
    free(t->modules[i].build_id);
  }
  free(t->sites);
  free(t->modules);
  free(t->ops);
  *t = (trace){0};
}

void trace_measure(trace *t) {
  size_t *const sizes = (size_t *)trace_must(calloc(t->ids + 1, sizeof *sizes));
  size_t live = 0;
  size_t blocks = 0;
  t->peak = 0;
  t->peak_blocks = 0;
  for (size_t i = 0; i < t->count; i++) {
    const trace_op *const op = &t->ops[i];
    live = live - sizes[op->id] + op->size;
    sizes[op->id] = op->size;
    blocks = op->kind == TRACE_ALLOC ? blocks + 1 : op->kind == TRACE_FREE ? blocks - 1 : blocks;
    t->peak = live > t->peak ? live : t->peak;
    t->peak_blocks = blocks > t->peak_blocks ? blocks : t->peak_blocks;
  }
  free(sizes);
}

void trace_cut(trace *t, size_t count) {
  if (count < t->count) {
    t->count = count;
    t->part = true;
    trace_measure(t);
  }
}

/* By block: the request that made it what it is after the first `count`; the number of requests for those that do not
 * live then. */
static void find_live(const trace *t, size_t count, size_t *made_by, size_t *order) {
  for (size_t id = 0; id < t->ids; id++) {
    made_by[id] = t->count;
    order[id] = t->count;
  }
  for (size_t i = 0; i < count; i++) {
    const trace_op *const op = &t->ops[i];
    made_by[op->id] = op->kind == TRACE_FREE ? t->count : i;
    order[op->id] = op->kind == TRACE_ALLOC ? i : order[op->id];
  }
}

void trace_keep_last(trace *t, size_t count) {
  if (count >= t->count) {
    return;
  }
  size_t const skipped = t->count - count;
  size_t *const made_by = (size_t *)trace_must(calloc(t->ids + 1, sizeof *made_by));
  size_t *const order = (size_t *)trace_must(calloc(t->ids + 1, sizeof *order));
  trace_op *const old = t->ops;
  size_t const all = t->count;
  find_live(t, skipped, made_by, order);
  t->ops = NULL;
  t->count = 0;
  t->capacity = 0;
  t->part = true;
  for (size_t i = 0; i < skipped; i++) {
    size_t const id = old[i].id;
    if (old[i].kind == TRACE_ALLOC && order[id] == i && made_by[id] != all) {
      trace_op op = old[made_by[id]];
      op.kind = TRACE_ALLOC;
      trace_add(t, &op);
    }
  }
  for (size_t i = skipped; i < all; i++) {
    trace_add(t, &old[i]);
  }
  free(old);
  free(order);
  free(made_by);
  trace_measure(t);
}
