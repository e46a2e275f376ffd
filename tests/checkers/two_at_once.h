// Two threads in one function at once: the second one's call is played, as a whole, after each instruction of the
// first one's. An atomic operation that fell apart into a load and a store loses one of the two there.
#ifndef RINGFENCE_TESTS_CHECKERS_TWO_AT_ONCE_H
#define RINGFENCE_TESTS_CHECKERS_TWO_AT_ONCE_H

#include "tests/checkers/single_step.h"

#include <gtest/gtest.h>

#include <functional>

#ifdef RF_CAN_STEP

namespace ringfence_test {

// Runs `call`, as the first of two, with that of the second after each instruction; `check` after each such run. At the
// end the first one ran alone.
template <typename Call> void two_at_once(Call &&call, const std::function<void()> &check) {
  unsigned after = 0;
  bool both = true;
  while (both) {
    SCOPED_TRACE(++after);
    both = run_with_other_after(
        after, [&] { call(0); }, [&] { call(1); });
    if (both) {
      check();
    }
  }
  EXPECT_GT(after, 5U);
}

// A claim that two make: one has it. At the end nobody has.
template <typename Claim> void expect_one_has(Claim &&claim, const std::function<void()> &give_back) {
  bool has[2];
  two_at_once([&](unsigned who) { has[who] = claim(); },
              [&] {
                EXPECT_NE(has[0], has[1]);
                give_back();
              });
  give_back();
}

} // namespace ringfence_test

#endif

#endif // RINGFENCE_TESTS_CHECKERS_TWO_AT_ONCE_H
