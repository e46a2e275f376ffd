/* std with a place at which a test can let another thread's call happen. */
#ifndef RINGFENCE_TESTS_HEAPS_STD_RACE_H
#define RINGFENCE_TESTS_HEAPS_STD_RACE_H

#include <ringfence/std.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct std_race {
  void (*interrupt)(void); /* called once, in the next call that looks at a pointer */
  void (*at_peak)(void);   /* called once, when a peak is to be raised and has been read */
  void (*at_change)(void); /* called once, when a figure was changed, and so many before it */
  unsigned changes_before;
  const size_t *changed[8]; /* figures that were changed in one step, the last ones */
  unsigned changes;
  bool sums_are_freed; /* every checksum comes out as the mark of a freed block */
  int freed;           /* calls of the C library's free, which keep the memory here */
  void *kept[16];
} std_race;

std_race *std_race_of_this_program(void);

/* rf_std_init, of that std. */
rf_status std_race_init(rf_std *heap);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_HEAPS_STD_RACE_H */
