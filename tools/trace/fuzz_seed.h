/* Writes the requests of a trace as an input of a fuzzer of //fuzz, one line of a seed file (docs/fuzzing.md). */
#ifndef RINGFENCE_TOOLS_TRACE_FUZZ_SEED_H
#define RINGFENCE_TOOLS_TRACE_FUZZ_SEED_H

#include "tools/trace/trace.h"

#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRACE_SEED_PROBLEM 160

/* Bytes of the largest arena that a fuzzer takes. */
#define TRACE_SEED_ARENA ((size_t)1 << 20)

/* Writes a line in base64: an arena of `arena` bytes, then the requests, as the fuzzer of the allocator reads them.
 * False with the reason in `problem`, and nothing written, where an input cannot hold them: fuzzers have bounds. */
bool trace_write_fuzz_seed(const trace *t, const char *allocator, size_t arena, const rf_sink *sink,
                           char problem[TRACE_SEED_PROBLEM]);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_FUZZ_SEED_H */
