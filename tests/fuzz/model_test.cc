// The shadow model: silent on a heap that keeps its promises, and naming the promise on heaps that break one.
#include "tests/fuzz/flaws.h"
#include "tests/fuzz/toy_heap.h"

#include <ringfence/fuzz/interpreter.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>

namespace ringfence::fuzz {
namespace {

constexpr unsigned kInputs = 40;
constexpr size_t kInputSize = 3000;

// Any bytes, as inputs of a fuzzer are after a while. The same for the same seed, on every machine.
std::vector<uint8_t> random_input(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> bytes(kInputSize);
  std::generate(bytes.begin(), bytes.end(), [&random] { return static_cast<uint8_t>(random()); });
  return bytes;
}

rf_fuzz_target target_for(ToyHeap &heap) {
  rf_fuzz_target target = rf_fuzz_target_default("toy", [](void *context, void *arena, size_t size) {
    auto *const toy = static_cast<ToyHeap *>(context);
    return toy->init(arena, size) ? &toy->base : nullptr;
  });
  target.context = &heap;
  target.add_region = [](void *, rf_allocator *allocator, void *data, size_t size) {
    return ToyHeap::of(allocator).add_region(data, size);
  };
  target.remove_region = [](void *, rf_allocator *allocator, void *data) {
    return ToyHeap::of(allocator).remove_region(data);
  };
  target.min_arena = 64;
  return target;
}

// 1: everything is compared after each operation, as in a replay; 0: as often as the input chooses, as in a fuzzer.
class ModelTest : public testing::TestWithParam<size_t> {};

TEST_P(ModelTest, IsSilentOnAGoodHeap) {
  compare_every(GetParam());
  for (unsigned seed = 0; seed < kInputs; seed++) {
    ToyHeap heap;
    rf_fuzz_target const target = target_for(heap);
    std::vector<uint8_t> const input = random_input(seed);
    auto const violation = run(target, {input.data(), input.size()});
    ASSERT_FALSE(violation) << "seed " << seed << ", operation " << violation->operation << ": " << violation->statement
                            << ": " << violation->rule << ": " << violation->what;
  }
}

INSTANTIATE_TEST_SUITE_P(Intervals, ModelTest, testing::Values(0, 1, 7, 1000));

class FlawTest : public testing::TestWithParam<Flaw> {};

// The number of inputs that find the flaw; with everything compared after each operation, by its name.
size_t inputs_that_find(const Flaw &flaw, size_t interval) {
  compare_every(interval);
  size_t found = 0;
  for (unsigned seed = 0; seed < kInputs && found < 3; seed++) {
    ToyHeap heap;
    rf_fuzz_target target = target_for(heap);
    flaw.plant(heap, target);
    std::vector<uint8_t> const input = random_input(seed);
    if (auto const violation = run(target, {input.data(), input.size()})) {
      found++;
      if (interval == 1) {
        EXPECT_NE(std::string(flaw.rules).find(violation->rule), std::string::npos)
            << violation->statement << ": " << violation->what;
      }
    }
  }
  return found;
}

TEST_P(FlawTest, IsFoundAndNamed) {
  if (Memory::kPoisoned && GetParam().rules == std::string("outside")) {
    GTEST_SKIP() << "AddressSanitizer stops it at the access";
  }
  EXPECT_GE(inputs_that_find(GetParam(), 1), 1U);
  if (Memory::kPoisoned && GetParam().name == std::string("RemovedRegionIsStillUsed")) {
    return; /* between two comparisons the model writes to a block in it, and AddressSanitizer ends the test */
  }
  EXPECT_GE(inputs_that_find(GetParam(), 0), 1U) << "as a fuzzer compares";
}

INSTANTIATE_TEST_SUITE_P(All, FlawTest, testing::ValuesIn(all_flaws()),
                         [](const auto &flaw) { return std::string(flaw.param.name); });

} // namespace
} // namespace ringfence::fuzz
