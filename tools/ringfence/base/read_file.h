/* Reading whole files and pipes. */
#ifndef RINGFENCE_TOOLS_BASE_READ_FILE_H
#define RINGFENCE_TOOLS_BASE_READ_FILE_H

#include "tools/ringfence/base/arena.h"

#include <stddef.h>

/* Reads `fd` to its end and puts a NUL after the *length bytes. NULL, with errno set, where it cannot be read. */
char *rf_read_all(rf_bump_arena *arena, int fd, size_t *length);

/* The same of the file or pipe `path`. A pipe is waited for. */
char *rf_read_file(rf_bump_arena *arena, const char *path, size_t *length);

#endif /* RINGFENCE_TOOLS_BASE_READ_FILE_H */
