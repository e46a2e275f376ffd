/* A reader for the serial form of findings (report_serial.h) in a console's output: with other text between and before
 * the lines; with lines lost, damaged, repeated, or of several records in turn; and with restarts of the target.
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
  /* Called for each record when its last line has arrived, or when it is clear that it will not. */
  void (*finding)(void *context, rf_record *record);
  void (*text)(void *context, const char *line, size_t length); /* a JSON line, always whole */
  void *context;
  rf_serial_open *open; /* records whose last line has not arrived */
  uint32_t last;        /* number of the last finding; 0: none */
  uint32_t finished;    /* checksum of the last line that ended a record; 0 once other text has come */
  size_t lines;         /* read */
  size_t damaged;       /* lines with a wrong checksum */
  size_t incomplete;    /* records with lines missing */
  size_t missing;       /* findings of which no line arrived, by their numbers */
} rf_serial;

/* True where the line has the mark. */
bool rf_serial_is(const char *line, size_t length);

/* Reads a line of the capture; true where it has the mark. One without is skipped, but ends what may be repeated: a
 * target that begins anew says so, and sends its first finding, of one line, as it did before. */
bool rf_serial_line(rf_serial *s, const char *line, size_t length);

/* The capture is at its end: hands out the open records. */
void rf_serial_end(rf_serial *s);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_SERIAL_H */
