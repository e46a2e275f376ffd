/* Reading whole files and pipes. */
#ifndef RINGFENCE_TOOLS_BASE_READ_FILE_H
#define RINGFENCE_TOOLS_BASE_READ_FILE_H

#include "tools/ringfence/base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Reads `fd` to its end and puts a NUL after the *length bytes. NULL, with errno set, where it cannot be read. */
char *rf_read_all(rf_bump_arena *arena, int fd, size_t *length);

/* The same of the file or pipe `path`. A pipe is waited for. */
char *rf_read_file(rf_bump_arena *arena, const char *path, size_t *length);

/* Takes the mark of UTF-8 off, which some editors put first. Returns the text behind it. */
static inline const char *rf_behind_mark(const char *text, size_t *length) {
  bool const marked = *length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
  *length -= marked ? 3 : 0;
  return marked ? text + 3 : text;
}

#endif /* RINGFENCE_TOOLS_BASE_READ_FILE_H */
