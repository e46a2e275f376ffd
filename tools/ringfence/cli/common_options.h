/* Options and inputs that `check` and `report` share. */
#ifndef RINGFENCE_TOOLS_CLI_COMMON_OPTIONS_H
#define RINGFENCE_TOOLS_CLI_COMMON_OPTIONS_H

#include "tools/ringfence/render/colour.h"
#include "tools/ringfence/render/output.h"

#include <stdbool.h>

typedef struct rf_common_options {
  rf_output_format format;
  bool format_given;
  rf_colour_when colour;
  rf_outputs outputs; /* --output and its like */
  const char **suppressions;
  size_t suppressions_count;
  const char *skip_frames;    /* a file of rules; NULL: none */
  const char *baseline;       /* NULL: none */
  const char *write_baseline; /* NULL: none */
  bool quiet;
  bool verbose;
  bool help;
} rf_common_options;

/* Each sets or adds what its option says. False after a message. */
bool rf_common_options_format(rf_common_options *o, const char *name);
bool rf_common_options_colour(rf_common_options *o, const char *name);
void rf_common_options_suppressions(rf_common_options *o, rf_bump_arena *arena, const char *path);

/* Sets *out to the file `path` that the option `name` takes. False after a message where it names no file; `reason`
 * says why standard output is not one. */
bool rf_common_options_file(const char **out, const char *name, const char *path, const char *reason);

/* Reads the suppressions, the frames to skip and the baseline into `out`. False after a message. */
bool rf_common_options_read(const rf_common_options *o, rf_bump_arena *arena, rf_document_options *out);

/* False after a message where `path`, which is NULL where no image is named, is no program whose addresses can be
 * named. */
bool rf_common_options_image(const char *path);

/* The folder that the command runs in; NULL where the system does not say. */
const char *rf_current_folder(rf_bump_arena *arena);

#endif
