/* A finding as the library wrote it (docs/checkers/findings.md), read back. */
#ifndef RINGFENCE_TOOL_RECORD_H
#define RINGFENCE_TOOL_RECORD_H

#include "tools/ringfence/frame.h"
#include "tools/ringfence/json.h"
#include "tools/ringfence/stash.h"

#include <ringfence/finding.h>
#include <ringfence/frame_name.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The return addresses of one trace of a finding, with what is known of each. */
typedef struct rf_stack {
  rf_frame *frames;
  unsigned count; /* at most RF_TRACE_DEPTH */
} rf_stack;

typedef struct rf_record {
  rf_finding finding; /* its strings and sites live in the stash; the traces' frames are those of the stacks */
  rf_stack found;
  rf_stack allocated;
  rf_stack released;
  unsigned times;        /* how often it was found, once it is merged; 1 before */
  unsigned processes;    /* in how many processes */
  const char *directory; /* files in it are named without it; NULL: by their whole path */
} rf_record;

/* Makes a record of the object `line`; NULL where that is no finding, or one of a kind that is not known here. */
rf_record *rf_record_read(rf_stash *stash, const rf_json *line);

/* Takes out what tells a reader nothing: frames of the library itself (the file `library`) on top, and, unless
 * `whole`, what called main or started the thread. */
void rf_record_trim(rf_record *record, const char *library, bool whole);

/* Names the addresses of `record`, which must outlive the namer, from what rf_symbolize found. */
rf_namer rf_record_namer(rf_record *record);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_RECORD_H */
