/* Exits with a bit for each standard stream that is closed, and prints what other descriptors are open. */
#include <fcntl.h>
#include <stdio.h>

int main(void) {
  int status = 0;
  for (int fd = 0; fd < 3; fd++) {
    status |= fcntl(fd, F_GETFD) < 0 ? 1 << fd : 0;
  }
  for (int fd = 3; fd < 1024; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) {
      printf("%d ", fd);
    }
  }
  return status;
}
