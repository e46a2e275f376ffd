#include "told_leaks.h"

#include "checkers/dropin/os/pages.h"

#define SLOTS ((size_t)64 * 1024)
#define MOST (SLOTS / 4 * 3)

typedef struct told_leak {
  uintptr_t start; /* 0: a free slot */
  size_t origin;
} told_leak;

static told_leak *slots;
static size_t count;

bool rf_told_leaks_has(uintptr_t start, size_t origin, bool note) {
  if (slots == NULL && note) {
    slots = rf_record_table(SLOTS * sizeof *slots);
  }
  if (slots == NULL) {
    return false;
  }
  size_t slot = ((start >> 4) ^ origin) % SLOTS;
  for (; slots[slot].start != 0; slot = (slot + 1) % SLOTS) {
    if (slots[slot].start == start && slots[slot].origin == origin) {
      return true;
    }
  }
  if (note && count < MOST) {
    slots[slot] = (told_leak){start, origin};
    count++;
  }
  return false;
}
