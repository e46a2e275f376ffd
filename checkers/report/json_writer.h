/* Writes JSON to a sink and keeps track of commas and, where wanted, of indents. Allocates nothing. Internal to
 * checkers/ and tools/. */
#ifndef RINGFENCE_JSON_WRITER_H
#define RINGFENCE_JSON_WRITER_H

#include <ringfence/sink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts as {.sink = sink}; with `indented`, each member has a line of its own. */
typedef struct rf_json_writer {
  const rf_sink *sink;
  bool indented;
  bool more; /* a comma comes before the next member or element */
  unsigned depth;
} rf_json_writer;

/* Begin an object or an array, and end it. `name` is that of the member, NULL in an array and at the top. */
void rf_json_begin_object(rf_json_writer *w, const char *name);
void rf_json_end_object(rf_json_writer *w);
void rf_json_begin_array(rf_json_writer *w, const char *name);
void rf_json_end_array(rf_json_writer *w);

/* One member or, with `name` NULL, one element. A text that is NULL is left out with its name. */
void rf_json_write_text(rf_json_writer *w, const char *name, const char *value);
void rf_json_write_unsigned(rf_json_writer *w, const char *name, uint64_t value);
void rf_json_write_signed(rf_json_writer *w, const char *name, int64_t value);
void rf_json_write_bool(rf_json_writer *w, const char *name, bool value);

/* A string "0x…": a JSON number cannot hold 64 bits everywhere. */
void rf_json_write_address(rf_json_writer *w, const char *name, uint64_t value);

/* A string of two hexadecimal digits for each byte. */
void rf_json_write_bytes(rf_json_writer *w, const char *name, const unsigned char *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_JSON_WRITER_H */
