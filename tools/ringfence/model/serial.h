/* A reader for the serial form of findings (report_serial.h), out of what a console showed: other text between and before
 * the lines, lines lost, garbled, repeated, of several records in turn, of a target that started anew.
 */
#ifndef RINGFENCE_TOOLS_MODEL_SERIAL_H
#define RINGFENCE_TOOLS_MODEL_SERIAL_H

#include "tools/ringfence/model/record.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_serial_open rf_serial_open;

typedef struct rf_serial {
  rf_bump_arena *arena;
  /* Called for each record when its last line has come, or when it is clear that this will not. */
  void (*finding)(void *context, rf_record *record);
  void (*text)(void *context, const char *line, size_t length); /* a JSON line, never with a hole in it */
  void *context;
  rf_serial_open *open; /* records whose last line has not come */
  uint32_t last;        /* number of the finding that came last; 0: none */
  uint32_t finished;    /* checksum of the line that ended a record last */
  size_t lines;         /* read */
  size_t damaged;       /* lines that are not as they were sent */
  size_t incomplete;    /* records with lines missing */
  size_t missing;       /* findings of which nothing came, by their numbers */
} rf_serial;

/* True where the mark is in the line. */
bool rf_serial_is(const char *line, size_t length);

/* Reads a line of the capture; one without the mark is passed over. */
void rf_serial_line(rf_serial *s, const char *line, size_t length);

/* The capture is at its end: hands out what is open. */
void rf_serial_end(rf_serial *s);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_SERIAL_H */
