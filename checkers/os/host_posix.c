/* The system below the checkers: process, files and memory on POSIX, and what Linux adds. */
#define _GNU_SOURCE /* syscall, MAP_ANONYMOUS, secure_getenv, sigtimedwait */
#include "host.h"

#include "above_standard.h"
#include "refused_write.h"
#include "soft_limit.h"
#include "uncancelled.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <ringfence/port.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include "forbidden_calls.h"
#include "lib/core/compiler.h"
#include <sys/auxv.h>
#include <sys/syscall.h>
#endif

_Static_assert(SIGABRT == RF_HOST_SIGABRT, "the number that reports tell");

/* No handler may run on a broken heap, and the core is to show the finding. */
static void end_by_abort(void) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigset_t aborting;
  (void)sigemptyset(&action.sa_mask);
  (void)sigaction(SIGABRT, &action, NULL);
  (void)sigemptyset(&aborting);
  (void)sigaddset(&aborting, SIGABRT);
  (void)pthread_sigmask(SIG_UNBLOCK, &aborting, NULL);
  (void)raise(SIGABRT);
}

_Noreturn void rf_host_exit(int code) {
#if defined(__linux__)
  if (rf_is_forbidden(RF_CALL_CLOCK)) { /* strict mode: a thread may end, but not the process */
    (void)syscall(SYS_exit, code);
  }
#endif
  _exit(code);
}

_Noreturn void rf_host_abort(void) {
  end_by_abort();
  _exit(128 + SIGABRT); /* the first process of a container, which no signal of its own ends */
}

/* As they were before a sandbox, or when the process was asked for last. */
static struct {
  uint32_t process; /* accessed atomically */
  uint64_t now_ns;
} kept;

void rf_host_keep(void) {
  (void)rf_host_process();
  kept.now_ns = rf_port_now_ns();
}

uint32_t rf_host_process(void) {
  int const saved_errno = errno;
  pid_t const now = rf_is_forbidden(RF_CALL_GETPID) ? -1 : getpid();
  errno = saved_errno;
  if (now > 0) {
    __atomic_store_n(&kept.process, (uint32_t)now, __ATOMIC_RELAXED);
  }
  return __atomic_load_n(&kept.process, __ATOMIC_RELAXED);
}

uint64_t rf_host_now_ns(void) {
  return rf_is_forbidden(RF_CALL_CLOCK) ? kept.now_ns : rf_port_now_ns();
}

/* ---- The report lock ---- */

/* Long enough for a slow terminal; short enough that a child, forked while another thread reported, seems not to
 * hang. */
#define LOCK_PATIENCE_MS 2000
/* A report into a file takes less time than this many yields. */
#define LOCK_YIELDS 200

static uint32_t report_owner; /* the thread that holds the lock; 0: none */

bool rf_host_report_lock(void) {
  uint32_t const me = rf_port_thread_id();
  int const saved_errno = errno;
  for (unsigned waited = 0; waited < LOCK_YIELDS + LOCK_PATIENCE_MS; waited++) {
    uint32_t expected = 0;
    if (__atomic_compare_exchange_n(&report_owner, &expected, me, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
      return true;
    }
    if (expected == me) {
      return false;
    }
    if (waited < LOCK_YIELDS) {
      (void)sched_yield();
    } else {
      rf_uncancelled_nap(1000000);
    }
    errno = saved_errno;
  }
  return false;
}

void rf_host_report_unlock(void) {
  __atomic_store_n(&report_owner, 0, __ATOMIC_RELEASE);
}

void rf_host_report_lock_reset(void) {
  if (__atomic_load_n(&report_owner, __ATOMIC_RELAXED) != 0) {
    rf_host_report_unlock();
  }
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to */
bool rf_host_claim(bool *flag, unsigned patience_ms) {
  for (unsigned rest = 10 * patience_ms; __atomic_exchange_n(flag, true, __ATOMIC_ACQUIRE); rest--) {
    if (rest == 0) {
      return false;
    }
    rf_uncancelled_nap(100000);
  }
  return true;
}

/* ---- Environment and files ---- */

static const char *own_environment(const char *name) {
#if defined(__GLIBC__)
  return secure_getenv(name);
#else
  return getuid() == geteuid() && getgid() == getegid() ? getenv(name) : NULL;
#endif
}

const char *rf_host_environment(void) {
  return own_environment("RINGFENCE_OPTIONS");
}

const char *rf_host_artifacts(void) {
  const char *const folder = own_environment("TEST_UNDECLARED_OUTPUTS_DIR");
  return folder != NULL && folder[0] == '/' ? folder : NULL;
}

RF_COLD int rf_host_open(const char *path) {
  if (rf_is_forbidden(RF_CALL_OPEN)) {
    return -1;
  }
  int const saved_errno = errno;
  int const cancellation = rf_uncancelled_begin();
  int const fd = rf_above_standard(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666));
  rf_uncancelled_end(cancellation);
  errno = saved_errno;
  return fd;
}

void rf_host_close(int fd) {
  int const saved_errno = errno;
  int const cancellation = rf_uncancelled_begin();
  if (fd >= 0) {
    (void)close(fd);
  }
  rf_uncancelled_end(cancellation);
  errno = saved_errno;
}

RF_COLD uint64_t rf_host_file(int fd) {
  int const saved_errno = errno;
  struct stat file;
  bool const is_open = !rf_is_forbidden(RF_CALL_OPEN) && fstat(fd, &file) == 0;
  errno = saved_errno;
  return is_open ? ((uint64_t)file.st_dev * 0x9E3779B97F4A7C15U ^ (uint64_t)file.st_ino) | (uint64_t)1 << 63 : 0;
}

/* Sets *sent to the signal that came with a write that was refused. Where a file is at its soft limit, that is raised
 * for the rest: another thread may lower it meanwhile. */
static bool write_all(int fd, const char *data, size_t size, int *sent) {
  rf_soft_limit sizes = {.files = true};
  bool raised = false;
  while (size != 0) {
    ssize_t const written = write(fd, data, size);
    if (written > 0) {
      data += written;
      size -= (size_t)written;
    } else if (written < 0 && errno == EFBIG) {
      *sent = SIGXFSZ;
      if (!rf_soft_limit_raise(&sizes)) {
        break;
      }
      raised = true;
    } else if (written == 0 || errno != EINTR) {
      *sent = written < 0 && errno == EPIPE ? SIGPIPE : *sent;
      break;
    }
  }
  if (raised) {
    rf_soft_limit_lower(&sizes);
  }
  return size == 0;
}

/* The signal of a write that is refused must not end the program in the middle of a report. */
static bool write_quietly(int fd, const char *data, size_t size) {
  bool const may_take = !rf_is_forbidden(RF_CALL_PENDING);
  rf_refused_write refused;
  int sent = 0;
  rf_refused_write_begin(&refused, may_take);
  bool const done = write_all(fd, data, size, &sent);
  rf_refused_write_end(&refused, sent, may_take);
  return done;
}

RF_COLD bool rf_host_write(int fd, const char *data, size_t size) {
  int const saved_errno = errno;
  if (fd < 0) {
    rf_port_log(data, size);
    return true;
  }
  int const cancellation = rf_uncancelled_begin();
  int sent = 0;
  bool const plain = rf_is_forbidden(RF_CALL_SIGNAL_MASK);
  bool const done = plain ? write_all(fd, data, size, &sent) : write_quietly(fd, data, size);
  rf_uncancelled_end(cancellation);
  errno = saved_errno;
  return done;
}

/* Reads a copy: an access to a mapped file that another process truncates raises a signal. */
static char *read_open_file(int fd, size_t *length) {
  struct stat file;
  if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode) || (uintmax_t)file.st_size >= SIZE_MAX) {
    return NULL;
  }
  size_t const size = (size_t)file.st_size;
  char *const data = (char *)rf_host_map(size + 1);
  ssize_t got = 1;
  *length = 0;
  while (data != NULL && *length < size && got != 0) {
    got = read(fd, data + *length, size - *length);
    *length += got > 0 ? (size_t)got : 0;
    if (got < 0 && errno != EINTR) {
      (void)munmap(data, size + 1);
      return NULL;
    }
  }
  return data;
}

RF_COLD const char *rf_host_read_file(const char *path, size_t *length) {
  int const saved_errno = errno;
  int const cancellation = rf_uncancelled_begin();
  int const fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  const char *const data = fd >= 0 ? read_open_file(fd, length) : NULL;
  rf_host_close(fd);
  rf_uncancelled_end(cancellation);
  errno = saved_errno;
  return data;
}

/* ---- Memory ---- */

#define PAGE 4096U /* the smallest of any system: testing a larger page twice does no harm */

/* The kernel reads a signal set at `p` before it looks at the operation, which does not exist: EFAULT where it could
 * not read, EINVAL where it could. */
static bool byte_readable(uintptr_t p) {
#if defined(__linux__)
  int const saved_errno = errno;
  if (rf_is_forbidden(RF_CALL_SIGNAL_MASK)) {
    return false;
  }
  uintptr_t const word = p & ~(uintptr_t)7;
  long const result = syscall(SYS_rt_sigprocmask, ~0, word, NULL, (size_t)8);
  bool const readable = result == 0 || errno != EFAULT;
  errno = saved_errno;
  return readable;
#else
  int const saved_errno = errno;
  bool const readable = msync((void *)(p & ~(uintptr_t)(PAGE - 1)), 1, MS_ASYNC) == 0 || errno != ENOMEM;
  errno = saved_errno;
  return readable;
#endif
}

bool rf_host_readable(const void *p, size_t size) {
  uintptr_t const first = (uintptr_t)p;
  if (size == 0 || first < PAGE || first > UINTPTR_MAX - (size - 1)) {
    return false; /* the first page never is readable; a NULL set would be no error */
  }
  uintptr_t const last = first + (size - 1);
  for (uintptr_t at = first;; at = (at | (PAGE - 1)) + 1) {
    if (!byte_readable(at)) {
      return false;
    }
    if (last - at < PAGE - (at & (PAGE - 1))) {
      return true;
    }
  }
}

void *rf_host_map(size_t size) {
  int const saved_errno = errno;
  void *const p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  errno = saved_errno;
  return p == MAP_FAILED ? NULL : p;
}

uintptr_t rf_host_secret(void) {
  static uint32_t count;
  uint64_t secret = rf_port_now_ns() * 0x9E3779B97F4A7C15U;
#if defined(__linux__)
  const void *const random = (const void *)getauxval(AT_RANDOM); /* 16 random bytes of the kernel */
  if (random != NULL) {
    uint64_t word;
    memcpy(&word, random, sizeof word);
    secret ^= word;
  }
#endif
  secret += (uint64_t)__atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) * 0xD1B54A32D192ED03U;
  return (uintptr_t)(secret ^ secret >> 32);
}
