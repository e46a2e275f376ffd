/* Shared by the commands that replay traces. */
#ifndef RINGFENCE_TOOLS_CLI_TRACE_OPTIONS_H
#define RINGFENCE_TOOLS_CLI_TRACE_OPTIONS_H

#include "tools/ringfence/base/arena.h"
#include "tools/trace/subjects.h"

#include <stdbool.h>
#include <stddef.h>

/* Allocators as options name them. */
typedef struct rf_subject_list {
  const subject **items;
  size_t count;
} rf_subject_list;

/* Reads the argument of the option `name`: digits, and K, M or G. False after a message. */
bool rf_trace_option_size(const char *name, const char *text, size_t *out);

/* Sets *out to the file that the option `name` takes. False after a message where that is standard output's "-". */
bool rf_trace_option_file(const char *name, const char *path, const char **out);

/* The row of --limit, and its default in seconds. */
#define RF_TRACE_LIMIT 10.0
#define RF_TRACE_LIMIT_ROW                                                                                             \
  "limit", '\0', "SECONDS",                                                                                            \
      "processor time for one replay (default 10; 0: none); an allocator that needs more is\ntold as too slow", NULL

/* Reads the argument of --limit. False after a message. */
bool rf_trace_option_limit(const char *text, double *out);

/* Adds what --allocator names: an allocator, one with pools, or "all". False after a message that lists them. */
bool rf_trace_option_allocator(rf_subject_list *list, rf_bump_arena *memory, const char *text);

/* "512 bytes", "10.0 KiB". */
const char *rf_trace_bytes(rf_bump_arena *memory, size_t bytes);

#endif /* RINGFENCE_TOOLS_CLI_TRACE_OPTIONS_H */
