/* Exits with a bit for each standard stream that is closed. */
#include <fcntl.h>

int main(void) {
  int closed = 0;
  for (int fd = 0; fd < 3; fd++) {
    closed |= fcntl(fd, F_GETFD) < 0 ? 1 << fd : 0;
  }
  return closed;
}
