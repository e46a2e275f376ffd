#include "tools/ringfence/run/file_limit.h"

#include <errno.h>
#include <sys/resource.h>

static bool raised;
static struct rlimit before;

bool rf_file_limit_raise(void) {
  struct rlimit const none = {RLIM_INFINITY, RLIM_INFINITY};
  struct rlimit limit;
  int const saved = errno;
  if (raised || getrlimit(RLIMIT_FSIZE, &limit) != 0) {
    return false;
  }
  before = limit;
  limit.rlim_cur = limit.rlim_max;
  raised = setrlimit(RLIMIT_FSIZE, &none) == 0 ||
           (before.rlim_cur < before.rlim_max && setrlimit(RLIMIT_FSIZE, &limit) == 0);
  errno = saved;
  return raised;
}

void rf_file_limit_give_back(void) {
  if (raised) {
    (void)setrlimit(RLIMIT_FSIZE, &before);
  }
}
