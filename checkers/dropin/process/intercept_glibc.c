/* Functions of glibc's that no other C library has: twins of those in intercept_files.c and intercept_transfer.c for
 * files beyond 2 GiB, and what calls become that the compiler checks (_FORTIFY_SOURCE). Only in the library. */
#ifdef _FORTIFY_SOURCE
#undef _FORTIFY_SOURCE
#endif
#define _GNU_SOURCE
#include "checkers/dropin/os/libc.h"
#include "intercept_files.h"
#include "intercept_fortify.h"
#include "intercept_transfer.h"
#include "stream_buffer.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t at, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t n, size_t room, int flags, __SOCKADDR_ARG from,
                       socklen_t *restrict length);
size_t __fread_chk(void *restrict buf, size_t room, size_t size, size_t n, FILE *restrict stream);
size_t __fread_unlocked_chk(void *restrict buf, size_t room, size_t size, size_t n, FILE *restrict stream);

#define EACH(with)                                                                                                     \
  with(fflush) with(fflush_unlocked) with(freopen64) with(pread64) with(pwrite64) with(preadv64) with(pwritev64)       \
      with(__read_chk) with(__pread_chk) with(__pread64_chk) with(__recv_chk) with(__recvfrom_chk) with(__fread_chk)   \
          with(__fread_unlocked_chk) with(preadv2) with(pwritev2) with(preadv64v2) with(pwritev64v2)

THEIRS_BY(rf_intercept_glibc_init, pread64)

void rf_intercept_glibc_end(void) {
#if __SIZEOF_LONG__ == 8
  theirs.pread64 = pread; /* ours, which has ended */
#endif
}

#define FLUSHES(name)                                                                                                  \
  RF_EXPORT int name(FILE *stream) {                                                                                   \
    rf_origin const origin = RF_CALLER;                                                                                \
    find_theirs();                                                                                                     \
    rf_stream_buffer_look(stream, &origin);                                                                            \
    return theirs.name(stream);                                                                                        \
  }

FLUSHES(fflush)
FLUSHES(fflush_unlocked)

RF_EXPORT FILE *freopen64(const char *filename, const char *modes, FILE *stream) {
  rf_origin const origin = RF_CALLER;
  find_theirs();
  rf_intercept_reopening(stream, &origin);
  return rf_intercept_reopened(theirs.freopen64(filename, modes, stream));
}

INTO(pread64, (int fd, void *buf, size_t n, off64_t at), (fd, buf, n, at))
INTO(__read_chk, (int fd, void *buf, size_t n, size_t room), (fd, FITTING(buf, n, room), n, room))
INTO(__pread_chk, (int fd, void *buf, size_t n, off_t at, size_t room), (fd, FITTING(buf, n, room), n, at, room))
INTO(__pread64_chk, (int fd, void *buf, size_t n, off64_t at, size_t room), (fd, FITTING(buf, n, room), n, at, room))
INTO(__recv_chk, (int fd, void *buf, size_t n, size_t room, int flags), (fd, FITTING(buf, n, room), n, room, flags))
RECEIVES(__recvfrom_chk,
         (int fd, void *restrict buf, size_t n, size_t room, int flags, __SOCKADDR_ARG from,
          socklen_t *restrict length),
         (fd, FITTING(buf, n, room), n, room, flags, from, length))

OUT_OF(pwrite64, (int fd, const void *buf, size_t n, off64_t at), (fd, buf, n, at))

LISTS(preadv64, (int fd, const struct iovec *list, int count, off64_t at), (fd, list, count, at), RF_ACCESS_WRITE)
LISTS(pwritev64, (int fd, const struct iovec *list, int count, off64_t at), (fd, list, count, at), RF_ACCESS_READ)

#define WITH_FLAGS(name, offset, access)                                                                               \
  LISTS(name, (int fd, const struct iovec *list, int count, offset at, int flags), (fd, list, count, at, flags), access)

WITH_FLAGS(preadv2, off_t, RF_ACCESS_WRITE)
WITH_FLAGS(pwritev2, off_t, RF_ACCESS_READ)
WITH_FLAGS(preadv64v2, off64_t, RF_ACCESS_WRITE)
WITH_FLAGS(pwritev64v2, off64_t, RF_ACCESS_READ)

STREAMS(__fread_chk, (void *restrict buf, size_t room, size_t size, size_t n, FILE *restrict stream),
        (FITTING(buf, rf_fortify_size(size, n), room), room, size, n, stream), RF_ACCESS_WRITE)
STREAMS(__fread_unlocked_chk, (void *restrict buf, size_t room, size_t size, size_t n, FILE *restrict stream),
        (FITTING(buf, rf_fortify_size(size, n), room), room, size, n, stream), RF_ACCESS_WRITE)
