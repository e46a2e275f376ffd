/* A finding as the library wrote it (docs/checkers/findings.md), read back. */
#ifndef RINGFENCE_TOOL_RECORD_H
#define RINGFENCE_TOOL_RECORD_H

#include "tools/ringfence/frame.h"
#include "tools/ringfence/json.h"
#include "tools/ringfence/stash.h"

#include <ringfence/finding.h>
#include <ringfence/frames.h>

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
  unsigned times;        /* how often it was found, once it is merged; 1 before, or what the line itself says */
  unsigned processes;    /* in how many processes */
  const char *directory; /* files in it are named without it; NULL: by their whole path */
  const char *program;   /* of the process; NULL where that was not said */
  const char *input;     /* the file that it was read from; NULL where that was a folder of `check` */
  /* Set by rf_fingerprint_all: the same in every run, and as lines move. */
  const char *fingerprint;
  unsigned ordinal; /* 1 for the first of several findings with this fingerprint */
  bool known;       /* the baseline has it */
  /* Set by rf_suppress: the rule ("leak:foo") that hides it; NULL for none. */
  const char *suppressed_by;
} rf_record;

/* Makes a record of the object `line`; NULL where that is no finding, or one of a kind that is not known here. */
rf_record *rf_record_read(rf_stash *stash, const rf_json *line);

/* A record that stands for a place: of the trace `object`, in `allocated`. */
rf_record *rf_record_origin(rf_stash *stash, const rf_json *object);

/* Takes out what tells a reader nothing: frames of the library itself (the file `library`, or any libringfence.so) on top,
 * and, unless `whole`, what called main or started the thread. */
void rf_record_trim(rf_record *record, const char *library, bool whole);

/* Names the addresses of `record`, which must outlive the namer, from what rf_symbolize found. */
rf_namer rf_record_namer(rf_record *record);

/* What `path` (NULL: NULL) is called by somebody who is in `directory` (NULL: nowhere). */
const char *rf_path_seen_from(const char *directory, const char *path);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_RECORD_H */
