/* Colours for text on a terminal: lines that begin a finding, end it, or sum up. */
#ifndef RINGFENCE_TOOLS_RENDER_COLOUR_H
#define RINGFENCE_TOOLS_RENDER_COLOUR_H

#include <ringfence/sink.h>
#include <stdbool.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_colour_when { RF_COLOUR_AUTO, RF_COLOUR_ALWAYS, RF_COLOUR_NEVER } rf_colour_when;

/* True, and *out set, where `name` is auto, always or never. */
bool rf_colour_from_name(const char *name, rf_colour_when *out);

/* Whether text to `file` is to have colours. Auto: where it is a terminal that has them, unless NO_COLOR is set and not
 * empty (no-color.org). */
bool rf_colour_wanted(rf_colour_when when, FILE *file);

/* Colours lines on their way to `file`. */
typedef struct rf_colour_sink {
  rf_sink sink;
  FILE *file;
  bool coloured;  /* else it passes text on as it is */
  size_t length;  /* of `line` */
  char line[256]; /* the beginning of a line that has not ended */
  bool open;      /* the beginning was written, in a colour */
} rf_colour_sink;

/* Makes `c` a sink to `file`; `c` must stay where it is. */
void rf_colour_sink_init(rf_colour_sink *c, FILE *file, bool coloured);

/* Writes what is left of a last line that has no end. */
void rf_colour_sink_end(rf_colour_sink *c);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RENDER_COLOUR_H */
