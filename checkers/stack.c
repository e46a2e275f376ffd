#include <ringfence/stack.h>

#include "host.h"
#include "stack_walk.h"

RF_STACK_PEEKS unsigned rf_stack_capture(const rf_origin *origin, uintptr_t *frames, unsigned max) {
  uintptr_t frame = (uintptr_t)origin->frame;
  unsigned count = 1;
  uintptr_t low;
  uintptr_t high;
  if (max == 0 || origin->caller == 0) {
    return 0;
  }
  frames[0] = origin->caller;
  if (frame == 0 || frame % sizeof(uintptr_t) != 0 || !rf_host_stack(origin->frame, &low, &high)) {
    return 1;
  }
  while (count < max && rf_stack_step(&frame, high, &frames[count])) {
    count++;
  }
  return count;
}

unsigned rf_stack_capture_slow(const rf_origin *origin, uintptr_t *frames, unsigned max) {
  /* The unwinder begins with the checker's own frames: room for them, then everything from the caller on. */
  uintptr_t all[16 + 64];
  unsigned const count = max == 0 ? 0 : rf_host_unwind(all, (unsigned)(sizeof all / sizeof all[0]));
  for (unsigned i = 0; i < count; i++) {
    if (all[i] == origin->caller) {
      unsigned const depth = count - i < max ? count - i : max;
      for (unsigned j = 0; j < depth; j++) {
        frames[j] = all[i + j];
      }
      return depth;
    }
  }
  return rf_stack_capture(origin, frames, max);
}
