#include <ringfence/track.h>

#if RF_TRACK

#if RF_TRACK_VALGRIND && !RF_TRACK_ASAN && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define RF_TRACK_MEMCHECK 1
#endif
#endif

/* ---- AddressSanitizer and Valgrind ----
 *
 * poison         any access to these bytes is an error
 * unpoison       no access is; the contents are indeterminate
 * unpoison_rest  unpoisons those of these bytes that are poisoned, and leaves the others as they are
 * block_begins, block_ends, block_moves          a block of the program */

#if RF_TRACK_ASAN

void __asan_poison_memory_region(void const volatile *start, size_t size);
void __asan_unpoison_memory_region(void const volatile *start, size_t size);

/* Poison occupies an eighth of the memory in shadow, for good: poison only the beginning of larger ranges. */
#define MAX_POISON ((size_t)256 * 1024 * 1024)

/* LeakSanitizer must follow pointers in poisoned records of allocators. Weak: a program may define its own. */
__attribute__((weak)) const char *__lsan_default_options(void);
const char *__lsan_default_options(void) {
  return "use_poisoned=1";
}

static void poison(const void *start, size_t size) {
  __asan_poison_memory_region(start, size < MAX_POISON ? size : MAX_POISON);
}

static void unpoison(const void *start, size_t size) {
  __asan_unpoison_memory_region(start, size);
}

#elif defined(RF_TRACK_MEMCHECK)

/* Memcheck describes an address by a block that is at most this far away. */
#define NEAR 16

/* One mempool of memcheck's for the blocks of all arenas. */
static const char *mempool(void) {
  static char pool;
  static int made;
  if (__atomic_exchange_n(&made, 1, __ATOMIC_ACQ_REL) == 0) {
    VALGRIND_CREATE_MEMPOOL(&pool, NEAR, 0);
    /* Memcheck looks for leaks in pools only where witness was allocated otherwise, too: a byte that is not lost. */
    static char *volatile witness;
    witness = &pool;
    VALGRIND_MALLOCLIKE_BLOCK(witness, sizeof pool, 0, 1);
  }
  return &pool;
}

/* The requests are Valgrind's macros and cast on their own. */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wcast-qual"

static void poison(const void *start, size_t size) {
  (void)VALGRIND_MAKE_MEM_NOACCESS(start, size);
}

static void unpoison(const void *start, size_t size) {
  (void)VALGRIND_MAKE_MEM_UNDEFINED(start, size);
}

static void unpoison_rest(const void *start, size_t size) {
  rf_track_enter(); /* the request also reports an error */
  uintptr_t const bad = (uintptr_t)VALGRIND_CHECK_MEM_IS_ADDRESSABLE(start, size);
  rf_track_leave();
  if (bad != 0) {
    unpoison((const void *)bad, (uintptr_t)start + size - bad);
  }
}

/* Memcheck closes NEAR bytes before and behind a block of a mempool, when it begins and when it ends. They belong to a
 * neighbour where an allocator leaves less between two blocks, so bytes that were open are opened again. */
typedef struct border {
  unsigned char *start;
  bool open[NEAR];
  unsigned char undefined[NEAR]; /* memcheck's bits of each byte */
} border;

static void remember(border *b, uintptr_t start) {
  size_t const count = RUNNING_ON_VALGRIND ? NEAR : 0;
  *b = (border){.start = (unsigned char *)start};
  for (size_t i = 0; i < count; i++) {
    b->open[i] = VALGRIND_GET_VBITS(b->start + i, &b->undefined[i], 1) == 1;
  }
}

static void reopen(const border *b) {
  for (size_t i = 0; i < NEAR; i++) {
    if (b->open[i]) {
      unpoison(b->start + i, 1);
      (void)VALGRIND_SET_VBITS(b->start + i, &b->undefined[i], 1);
    }
  }
}

static void block_begins(const void *p, size_t size) {
  border before;
  border behind;
  remember(&before, (uintptr_t)p - NEAR);
  remember(&behind, (uintptr_t)p + size);
  VALGRIND_MEMPOOL_ALLOC(mempool(), p, size);
  reopen(&before);
  reopen(&behind);
}

/* An arena may or may not lie in a block of the mempool: neither is an error. */
static void block_ends(const void *p, size_t room) {
  border before;
  border behind;
  remember(&before, (uintptr_t)p - NEAR);
  remember(&behind, (uintptr_t)p + room);
  rf_track_enter();
  VALGRIND_MEMPOOL_FREE(mempool(), p);
  rf_track_leave();
  reopen(&before);
  reopen(&behind);
}

static void block_moves(const void *old, const void *p, size_t size) {
  rf_track_enter();
  VALGRIND_MEMPOOL_CHANGE(mempool(), old, p, size);
  rf_track_leave();
}

void rf_track_enter(void) {
  VALGRIND_DISABLE_ERROR_REPORTING;
}

void rf_track_leave(void) {
  VALGRIND_ENABLE_ERROR_REPORTING;
}

#else /* Valgrind was requested, but its headers are not installed */

static void poison(const void *start, size_t size) {
  (void)start;
  (void)size;
}

static void unpoison(const void *start, size_t size) {
  (void)start;
  (void)size;
}

#endif

#ifndef RF_TRACK_MEMCHECK

static void unpoison_rest(const void *start, size_t size) {
  unpoison(start, size);
}

static void block_begins(const void *p, size_t size) {
  unpoison(p, size);
}

static void block_ends(const void *p, size_t room) {
  (void)p;
  (void)room;
}

static void block_moves(const void *old, const void *p, size_t size) {
  (void)old;
  (void)p;
  (void)size;
}

void rf_track_enter(void) {}

void rf_track_leave(void) {}

#endif

/* ---- The calls of allocators ---- */

static int pauses;

void rf_track_pause(void) {
  (void)__atomic_add_fetch(&pauses, 1, __ATOMIC_RELAXED);
}

void rf_track_resume(void) {
  (void)__atomic_sub_fetch(&pauses, 1, __ATOMIC_RELAXED);
}

static void poison_unless_paused(const void *start, size_t size) {
  if (__atomic_load_n(&pauses, __ATOMIC_RELAXED) == 0) {
    poison(start, size);
  }
}

void rf_track_arena(const void *start, size_t size) {
  block_ends(start, size); /* in case the owner made the arena of a block of another allocator */
  poison_unless_paused(start, size);
}

void rf_track_arena_end(const void *start, size_t size) {
  unpoison(start, size);
}

void rf_track_alloc(const void *p, size_t size) {
  block_begins(p, size);
}

void rf_track_free(const void *p, size_t room) {
  block_ends(p, room);
  poison_unless_paused(p, room);
}

/* Poisons the bytes of the old place that are not in the new one. AddressSanitizer counts in granules of eight bytes,
 * so all of the old place is poisoned first. */
void rf_track_resize(const void *old, size_t room, const void *p, size_t size) {
  uintptr_t const old_end = (uintptr_t)old + room;
  uintptr_t const end = (uintptr_t)p + size;
  block_moves(old, p, size);
#if RF_TRACK_ASAN
  (void)old_end;
  (void)end;
  poison_unless_paused(old, room);
#else
  if ((uintptr_t)p >= old_end || end <= (uintptr_t)old) {
    poison_unless_paused(old, room);
  } else {
    if ((uintptr_t)old < (uintptr_t)p) {
      poison_unless_paused(old, (uintptr_t)p - (uintptr_t)old);
    }
    if (end < old_end) {
      poison_unless_paused((const void *)end, old_end - end);
    }
  }
#endif
  unpoison_rest(p, size);
}

void rf_track_reveal(const void *p, size_t room) {
  block_moves(p, p, room);
  unpoison_rest(p, room);
}

void rf_track_copy(void *to, const void *from, size_t size) {
  unpoison_rest(from, size);
  unpoison_rest(to, size);
  memmove(to, from, size);
}

/* Volatile, so that compilers do not make a memset of it, which the tools intercept. */
void rf_track_fill(void *to, int byte, size_t size) {
  rf_track_enter();
  for (size_t i = 0; i < size; i++) {
    ((volatile unsigned char *)to)[i] = (unsigned char)byte;
  }
  rf_track_leave();
}

#endif /* RF_TRACK */
