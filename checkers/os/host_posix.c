/* The system below the checkers: POSIX, and what Linux adds. */
#define _GNU_SOURCE /* syscall, MAP_ANONYMOUS, secure_getenv, sigtimedwait */
#include "host.h"

#include "uncancelled.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <ringfence/port.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>
#if defined(__linux__)
#include "elf_image.h"
#include "maps.h"
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
  _exit(code);
}

_Noreturn void rf_host_abort(void) {
  end_by_abort();
  _exit(128 + SIGABRT); /* the first process of a container, which no signal of its own ends */
}

uint32_t rf_host_process(void) {
  return (uint32_t)getpid();
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
  struct timespec const pause = {0, 1000000};
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
      (void)nanosleep(&pause, NULL);
    }
    errno = saved_errno;
  }
  return false;
}

void rf_host_report_unlock(void) {
  __atomic_store_n(&report_owner, 0, __ATOMIC_RELEASE);
}

void rf_host_report_lock_reset(void) {
  rf_host_report_unlock();
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

int rf_host_open(const char *path) {
  int const saved_errno = errno;
  int const cancellation = rf_uncancelled_begin();
  int const fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
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

static bool write_all(int fd, const char *data, size_t size) {
  while (size != 0) {
    ssize_t const written = write(fd, data, size);
    if (written > 0) {
      data += written;
      size -= (size_t)written;
    } else if (written == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

/* The signal that came with `error` of a write; 0: none. */
static int sent_with(int error) {
  return error == EPIPE ? SIGPIPE : error == EFBIG ? SIGXFSZ : 0;
}

/* The log may be a pipe without a reader, or a file at its size limit: the signal for that must not end the program in
 * the middle of a report. */
bool rf_host_write(int fd, const char *data, size_t size) {
  int const saved_errno = errno;
  struct timespec const at_once = {0, 0};
  sigset_t refusal;
  sigset_t mask;
  sigset_t pending;
  if (fd < 0) {
    rf_port_log(data, size);
    return true;
  }
  int const cancellation = rf_uncancelled_begin();
  (void)sigemptyset(&refusal);
  (void)sigaddset(&refusal, SIGPIPE);
  (void)sigaddset(&refusal, SIGXFSZ);
  (void)sigemptyset(&pending);
  (void)sigpending(&pending);
  (void)pthread_sigmask(SIG_BLOCK, &refusal, &mask);
  bool const done = write_all(fd, data, size);
  int const sent = done ? 0 : sent_with(errno);
  if (sent != 0 && sigismember(&pending, sent) == 0) {
    (void)sigemptyset(&refusal);
    (void)sigaddset(&refusal, sent);
    while (sigtimedwait(&refusal, NULL, &at_once) == -1 && errno == EINTR) {
    }
  }
  (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
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
  char *const data = (char *)rf_host_map((size_t)file.st_size + 1);
  *length = 0;
  while (data != NULL && *length < (size_t)file.st_size) {
    ssize_t const got = read(fd, data + *length, (size_t)file.st_size - *length);
    if (got == 0 || (got < 0 && errno != EINTR)) {
      return got == 0 ? data : NULL;
    }
    *length += got > 0 ? (size_t)got : 0;
  }
  return data;
}

const char *rf_host_read_file(const char *path, size_t *length) {
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

/* ---- Stacks ---- */

#if defined(__linux__)

typedef rf_host_bounds bounds;

RF_THREAD_LOCAL rf_host_bounds rf_host_last_stack;

static bool name_is(const rf_map *map, const char *name) {
  return map->name_length == strlen(name) && memcmp(map->name, name, map->name_length) == 0;
}

typedef struct stack_search {
  uintptr_t frame;
  bounds found;
} stack_search;

/* The main thread's stack grows down to its limit. */
static uintptr_t stack_limit(const rf_map *map) {
  struct rlimit limit;
  uintptr_t const most = (uintptr_t)256 * 1024 * 1024;
  uintptr_t size = most;
  if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < most) {
    size = (uintptr_t)limit.rlim_cur;
  }
  return map->end - map->start > size || map->end < size ? map->start : map->end - size;
}

/* At the top of another thread's stack is the thread's own record. The mapping may go on behind it, with memory that is
 * unmapped before the thread ends. */
static bool find_stack(const rf_map *map, void *context) {
  stack_search *const search = (stack_search *)context;
  if (search->frame < map->start || search->frame >= map->end) {
    return map->start <= search->frame;
  }
  uintptr_t const thread = (uintptr_t)pthread_self(); /* its address, in the C libraries of Linux */
  search->found.low = name_is(map, "[stack]") ? stack_limit(map) : map->start;
  search->found.high = thread > search->frame && thread < map->end ? thread : map->end;
  return false;
}

/* The last stacks of this thread: its own, one for signals, those of coroutines. After LOOKUPS_MOST changes between
 * more stacks than are kept, a thread is no longer looked up: reading the map at each allocation would be too slow. */
#define STACKS_KEPT 4
#define LOOKUPS_MOST 1000
#define NEAR ((uintptr_t)256 * PAGE)

typedef struct stack_cache {
  bounds kept[STACKS_KEPT];
  unsigned next;
  unsigned lookups;
} stack_cache;

static RF_THREAD_LOCAL stack_cache stacks;

static const bounds *kept_stack(uintptr_t frame) {
  for (unsigned i = 0; i < STACKS_KEPT; i++) {
    if (frame >= stacks.kept[i].low && frame < stacks.kept[i].high) {
      return &stacks.kept[i];
    }
  }
  return NULL;
}

/* The end of the stack, where that is near: the thread's own record, or on the main thread's stack the bytes that the
 * kernel has left above all frames. 0: neither is. */
static uintptr_t end_near(uintptr_t frame) {
  uintptr_t const ends[] = {(uintptr_t)pthread_self(), (uintptr_t)getauxval(AT_RANDOM)};
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    if (ends[i] > frame && ends[i] - frame <= NEAR) {
      return ends[i];
    }
  }
  return 0;
}

/* Without the map, which a sandbox may forbid to open, and which takes long in short-lived threads: pages that can all
 * be read as far as the end are the stack. Deeper frames make them more. */
static const bounds *look_near(uintptr_t frame) {
  uintptr_t const page = frame & ~(uintptr_t)(PAGE - 1);
  uintptr_t const end = end_near(frame);
  bounds *slot = NULL;
  for (unsigned i = 0; end != 0 && i < STACKS_KEPT; i++) {
    slot = stacks.kept[i].high == end ? &stacks.kept[i] : slot;
  }
  uintptr_t const known = slot != NULL ? slot->low : end;
  if (end == 0 || known <= page || !rf_host_readable((const void *)page, known - page)) {
    return NULL;
  }
  slot = slot != NULL ? slot : &stacks.kept[stacks.next++ % STACKS_KEPT];
  *slot = (bounds){page, end};
  return slot;
}

static const bounds *look_up_stack(uintptr_t frame) {
  stack_search search = {frame, {0, 0}};
  const bounds *const near = look_near(frame);
  if (near != NULL || stacks.lookups >= LOOKUPS_MOST) {
    return near;
  }
  (void)rf_maps_each(find_stack, &search);
  stacks.lookups++;
  bounds *const slot = &stacks.kept[stacks.next++ % STACKS_KEPT];
  *slot = search.found;
  return slot->high != 0 ? slot : NULL;
}

bool rf_host_stack(const void *frame, uintptr_t *low, uintptr_t *high) {
  const bounds *found = kept_stack((uintptr_t)frame);
  if (found == NULL) {
    found = look_up_stack((uintptr_t)frame);
  }
  if (found == NULL) {
    return false;
  }
  *low = found->low;
  *high = found->high;
  rf_host_last_stack = *found;
  return true;
}

#else

bool rf_host_stack(const void *frame, uintptr_t *low, uintptr_t *high) {
  (void)frame;
  (void)low;
  (void)high;
  return false;
}

#endif

typedef struct unwinding {
  uintptr_t *frames;
  unsigned max;
  unsigned count;
} unwinding;

static _Unwind_Reason_Code unwound(struct _Unwind_Context *context, void *argument) {
  unwinding *const u = (unwinding *)argument;
  uintptr_t const pc = (uintptr_t)_Unwind_GetIP(context);
  if (pc == 0 || u->count == u->max) {
    return _URC_END_OF_STACK;
  }
  u->frames[u->count++] = pc;
  return _URC_NO_REASON;
}

/* At a fault, unwind tables may be wrong for the instruction (string functions on 32-bit x86), and the stack may be
 * corrupt: the unwinder then reads an address without code. */
static RF_THREAD_LOCAL struct {
  bool active;
  sigjmp_buf back;
} unwinding_fault;

void rf_host_unwind_fault(void) {
  if (unwinding_fault.active) {
    unwinding_fault.active = false;
    siglongjmp(unwinding_fault.back, 1);
  }
}

unsigned rf_host_unwind(uintptr_t *frames, unsigned max) {
  static RF_THREAD_LOCAL unwinding u; /* static: siglongjmp comes back with its last state */
  static RF_THREAD_LOCAL sigset_t before;
  sigset_t faults;
  u.frames = frames;
  u.max = max;
  u.count = 0;
  (void)sigemptyset(&faults);
  (void)sigaddset(&faults, SIGSEGV);
  (void)sigaddset(&faults, SIGBUS);
  (void)pthread_sigmask(SIG_UNBLOCK, &faults, &before);
  if (sigsetjmp(unwinding_fault.back, 0) == 0) {
    unwinding_fault.active = true;
    (void)_Unwind_Backtrace(unwound, &u);
  }
  unwinding_fault.active = false;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return u.count;
}

/* ---- Addresses ---- */

#if defined(__linux__)

typedef struct place_search {
  uintptr_t address;
  uintptr_t image_end; /* of the module whose mappings are being visited: its .bss has no name */
  bool found;
  const char *phrase;
} place_search;

/* Names the file; a path of more than 200 bytes is cut. */
static const char *phrase_of_file(const rf_map *map) {
  static const char start[] = "the pointer is to the mapped file ";
  static RF_THREAD_LOCAL char phrase[sizeof start + 200];
  size_t const room = sizeof phrase - sizeof start;
  size_t const length = map->name_length < room ? map->name_length : room;
  memcpy(phrase, start, sizeof start - 1);
  memcpy(phrase + sizeof start - 1, map->name, length);
  phrase[sizeof start - 1 + length] = '\0';
  return phrase;
}

/* A module's mappings lie between its first one and the end of its .bss; a data file has no such end. */
static const char *phrase_of(const rf_map *map, bool of_file, bool in_image) {
  if (name_is(map, "[stack]")) {
    return "the pointer is to the stack";
  }
  if (in_image && !map->shared && (of_file || map->name_length == 0)) {
    return "the pointer is to a static object";
  }
  if (of_file) {
    return phrase_of_file(map);
  }
  if (name_is(map, "[heap]")) {
    return "the pointer is to the heap of sbrk";
  }
  bool const anonymous = map->name_length == 0 || memcmp(map->name, "[anon", 5) == 0;
  return anonymous ? "the pointer is to mapped memory" : NULL;
}

static bool find_place(const rf_map *map, void *context) {
  place_search *const search = (place_search *)context;
  bool const of_file = map->name_length != 0 && map->name[0] == '/';
  if (of_file && map->file_offset == 0 && map->readable) {
    search->image_end = rf_elf_image_end(map->start);
  }
  if (search->address >= map->start && search->address < map->end) {
    search->found = true;
    search->phrase = phrase_of(map, of_file, search->address < search->image_end);
    return false;
  }
  return true;
}

const char *rf_host_describe_address(const void *p) {
  place_search search = {(uintptr_t)p, 0, false, NULL};
  uintptr_t const frame = (uintptr_t)__builtin_frame_address(0);
  const bounds *const kept = kept_stack(frame);
  const bounds *const stack = kept != NULL ? kept : look_near(frame); /* deeper than any capture was */
  if (stack != NULL && (uintptr_t)p >= stack->low && (uintptr_t)p < stack->high) {
    return "the pointer is to the stack";
  }
  if (!rf_maps_each(find_place, &search)) {
    return NULL;
  }
  return search.found ? search.phrase : "there is no memory at the pointer";
}

#else

const char *rf_host_describe_address(const void *p) {
  (void)p;
  return NULL;
}

#endif
