/* The system below the page store: pages whose memory is moved from one address to another (userfaultfd, Linux 6.8,
 * free of races with swapping since 6.16).
 *
 * If such a space has no memory the program may not touch it: it gets SIGBUS, and the system on its behalf EFAULT,
 * as with a marker. Moving a page closes the one and opens the other by one call, and no page is freed, cleared and
 * counted anew for it, which is most of what a marker costs.
 *
 * The system keeps this up for as long as a descriptor is open, in the process that made it. Where programs restrict
 * what they may call, a call as unusual as this one may end them: rf_page_store_settle comes before that, and a process
 * that begins with a filter never has the descriptor.
 *
 * Threads: any. rf_page_mover_begin, _renew and _end under the lock of a store, or those of all.
 */
#define _GNU_SOURCE /* syscall, F_DUPFD_CLOEXEC */
#include "page_impl.h"

#if defined(__linux__)

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "checkers/os/host.h"
#include "checkers/os/same_file.h"

/* The C library's headers may be older than the kernel. */
typedef struct mover_api {
  uint64_t api;
  uint64_t features;
  uint64_t calls;
} mover_api;

typedef struct mover_range {
  uint64_t start;
  uint64_t size;
  uint64_t mode;
  uint64_t calls;
} mover_range;

typedef struct mover_job {
  uint64_t to;
  uint64_t from;
  uint64_t size;
  uint64_t mode;
  int64_t done;
} mover_job;

#define MOVER_API _IOWR(0xAA, 0x3F, mover_api)
#define MOVER_REGISTER _IOWR(0xAA, 0x00, mover_range)
#define MOVER_COPY _IOWR(0xAA, 0x03, mover_job)
#define MOVER_MOVE _IOWR(0xAA, 0x05, mover_job)

#define API_VERSION 0xAAU
#define FEATURE_SIGBUS ((uint64_t)1 << 7)
#define FEATURE_MOVE ((uint64_t)1 << 16)
#define WHERE_MISSING 1U
#define USER_MODE_ONLY 1 /* all that the unprivileged may have, and enough: the system gets EFAULT */
#define DONTNEED_LOCKED 24

static struct {
  int descriptor; /* 0 or less: none; accessed atomically */
  bool known;
  bool works;
  struct stat identity;
  unsigned char *sample;  /* a page full of the pattern of slack */
  unsigned char *witness; /* two pages, of which one has memory at a time */
} mover;

static int descriptor(void) {
  return __atomic_load_n(&mover.descriptor, __ATOMIC_ACQUIRE);
}

/* ---- The descriptor ---- */

#define NUMBERED_FROM 1000

/* Under a high number: programs number their own files from below, and one without standard input has 0 free. */
static int number_high(int file) {
  struct rlimit limit;
  bool const low = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= NUMBERED_FROM;
  int const high = fcntl(file, F_DUPFD_CLOEXEC, low ? (int)limit.rlim_cur / 2 : NUMBERED_FROM);
  if (high < 0 && file > STDERR_FILENO) {
    return file;
  }
  (void)syscall(SYS_close, file);
  return high;
}

/* Not ioctl, whose second parameter has another type in each C library. */
static bool request(int file, unsigned long what, void *with) {
  return syscall(SYS_ioctl, file, what, with) == 0;
}

static bool ask(int file) {
  mover_api api = {.api = API_VERSION, .features = FEATURE_SIGBUS | FEATURE_MOVE};
  return request(file, MOVER_API, &api) && fstat(file, &mover.identity) == 0;
}

static bool open_mover(void) {
  long const got = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY);
  int const file = got >= 0 ? number_high((int)got) : -1;
  if (file < 0) {
    return false;
  }
  if (!ask(file)) {
    (void)syscall(SYS_close, file);
    return false;
  }
  __atomic_store_n(&mover.descriptor, file, __ATOMIC_RELEASE);
  return true;
}

static bool is_there(int file) {
  struct stat now;
  return file > 0 && fstat(file, &now) == 0 && rf_is_same_file(&now, &mover.identity);
}

void rf_page_mover_end(void) {
  int const saved = errno;
  int const file = __atomic_exchange_n(&mover.descriptor, -1, __ATOMIC_ACQ_REL);
  if (is_there(file)) {
    (void)syscall(SYS_close, file);
  }
  errno = saved;
}

bool rf_page_mover_works(void) {
  return descriptor() > 0;
}

int rf_page_store_kept_descriptor(void) {
  return descriptor();
}

/* ---- What it does ---- */

/* For one page. 0, or the reason why it was refused. */
static int do_job(unsigned long call, uintptr_t to, uintptr_t from) {
  int const saved = errno;
  mover_job job = {.to = to, .from = from, .size = rf_page_size()};
  int result;
  do {
    result = request(descriptor(), call, &job) ? 0 : errno;
  } while (result == EAGAIN);
  errno = saved;
  return result;
}

bool rf_page_mover_register(void *start, size_t size) {
  int const saved = errno;
  mover_range range = {.start = (uintptr_t)start, .size = size, .mode = WHERE_MISSING};
  bool const registered = request(descriptor(), MOVER_REGISTER, &range);
  errno = saved;
  return registered;
}

bool rf_page_mover_move(uintptr_t to, uintptr_t from) {
  return do_job(MOVER_MOVE, to, from) == 0;
}

bool rf_page_mover_fill(uintptr_t start, size_t size) {
  bool filled = true;
  for (size_t done = 0; filled && done < size; done += rf_page_size()) {
    int const result = do_job(MOVER_COPY, start + done, (uintptr_t)mover.sample);
    filled = result == 0 || result == EEXIST;
  }
  return filled;
}

void rf_page_mover_empty(uintptr_t start, size_t size) {
  int const saved = errno;
  (void)madvise((void *)start, size, DONTNEED_LOCKED);
  errno = saved;
}

/* True where the system refuses to move pages. That one was moved before, or is shared with a child, is no refusal. */
static bool is_lost(void) {
  uintptr_t const first = (uintptr_t)mover.witness;
  int const result = do_job(MOVER_MOVE, first + rf_page_size(), first);
  return result != 0 && result != EBUSY && result != ENOENT && result != EEXIST;
}

void rf_page_mover_look(void) {
  if (is_lost()) {
    rf_page_mover_end();
  }
}

/* ---- Whether it works ---- */

#define TRUSTED_FROM (6U * 1000 + 16)

static unsigned number_at(const char **text) {
  unsigned number = 0;
  for (; **text >= '0' && **text <= '9'; (*text)++) {
    number = number < 1000 ? number * 10 + (unsigned)(**text - '0') : number;
  }
  return number < 1000 ? number : 0;
}

bool rf_page_mover_trusts(const char *release) {
  unsigned const major = number_at(&release);
  release += *release == '.' ? 1 : 0;
  return major * 1000 + number_at(&release) >= TRUSTED_FROM;
}

static bool is_trusted(void) {
  struct utsname system;
  return uname(&system) == 0 && rf_page_mover_trusts(system.release);
}

static bool is_unfiltered(void) {
  return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0;
}

static bool make_pages(void) {
  size_t const size = rf_page_size();
  mover.sample = (unsigned char *)rf_page_records(size);
  mover.witness = (unsigned char *)rf_page_records(2 * size);
  if (mover.sample == NULL || mover.witness == NULL) {
    return false;
  }
  memset(mover.sample, RF_PATTERN_REDZONE, size);
  return true;
}

/* By its effect, since emulators say yes and do nothing. */
static bool try_mover(void) {
  size_t const size = rf_page_size();
  unsigned char *const other = mover.witness + size;
  return rf_page_mover_register(mover.witness, 2 * size) && rf_page_mover_fill((uintptr_t)mover.witness, size) &&
         rf_page_mover_move((uintptr_t)other, (uintptr_t)mover.witness) && !rf_host_readable(mover.witness, 1) &&
         rf_host_readable(other, 1) && rf_page_mover_move((uintptr_t)mover.witness, (uintptr_t)other);
}

bool rf_page_mover_begin(void) {
  int const saved = errno;
  if (!mover.known) {
    mover.known = true;
    mover.works = rf_page_has_marks() && is_trusted() && is_unfiltered() && make_pages() && open_mover() && try_mover();
    if (!mover.works) {
      rf_page_mover_end();
    }
  }
  errno = saved;
  return rf_page_mover_works();
}

bool rf_page_mover_renew(void) {
  int const saved = errno;
  rf_page_mover_end(); /* the parent's */
  bool const works = open_mover() && rf_page_mover_register(mover.witness, 2 * rf_page_size());
  errno = saved;
  return works;
}

#else

bool rf_page_mover_trusts(const char *release) {
  (void)release;
  return false;
}

void rf_page_mover_end(void) {}

int rf_page_store_kept_descriptor(void) {
  return -1;
}

bool rf_page_mover_register(void *start, size_t size) {
  (void)start;
  (void)size;
  return false;
}

bool rf_page_mover_move(uintptr_t to, uintptr_t from) {
  (void)to;
  (void)from;
  return false;
}

bool rf_page_mover_fill(uintptr_t start, size_t size) {
  (void)start;
  (void)size;
  return false;
}

void rf_page_mover_empty(uintptr_t start, size_t size) {
  (void)start;
  (void)size;
}

bool rf_page_mover_works(void) {
  return false;
}

void rf_page_mover_look(void) {}

bool rf_page_mover_begin(void) {
  return false;
}

bool rf_page_mover_renew(void) {
  return false;
}

#endif
