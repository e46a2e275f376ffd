/* The header of each block of rf_guard: its fields, the layout around it, its checksum. Internal to guard*.c and
 * asan.c. */
#ifndef RINGFENCE_GUARD_HEADER_H
#define RINGFENCE_GUARD_HEADER_H

#include <ringfence/bits.h>
#include <ringfence/guard.h>
#include <ringfence/port.h>
#include <string.h>

#include "lib/core/compiler.h"

/* Inlined where that makes no difference to what a sanitizer sees. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define RF_NO_SANITIZE_INLINE static inline
#endif
#endif
#ifndef RF_NO_SANITIZE_INLINE
#define RF_NO_SANITIZE_INLINE RF_INLINE
#endif

/* The alignment of every inner block: a header can stand before any payload. */
#define GUARD_ALIGN RF_ALIGN_DEFAULT

/* Each common path is inlined into one function; rare work stays out of line. */
#define RF_INLINE static inline __attribute__((always_inline))
#define RF_RARE __attribute__((noinline))

_Static_assert(RF_GUARD_PREFIX % GUARD_ALIGN == 0, "payload aligned by the prefix");
_Static_assert(sizeof(rf_guard_header) == (UINTPTR_MAX > UINT32_MAX ? 32 : 16) + 8 + 8 * RF_GUARD_THREADS,
               "no padding, whose bytes the checksum would not cover");

/* The overhead per block, as guard.h says. */
#if RF_GUARD_THREADS
_Static_assert(RF_GUARD_PREFIX + RF_GUARD_BACK_MIN == (UINTPTR_MAX > UINT32_MAX ? 80 : 64), "bytes per block");
#else
_Static_assert(RF_GUARD_PREFIX + RF_GUARD_BACK_MIN == (UINTPTR_MAX > UINT32_MAX ? 80 : 40), "bytes per block");
#endif

/* ---- Header ---- */

/* Abandoned: the header was found damaged and reported; the block is never used again. */
typedef enum guard_state { STATE_ABANDONED, STATE_LIVE, STATE_FREED, STATE_RETIRED } guard_state;

typedef enum origin_kind { ORIGIN_SITE, ORIGIN_CALLER, ORIGIN_STACK, ORIGIN_SITE_AND_STACK } origin_kind;

static inline uint8_t make_kind(guard_state state, rf_family family, origin_kind allocated, origin_kind released) {
  return (uint8_t)((unsigned)state | ((unsigned)family & 3U) << 2 | (unsigned)allocated << 4 | (unsigned)released << 6);
}

RF_NO_SANITIZE static inline guard_state state_of(const rf_guard_header *h) {
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

static inline unsigned char *front_redzone_of(const rf_guard_header *h) {
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

/* How much of a freed block's payload carries RF_PATTERN_FREED. */
static inline size_t fill_of(const rf_guard *guard, const rf_guard_header *h) {
  return h->size < guard->options.fill_free ? h->size : guard->options.fill_free;
}

/* ---- Checksum ----
 *
 * A sum of parts, one for each link and one for the rest. Changing a link adds the difference of one part, so the
 * header of a neighbour in the ring that was damaged before stays damaged. Each part is hashed by a multiplication of
 * its own, so that one pattern over several fields (every bit flipped, one byte repeated) does not cancel out. */

RF_NO_SANITIZE static inline uintptr_t rotate(uintptr_t x, unsigned by) {
  by %= RF_SIZE_BITS;
  return x << by | x >> (-by % RF_SIZE_BITS);
}

/* 32 bits that depend on all of `x`: the upper half of a product, where there is one. */
RF_NO_SANITIZE static inline uint32_t hash32(uintptr_t x, uintptr_t factor) {
  x *= factor;
#if UINTPTR_MAX > UINT32_MAX
  return (uint32_t)(x >> 32);
#else
  return (uint32_t)(x ^ x >> 16);
#endif
}

#define FACTOR_OF_BODY ((uintptr_t)0xD6E8FEB86659FD93U)
#define FACTOR_OF_NEXT ((uintptr_t)0xBF58476D1CE4E5B9U)
#define FACTOR_OF_PREV ((uintptr_t)0x94D049BB133111EBU)

RF_NO_SANITIZE static inline uint32_t checksum_next(uintptr_t next) {
  return hash32(next, FACTOR_OF_NEXT);
}

RF_NO_SANITIZE static inline uint32_t checksum_prev(uintptr_t prev) {
  return hash32(prev, FACTOR_OF_PREV);
}

/* Fields that lie together, as one word: compilers read them by one load. Do not read so what was just written in
 * parts: the processor waits for the stores. */
RF_NO_SANITIZE static inline uint32_t traits_part(uint16_t back, uint8_t align_log2, uint8_t kind) {
  return (uint32_t)back | (uint32_t)align_log2 << 16 | (uint32_t)kind << 24;
}

RF_NO_SANITIZE static inline uint32_t traits_of(const rf_guard_header *h) {
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

/* The traits without origins and back redzone, of a block aligned to `align`. */
static inline uint32_t traits_for(guard_state state, size_t align, rf_family family) {
  return traits_part(0, make_align(align, family), make_kind(state, family, ORIGIN_SITE, ORIGIN_SITE));
}

#define TRAITS_BUT_ORIGINS 0x0FFF0000U

#if RF_GUARD_THREADS
static inline uint32_t this_thread(void) {
#if RF_PORT_KNOWN_ID
  uint32_t const id = rf_port_known_id;
  return RF_LIKELY(id != 0) ? id : rf_port_thread_id();
#else
  return rf_port_thread_id();
#endif
}

/* Both fields by one store, since they are read by one load: store forwarding needs that. */
static inline void set_allocated_by(rf_guard_header *h, uint32_t thread) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  uint64_t const both = thread;
#else
  uint64_t const both = (uint64_t)thread << 32;
#endif
  memcpy((unsigned char *)h + offsetof(rf_guard_header, allocated_by), &both, sizeof both);
}

RF_NO_SANITIZE static inline uintptr_t threads_part(uint32_t allocated_by, uint32_t released_by) {
#if UINTPTR_MAX > UINT32_MAX
  return rotate(allocated_by | (uintptr_t)released_by << 32, 7);
#else
  return rotate(allocated_by, 7) ^ rotate(released_by, 23);
#endif
}
#endif

RF_NO_SANITIZE static inline uintptr_t threads_of(const rf_guard_header *h) {
#if RF_GUARD_THREADS
  return threads_part(h->allocated_by, h->released_by);
#else
  (void)h;
  return 0;
#endif
}

/* The checksum before it is summed up: a change of one field need not read the others again. */
typedef struct guard_checksum {
  uintptr_t body; /* of all but the links */
  uint32_t next;
  uint32_t prev;
} guard_checksum;

RF_NO_SANITIZE static inline uintptr_t checksum_body(const rf_guard *guard, const void *place, size_t size,
                                                     uintptr_t allocated) {
  uintptr_t x = guard->secret ^ (uintptr_t)place;
  x ^= rotate(size, 29) ^ rotate(allocated, 43);
  return x;
}

/* The parts of header `h`, were it at `place`. */
RF_NO_SANITIZE static inline guard_checksum checksum_parts(const rf_guard *guard, const rf_guard_header *h,
                                                           const void *place) {
  uintptr_t const body = checksum_body(guard, place, h->size, h->allocated) ^ threads_of(h) ^ traits_of(h);
  return (guard_checksum){body, checksum_next((uintptr_t)h->next), checksum_prev(h->u.released)};
}

RF_NO_SANITIZE static inline uint32_t checksum_of(guard_checksum parts) {
  return hash32(parts.body, FACTOR_OF_BODY) + parts.next + parts.prev;
}

RF_NO_SANITIZE static inline uint32_t header_checksum(const rf_guard *guard, const rf_guard_header *h,
                                                      const void *place) {
  return checksum_of(checksum_parts(guard, h, place));
}

static inline void write_checksum(const rf_guard *guard, rf_guard_header *h) {
  h->checksum = header_checksum(guard, h, h);
}

RF_NO_SANITIZE static inline bool intact(const rf_guard *guard, const rf_guard_header *h) {
  return h->checksum == header_checksum(guard, h, h);
}

static inline void set_next(rf_guard_header *h, rf_guard_header *next) {
  h->checksum += checksum_next((uintptr_t)next) - checksum_next((uintptr_t)h->next);
  h->next = next;
}

static inline void set_prev(rf_guard_header *h, rf_guard_header *prev) {
  h->checksum += checksum_prev((uintptr_t)prev) - checksum_prev((uintptr_t)h->u.prev);
  h->u.prev = prev;
}

#endif /* RINGFENCE_GUARD_HEADER_H */
