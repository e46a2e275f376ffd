/* Sinks (ringfence/sink.h) that write to files and to memory. */
#ifndef RINGFENCE_TOOLS_BASE_SINKS_H
#define RINGFENCE_TOOLS_BASE_SINKS_H

#include "tools/ringfence/base/arena.h"

#include <ringfence/sink.h>
#include <stdio.h>

/* Errors are left to ferror. */
rf_sink rf_file_sink(FILE *file);

/* Drops all text. */
rf_sink rf_null_sink(void);

/* Writes to `to`, which must outlive it, with "?" for control characters other than line feed and tab, those of C1 too:
 * names come from files that others wrote, and a terminal obeys them. A character must come in one piece. */
rf_sink rf_clean_sink(const rf_sink *to);

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
