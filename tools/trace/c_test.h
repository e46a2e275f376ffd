/* Writes the requests of a trace as a test in C. */
#ifndef RINGFENCE_TOOLS_TRACE_C_TEST_H
#define RINGFENCE_TOOLS_TRACE_C_TEST_H

#include "tools/trace/trace.h"

#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes a program that makes the requests on tlsf in an arena of `arena` bytes, and fails where one fails, a block
 * changes while it is live, or the heap is damaged. */
void trace_write_c_test(const trace *t, size_t arena, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_C_TEST_H */
