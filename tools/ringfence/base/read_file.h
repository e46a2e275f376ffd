/* Reading all that a file or pipe has. */
#ifndef RINGFENCE_TOOLS_BASE_READ_FILE_H
#define RINGFENCE_TOOLS_BASE_READ_FILE_H

#include "tools/ringfence/base/arena.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What comes from `fd` until its end, with a NUL behind it; *length says how much that is. NULL where it cannot be read
 * (errno says why). */
char *rf_read_all(rf_bump_arena *arena, int fd, size_t *length);

/* The same of the file or pipe `path`. A pipe is waited for. */
char *rf_read_file(rf_bump_arena *arena, const char *path, size_t *length);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_BASE_READ_FILE_H */
