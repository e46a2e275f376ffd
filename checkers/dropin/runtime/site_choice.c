#include "site_choice.h"

#include "checkers/report/policy.h"
#include "state.h"

#define SITES 4096U /* a power of two */
#define FULL (SITES / 4 * 3)
#define NEAR 0x80000000U /* of `state`; the rest counts looks */
#define LOOKS_MOST 0x7FFFFFFFU

typedef struct site {
  uint32_t key; /* 0: free; accessed atomically, as is all here */
  uint32_t state;
} site;

static struct {
  site table[SITES];
  uint32_t count;
  uint32_t looks;
  bool near;
} sites;

/* A frame of our own between the C library and main is in no finding, so it is in no key. */
uint32_t rf_site_key(const rf_origin *origin) {
  uintptr_t frames[RF_POLICY_SITE_DEPTH + 1];
  unsigned const depth = rf_stack_capture(origin, frames, RF_POLICY_SITE_DEPTH + 1);
  unsigned kept = 0;
  for (unsigned i = 0; i < depth; i++) {
    if (frames[i] <= rf_process.entry_start || frames[i] > rf_process.entry_end) {
      frames[kept++] = frames[i];
    }
  }
  return rf_policy_site_key(frames, kept);
}

/* NULL where the table is full of others. */
static site *find(uint32_t key) {
  for (uint32_t at = key % SITES;; at = (at + 1) % SITES) {
    site *const s = &sites.table[at];
    uint32_t there = __atomic_load_n(&s->key, __ATOMIC_RELAXED);
    if (there == 0) {
      if (__atomic_load_n(&sites.count, __ATOMIC_RELAXED) >= FULL) {
        return NULL;
      }
      if (__atomic_compare_exchange_n(&s->key, &there, key, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        __atomic_fetch_add(&sites.count, 1, __ATOMIC_RELAXED);
        return s;
      }
    }
    if (there == key) {
      return s;
    }
  }
}

void rf_site_set_near(uint32_t key) {
  site *const s = find(key);
  if (s != NULL) {
    __atomic_fetch_or(&s->state, NEAR, __ATOMIC_RELAXED);
    __atomic_store_n(&sites.near, true, __ATOMIC_RELAXED);
  }
}

void rf_site_found_near(const rf_trace *allocated) {
  if (allocated->depth != 0) {
    rf_site_set_near(rf_policy_site_key(allocated->frames, allocated->depth));
  }
}

bool rf_site_any_near(void) {
  return __atomic_load_n(&sites.near, __ATOMIC_RELAXED);
}

/* Threads may lose each other's looks: these are no more than a measure. */
static uint32_t count_look(site *s) {
  uint32_t const state = __atomic_load_n(&s->state, __ATOMIC_RELAXED);
  if ((state & LOOKS_MOST) != LOOKS_MOST) {
    __atomic_fetch_add(&s->state, 1, __ATOMIC_RELAXED);
  }
  return state;
}

bool rf_site_wants(uint32_t key, uint32_t one_in) {
  site *const s = find(key);
  uint32_t const all = __atomic_add_fetch(&sites.looks, 1, __ATOMIC_RELAXED);
  if (s == NULL) {
    return all % one_in == 0;
  }
  uint32_t const state = count_look(s);
  uint32_t const looks = state & LOOKS_MOST; /* before this one */
  return (state & NEAR) != 0 || looks % one_in == 0 || looks < all / RF_SITE_RARE;
}
