#include "tools/service/http/secret.h"

#include "tools/ringfence/base/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGITS_MOST = 64 };

bool rf_secret_random(char *out, size_t digits) {
  unsigned char bytes[DIGITS_MOST / 2];
  size_t const count = digits / 2;
  if (count > sizeof bytes || getrandom(bytes, count, 0) != (ssize_t)count) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    (void)snprintf(out + i * 2, 3, "%02x", bytes[i]);
  }
  return true;
}

bool rf_secret_is_equal(const char *a, const char *b) {
  size_t const length = strlen(b);
  bool const same_length = strlen(a) == length;
  unsigned difference = !same_length;
  for (size_t i = 0; i < length; i++) {
    difference |= (unsigned)(unsigned char)(a[same_length ? i : 0] ^ b[i]);
  }
  return difference == 0;
}

static bool is_private(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

const char *rf_secret_read(rf_bump_arena *arena, const char *path, const char **error) {
  int const fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    *error = strerror(errno);
    return errno == ENOENT ? "" : NULL;
  }
  size_t length = 0;
  const char *const text = is_private(fd) ? rf_read_all(arena, fd, &length) : NULL;
  (void)close(fd);
  *error = "must be a file that only its owner may read (mode 0600)";
  return text;
}
