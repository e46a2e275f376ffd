/* The depot of stacks: a hash table of chains over records that are written once and never move.
 *
 *     memory: | first buckets: fewer | buckets: uint32_t, a power of two of them | recent: fewer, by one or two |
 *               | record | ... |
 *     record: stack_record.h
 *
 * A number is the offset of the record, of what is behind its layout, in units of 8 bytes, so 31 bits reach 16 GiB. A
 * record is complete before its number is published by the compare-and-swap of a bucket's head: readers need no lock.
 *
 * The first buckets lie on one page, for programs of few stacks: the others are on hundreds, each touched by hardly
 * more than one stack, and a page that is touched costs more than the stack. A first bucket with SEAL in its head takes
 * no more records: those go to the other bucket, but the first one is searched before.
 */
#include <ringfence/stack.h>
#include <ringfence/system.h>

#include "host.h"
#include "stack_record.h"

#include "lib/core/compiler.h"

#include <stdbool.h>
#include <string.h>

/* About one bucket for each record of usual depth, up to so many: chains are longer then. */
#define BYTES_PER_BUCKET 128U
#define BUCKETS_MOST (UINT32_C(1) << 17)
#define FIRST_BUCKETS 1024U /* a page */
#define FIRST_CHAIN 2U      /* records of a first bucket */
#define SEAL 0x80000000U
/* Several times more than there are stacks: each is the guess at its place, or behind one or several branches
 * (stack_guess.c). Where more than two have the same two entries, some are followed frame by frame each time. All that
 * programs of few stacks touch is two pages. */
#define BYTES_PER_RECENT 256U           /* of all memory */
#define RECENT_MOST (UINT32_C(1) << 18) /* as many as the key tells apart */
#define RECENT_FIRST 1024U
#define RECENT_GROWTH 4U
#define RECORD_BYTES_PER_RECENT 8U /* with more in use, there are RECENT_GROWTH times as many entries */
/* From here on new stacks are cut to so many frames: of those there are far fewer, and bugs are told apart by five. */
#define FULL_PARTS(capacity) ((capacity) / 4 * 3)
#define FRAMES_WHEN_FULL 6U

#if defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_4)
/* NOLINTNEXTLINE(readability-non-const-parameter): both are written to */
static bool swap_size(size_t *p, size_t *expected, size_t value) {
  return __atomic_compare_exchange_n(p, expected, value, true, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE);
}

static size_t load_size(const size_t *p) {
  return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to */
static void store_size(size_t *p, size_t value) {
  __atomic_store_n(p, value, __ATOMIC_RELEASE);
}
#else
static bool swap_size(size_t *p, size_t *expected, size_t value) {
  (void)expected;
  *p = value;
  return true;
}

static size_t load_size(const size_t *p) {
  return *p;
}

static void store_size(size_t *p, size_t value) {
  *p = value;
}
#endif

static size_t padded(size_t size) {
  return (size + (RF_RECORD_UNIT - 1)) & ~(size_t)(RF_RECORD_UNIT - 1);
}

static unsigned in_fours(unsigned depth) {
  return (depth + 3) & ~3U;
}

/* The size of all that is to be compared. */
static size_t layout_size(unsigned room, unsigned checks) {
  return padded(sizeof(rf_record_layout) + sizeof(rf_stack_record) + room * (sizeof(uintptr_t) + sizeof(uint32_t)) +
                checks * sizeof(rf_stack_check));
}

static size_t record_size(unsigned depth) {
  return padded(sizeof(rf_stack_record) + depth * sizeof(uintptr_t));
}

/* The largest power of two up to both; at least 1. */
static uint32_t power_for(size_t count, uint32_t most) {
  uint32_t power = 1;
  while (power < most && (size_t)power * 2 <= count) {
    power *= 2;
  }
  return power;
}

rf_status rf_stack_depot_init(rf_stack_depot *depot, void *memory, size_t size) {
  if (depot == NULL || memory == NULL || (uintptr_t)memory % RF_RECORD_UNIT != 0) {
    return RF_ERR_INVALID;
  }
  uint32_t const buckets = power_for(size / BYTES_PER_BUCKET, BUCKETS_MOST);
  uint32_t const recent = power_for(size / BYTES_PER_RECENT, RECENT_MOST);
  uint32_t const first = buckets >= 4 * FIRST_BUCKETS ? FIRST_BUCKETS : 0;
  size_t const table = padded(((size_t)first + buckets + (size_t)recent * RF_GUESS_NUMBERS) * sizeof(uint32_t));
  if (size < table + sizeof(rf_stack_record) + record_size(1)) {
    return RF_ERR_INVALID;
  }
  depot->first = first != 0 ? (uint32_t *)memory : NULL;
  depot->buckets = (uint32_t *)memory + first;
  depot->bucket_mask = buckets - 1;
  depot->recent = depot->buckets + buckets;
  depot->recent_most = recent - 1;
  depot->recent_mask = recent < RECENT_FIRST ? recent - 1 : RECENT_FIRST - 1;
  depot->records = (unsigned char *)memory + table;
  depot->capacity = (size - table) & ~(size_t)(RF_RECORD_UNIT - 1); /* whole units, as shrinking leaves */
  if (depot->capacity / RF_RECORD_UNIT > SEAL - 1) {
    depot->capacity = (size_t)(SEAL - 1) * RF_RECORD_UNIT;
  }
  depot->used = sizeof(rf_stack_record); /* so that none has the number 0 */
  depot->added = NULL;
  if (RF_HOST_STACKS) {
    depot->added_call = NULL;
  }
  return RF_OK;
}

static size_t table_size(const rf_stack_depot *depot) {
  const uint32_t *const start = depot->first != NULL ? depot->first : depot->buckets;
  return (size_t)(depot->records - (const unsigned char *)start);
}

/* All that is left is taken first: who saw what was in use before, and the capacity of before, finds the one changed,
 * or the other. */
size_t rf_stack_depot_shrink(rf_stack_depot *depot, size_t spare) {
  size_t const capacity = load_size(&depot->capacity);
  size_t used = load_size(&depot->used);
  do {
    if (used >= capacity || capacity - used <= spare) {
      return table_size(depot) + capacity;
    }
  } while (!swap_size(&depot->used, &used, capacity));
  store_size(&depot->capacity, padded(used + spare));
  store_size(&depot->used, used);
  return table_size(depot) + padded(used + spare);
}

static uint32_t hash_of(const uintptr_t *frames, unsigned depth) {
  uint64_t hash = depth;
  for (unsigned i = 0; i < depth; i++) {
    hash = (hash ^ frames[i]) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 29;
  }
  return (uint32_t)(hash ^ hash >> 32);
}

static unsigned length_of(const rf_stack_depot *depot, uint32_t id) {
  unsigned length = 0;
  for (; id != 0; id = record_at(depot, id)->next) {
    length++;
  }
  return length;
}

/* The id of an equal stack in the chain from `id` on; 0 where there is none. */
static uint32_t find(const rf_stack_depot *depot, uint32_t id, uint32_t hash, const uintptr_t *frames, unsigned depth) {
  while (id != 0) {
    const rf_stack_record *const r = record_at(depot, id);
    if (r->hash == hash && r->depth == depth && memcmp(r->frames, frames, depth * sizeof frames[0]) == 0) {
      return id;
    }
    id = r->next;
  }
  return 0;
}

/* After each step what was noted is found anew, once. */
static void grow_recent(rf_stack_depot *depot, size_t used) {
  uint32_t const mask = depot_load(&depot->recent_mask);
  if (used / RECORD_BYTES_PER_RECENT > mask && mask != depot->recent_most) {
    uint32_t const grown = mask * RECENT_GROWTH + (RECENT_GROWTH - 1);
    depot_store(&depot->recent_mask, grown < depot->recent_most ? grown : depot->recent_most);
  }
}

/* The id of `size` new bytes; 0 where the depot is full. */
static uint32_t reserve(rf_stack_depot *depot, size_t size) {
  size_t used = load_size(&depot->used);
  do {
    size_t const capacity = load_size(&depot->capacity);
    if (used > capacity || size > capacity - used) {
      return 0;
    }
  } while (!swap_size(&depot->used, &used, used + size));
  grow_recent(depot, used + size);
  return (uint32_t)(used / RF_RECORD_UNIT);
}

/* ---- Layouts ---- */

static bool is_absolute(const rf_stack_check *check) {
  return (check->slot & RF_CHECK_ABSOLUTE) != 0;
}

static unsigned count_absolute(const rf_stack_layout *from) {
  unsigned count = 0;
  for (unsigned i = 0; i < from->checks; i++) {
    count += is_absolute(&from->check[i]) ? 1 : 0;
  }
  return count;
}

/* The highest slot of all that is compared. */
static uint32_t last_slot(const rf_stack_layout *from, unsigned depth) {
  uint32_t last = from->slots[depth - 1];
  for (unsigned i = 0; i < from->checks; i++) {
    uint32_t const slot = from->check[i].slot & ~RF_CHECK_ABSOLUTE;
    last = slot > last ? slot : last;
  }
  return last;
}

/* Words that are the same wherever the stack is are compared like return addresses. */
static void add_words(rf_stack_record *r, const rf_stack_layout *from) {
  unsigned words = r->depth;
  unsigned checks = 0;
  uint32_t *const slot = first_slot_of(r);
  for (unsigned i = 0; i < words; i++) {
    *(slot - i) = from->slots[i];
  }
  for (unsigned i = 0; i < from->checks; i++) {
    const rf_stack_check *const check = &from->check[i];
    if (is_absolute(check)) {
      *(slot - words) = check->slot & ~RF_CHECK_ABSOLUTE;
      r->frames[words++] = (uintptr_t)check->value;
    } else {
      checks_of(r)[checks++] = *check;
    }
  }
  for (; words < layout_of(r)->room; words++) {
    *(slot - words) = from->slots[r->depth - 1];
    r->frames[words] = r->frames[r->depth - 1];
  }
  layout_of(r)->checks = (uint16_t)checks;
}

static void set_shape(rf_stack_record *r, unsigned asked) {
  unsigned const fours = layout_of(r)->compared / 4U;
  bool const is_plain = layout_of(r)->checks == 0 && fours <= 3;
  r->asked = (uint8_t)(is_plain ? asked : asked | RF_ASKED_OTHER);
  r->shape = (uint8_t)(is_plain ? RF_SHAPE_FOUR + fours - 1 : RF_SHAPE_TWELVE);
}

/* Fills in the layout of a record that has room for one. */
static void fill_layout(rf_stack_record *r, const rf_stack_layout *from) {
  rf_record_layout *const to = layout_of(r);
  to->reach = (last_slot(from, r->depth) + 1) * (uint32_t)sizeof(uintptr_t);
  to->slack = (uint16_t)(from->ended ? UINT16_MAX - r->depth : 0);
  to->compared = from->rooted != 0 && count_absolute(from) == 0 ? (uint16_t)in_fours(from->rooted) : to->room;
  add_words(r, from);
  set_shape(r, from->asked);
}

/* Unless another thread is at it, or the layout is up to date, or there is no room. A record that was made without a
 * layout has no room for one, and no stamp: what is before it is another record's. */
static void write_layout(rf_stack_record *r, const rf_stack_layout *from, uint32_t generation) {
  uint32_t stamp = depot_load(&r->stamp);
  if (!from->fixed || stamp == RF_STAMP_NONE || stamp == RF_STAMP_BUSY || (int32_t)(generation - stamp) <= 0) {
    return;
  }
  const rf_record_layout *const to = layout_of(r);
  unsigned const absolute = count_absolute(from);
  if (r->depth + absolute <= to->room && from->checks - absolute <= to->room_for_checks &&
      depot_swap(&r->stamp, &stamp, RF_STAMP_BUSY)) {
    fill_layout(r, from);
    depot_store(&r->stamp, generation);
  }
}

/* ---- Putting ---- */

/* The chain in the first bucket of this hash, sealed or not; 0 where there is none. */
static uint32_t first_chain(const rf_stack_depot *depot, uint32_t hash) {
  return depot->first != NULL ? depot_load(&depot->first[hash % FIRST_BUCKETS]) & ~SEAL : 0;
}

/* The first bucket in which a new record belongs, or an equal one is: then *found is its id, else 0. *head: its head.
 * NULL where that bucket takes no more records, the stack in it or not: one that is full is sealed, so that from then
 * on equal stacks meet in the other one. */
static uint32_t *first_bucket_for(const rf_stack_depot *depot, uint32_t hash, const uintptr_t *frames, unsigned depth,
                                  uint32_t *head, uint32_t *found) {
  uint32_t *const first = &depot->first[hash % FIRST_BUCKETS];
  uint32_t now = depot_load(first);
  while ((now & SEAL) == 0) {
    *head = now;
    *found = find(depot, now, hash, frames, depth);
    if (*found != 0 || length_of(depot, now) < FIRST_CHAIN) {
      return first;
    }
    if (depot_swap(first, &now, now | SEAL)) {
      break;
    }
  }
  return NULL;
}

/* The bucket in which a new record of this hash belongs, its head in *head; *found is the id of an equal stack, or 0.
 * If there are many stacks, most are in the buckets behind the first ones: they are searched before. */
static uint32_t *bucket_for(const rf_stack_depot *depot, uint32_t hash, const uintptr_t *frames, unsigned depth,
                            uint32_t *head, uint32_t *found) {
  uint32_t *const first = depot->first != NULL ? first_bucket_for(depot, hash, frames, depth, head, found) : NULL;
  if (first != NULL) {
    return first;
  }
  uint32_t *const bucket = &depot->buckets[hash & depot->bucket_mask];
  *head = depot_load(bucket);
  *found = find(depot, *head, hash, frames, depth);
  if (*found == 0) {
    *found = find(depot, first_chain(depot, hash), hash, frames, depth);
  }
  return bucket;
}

/* A complete record, but for `next`; 0 where the depot is full. `from` as in put. */
static uint32_t make_record(rf_stack_depot *depot, uint32_t hash, const uintptr_t *frames, unsigned depth,
                            const rf_stack_layout *from, uint32_t generation) {
  bool const laid_out = RF_HOST_STACKS && from != NULL && from->fixed;
  unsigned const absolute = laid_out ? count_absolute(from) : 0;
  unsigned const room = laid_out ? in_fours(depth + absolute) : 0;
  unsigned const checks = laid_out ? from->checks - absolute : 0;
  uint32_t id = reserve(depot, laid_out ? layout_size(room, checks) : record_size(depth));
  if (id == 0) {
    return 0;
  }
  id += laid_out ? (uint32_t)((room * sizeof(uint32_t) + sizeof(rf_record_layout)) / RF_RECORD_UNIT) : 0;
  rf_stack_record *const r = record_at(depot, id);
  r->hash = hash;
  r->depth = (uint16_t)depth;
  memcpy(r->frames, frames, depth * sizeof frames[0]);
  if (laid_out) {
    layout_of(r)->room = (uint16_t)room;
    layout_of(r)->room_for_checks = (uint16_t)checks;
    fill_layout(r, from);
    depot_store(&r->stamp, generation);
  }
  return id;
}

#if RF_HOST_STACKS
static bool is_filling(const rf_stack_depot *depot) {
  return load_size(&depot->used) > FULL_PARTS(load_size(&depot->capacity));
}

/* The innermost frames of a stack. It is met again by these alone, whatever is around them. */
static RF_RARE uint32_t put_cut(rf_stack_depot *depot, const uintptr_t *frames, const rf_stack_layout *from,
                                uint32_t generation) {
  rf_stack_layout cut = *from;
  cut.ended = false;
  cut.rooted = 0;
  cut.checks = 0;
  for (unsigned i = 0; i < from->checks; i++) {
    if ((from->check[i].slot & ~RF_CHECK_ABSOLUTE) < from->slots[FRAMES_WHEN_FULL - 1]) {
      cut.check[cut.checks++] = from->check[i];
    }
  }
  return rf_stack_depot_put_laid_out(depot, frames, FRAMES_WHEN_FULL, &cut, generation);
}
#endif

uint32_t rf_stack_depot_put_laid_out(rf_stack_depot *depot, const uintptr_t *frames, unsigned depth,
                                     const rf_stack_layout *from, uint32_t generation) {
  uint32_t const hash = hash_of(frames, depth);
  uint32_t head;
  uint32_t found;
  uint32_t *bucket = bucket_for(depot, hash, frames, depth, &head, &found);
  if (found != 0) {
    if (RF_HOST_STACKS && from != NULL) {
      write_layout(record_at(depot, found), from, generation);
    }
    return found;
  }
#if RF_HOST_STACKS
  if (depth > FRAMES_WHEN_FULL && from != NULL && from->fixed && is_filling(depot)) {
    return put_cut(depot, frames, from, generation);
  }
#endif
  uint32_t const id = make_record(depot, hash, frames, depth, from, generation);
  while (id != 0) {
    record_at(depot, id)->next = head;
    if (depot_swap(bucket, &head, id)) {
      if (depot->added != NULL) {
        depot->added();
      }
      if (RF_HOST_STACKS && depot->added_call != NULL) {
        depot->added_call(frames[from != NULL && from->sited ? 1 : 0], from != NULL && from->frees);
      }
      break;
    }
    /* Other threads were faster. If one of them put the same stack, this record stays unused. */
    bucket = bucket_for(depot, hash, frames, depth, &head, &found);
    if (found != 0) {
      return found;
    }
  }
  return id;
}

uint32_t rf_stack_depot_put(rf_stack_depot *depot, const uintptr_t *frames, unsigned depth) {
  return depot == NULL || depth == 0 || depth > UINT16_MAX ? 0
                                                           : rf_stack_depot_put_laid_out(depot, frames, depth, NULL, 0);
}

uint32_t rf_stack_depot_put_sited(rf_stack_depot *depot, const uintptr_t *words, unsigned count, bool frees) {
  static const rf_stack_layout layouts[] = {{.sited = true}, {.sited = true, .frees = true}};
  if (!RF_HOST_STACKS) {
    return rf_stack_depot_put(depot, words, count);
  }
  return depot == NULL || count < 2 || count > UINT16_MAX
             ? 0
             : rf_stack_depot_put_laid_out(depot, words, count, &layouts[frees ? 1 : 0], 0);
}

/* ---- Reading ---- */

static bool is_in(const rf_stack_depot *depot, uint32_t at, uint32_t id) {
  while (at != 0 && at != id) {
    at = record_at(depot, at)->next;
  }
  return at == id;
}

/* True where `id` is in the chain of its hash; an id that was never returned is in none. */
static bool handed_out(const rf_stack_depot *depot, uint32_t id) {
  if (id == 0 || id >= SEAL || (size_t)id * RF_RECORD_UNIT > load_size(&depot->capacity) - sizeof(rf_stack_record)) {
    return false;
  }
  uint32_t const hash = record_at(depot, id)->hash;
  return is_in(depot, first_chain(depot, hash), id) ||
         is_in(depot, depot_load(&depot->buckets[hash & depot->bucket_mask]), id);
}

unsigned rf_stack_depot_get(const rf_stack_depot *depot, uint32_t id, uintptr_t *frames, unsigned max) {
  if (depot == NULL || !handed_out(depot, id)) {
    return 0;
  }
  const rf_stack_record *const r = record_at(depot, id);
  unsigned const depth = r->depth < max ? r->depth : max;
  memcpy(frames, r->frames, depth * sizeof frames[0]);
  return depth;
}

#if RF_HAS_SYSTEM
const uintptr_t rf_stack_depot_debugger[] = {1, offsetof(rf_stack_depot, records), RF_RECORD_UNIT,
                                             offsetof(rf_stack_record, depth), offsetof(rf_stack_record, frames)};
#endif
