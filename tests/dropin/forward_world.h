// Fakes for the tests of checkers/dropin/malloc/forward.c: a malloc behind, a
// lot, a clock and a program break. Each test runs in a process of its own.
#ifndef RINGFENCE_TESTS_DROPIN_FORWARD_WORLD_H
#define RINGFENCE_TESTS_DROPIN_FORWARD_WORLD_H

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/reject.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/steering.h"
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <tuple>
#include <utility>
#include <vector>

namespace ringfence_test {

using Reject = std::tuple<rf_reject, size_t, size_t, int>; // size, detail, errno

struct World {
  uint64_t now = 1000000000;
  uintptr_t end = 0; // the program break
  bool due = true;
  int32_t next = 0; // what the lot says
  bool owned = false;
  bool wanted = true; // the call site
  unsigned opened = 0;
  unsigned draws = 0;
  unsigned sampled = 0;
  unsigned mallocs = 0;
  size_t aligned_size = SIZE_MAX; // of the last request for an alignment
  std::vector<Reject> rejects;

  std::vector<Reject> take_rejects() { return std::exchange(rejects, {}); }
};

extern World world;
extern char behind[16]; // the block of the malloc behind
extern char paged[16];

inline rf_origin const no_origin = {};

inline const void *at(uintptr_t address) {
  return reinterpret_cast<const void *>(address); // NOLINT(performance-no-int-to-ptr)
}

// Requests are handed on, and sampled.
void begin();

inline void *request(size_t size = 100, size_t align = RF_ALIGN_DEFAULT, rf_family family = RF_FAMILY_MALLOC) {
  return rf_forward_alloc(size, align, family, &no_origin);
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_FORWARD_WORLD_H
