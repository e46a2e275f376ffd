/* Values of options, as fields of rf_options and as text. Private to this folder. */
#ifndef RINGFENCE_CHECKED_OPTION_VALUES_H
#define RINGFENCE_CHECKED_OPTION_VALUES_H

#include <ringfence/options.h>
#include <ringfence/sink.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef enum rf_key_kind {
  RF_KEY_BOOL,
  RF_KEY_NUMBER,
  RF_KEY_SHARE,
  RF_KEY_SIZE,
  RF_KEY_CHOICE,
  RF_KEY_TEXT
} rf_key_kind;

/* A key, and where its value is. */
typedef struct rf_option_key {
  const char *name;
  const char *meaning;
  const char *choices; /* RF_KEY_CHOICE: the words for 0, 1, 2 …, each ended by a space; RF_KEY_TEXT: what it is */
  unsigned limit;      /* RF_KEY_NUMBER, RF_KEY_SHARE: the largest value */
  unsigned least;      /* the same: the smallest */
  rf_key_kind kind;
  size_t at;   /* of the field in rf_options */
  size_t size; /* of the field: an enumeration may be as small as a byte */
} rf_option_key;

/* Part of a text. */
typedef struct rf_slice {
  const char *at;
  size_t length;
} rf_slice;

static inline bool rf_slice_equals(rf_slice s, const char *word) {
  return s.length == strlen(word) && memcmp(s.at, word, s.length) == 0;
}

static inline void rf_slice_put(const rf_sink *sink, rf_slice s) {
  rf_sink_mem(sink, s.at, s.length);
}

/* Sets the field of `o`. False where `value` is none of its values; the field may have changed.
 * A text stays where `value` is. */
bool rf_option_set(rf_options *options, const rf_option_key *o, rf_slice value);

/* Its value as text. */
void rf_option_put(const rf_sink *sink, const rf_options *options, const rf_option_key *o);

/* The values that `o` may have. */
void rf_option_put_allowed(const rf_sink *sink, const rf_option_key *o);

#endif /* RINGFENCE_CHECKED_OPTION_VALUES_H */
