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
  /* The unwinder begins with the checker's own frames, at most 16; the result starts at the caller. */
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

#define WORDS_NEAR ((uintptr_t)2048) /* an upper bound of the frames of an allocator */

RF_STACK_PEEKS static bool is_near(uintptr_t word, uintptr_t from, uintptr_t high) {
  uintptr_t const *const words = (const uintptr_t *)from;
  uintptr_t const count = (high - from) / sizeof word;
  for (uintptr_t i = 0; i < count && i < WORDS_NEAR; i++) {
    if (words[i] == word) {
      return true;
    }
  }
  return false;
}

bool rf_stack_returns_to(uintptr_t pc, const void **frame) {
  uintptr_t all[64];
  uintptr_t const here = (uintptr_t)__builtin_frame_address(0);
  uintptr_t at = here;
  uintptr_t low;
  uintptr_t high;
  uintptr_t found;
  bool const bounded = rf_host_stack((const void *)here, &low, &high);
  while (bounded && rf_stack_step(&at, high, &found)) {
    if (found == pc) {
      *frame = (const void *)at;
      return true;
    }
  }
  *frame = NULL;
  unsigned const count = rf_host_unwind(all, (unsigned)(sizeof all / sizeof all[0]));
  for (unsigned i = 0; i < count; i++) {
    if (all[i] == pc) {
      return true;
    }
  }
  return count == 0 && bounded && is_near(pc, here, high);
}
