// Stacks that are captured by rules, beside those that the unwinder of the compiler finds.
#ifndef RINGFENCE_TESTS_CHECKERS_STACK_RULES_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_STACK_RULES_FIXTURE_H

#include "checkers/os/stack_layout.h"
#include "checkers/os/stack_rules.h"

#include "tests/checkers/stack_subjects.h"

#include <gtest/gtest.h>

#if RF_STACK_RULES

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <string>
#include <unwind.h>
#include <vector>

namespace ringfence {

constexpr unsigned kDepth = 32;

struct Unwinding {
  uintptr_t from;
  uintptr_t frames[kDepth];
  unsigned count;
};

inline _Unwind_Reason_Code unwound(struct _Unwind_Context *context, void *argument) {
  auto *const u = static_cast<Unwinding *>(argument);
  uintptr_t const pc = _Unwind_GetIP(context);
  if (pc == 0 || u->count == kDepth) {
    return _URC_END_OF_STACK;
  }
  if (u->count != 0 || pc == u->from) {
    u->frames[u->count++] = pc;
  }
  return _URC_NO_REASON;
}

// The result of the last call of compare: by each way, and by the unwinder.
struct Found {
  Unwinding expected;
  uintptr_t captured[kDepth];
  unsigned captured_count;
  uintptr_t kept[2][kDepth];
  unsigned kept_count[2];
};

inline Found found;
inline rf_stack_depot depot;

// Called in signal handlers as well: allocates nothing.
inline __attribute__((noinline)) void compare(const rf_origin *origin) {
  found.expected = {origin->caller, {}, 0};
  (void)_Unwind_Backtrace(unwound, &found.expected);
  found.captured_count = rf_stack_capture(origin, found.captured, kDepth);
  for (int i = 0; i < 2; i++) { // the second time it is known
    uint32_t const id = rf_stack_depot_put_from(&depot, origin, kDepth);
    found.kept_count[i] = rf_stack_depot_get(&depot, id, found.kept[i], kDepth);
  }
}

// The call of the function that this is in.
#define ORIGIN_HERE                                                                                                    \
  { nullptr, reinterpret_cast<uintptr_t>(__builtin_return_address(0)), __builtin_frame_address(0) }

#define COMPARE_HERE()                                                                                                 \
  rf_origin const origin = ORIGIN_HERE;                                                                                \
  compare(&origin)

inline bool all_equal() {
  auto const same = [](const uintptr_t *frames, unsigned count) {
    return count == found.expected.count && std::equal(frames, frames + count, found.expected.frames);
  };
  return found.expected.count != 0 && same(found.captured, found.captured_count) &&
         same(found.kept[0], found.kept_count[0]) && same(found.kept[1], found.kept_count[1]);
}

inline std::string difference() {
  std::string text;
  for (unsigned i = 0; i < std::max(found.expected.count, found.captured_count); i++) {
    char line[160];
    (void)snprintf(line, sizeof line, "%lx captured %lx kept %lx, again %lx\n",
                   static_cast<unsigned long>(i < found.expected.count ? found.expected.frames[i] : 0),
                   static_cast<unsigned long>(i < found.captured_count ? found.captured[i] : 0),
                   static_cast<unsigned long>(i < found.kept_count[0] ? found.kept[0][i] : 0),
                   static_cast<unsigned long>(i < found.kept_count[1] ? found.kept[1][i] : 0));
    text += line;
  }
  return text;
}

inline jmp_buf back;

inline void compare_and_return(const stack_step * /*step*/) {
  COMPARE_HERE();
}

inline void compare_and_jump(const stack_step * /*step*/) {
  COMPARE_HERE();
  longjmp(back, 1);
}

inline __attribute__((noinline)) void start(const stack_step *steps) {
  if (setjmp(back) == 0) {
    steps->run(steps);
  }
}

class StackRules : public testing::Test {
protected:
  StackRules() : memory_(1 << 17) { EXPECT_EQ(rf_stack_depot_init(&depot, memory_.data(), memory_.size() * 8), RF_OK); }

  std::vector<uint64_t> memory_;
};

const stack_subject *const kWays[] = {stack_subjects_o0, stack_subjects_o2, stack_subjects_pointers,
                                      stack_subjects_no_pointers};

} // namespace ringfence

#endif // RF_STACK_RULES

#endif // RINGFENCE_TESTS_CHECKERS_STACK_RULES_FIXTURE_H
