/* Files to write to, by path. */
#ifndef RINGFENCE_TOOLS_BASE_WRITE_FILE_H
#define RINGFENCE_TOOLS_BASE_WRITE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The number of the descriptor of this process that `path` names, by /dev/stdout, /dev/fd/N, /proc/self/fd/N or a link
 * to one of these, whether it is open or not; -1 where it names none. */
int rf_named_descriptor(const char *path);

/* Opens `path` and empties it. Where it names a descriptor that this process was started with, that is written to as it
 * stands: what its file holds stays, and what others write to it comes between. NULL, with errno set, on failure. */
FILE *rf_write_file(const char *path);

/* Writes all of `size` bytes; where the disk is full or a file may not grow, a part may be written. False, with errno
 * set, on failure. */
bool rf_write_all(int fd, const char *data, size_t size);

#endif /* RINGFENCE_TOOLS_BASE_WRITE_FILE_H */
