/* Preloaded: each time that a file's contents have reached the disk, the file RF_SYNCS gets a byte. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int counted(long status) {
  const char *const path = getenv("RF_SYNCS");
  int const file = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file >= 0) {
    (void)!write(file, "s", 1);
    (void)close(file);
  }
  return (int)status;
}

int fsync(int fd) {
  return counted(syscall(SYS_fsync, fd));
}

int fdatasync(int fd) {
  return counted(syscall(SYS_fdatasync, fd));
}
