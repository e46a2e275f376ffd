/* The options of a command in one table: it makes both the parser and the manual. */
#ifndef RINGFENCE_TOOLS_BASE_OPTION_TABLE_H
#define RINGFENCE_TOOLS_BASE_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rf_option {
  const char *name;     /* after "--" */
  char letter;          /* after "-"; NUL for none */
  const char *argument; /* its name in the manual, in brackets with "=" where it is optional; NULL: takes none */
  const char *help;
  const char *passed; /* given to the library: "key=value", or "key=" before the argument; NULL for nothing */
} rf_option;

typedef struct rf_option_table {
  const char *command;
  const rf_option *rows;
  size_t count;
  bool stops; /* at the first word that is no option; else options may come after it */
} rf_option_table;

enum { RF_OPTIONS_MOST = 48 };

/* The table `table` of a command, with all of the array `rows`. */
#define RF_OPTION_TABLE(table, command, rows, stops)                                                                   \
  _Static_assert(sizeof(rows) / sizeof *(rows) <= RF_OPTIONS_MOST, "more rows than can be read");                      \
  static const rf_option_table table = {command, rows, sizeof(rows) / sizeof *(rows), stops}

/* Reads the options in argv (argv[0] is the command's name) and hands the row of each to `apply`, which returns false
 * after a message. Returns the index of the first word that is no option, or -1 after a message. */
int rf_option_table_read(const rf_option_table *table, int argc, char **argv,
                         bool (*apply)(void *context, size_t row, const char *argument), void *context);

/* Prints the rows to standard output, as part of a manual. */
void rf_option_table_help(const rf_option_table *table);

#endif
