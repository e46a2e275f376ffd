/* What the parts of rf_guard share: guard.c (the operations), guard_damage.c (finding damage), guard_refuse.c (pointers
 * that are no live block) and guard_report.c (making findings). */
#ifndef RINGFENCE_GUARD_IMPL_H
#define RINGFENCE_GUARD_IMPL_H

#include <ringfence/bits.h>
#include <ringfence/guard.h>
#include <ringfence/port.h>
#include <ringfence/track.h>

#include "checkers/os/host.h"
#include "checkers/shared/fill.h"
#include "checkers/shared/wrapper.h"

/* Some functions look at memory that may not be a block at all, where only the system has said that it can be read. */
#if defined(__clang__) || defined(__GNUC__)
#define RF_PEEKS __attribute__((no_sanitize_address, no_sanitize_thread))
#else
#define RF_PEEKS
#endif

#define EXPECTED_LINE ((size_t)64) /* bytes of a cache line; where it is another number, a little less is gained */

/* Inlined where that makes no difference to what a sanitizer sees. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define RF_PEEK_INLINE static inline
#endif
#endif
#ifndef RF_PEEK_INLINE
#define RF_PEEK_INLINE RF_INLINE
#endif

/* What every inner block is aligned to, so that a header can stand before any payload. */
#define GUARD_ALIGN RF_ALIGN_DEFAULT

/* The common paths are one piece of code each, in which nothing is decided or computed twice; what is rare stays out. */
#define RF_LIKELY(x) __builtin_expect(!!(x), 1)
#define RF_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define RF_INLINE static inline __attribute__((always_inline))
#define RF_RARE __attribute__((noinline))

_Static_assert(RF_GUARD_PREFIX % GUARD_ALIGN == 0, "payload aligned by the prefix");
_Static_assert(sizeof(rf_guard_header) == (UINTPTR_MAX > UINT32_MAX ? 32 : 16) + 8 + 8 * RF_GUARD_THREADS,
               "no padding, whose bytes the magic would not cover");

/* What a block costs, as guard.h says. */
#if RF_GUARD_THREADS
_Static_assert(RF_GUARD_PREFIX + RF_GUARD_BACK_MIN == (UINTPTR_MAX > UINT32_MAX ? 80 : 64), "bytes per block");
#else
_Static_assert(RF_GUARD_PREFIX + RF_GUARD_BACK_MIN == (UINTPTR_MAX > UINT32_MAX ? 80 : 40), "bytes per block");
#endif

/* ---- Header ---- */

/* A condemned block's header was found damaged and reported; what is left is never used again. */
typedef enum guard_state { STATE_CONDEMNED, STATE_LIVE, STATE_FREED, STATE_RETIRED } guard_state;

typedef enum origin_kind { ORIGIN_SITE, ORIGIN_CALLER, ORIGIN_STACK, ORIGIN_SITE_AND_STACK } origin_kind;

static inline uint8_t make_kind(guard_state state, rf_family family, origin_kind allocated, origin_kind released) {
  return (uint8_t)((unsigned)state | ((unsigned)family & 3U) << 2 | (unsigned)allocated << 4 | (unsigned)released << 6);
}

RF_PEEKS static inline guard_state state_of(const rf_guard_header *h) {
  return (guard_state)(h->kind & 3U);
}

static inline rf_family family_of(const rf_guard_header *h) {
  return (rf_family)((h->kind >> 2 & 3U) | (unsigned)h->align_log2 >> 7 << 2);
}

static inline uint8_t make_align(size_t align, rf_family family) {
  return (uint8_t)(rf_log2(align) | ((unsigned)family & RF_FAMILY_ALIGNED) << 5);
}

static inline size_t align_of(const rf_guard_header *h) {
  return (size_t)1 << (h->align_log2 & 0x7FU) % RF_SIZE_BITS;
}

static inline origin_kind allocated_kind_of(const rf_guard_header *h) {
  return (origin_kind)(h->kind >> 4 & 3U);
}

static inline origin_kind released_kind_of(const rf_guard_header *h) {
  return (origin_kind)(h->kind >> 6 & 3U);
}

/* ---- Layout ---- */

static inline unsigned char *payload_of(const rf_guard_header *h) {
  return (unsigned char *)(uintptr_t)h + RF_GUARD_PREFIX;
}

static inline rf_guard_header *header_of(const void *ptr) {
  return (rf_guard_header *)((uintptr_t)ptr - RF_GUARD_PREFIX);
}

static inline unsigned char *front_of(const rf_guard_header *h) {
  return payload_of(h) - RF_GUARD_FRONT;
}

/* Bytes from the inner block to the payload of a block aligned to `align`. */
static inline size_t prefix_for(size_t align) {
  return align <= GUARD_ALIGN ? RF_GUARD_PREFIX : (RF_GUARD_PREFIX + (align - 1)) & ~(align - 1);
}

static inline size_t prefix_of(const rf_guard_header *h) {
  size_t const align = align_of(h);
  return RF_LIKELY(align == GUARD_ALIGN) ? RF_GUARD_PREFIX : prefix_for(align);
}

static inline unsigned char *block_of(const rf_guard_header *h) {
  return payload_of(h) - prefix_of(h);
}

static inline unsigned char *end_of(const rf_guard_header *h) {
  return payload_of(h) + h->size + h->back;
}

static inline size_t total_of(const rf_guard_header *h) {
  return prefix_of(h) + h->size + h->back;
}

/* How much of a freed block's payload carries RF_FILL_FREE. */
static inline size_t fill_of(const rf_guard *guard, const rf_guard_header *h) {
  return h->size < guard->options.fill_free ? h->size : guard->options.fill_free;
}

/* ---- Tracking ----
 *
 * A watched guard tells of each block what may be touched: the payload while it is live, and nothing else. Inner allocators find
 * their blocks as they gave them, all of it accessible, whenever they are called about one. */

static inline bool is_watched(const rf_guard *guard) {
  return RF_TRACK && guard->options.watched;
}

static inline const char *mode_of(const rf_guard *guard) {
  return !is_watched(guard) ? "guard" : RF_TRACK_ASAN ? "asan" : "valgrind";
}

/* A new block of `size` bytes, header and guards written. */
static inline void tell_live(const rf_guard *guard, const rf_guard_header *h) {
  if (is_watched(guard)) {
    rf_track_resize(block_of(h), total_of(h), payload_of(h),
                   h->size); /* what the inner allocator said of its block is now of ours */
  }
}

/* A live block, its header and guards open to the inner allocator, and closed again. */
static inline void tell_open(const rf_guard *guard, const rf_guard_header *h) {
  if (is_watched(guard)) {
    rf_track_arena_end(block_of(h), prefix_of(h));
    rf_track_arena_end(payload_of(h) + h->size, h->back);
  }
}

static inline void tell_closed(const rf_guard *guard, const rf_guard_header *h) {
  if (is_watched(guard)) {
    rf_track_arena(block_of(h), prefix_of(h));
    rf_track_resize(payload_of(h), h->size + h->back, payload_of(h), h->size);
  }
}

/* A freed block, filled. */
static inline void tell_freed(const rf_guard *guard, const rf_guard_header *h) {
  if (is_watched(guard)) {
    rf_track_free(payload_of(h), h->size);
  }
}

/* A block that goes back to the inner allocator. */
static inline void tell_returned(const rf_guard *guard, const void *payload, const void *block, size_t total) {
  if (is_watched(guard)) {
    rf_track_resize(payload, 0, block, total);
  }
}

/* memcpy is AddressSanitizer's own in a program that carries it, and looks at what is out of bounds; a loop of volatile
 * accesses, in sources that are compiled without it, is not. For the rare paths. */
static inline void read_anywhere(unsigned char *to, const void *from, size_t size) {
  for (size_t i = 0; i < size; i++) {
    to[i] = ((const volatile unsigned char *)from)[i];
  }
}

/* ---- Magic ----
 *
 * A sum of parts, one for each link and one for the rest, so that a neighbour in the ring is sealed anew by the difference
 * of one part: a header that was damaged before stays damaged. Each part is spread by a multiplication of its own, lest a
 * pattern (every bit turned, one byte repeated) over several fields cancels out. */

RF_PEEKS static inline uintptr_t turn(uintptr_t x, unsigned by) {
  by %= RF_SIZE_BITS;
  return x << by | x >> (RF_SIZE_BITS - by);
}

/* 32 bits that depend on all of `x`: the upper half of a product, where there is one. */
RF_PEEKS static inline uint32_t spread(uintptr_t x, uintptr_t odd) {
  x *= odd;
#if UINTPTR_MAX > UINT32_MAX
  return (uint32_t)(x >> 32);
#else
  return (uint32_t)(x ^ x >> 16);
#endif
}

RF_PEEKS static inline uint32_t next_part(uintptr_t next) {
  return spread(next, (uintptr_t)0xBF58476D1CE4E5B9U);
}

RF_PEEKS static inline uint32_t prev_part(uintptr_t prev) {
  return spread(prev, (uintptr_t)0x94D049BB133111EBU);
}

/* Fields that lie together, as one word: compilers read them at once. What was just written in parts is better not read
 * so, since processors then wait for the parts to arrive. */
RF_PEEKS static inline uint32_t traits_part(uint16_t back, uint8_t align_log2, uint8_t kind) {
  return (uint32_t)back | (uint32_t)align_log2 << 16 | (uint32_t)kind << 24;
}

RF_PEEKS static inline uint32_t traits_of(const rf_guard_header *h) {
  return traits_part(h->back, h->align_log2, h->kind);
}

static inline void set_traits(rf_guard_header *h, uint32_t traits) {
  h->back = (uint16_t)traits;
  h->align_log2 = (uint8_t)(traits >> 16);
  h->kind = (uint8_t)(traits >> 24);
}

#define TRAITS_STATE ((uint32_t)3 << 24)
#define TRAITS_STATE_UNIT ((uint32_t)1 << 24)
#define TRAITS_RELEASED 30U  /* the kind of the origin of the free, from this bit on */
#define TRAITS_ALLOCATED 28U /* of the allocation */

/* All of the traits but origins and guard, of a block aligned to `align`. */
static inline uint32_t traits_for(guard_state state, size_t align, rf_family family) {
  return traits_part(0, make_align(align, family), make_kind(state, family, ORIGIN_SITE, ORIGIN_SITE));
}

#define TRAITS_BUT_ORIGINS 0x0FFF0000U

#if RF_GUARD_THREADS
static inline uint32_t this_thread(void) {
#if defined(__linux__) && __STDC_HOSTED__
  uint32_t const known = rf_port_known_id;
  return RF_LIKELY(known != 0) ? known : rf_port_thread_id();
#else
  return rf_port_thread_id();
#endif
}

/* Both fields at once, since they are read so: processors let a read wait for a write only where it was all written at once. */
static inline void set_allocated_by(rf_guard_header *h, uint32_t thread) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  uint64_t const both = thread;
#else
  uint64_t const both = (uint64_t)thread << 32;
#endif
  memcpy((unsigned char *)h + offsetof(rf_guard_header, allocated_by), &both, sizeof both);
}

RF_PEEKS static inline uintptr_t threads_part(uint32_t allocated_by, uint32_t released_by) {
#if UINTPTR_MAX > UINT32_MAX
  return turn(allocated_by | (uintptr_t)released_by << 32, 7);
#else
  return turn(allocated_by, 7) ^ turn(released_by, 23);
#endif
}
#endif

RF_PEEKS static inline uintptr_t threads_of(const rf_guard_header *h) {
#if RF_GUARD_THREADS
  return threads_part(h->allocated_by, h->released_by);
#else
  (void)h;
  return 0;
#endif
}

/* The magic before it is summed up, so that what changes one field need not compute, or read, the others again. */
typedef struct guard_seal {
  uintptr_t body; /* of all but the links */
  uint32_t next;
  uint32_t prev;
} guard_seal;

RF_PEEKS static inline uintptr_t body_part(const rf_guard *guard, const void *place, size_t size, uintptr_t allocated) {
  uintptr_t x = guard->secret ^ (uintptr_t)place;
  x ^= turn(size, 29) ^ turn(allocated, 43);
  return x;
}

/* Of header `h` as it would stand at `place`. */
RF_PEEKS static inline guard_seal parts_of(const rf_guard *guard, const rf_guard_header *h, const void *place) {
  uintptr_t const body = body_part(guard, place, h->size, h->allocated) ^ threads_of(h) ^ traits_of(h);
  return (guard_seal){body, next_part((uintptr_t)h->next), prev_part(h->u.released)};
}

RF_PEEKS static inline uint32_t magic_of(guard_seal parts) {
  return spread(parts.body, (uintptr_t)0xD6E8FEB86659FD93U) + parts.next + parts.prev;
}

RF_PEEKS static inline uint32_t seal_of(const rf_guard *guard, const rf_guard_header *h, const void *place) {
  return magic_of(parts_of(guard, h, place));
}

static inline void seal(const rf_guard *guard, rf_guard_header *h) {
  h->magic = seal_of(guard, h, h);
}

RF_PEEKS static inline bool intact(const rf_guard *guard, const rf_guard_header *h) {
  return h->magic == seal_of(guard, h, h);
}

static inline void set_next(rf_guard_header *h, rf_guard_header *next) {
  h->magic += next_part((uintptr_t)next) - next_part((uintptr_t)h->next);
  h->next = next;
}

static inline void set_prev(rf_guard_header *h, rf_guard_header *prev) {
  h->magic += prev_part((uintptr_t)prev) - prev_part((uintptr_t)h->u.prev);
  h->u.prev = prev;
}

/* ---- guard.c ---- */

/* True where what is at `guard` looks like a guard that has not been ended. */
bool rf_guard_is_guard(const rf_guard *guard);

/* True where `size` bytes at `p` can be looked at: they lie in the inner allocator's memory or, where that cannot tell, in
 * memory that can be read. */
bool rf_guard_has_memory(const rf_guard *guard, const void *p, size_t size);

/* The same for the header before `ptr`. */
bool rf_guard_reachable(const rf_guard *guard, const void *ptr);

/* True where `ptr` starts a block that is live, its header intact. */
bool rf_guard_is_live(const rf_guard *guard, const void *ptr);

/* ---- guard_look.c ---- */

/* Operations of the interface, as in rf_allocator_ops. */
size_t rf_guard_usable_size(rf_allocator *self, const void *ptr);
bool rf_guard_owns(rf_allocator *self, const void *ptr);
rf_status rf_guard_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_guard_check(rf_allocator *self, rf_fault *where);
void rf_guard_stats(rf_allocator *self, rf_stats *out);
void rf_guard_counters(rf_allocator *self, rf_counters *out);
rf_allocator *rf_guard_inner(rf_allocator *self);

/* Those in force for as long as a walk lasts. */
extern const rf_allocator_ops rf_guard_walked_ops;

/* ---- guard_damage.c ---- */

/* One stretch of disturbed bytes. */
typedef struct guard_damage {
  rf_bug bug;
  const unsigned char *at;
  size_t size;
  const char *detail;
} guard_damage;

/* Looks for damage in and around a live or freed block whose header is intact. */
bool rf_guard_inspect(const rf_guard *guard, const rf_guard_header *h, guard_damage *out);

/* Reports every damage of such a block and writes the disturbed guard and fill bytes anew. Returns the number of findings.
 */
size_t rf_guard_report_damage(rf_guard *guard, rf_guard_header *h, const rf_origin *origin);

/* Every block, live ones from the newest to the oldest and then quarantined ones, queue by queue from the oldest on, damaged or not. Goes
 * past damaged headers as far as links that agree can be found. */
typedef struct guard_cursor {
  rf_guard_header *h; /* NULL: at the end */
  bool intact;
  bool freed;
  unsigned queue; /* where freed */
} guard_cursor;

guard_cursor rf_guard_first(const rf_guard *guard);
void rf_guard_next(const rf_guard *guard, guard_cursor *at);

/* Takes damaged headers out of the ring of live blocks and out of the quarantine, reporting each. Returns the number of
 * findings. */
size_t rf_guard_mend(rf_guard *guard, const rf_origin *origin);

/* The inner allocator met damage to its own data. True where that is known: reported before, or now, with the block whose
 * overflow did it; else it is for the caller to report, once. */
bool rf_guard_inner_is_explained(rf_guard *guard, const rf_origin *origin);

/* Of damage to the inner allocator's own data, tells the live block that ends shortly before, where there is one. */
void rf_guard_name_before(const rf_guard *guard, rf_finding *f);

/* True where there are live blocks to which no header leads any more: damage has gone over several. */
bool rf_guard_has_lost(const rf_guard *guard);

/* ---- guard_refuse.c ---- */

/* The watched guard whose memory `address` lies in, or lies near to, and in *nearest the block of it, live or in quarantine,
 * that is nearest; both NULL where there is none. For the moment of a fault, in any thread, while others may go on: misses a
 * block at worst. */
const rf_guard *rf_guard_around(const void *address, const rf_guard_header **nearest);

/* Reports the free, realloc or resize of what is not a live block. Returns the status to answer with. */
rf_status rf_guard_refuse(rf_guard *guard, void *ptr, const rf_origin *origin);

void rf_guard_register(rf_guard *guard);
void rf_guard_unregister(rf_guard *guard);

/* ---- guard_report.c ---- */

/* Starts a finding: everything that does not depend on a block. */
void rf_guard_finding(const rf_guard *guard, rf_finding *f, rf_bug bug, rf_access access, const void *address,
                      const rf_origin *origin);

/* Adds the block that starts with `h`, intact: place, size, offset, and both origins. */
void rf_guard_finding_block(const rf_guard *guard, rf_finding *f, const rf_guard_header *h);

/* Adds the bytes around `at` as far as they belong to the block. */
void rf_guard_finding_window(const rf_guard *guard, rf_finding *f, const rf_guard_header *h, const unsigned char *at);

/* Adds the bytes of a damaged header and of the guard after it. */
void rf_guard_finding_header(rf_finding *f, const rf_guard_header *h);

/* Decodes an origin as kept in a header. */
void rf_guard_trace(const rf_guard *guard, origin_kind kind, uintptr_t origin, uint32_t thread, rf_trace *out);

/* "operator new" and the like. */
const char *rf_family_allocation(rf_family family);
const char *rf_family_deallocation(rf_family family);

#endif /* RINGFENCE_GUARD_IMPL_H */
