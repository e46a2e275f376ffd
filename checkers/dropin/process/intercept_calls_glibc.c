/* Calls that tell the system of the program's memory by its address: names of files, structures, lists.
 *
 * As with those that move data (intercept_transfer.c), closed memory makes such a call fail with EFAULT, and the
 * program goes another way. So the memory is looked at after that failure. The call itself, its result and errno are as
 * without; it stays a cancellation point. Only in the library, and of glibc: other C libraries have other structures.
 *
 * Complexity: a comparison where the call succeeds. Threads and signal handlers: as the functions behind.
 */
#ifdef _FORTIFY_SOURCE
#undef _FORTIFY_SOURCE
#endif
#define _GNU_SOURCE
#include "intercept_files.h"
#include "intercept_fortify.h"
#include "intercept_transfer.h"

#include <aio.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include "checkers/os/host.h"
#include "lib/core/compiler.h"

int __poll_chk(struct pollfd *list, nfds_t n, int ms, size_t room);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
ssize_t __readlink_chk(const char *restrict path, char *restrict buf, size_t n, size_t room);

#define OPENING(with)                                                                                                  \
  with(open) with(open64) with(openat) with(openat64) with(__open_2) with(__open64_2) with(__openat_2)                 \
      with(__openat64_2) with(creat) with(creat64) with(opendir) with(fopen) with(fopen64)
#define NAMED(with)                                                                                                    \
  with(access) with(faccessat) with(chdir) with(chmod) with(fchmodat) with(chown) with(lchown) with(fchownat)          \
      with(mkdir) with(mkdirat) with(mkfifo) with(rmdir) with(unlink) with(unlinkat) with(rename) with(renameat)       \
          with(renameat2) with(link) with(linkat) with(symlink) with(symlinkat) with(truncate) with(truncate64)
#define KNOWN(with)                                                                                                    \
  with(stat) with(lstat) with(fstatat) with(stat64) with(lstat64) with(fstatat64) with(statx) with(statfs)             \
      with(statfs64) with(readlink) with(readlinkat) with(__readlink_chk) with(utime) with(utimes) with(utimensat)     \
          with(getdents64) with(getcwd) with(fstat) with(fstat64)
#define SOCKETS(with)                                                                                                  \
  with(connect) with(bind) with(getsockname) with(getpeername) with(accept) with(accept4) with(getsockopt)             \
      with(setsockopt) with(socketpair) with(sendmmsg) with(recvmmsg)
#define OTHERS(with)                                                                                                   \
  with(poll) with(__poll_chk) with(ppoll) with(select) with(epoll_ctl) with(epoll_wait) with(epoll_pwait) with(pipe)   \
      with(pipe2) with(getrandom) with(ioctl) with(getgroups) with(setgroups) with(aio_error) with(aio_return)         \
          with(aio_error64) with(aio_return64) with(uname) with(waitpid) with(wait4)
#define EACH(with) OPENING(with) NAMED(with) KNOWN(with) SOCKETS(with) OTHERS(with)

THEIRS_BY(rf_intercept_calls_init, open)

static bool ended;

void rf_intercept_calls_end(void) {
  ended = true;
}

/* ---- Looking ---- */

#define NAME(s) ((rf_transfer_piece){(s), 0, RF_ACCESS_READ, true})
#define READS(p, n) ((rf_transfer_piece){(p), (n), RF_ACCESS_READ, false})
#define WRITES(p, n) ((rf_transfer_piece){(p), (n), RF_ACCESS_WRITE, false})

#define LOOK(...)                                                                                                      \
  const rf_transfer_piece pieces[] = {__VA_ARGS__};                                                                    \
  rf_origin const origin = RF_CALLER;                                                                                  \
  rf_transfer_look_pieces(pieces, sizeof pieces / sizeof pieces[0], &origin)

/* The function behind was found, and its library has not ended. */
#define IS_BEHIND(name) RF_LIKELY(theirs.name != NULL && !ended)

/* A function that gives `failed` where it fails; `begins` does its work where there is none behind. */
#define CALL_FIRST(begins, type, failed, name, parameters, arguments, ...)                                             \
  RF_COLD RF_EXPORT type name parameters {                                                                             \
    type const result = IS_BEHIND(name) ? theirs.name arguments : (begins);                                            \
    if (WATCHING && result == (failed) && errno == EFAULT) {                                                           \
      LOOK(__VA_ARGS__);                                                                                               \
    }                                                                                                                  \
    return result;                                                                                                     \
  }
#define CALL_AS(type, failed, name, parameters, arguments, ...)                                                        \
  CALL_FIRST((find_theirs(), theirs.name arguments), type, failed, name, parameters, arguments, __VA_ARGS__)
#define CALL(name, parameters, arguments, ...) CALL_AS(int, -1, name, parameters, arguments, __VA_ARGS__)

/* The library's own code calls these, too, before the dynamic linker may be asked, and in the end. */
#define CALL_OWN(name, parameters, arguments, begins, ...)                                                             \
  CALL_FIRST((int)syscall begins, int, -1, name, parameters, arguments, __VA_ARGS__)

/* ---- Names of files ---- */

#define OPEN(name, parameters, last, arguments, begins)                                                                \
  RF_COLD RF_EXPORT int name parameters {                                                                              \
    mode_t mode = 0;                                                                                                   \
    if (((last) & (O_CREAT | O_TMPFILE)) != 0) {                                                                       \
      va_list list;                                                                                                    \
      va_start(list, last);                                                                                            \
      mode = va_arg(list, mode_t);                                                                                     \
      va_end(list);                                                                                                    \
    }                                                                                                                  \
    int const result = IS_BEHIND(name) ? theirs.name arguments : (int)syscall begins;                                  \
    if (WATCHING && result == -1 && errno == EFAULT) {                                                                 \
      LOOK(NAME(path));                                                                                                \
    }                                                                                                                  \
    return result;                                                                                                     \
  }

#ifndef O_LARGEFILE
#define O_LARGEFILE 0
#endif
OPEN(open, (const char *path, int flags, ...), flags, (path, flags, mode), (SYS_openat, AT_FDCWD, path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), flags, (path, flags, mode),
     (SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode))
OPEN(openat, (int at, const char *path, int flags, ...), flags, (at, path, flags, mode),
     (SYS_openat, at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), flags, (at, path, flags, mode),
     (SYS_openat, at, path, flags | O_LARGEFILE, mode))
CALL(__open_2, (const char *path, int flags), (path, flags), NAME(path))
CALL(__open64_2, (const char *path, int flags), (path, flags), NAME(path))
CALL(__openat_2, (int at, const char *path, int flags), (at, path, flags), NAME(path))
CALL(__openat64_2, (int at, const char *path, int flags), (at, path, flags), NAME(path))
CALL(creat, (const char *path, mode_t mode), (path, mode), NAME(path))
CALL(creat64, (const char *path, mode_t mode), (path, mode), NAME(path))

CALL_OWN(access, (const char *path, int how), (path, how), (SYS_faccessat, AT_FDCWD, path, how), NAME(path))
CALL_OWN(mkdir, (const char *path, mode_t mode), (path, mode), (SYS_mkdirat, AT_FDCWD, path, mode), NAME(path))
CALL_OWN(mkdirat, (int at, const char *path, mode_t mode), (at, path, mode), (SYS_mkdirat, at, path, mode), NAME(path))
CALL_OWN(unlinkat, (int at, const char *path, int flags), (at, path, flags), (SYS_unlinkat, at, path, flags),
         NAME(path))
CALL_OWN(linkat, (int at, const char *old, int to, const char *path, int flags), (at, old, to, path, flags),
         (SYS_linkat, at, old, to, path, flags), NAME(old), NAME(path))
CALL(faccessat, (int at, const char *path, int how, int flags), (at, path, how, flags), NAME(path))
CALL(chdir, (const char *path), (path), NAME(path))
CALL(chmod, (const char *path, mode_t mode), (path, mode), NAME(path))
CALL(fchmodat, (int at, const char *path, mode_t mode, int flags), (at, path, mode, flags), NAME(path))
CALL(chown, (const char *path, uid_t user, gid_t group), (path, user, group), NAME(path))
CALL(lchown, (const char *path, uid_t user, gid_t group), (path, user, group), NAME(path))
CALL(fchownat, (int at, const char *path, uid_t user, gid_t group, int flags), (at, path, user, group, flags),
     NAME(path))
CALL(mkfifo, (const char *path, mode_t mode), (path, mode), NAME(path))
CALL(rmdir, (const char *path), (path), NAME(path))
CALL(unlink, (const char *path), (path), NAME(path))
CALL(rename, (const char *old, const char *path), (old, path), NAME(old), NAME(path))
CALL(renameat, (int at, const char *old, int to, const char *path), (at, old, to, path), NAME(old), NAME(path))
CALL(renameat2, (int at, const char *old, int to, const char *path, unsigned flags), (at, old, to, path, flags),
     NAME(old), NAME(path))
CALL(link, (const char *old, const char *path), (old, path), NAME(old), NAME(path))
CALL(symlink, (const char *old, const char *path), (old, path), NAME(old), NAME(path))
CALL(symlinkat, (const char *old, int to, const char *path), (old, to, path), NAME(old), NAME(path))
CALL(truncate, (const char *path, off_t length), (path, length), NAME(path))
CALL(truncate64, (const char *path, off64_t length), (path, length), NAME(path))
CALL_AS(DIR *, NULL, opendir, (const char *path), (path), NAME(path))
CALL_AS(FILE *, NULL, fopen, (const char *restrict path, const char *restrict mode), (path, mode), NAME(path))
CALL_AS(FILE *, NULL, fopen64, (const char *restrict path, const char *restrict mode), (path, mode), NAME(path))

/* ---- What is known of files ---- */

#define STAT(name, type, parameters, arguments)                                                                        \
  CALL(name, parameters, arguments, NAME(path), WRITES(out, sizeof(struct type)))
#if defined(SYS_newfstatat) && __SIZEOF_LONG__ == 8 /* the kernel's structure is the C library's */
#define FSTAT_BEGINS (int)syscall(SYS_fstat, fd, out)
#define STAT_OWN(name, parameters, arguments, at, flags)                                                               \
  CALL_OWN(name, parameters, arguments, (SYS_newfstatat, at, path, out, flags), NAME(path),                            \
           WRITES(out, sizeof(struct stat)))
#else
#define FSTAT_BEGINS (find_theirs(), theirs.fstat(fd, out))
#define STAT_OWN(name, parameters, arguments, at, flags) STAT(name, stat, parameters, arguments)
#endif
STAT_OWN(stat, (const char *restrict path, struct stat *restrict out), (path, out), AT_FDCWD, 0)
STAT_OWN(lstat, (const char *restrict path, struct stat *restrict out), (path, out), AT_FDCWD, AT_SYMLINK_NOFOLLOW)
STAT_OWN(fstatat, (int at, const char *restrict path, struct stat *restrict out, int flags), (at, path, out, flags), at,
         flags)
CALL_FIRST(FSTAT_BEGINS, int, -1, fstat, (int fd, struct stat *out), (fd, out), WRITES(out, sizeof *out))
CALL(fstat64, (int fd, struct stat64 *out), (fd, out), WRITES(out, sizeof *out))
STAT(stat64, stat64, (const char *restrict path, struct stat64 *restrict out), (path, out))
STAT(lstat64, stat64, (const char *restrict path, struct stat64 *restrict out), (path, out))
STAT(fstatat64, stat64, (int at, const char *restrict path, struct stat64 *restrict out, int flags),
     (at, path, out, flags))
STAT(statx, statx, (int at, const char *restrict path, int flags, unsigned mask, struct statx *restrict out),
     (at, path, flags, mask, out))
STAT(statfs, statfs, (const char *path, struct statfs *out), (path, out))
STAT(statfs64, statfs64, (const char *path, struct statfs64 *out), (path, out))

CALL_FIRST(syscall(SYS_readlinkat, AT_FDCWD, path, buf, n), ssize_t, -1, readlink,
           (const char *restrict path, char *restrict buf, size_t n), (path, buf, n), NAME(path), WRITES(buf, n))
CALL_AS(ssize_t, -1, readlinkat, (int at, const char *restrict path, char *restrict buf, size_t n), (at, path, buf, n),
        NAME(path), WRITES(buf, n))
CALL_AS(ssize_t, -1, __readlink_chk, (const char *restrict path, char *restrict buf, size_t n, size_t room),
        (path, FITTING(buf, n, room), n, room), NAME(path), WRITES(buf, n))
CALL(utime, (const char *path, const struct utimbuf *times), (path, times), NAME(path), READS(times, sizeof *times))
CALL(utimes, (const char *path, const struct timeval times[2]), (path, times), NAME(path),
     READS(times, 2 * sizeof *times))
CALL(utimensat, (int at, const char *path, const struct timespec times[2], int flags), (at, path, times, flags),
     NAME(path), READS(times, 2 * sizeof *times))
CALL_AS(ssize_t, -1, getdents64, (int fd, void *buf, size_t n), (fd, buf, n), WRITES(buf, n))

static char *folder_at_first(char *buf, size_t n) {
  if (buf != NULL) {
    return syscall(SYS_getcwd, buf, n) > 0 ? buf : NULL;
  }
  find_theirs();
  return theirs.getcwd(buf, n);
}

CALL_FIRST(folder_at_first(buf, n), char *, NULL, getcwd, (char *buf, size_t n), (buf, n), WRITES(buf, n))

/* ---- Sockets ---- */

CALL(connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t length), (fd, to, length), READS(to.__sockaddr__, length))
CALL(bind, (int fd, __CONST_SOCKADDR_ARG to, socklen_t length), (fd, to, length), READS(to.__sockaddr__, length))
#define ADDRESS READS(length, sizeof *length), WRITES(from.__sockaddr__, rf_transfer_length_at(length))
CALL(getsockname, (int fd, __SOCKADDR_ARG from, socklen_t *restrict length), (fd, from, length), ADDRESS)
CALL(getpeername, (int fd, __SOCKADDR_ARG from, socklen_t *restrict length), (fd, from, length), ADDRESS)
CALL(accept, (int fd, __SOCKADDR_ARG from, socklen_t *restrict length), (fd, from, length), ADDRESS)
CALL(accept4, (int fd, __SOCKADDR_ARG from, socklen_t *restrict length, int flags), (fd, from, length, flags), ADDRESS)
CALL_OWN(getsockopt, (int fd, int level, int option, void *restrict out, socklen_t *restrict length),
         (fd, level, option, out, length), (SYS_getsockopt, fd, level, option, out, length),
         READS(length, sizeof *length), WRITES(out, rf_transfer_length_at(length)))
CALL_OWN(setsockopt, (int fd, int level, int option, const void *value, socklen_t length),
         (fd, level, option, value, length), (SYS_setsockopt, fd, level, option, value, length), READS(value, length))
CALL(socketpair, (int domain, int type, int protocol, int fds[2]), (domain, type, protocol, fds),
     WRITES(fds, 2 * sizeof *fds))

/* The first piece of the first message, which is the one that made the call fail: it moves what it can. */
static struct iovec first_of(const struct mmsghdr *list) {
  struct iovec const none = {NULL, 0};
  bool const has_one = rf_host_readable(list, sizeof *list) && list->msg_hdr.msg_iovlen != 0 &&
                       rf_host_readable(list->msg_hdr.msg_iov, sizeof none);
  return has_one ? list->msg_hdr.msg_iov[0] : none;
}

CALL(sendmmsg, (int fd, struct mmsghdr *list, unsigned n, int flags), (fd, list, n, flags),
     WRITES(list, n * sizeof *list), READS(first_of(list).iov_base, first_of(list).iov_len))
CALL(recvmmsg, (int fd, struct mmsghdr *list, unsigned n, int flags, struct timespec *limit),
     (fd, list, n, flags, limit), WRITES(list, n * sizeof *list),
     WRITES(first_of(list).iov_base, first_of(list).iov_len))

/* ---- Waiting ---- */

#define FDS (((size_t)n + 8 * sizeof(long) - 1) / (8 * sizeof(long)) * sizeof(long))
#if defined(SYS_poll)
CALL_OWN(poll, (struct pollfd * list, nfds_t n, int ms), (list, n, ms), (SYS_poll, list, n, ms),
         WRITES(list, n * sizeof *list))
#else
CALL(poll, (struct pollfd * list, nfds_t n, int ms), (list, n, ms), WRITES(list, n * sizeof *list))
#endif
CALL(__poll_chk, (struct pollfd * list, nfds_t n, int ms, size_t room),
     (FITTING(list, rf_fortify_size(sizeof *list, n), room), n, ms, room), WRITES(list, n * sizeof *list))
CALL(ppoll, (struct pollfd * list, nfds_t n, const struct timespec *limit, const sigset_t *mask),
     (list, n, limit, mask), WRITES(list, n * sizeof *list))
CALL(select, (int n, fd_set *restrict in, fd_set *restrict out, fd_set *restrict other, struct timeval *restrict limit),
     (n, in, out, other, limit), WRITES(in, FDS), WRITES(out, FDS), WRITES(other, FDS))
CALL(epoll_ctl, (int epoll, int what, int fd, struct epoll_event *event), (epoll, what, fd, event),
     READS(event, sizeof *event))
CALL(epoll_wait, (int epoll, struct epoll_event *list, int n, int ms), (epoll, list, n, ms),
     WRITES(list, (size_t)n * sizeof *list))
CALL(epoll_pwait, (int epoll, struct epoll_event *list, int n, int ms, const sigset_t *mask),
     (epoll, list, n, ms, mask), WRITES(list, (size_t)n * sizeof *list))

/* ---- The rest ---- */

CALL(pipe, (int fds[2]), (fds), WRITES(fds, 2 * sizeof *fds))
CALL_OWN(pipe2, (int fds[2], int flags), (fds, flags), (SYS_pipe2, fds, flags), WRITES(fds, 2 * sizeof *fds))
INTO(getrandom, (void *buf, size_t n, unsigned flags), (buf, n, flags))
CALL_OWN(uname, (struct utsname * out), (out), (SYS_uname, out), WRITES(out, sizeof *out))
CALL_FIRST((pid_t)syscall(SYS_wait4, child, status, options, NULL), pid_t, -1, waitpid,
           (pid_t child, int *status, int options), (child, status, options), WRITES(status, sizeof *status))
CALL_AS(pid_t, -1, wait4, (pid_t child, int *status, int options, struct rusage *use), (child, status, options, use),
        WRITES(status, sizeof *status), WRITES(use, sizeof *use))
CALL(getgroups, (int n, gid_t *list), (n, list), WRITES(list, (size_t)n * sizeof *list))
CALL(setgroups, (size_t n, const gid_t *list), (n, list), READS(list, n * sizeof *list))

/* How much of the memory at its argument a request is about: it says so itself, or is one of the old ones that are
 * common; of others the first byte counts. */
static size_t size_of_request(unsigned long request) {
  switch (request) {
  case FIONREAD:
  case TIOCOUTQ:
  case FIONBIO:
    return sizeof(int);
  case TIOCGWINSZ:
  case TIOCSWINSZ:
    return sizeof(struct winsize);
  default:
    return _IOC_SIZE(request) != 0 ? _IOC_SIZE(request) : 1;
  }
}

RF_EXPORT int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void *const argument = va_arg(list, void *);
  va_end(list);
  find_theirs();
  int const result = theirs.ioctl(fd, request, argument);
  if (WATCHING && result == -1 && errno == EFAULT) {
    LOOK(WRITES(argument, size_of_request(request)));
  }
  return result;
}

/* The thread that does the work is the C library's; the program hears of it here. */
#define AIO(suffix)                                                                                                    \
  RF_EXPORT ssize_t aio_return##suffix(struct aiocb##suffix *block) {                                                  \
    find_theirs();                                                                                                     \
    bool const refused = WATCHING && theirs.aio_error##suffix(block) == EFAULT;                                        \
    if (refused) {                                                                                                     \
      rf_access const access = block->aio_lio_opcode == LIO_WRITE ? RF_ACCESS_READ : RF_ACCESS_WRITE;                  \
      LOOK((rf_transfer_piece){(const void *)(uintptr_t)block->aio_buf, block->aio_nbytes, access, false});            \
    }                                                                                                                  \
    return theirs.aio_return##suffix(block);                                                                           \
  }                                                                                                                    \
  RF_EXPORT int aio_error##suffix(const struct aiocb##suffix *block) {                                                 \
    find_theirs();                                                                                                     \
    return theirs.aio_error##suffix(block);                                                                            \
  }
AIO()
AIO(64)
