// Guards whose own data, or whose inner allocator's, a test damages.
#ifndef RINGFENCE_TESTS_CHECKERS_GUARD_DAMAGE_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_GUARD_DAMAGE_FIXTURE_H

#include "tests/checkers/guard_fixture.h"
#include "tests/core/unwatched.h"

#include <algorithm>

namespace ringfence {

class GuardDamage : public GuardTest {
protected:
  static bool names_block(const rf_finding &f, const unsigned char *p) {
    return f.block == reinterpret_cast<uintptr_t>(p);
  }

  static constexpr size_t kHeader = sizeof(rf_guard_header);

  static unsigned char *header(unsigned char *p) { return p - RF_GUARD_PREFIX; }

  // Neither the blocks given nor new ones have suffered.
  void expect_usable(std::initializer_list<unsigned char *> blocks) {
    for (unsigned char *const p : blocks) {
      EXPECT_EQ(rf_free(a(), p), RF_OK);
    }
    void *const fresh = rf_alloc(a(), 40);
    EXPECT_NE(fresh, nullptr);
    EXPECT_EQ(rf_free(a(), fresh), RF_OK);
    expect_silence();
  }
};

// The surroundings of a block of the C library's heap may not be overwritten.
inline std::vector<HeapKind> heaps_in_arena() {
  std::vector<HeapKind> heaps;
  std::copy_if(std::begin(kHeaps), std::end(kHeaps), std::back_inserter(heaps),
               [](const HeapKind &kind) { return kind.in_arena; });
  return heaps;
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_GUARD_DAMAGE_FIXTURE_H
