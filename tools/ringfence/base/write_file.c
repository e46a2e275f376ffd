#include "tools/ringfence/base/write_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Links lead on from one to the next, as from /dev/stdout; the loops among them are cut off. */
enum { LINKS_MAX = 8 };

static bool is_same_folder(const char *folder, const char *other) {
  char resolved[PATH_MAX];
  return realpath(other, resolved) != NULL && strcmp(folder, resolved) == 0;
}

static bool is_of_descriptors(const char *folder) {
  return is_same_folder(folder, "/proc/self/fd") || is_same_folder(folder, "/proc/thread-self/fd");
}

/* Splits `path` into its folder, resolved, and its last part. */
static const char *split(const char *path, char folder[PATH_MAX]) {
  const char *const slash = strrchr(path, '/');
  size_t const length = slash == NULL ? 1 : (size_t)(slash - path) + 1;
  char named[PATH_MAX];
  if (length >= sizeof named) {
    return NULL;
  }
  memcpy(named, slash == NULL ? "." : path, length);
  named[length] = '\0';
  return realpath(named, folder) == NULL ? NULL : slash == NULL ? path : slash + 1;
}

/* Follows the link that `path` is; false where it is none. */
static bool follow(char path[PATH_MAX], const char *folder, const char *name) {
  char target[PATH_MAX];
  char link[PATH_MAX];
  int const needed = snprintf(link, sizeof link, "%s/%s", folder, name);
  ssize_t const length = needed > 0 && needed < (int)sizeof link ? readlink(link, target, sizeof target - 1) : -1;
  if (length <= 0) {
    return false;
  }
  target[length] = '\0';
  int const whole =
      target[0] == '/' ? snprintf(path, PATH_MAX, "%s", target) : snprintf(path, PATH_MAX, "%s/%s", folder, target);
  return whole > 0 && whole < PATH_MAX;
}

int rf_named_descriptor(const char *path) {
  char at[PATH_MAX];
  char folder[PATH_MAX];
  bool more = strlen(path) < sizeof at;
  if (more) {
    memcpy(at, path, strlen(path) + 1);
  }
  for (unsigned i = 0; more && i < LINKS_MAX; i++) {
    const char *const name = split(at, folder);
    if (name == NULL) {
      return -1;
    }
    if (name[0] != '\0' && name[strspn(name, "0123456789")] == '\0' && is_of_descriptors(folder)) {
      long const number = strtol(name, NULL, 10);
      return number > INT_MAX ? INT_MAX : (int)number;
    }
    more = follow(at, folder, name);
  }
  return -1;
}

/* One that is closed on exec is a file of this process's own, which got a number that was free. */
static int duplicate(int fd) {
  int const flags = fcntl(fd, F_GETFD);
  if (flags >= 0 && (flags & FD_CLOEXEC) != 0) {
    errno = EBADF;
    return -1;
  }
  return flags < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

FILE *rf_write_file(const char *path) {
  int const named = rf_named_descriptor(path);
  if (named < 0) {
    return fopen(path, "we");
  }
  int const fd = duplicate(named);
  FILE *const file = fd < 0 ? NULL : fdopen(fd, "we");
  if (file == NULL && fd >= 0) {
    int const error = errno == EINVAL ? EBADF : errno; /* it is open to be read alone */
    (void)close(fd);
    errno = error;
  }
  return file;
}

bool rf_write_all(int fd, const char *data, size_t size) {
  while (size != 0) {
    ssize_t const written = write(fd, data, size);
    if (written > 0) {
      data += written;
      size -= (size_t)written;
    } else if (written == 0 || errno != EINTR) {
      errno = written == 0 ? ENOSPC : errno;
      return false;
    }
  }
  return true;
}
