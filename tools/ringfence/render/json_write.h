/* A writer for JSON: it puts the commas. */
#ifndef RINGFENCE_TOOLS_RENDER_JSON_WRITE_H
#define RINGFENCE_TOOLS_RENDER_JSON_WRITE_H

#include <ringfence/sink.h>
#include <stdbool.h>

/* Starts as {.sink = …, .lines = …}. */
typedef struct rf_json_writer {
  const rf_sink *sink;
  unsigned lines; /* elements nested up to this deep begin on a line of their own */
  unsigned depth;
  bool more; /* a comma comes before the next element */
} rf_json_writer;

/* Opens the arrays and objects that `brackets` names, each as the first element of the one before: "{", "[{". `name`
 * is that of the member, NULL in an array and at the top. */
void rf_json_open(rf_json_writer *w, const char *name, const char *brackets);

/* Closes as many: "}", "}]". */
void rf_json_close(rf_json_writer *w, const char *brackets);

/* One member or, with `name` NULL, element. A NULL value writes nothing. */
void rf_json_put_text(rf_json_writer *w, const char *name, const char *value);
void rf_json_put_text_or_null(rf_json_writer *w, const char *name, const char *value); /* writes null for NULL */
void rf_json_put_number(rf_json_writer *w, const char *name, int64_t value);
void rf_json_put_raw(rf_json_writer *w, const char *name, const char *json); /* a value that is JSON already */
void rf_json_put_bool(rf_json_writer *w, const char *name, bool value);

#endif
