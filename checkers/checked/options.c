#include <ringfence/options.h>

#include <ringfence/finding.h>
#include <stdint.h>
#include <string.h>

#include "checkers/os/host.h"
#include "lib/core/compiler.h"
#include "mode_options.h"

#ifndef RF_MODE_DEFAULT
#define RF_MODE_DEFAULT RF_MODE_OFF
#endif

#if defined(__unix__) || defined(__APPLE__)
#define RF_HOSTED(hosted, board) (hosted)
#else
#define RF_HOSTED(hosted, board) (board)
#endif

const char *rf_mode_name(rf_mode mode) {
  static const char *const names[] = {"off", "sample", "guard", "page", "asan", "mte"};
  return names[mode];
}

void rf_options_default(rf_options *out) {
  *out = (rf_options){
#define RF_OPTION_BOOL(name, value, help) .name = (value),
#define RF_OPTION_NUMBER(name, value, least, most, help) .name = (value),
#define RF_OPTION_SHARE(name, most, help) .name = 1,
#define RF_OPTION_SIZE(name, value, help) .name = (value),
#define RF_OPTION_CHOICE(type, name, value, words, help) .name = (value),
#include <ringfence/options.inc>
  };
}

/* ---- The table ---- */

typedef enum kind { KIND_BOOL, KIND_NUMBER, KIND_SHARE, KIND_SIZE, KIND_CHOICE, KIND_PATH } kind;

typedef struct option {
  const char *name;
  const char *meaning;
  const char *choices; /* KIND_CHOICE: the words for 0, 1, 2 …, each ended by a space */
  unsigned limit;      /* KIND_NUMBER, KIND_SHARE: the largest value */
  unsigned least;      /* the same: the smallest */
  kind kind;
  size_t at;   /* of the field in rf_options */
  size_t size; /* of the field: an enumeration may be as small as a byte */
} option;

#define FIELD(name) offsetof(rf_options, name), sizeof(((rf_options *)0)->name)

/* clang-format off */
static const option table[] = {
#define RF_OPTION_BOOL(name, value, help) {#name, help, NULL, 0, 0, KIND_BOOL, FIELD(name)},
#define RF_OPTION_NUMBER(name, value, least, most, help) {#name, help, NULL, most, least, KIND_NUMBER, FIELD(name)},
#define RF_OPTION_SHARE(name, most, help) {#name, help, NULL, most, 1, KIND_SHARE, FIELD(name)},
#define RF_OPTION_SIZE(name, value, help) {#name, help, NULL, 0, 0, KIND_SIZE, FIELD(name)},
#define RF_OPTION_CHOICE(type, name, value, words, help) {#name, help, words, 0, 0, KIND_CHOICE, FIELD(name)},
#define RF_OPTION_PATH(name, help) {#name, help, NULL, 0, 0, KIND_PATH, FIELD(name)},
#include <ringfence/options.inc>
};
/* clang-format on */

/* The options that a mode's checker takes, and the order in which they are printed. */
static const struct {
  rf_mode mode;
  const char *name;
} of_mode[] = {
#define RF_OPTION_FOR_GUARD(name, member) {RF_MODE_GUARD, #name},
#define RF_OPTION_FOR_PAGE(name, member) {RF_MODE_PAGE, #name},
#define RF_OPTION_FOR_SAMPLE(name, member) {RF_MODE_SAMPLE, #name},
#include <ringfence/options.inc>
};

#define OPTIONS (sizeof table / sizeof table[0])

/* Part of a text. */
typedef struct slice {
  const char *at;
  size_t length;
} slice;

static bool equals(slice s, const char *word) {
  return s.length == strlen(word) && memcmp(s.at, word, s.length) == 0;
}

static const option *find(slice name) {
  for (size_t i = 0; i < OPTIONS; i++) {
    if (equals(name, table[i].name)) {
      return &table[i];
    }
  }
  return NULL;
}

/* ---- Values ---- */

static bool set_bool(bool *out, slice value) {
  bool const yes = equals(value, "1") || equals(value, "true") || equals(value, "yes");
  bool const no = equals(value, "0") || equals(value, "false") || equals(value, "no");
  if (yes || no) {
    *out = yes;
  }
  return yes || no;
}

/* Takes decimal digits off the start of `value`; false where there are none or they do not fit. */
static bool take_number(slice *value, size_t *out) {
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

static bool set_number(unsigned *out, slice value, const option *o) {
  size_t n;
  if (!take_number(&value, &n) || value.length != 0 || n < o->least || n > o->limit) {
    return false;
  }
  *out = (unsigned)n;
  return true;
}

/* "1/128". */
static bool set_share(unsigned *out, slice value, const option *o) {
  bool const begins = value.length > 2 && memcmp(value.at, "1/", 2) == 0;
  return begins && set_number(out, (slice){value.at + 2, value.length - 2}, o);
}

/* log2 of a unit; -1: no unit. */
static int unit_shift(slice unit) {
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

static bool set_size(size_t *out, slice value) {
  size_t n;
  if (equals(value, "all")) {
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
static slice word_of(const char *words, unsigned index) {
  slice word = {words, 0};
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

static bool set_choice(void *field, const option *o, slice value) {
  for (unsigned i = 0;; i++) {
    slice const word = word_of(o->choices, i);
    if (word.length == 0) {
      return false;
    }
    if (value.length == word.length && memcmp(value.at, word.at, word.length) == 0) {
      store(field, o->size, i);
      return true;
    }
  }
}

/* A path is two fields: its start, then its length. */
#define RF_OPTION_PATH(name, help)                                                                                     \
  _Static_assert(offsetof(rf_options, name##_length) == offsetof(rf_options, name) + sizeof(const char *), "adjacen"   \
                                                                                                           "t");
#include <ringfence/options.inc>

static bool set_path(void *field, slice value) {
  memcpy(field, &value.at, sizeof value.at);
  memcpy((char *)field + sizeof value.at, &value.length, sizeof value.length);
  return value.length != 0;
}

static slice path_of(const void *field) {
  slice path;
  memcpy(&path.at, field, sizeof path.at);
  memcpy(&path.length, (const char *)field + sizeof path.at, sizeof path.length);
  return path;
}

static bool set(rf_options *options, const option *o, slice value) {
  void *const field = (unsigned char *)options + o->at;
  switch (o->kind) {
  case KIND_BOOL:
    return set_bool((bool *)field, value);
  case KIND_NUMBER:
    return set_number((unsigned *)field, value, o);
  case KIND_SHARE:
    return set_share((unsigned *)field, value, o);
  case KIND_SIZE:
    return set_size((size_t *)field, value);
  case KIND_CHOICE:
    return set_choice(field, o, value);
  case KIND_PATH:
    return set_path(field, value);
  }
  return false;
}

/* ---- Messages ---- */

#define NAME_MOST 32U

static void put(const rf_sink *sink, slice s) {
  rf_sink_mem(sink, s.at, s.length);
}

static void put_choices(const rf_sink *sink, const option *o) {
  for (unsigned i = 0;; i++) {
    slice const word = word_of(o->choices, i);
    if (word.length == 0) {
      return;
    }
    rf_sink_str(sink, i == 0 ? "" : ", ");
    put(sink, word);
  }
}

static void put_allowed(const rf_sink *sink, const option *o) {
  switch (o->kind) {
  case KIND_BOOL:
    rf_sink_str(sink, "0, 1");
    return;
  case KIND_NUMBER:
    rf_sink_uint(sink, o->least);
    rf_sink_str(sink, " to ");
    rf_sink_uint(sink, o->limit);
    return;
  case KIND_SHARE:
    rf_sink_str(sink, "1/1 to 1/");
    rf_sink_uint(sink, o->limit);
    return;
  case KIND_SIZE:
    rf_sink_str(sink, "bytes, with K, M or G, or all");
    return;
  case KIND_CHOICE:
    put_choices(sink, o);
    return;
  case KIND_PATH:
    rf_sink_str(sink, "a path");
    return;
  }
}

static void warn_value(const rf_sink *sink, const char *source, const option *o, slice value) {
  rf_sink_str(sink, "ringfence: ");
  rf_sink_str(sink, source);
  rf_sink_str(sink, ": ");
  rf_sink_str(sink, o->name);
  rf_sink_str(sink, "=");
  put(sink, value);
  rf_sink_str(sink, " is ignored; allowed: ");
  put_allowed(sink, o);
  rf_sink_str(sink, "\n");
}

/* How many bytes to put in, take out or replace until `a` is `b`; NAME_MOST and more where either is too long. */
static unsigned distance(slice a, slice b) {
  uint8_t row[NAME_MOST + 1]; /* of the beginnings of b, to that of a so far */
  if (a.length > NAME_MOST || b.length > NAME_MOST) {
    return NAME_MOST;
  }
  for (size_t j = 0; j <= b.length; j++) {
    row[j] = (uint8_t)j;
  }
  for (size_t i = 0; i < a.length; i++) {
    uint8_t diagonal = row[0]++;
    for (size_t j = 0; j < b.length; j++) {
      uint8_t const replaced = (uint8_t)(diagonal + (a.at[i] != b.at[j] ? 1 : 0));
      uint8_t const shorter = (uint8_t)((row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1);
      diagonal = row[j + 1];
      row[j + 1] = replaced < shorter ? replaced : shorter;
    }
  }
  return row[b.length];
}

/* The key that was meant, or NULL where less than half of it is as it should be. */
static const char *nearest_key(slice name) {
  const char *nearest = NULL;
  unsigned least = (unsigned)name.length / 2 + 1;
  for (size_t i = 0; i < OPTIONS; i++) {
    unsigned const away = distance(name, (slice){table[i].name, strlen(table[i].name)});
    if (away < least) {
      least = away;
      nearest = table[i].name;
    }
  }
  return nearest;
}

static void warn_key(const rf_sink *sink, const char *source, slice item, size_t name_length) {
  const char *const nearest = nearest_key((slice){item.at, name_length});
  rf_sink_str(sink, "ringfence: ");
  rf_sink_str(sink, source);
  rf_sink_str(sink, ": ");
  put(sink, item);
  rf_sink_str(sink, " is ignored; unknown key; ");
  if (nearest != NULL) {
    rf_sink_str(sink, "the nearest is ");
    rf_sink_str(sink, nearest);
    rf_sink_str(sink, "; ");
  }
  rf_sink_str(sink, "help=1 lists all\n");
}

static void put_size(const rf_sink *sink, size_t size) {
  if (size == SIZE_MAX) {
    rf_sink_str(sink, "all");
  } else {
    rf_sink_uint(sink, size);
  }
}

static void put_value(const rf_sink *sink, const rf_options *options, const option *o) {
  const void *const field = (const unsigned char *)options + o->at;
  switch (o->kind) {
  case KIND_BOOL:
    rf_sink_str(sink, *(const bool *)field ? "1" : "0");
    return;
  case KIND_NUMBER:
    rf_sink_uint(sink, *(const unsigned *)field);
    return;
  case KIND_SHARE:
    rf_sink_str(sink, "1/");
    rf_sink_uint(sink, *(const unsigned *)field);
    return;
  case KIND_SIZE:
    put_size(sink, *(const size_t *)field);
    return;
  case KIND_CHOICE:
    put(sink, word_of(o->choices, fetch(field, o->size)));
    return;
  case KIND_PATH:
    put(sink, path_of(field));
    rf_sink_str(sink, path_of(field).at != NULL ? "" : field == &options->log ? "(standard error)" : "(none)");
    return;
  }
}

RF_COLD void rf_options_print(const rf_options *options, const rf_sink *sink) {
  rf_mode const mode = rf_mode_base(options->mode);
  for (size_t i = 0; i < sizeof of_mode / sizeof of_mode[0]; i++) {
    if (of_mode[i].mode == mode) {
      rf_sink_str(sink, ", ");
      rf_sink_str(sink, of_mode[i].name);
      rf_sink_str(sink, " ");
      put_value(sink, options, find((slice){of_mode[i].name, strlen(of_mode[i].name)}));
    }
  }
}

RF_COLD void rf_options_help(const rf_options *options, const rf_sink *sink) {
  rf_sink_str(sink, "RINGFENCE_OPTIONS=key=value:key=value, with these keys and their values now:\n");
  for (size_t i = 0; i < OPTIONS; i++) {
    rf_sink_str(sink, "  ");
    rf_sink_str(sink, table[i].name);
    rf_sink_str(sink, "=");
    put_value(sink, options, &table[i]);
    rf_sink_str(sink, "\n      ");
    rf_sink_str(sink, table[i].meaning);
    rf_sink_str(sink, " (");
    put_allowed(sink, &table[i]);
    rf_sink_str(sink, ")\n");
  }
}

/* ---- Parsing ---- */

/* The end of the item at `at`: a colon outside quotes, or the end of the text. */
static const char *item_end(const char *at) {
  char quote = '\0';
  for (; *at != '\0' && (quote != '\0' || *at != ':'); at++) {
    if (quote == '\0' && (*at == '\'' || *at == '"') && at[-1] == '=') {
      quote = *at;
    } else if (*at == quote) {
      quote = '\0';
    }
  }
  return at;
}

static bool opens_quote(slice value) {
  return value.length != 0 && (value.at[0] == '\'' || value.at[0] == '"');
}

static bool closes_quote(slice value) {
  return value.length >= 2 && value.at[value.length - 1] == value.at[0];
}

static slice unquoted(slice value) {
  return opens_quote(value) && closes_quote(value) ? (slice){value.at + 1, value.length - 2} : value;
}

/* One "key=value". True where it was understood. */
static bool apply(rf_options *options, slice item, const char *source, const rf_sink *warnings) {
  size_t name_length = 0;
  while (name_length < item.length && item.at[name_length] != '=') {
    name_length++;
  }
  bool const has_value = name_length < item.length;
  const option *const o = find((slice){item.at, name_length});
  if (o == NULL) {
    warn_key(warnings, source, item, name_length);
    return false;
  }
  slice const rest = {item.at + name_length + 1, has_value ? item.length - name_length - 1 : 0};
  slice const value = unquoted(rest);
  bool const unclosed = opens_quote(rest) && !closes_quote(rest);
  rf_options changed = *options;
  if (!has_value || unclosed || !set(&changed, o, value)) {
    warn_value(warnings, source, o, has_value ? value : (slice){"", 0});
    return false;
  }
  *options = changed;
  return true;
}

unsigned rf_options_parse(rf_options *options, const char *text, const char *source, const rf_sink *warnings) {
  return rf_options_keep(options, text, source, warnings, NULL);
}

unsigned rf_options_keep(rf_options *options, const char *text, const char *source, const rf_sink *warnings,
                         const rf_sink *kept) {
  unsigned count = 0;
  bool first = true;
  while (text != NULL && *text != '\0') {
    /* A quote opens a value only after '=', so the first character needs no look back. */
    const char *const end = *text == ':' ? text : item_end(text + 1);
    slice const item = {text, (size_t)(end - text)};
    if (item.length != 0 && !apply(options, item, source, warnings)) {
      count++;
    } else if (item.length != 0 && kept != NULL) {
      rf_sink_str(kept, first ? "" : ":");
      put(kept, item);
      first = false;
    }
    text = *end == '\0' ? end : end + 1;
  }
  return count;
}

unsigned rf_options_load_program(rf_options *options, const rf_sink *warnings) {
  return __ringfence_default_options == NULL
             ? 0
             : rf_options_parse(options, __ringfence_default_options(), "__ringfence_default_options", warnings);
}

unsigned rf_options_load(rf_options *options, const rf_sink *warnings) {
  unsigned const count = rf_options_load_program(options, warnings);
  return count + rf_options_parse(options, rf_host_environment(), "RINGFENCE_OPTIONS", warnings);
}
