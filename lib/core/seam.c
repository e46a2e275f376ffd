#include <ringfence/seam.h>

#if RF_SEAM

#if RF_SEAM_VALGRIND && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define RF_SEAM_MEMCHECK 1
#endif
#endif

/* ---- The watchers ----
 *
 * deny: nobody may touch these bytes. grant: anybody may, their contents indeterminate. extend: what of these bytes nobody may
 * touch is granted, the rest left as it is. note: a block of the program begins here; forget: it ended; moved: it is now there. */

#if RF_SEAM_ASAN

void __asan_poison_memory_region(void const volatile *start, size_t size);
void __asan_unpoison_memory_region(void const volatile *start, size_t size);

/* Poisoning takes an eighth of the memory in shadow, for good. Of larger stretches only the beginning is worth it. */
#define MOST_POISON ((size_t)256 * 1024 * 1024)

/* LeakSanitizer looks for pointers to blocks; records of allocators hold some of them, out of bounds. A program may define its
 * own. */
__attribute__((weak)) const char *__lsan_default_options(void);
const char *__lsan_default_options(void) {
  return "use_poisoned=1";
}

static void deny(const void *start, size_t size) {
  __asan_poison_memory_region(start, size < MOST_POISON ? size : MOST_POISON);
}

static void grant(const void *start, size_t size) {
  __asan_unpoison_memory_region(start, size);
}

static void extend(const void *start, size_t size) {
  grant(start, size);
}

static void note(const void *p, size_t size) {
  grant(p, size);
}

static void forget(const void *p, size_t room) {
  (void)p;
  (void)room;
}

static void moved(const void *old, const void *p, size_t size) {
  (void)old;
  (void)p;
  (void)size;
}

void rf_seam_enter(void) {}

void rf_seam_leave(void) {}

#elif defined(RF_SEAM_MEMCHECK)

/* How far from a block an address may be to be described by it. */
#define NEAR 16

/* One pool, in memcheck's sense, for the blocks of all arenas. */
static const char *the_pool(void) {
  static char pool;
  static int made;
  if (__atomic_exchange_n(&made, 1, __ATOMIC_ACQ_REL) == 0) {
    VALGRIND_CREATE_MEMPOOL(&pool, NEAR, 0);
    /* Memcheck looks for leaks in pools only where something was allocated otherwise, too: a byte that is not lost. */
    static char *volatile something;
    something = &pool;
    VALGRIND_MALLOCLIKE_BLOCK(something, sizeof pool, 0, 1);
  }
  return &pool;
}

/* The requests are macros of Valgrind's, with casts of their own. */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wcast-qual"

static void deny(const void *start, size_t size) {
  (void)VALGRIND_MAKE_MEM_NOACCESS(start, size);
}

static void grant(const void *start, size_t size) {
  (void)VALGRIND_MAKE_MEM_UNDEFINED(start, size);
}

static void extend(const void *start, size_t size) {
  rf_seam_enter(); /* the question is answered with an error, too */
  uintptr_t const bad = (uintptr_t)VALGRIND_CHECK_MEM_IS_ADDRESSABLE(start, size);
  rf_seam_leave();
  if (bad != 0) {
    grant((const void *)bad, (uintptr_t)start + size - bad);
  }
}

/* Memcheck closes NEAR bytes before and behind a block of a pool, when it begins and when it ends, whoever's they are: of a
 * neighbour's, where an allocator leaves less between two blocks. What was open there is opened again, as it was. */
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

static void open_again(const border *b) {
  for (size_t i = 0; i < NEAR; i++) {
    if (b->open[i]) {
      grant(b->start + i, 1);
      (void)VALGRIND_SET_VBITS(b->start + i, &b->undefined[i], 1);
    }
  }
}

static void note(const void *p, size_t size) {
  border before;
  border behind;
  remember(&before, (uintptr_t)p - NEAR);
  remember(&behind, (uintptr_t)p + size);
  VALGRIND_MEMPOOL_ALLOC(the_pool(), p, size);
  open_again(&before);
  open_again(&behind);
}

/* Memory that was no block of this pool's is no error here: an arena may lie in a block or not. */
static void forget(const void *p, size_t room) {
  border before;
  border behind;
  remember(&before, (uintptr_t)p - NEAR);
  remember(&behind, (uintptr_t)p + room);
  rf_seam_enter();
  VALGRIND_MEMPOOL_FREE(the_pool(), p);
  rf_seam_leave();
  open_again(&before);
  open_again(&behind);
}

static void moved(const void *old, const void *p, size_t size) {
  rf_seam_enter();
  VALGRIND_MEMPOOL_CHANGE(the_pool(), old, p, size);
  rf_seam_leave();
}

void rf_seam_enter(void) {
  VALGRIND_DISABLE_ERROR_REPORTING;
}

void rf_seam_leave(void) {
  VALGRIND_ENABLE_ERROR_REPORTING;
}

#else /* Valgrind was asked for, and its headers are not installed */

static void deny(const void *start, size_t size) {
  (void)start;
  (void)size;
}

static void grant(const void *start, size_t size) {
  (void)start;
  (void)size;
}

static void extend(const void *start, size_t size) {
  grant(start, size);
}

static void note(const void *p, size_t size) {
  grant(p, size);
}

static void forget(const void *p, size_t room) {
  (void)p;
  (void)room;
}

static void moved(const void *old, const void *p, size_t size) {
  (void)old;
  (void)p;
  (void)size;
}

void rf_seam_enter(void) {}

void rf_seam_leave(void) {}

#endif

/* ---- What allocators say ---- */

static int pauses;

void rf_seam_pause(void) {
  (void)__atomic_add_fetch(&pauses, 1, __ATOMIC_RELAXED);
}

void rf_seam_resume(void) {
  (void)__atomic_sub_fetch(&pauses, 1, __ATOMIC_RELAXED);
}

static void deny_unless_paused(const void *start, size_t size) {
  if (__atomic_load_n(&pauses, __ATOMIC_RELAXED) == 0) {
    deny(start, size);
  }
}

void rf_seam_arena(const void *start, size_t size) {
  forget(start, size); /* the block of another allocator, if it is one: its owner has made an arena of it */
  deny_unless_paused(start, size);
}

void rf_seam_arena_end(const void *start, size_t size) {
  grant(start, size);
}

void rf_seam_alloc(const void *p, size_t size) {
  note(p, size);
}

void rf_seam_free(const void *p, size_t room) {
  forget(p, room);
  deny_unless_paused(p, room);
}

/* What of the old place is not in the new one is denied. Both in full first, for AddressSanitizer, which counts in eights. */
void rf_seam_resize(const void *old, size_t room, const void *p, size_t size) {
  uintptr_t const old_end = (uintptr_t)old + room;
  uintptr_t const end = (uintptr_t)p + size;
  moved(old, p, size);
#if RF_SEAM_ASAN
  (void)old_end;
  (void)end;
  deny_unless_paused(old, room);
#else
  if ((uintptr_t)p >= old_end || end <= (uintptr_t)old) {
    deny_unless_paused(old, room);
  } else {
    if ((uintptr_t)old < (uintptr_t)p) {
      deny_unless_paused(old, (uintptr_t)p - (uintptr_t)old);
    }
    if (end < old_end) {
      deny_unless_paused((const void *)end, old_end - end);
    }
  }
#endif
  extend(p, size);
}

void rf_seam_reveal(const void *p, size_t room) {
  moved(p, p, room);
  extend(p, room);
}

void rf_seam_copy(void *to, const void *from, size_t size) {
  extend(from, size);
  extend(to, size);
  memmove(to, from, size);
}

/* Compilers make no memset of volatile accesses, which would be the watcher's. */
void rf_seam_fill(void *to, int byte, size_t size) {
  rf_seam_enter();
  for (size_t i = 0; i < size; i++) {
    ((volatile unsigned char *)to)[i] = (unsigned char)byte;
  }
  rf_seam_leave();
}

/* ---- Operations that tell ---- */

/* More kinds of allocator than any program has. */
#define KINDS 64

/* A table is found by the name in it, the string itself, because tests copy tables and change some of them. */
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
  return self->ops; /* cannot be: whoever calls these has come by a table from here */
}

static size_t room_of(const rf_allocator_ops *bare, rf_allocator *self, const void *p) {
  return bare->usable_size != NULL ? bare->usable_size(self, p) : 0;
}

static void *told_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_seam_enter();
  void *const p = bare_of(self)->alloc(self, size, align, site);
  if (p != NULL) {
    rf_seam_alloc(p, size);
  }
  rf_seam_leave();
  return p;
}

/* Before the memory is free, since the allocator may pass it on. */
static rf_status told_free(rf_allocator *self, void *p, const rf_site *site) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_seam_enter();
  size_t const room = room_of(bare, self, p);
  rf_status const status = bare->free(self, p, site);
  if (status == RF_OK && (bare->owns == NULL || bare->owns(self, p))) {
    rf_seam_free(p, room);
  }
  rf_seam_leave();
  return status;
}

static void *told_realloc(rf_allocator *self, void *p, size_t size, size_t align, const rf_site *site) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_seam_enter();
  size_t const room = room_of(bare, self, p);
  void *const q = bare->realloc(self, p, size, align, site);
  if (q != NULL) {
    bool const still_ours = bare->owns == NULL || bare->owns(self, p);
    rf_seam_resize(p, still_ours ? room : 0, q, size);
  }
  rf_seam_leave();
  return q;
}

static rf_status told_resize(rf_allocator *self, void *p, size_t size, const rf_site *site) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_seam_enter();
  size_t const room = room_of(bare, self, p);
  rf_status const status = bare->resize(self, p, size, site);
  if (status == RF_OK) {
    rf_seam_resize(p, room, p, size);
  }
  rf_seam_leave();
  return status;
}

static size_t told_usable_size(rf_allocator *self, const void *p) {
  rf_seam_enter();
  size_t const room = room_of(bare_of(self), self, p);
  if (room != 0) {
    rf_seam_reveal(p, room);
  }
  rf_seam_leave();
  return room;
}

/* ---- Operations that only enter and leave ---- */

static void *quiet_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_seam_enter();
  void *const p = bare_of(self)->alloc(self, size, align, site);
  rf_seam_leave();
  return p;
}

static rf_status quiet_free(rf_allocator *self, void *p, const rf_site *site) {
  rf_seam_enter();
  rf_status const status = bare_of(self)->free(self, p, site);
  rf_seam_leave();
  return status;
}

static void *quiet_realloc(rf_allocator *self, void *p, size_t size, size_t align, const rf_site *site) {
  rf_seam_enter();
  void *const q = bare_of(self)->realloc(self, p, size, align, site);
  rf_seam_leave();
  return q;
}

static rf_status quiet_resize(rf_allocator *self, void *p, size_t size, const rf_site *site) {
  rf_seam_enter();
  rf_status const status = bare_of(self)->resize(self, p, size, site);
  rf_seam_leave();
  return status;
}

static size_t quiet_usable_size(rf_allocator *self, const void *p) {
  rf_seam_enter();
  size_t const room = bare_of(self)->usable_size(self, p);
  rf_seam_leave();
  return room;
}

static bool quiet_owns(rf_allocator *self, const void *p) {
  rf_seam_enter();
  bool const owns = bare_of(self)->owns(self, p);
  rf_seam_leave();
  return owns;
}

static rf_status quiet_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_seam_enter();
  rf_status const status = bare_of(self)->walk(self, visit, context);
  rf_seam_leave();
  return status;
}

static rf_status quiet_check(rf_allocator *self, rf_fault *where) {
  rf_seam_enter();
  rf_status const status = bare_of(self)->check(self, where);
  rf_seam_leave();
  return status;
}

static void quiet_stats(rf_allocator *self, rf_stats *out) {
  rf_seam_enter();
  bare_of(self)->stats(self, out);
  rf_seam_leave();
}

static void quiet_deinit(rf_allocator *self) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_seam_enter();
  bare->deinit(self);
  rf_seam_leave();
}

static void make_telling(rf_allocator_ops *ops, const rf_allocator_ops *bare) {
  ops->alloc = told_alloc;
  ops->free = told_free;
  ops->realloc = bare->realloc != NULL ? told_realloc : NULL;
  ops->resize = bare->resize != NULL ? told_resize : NULL;
  ops->usable_size = bare->usable_size != NULL ? told_usable_size : NULL;
}

static void make_quiet(rf_allocator_ops *ops, const rf_allocator_ops *bare) {
  ops->alloc = quiet_alloc;
  ops->free = quiet_free;
  ops->realloc = bare->realloc != NULL ? quiet_realloc : NULL;
  ops->resize = bare->resize != NULL ? quiet_resize : NULL;
  ops->usable_size = bare->usable_size != NULL ? quiet_usable_size : NULL;
}

static void make(kind *k, const rf_allocator_ops *bare, bool tells) {
  k->bare = bare;
  k->ops = *bare;
  (tells ? make_telling : make_quiet)(&k->ops, bare);
  k->ops.owns = bare->owns != NULL ? quiet_owns : NULL;
  k->ops.walk = bare->walk != NULL ? quiet_walk : NULL;
  k->ops.check = bare->check != NULL ? quiet_check : NULL;
  k->ops.stats = quiet_stats;
  k->ops.deinit = bare->deinit != NULL ? quiet_deinit : NULL;
  __atomic_store_n(&k->name, bare->name, __ATOMIC_RELEASE);
}

static const rf_allocator_ops *table_for(const rf_allocator_ops *bare, bool tells) {
  static int taken;
  const rf_allocator_ops *told = bare; /* no room for another kind: it is not watched */
  while (__atomic_exchange_n(&taken, 1, __ATOMIC_ACQUIRE) != 0) {
  }
  for (size_t i = 0; i < KINDS; i++) {
    if (kinds[i].name == NULL) {
      make(&kinds[i], bare, tells);
    }
    if (kinds[i].name == bare->name) {
      told = &kinds[i].ops;
      break;
    }
  }
  __atomic_store_n(&taken, 0, __ATOMIC_RELEASE);
  return told;
}

const rf_allocator_ops *rf_seam_ops(const rf_allocator_ops *bare) {
  return table_for(bare, true);
}

const rf_allocator_ops *rf_seam_quiet_ops(const rf_allocator_ops *bare) {
  return RF_SEAM_VALGRIND ? table_for(bare, false) : bare; /* AddressSanitizer needs no telling */
}

#endif /* RF_SEAM */
