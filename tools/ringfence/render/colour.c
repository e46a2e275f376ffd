#include "tools/ringfence/render/colour.h"

#include "tools/ringfence/base/sinks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RED "\033[1;31m"
#define GREEN "\033[32m"
#define BOLD "\033[1m"
#define BLUE "\033[34m"
#define PLAIN "\033[0m"

bool rf_colour_from_name(const char *name, rf_colour_when *out) {
  static const char *const names[] = {"auto", "always", "never"};
  for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(name, names[i]) == 0) {
      *out = (rf_colour_when)i;
      return true;
    }
  }
  return false;
}

bool rf_colour_wanted(rf_colour_when when, FILE *file) {
  const char *const refused = getenv("NO_COLOR");
  const char *const terminal = getenv("TERM");
  if (when != RF_COLOUR_AUTO) {
    return when == RF_COLOUR_ALWAYS;
  }
  return (refused == NULL || refused[0] == '\0') && terminal != NULL && strcmp(terminal, "dumb") != 0 &&
         isatty(fileno(file)) == 1;
}

/* The colour of a line by its beginning, "" for none. */
static const char *colour_of(const char *line) {
  static const struct {
    const char *begin;
    const char *inside; /* what must come after, or NULL */
    const char *colour;
  } kinds[] = {
      {"==", "==ERROR: ", RED},         {"SUMMARY: ", NULL, BOLD},     {"ringfence: nothing found", NULL, GREEN},
      {"ringfence: ", " finding", RED}, {"ringfence: ", NULL, BOLD},   {"WRITE of ", NULL, BLUE},
      {"READ of ", NULL, BLUE},         {"allocated by ", NULL, BLUE}, {"freed by ", NULL, BLUE},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (strncmp(line, kinds[i].begin, strlen(kinds[i].begin)) == 0 &&
        (kinds[i].inside == NULL || strstr(line, kinds[i].inside) != NULL)) {
      return kinds[i].colour;
    }
  }
  return "";
}

/* Writes what is kept; at the end of a line the colour ends. */
static void flush_line(rf_colour_sink *c, bool ends) {
  const char *const colour = c->open ? "" : colour_of(c->line);
  c->open = c->open || colour[0] != '\0';
  rf_file_put(c->file, colour, strlen(colour));
  rf_file_put(c->file, c->line, c->length);
  if (ends) {
    const char *const end = c->open ? PLAIN "\n" : "\n";
    rf_file_put(c->file, end, strlen(end));
    c->open = false;
  }
  c->length = 0;
  c->line[0] = '\0';
}

static void take(void *context, const char *text, size_t length) {
  rf_colour_sink *const c = (rf_colour_sink *)context;
  if (!c->coloured) {
    rf_file_put(c->file, text, length);
    return;
  }
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '\n') {
      flush_line(c, true);
      continue;
    }
    if (c->length == sizeof c->line - 1) {
      flush_line(c, false);
    }
    c->line[c->length++] = text[i];
    c->line[c->length] = '\0';
  }
}

void rf_colour_sink_init(rf_colour_sink *c, FILE *file, bool coloured) {
  *c = (rf_colour_sink){.file = file, .coloured = coloured};
  c->sink = (rf_sink){take, c};
}

void rf_colour_sink_end(rf_colour_sink *c) {
  if (c->length != 0) {
    flush_line(c, false);
  }
  if (c->open) {
    rf_file_put(c->file, PLAIN, strlen(PLAIN));
  }
}
