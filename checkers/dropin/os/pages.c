#define _GNU_SOURCE
#include "pages.h"

#include "raw_syscall.h"

#include <errno.h>
#include <ringfence/layout.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "checkers/os/forbidden_calls.h"
#include "checkers/os/memory_tags.h"
#include "checkers/os/open_again.h"

#define RECORD_CHUNK ((size_t)256 * 1024)
#define RECORD_CHUNKS 1024
#define RECORD_ALIGN 64U
#define MOVED_FROM ((size_t)1 << 20)       /* copying less costs about what a move of pages does */
#define MOVED_AT_ONCE ((size_t)128 * 1024) /* smaller pieces are copied where the kernel does not move them */

/* A mapping of records. Its place in the list is taken first, filled in then, and never given back. */
typedef struct chunk {
  uintptr_t start;
  uintptr_t end; /* written last: 0 until then */
  size_t used;   /* bytes from `start`; of a chunk that records are cut from */
} chunk;

/* No lock: a signal handler that interrupted its own thread in here allocates, too. */
static struct {
  uintptr_t below; /* where the next aligned mapping is tried: it would end here */
  chunk *newest;   /* records are cut from this one */
  chunk *spare;    /* made by a thread that found another one's made meanwhile */
  unsigned count;
  chunk chunks[RECORD_CHUNKS];
} pages;

static size_t page_size(void) {
  static size_t cached;
  size_t size = __atomic_load_n(&cached, __ATOMIC_RELAXED);
  if (size == 0) {
    size = (size_t)sysconf(_SC_PAGESIZE);
    __atomic_store_n(&cached, size, __ATOMIC_RELAXED);
  }
  return size;
}

size_t rf_pages_round(size_t n) {
  size_t rounded;
  return rf_round_up(n, page_size(), &rounded) ? rounded : 0;
}

static bool (*give_back)(size_t size);

void rf_pages_on_refusal(bool (*give)(size_t size)) {
  give_back = give;
}

/* A hint is only a wish: the kernel takes another place where it is taken. No mmap of the program's own is called: it
 * might allocate, and the C library's malloc calls none. */
static void *ask(uintptr_t hint, size_t size) {
  long const arguments[6] = {(long)hint, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0};
  return (void *)rf_syscall_errno(RF_MMAP_CALL, arguments);
}

static uintptr_t map(uintptr_t hint, size_t size) {
  int const saved = errno;
  void *p = ask(hint, size);
  if (p == MAP_FAILED && give_back != NULL && give_back(size)) {
    p = ask(hint, size);
  }
  errno = saved;
  return p == MAP_FAILED ? 0 : (uintptr_t)p;
}

static void unmap(uintptr_t start, size_t size) {
  int const saved = errno;
  if (size != 0 && !rf_is_forbidden(RF_CALL_MUNMAP)) {
    (void)munmap((void *)start, size);
  }
  errno = saved;
}

/* Just below the last mapping, or where the last one was given back: nearly always free, and aligned by
 * construction. */
static uintptr_t map_below(size_t size, size_t align, size_t room) {
  uintptr_t const end = __atomic_load_n(&pages.below, __ATOMIC_RELAXED);
  size_t needed;
  if (!rf_add(size, room, &needed) || !rf_add(needed, align, &needed) || end <= needed) {
    return 0;
  }
  uintptr_t const hint = (end - size - room) & ~(uintptr_t)(align - 1);
  uintptr_t const got = map(hint, size + room);
  if (got != 0 && (got & (align - 1)) != 0) {
    unmap(got, size + room);
    return 0;
  }
  if (got != 0) {
    unmap(got + size, room); /* free now, for the block to grow into */
  }
  return got;
}

/* More than needed, the ends cut off. */
static uintptr_t map_and_trim(size_t size, size_t align, size_t room) {
  size_t total;
  size_t const skipped = align <= page_size() ? 0 : align - page_size();
  if (!rf_add(size, skipped, &total) || !rf_add(total, room, &total)) {
    return 0;
  }
  uintptr_t const got = map(0, total);
  if (got == 0) {
    return 0;
  }
  uintptr_t const start = (got + align - 1) & ~(uintptr_t)(align - 1);
  unmap(got, start - got);
  unmap(start + size, got + total - (start + size));
  return start;
}

void *rf_pages_map(size_t size, size_t align, size_t room) {
  size_t const whole = rf_pages_round(size);
  size_t const above = rf_pages_round(room);
  if (whole == 0 || whole > RF_SIZE_LIMIT) {
    return NULL;
  }
  uintptr_t start = map_below(whole, align, above);
  if (start == 0) {
    start = map_and_trim(whole, align, above);
  }
  if (start == 0 && above != 0) {
    start = map_and_trim(whole, align, 0); /* a limit of the address space leaves no room */
  }
  if (start != 0) {
    __atomic_store_n(&pages.below, start, __ATOMIC_RELAXED);
    rf_memory_tags_cover(start, whole);
  }
  return (void *)start;
}

void rf_pages_unmap(void *start, size_t size) {
  size_t const whole = rf_pages_round(size);
  unmap((uintptr_t)start, whole);
  __atomic_store_n(&pages.below, (uintptr_t)start + whole, __ATOMIC_RELAXED);
}

bool rf_pages_open(uintptr_t start, uintptr_t end) {
  uintptr_t const first = start & ~(uintptr_t)(page_size() - 1);
  return rf_open_again((void *)first, rf_pages_round(end - first));
}

#define POPULATE_WRITE 23 /* MADV_POPULATE_WRITE, which older headers lack */

void rf_pages_populate(uintptr_t start, uintptr_t end) {
  static bool unknown; /* to the system; accessed atomically */
  uintptr_t const first = start & ~(uintptr_t)(page_size() - 1);
  if (end <= first + page_size() || __atomic_load_n(&unknown, __ATOMIC_RELAXED) || rf_is_forbidden(RF_CALL_MADVISE)) {
    return;
  }
  int const saved = errno;
  if (madvise((void *)first, rf_pages_round(end - first), POPULATE_WRITE) != 0 && errno == EINVAL) {
    __atomic_store_n(&unknown, true, __ATOMIC_RELAXED);
  }
  errno = saved;
}

/* Grows the last page only: where pages were moved into the mapping, the kernel has it in several parts. */
#define DONTNEED_LOCKED 24 /* since Linux 5.18; the C library's headers may be older */

void rf_pages_empty(uintptr_t start, uintptr_t end) {
  int const saved = errno;
  void *const first = (void *)start;
  size_t const size = end - start;
  if (rf_is_forbidden(RF_CALL_MADVISE) ||
      (madvise(first, size, MADV_DONTNEED) != 0 && madvise(first, size, DONTNEED_LOCKED) != 0)) {
    memset(first, 0, size);
  }
  errno = saved;
}

bool rf_pages_extend(void *start, size_t old_size, size_t new_size) {
  if (rf_is_forbidden(RF_CALL_MREMAP)) {
    return false;
  }
  int const saved = errno;
  size_t const page = page_size();
  size_t const whole = rf_pages_round(old_size);
  void *const p = mremap((char *)start + whole - page, page, rf_pages_round(new_size) - whole + page, 0);
  errno = saved;
  return p != MAP_FAILED;
}

#if defined(MREMAP_DONTUNMAP)
/* Moves whole pages by way of a place that the kernel chooses: a move that fails with a fixed target may have unmapped
 * the target before, and fails where the pages are in several mappings. The old range stays mapped. The first call has
 * a last argument too: for the kernel it is a wish, which it refuses where it is not aligned. */
static bool move_mapping(char *to, char *from, size_t size) {
  void *const between = mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
  if (between == MAP_FAILED) {
    return false;
  }
  if (mremap(between, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED) {
    memcpy(to, between, size);
    (void)munmap(between, size);
  }
  (void)mprotect(from, size, PROT_READ | PROT_WRITE); /* emulators take a moved range for unmapped */
  return true;
}
#else
static bool move_mapping(char *to, char *from, size_t size) {
  (void)to;
  (void)from;
  (void)size;
  return false;
}
#endif

/* In halves as long as there are several mappings in the range. */
static void move_whole_pages(char *to, char *from, size_t size) {
  if (size < MOVED_AT_ONCE) {
    memcpy(to, from, size);
  } else if (!move_mapping(to, from, size)) {
    size_t const half = rf_round_down(size / 2, page_size());
    move_whole_pages(to, from, half);
    move_whole_pages(to + half, from + half, size - half);
  }
}

void rf_pages_move(void *to, void *from, size_t size) {
  uintptr_t const inside = page_size() - 1;
  size_t const head = (0 - (uintptr_t)from) & inside;
  bool const moves = !rf_is_forbidden(RF_CALL_MREMAP | RF_CALL_MPROTECT | RF_CALL_MUNMAP);
  if (!moves || size < MOVED_FROM || (((uintptr_t)to ^ (uintptr_t)from) & inside) != 0) {
    memcpy(to, from, size);
    return;
  }
  int const saved = errno;
  size_t const whole = (size - head) & ~(size_t)inside;
  size_t const done = head + whole;
  memcpy(to, from, head);
  move_whole_pages((char *)to + head, (char *)from + head, whole);
  memcpy((char *)to + done, (char *)from + done, size - done);
  errno = saved;
}

static chunk *next_place(void) {
  unsigned index = __atomic_load_n(&pages.count, __ATOMIC_RELAXED);
  do {
    if (index == RECORD_CHUNKS) {
      return NULL;
    }
  } while (!__atomic_compare_exchange_n(&pages.count, &index, index + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return &pages.chunks[index];
}

/* `used` of its bytes are taken. Noted for the leak scan before anything is written into it. */
static chunk *new_chunk(size_t size, size_t used) {
  uintptr_t const start = map(0, size);
  if (start == 0) {
    return NULL;
  }
  chunk *const made = next_place();
  if (made == NULL) {
    unmap(start, size);
    return NULL;
  }
  made->start = start;
  made->used = used;
  __atomic_store_n(&made->end, start + size, __ATOMIC_RELEASE);
  return made;
}

/* 0 where so much is not left. */
static uintptr_t cut(chunk *from, size_t size) {
  size_t used = __atomic_load_n(&from->used, __ATOMIC_RELAXED);
  do {
    if (from->end - from->start - used < size) {
      return 0;
    }
  } while (!__atomic_compare_exchange_n(&from->used, &used, used + size, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return from->start + used;
}

/* False where the system refuses. */
static bool replace_newest(chunk *full) {
  chunk *made = __atomic_exchange_n(&pages.spare, NULL, __ATOMIC_ACQUIRE);
  if (made == NULL) {
    made = new_chunk(RECORD_CHUNK, 0);
  }
  if (made != NULL &&
      !__atomic_compare_exchange_n(&pages.newest, &full, made, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    __atomic_store_n(&pages.spare, made, __ATOMIC_RELEASE); /* one that lay there meanwhile stays unused */
  }
  return made != NULL;
}

void *rf_record_alloc(size_t size) {
  if (size > RECORD_CHUNK / 4) {
    return rf_record_table(size);
  }
  size_t const whole = (size + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
  for (;;) {
    chunk *const newest = __atomic_load_n(&pages.newest, __ATOMIC_ACQUIRE);
    uintptr_t const record = newest != NULL ? cut(newest, whole) : 0;
    if (record != 0 || !replace_newest(newest)) {
      return (void *)record;
    }
  }
}

void rf_record_empty(void *record, size_t size) {
  uintptr_t const inside = page_size() - 1;
  uintptr_t const start = ((uintptr_t)record + inside) & ~inside;
  uintptr_t const end = ((uintptr_t)record + size) & ~inside;
  if (start < end) {
    rf_pages_empty(start, end);
  }
}

void *rf_record_table(size_t size) {
  size_t const whole = rf_pages_round(size);
  chunk *const made = new_chunk(whole, whole);
  return made != NULL ? (void *)made->start : NULL;
}

void rf_record_table_cut(void *table, size_t size) {
  unsigned const count = __atomic_load_n(&pages.count, __ATOMIC_RELAXED);
  unsigned i = 0;
  while (i < count && pages.chunks[i].start != (uintptr_t)table) {
    i++;
  }
  uintptr_t const end = i < count ? __atomic_load_n(&pages.chunks[i].end, __ATOMIC_ACQUIRE) : 0;
  uintptr_t const cut_end = (uintptr_t)table + rf_pages_round(size);
  if (cut_end < end) {
    __atomic_store_n(&pages.chunks[i].end, cut_end, __ATOMIC_RELEASE);
    unmap(cut_end, end - cut_end);
  }
}

bool rf_record_range(unsigned index, uintptr_t *start, uintptr_t *end) {
  if (index >= __atomic_load_n(&pages.count, __ATOMIC_RELAXED)) {
    return false;
  }
  *end = __atomic_load_n(&pages.chunks[index].end, __ATOMIC_ACQUIRE);
  *start = *end != 0 ? pages.chunks[index].start : 0;
  return true;
}
