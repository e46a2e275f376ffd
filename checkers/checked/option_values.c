#include "option_values.h"

#include <stdint.h>

#include "lib/core/compiler.h"

/* ---- From text ---- */

static bool set_bool(bool *out, rf_slice value) {
  bool const yes = rf_slice_equals(value, "1") || rf_slice_equals(value, "true") || rf_slice_equals(value, "yes");
  bool const no = rf_slice_equals(value, "0") || rf_slice_equals(value, "false") || rf_slice_equals(value, "no");
  if (yes || no) {
    *out = yes;
  }
  return yes || no;
}

/* Takes decimal digits off the start of `value`; false where there are none or they do not fit. */
static bool take_number(rf_slice *value, size_t *out) {
  size_t n = 0;
  size_t used = 0;
  for (; used < value->length && value->at[used] >= '0' && value->at[used] <= '9'; used++) {
    size_t const digit = (size_t)(value->at[used] - '0');
    if (n > (SIZE_MAX - digit) / 10) {
      return false;
    }
    n = n * 10 + digit;
  }
  value->at += used;
  value->length -= used;
  *out = n;
  return used != 0;
}

static bool set_number(unsigned *out, rf_slice value, const rf_option_key *o) {
  size_t n;
  if (!take_number(&value, &n) || value.length != 0 || n < o->least || n > o->limit) {
    return false;
  }
  *out = (unsigned)n;
  return true;
}

/* "1/128". */
static bool set_share(unsigned *out, rf_slice value, const rf_option_key *o) {
  bool const begins = value.length > 2 && memcmp(value.at, "1/", 2) == 0;
  return begins && set_number(out, (rf_slice){value.at + 2, value.length - 2}, o);
}

/* log2 of a unit; -1: no unit. */
static int unit_shift(rf_slice unit) {
  if (unit.length == 0) {
    return 0;
  }
  switch (unit.length == 1 ? unit.at[0] : '?') {
  case 'k':
  case 'K':
    return 10;
  case 'm':
  case 'M':
    return 20;
  case 'g':
  case 'G':
    return 30;
  default:
    return -1;
  }
}

static bool set_size(size_t *out, rf_slice value) {
  size_t n;
  if (rf_slice_equals(value, "all")) {
    *out = SIZE_MAX;
    return true;
  }
  if (!take_number(&value, &n)) {
    return false;
  }
  int const shift = unit_shift(value);
  if (shift < 0 || n > SIZE_MAX >> shift) {
    return false;
  }
  *out = n << shift;
  return true;
}

/* The word number `index` of a list in which each is ended by a space; empty after the last. */
static rf_slice word_of(const char *words, unsigned index) {
  rf_slice word = {words, 0};
  for (;; index--) {
    while (word.at[word.length] != ' ' && word.at[word.length] != '\0') {
      word.length++;
    }
    if (index == 0 || word.length == 0) {
      return word;
    }
    word.at += word.length + 1;
    word.length = 0;
  }
}

static void store(void *field, size_t size, unsigned value) {
  if (size == sizeof(uint8_t)) {
    *(uint8_t *)field = (uint8_t)value;
  } else {
    memcpy(field, &value, sizeof value);
  }
}

static unsigned fetch(const void *field, size_t size) {
  unsigned value;
  if (size == sizeof(uint8_t)) {
    return *(const uint8_t *)field;
  }
  memcpy(&value, field, sizeof value);
  return value;
}

static bool set_choice(void *field, const rf_option_key *o, rf_slice value) {
  for (unsigned i = 0;; i++) {
    rf_slice const word = word_of(o->choices, i);
    if (word.length == 0) {
      return false;
    }
    if (value.length == word.length && memcmp(value.at, word.at, word.length) == 0) {
      store(field, o->size, i);
      return true;
    }
  }
}

/* A text is two fields: its start, then its length. */
#define RF_OPTION_PATH(name, help)                                                                                     \
  _Static_assert(offsetof(rf_options, name##_length) == offsetof(rf_options, name) + sizeof(const char *), "adjacen"   \
                                                                                                           "t");
#include <ringfence/options.inc>

static bool set_text(void *field, rf_slice value) {
  memcpy(field, &value.at, sizeof value.at);
  memcpy((char *)field + sizeof value.at, &value.length, sizeof value.length);
  return value.length != 0;
}

static rf_slice text_of(const void *field) {
  rf_slice text;
  memcpy(&text.at, field, sizeof text.at);
  memcpy(&text.length, (const char *)field + sizeof text.at, sizeof text.length);
  return text;
}

bool rf_option_set(rf_options *options, const rf_option_key *o, rf_slice value) {
  void *const field = (unsigned char *)options + o->at;
  switch (o->kind) {
  case RF_KEY_BOOL:
    return set_bool((bool *)field, value);
  case RF_KEY_NUMBER:
    return set_number((unsigned *)field, value, o);
  case RF_KEY_SHARE:
    return set_share((unsigned *)field, value, o);
  case RF_KEY_SIZE:
    return set_size((size_t *)field, value);
  case RF_KEY_CHOICE:
    return set_choice(field, o, value);
  case RF_KEY_TEXT:
    return set_text(field, value);
  }
  return false;
}

/* ---- As text ---- */

static void put_choices(const rf_sink *sink, const rf_option_key *o) {
  for (unsigned i = 0;; i++) {
    rf_slice const word = word_of(o->choices, i);
    if (word.length == 0) {
      return;
    }
    rf_sink_str(sink, i == 0 ? "" : ", ");
    rf_slice_put(sink, word);
  }
}

RF_COLD void rf_option_put_allowed(const rf_sink *sink, const rf_option_key *o) {
  switch (o->kind) {
  case RF_KEY_BOOL:
    rf_sink_str(sink, "0, 1");
    return;
  case RF_KEY_NUMBER:
    rf_sink_uint(sink, o->least);
    rf_sink_str(sink, " to ");
    rf_sink_uint(sink, o->limit);
    return;
  case RF_KEY_SHARE:
    rf_sink_str(sink, "1/1 to 1/");
    rf_sink_uint(sink, o->limit);
    return;
  case RF_KEY_SIZE:
    rf_sink_str(sink, "bytes, with K, M or G, or all");
    return;
  case RF_KEY_CHOICE:
    put_choices(sink, o);
    return;
  case RF_KEY_TEXT:
    rf_sink_str(sink, o->choices);
    return;
  }
}

static void put_size(const rf_sink *sink, size_t size) {
  if (size == SIZE_MAX) {
    rf_sink_str(sink, "all");
  } else {
    rf_sink_uint(sink, size);
  }
}

RF_COLD void rf_option_put(const rf_sink *sink, const rf_options *options, const rf_option_key *o) {
  const void *const field = (const unsigned char *)options + o->at;
  switch (o->kind) {
  case RF_KEY_BOOL:
    rf_sink_str(sink, *(const bool *)field ? "1" : "0");
    return;
  case RF_KEY_NUMBER:
    rf_sink_uint(sink, *(const unsigned *)field);
    return;
  case RF_KEY_SHARE:
    rf_sink_str(sink, "1/");
    rf_sink_uint(sink, *(const unsigned *)field);
    return;
  case RF_KEY_SIZE:
    put_size(sink, *(const size_t *)field);
    return;
  case RF_KEY_CHOICE:
    rf_slice_put(sink, word_of(o->choices, fetch(field, o->size)));
    return;
  case RF_KEY_TEXT:
    rf_slice_put(sink, text_of(field));
    rf_sink_str(sink, text_of(field).at != NULL ? "" : field == &options->log ? "(standard error)" : "(none)");
    return;
  }
}
