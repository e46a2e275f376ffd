#include "tools/trace/write.h"

#include <ringfence/layout.h>
#include <ringfence/trace_writer.h>
#include <stdlib.h>

#define MEMORY ((size_t)1 << 20)

static void *more(void *context, size_t size) {
  (void)context;
  return calloc(1, size); /* given back when the program ends */
}

/* Any address will do, as long as each block has its own. */
static const void *address_of(size_t id) {
  return (const void *)(uintptr_t)((id + 1) * sizeof(size_t));
}

static void write_op(rf_trace_writer *w, const trace_op *op) {
  size_t const align = op->align != 0 ? op->align : RF_ALIGN_DEFAULT;
  const void *const address = address_of(op->id);
  size_t block;
  if (op->kind == TRACE_ALLOC) {
    rf_trace_writer_alloc(w, address, op->size, align, NULL, 0);
  } else if (op->kind == TRACE_FREE) {
    rf_trace_writer_free(w, address, NULL, 0);
  } else if (rf_trace_writer_take(w, address, &block)) {
    rf_trace_writer_resized(w, block, address, op->size, align, false, NULL, 0);
  }
}

void trace_write(const trace *t, const rf_sink *sink) {
  rf_trace_writer writer;
  void *const memory = trace_must(malloc(MEMORY));
  rf_trace_writer_options const options = {.sink = *sink, .memory = memory, .size = MEMORY, .more = more};
  (void)rf_trace_writer_init(&writer, &options);
  for (size_t i = 0; i < t->count; i++) {
    write_op(&writer, &t->ops[i]);
  }
  rf_trace_writer_end(&writer);
  free(memory);
}
