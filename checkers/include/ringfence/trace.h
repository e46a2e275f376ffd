/* rf_tracer: records every request to an allocator, so that a leak or a fragmentation that showed after hours can be
 * replayed in seconds (`ringfence replay`, docs/traces.md).
 *
 *     static size_t memory[2048];
 *     rf_tracer tracer;
 *     rf_tracer_init(&tracer, &heap.base, &(rf_tracer_options){to_the_file, memory, sizeof memory});
 *     rf_allocator *a = &tracer.base;
 *
 * A decorator that changes nothing: blocks, sizes and answers are those of the allocator below. It records kind, size,
 * alignment, block, call site, thread and time of each request, but for refused frees.
 *
 * Complexity: O(1) per request beyond the inner allocator's, and a call of the sink for each chunk. Memory: none in the
 * blocks; RF_TRACE_SLOT bytes per live block of what the caller gives (trace_writer.h). A block that does not fit is
 * left out of the trace and counted in it.
 * Threads and interrupts: not synchronised; put rf_lock outside.
 * Returns NULL iff the inner allocator does.
 */
#ifndef RINGFENCE_TRACE_H
#define RINGFENCE_TRACE_H

#include <ringfence/allocator.h>
#include <ringfence/trace_writer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_tracer_options {
  rf_sink sink; /* takes bytes; must not call the allocator that is traced */
  void *memory; /* for the tables and the buffer, aligned to size_t, the caller's */
  size_t size;  /* at least RF_TRACE_MEMORY_MIN */
} rf_tracer_options;

typedef struct rf_tracer {
  rf_allocator base;
  rf_allocator *inner;
  rf_trace_writer writer;
  bool ended;
} rf_tracer;

/* Wraps `inner`, which must outlive the tracer, and writes the header of the trace. RF_OK; RF_ERR_INVALID for NULL
 * arguments or too little memory. Blocks that are live already are not recorded: requests about them count as
 * missing.
 *
 * deinit writes the end of the trace; the allocator stays usable until then only. */
rf_status rf_tracer_init(rf_tracer *tracer, rf_allocator *inner, const rf_tracer_options *options);

/* Puts out what was recorded so far, before a reset or from time to time: what stays in the buffer is lost with the
 * power. */
void rf_tracer_flush(rf_tracer *tracer);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TRACE_H */
