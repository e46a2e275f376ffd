#include <ringfence/guard_small.h>

#include <string.h>

#include "lib/core/compiler.h"

#define STATE 3U
#define LIVE 1U
#define FREED 2U
#define SKIP 3U /* at the start of the heap's block, where alignment has put the header further on */
#define ALIGN_SHIFT 2U
#define ALIGN_BITS 15U
#define SIZE_SHIFT 6U
#define GUARD_BYTE 0xFDU
#define FREED_BYTE 0xCCU
#define TAIL 4U
#define WORD sizeof(uintptr_t)
#define HEAD (2 * WORD)

typedef struct header {
  uintptr_t state; /* size << 6 | log2 of the alignment << 2 | state */
  uintptr_t site;  /* its distance from SITE_ORIGIN, or 0 for none; ^ checksum */
} header;

static const rf_allocator_ops small_ops;

/* The lowest address of a call site that has a distance. On 32 bit a constant of this file lies in the middle of those
 * in reach, as the records of call sites are constants of the same image. */
#if UINTPTR_MAX > UINT32_MAX
#define SITE_ORIGIN ((uintptr_t)0)
#else
#define SITE_ORIGIN ((uintptr_t)&small_ops - ((uintptr_t)1 << (RF_GUARD_SMALL_SITE_BITS - 1)))
#endif

static rf_guard_small *guard_of(rf_allocator *self) {
  return (rf_guard_small *)(void *)self;
}

static header *header_of(const void *block) {
  return (header *)((uintptr_t)block - HEAD);
}

/* ---- Headers, which may be none ---- */

RF_NO_SANITIZE static uintptr_t checksum(const header *h) {
  uintptr_t const mixed = (h->state ^ (uintptr_t)h) * (uintptr_t)0x9E3779B97F4A7C15U;
  return mixed ^ mixed >> (4 * WORD - 3);
}

static void write_header(header *h, uintptr_t state, uintptr_t distance) {
  h->state = state;
  h->site = distance ^ checksum(h);
}

/* Bits that no distance has, and those that an aligned one has not. An odd one is a caller's (system_malloc.h). */
#define BEYOND (~(((uintptr_t)2 << (RF_GUARD_SMALL_SITE_BITS - 1)) - 1))

static bool can_be_distance(uintptr_t distance) {
  return (distance & BEYOND) == 0 && ((distance & 1) != 0 || distance % WORD == 0);
}

/* 0 for NULL and for a site out of reach. */
static uintptr_t distance_to(const rf_site *site) {
  uintptr_t const distance = (uintptr_t)site - SITE_ORIGIN;
  return site != NULL && can_be_distance(distance) ? distance : 0;
}

RF_NO_SANITIZE static uintptr_t distance_of(const header *h) {
  return h->site ^ checksum(h);
}

static const rf_site *site_of(const header *h) {
  uintptr_t const distance = distance_of(h);
  return distance != 0 ? (const rf_site *)(SITE_ORIGIN + distance) : NULL;
}

/* LIVE, FREED or SKIP; 0 where it is no header, or damaged. */
RF_NO_SANITIZE static unsigned state_of(const header *h) {
  return can_be_distance(distance_of(h)) ? (unsigned)(h->state & STATE) : 0;
}

RF_NO_SANITIZE static size_t size_of(const header *h) {
  return h->state >> SIZE_SHIFT;
}

RF_NO_SANITIZE static size_t align_of(const header *h) {
  return (size_t)1 << (h->state >> ALIGN_SHIFT & ALIGN_BITS);
}

/* From the heap's block to ours. */
static size_t offset_for(size_t align) {
  return align > HEAD ? align : HEAD;
}

/* Written over damaged words once they were told: no state, and a checksum that is right. */
static void mark_told(header *h) {
  write_header(h, 0, 0);
}

RF_NO_SANITIZE static bool is_told(const header *h) {
  return h->state == 0 && distance_of(h) == 0;
}

static size_t tail_for(size_t size) {
  return TAIL + (0 - size) % TAIL;
}

/* Whether the heap has a block where `h` says that one begins, large enough for its size. A damaged header whose
 * checksum is right by chance seldom does. */
static bool fits(const rf_guard_small *g, const header *h) {
  size_t const offset = offset_for(align_of(h));
  size_t const have = rf_usable_size(g->inner, (const void *)((uintptr_t)(h + 1) - offset));
  return have >= offset + size_of(h) + tail_for(size_of(h));
}

/* ---- Findings ---- */

static void tell(rf_guard_small *g, rf_bug bug, const void *address, const header *h, const rf_site *found,
                 const rf_site *released) {
  rf_small_finding f = {bug, (uintptr_t)address, 0, 0, found, NULL, released};
  if (h != NULL) {
    f.block = (uintptr_t)(h + 1);
    f.size = size_of(h);
    f.allocated = site_of(h);
  }
  g->findings++;
  g->report(g, &f);
}

/* The words of a block are damaged: said once. */
static void tell_damage(rf_guard_small *g, header *h, const rf_site *found, const rf_site *released) {
  if (!is_told(h)) {
    tell(g, RF_BUG_BUFFER_UNDERFLOW, h, NULL, found, released);
    mark_told(h);
  }
}

/* The first byte that is not `byte`, or NULL. */
static unsigned char *first_other(unsigned char *at, size_t size, unsigned byte) {
  for (; size != 0; size--, at++) {
    if (*at != byte) {
      return at;
    }
  }
  return NULL;
}

/* Reports an overwritten tail, and mends it. */
static void check_tail(rf_guard_small *g, header *h, const rf_site *found, const rf_site *released) {
  unsigned char *const end = (unsigned char *)(h + 1) + size_of(h);
  const unsigned char *const wrong = first_other(end, tail_for(size_of(h)), GUARD_BYTE);
  if (wrong != NULL) {
    tell(g, RF_BUG_BUFFER_OVERFLOW, wrong, h, found, released);
    memset(end, GUARD_BYTE, tail_for(size_of(h)));
  }
}

/* The same of a block that waits. */
static void check_waiting(rf_guard_small *g, unsigned char *block, const rf_site *found, const rf_site *released) {
  header *const h = header_of(block);
  if (state_of(h) != FREED || !fits(g, h)) {
    tell_damage(g, h, found, released);
    return;
  }
  const unsigned char *const wrong = first_other(block, size_of(h), FREED_BYTE);
  if (wrong != NULL) {
    tell(g, RF_BUG_USE_AFTER_FREE, wrong, h, found, released);
    memset(block, FREED_BYTE, size_of(h));
  }
  check_tail(g, h, found, released);
}

/* ---- The ring ---- */

/* Gives the oldest back. One whose header was overwritten is lost to the heap. */
static void release_oldest(rf_guard_small *g, const rf_site *site) {
  unsigned char *const block = g->waiting[g->oldest].block;
  header *const h = header_of(block);
  check_waiting(g, block, site, g->waiting[g->oldest].released);
  g->oldest = (g->oldest + 1) % RF_GUARD_SMALL_WAITING;
  g->waiting_count--;
  if (state_of(h) == FREED) {
    g->waiting_bytes -= size_of(h);
    (void)rf_free_at(g->inner, block - offset_for(align_of(h)), NULL);
  }
  g->waiting_bytes = g->waiting_count == 0 ? 0 : g->waiting_bytes;
}

static void release_until(rf_guard_small *g, unsigned count, size_t bytes, const rf_site *site) {
  while (g->waiting_count > count || (g->waiting_count != 0 && g->waiting_bytes > bytes)) {
    release_oldest(g, site);
  }
}

/* ---- Operations ---- */

static unsigned log2_of(size_t align) {
  unsigned log = 0;
  while (align >> log != 1) {
    log++;
  }
  return log;
}

/* Sites are not handed on: some are no records (system_malloc.h), and the heap may report them. */
static void *take(rf_guard_small *g, size_t whole, size_t align, const rf_site *site) {
  void *const taken = rf_alloc_at(g->inner, whole, align, NULL);
  if (taken != NULL || g->waiting_count == 0) {
    return taken;
  }
  release_until(g, 0, 0, site);
  return rf_alloc_at(g->inner, whole, align, NULL);
}

static void *small_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_guard_small *const g = guard_of(self);
  align = align < WORD ? WORD : align;
  size_t const offset = offset_for(align);
  unsigned char *const begin =
      g->inner == NULL || size > RF_GUARD_SMALL_MOST - offset || align > (size_t)1 << ALIGN_BITS
          ? NULL
          : (unsigned char *)take(g, offset + size + tail_for(size), align, site);
  if (begin == NULL) {
    g->counters.failures++;
    return NULL;
  }
  uintptr_t const state = (uintptr_t)size << SIZE_SHIFT | log2_of(align) << ALIGN_SHIFT;
  if (offset != HEAD) {
    write_header((header *)(void *)begin, state | SKIP, 0);
  }
  write_header(header_of(begin + offset), state | LIVE, distance_to(site));
  memset(begin + offset + size, GUARD_BYTE, tail_for(size));
  rf_count_alloc(&g->counters, size);
  return begin + offset;
}

typedef struct place {
  uintptr_t at;
  bool used; /* in a block of the heap */
} place;

static bool visit_place(const rf_block *block, void *context) {
  place *const p = (place *)context;
  p->used = p->used || (block->used && p->at - (uintptr_t)block->ptr < block->size);
  return !p->used;
}

static bool is_waiting(const rf_guard_small *g, const void *block, const rf_site **released) {
  for (unsigned i = 0; i < g->waiting_count; i++) {
    unsigned const at = (g->oldest + i) % RF_GUARD_SMALL_WAITING;
    if (g->waiting[at].block == block) {
      *released = g->waiting[at].released;
      return true;
    }
  }
  return false;
}

/* True where `ptr`, which has the header of a freed block before it, was one: it waits, or the heap has it back. The
 * payload of a live block can look like that, too. */
static bool was_freed(const rf_guard_small *g, const void *ptr, const rf_site **released) {
  if (is_waiting(g, ptr, released)) {
    return true;
  }
  place p = {(uintptr_t)ptr, false};
  (void)rf_walk(g->inner, visit_place, &p);
  return !p.used;
}

/* True where `ptr` is the payload of a block of the heap: its words are damaged. One at the heap's own beginning, or a
 * SKIP there, says how far the payload is. */
static bool is_payload(const rf_guard_small *g, const void *ptr) {
  for (size_t align = HEAD; align <= (size_t)1 << ALIGN_BITS; align *= 2) {
    const header *const first = (const header *)((uintptr_t)ptr - align);
    if (!rf_owns(g->inner, first)) {
      return false;
    }
    if (rf_usable_size(g->inner, first) != 0) {
      return state_of(first) == SKIP ? align_of(first) == align : align == HEAD;
    }
  }
  return false;
}

/* Whether all of `h` is in memory of the heap, and may be read. */
static bool is_readable(const rf_guard_small *g, const header *h) {
  return rf_owns(g->inner, h) && rf_owns(g->inner, (const void *)((uintptr_t)(h + 1) - 1));
}

/* A pointer at which no live block starts. The word before one that was freed still says so, until the heap uses it. */
static rf_status refuse(rf_guard_small *g, void *ptr, const rf_site *site) {
  header *const h = header_of(ptr);
  const rf_site *released = NULL;
  bool const is_ours = (uintptr_t)ptr % WORD == 0 && is_readable(g, h);
  if (is_ours && state_of(h) == FREED && was_freed(g, ptr, &released)) {
    tell(g, RF_BUG_DOUBLE_FREE, ptr, h, site, released);
    return RF_ERR_NOT_ALLOCATED;
  }
  if (is_ours && is_payload(g, ptr)) {
    tell_damage(g, h, site, NULL);
    return RF_ERR_CORRUPT;
  }
  tell(g, RF_BUG_BAD_FREE, ptr, NULL, site, NULL);
  return RF_ERR_BAD_POINTER;
}

/* NULL where no live block starts there. Memory that the heap does not know is not read. A payload can look like a
 * header, so the heap must know a block at its beginning, and one that is large enough. */
static header *live_at(rf_guard_small *g, const void *ptr) {
  header *const h = header_of(ptr);
  bool const may_be = g->inner != NULL && (uintptr_t)ptr % WORD == 0 && is_readable(g, h);
  return may_be && state_of(h) == LIVE && fits(g, h) ? h : NULL;
}

static rf_status small_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_guard_small *const g = guard_of(self);
  header *const h = live_at(g, ptr);
  if (g->inner == NULL) {
    tell(g, RF_BUG_ENDED, ptr, NULL, site, NULL);
    return RF_ERR_DELETED;
  }
  if (h == NULL) {
    return refuse(g, ptr, site);
  }
  size_t const size = size_of(h);
  check_tail(g, h, site, NULL);
  rf_count_free(&g->counters, size);
  write_header(h, (h->state & ~(uintptr_t)STATE) | FREED, distance_of(h));
  memset(ptr, FREED_BYTE, size);
  release_until(g, RF_GUARD_SMALL_WAITING - 1, SIZE_MAX, site);
  unsigned const last = (g->oldest + g->waiting_count) % RF_GUARD_SMALL_WAITING;
  g->waiting[last].block = (unsigned char *)ptr;
  g->waiting[last].released = site;
  g->waiting_count++;
  g->waiting_bytes += size;
  release_until(g, RF_GUARD_SMALL_WAITING, g->quarantine, site);
  return RF_OK;
}

static void *small_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  const header *const h = live_at(guard_of(self), ptr);
  if (h == NULL) {
    (void)small_free(self, ptr, site); /* which refuses it */
    return NULL;
  }
  return rf_realloc_move(self, ptr, size_of(h), size, align, site);
}

static size_t small_usable_size(rf_allocator *self, const void *ptr) {
  const header *const h = live_at(guard_of(self), ptr);
  return h != NULL ? size_of(h) : 0;
}

static bool small_owns(rf_allocator *self, const void *ptr) {
  rf_guard_small *const g = guard_of(self);
  return g->inner != NULL && rf_owns(g->inner, ptr);
}

static void small_stats(rf_allocator *self, rf_stats *out) {
  memset(out, 0, sizeof *out);
  rf_count_into(&guard_of(self)->counters, out);
}

static rf_allocator *small_inner(rf_allocator *self) {
  return guard_of(self)->inner;
}

/* ---- All blocks ---- */

typedef struct pass {
  rf_guard_small *guard;
  bool leaks;
} pass;

/* Whether the block of the heap in which `h` stands has room for the size in it. Its walk may hold a lock, so that it
 * is not asked by itself. */
static bool ends_in(const rf_block *block, const header *h) {
  size_t const room = (uintptr_t)block->ptr + block->size - (uintptr_t)(h + 1);
  return room >= size_of(h) + tail_for(size_of(h));
}

static bool visit(const rf_block *block, void *context) {
  const pass *const p = (const pass *)context;
  const rf_site *released;
  header *h = (header *)block->ptr;
  bool const has_header = block->used && block->size >= HEAD;
  if (has_header && state_of(h) == SKIP && align_of(h) < block->size) {
    h = (header *)((uintptr_t)h + align_of(h) - HEAD);
  }
  if (!has_header || is_waiting(p->guard, h + 1, &released)) {
    return true; /* of those that wait the ring knows more */
  }
  if (state_of(h) != LIVE || !ends_in(block, h)) {
    tell_damage(p->guard, h, NULL, NULL);
    return true;
  }
  check_tail(p->guard, h, NULL, NULL);
  if (p->leaks) {
    tell(p->guard, RF_BUG_LEAK, h + 1, h, NULL, NULL);
  }
  return true;
}

static unsigned look(rf_guard_small *g, bool leaks) {
  unsigned const before = g->findings;
  pass p = {g, leaks};
  for (unsigned i = 0; i < g->waiting_count; i++) {
    unsigned const at = (g->oldest + i) % RF_GUARD_SMALL_WAITING;
    check_waiting(g, g->waiting[at].block, NULL, g->waiting[at].released);
  }
  (void)rf_walk(g->inner, visit, &p);
  return g->findings - before;
}

unsigned rf_guard_small_sweep(rf_guard_small *guard) {
  return guard->inner != NULL ? look(guard, false) : 0;
}

static void small_deinit(rf_allocator *self) {
  rf_guard_small *const g = guard_of(self);
  if (g->inner != NULL) {
    (void)look(g, true);
    release_until(g, 0, 0, NULL);
    g->inner = NULL;
  }
}

static const rf_allocator_ops small_ops = {
    .name = "guard_small",
    .alloc = small_alloc,
    .free = small_free,
    .realloc = small_realloc,
    .usable_size = small_usable_size,
    .owns = small_owns,
    .stats = small_stats,
    .inner = small_inner,
    .deinit = small_deinit,
};

rf_status rf_guard_small_init(rf_guard_small *guard, rf_allocator *inner, size_t quarantine) {
  if (guard == NULL || inner == NULL) {
    return RF_ERR_INVALID;
  }
  for (rf_allocator *a = inner; a != NULL; a = rf_inner(a)) { /* decorators ask the next */
    if (a->ops->owns == NULL || a->ops->usable_size == NULL) {
      return RF_ERR_UNSUPPORTED;
    }
  }
  memset(guard, 0, sizeof *guard);
  guard->base.ops = &small_ops;
  guard->inner = inner;
  guard->quarantine = quarantine;
  guard->report = rf_guard_small_print;
  return RF_OK;
}
