/* Copies descriptors in all ways and prints the results: the drop-in, which looks at copies to 2, changes nothing.
 * `alone` begins anew without a standard input; `lowest` says which descriptor the next file has. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static FILE *out;

static void told(const char *what, int result) {
  fprintf(out, "%s: %d %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void copies_of(const char *kind, int fd) {
  int const high = 50;
  fprintf(out, "-- %s\n", kind);
  int const copy = dup(fd);
  fprintf(out, "dup: %s, flags %d\n", copy < 0 ? strerror(errno) : "a copy", fcntl(copy, F_GETFL) & O_ACCMODE);
  told("dup2", dup2(fd, high));
  told("its descriptor's flags", fcntl(high, F_GETFD));
  told("dup2 to itself", dup2(fd, fd));
  told("dup3", dup3(fd, high, O_CLOEXEC));
  told("its descriptor's flags", fcntl(high, F_GETFD));
  told("dup3 to itself", dup3(fd, fd, 0));
  told("dup3 with wrong flags", dup3(fd, high, 1));
  told("dup2 to none", dup2(fd, -1));
  close(copy);
  told("close", close(high));
}

static int begin_without_input(const char *name) {
  close(STDIN_FILENO);
  execl("/proc/self/exe", name, "lowest", (char *)NULL);
  return 1;
}

int main(int argc, char **argv) {
  int ends[2];
  char text[4] = "";
  if (argc > 1 && strcmp(argv[1], "alone") == 0) {
    return begin_without_input(argv[0]);
  }
  if (argc > 1) {
    return printf("%d\n", open("/dev/null", O_RDONLY)) < 0;
  }
  out = fdopen(dup(STDOUT_FILENO), "w");
  copies_of("to be read", open("/dev/null", O_RDONLY));
  copies_of("to be written", open("/dev/null", O_WRONLY));
  copies_of("both", open("/dev/null", O_RDWR));
  copies_of("none", 99);
  copies_of("negative", -1);
  if (pipe(ends) != 0) {
    return 1;
  }
  copies_of("whose flags are 0", ends[0]);
  if (dup2(ends[1], STDERR_FILENO) == STDERR_FILENO && write(STDERR_FILENO, "abc", 3) == 3) {
    told("read", (int)read(ends[0], text, 3));
    fprintf(out, "%s\n", text);
  }
  told("freopen of none", freopen("/none/such", "w", stderr) == NULL ? -1 : 0);
  return fclose(out);
}
