/* Writes the requests of a trace to a file of the format that read.h reads: without call sites, threads and times. */
#ifndef RINGFENCE_TOOLS_TRACE_WRITE_H
#define RINGFENCE_TOOLS_TRACE_WRITE_H

#include "tools/trace/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* False, with errno set, where the file cannot be written. Ends the program where memory is short. */
bool trace_write(const trace *t, const char *path);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_WRITE_H */
