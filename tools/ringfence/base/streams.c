#include "tools/ringfence/base/streams.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

enum { STREAMS = 3 };

static bool was_closed[STREAMS];
static struct sigaction on_large_file;

void rf_streams_hold(void) {
  struct sigaction const ignore = {.sa_handler = SIG_IGN};
  (void)sigaction(SIGXFSZ, &ignore, &on_large_file);
  for (int fd = 0; fd < STREAMS; fd++) {
    if (fcntl(fd, F_GETFD) < 0) {
      was_closed[fd] = true;
      /* open returns the lowest free descriptor, which is `fd`. */
      (void)open("/dev/null", O_RDWR);
    }
  }
}

bool rf_streams_was_closed(int fd) {
  return was_closed[fd];
}

void rf_streams_give_back(void) {
  (void)sigaction(SIGXFSZ, &on_large_file, NULL);
  for (int fd = 0; fd < STREAMS; fd++) {
    if (was_closed[fd]) {
      (void)close(fd);
    }
  }
}
