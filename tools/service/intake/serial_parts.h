/* Parts of a serial source (serial_source.h): its records, and how far its file has been read. */
#ifndef RINGFENCE_TOOLS_SERVICE_SERIAL_PARTS_H
#define RINGFENCE_TOOLS_SERVICE_SERIAL_PARTS_H

#include "tools/service/intake/serial_source.h"

/* ---- serial_records.c ---- */

/* Sends a finding to the spool. `context` is the rf_serial_source, as for the next. */
void rf_serial_take_finding(void *context, rf_record *record);

/* Takes a JSON line in the serial form: of the device itself, or a finding. */
void rf_serial_take_text(void *context, const char *line, size_t length);

/* ---- serial_file.c ---- */

/* The next byte is the first of a file, or of one that was truncated. What its reader keeps is left: a line or a
 * finding may go on there. */
void rf_serial_file_begin(rf_serial_source *s, uint64_t generation);

/* The same for a file that was opened now: it may be one that was read before, at least so far. */
void rf_serial_file_recall(rf_serial_source *s);

/* These bytes were read. */
void rf_serial_file_note(rf_serial_source *s, const char *bytes, size_t size);

/* True where the file does not have what was read last: it was truncated, and may be longer again. */
bool rf_serial_file_is_truncated(const rf_serial_source *s);

/* True where another file has its name, and something in it. */
bool rf_serial_file_is_replaced(const rf_serial_source *s);

#endif /* RINGFENCE_TOOLS_SERVICE_SERIAL_PARTS_H */
