#include "tools/ringfence/symbols/symbolize.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Advances *at by a line and returns it without its end; false where there is none. */
static bool next_line(const char **at, const char **line, size_t *length) {
  if (**at == '\0') {
    return false;
  }
  *line = *at;
  *length = strcspn(*at, "\n");
  *at += *length + ((*at)[*length] != '\0');
  return true;
}

/* Cuts a number behind a colon off the end: "f.c:12" gives 12 and leaves "f.c", "f.c:?" gives 0. False where there is
 * none. */
static bool cut_number(const char *text, size_t *length, unsigned *value) {
  size_t start = *length;
  if (start > 2 && memcmp(text + start - 2, ":?", 2) == 0) {
    *value = 0;
    *length = start - 2;
    return true;
  }
  while (start > 0 && isdigit((unsigned char)text[start - 1])) {
    start--;
  }
  if (start == *length || start == 0 || text[start - 1] != ':') {
    return false;
  }
  *value = (unsigned)strtoul(text + start, NULL, 10);
  *length = start - 1;
  return true;
}

static size_t up_to(const char *text, size_t length, const char *mark) {
  const char *const found = (const char *)memmem(text, length, mark, strlen(mark));
  return found == NULL ? length : (size_t)(found - text);
}

static bool is_unknown(const char *text, size_t length) {
  return length == 0 || (length == 2 && memcmp(text, "??", 2) == 0);
}

/* Without components ".": builds that name files from a folder "." (-ffile-prefix-map=$PWD=.) have "././f.c". */
static void drop_dots(char *path) {
  char *to = path;
  for (const char *at = path; *at != '\0';) {
    bool const at_start = to == path || to[-1] == '/';
    if (at_start && at[0] == '.' && at[1] == '/' && at[2] != '/' && at[2] != '\0') {
      at += 2;
    } else {
      *to++ = *at++;
    }
  }
  *to = '\0';
}

/* A file without a line: the compiler knows none where it made one call of two (line 0 of DWARF). Debug information
 * names such a file with its folder; the symbol table, which a tool may have asked, without. */
static bool is_of_debug_information(const char *text, size_t length) {
  const char *const slash = (const char *)memrchr(text, '/', length);
  return slash != NULL && slash + 1 != text + length && slash[1] != '<';
}

/* "file:line", "file:line:column", "file:line (discriminator 2)", "file:?", "??:0" or "??:?". */
static void parse_place(rf_bump_arena *arena, const char *text, size_t length, rf_source *out) {
  unsigned last = 0;
  unsigned line = 0;
  length = up_to(text, length, " (discriminator");
  if (!cut_number(text, &length, &last)) {
    return;
  }
  if (!cut_number(text, &length, &line)) {
    line = last;
  }
  if (!is_unknown(text, length) && (line != 0 || is_of_debug_information(text, length))) {
    char *const file = rf_bump_arena_text(arena, text, length);
    drop_dots(file);
    out->file = file;
    out->line = line;
  }
}

static void parse_function(rf_bump_arena *arena, const char *text, size_t length, rf_source *out) {
  /* eu-addr2line adds this. */
  length = up_to(text, length, " inlined at ");
  if (!is_unknown(text, length)) {
    out->function = rf_bump_arena_text(arena, text, length);
  }
}

static bool is_address(const char *line, size_t length, uint64_t *value) {
  if (length < 3 || line[0] != '0' || line[1] != 'x') {
    return false;
  }
  char *end = NULL;
  *value = strtoull(line, &end, 16);
  return end == line + length;
}

void rf_symbolize_parse(rf_bump_arena *arena, const char *answer, size_t count, rf_source **sources, size_t *counts) {
  const char *line = NULL;
  size_t length = 0;
  uint64_t address = 0;
  size_t answered = 0;
  while (next_line(&answer, &line, &length)) {
    if (is_address(line, length, &address)) {
      answered++;
      continue;
    }
    const char *place = NULL;
    size_t place_length = 0;
    /* llvm-symbolizer may put an empty line between answers. */
    if (length == 0 || answered == 0 || answered > count || !next_line(&answer, &place, &place_length)) {
      continue;
    }
    size_t const i = answered - 1;
    rf_source *const out = &RF_APPENDED(arena, sources[i], counts[i]);
    *out = (rf_source){NULL, NULL, 0};
    parse_function(arena, line, length, out);
    parse_place(arena, place, place_length, out);
  }
}
