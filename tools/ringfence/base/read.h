/* Reading all that a file or pipe has. */
#ifndef RINGFENCE_TOOL_READ_H
#define RINGFENCE_TOOL_READ_H

#include "tools/ringfence/base/stash.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What comes from `fd` until its end, with a NUL behind it; *length says how much that is. NULL where it cannot be read
 * (errno says why). */
char *rf_read_all(rf_stash *stash, int fd, size_t *length);

/* The same of the file or pipe `path`. A pipe is waited for. */
char *rf_read_file(rf_stash *stash, const char *path, size_t *length);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_READ_H */
