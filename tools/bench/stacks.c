/* Exact instructions to take the stack of a request, twelve frames of code without frame pointers.
 *
 *     ./bazelw run //tools/bench:stacks
 */
#include "steps.h"

#include <ringfence/stack.h>
#include <stdio.h>

enum { FRAMES = 12, DEPOT_BYTES = 1 << 20 };

typedef enum way { KNOWN, BY_RULES } way;

static uint64_t memory[DEPOT_BYTES / sizeof(uint64_t)];
static rf_stack_depot depot;

static __attribute__((noinline)) size_t count(way w, const rf_origin *origin) {
  uintptr_t frames[FRAMES];
  if (w == KNOWN) {
    steps_begin((uintptr_t)rf_stack_depot_put_from);
    (void)rf_stack_depot_put_from(&depot, origin, FRAMES);
  } else {
    steps_begin((uintptr_t)rf_stack_capture);
    (void)rf_stack_capture(origin, frames, FRAMES);
  }
  return steps_end();
}

/* In the place of malloc. The second time, everything is known. */
static __attribute__((noinline)) size_t request(way w) {
  rf_origin const origin = {NULL, (uintptr_t)__builtin_return_address(0), __builtin_frame_address(0)};
  (void)count(w, &origin);
  return count(w, &origin);
}

static __attribute__((noinline)) size_t descend(unsigned levels, way w) { /* NOLINT(misc-no-recursion) */
  size_t const steps = levels == 0 ? request(w) : descend(levels - 1, w);
  __asm__ volatile("" : : "r"(&steps) : "memory"); /* no tail call */
  return steps;
}

/* Two stacks that differ in the last frame: either is not what the other leaves as a guess. */
static size_t descend_in_turns(unsigned levels) {
  (void)descend(levels, KNOWN);
  return descend(levels, KNOWN);
}

int main(void) {
  if (!steps_init() || rf_stack_depot_init(&depot, memory, sizeof memory) != RF_OK) {
    (void)fprintf(stderr, "instructions are counted on x86-64 Linux only\n");
    return 1;
  }
  printf("compiled by %s\n\n| a stack of %d frames | instructions |\n|---|---|\n", __VERSION__, FRAMES);
  printf("| met before | %zu |\n", descend(FRAMES, KNOWN));
  printf("| met before, but not first of those from its place | %zu |\n", descend_in_turns(FRAMES - 4));
  printf("| followed by rules | %zu |\n", descend(FRAMES, BY_RULES));
  return 0;
}
