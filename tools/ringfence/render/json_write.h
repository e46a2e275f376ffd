/* A writer for JSON that keeps track of commas and indents: for the documents that the command makes. */
#ifndef RINGFENCE_TOOLS_RENDER_JSON_WRITE_H
#define RINGFENCE_TOOLS_RENDER_JSON_WRITE_H

#include <ringfence/sink.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts as {sink, 0, false}. */
typedef struct rf_json_writer {
  const rf_sink *sink;
  unsigned depth;
  bool more; /* a comma comes before the next element */
} rf_json_writer;

/* Begin an object or an array, and end it. `name` is that of the member, NULL in an array and at the top. */
void rf_json_object(rf_json_writer *w, const char *name);
void rf_json_object_end(rf_json_writer *w);
void rf_json_array(rf_json_writer *w, const char *name);
void rf_json_array_end(rf_json_writer *w);

/* One member or, with `name` NULL, element. A NULL value writes nothing. */
void rf_json_put_text(rf_json_writer *w, const char *name, const char *value);
void rf_json_put_number(rf_json_writer *w, const char *name, int64_t value);
void rf_json_put_bool(rf_json_writer *w, const char *name, bool value);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RENDER_JSON_WRITE_H */
