/* Spans and their slots, and the page map that finds the span of an address.
 *
 * A span is a run of units of 64 KiB: slots of one size class, or one large block. It is described in memory of its
 * own, out of the program's reach, 16 bytes for each slot; in the span there is nothing but guard and fill bytes beside
 * the program's own.
 *
 *     small:  | front: 64 bytes of guard | slot | slot | ... |
 *     slot:   | gap, of aligned blocks | payload: size bytes | guard bytes to the end of the slot, at least 16 |
 *     freed:  | gap                    | fill                                           | guard bytes: the last 16 |
 *     large:  | front | gap | payload | guard bytes to the end of the page, at least 16 |
 *
 * The guard before a payload is the end of the slot before it, or the front, or the gap.
 *
 *     address = | 0 | root index (16 bits) | leaf index (16 bits) | 16 bits |          64 bit
 *               |      root index (8 bits) | leaf index (8 bits)  | 16 bits |          32 bit
 *
 * Entries change under a heap's lock and are read without one. Descriptors are recycled but never unmapped, so a reader
 * that races with the end of a span reads some descriptor.
 */
#ifndef RINGFENCE_DROPIN_SPAN_H
#define RINGFENCE_DROPIN_SPAN_H

#include "checkers/dropin/os/futex.h"
#include "size_class.h"

#include <ringfence/block.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_UNIT_SHIFT 16U
#define RF_UNIT ((size_t)1 << RF_UNIT_SHIFT)
#define RF_SPAN_FRONT ((size_t)64)
#define RF_SPAN_SMALL_MOST (8 * RF_UNIT) /* bytes of a span of slots */
#define RF_SPAN_MAGIC 40U
#define RF_DEFAULT_ALIGN_LOG2 4U
#define RF_TAIL_LEAST ((size_t)16) /* guard bytes behind each block */

/* ---- Slots ---- */

typedef enum rf_slot_state {
  RF_SLOT_NEW,  /* never a block since the span was made; its bytes mean nothing */
  RF_SLOT_LIVE, /* a block of the program's */
  RF_SLOT_FREED /* it was one: its bytes are as the free left them */
} rf_slot_state;

typedef struct rf_slot {
  uint32_t allocated; /* number of the stack; 0: not known, as is the next */
  uint32_t released;
  uint16_t size;         /* requested; of large blocks the span has it */
  uint16_t allocated_by; /* number of the thread (threads.h) */
  uint16_t released_by;
  uint16_t traits; /* state, family, alignment, generation; accessed atomically */
} rf_slot;

/* A slot as caches have it: where it begins, and its description. */
typedef struct rf_slot_place {
  void *begin;
  rf_slot *slot;
} rf_slot_place;

_Static_assert(sizeof(rf_slot) == 16, "bytes for each slot, as the docs say");

/* Its second half as one word. */
typedef uint64_t rf_slot_word __attribute__((may_alias));
#define RF_WORD_ALLOCATED_BY 16U
#define RF_WORD_TRAITS 48U
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && offsetof(rf_slot, size) == 8, "the word's parts");

static inline rf_slot_word *rf_slot_word_of(rf_slot *slot) {
  return (rf_slot_word *)(void *)&slot->size;
}

/* At once, where the processor can without a function of the compiler's library. */
static inline void rf_slot_set_word(rf_slot *slot, uint64_t word) {
#if UINTPTR_MAX > UINT32_MAX
  __atomic_store_n(rf_slot_word_of(slot), word, __ATOMIC_RELAXED);
#else
  *rf_slot_word_of(slot) = word;
#endif
}

#define RF_TRAITS_STATE 3U
#define RF_TRAITS_FAMILY 2U      /* three bits from here on */
#define RF_TRAITS_ALIGN 5U       /* six bits: the logarithm */
#define RF_TRAITS_GENERATION 11U /* three bits: forks of several threads before its allocation */
#define RF_TRAITS_GENERATIONS 8U
#define RF_TRAITS_BUT_GENERATION ((1U << RF_TRAITS_GENERATION) - 1)

static inline uint16_t rf_traits(rf_slot_state state, rf_family family, unsigned align_log2, unsigned generation) {
  return (uint16_t)((unsigned)state | (unsigned)family << RF_TRAITS_FAMILY | align_log2 << RF_TRAITS_ALIGN |
                    generation << RF_TRAITS_GENERATION);
}

/* Threads ask for the state of neighbours of their own blocks, too. */
static inline rf_slot_state rf_slot_state_of(const rf_slot *slot) {
  return (rf_slot_state)(__atomic_load_n(&slot->traits, __ATOMIC_RELAXED) & RF_TRAITS_STATE);
}

static inline rf_family rf_slot_family(const rf_slot *slot) {
  return (rf_family)(slot->traits >> RF_TRAITS_FAMILY & 7U);
}

static inline size_t rf_slot_align(const rf_slot *slot) {
  return (size_t)1 << (slot->traits >> RF_TRAITS_ALIGN & 63U);
}

static inline unsigned rf_slot_generation(const rf_slot *slot) {
  return slot->traits >> RF_TRAITS_GENERATION;
}

/* A live block is freed from now on: true for one alone of those threads that saw its `traits` and free it at once. In
 * a process of one thread that takes no atomic operation. */
static inline bool rf_slot_claim_live(rf_slot *slot, uint16_t traits) {
  uint16_t const freed = (uint16_t)(traits ^ (RF_SLOT_LIVE ^ RF_SLOT_FREED));
  if (!rf_one_thread()) {
    return __atomic_compare_exchange_n(&slot->traits, &traits, freed, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
  }
  bool const mine = slot->traits == traits;
  if (mine) {
    slot->traits = freed;
  }
  return mine;
}

/* The same of any slot: false where it was not live. */
static inline bool rf_slot_claim(rf_slot *slot, uint16_t traits) {
  return (traits & RF_TRAITS_STATE) == RF_SLOT_LIVE && rf_slot_claim_live(slot, traits);
}

/* It is live again, as it was when it was claimed. */
static inline void rf_slot_unclaim(rf_slot *slot, uint16_t traits) {
  __atomic_store_n(&slot->traits, traits, __ATOMIC_RELEASE);
}

/* ---- Spans ---- */

typedef struct rf_span rf_span;
struct rf_span {
  uintptr_t base;     /* the first slot; large: where payloads may begin */
  uint64_t magic;     /* small: as in rf_size_class; large: 0, so that every offset is in slot 0 */
  rf_slot *slots;     /* one more than there are */
  uint32_t slot_size; /* large: 0 */
  uint32_t count;     /* slots */
  uint16_t heap;      /* whose it is */
  uint16_t class_number;
  bool large;
  bool mapped; /* large: a mapping of its own */
  bool fresh;  /* large: zero but for what the owner wrote */
  bool given_back;
  bool grown;          /* large: a live block that a slot would have room for (large.h) */
  bool restricted;     /* the program has taken access rights from pages of it (rights.h); accessed atomically */
  bool emptied;        /* and pages of it may be zeros, guard bytes included; accessed atomically */
  bool replaced;       /* and pages of it may be the program's own mappings, or none; accessed atomically */
  uint32_t free_count; /* small: slots in `free`; under the heap's lock, as is all that follows */
  uint32_t carved;     /* small: slots that were handed out before */
  uint32_t populated;  /* small: bytes from its start on that have pages, or will not be given any ahead */
  uint16_t *free;      /* small: their numbers */
  rf_span *previous;   /* in the list of spans with slots to give, or of freed large ones */
  rf_span *next;
  rf_span *older; /* in the list of all, as is the next */
  rf_span *newer;
  struct rf_segment *segment; /* NULL where `mapped` */
  size_t bytes;               /* mapped, from the start of the first unit on */
  size_t size;                /* large: of the block */
  uint64_t stamp;             /* large, freed: when, in bytes freed */
  uint32_t number;            /* of its description; no other one's, and below rf_span_numbers */
};

static inline uintptr_t rf_span_start(const rf_span *span) {
  return span->base - RF_SPAN_FRONT;
}

static inline unsigned rf_span_index(const rf_span *span, uintptr_t address) {
  return (unsigned)((uint64_t)(address - span->base) * span->magic >> RF_SPAN_MAGIC);
}

/* The number of the slot that `address` lies in; span->count where it is before the first or behind the last. */
static inline unsigned rf_span_slot_at(const rf_span *span, uintptr_t address) {
  unsigned const index = address >= span->base ? rf_span_index(span, address) : span->count;
  return index < span->count ? index : span->count;
}

/* ---- The page map ---- */

#if UINTPTR_MAX > UINT32_MAX
#define RF_SPAN_MAP_BITS 16U
#else
#define RF_SPAN_MAP_BITS 8U
#endif
#define RF_SPAN_MAP_ENTRIES ((size_t)1 << RF_SPAN_MAP_BITS)

typedef struct rf_span_leaf { /* debuggers read the entries: they come first */
  rf_span *entries[RF_SPAN_MAP_ENTRIES];
  uintptr_t begin; /* of the entries that were ever set, counted from the end of the array: 0 where none was */
  uintptr_t end;   /* the same, from its start */
} rf_span_leaf;

extern rf_span_leaf *rf_span_root[RF_SPAN_MAP_ENTRIES] __attribute__((visibility("hidden")));

/* The span that `address` lies in, or NULL. Lock-free, touches only the table. */
static inline rf_span *rf_span_of(uintptr_t address) {
  uintptr_t const unit = address >> RF_UNIT_SHIFT;
  uintptr_t const index = unit >> RF_SPAN_MAP_BITS;
  if (__builtin_expect(index >= RF_SPAN_MAP_ENTRIES, 0)) {
    return NULL;
  }
  rf_span_leaf *const leaf = __atomic_load_n(&rf_span_root[index], __ATOMIC_ACQUIRE);
  return leaf != NULL ? __atomic_load_n(&leaf->entries[unit & (RF_SPAN_MAP_ENTRIES - 1)], __ATOMIC_ACQUIRE) : NULL;
}

/* The same, but NULL behind the mapping of a large block: its last unit may be another mapping's as well. */
static inline rf_span *rf_span_holding(uintptr_t address) {
  rf_span *const span = rf_span_of(address);
  return span != NULL && address - rf_span_start(span) < span->bytes ? span : NULL;
}

/* Makes room for `bytes` from `start` on in the table. False where there is no memory for it. As the next one. */
bool rf_span_make_room(uintptr_t start, size_t bytes);

/* Enters `span` (NULL: none) for `bytes` from `start` on. False, and nothing changed, where there is no memory for the
 * table. Under the lock of the heap whose memory that is. */
bool rf_span_enter(uintptr_t start, size_t bytes, rf_span *span);

/* The first span that ends above `address`, or NULL: for walks with nobody else running. */
rf_span *rf_span_above(uintptr_t address);

/* ---- Descriptions ---- */

/* A descriptor with room for the slots of a class (RF_CLASSES: for one large block), all zero but for `slots`,
 * `free` and `number`. NULL where there is no memory. Under the lock of heap number `heap`. */
rf_span *rf_span_describe(unsigned heap, unsigned class_number);

/* How many there are, in use or not; accessed atomically. */
extern uint32_t rf_span_numbers __attribute__((visibility("hidden")));

/* Gives it back to be used again. Under the same lock. */
void rf_span_forget(rf_span *span);

#endif /* RINGFENCE_DROPIN_SPAN_H */
