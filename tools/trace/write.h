/* Writes the requests of a trace in the format that read.h reads: without call sites, threads and times. */
#ifndef RINGFENCE_TOOLS_TRACE_WRITE_H
#define RINGFENCE_TOOLS_TRACE_WRITE_H

#include "tools/trace/trace.h"

#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Ends the program where memory is short. */
void trace_write(const trace *t, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_WRITE_H */
