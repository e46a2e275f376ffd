/* The depot of stacks: a hash table of chains over records that are written once and never move.
 *
 *     memory: | buckets: uint32_t, a power of two of them | recent: fewer | record | record | ... |
 *     record: | next (a number, 0 ends) | hash | depth | padding | depth return addresses |
 *
 * A number is the record's offset in units of 8 bytes, so 32 bits reach 32 GiB. A record is complete before its number
 * is published by the compare-and-swap of a bucket's head: readers need no lock.
 */
#include <ringfence/stack.h>

#include "host.h"
#include "stack_walk.h"

#include <ringfence/frames.h>
#include <stdbool.h>
#include <string.h>

typedef struct record {
  uint32_t next;
  uint32_t hash;
  uint32_t depth;
  uint32_t padding;
  uintptr_t frames[];
} record;

#define UNIT 8U
/* About one bucket for each record of usual depth. */
#define BYTES_PER_BUCKET 128U
/* Fewer places call the allocator than there are stacks that lead to them. */
#define BUCKETS_PER_RECENT 16U
#define RECENT_MOST 4096U

_Static_assert(sizeof(record) % UNIT == 0, "records begin at units");

/* Cores without compare-and-swap (Cortex-M0) have one thread of execution but for interrupts, which must not put. */
#if defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_4)
static uint32_t load(const uint32_t *p) {
  return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to */
static void store(uint32_t *p, uint32_t value) {
  __atomic_store_n(p, value, __ATOMIC_RELEASE);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): both are written to */
static bool swap(uint32_t *p, uint32_t *expected, uint32_t value) {
  return __atomic_compare_exchange_n(p, expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): both are written to */
static bool swap_size(size_t *p, size_t *expected, size_t value) {
  return __atomic_compare_exchange_n(p, expected, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
#else
static uint32_t load(const uint32_t *p) {
  return *p;
}

static void store(uint32_t *p, uint32_t value) {
  *p = value;
}

static bool swap(uint32_t *p, uint32_t *expected, uint32_t value) {
  (void)expected;
  *p = value;
  return true;
}

static bool swap_size(size_t *p, size_t *expected, size_t value) {
  (void)expected;
  *p = value;
  return true;
}
#endif

static size_t padded(size_t size) {
  return (size + (UNIT - 1)) & ~(size_t)(UNIT - 1);
}

static size_t record_size(unsigned depth) {
  return padded(sizeof(record) + depth * sizeof(uintptr_t));
}

rf_status rf_stack_depot_init(rf_stack_depot *depot, void *memory, size_t size) {
  uint32_t buckets = 1;
  if (depot == NULL || memory == NULL || (uintptr_t)memory % UNIT != 0) {
    return RF_ERR_INVALID;
  }
  while (buckets < UINT32_C(1) << 24 && (size_t)buckets * 2 <= size / BYTES_PER_BUCKET) {
    buckets *= 2;
  }
  uint32_t const recent = buckets / BUCKETS_PER_RECENT < RECENT_MOST ? buckets / BUCKETS_PER_RECENT : RECENT_MOST;
  size_t const table = padded(((size_t)buckets + recent) * sizeof(uint32_t));
  if (size < table + UNIT + record_size(1)) {
    return RF_ERR_INVALID;
  }
  depot->buckets = (uint32_t *)memory;
  depot->bucket_mask = buckets - 1;
  depot->recent = recent != 0 ? depot->buckets + buckets : NULL;
  depot->recent_mask = recent - 1;
  depot->records = (unsigned char *)memory + table;
  depot->capacity = size - table;
  if (depot->capacity / UNIT > UINT32_MAX) {
    depot->capacity = (size_t)UINT32_MAX * UNIT;
  }
  depot->used = UNIT; /* so that no record has the number 0 */
  return RF_OK;
}

static record *record_at(const rf_stack_depot *depot, uint32_t id) {
  return (record *)(void *)(depot->records + (size_t)id * UNIT);
}

static uint32_t hash_of(const uintptr_t *frames, unsigned depth) {
  uint64_t hash = depth;
  for (unsigned i = 0; i < depth; i++) {
    hash = (hash ^ frames[i]) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 29;
  }
  return (uint32_t)(hash ^ hash >> 32);
}

/* The id of an equal stack in the chain from `id` up to, not including, `end`; 0 where there is none. */
static uint32_t find(const rf_stack_depot *depot, uint32_t id, uint32_t end, uint32_t hash, const uintptr_t *frames,
                     unsigned depth) {
  while (id != end && id != 0) {
    const record *const r = record_at(depot, id);
    if (r->hash == hash && r->depth == depth && memcmp(r->frames, frames, depth * sizeof frames[0]) == 0) {
      return id;
    }
    id = r->next;
  }
  return 0;
}

/* The id of a new record of `depth` addresses; 0 where the depot is full. */
static uint32_t reserve(rf_stack_depot *depot, unsigned depth) {
  size_t const size = record_size(depth);
#if defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_4)
  size_t used = __atomic_load_n(&depot->used, __ATOMIC_RELAXED);
#else
  size_t used = depot->used;
#endif
  do {
    if (size > depot->capacity - used) {
      return 0;
    }
  } while (!swap_size(&depot->used, &used, used + size));
  return (uint32_t)(used / UNIT);
}

uint32_t rf_stack_depot_put(rf_stack_depot *depot, const uintptr_t *frames, unsigned depth) {
  if (depot == NULL || depth == 0) {
    return 0;
  }
  uint32_t const hash = hash_of(frames, depth);
  uint32_t *const bucket = &depot->buckets[hash & depot->bucket_mask];
  uint32_t head = load(bucket);
  uint32_t found = find(depot, head, 0, hash, frames, depth);
  if (found != 0) {
    return found;
  }
  uint32_t const id = reserve(depot, depth);
  if (id == 0) {
    return 0;
  }
  record *const r = record_at(depot, id);
  r->hash = hash;
  r->depth = depth;
  memcpy(r->frames, frames, depth * sizeof frames[0]);
  uint32_t seen = head;
  for (r->next = head; !swap(bucket, &head, id); r->next = head) {
    /* Other threads were faster. Where one of them put the same stack, this record stays unused. */
    found = find(depot, head, seen, hash, frames, depth);
    if (found != 0) {
      return found;
    }
    seen = head;
  }
  return id;
}

/* ---- Guessing ---- */

/* Calls from one place at one depth mostly have the same stack. */
static uint32_t *guess_for(const rf_stack_depot *depot, const rf_origin *origin) {
  uintptr_t const x = (origin->caller ^ (uintptr_t)origin->frame >> 4) * (uintptr_t)0x9E3779B97F4A7C15U;
  return &depot->recent[(uint32_t)(x >> (sizeof x * 8 - 16)) & depot->recent_mask];
}

/* True where rf_stack_capture would find the addresses of `r`. */
RF_STACK_PEEKS static bool has_same_frames(const record *r, const rf_origin *origin, unsigned max) {
  uintptr_t frame = (uintptr_t)origin->frame;
  unsigned const depth = r->depth;
  unsigned count = 1;
  uintptr_t pc;
  uintptr_t low;
  uintptr_t high;
  if (r->frames[0] != origin->caller || depth > max || !rf_host_stack(origin->frame, &low, &high)) {
    return false;
  }
  while (count < max && rf_stack_step(&frame, high, &pc)) {
    if (count == depth || r->frames[count] != pc) {
      return false;
    }
    count++;
  }
  return count == depth;
}

uint32_t rf_stack_depot_put_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max) {
  uintptr_t frames[RF_TRACE_DEPTH];
  unsigned const most = max < RF_TRACE_DEPTH ? max : RF_TRACE_DEPTH;
  bool const may_guess = depot != NULL && depot->recent != NULL && most != 0 && origin->caller != 0 &&
                         origin->frame != NULL && (uintptr_t)origin->frame % sizeof(uintptr_t) == 0;
  uint32_t *const guess = may_guess ? guess_for(depot, origin) : NULL;
  uint32_t id = may_guess ? load(guess) : 0;
  if (id != 0 && has_same_frames(record_at(depot, id), origin, most)) {
    return id;
  }
  id = rf_stack_depot_put(depot, frames, rf_stack_capture(origin, frames, most));
  if (may_guess && id != 0) {
    store(guess, id);
  }
  return id;
}

/* ---- Reading ---- */

/* True where `id` is in the chain of its hash; an id that was never returned is in none. */
static bool handed_out(const rf_stack_depot *depot, uint32_t id) {
  if (id == 0 || (size_t)id * UNIT > depot->capacity - sizeof(record)) {
    return false;
  }
  uint32_t at = load(&depot->buckets[record_at(depot, id)->hash & depot->bucket_mask]);
  while (at != 0 && at != id) {
    at = record_at(depot, at)->next;
  }
  return at == id;
}

unsigned rf_stack_depot_get(const rf_stack_depot *depot, uint32_t id, uintptr_t *frames, unsigned max) {
  if (depot == NULL || !handed_out(depot, id)) {
    return 0;
  }
  const record *const r = record_at(depot, id);
  unsigned const depth = r->depth < max ? r->depth : max;
  memcpy(frames, r->frames, depth * sizeof frames[0]);
  return depth;
}
