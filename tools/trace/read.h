/* Reads a recorded trace (checkers/trace/trace_format.h) from a file. */
#ifndef RINGFENCE_TOOLS_TRACE_READ_H
#define RINGFENCE_TOOLS_TRACE_READ_H

#include "tools/trace/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TRACE_PROBLEM_BYTES 256

/* Reads the file at `path`. True: *out is a trace, for trace_free. False: `problem` (TRACE_PROBLEM_BYTES) says what is
 * wrong with the file and where, and *out is what comes before that, for trace_free as well. Ends the program where
 * memory is short. */
bool trace_read(trace *out, const char *path, char *problem);

/* The same of `size` bytes in memory. */
bool trace_parse(trace *out, const unsigned char *data, size_t size, char *problem);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_READ_H */
