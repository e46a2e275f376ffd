#include <ringfence/options.h>

#include <ringfence/finding.h>
#include <ringfence/system.h>
#include <stdint.h>
#include <string.h>

#include "checkers/os/host.h"
#include "lib/core/compiler.h"
#include "mode_options.h"
#include "option_values.h"

#ifndef RF_MODE_DEFAULT
#define RF_MODE_DEFAULT RF_MODE_OFF
#endif

#if RF_HAS_SYSTEM
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

#define FIELD(name) offsetof(rf_options, name), sizeof(((rf_options *)0)->name)

/* clang-format off */
static const rf_option_key table[] = {
#define RF_OPTION_BOOL(name, value, help) {#name, help, NULL, 0, 0, RF_KEY_BOOL, FIELD(name)},
#define RF_OPTION_NUMBER(name, value, least, most, help) {#name, help, NULL, most, least, RF_KEY_NUMBER, FIELD(name)},
#define RF_OPTION_SHARE(name, most, help) {#name, help, NULL, most, 1, RF_KEY_SHARE, FIELD(name)},
#define RF_OPTION_SIZE(name, value, help) {#name, help, NULL, 0, 0, RF_KEY_SIZE, FIELD(name)},
#define RF_OPTION_CHOICE(type, name, value, words, help) {#name, help, words, 0, 0, RF_KEY_CHOICE, FIELD(name)},
#define RF_OPTION_PATH(name, help) {#name, help, "a path", 0, 0, RF_KEY_TEXT, FIELD(name)},
#define RF_OPTION_TEXT(name, form, help) {#name, help, form, 0, 0, RF_KEY_TEXT, FIELD(name)},
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

static const rf_option_key *find(rf_slice name) {
  for (size_t i = 0; i < OPTIONS; i++) {
    if (rf_slice_equals(name, table[i].name)) {
      return &table[i];
    }
  }
  return NULL;
}

/* ---- Messages ---- */

#define NAME_MOST 32U

/* The length of a key; that of the text where it has no '='. */
static size_t before_equals(rf_slice text) {
  size_t length = 0;
  while (length < text.length && text.at[length] != '=') {
    length++;
  }
  return length;
}

static bool opens_quote(rf_slice value) {
  return value.length != 0 && (value.at[0] == '\'' || value.at[0] == '"');
}

static void warn_value(const rf_sink *sink, const char *source, const rf_option_key *o, rf_slice value) {
  rf_sink_str(sink, "ringfence: ");
  rf_sink_str(sink, source);
  rf_sink_str(sink, ": ");
  rf_sink_str(sink, o->name);
  rf_sink_str(sink, "=");
  rf_slice_put(sink, value);
  rf_sink_str(sink, " is ignored; allowed: ");
  rf_option_put_allowed(sink, o);
  bool const has_next = before_equals(value) < value.length && !opens_quote(value); /* a=1,b=2 */
  rf_sink_str(sink, has_next ? "; a colon separates options\n" : "\n");
}

/* How many bytes to put in, take out or replace until `a` is `b`; NAME_MOST and more where either is too long. */
static unsigned distance(rf_slice a, rf_slice b) {
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
static const char *nearest_key(rf_slice name) {
  const char *nearest = NULL;
  unsigned least = (unsigned)name.length / 2 + 1;
  for (size_t i = 0; i < OPTIONS; i++) {
    unsigned const away = distance(name, (rf_slice){table[i].name, strlen(table[i].name)});
    if (away < least) {
      least = away;
      nearest = table[i].name;
    }
  }
  return nearest;
}

static void warn_key(const rf_sink *sink, const char *source, rf_slice item, size_t name_length) {
  const char *const nearest = nearest_key((rf_slice){item.at, name_length});
  rf_sink_str(sink, "ringfence: ");
  rf_sink_str(sink, source);
  rf_sink_str(sink, ": ");
  rf_slice_put(sink, item);
  rf_sink_str(sink, " is ignored; unknown key; ");
  if (nearest != NULL) {
    rf_sink_str(sink, "the nearest is ");
    rf_sink_str(sink, nearest);
    rf_sink_str(sink, "; ");
  }
  rf_sink_str(sink, "help=1 lists all\n");
}

RF_COLD void rf_options_print(const rf_options *options, const rf_sink *sink) {
  rf_mode const mode = rf_mode_base(options->mode);
  for (size_t i = 0; i < sizeof of_mode / sizeof of_mode[0]; i++) {
    if (of_mode[i].mode == mode) {
      rf_sink_str(sink, ", ");
      rf_sink_str(sink, of_mode[i].name);
      rf_sink_str(sink, " ");
      rf_option_put(sink, options, find((rf_slice){of_mode[i].name, strlen(of_mode[i].name)}));
    }
  }
}

RF_COLD void rf_options_help(const rf_options *options, const rf_sink *sink) {
  rf_sink_str(sink, "RINGFENCE_OPTIONS=key=value:key=value, with these keys and their values now:\n");
  for (size_t i = 0; i < OPTIONS; i++) {
    rf_sink_str(sink, "  ");
    rf_sink_str(sink, table[i].name);
    rf_sink_str(sink, "=");
    rf_option_put(sink, options, &table[i]);
    rf_sink_str(sink, "\n      ");
    rf_sink_str(sink, table[i].meaning);
    rf_sink_str(sink, " (");
    rf_option_put_allowed(sink, &table[i]);
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

static bool closes_quote(rf_slice value) {
  return value.length >= 2 && value.at[value.length - 1] == value.at[0];
}

static rf_slice unquoted(rf_slice value) {
  return opens_quote(value) && closes_quote(value) ? (rf_slice){value.at + 1, value.length - 2} : value;
}

/* One "key=value". True where it was understood. */
static bool apply(rf_options *options, rf_slice item, const char *source, const rf_sink *warnings) {
  size_t const name_length = before_equals(item);
  bool const has_value = name_length < item.length;
  const rf_option_key *const o = find((rf_slice){item.at, name_length});
  if (o == NULL) {
    warn_key(warnings, source, item, name_length);
    return false;
  }
  rf_slice const rest = {item.at + name_length + 1, has_value ? item.length - name_length - 1 : 0};
  rf_slice const value = unquoted(rest);
  bool const unclosed = opens_quote(rest) && !closes_quote(rest);
  rf_options changed = *options;
  if (!has_value || unclosed || !rf_option_set(&changed, o, value)) {
    warn_value(warnings, source, o, has_value ? value : (rf_slice){"", 0});
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
    rf_slice const item = {text, (size_t)(end - text)};
    if (item.length != 0 && !apply(options, item, source, warnings)) {
      count++;
    } else if (item.length != 0 && kept != NULL) {
      rf_sink_str(kept, first ? "" : ":");
      rf_slice_put(kept, item);
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
