/* The result of `ringfence tune` as a C header. */
#ifndef RINGFENCE_TOOLS_CLI_TUNE_HEADER_H
#define RINGFENCE_TOOLS_CLI_TUNE_HEADER_H

#include "tools/ringfence/base/arena.h"
#include "tools/trace/tune.h"

#include <ringfence/sink.h>

typedef struct rf_tune_header {
  const tune_set *set;
  const tune_result *result;
  const char *prefix;  /* of the names: letters, digits and _ */
  size_t compared;     /* bytes that the result is compared with; 0: none */
  const char *against; /* what these are */
} rf_tune_header;

/* Writes the header of a heap that has code (subject.init); `memory` is used for texts. */
void rf_tune_header_write(const rf_tune_header *header, const rf_sink *sink, rf_bump_arena *memory);

/* As `ringfence replay --allocator` takes it. */
const char *rf_tune_name(const tune_result *r, rf_bump_arena *memory);

#endif /* RINGFENCE_TOOLS_CLI_TUNE_HEADER_H */
