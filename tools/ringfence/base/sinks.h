/* Sinks (ringfence/sink.h) that write to files and to memory. */
#ifndef RINGFENCE_TOOLS_BASE_SINKS_H
#define RINGFENCE_TOOLS_BASE_SINKS_H

#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/base/clean_sink.h"

#include <ringfence/sink.h>
#include <stdio.h>

/* Errors are left to rf_file_error. */
rf_sink rf_file_sink(FILE *file);

/* Writes as a file sink does. */
void rf_file_put(FILE *file, const char *text, size_t length);

/* The errno with which a write to the file failed, which it may take until it is closed to meet; 0: none has. */
int rf_file_error(FILE *file);

/* Drops all text. */
rf_sink rf_null_sink(void);

/* A number with a character before it, as keys have parts. */
static inline void rf_sink_part(const rf_sink *sink, char before, uint64_t value) {
  rf_sink_char(sink, before);
  rf_sink_uint(sink, value);
}

/* As printf, by a clean sink. */
void rf_print_clean(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Text of any length. */
typedef struct rf_text_sink {
  rf_sink sink;
  rf_bump_arena *arena;
  char *text;
  size_t length;
  size_t room;
} rf_text_sink;

/* Makes `t` a sink into the arena; `t` must stay where it is. */
void rf_text_sink_init(rf_text_sink *t, rf_bump_arena *arena);

/* Makes the text empty and keeps its memory. */
void rf_text_sink_clear(rf_text_sink *t);

#endif
