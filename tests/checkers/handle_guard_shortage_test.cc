// The guard of handles over a heap that is short of memory.
#include "tests/checkers/handle_guard_fixture.h"

#include <cstring>
#include <vector>

namespace ringfence {
namespace {

TEST_P(HandleGuardTest, MemoryInQuarantineIsGivenBackBeforeARequestFails) {
  std::vector<rf_handle> blocks;
  for (int round = 0; round < 3; round++) {
    for (rf_handle a = rf_handle_alloc(h, 5000); a != RF_HANDLE_NULL; a = rf_handle_alloc(h, 5000)) {
      std::memset(at(a), 1, 5000);
      blocks.push_back(a);
    }
    EXPECT_GT(blocks.size(), 30U) << "of 256 KiB, a third of it table";
    for (rf_handle const a : blocks) {
      EXPECT_EQ(rf_handle_free(h, a), RF_OK);
    }
    blocks.clear();
  }
  expect_silence();
}

// The heap asks while the guard waits for it. What is new is counted from the size that the callback gave the block.
TEST_P(HandleGuardTest, TheCallbackMayResizeTheBlockItself) {
  for (size_t const meanwhile : {8, 40}) {
    struct Callback {
      rf_handles *handles;
      rf_handle block;
      rf_handle other;
      size_t size;
    } callback = {h, rf_handle_alloc(h, 20), rf_handle_alloc(h, kArena / 2), meanwhile};
    ASSERT_NE(callback.other, RF_HANDLE_NULL);
    std::memset(at(callback.block), 'a', 20);
    rf_handle_heap_on_short(
        &heap_,
        [](void *context, unsigned, size_t) {
          auto const *const c = static_cast<Callback *>(context);
          EXPECT_EQ(rf_handle_free(c->handles, c->other), RF_OK);
          EXPECT_EQ(rf_handle_realloc(c->handles, c->block, c->size), RF_OK);
          std::memset(rf_handle_address(c->handles, c->block), 'b', c->size);
          return true;
        },
        &callback);
    ASSERT_EQ(rf_handle_realloc(h, callback.block, kArena / 3), RF_OK);
    rf_handle_heap_on_short(&heap_, nullptr, nullptr);
    EXPECT_TRUE(all(at(callback.block), meanwhile, 'b'));
    EXPECT_TRUE(all(at(callback.block) + meanwhile, kArena / 3 - meanwhile, 0)) << meanwhile;
    rf_handle_usage usage;
    rf_handle_usage_get(h, &usage);
    EXPECT_EQ(usage.stats.used, kArena / 3) << meanwhile;
    EXPECT_EQ(rf_handle_free(h, callback.block), RF_OK);
    expect_silence();
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, HandleGuardTest, testing::Values(RF_MODE_GUARD, RF_MODE_PAGE));

} // namespace
} // namespace ringfence
