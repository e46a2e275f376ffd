#include "tools/ringfence/base/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Files in /proc have no size: the buffer doubles until all fits. */
char *rf_read_all(rf_bump_arena *arena, int fd, size_t *length) {
  size_t room = 4096;
  char *text = (char *)rf_bump_arena_alloc(arena, room);
  *length = 0;
  for (;;) {
    ssize_t const n = read(fd, text + *length, room - *length - 1);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return NULL;
    }
    if (n == 0) {
      return text;
    }
    *length += (size_t)n;
    if (*length == room - 1) {
      char *const larger = (char *)rf_bump_arena_alloc(arena, 2 * room);
      memcpy(larger, text, *length);
      text = larger;
      room *= 2;
    }
  }
}

char *rf_read_file(rf_bump_arena *arena, const char *path, size_t *length) {
  int const fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) {
    return NULL;
  }
  char *const text = rf_read_all(arena, fd, length);
  int const error = errno;
  (void)close(fd);
  errno = error;
  return text;
}
