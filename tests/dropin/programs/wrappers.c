/* A library that is preloaded before ours, or behind it, and stands between it and the C library, as those do that lead
 * a program's connections or files elsewhere. Each function allocates and asks the dynamic linker for the one behind,
 * all under a lock that it must not meet again meanwhile, and that is gone when the library has ended. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_locked;

__attribute__((destructor)) static void end(void) {
  is_locked = true; /* whoever asks for it from now on waits for ever */
}

static void *behind(const char *name) {
  static const char again[] = "a wrapper was called from inside of one, or after its end\n";
  if (is_locked) {
    ssize_t (*const their_write)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    (void)their_write(STDERR_FILENO, again, sizeof again - 1);
    abort();
  }
  is_locked = true;
  free(malloc(100));
  void *const function = dlsym(RTLD_NEXT, name);
  free(malloc(100000));
  is_locked = false;
  return function;
}

/* By another name in C, since headers declare some of them with "...". */
#define WRAPPER(result, name, parameters, arguments)                                                                   \
  result wrapped_##name parameters __asm__(#name);                                                                     \
  result wrapped_##name parameters {                                                                                   \
    result(*const their) parameters = behind(#name);                                                                   \
    return their arguments;                                                                                            \
  }

WRAPPER(long, syscall, (long n, long a, long b, long c, long d, long e, long f), (n, a, b, c, d, e, f))
WRAPPER(int, open, (const char *path, int flags, mode_t mode), (path, flags, mode))
WRAPPER(int, open64, (const char *path, int flags, mode_t mode), (path, flags, mode))
WRAPPER(int, openat, (int at, const char *path, int flags, mode_t mode), (at, path, flags, mode))
WRAPPER(int, close, (int fd), (fd))
WRAPPER(ssize_t, read, (int fd, void *buffer, size_t n), (fd, buffer, n))
WRAPPER(ssize_t, pread, (int fd, void *buffer, size_t n, off_t from), (fd, buffer, n, from))
WRAPPER(ssize_t, pread64, (int fd, void *buffer, size_t n, off64_t from), (fd, buffer, n, from))
WRAPPER(ssize_t, process_vm_readv,
        (pid_t id, const struct iovec *list, unsigned long count, const struct iovec *others, unsigned long n,
         unsigned long flags),
        (id, list, count, others, n, flags))
WRAPPER(ssize_t, write, (int fd, const void *buffer, size_t n), (fd, buffer, n))
WRAPPER(int, fstat, (int fd, struct stat *out), (fd, out))
WRAPPER(int, stat, (const char *path, struct stat *out), (path, out))
WRAPPER(int, lstat, (const char *path, struct stat *out), (path, out))
WRAPPER(int, fstatat, (int at, const char *path, struct stat *out, int flags), (at, path, out, flags))
WRAPPER(int, access, (const char *path, int how), (path, how))
WRAPPER(ssize_t, readlink, (const char *path, char *buffer, size_t n), (path, buffer, n))
WRAPPER(char *, getcwd, (char *buffer, size_t n), (buffer, n))
WRAPPER(int, poll, (struct pollfd * list, nfds_t n, int time), (list, n, time))
WRAPPER(ssize_t, recv, (int fd, void *buffer, size_t n, int flags), (fd, buffer, n, flags))
WRAPPER(ssize_t, sendto, (int fd, const void *buffer, size_t n, int flags, const struct sockaddr *to, socklen_t size),
        (fd, buffer, n, flags, to, size))
WRAPPER(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *size), (fd, level, name, value, size))
WRAPPER(int, uname, (struct utsname * out), (out))
WRAPPER(int, pipe2, (int fds[2], int flags), (fds, flags))
WRAPPER(int, dup2, (int fd, int to), (fd, to))
WRAPPER(pid_t, waitpid, (pid_t id, int *status, int options), (id, status, options))
WRAPPER(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAPPER(int, unlinkat, (int at, const char *path, int flags), (at, path, flags))
WRAPPER(int, madvise, (void *start, size_t size, int advice), (start, size, advice))
WRAPPER(int, mprotect, (void *start, size_t size, int rights), (start, size, rights))
WRAPPER(void *, mmap, (void *wish, size_t size, int rights, int how, int fd, off_t from),
        (wish, size, rights, how, fd, from))
WRAPPER(int, munmap, (void *start, size_t size), (start, size))
WRAPPER(void *, mremap, (void *start, size_t size, size_t new_size, int how, void *wish),
        (start, size, new_size, how, wish))
