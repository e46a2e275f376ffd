/* Exits with a bit for each standard stream that is closed, and with 8 more where another descriptor is open. */
#include <fcntl.h>

int main(void) {
  int status = 0;
  for (int fd = 0; fd < 3; fd++) {
    status |= fcntl(fd, F_GETFD) < 0 ? 1 << fd : 0;
  }
  for (int fd = 3; fd < 1024; fd++) {
    status |= fcntl(fd, F_GETFD) >= 0 ? 8 : 0;
  }
  return status;
}
