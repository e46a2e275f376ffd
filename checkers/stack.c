#include <ringfence/stack.h>

#include "host.h"

/* A frame as compilers lay it out where they keep frame pointers: the caller's frame pointer, then the return address.
 * Larger steps than this are not frames but something else that looks like one. */
#define STEP_MOST ((uintptr_t)256 * 1024)
/* No code is there. */
#define PC_LEAST 4096U

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STACK_PEEKS __attribute__((no_sanitize("address")))
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define STACK_PEEKS __attribute__((no_sanitize_address))
#endif
#ifndef STACK_PEEKS
#define STACK_PEEKS
#endif

STACK_PEEKS static unsigned follow(uintptr_t frame, uintptr_t high, uintptr_t *frames, unsigned count, unsigned max) {
  while (count < max) {
    uintptr_t const next = ((const uintptr_t *)frame)[0];
    if (next <= frame || next - frame > STEP_MOST || next % sizeof(uintptr_t) != 0 ||
        next > high - 2 * sizeof(uintptr_t)) {
      break;
    }
    uintptr_t const pc = ((const uintptr_t *)next)[1];
    if (pc < PC_LEAST) {
      break;
    }
    frames[count++] = pc;
    frame = next;
  }
  return count;
}

unsigned rf_stack_capture(const rf_origin *origin, uintptr_t *frames, unsigned max) {
  uintptr_t const frame = (uintptr_t)origin->frame;
  uintptr_t low;
  uintptr_t high;
  if (max == 0 || origin->caller == 0) {
    return 0;
  }
  frames[0] = origin->caller;
  if (frame == 0 || frame % sizeof(uintptr_t) != 0 || !rf_host_stack(origin->frame, &low, &high)) {
    return 1;
  }
  return follow(frame, high, frames, 1, max);
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
