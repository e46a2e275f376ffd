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
  return rf_checksum_top(sum);
}

/* Keeps the memory, so that the header can be read afterwards, and a pointer to it, so that it is not a leak. */
static void keep(void *p) {
  race.kept[race.freed++] = p;
}

#define rf_checksum_top(sum) interrupted_top(sum)
#define free(p) keep(p)
#define rf_std_init std_race_init

#include "lib/heaps/std.c"
