#define _GNU_SOURCE
#include "kept_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define FROM 1000

void rf_kept_file_keep(rf_kept_file *kept, int file) {
  struct rlimit limit;
  struct stat identity;
  int from = FROM;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= FROM) {
    from = (int)limit.rlim_cur / 2;
  }
  *kept = (rf_kept_file){.descriptor = -1};
  if (fstat(file, &identity) == 0) {
    *kept = (rf_kept_file){fcntl(file, F_DUPFD_CLOEXEC, from), identity.st_dev, identity.st_ino};
  }
}

bool rf_kept_file_is_there(const rf_kept_file *kept) {
  struct stat now;
  return kept->descriptor > 0 && fstat(kept->descriptor, &now) == 0 && now.st_dev == kept->device &&
         now.st_ino == kept->inode;
}
