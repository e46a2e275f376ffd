/* Your allocator, checked as --config or RINGFENCE_OPTIONS says. */
#include "slots.h"

#include <ringfence/checked.h>
#include <stdio.h>
#include <string.h>

static max_align_t arena[1024];

int main(int argc, char **argv) {
  static slots heap;
  static rf_checked checked;
  if (!slots_init(&heap, arena, sizeof arena)) {
    return 2;
  }
  rf_allocator *const a = rf_checked_init(&checked, &heap.base, NULL);
  char *const p = (char *)rf_alloc(a, 16);
  if (p == NULL) {
    puts("no memory");
    return 3;
  }
  memset(p, 0, 16);
  if (argc > 1 && strcmp(argv[1], "wrong") == 0) {
    p[16] = 1;
  }
  rf_free(a, p);
  rf_checked_deinit(&checked);
  puts("done");
  return 0;
}
