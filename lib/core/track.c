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

/* ---- Operations that track ---- */

/* More kinds of allocators than any program has. */
#define KINDS 64

/* A table is found by the address of its name, because tests copy tables and change some entries. */
typedef struct kind {
  const char *name; /* set last; NULL: free */
  rf_allocator_ops ops;
  const rf_allocator_ops *bare;
} kind;

static kind kinds[KINDS];

static const rf_allocator_ops *bare_of(const rf_allocator *self) {
  for (size_t i = 0; i < KINDS; i++) {
    if (__atomic_load_n(&kinds[i].name, __ATOMIC_ACQUIRE) == self->ops->name) {
      return kinds[i].bare;
    }
  }
  return self->ops; /* unreachable: callers hold a table made here */
}

static size_t room_of(const rf_allocator_ops *bare, rf_allocator *self, const void *p) {
  return bare->usable_size != NULL ? bare->usable_size(self, p) : 0;
}

static void *track_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_track_enter();
  void *const p = bare_of(self)->alloc(self, size, align, site);
  if (p != NULL) {
    rf_track_alloc(p, size);
  }
  rf_track_leave();
  return p;
}

static rf_status track_free(rf_allocator *self, void *p, const rf_site *site) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_track_enter();
  size_t const room = room_of(bare, self, p);
  rf_status const status = bare->free(self, p, site);
  if (status == RF_OK && (bare->owns == NULL || bare->owns(self, p))) {
    rf_track_free(p, room);
  }
  rf_track_leave();
  return status;
}

static void *track_realloc(rf_allocator *self, void *p, size_t size, size_t align, const rf_site *site) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_track_enter();
  size_t const room = room_of(bare, self, p);
  void *const q = bare->realloc(self, p, size, align, site);
  if (q != NULL) {
    bool const still_ours = bare->owns == NULL || bare->owns(self, p);
    rf_track_resize(p, still_ours ? room : 0, q, size);
  }
  rf_track_leave();
  return q;
}

static rf_status track_resize(rf_allocator *self, void *p, size_t size, const rf_site *site) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_track_enter();
  size_t const room = room_of(bare, self, p);
  rf_status const status = bare->resize(self, p, size, site);
  if (status == RF_OK) {
    rf_track_resize(p, room, p, size);
  }
  rf_track_leave();
  return status;
}

static size_t track_usable_size(rf_allocator *self, const void *p) {
  rf_track_enter();
  size_t const room = room_of(bare_of(self), self, p);
  if (room != 0) {
    rf_track_reveal(p, room);
  }
  rf_track_leave();
  return room;
}

/* ---- Operations that only suppress errors inside the allocator ---- */

static void *mute_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_track_enter();
  void *const p = bare_of(self)->alloc(self, size, align, site);
  rf_track_leave();
  return p;
}

static rf_status mute_free(rf_allocator *self, void *p, const rf_site *site) {
  rf_track_enter();
  rf_status const status = bare_of(self)->free(self, p, site);
  rf_track_leave();
  return status;
}

static void *mute_realloc(rf_allocator *self, void *p, size_t size, size_t align, const rf_site *site) {
  rf_track_enter();
  void *const q = bare_of(self)->realloc(self, p, size, align, site);
  rf_track_leave();
  return q;
}

static rf_status mute_resize(rf_allocator *self, void *p, size_t size, const rf_site *site) {
  rf_track_enter();
  rf_status const status = bare_of(self)->resize(self, p, size, site);
  rf_track_leave();
  return status;
}

static size_t mute_usable_size(rf_allocator *self, const void *p) {
  rf_track_enter();
  size_t const room = bare_of(self)->usable_size(self, p);
  rf_track_leave();
  return room;
}

static bool mute_owns(rf_allocator *self, const void *p) {
  rf_track_enter();
  bool const owns = bare_of(self)->owns(self, p);
  rf_track_leave();
  return owns;
}

static rf_status mute_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_track_enter();
  rf_status const status = bare_of(self)->walk(self, visit, context);
  rf_track_leave();
  return status;
}

static rf_status mute_check(rf_allocator *self, rf_fault *where) {
  rf_track_enter();
  rf_status const status = bare_of(self)->check(self, where);
  rf_track_leave();
  return status;
}

static void mute_stats(rf_allocator *self, rf_stats *out) {
  rf_track_enter();
  bare_of(self)->stats(self, out);
  rf_track_leave();
}

static void mute_deinit(rf_allocator *self) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_track_enter();
  bare->deinit(self);
  rf_track_leave();
}

static void make_tracking(rf_allocator_ops *ops, const rf_allocator_ops *bare) {
  ops->alloc = track_alloc;
  ops->free = track_free;
  ops->realloc = bare->realloc != NULL ? track_realloc : NULL;
  ops->resize = bare->resize != NULL ? track_resize : NULL;
  ops->usable_size = bare->usable_size != NULL ? track_usable_size : NULL;
}

static void make_mute(rf_allocator_ops *ops, const rf_allocator_ops *bare) {
  ops->alloc = mute_alloc;
  ops->free = mute_free;
  ops->realloc = bare->realloc != NULL ? mute_realloc : NULL;
  ops->resize = bare->resize != NULL ? mute_resize : NULL;
  ops->usable_size = bare->usable_size != NULL ? mute_usable_size : NULL;
}

static void make(kind *k, const rf_allocator_ops *bare, bool tracks) {
  k->bare = bare;
  k->ops = *bare;
  (tracks ? make_tracking : make_mute)(&k->ops, bare);
  k->ops.owns = bare->owns != NULL ? mute_owns : NULL;
  k->ops.walk = bare->walk != NULL ? mute_walk : NULL;
  k->ops.check = bare->check != NULL ? mute_check : NULL;
  k->ops.stats = mute_stats;
  k->ops.deinit = bare->deinit != NULL ? mute_deinit : NULL;
  __atomic_store_n(&k->name, bare->name, __ATOMIC_RELEASE);
}

static const rf_allocator_ops *table_for(const rf_allocator_ops *bare, bool tracks) {
  static int taken;
  const rf_allocator_ops *tracked = bare; /* where the table of kinds is full */
  while (__atomic_exchange_n(&taken, 1, __ATOMIC_ACQUIRE) != 0) {
  }
  for (size_t i = 0; i < KINDS; i++) {
    if (kinds[i].name == NULL) {
      make(&kinds[i], bare, tracks);
    }
    if (kinds[i].name == bare->name) {
      tracked = &kinds[i].ops;
      break;
    }
  }
  __atomic_store_n(&taken, 0, __ATOMIC_RELEASE);
  return tracked;
}

const rf_allocator_ops *rf_track_ops(const rf_allocator_ops *bare) {
  return table_for(bare, true);
}

const rf_allocator_ops *rf_track_mute_ops(const rf_allocator_ops *bare) {
  return RF_TRACK_VALGRIND ? table_for(bare, false) : bare; /* AddressSanitizer checks only instrumented code */
}

#endif /* RF_TRACK */
