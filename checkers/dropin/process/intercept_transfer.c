/* Calls that have the system read or write the program's memory. Only in the library.
 *
 * If that memory is closed the system raises no signal: the call fails, or stops short, and the program goes another
 * way. So each such call is looked at after its return: if it failed with EFAULT, whether any of its memory is closed;
 * if it moved less than it was told to, whether closed memory begins where it stopped. The call itself, its result and
 * errno are as without; it stays a cancellation point.
 *
 * Complexity: a load and a comparison where no blocks have pages of their own, or everything was moved. Threads and
 * signal handlers: as the functions behind; nothing is locked.
 */
#ifdef _FORTIFY_SOURCE
#undef _FORTIFY_SOURCE
#endif
#define _GNU_SOURCE
#include "intercept_transfer.h"
#include "checkers/dropin/os/libc.h"
#include "intercept_files.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkers/os/host.h"

#undef fread_unlocked /* macros where the compiler optimises */
#undef fwrite_unlocked

#define EACH(with)                                                                                                     \
  with(read) with(write) with(pread) with(pwrite) with(recv) with(send) with(recvfrom) with(sendto) with(readv)        \
      with(writev) with(preadv) with(pwritev) with(recvmsg) with(sendmsg) with(fread) with(fwrite)                     \
          with(fread_unlocked) with(fwrite_unlocked) with(process_vm_readv) with(process_vm_writev)

THEIRS_BY(rf_intercept_transfer_init, read)

static bool began;

void rf_intercept_transfer_begin(void) {
  began = true;
}

static ssize_t ask_recv(int fd, void *buf, size_t n, int flags) {
  return syscall(SYS_recvfrom, fd, buf, n, flags, NULL, NULL);
}

static ssize_t ask_readv(pid_t process, const struct iovec *list, unsigned long count, const struct iovec *others,
                         unsigned long n, unsigned long flags) {
  return syscall(SYS_process_vm_readv, process, list, count, others, n, flags);
}

static ssize_t ask_writev(pid_t process, const struct iovec *list, unsigned long count, const struct iovec *others,
                          unsigned long n, unsigned long flags) {
  return syscall(SYS_process_vm_writev, process, list, count, others, n, flags);
}

#if __SIZEOF_LONG__ == 8 /* else the place takes two arguments */
static ssize_t ask_pread(int fd, void *buf, size_t n, off_t at) {
  return syscall(SYS_pread64, fd, buf, n, at);
}
#endif

void rf_intercept_transfer_end(void) {
  began = false;
  theirs.recv = ask_recv;
  theirs.process_vm_readv = ask_readv;
  theirs.process_vm_writev = ask_writev;
#if __SIZEOF_LONG__ == 8
  theirs.pread = ask_pread;
#endif
}

/* ---- Looking ---- */

#define FAILED SIZE_MAX

/* One piece of memory of a call that moved `done` bytes of it. */
RF_RARE static bool look_at(const void *buffer, size_t size, size_t done, rf_access access, const rf_origin *origin) {
  const unsigned char *const start = (const unsigned char *)buffer;
  if (done == FAILED) {
    return rf_page_store_report_transfer(rf_guarded_blocks.store, start, size, size, access, origin);
  }
  return done < size &&
         rf_page_store_report_transfer(rf_guarded_blocks.store, start + done, 1, size - done, access, origin);
}

RF_RARE void rf_transfer_look(const void *buffer, size_t size, ssize_t result, rf_access access,
                              const rf_origin *origin) {
  int const saved = errno;
  if (result >= 0 || saved == EFAULT) {
    (void)look_at(buffer, size, result < 0 ? FAILED : (size_t)result, access, origin);
  }
  errno = saved;
}

/* True where the system could not read `size` bytes at `start`, which say where the memory is. */
static bool is_unreadable(const void *start, size_t size, const rf_origin *origin) {
  return look_at(start, size, FAILED, RF_ACCESS_READ, origin) || !rf_host_readable(start, size);
}

/* The system has used these bytes, so they can be read. */
static bool look_each(const struct iovec *list, size_t count, ssize_t result, rf_access access,
                      const rf_origin *origin) {
  size_t done = result < 0 ? FAILED : (size_t)result;
  if (count == 0 || (result < 0 && is_unreadable(list, count * sizeof *list, origin))) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (look_at(list[i].iov_base, list[i].iov_len, done, access, origin)) {
      return true;
    }
    if (done != FAILED && done < list[i].iov_len) {
      return false;
    }
    done -= done != FAILED ? list[i].iov_len : 0;
  }
  return false;
}

#define LIST_MOST 1024 /* longer ones the system refuses */

RF_RARE void rf_transfer_look_list(const struct iovec *list, int count, ssize_t result, rf_access access,
                                   const rf_origin *origin) {
  int const saved = errno;
  if ((result >= 0 || saved == EFAULT) && count > 0 && count <= LIST_MOST) {
    (void)look_each(list, (size_t)count, result, access, origin);
  }
  errno = saved;
}

RF_RARE static void look_message(const struct msghdr *message, ssize_t result, rf_access access,
                                 const rf_origin *origin) {
  int const saved = errno;
  if ((result >= 0 || (saved == EFAULT && !is_unreadable(message, sizeof *message, origin))) &&
      (size_t)message->msg_iovlen <= LIST_MOST) {
    bool const found = look_each(message->msg_iov, (size_t)message->msg_iovlen, result, access, origin);
    if (result < 0 && !found && !look_at(message->msg_name, message->msg_namelen, FAILED, access, origin)) {
      (void)look_at(message->msg_control, (size_t)message->msg_controllen, FAILED, access, origin);
    }
  }
  errno = saved;
}

#define SMALLEST_PAGE 4096U

/* Its bytes can be read up to where closed memory begins, or other memory that the system has refused. */
static bool look_at_string(const char *text, const rf_origin *origin) {
  do {
    if (look_at(text, 1, FAILED, RF_ACCESS_READ, origin)) {
      return true;
    }
    if (!rf_host_readable(text, 1)) {
      return false;
    }
    while (*text != '\0' && (uintptr_t)(text + 1) % SMALLEST_PAGE != 0) {
      text++;
    }
  } while (*text++ != '\0');
  return false;
}

RF_RARE void rf_transfer_look_pieces(const rf_transfer_piece *pieces, size_t count, const rf_origin *origin) {
  int const saved = errno;
  for (size_t i = 0; i < count; i++) {
    const rf_transfer_piece *const p = &pieces[i];
    if (p->is_string ? look_at_string((const char *)p->start, origin)
                     : p->size != 0 && look_at(p->start, p->size, FAILED, p->access, origin)) {
      break;
    }
  }
  errno = saved;
}

RF_RARE bool rf_transfer_look_strings(char *const *list, const rf_origin *origin) {
  int const saved = errno;
  bool found = false;
  for (size_t i = 0; list != NULL && !found; i++) {
    found = look_at(&list[i], sizeof list[i], FAILED, RF_ACCESS_READ, origin);
    if (found || !rf_host_readable(&list[i], sizeof list[i]) || list[i] == NULL) {
      break;
    }
    found = look_at_string(list[i], origin);
  }
  errno = saved;
  return found;
}

/* ---- The functions ---- */

INTO(pread, (int fd, void *buf, size_t n, off_t at), (fd, buf, n, at))
INTO(recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags))
RECEIVES(recvfrom, (int fd, void *restrict buf, size_t n, int flags, RF_LIBC_SOCKADDR from, socklen_t *restrict length),
         (fd, buf, n, flags, from, length))

OUT_OF(pwrite, (int fd, const void *buf, size_t n, off_t at), (fd, buf, n, at))
OUT_OF(send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags))
WITH_PIECES(sendto, (int fd, const void *buf, size_t n, int flags, RF_LIBC_CONST_SOCKADDR to, socklen_t length),
            (fd, buf, n, flags, to, length), RF_ACCESS_READ, {buf, n, RF_ACCESS_READ, false},
            {RF_LIBC_SOCKADDR_AT(to), length, RF_ACCESS_READ, false})

/* The library's own calls come here too, and before anything was found the dynamic linker must not be asked. */
#define EARLY(name, parameters, arguments, access)                                                                     \
  RF_EXPORT ssize_t name parameters {                                                                                  \
    if (RF_UNLIKELY(!began)) {                                                                                         \
      return syscall(SYS_##name, fd, buf, n);                                                                          \
    }                                                                                                                  \
    find_theirs();                                                                                                     \
    ssize_t const result = theirs.name arguments;                                                                      \
    if (WATCHING && result != (ssize_t)n) {                                                                            \
      rf_origin const origin = RF_CALLER;                                                                              \
      rf_transfer_look(buf, n, result, (access), &origin);                                                             \
    }                                                                                                                  \
    return result;                                                                                                     \
  }

EARLY(read, (int fd, void *buf, size_t n), (fd, buf, n), RF_ACCESS_WRITE)
EARLY(write, (int fd, const void *buf, size_t n), (fd, buf, n), RF_ACCESS_READ)

LISTS(readv, (int fd, const struct iovec *list, int count), (fd, list, count), RF_ACCESS_WRITE)
LISTS(writev, (int fd, const struct iovec *list, int count), (fd, list, count), RF_ACCESS_READ)
LISTS(preadv, (int fd, const struct iovec *list, int count, off_t at), (fd, list, count, at), RF_ACCESS_WRITE)
LISTS(pwritev, (int fd, const struct iovec *list, int count, off_t at), (fd, list, count, at), RF_ACCESS_READ)

/* The caller's own memory alone: who names another address may well ask whether it can be read. */
LISTS(process_vm_readv,
      (pid_t process, const struct iovec *list, unsigned long count, const struct iovec *others, unsigned long n,
       unsigned long flags),
      (process, list, count, others, n, flags), RF_ACCESS_WRITE)
LISTS(process_vm_writev,
      (pid_t process, const struct iovec *list, unsigned long count, const struct iovec *others, unsigned long n,
       unsigned long flags),
      (process, list, count, others, n, flags), RF_ACCESS_READ)

#define MESSAGES(name, type, access)                                                                                   \
  RF_EXPORT ssize_t name(int fd, type message, int flags) {                                                            \
    find_theirs();                                                                                                     \
    ssize_t const result = theirs.name(fd, message, flags);                                                            \
    if (WATCHING) {                                                                                                    \
      rf_origin const origin = RF_CALLER;                                                                              \
      look_message(message, result, (access), &origin);                                                                \
    }                                                                                                                  \
    return result;                                                                                                     \
  }

MESSAGES(recvmsg, struct msghdr *, RF_ACCESS_WRITE)
MESSAGES(sendmsg, const struct msghdr *, RF_ACCESS_READ)

STREAMS(fread, (void *restrict buf, size_t size, size_t n, FILE *restrict stream), (buf, size, n, stream),
        RF_ACCESS_WRITE)
STREAMS(fread_unlocked, (void *restrict buf, size_t size, size_t n, FILE *restrict stream), (buf, size, n, stream),
        RF_ACCESS_WRITE)
STREAMS(fwrite, (const void *restrict buf, size_t size, size_t n, FILE *restrict stream), (buf, size, n, stream),
        RF_ACCESS_READ)
STREAMS(fwrite_unlocked, (const void *restrict buf, size_t size, size_t n, FILE *restrict stream),
        (buf, size, n, stream), RF_ACCESS_READ)
