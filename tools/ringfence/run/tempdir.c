#include "tools/ringfence/run/tempdir.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/write_file.h"
#include "tools/ringfence/run/file_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Options are separated by colons, libraries by colons and spaces, and % begins a placeholder. */
static bool is_plain(const char *path) {
  return path[0] == '/' && strpbrk(path, ": \t\n\"'\\%$") == NULL;
}

/* A full file system still makes folders: only writing shows that it is full. */
static bool takes_data(const char *folder, rf_bump_arena *arena) {
  static const char block[4096];
  const char *const file = rf_bump_arena_print(arena, "%s/probe", folder);
  int const fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    return false;
  }
  bool const written = rf_write_all(fd, block, sizeof block);
  int const why = errno;
  (void)close(fd);
  (void)unlink(file);
  errno = why;
  return written;
}

static const char *make_in(const char *parent, rf_bump_arena *arena) {
  char *const folder = rf_bump_arena_print(arena, "%s/ringfence-XXXXXX", parent);
  errno = 0;
  if (mkdtemp(folder) == NULL) {
    return NULL;
  }
  if (!takes_data(folder, arena)) {
    int const why = errno;
    (void)rmdir(folder);
    errno = why;
    return NULL;
  }
  return folder;
}

const char *rf_tempdir_make(rf_bump_arena *arena) {
  const char *const wished = getenv("TMPDIR");
  const char *const parents[] = {wished != NULL && is_plain(wished) ? wished : "/tmp", "/tmp", "/var/tmp", "/dev/shm"};
  int why = 0;
  for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
    const char *folder = make_in(parents[i], arena);
    if (folder == NULL && errno == EFBIG && rf_file_limit_raise()) {
      folder = make_in(parents[i], arena);
    }
    if (folder != NULL) {
      return folder;
    }
    why = why == 0 ? errno : why;
  }
  if (why == EFBIG) {
    rf_diag("cannot write records: the limit for sizes of files (ulimit -f) is too low");
    return NULL;
  }
  rf_diag("cannot write to %s (%s), nor to any other folder for temporary files; set TMPDIR to one with space",
          parents[0], strerror(why));
  return NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place) {
  (void)st;
  (void)place;
  (void)(type == FTW_DP || type == FTW_DNR ? rmdir(path) : unlink(path));
  return 0;
}

void rf_tempdir_remove(const char *folder) {
  enum { OPEN_AT_ONCE = 8 };
  (void)nftw(folder, remove_one, OPEN_AT_ONCE, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
