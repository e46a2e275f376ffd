// Two threads at once (two_at_once.h): the turn to report, claims, the depot of stacks, the list of guards.
#include "tests/checkers/two_at_once.h"

#include <gtest/gtest.h>
#include <ringfence/guard.h>
#include <ringfence/simple.h>
#include <ringfence/stack.h>

#include <vector>

#define _Static_assert static_assert
extern "C" {
#include "checkers/guard/guard_impl.h"
#include "checkers/os/host.h"
#include "checkers/os/stack_record.h"
#include "checkers/shared/told_places.h"
}
#undef _Static_assert

namespace {

bool has_turn; // to report

} // namespace

// The linker puts these in front of the host's.
extern "C" {
bool __real_rf_host_report_lock(void);
bool __wrap_rf_host_report_lock(void);
void __real_rf_host_report_unlock(void);
void __wrap_rf_host_report_unlock(void);

bool __wrap_rf_host_report_lock(void) {
  bool const had = __real_rf_host_report_lock();
  has_turn = has_turn || had;
  return had;
}

void __wrap_rf_host_report_unlock(void) {
  has_turn = false;
  __real_rf_host_report_unlock();
}
}

#ifdef RF_CAN_STEP

namespace {

using ringfence_test::expect_one_has;
using ringfence_test::run_with_other_after;
using ringfence_test::two_at_once;

TEST(AtOnce, OneHasTheTurn) {
  expect_one_has(rf_host_report_lock, rf_host_report_unlock);
}

TEST(AtOnce, OneHasAClaim) {
  bool claimed = false;
  expect_one_has([&] { return rf_host_claim(&claimed, 0); }, [&] { claimed = false; });
}

TEST(AtOnce, OneTellsOfAPlace) {
  static rf_told_places told;
  uintptr_t place = 0;
  expect_one_has([&] { return !rf_told_before(&told, 4 * place, 1); }, [&] { place++; });
}

class AtOnceDepot : public testing::Test {
protected:
  AtOnceDepot() { EXPECT_EQ(rf_stack_depot_init(&depot, memory, sizeof memory), RF_OK); }

  std::vector<uintptr_t> stack_of(uint32_t id) const {
    std::vector<uintptr_t> stack(3);
    stack.resize(rf_stack_depot_get(&depot, id, stack.data(), 3));
    return stack;
  }

  uint64_t memory[8 * 1024] = {};
  rf_stack_depot depot;
  uintptr_t round = 0;
  uint32_t ids[2];
};

TEST_F(AtOnceDepot, KeepsBothOfTwoStacks) {
  two_at_once(
      [&](unsigned who) {
        uintptr_t const stack[] = {who, round};
        ids[who] = rf_stack_depot_put(&depot, stack, 2);
      },
      [&] {
        EXPECT_EQ(stack_of(ids[0]), (std::vector<uintptr_t>{0, round}));
        EXPECT_EQ(stack_of(ids[1]), (std::vector<uintptr_t>{1, round}));
        round++;
      });
}

TEST_F(AtOnceDepot, KeepsOneOfTwoEqualStacks) {
  two_at_once(
      [&](unsigned who) {
        uintptr_t const stack[] = {2, round};
        ids[who] = rf_stack_depot_put(&depot, stack, 2);
      },
      [&] {
        EXPECT_EQ(ids[0], ids[1]);
        EXPECT_EQ(stack_of(ids[0]), (std::vector<uintptr_t>{2, round}));
        round++;
      });
}

// Each has the stack's words elsewhere: a guess that is verified by some of either would be of no stack.
TEST_F(AtOnceDepot, WritesOneOfTwoLayoutsAsAWhole) {
  uintptr_t const stack[] = {2, 3};
  uint32_t generation = 1;
  auto const put = [&](unsigned who) {
    rf_stack_layout layout = {};
    layout.fixed = layout.ended = true;
    layout.asked = RF_TRACE_DEPTH;
    layout.slots[0] = 1;
    layout.slots[1] = who == 0 ? 5 : 9;
    return rf_stack_depot_put_laid_out(&depot, stack, 2, &layout, generation);
  };
  const rf_stack_record *const record = record_at(&depot, put(0));
  generation++;
  two_at_once([&](unsigned who) { put(who); },
              [&] {
                EXPECT_EQ(layout_of(record)->reach, (*(first_slot_of(record) - 1) + 1) * sizeof(uintptr_t));
                EXPECT_EQ(record->stamp, generation);
                generation++;
              });
}

// Another thread begins a guard as soon as nobody has the turn.
TEST(AtOnceGuards, AreBothInTheListOfAll) {
  alignas(16) static unsigned char arenas[2][4096];
  rf_simple heaps[2];
  rf_guard guards[2];
  void *blocks[2];
  for (size_t i = 0; i < 2; i++) {
    ASSERT_EQ(rf_simple_init(&heaps[i], arenas[i], sizeof arenas[i]), RF_OK);
    ASSERT_EQ(rf_guard_init(&guards[i], &heaps[i].base, nullptr), RF_OK);
    blocks[i] = rf_alloc(&guards[i].base, 10);
  }
  unsigned after = 0;
  unsigned others = 0;
  bool both = true;
  while (both) {
    rf_guard_unregister(&guards[0]);
    rf_guard_unregister(&guards[1]);
    bool ran = false;
    both = run_with_other_after(
        ++after, [&] { rf_guard_register(&guards[0]); },
        [&] {
          ran = !has_turn;
          if (ran) {
            rf_guard_register(&guards[1]);
          }
        });
    if (!ran) {
      rf_guard_register(&guards[1]);
    }
    others += ran ? 1 : 0;
    EXPECT_EQ(rf_guard_owner(nullptr, blocks[0]), &guards[0]) << "after " << after << " instructions";
    EXPECT_EQ(rf_guard_owner(nullptr, blocks[1]), &guards[1]) << "after " << after << " instructions";
  }
  EXPECT_GT(others, 5U);
  for (size_t i = 0; i < 2; i++) {
    EXPECT_EQ(rf_free(&guards[i].base, blocks[i]), RF_OK);
    rf_deinit(&guards[i].base);
  }
}

} // namespace

#endif
