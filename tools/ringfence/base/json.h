/* A reader for JSON (RFC 8259). Numbers stay text, because addresses do not fit in a double. */
#ifndef RINGFENCE_TOOLS_BASE_JSON_H
#define RINGFENCE_TOOLS_BASE_JSON_H

#include "tools/ringfence/base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_json_type {
  RF_JSON_NULL,
  RF_JSON_BOOL,
  RF_JSON_NUMBER,
  RF_JSON_STRING,
  RF_JSON_ARRAY,
  RF_JSON_OBJECT
} rf_json_type;

typedef struct rf_json {
  rf_json_type type;
  bool truth;                  /* of a bool */
  const char *text;            /* of a string (NUL-terminated UTF-8) or a number (as written) */
  const char *name;            /* of a member of an object, else NULL */
  const struct rf_json *first; /* of an array or object: its members, chained by `next` */
  const struct rf_json *next;
} rf_json;

/* Reads the value in `text`, `length` bytes. Returns NULL where that is not one JSON value, or nested more than 64
 * deep. */
const rf_json *rf_json_parse(rf_bump_arena *arena, const char *text, size_t length);

/* The member `name` of an object; NULL where there is none, and where `object` is NULL or something else. */
const rf_json *rf_json_member(const rf_json *object, const char *name);

/* The first element of the member `name`, a list; NULL where that is empty, missing or no list. */
const rf_json *rf_json_list(const rf_json *object, const char *name);

/* The number of elements of a list from `first` on; 0 for NULL. */
uint64_t rf_json_length(const rf_json *first);

/* The member `name` of `object` as a string, number or bool; `fallback` where it is absent or of another type. A
 * string that holds a number ("0x7f…", "12") counts as one. */
const char *rf_json_text(const rf_json *object, const char *name, const char *fallback);
uint64_t rf_json_unsigned(const rf_json *object, const char *name, uint64_t fallback);
int64_t rf_json_signed(const rf_json *object, const char *name, int64_t fallback);
bool rf_json_bool(const rf_json *object, const char *name, bool fallback);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_BASE_JSON_H */
