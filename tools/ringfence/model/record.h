/* A finding, read back from the form in which the library wrote it (docs/checkers/findings.md). */
#ifndef RINGFENCE_TOOLS_MODEL_RECORD_H
#define RINGFENCE_TOOLS_MODEL_RECORD_H

#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/base/json.h"
#include "tools/ringfence/model/frame.h"

#include <ringfence/finding.h>
#include <ringfence/frames.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The return addresses of one trace of a finding, with their names. */
typedef struct rf_stack {
  rf_frame *frames;
  unsigned count; /* at most RF_TRACE_DEPTH */
  uint64_t site;  /* address of the trace's rf_site in the program, where it came without texts; 0: none */
} rf_stack;

typedef struct rf_record {
  rf_finding finding; /* its strings and sites live in the arena; the traces' frames are those of the stacks */
  rf_stack found;
  rf_stack allocated;
  rf_stack released;
  unsigned times;        /* how often it was found: 1, or as the line says, until it is merged */
  unsigned processes;    /* in how many processes */
  const char *directory; /* files in it are named relative to it; NULL: by whole paths */
  const char *program;   /* of the process, or NULL */
  const char *run;       /* of a hunt, in which it was found first: "2, page, align=exact"; NULL: no hunt */
  unsigned run_number;   /* the same; 0: no hunt */
  const char *input;     /* the file that it was read from; NULL for a folder of `check` */
  size_t lost;           /* lines of it that a serial line lost, at least */
  /* Set by rf_fingerprint_all. */
  const char *fingerprint;
  const char *earlier[3]; /* the same by versions 1 and 2 of the identity; the first: before there was one */
  unsigned ordinal;       /* 1 for the first of several findings with this fingerprint */
  bool known;             /* it is in the baseline */
  uint64_t known_blocks;  /* of a leak that has grown: its blocks in the baseline; else 0 */
  /* The rule ("leak:foo") that hides it, or NULL. */
  const char *suppressed_by;
} rf_record;

/* The class of a byte that reports mark with `letter`; RF_BYTE_OTHER for an unknown one. */
unsigned char rf_byte_class_of(char letter);

/* Makes a record of the object `line`; NULL where that is no finding, or one of an unknown kind. */
rf_record *rf_record_read(rf_bump_arena *arena, const rf_json *line);

/* A record that stands for a place: its `allocated` is the trace `object`. */
rf_record *rf_record_origin(rf_bump_arena *arena, const rf_json *object);

/* Removes frames of the library itself (the file `library`, or any libringfence.so) from the top and, unless `whole`,
 * the callers of main or of the thread's function. */
void rf_record_trim(rf_record *record, const char *library, bool whole);

/* The frame of this number, from 0 on, of its stacks one behind the other; NULL behind the last. */
rf_frame *rf_record_frame(const rf_record *record, unsigned number);

/* Names the addresses of `record`, which must outlive the symbolizer, as rf_symbolize found them. */
rf_symbolizer rf_record_symbolizer(rf_record *record);

/* `path` relative to `directory` where it lies in it, else as it is; either may be NULL. */
const char *rf_path_seen_from(const char *directory, const char *path);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_RECORD_H */
