/* Writes JSON to a sink; it puts the commas. Allocates nothing. Internal to checkers/ and tools/. */
#ifndef RINGFENCE_JSON_WRITER_H
#define RINGFENCE_JSON_WRITER_H

#include <ringfence/sink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts as {.sink = …, .lines = …}. */
typedef struct rf_json_writer {
  const rf_sink *sink;
  unsigned lines; /* members and elements nested up to this deep begin on a line of their own */
  unsigned depth;
  bool more; /* a comma comes before the next member or element */
} rf_json_writer;

/* Opens the arrays and objects that `brackets` names, each as the first element of the one before: "{", "[{". `name`
 * is that of the member, NULL in an array and at the top. */
void rf_json_open(rf_json_writer *w, const char *name, const char *brackets);

/* Closes as many: "}", "}]". */
void rf_json_close(rf_json_writer *w, const char *brackets);

/* One member or, with `name` NULL, one element. A text that is NULL is left out with its name. */
void rf_json_put_text(rf_json_writer *w, const char *name, const char *value);
void rf_json_put_text_or_null(rf_json_writer *w, const char *name, const char *value); /* writes null for NULL */
void rf_json_put_unsigned(rf_json_writer *w, const char *name, uint64_t value);
void rf_json_put_number(rf_json_writer *w, const char *name, int64_t value);
void rf_json_put_bool(rf_json_writer *w, const char *name, bool value);
void rf_json_put_raw(rf_json_writer *w, const char *name, const char *json); /* a value that is JSON already */

/* A string "0x…": a JSON number cannot hold 64 bits everywhere. */
void rf_json_put_address(rf_json_writer *w, const char *name, uint64_t value);

/* A string of two hexadecimal digits for each byte. */
void rf_json_put_bytes(rf_json_writer *w, const char *name, const unsigned char *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_JSON_WRITER_H */
