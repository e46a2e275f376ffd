#include "tests/heaps/std_race.h"

#include "lib/core/checksum.h"
#include "lib/core/verdict.h"
#include <ringfence/std.h>
#include <ringfence/track.h>
#include <stdlib.h>
#include <string.h>

static std_race race;

std_race *std_race_of_this_program(void) {
  return &race;
}

/* Called while std decides about a pointer: after it has read the header, before it takes the block out of use. */
static uint32_t interrupted_top(size_t sum) {
  void (*const interrupt)(void) = race.interrupt;
  race.interrupt = NULL;
  if (interrupt != NULL) {
    interrupt();
  }
  return race.sums_are_freed ? UINT32_C(0xDEADF4EE) : rf_checksum_top(sum);
}

static size_t interrupted_load(const size_t *at, int order) {
  void (*const interrupt)(void) = race.at_peak;
  size_t const value = __atomic_load_n(at, __ATOMIC_RELAXED);
  (void)order;
  race.at_peak = NULL;
  if (interrupt != NULL) {
    interrupt();
  }
  return value;
}

static size_t noted(const size_t *figure, size_t value) {
  race.changed[race.changes++ % 8] = figure;
  if (race.at_change != NULL && race.changes_before-- == 0) {
    void (*const interrupt)(void) = race.at_change;
    race.at_change = NULL;
    interrupt();
  }
  return value;
}

/* Keeps the memory, so that the header can be read afterwards, and a pointer to it, so that it is not a leak. */
static void keep(void *p) {
  race.kept[race.freed++] = p;
}

#define rf_checksum_top(sum) interrupted_top(sum)
#define free(p) keep(p)
#define __atomic_add_fetch(at, by, order) noted(at, __atomic_add_fetch(at, by, order))
#define __atomic_sub_fetch(at, by, order) noted(at, __atomic_sub_fetch(at, by, order))
#define __atomic_load_n(at, order) interrupted_load(at, order)
#define rf_std_init std_race_init

#include "lib/heaps/std.c"
