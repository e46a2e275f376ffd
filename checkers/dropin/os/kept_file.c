#define _GNU_SOURCE
#include "kept_file.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "checkers/os/same_file.h"

#define FROM 1000

void rf_kept_file_keep(rf_kept_file *kept, int file) {
  struct rlimit limit;
  int from = FROM;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= FROM) {
    from = (int)limit.rlim_cur / 2;
  }
  *kept = (rf_kept_file){.descriptor = -1};
  if (fstat(file, &kept->identity) == 0) {
    kept->descriptor = fcntl(file, F_DUPFD_CLOEXEC, from);
  }
}

bool rf_kept_file_is_there(const rf_kept_file *kept) {
  struct stat now;
  return kept->descriptor > 0 && fstat(kept->descriptor, &now) == 0 && rf_is_same_file(&now, &kept->identity);
}
