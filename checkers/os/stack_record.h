/* The records of a depot of stacks. Internal to stack_depot.c, which writes them, and stack_guess.c, which finds them
 * again.
 *
 *     record: | a slot for each word that is compared, the first one's last | layout | next (a number, 0 ends) | hash
 *               | stamp | asked | shape | depth | depth return addresses | words that are compared, too | checks |
 *
 * The layout says on which words of the stack (stack_layout.h) the return addresses and the words behind them are to be
 * found, the last of these repeated as there is room. Without a stamp there is none of all that. Record 0 is never met.
 *
 * A number is the offset of the record, of what is behind its layout, in units of 8 bytes, so 31 bits reach 16 GiB.
 *
 * A record is written once, but for its layout, with all that is behind the return addresses: after code was replaced
 * by other code, that is written anew, by the one thread that could set the stamp to STAMP_BUSY. It counts only where
 * the stamp is that of the generation that was the present one before it was read and after: the stamp never goes back
 * to an older one.
 */
#ifndef RINGFENCE_STACK_RECORD_H
#define RINGFENCE_STACK_RECORD_H

#include "host.h"
#include "stack_layout.h"

#include <ringfence/stack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rf_stack_record {
  uint32_t next;
  uint32_t hash;
  uint32_t stamp; /* of the layout; accessed atomically */
  uint8_t asked; /* the depth that was asked for when it was written; with RF_ASKED_OTHER where shapes do not say all */
  uint8_t shape; /* how many words are compared: one of those below */
  uint16_t depth;
  uintptr_t frames[]; /* the words behind them and the checks follow */
} rf_stack_record;

enum { RF_SHAPE_FOUR, RF_SHAPE_EIGHT, RF_SHAPE_TWELVE };

/* There are other words to compare, or checks. */
#define RF_ASKED_OTHER 0x80U

#define RF_SUCCESSORS 4U

/* Before the record. */
typedef struct rf_record_layout {
  uint32_t reach;  /* bytes from the first frame to the end of the highest slot */
  uint16_t slack;  /* by so much may the depth asked for exceed the record's */
  uint16_t checks; /* of words that depend on where the stack is */
  uint16_t room_for_checks;
  uint16_t room;     /* for words to compare, a multiple of 4 */
  uint16_t compared; /* how many of the words tell the stack: a multiple of 4, at most the room */
  uint16_t padding;
  uint32_t successors[RF_SUCCESSORS]; /* stacks that came after this one (stack_predict.h); accessed atomically */
} rf_record_layout;

#define RF_STAMP_NONE 0U
#define RF_STAMP_BUSY UINT32_MAX

#define RF_RECORD_UNIT 8U

_Static_assert(sizeof(rf_stack_record) % RF_RECORD_UNIT == 0 && sizeof(rf_record_layout) % RF_RECORD_UNIT == 0,
               "records begin at units");
_Static_assert(RF_TRACE_DEPTH < RF_ASKED_OTHER, "a depth that is asked for fits");

/* Cores without compare-and-swap (Cortex-M0) have one thread of execution but for interrupts, which must not put. */
#if defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_4)
static inline uint32_t depot_load(const uint32_t *p) {
  return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to */
static inline void depot_store(uint32_t *p, uint32_t value) {
  __atomic_store_n(p, value, __ATOMIC_RELEASE);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): both are written to */
static inline bool depot_swap(uint32_t *p, uint32_t *expected, uint32_t value) {
  return __atomic_compare_exchange_n(p, expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Once what it stands for was read. */
static inline uint32_t depot_load_after(const uint32_t *p) {
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  return depot_load(p);
}
#else
static inline uint32_t depot_load(const uint32_t *p) {
  return *p;
}

static inline void depot_store(uint32_t *p, uint32_t value) {
  *p = value;
}

static inline bool depot_swap(uint32_t *p, uint32_t *expected, uint32_t value) {
  (void)expected;
  *p = value;
  return true;
}

static inline uint32_t depot_load_after(const uint32_t *p) {
  return depot_load(p);
}
#endif

/* An entry of `recent`: the number of a record, and where there are guesses by layout, what is said of branches. */
#define RF_GUESS_NUMBERS (RF_HOST_STACKS ? 2U : 1U)

static inline uint32_t *guess_at(const rf_stack_depot *depot, uint32_t index) {
  return &depot->recent[(size_t)index * RF_GUESS_NUMBERS];
}

static inline rf_stack_record *record_at(const rf_stack_depot *depot, uint32_t id) {
  return (rf_stack_record *)(void *)(depot->records + (size_t)id * RF_RECORD_UNIT);
}

static inline rf_record_layout *layout_of(const rf_stack_record *r) {
  return (rf_record_layout *)(uintptr_t)r - 1;
}

/* The slot of the first word; that of the next one is before it. */
static inline uint32_t *first_slot_of(const rf_stack_record *r) {
  return (uint32_t *)(void *)layout_of(r) - 1;
}

static inline rf_stack_check *checks_of(const rf_stack_record *r) {
  return (rf_stack_check *)(uintptr_t)(r->frames + layout_of(r)->room);
}

/* As rf_stack_depot_put. `from`: NULL, or where the stack was found as the code of `generation` has it. */
uint32_t rf_stack_depot_put_laid_out(rf_stack_depot *depot, const uintptr_t *frames, unsigned depth,
                                     const rf_stack_layout *from, uint32_t generation);

#endif /* RINGFENCE_STACK_RECORD_H */
