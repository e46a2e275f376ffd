/* Formats of reports, and the files that they are written to. */
#ifndef RINGFENCE_TOOLS_RENDER_OUTPUT_H
#define RINGFENCE_TOOLS_RENDER_OUTPUT_H

#include "tools/ringfence/render/document.h"

#include <stdio.h>

typedef enum rf_output_format {
  RF_OUTPUT_TEXT,
  RF_OUTPUT_JSON,
  RF_OUTPUT_SARIF,
  RF_OUTPUT_JUNIT,
  RF_OUTPUT_HTML,
  RF_OUTPUT_GITHUB,
  RF_OUTPUT_PPROF,
  RF_OUTPUT_FORMATS
} rf_output_format;

/* True, and *out set, where `name` is one of text, json, sarif, junit, html, github, pprof. */
bool rf_output_format_from_name(const char *name, rf_output_format *out);

/* Files to write, each with its format. */
typedef struct rf_output {
  const char *path;
  rf_output_format format;
  bool settled; /* the name tells the format */
  bool fixed;   /* the format was given with this file */
} rf_output;

typedef struct rf_outputs {
  rf_output *list;
  size_t count;
} rf_outputs;

void rf_outputs_add(rf_outputs *outputs, rf_bump_arena *arena, const char *path);

/* The same in a format of its own. */
void rf_outputs_add_as(rf_outputs *outputs, rf_bump_arena *arena, const char *path, rf_output_format format);

/* The number of files whose format was not given with them. */
size_t rf_outputs_unfixed(const rf_outputs *outputs);

/* Sets the format of each file that has none: `format` where that was given, else by its name. False after a message
 * where the name does not tell. */
bool rf_outputs_settle(rf_outputs *outputs, bool given, rf_output_format format);

/* Empties all files but those of descriptors, so that one that cannot be written is known before a long run. False
 * after a message. */
bool rf_outputs_try(const rf_outputs *outputs);

/* rf_write_file; NULL after a message. */
FILE *rf_output_open(const char *path);

/* Closes it. False after a message where not all could be written. Standard streams stay open; `path` NULL is one. */
bool rf_output_close(FILE *file, const char *path);

/* Writes the document in a format. */
void rf_output_put(rf_bump_arena *arena, const rf_document *d, rf_output_format format, FILE *file);

/* Writes all files. False after messages where any could not be written. */
bool rf_outputs_write(const rf_outputs *outputs, rf_bump_arena *arena, const rf_document *d);

/* Under `bazel test`, writes ringfence-PID.jsonl, .sarif, .xml and .html to the test's outputs
 * (TEST_UNDECLARED_OUTPUTS_DIR), unless there is nothing to report. */
void rf_outputs_write_artifacts(rf_bump_arena *arena, const rf_document *d);

#endif /* RINGFENCE_TOOLS_RENDER_OUTPUT_H */
