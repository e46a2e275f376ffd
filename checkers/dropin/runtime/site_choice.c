#include "site_choice.h"

#include "checkers/dropin/os/module.h"
#include "checkers/os/base_name.h"
#include "checkers/os/modules.h"
#include "checkers/report/policy.h"

#include "state.h"
#include <string.h>

#define SITES 4096U /* a power of two */
#define FULL (SITES / 4 * 3)
#define NEAR 0x80000000U    /* of `state`; the rest counts looks */
#define INSIDE 0x40000000U  /* its module may be watched; */
#define OUTSIDE 0x20000000U /* may not; neither: not yet looked up */
#define LOOKS_MOST 0x1FFFFFFFU

typedef struct site {
  uint32_t key; /* 0: free; accessed atomically, as is all here */
  uint32_t state;
} site;

static struct {
  site table[SITES];
  uint32_t count;
  uint32_t looks;
  size_t modules_length; /* 0: all */
  char modules[RF_SITE_MODULES];
  char program[RF_SITE_MODULES]; /* its name */
} sites;

/* A frame of our own between the C library and main is in no finding, so it is in no key. */
uint32_t rf_site_key(const rf_origin *origin) {
  uintptr_t frames[RF_POLICY_SITE_DEPTH + 1];
  unsigned const depth = rf_stack_capture(origin, frames, RF_POLICY_SITE_DEPTH + 1);
  return rf_policy_site_key(frames, rf_process_without_entry(frames, depth));
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

/* ---- Modules ---- */

void rf_site_limit_to(const char *modules, size_t length) {
  (void)rf_modules_program_path(sites.program, sizeof sites.program);
  sites.modules_length = modules == NULL ? 0 : length < RF_SITE_MODULES ? length : RF_SITE_MODULES;
  memcpy(sites.modules, modules != NULL ? modules : "", sites.modules_length);
}

bool rf_site_is_limited(void) {
  return sites.modules_length != 0;
}

static bool is_listed(const char *name) {
  for (size_t at = 0; at < sites.modules_length;) {
    size_t length = 0;
    while (at + length < sites.modules_length && sites.modules[at + length] != ',') {
      length++;
    }
    if (length != 0 && rf_policy_fits(sites.modules + at, length, name)) {
      return true;
    }
    at += length + 1;
  }
  return false;
}

static bool is_inside(uintptr_t caller) {
  char path[1024];
  if (!rf_module_path_of(caller, path, sizeof path)) {
    return false;
  }
  return is_listed(rf_base_name(path[0] != '\0' ? path : sites.program));
}

bool rf_site_may_be_watched(uint32_t key, uintptr_t caller) {
  site *const s = sites.modules_length != 0 ? find(key) : NULL;
  if (s == NULL) {
    return sites.modules_length == 0 || is_inside(caller);
  }
  uint32_t const known = __atomic_load_n(&s->state, __ATOMIC_RELAXED) & (INSIDE | OUTSIDE);
  if (known != 0) {
    return known == INSIDE;
  }
  bool const inside = is_inside(caller);
  __atomic_fetch_or(&s->state, inside ? INSIDE : OUTSIDE, __ATOMIC_RELAXED);
  return inside;
}

/* ---- Choice ---- */

void rf_site_set_near(uint32_t key) {
  site *const s = find(key);
  if (s != NULL) {
    __atomic_fetch_or(&s->state, NEAR, __ATOMIC_RELAXED);
  }
}

void rf_site_found_near(const rf_trace *allocated) {
  if (allocated->depth != 0) {
    rf_site_set_near(rf_policy_site_key(allocated->frames, allocated->depth));
  }
}

/* Threads may lose each other's looks: these are no more than a measure. No two take the last step, which would carry
 * into the bits above. */
static uint32_t count_look(site *s) {
  uint32_t const before = __atomic_load_n(&s->state, __ATOMIC_RELAXED);
  uint32_t seen = before;
  if ((before & LOOKS_MOST) != LOOKS_MOST) {
    (void)__atomic_compare_exchange_n(&s->state, &seen, before + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }
  return before;
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
