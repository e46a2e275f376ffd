#include "tools/ringfence/base/option_table.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/suggest.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* getopt_long returns the row of a long option plus this number, which is above all letters. */
enum { FIRST_LONG = 256 };

/* Width of the names in the manual; a longer one has a line of its own. */
enum { NAME_COLUMNS = 23 };

typedef struct getopt_tables {
  struct option words[RF_OPTIONS_MOST + 1];
  char letters[2 * RF_OPTIONS_MOST + 3];
} getopt_tables;

static int argument_kind(const rf_option *o) {
  if (o->argument == NULL) {
    return no_argument;
  }
  return o->argument[0] == '[' ? optional_argument : required_argument;
}

static void make_tables(const rf_option_table *table, getopt_tables *out) {
  size_t at = 0;
  *out = (getopt_tables){0};
  if (table->stops) {
    out->letters[at++] = '+';
  }
  out->letters[at++] = ':'; /* tells a missing argument from an unknown option */
  for (size_t i = 0; i < table->count; i++) {
    const rf_option *const o = &table->rows[i];
    out->words[i] = (struct option){o->name, argument_kind(o), NULL, FIRST_LONG + (int)i};
    if (o->letter != '\0') {
      out->letters[at++] = o->letter;
    }
    if (o->letter != '\0' && o->argument != NULL) {
      out->letters[at++] = ':';
    }
  }
}

/* The row of what getopt_long returned or left in optopt; table->count where there is none. */
static size_t row_of(const rf_option_table *table, int code) {
  size_t i = 0;
  while (i < table->count && code != FIRST_LONG + (int)i && (code == '\0' || code != table->rows[i].letter)) {
    i++;
  }
  return i;
}

/* `word` as it stands on the command line. */
static void refuse(const rf_option_table *table, const char *word) {
  const char *names[RF_OPTIONS_MOST];
  char name[64];
  size_t const row = row_of(table, optopt);
  for (size_t i = 0; i < table->count; i++) {
    names[i] = table->rows[i].name;
  }
  if (optopt != 0 && optopt < FIRST_LONG) {
    rf_diag("unknown option -%c; see `ringfence help %s`", optopt, table->command);
    return;
  }
  if (row != table->count) {
    rf_diag("--%s takes no argument", names[row]);
    return;
  }
  (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
  const char *const suggestion = rf_suggest(name, names, table->count);
  if (suggestion != NULL) {
    rf_diag("unknown option --%s; did you mean --%s?", name, suggestion);
  } else {
    rf_diag("unknown option --%s; see `ringfence help %s`", name, table->command);
  }
}

int rf_option_table_read(const rf_option_table *table, int argc, char **argv,
                         bool (*apply)(void *context, size_t row, const char *argument), void *context) {
  getopt_tables tables;
  make_tables(table, &tables);
  opterr = 0;
  optind = 1;
  for (;;) {
    int const code = getopt_long(argc, argv, tables.letters, tables.words, NULL);
    if (code == -1) {
      return optind;
    }
    if (code == ':') {
      rf_diag("%s needs an argument; see `ringfence help %s`", argv[optind - 1], table->command);
      return -1;
    }
    if (code == '?') {
      refuse(table, argv[optind - 1]);
      return -1;
    }
    if (!apply(context, row_of(table, code), optarg)) {
      return -1;
    }
  }
}

static void print_row(const rf_option *o) {
  char name[64];
  char letter[5] = "    ";
  if (o->letter != '\0') {
    (void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
  }
  (void)snprintf(name, sizeof name, "%s--%s%s%s", letter, o->name, argument_kind(o) == required_argument ? " " : "",
                 o->argument == NULL ? "" : o->argument);
  const char *head = name;
  if (strlen(name) > NAME_COLUMNS) {
    (void)printf("  %s\n", name);
    head = "";
  }
  for (const char *line = o->help; line[0] != '\0'; head = "") {
    size_t const length = strcspn(line, "\n");
    (void)printf("  %-*s %.*s\n", NAME_COLUMNS, head, (int)length, line);
    line += length + (line[length] != '\0');
  }
}

void rf_option_table_help(const rf_option_table *table) {
  (void)puts("Options:");
  for (size_t i = 0; i < table->count; i++) {
    print_row(&table->rows[i]);
  }
}
