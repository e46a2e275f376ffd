#include "seen_sites.h"

#define SLOTS 4096U /* a power of two; three quarters of them are RF_SEEN_SITES */

_Static_assert(RF_SEEN_SITES < SLOTS, "a search must come to a free slot");

/* The table is dense, in the order of arrival, so that what came since a fork or a record is its end. */
static struct {
  bool begun;
  uint16_t slots[SLOTS]; /* 1 + index in `list`, open addressing; 0: free; accessed atomically, as is the rest */
  rf_seen_site list[RF_SEEN_SITES];
  uint32_t count; /* may go beyond the list: what is beyond was dropped */
  uint32_t first;
} seen;

static uint32_t slot_for(uintptr_t caller) {
  return (uint32_t)((uint64_t)caller * 0x9E3779B97F4A7C15U >> 52) % SLOTS;
}

/* The entry behind a slot; the thread that took the slot has filled it in before. */
static rf_seen_site *entry_of(uint16_t slot) {
  return &seen.list[slot - 1];
}

#define COUNT_MOST (UINT32_MAX / 2) /* a count that wrapped would give entries out anew, until no slot were free */

/* A new entry that no slot leads to yet; 0 where there is no room. */
static uint16_t make_entry(uintptr_t caller) {
  if (__atomic_load_n(&seen.count, __ATOMIC_RELAXED) >= COUNT_MOST) {
    return 0;
  }
  uint32_t const at = __atomic_fetch_add(&seen.count, 1, __ATOMIC_RELAXED);
  if (at >= RF_SEEN_SITES) {
    return 0;
  }
  __atomic_store_n(&seen.list[at].caller, caller, __ATOMIC_RELAXED);
  return (uint16_t)(at + 1);
}

/* NULL if there is no room. If two threads bring the same site at once, one of the two entries stays unused. */
static rf_seen_site *find(uintptr_t caller) {
  uint16_t made = 0;
  for (uint32_t at = slot_for(caller);; at = (at + 1) % SLOTS) {
    uint16_t there = __atomic_load_n(&seen.slots[at], __ATOMIC_ACQUIRE);
    if (there == 0 && made == 0) {
      made = make_entry(caller);
      if (made == 0) {
        return NULL;
      }
    }
    if (there == 0 &&
        __atomic_compare_exchange_n(&seen.slots[at], &there, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      return entry_of(made);
    }
    if (__atomic_load_n(&entry_of(there)->caller, __ATOMIC_RELAXED) == caller) {
      if (made != 0) {
        __atomic_store_n(&entry_of(made)->caller, 0, __ATOMIC_RELAXED);
      }
      return entry_of(there);
    }
  }
}

void rf_seen_sites_begin(void) {
  seen.begun = true;
}

void rf_seen_sites_add(uintptr_t caller, bool frees) {
  if (seen.begun && caller != 0 && !frees) {
    (void)find(caller);
  }
}

void rf_seen_sites_watch(uintptr_t caller) {
  rf_seen_site *const s = seen.begun && caller != 0 ? find(caller) : NULL;
  if (s != NULL) {
    __atomic_fetch_add(&s->watched, 1, __ATOMIC_RELAXED);
  }
}

static uint32_t smaller(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

size_t rf_seen_sites_copy(rf_seen_site *out, size_t *first, size_t *upto, size_t *dropped) {
  uint32_t const count = __atomic_load_n(&seen.count, __ATOMIC_RELAXED);
  uint32_t const kept = smaller(count, RF_SEEN_SITES);
  for (uint32_t i = 0; i < kept; i++) {
    out[i].caller = __atomic_load_n(&seen.list[i].caller, __ATOMIC_RELAXED);
    out[i].watched = __atomic_load_n(&seen.list[i].watched, __ATOMIC_RELAXED);
    out[i].told_by = __atomic_load_n(&seen.list[i].told_by, __ATOMIC_RELAXED);
  }
  *first = smaller(seen.first, kept);
  *upto = count;
  *dropped = count - (seen.first > kept ? seen.first : kept);
  return kept;
}

void rf_seen_sites_told(const rf_seen_site *copy, size_t upto, uint32_t process) {
  uint32_t const kept = smaller((uint32_t)upto, RF_SEEN_SITES);
  for (uint32_t i = 0; i < kept; i++) {
    if (i >= seen.first || copy[i].watched != 0) {
      __atomic_store_n(&seen.list[i].told_by, process, __ATOMIC_RELAXED);
    }
    if (copy[i].watched != 0) {
      __atomic_fetch_sub(&seen.list[i].watched, copy[i].watched, __ATOMIC_RELAXED);
    }
  }
  seen.first = (uint32_t)upto;
}

/* Pages of the table that a child of fork would have to copy for it are few: sites that were watched are. */
void rf_seen_sites_forget(void) {
  uint32_t const count = __atomic_load_n(&seen.count, __ATOMIC_RELAXED);
  for (uint32_t i = 0; i < count && i < RF_SEEN_SITES; i++) {
    if (__atomic_load_n(&seen.list[i].watched, __ATOMIC_RELAXED) != 0) {
      __atomic_store_n(&seen.list[i].watched, 0, __ATOMIC_RELAXED);
    }
  }
  seen.first = count;
}
