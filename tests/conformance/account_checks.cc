// Statistics, walk and owns. Every checked call of Env compares the statistics with the model; here is what that
// leaves.
#include "tests/conformance/checks.h"

namespace ringfence::conformance {

namespace {

void ANewAllocatorIsEmpty(const Subject &subject) {
  Env env(subject);
  env.verify();
  rf_stats const s = env.stats();
  RF_REQUIRE(s.used == 0 && s.blocks == 0, "live");
  RF_REQUIRE(s.peak == 0 && s.peak_blocks == 0 && s.allocations == 0 && s.failures == 0, "counted");
  RF_REQUIRE(!env.has(RF_SUBJECT_ARENA) || s.largest_free != 0, "nothing is free");
}

void UsedIsWhatWasRequested(const Subject &subject) {
  Env env(subject);
  size_t sum = 0;
  for (size_t const size : {0, 1, 13, 16, 17, 100, 999}) {
    env.must_alloc(served(subject, size));
    sum += served(subject, size);
    RF_REQUIRE(env.stats().used == sum, env.stats().used << " instead of " << sum);
  }
  env.verify();
}

void PeaksStayWhenBlocksGo(const Subject &subject) {
  Env env(subject);
  unsigned char *const first = env.must_alloc(served(subject, 100));
  unsigned char *const second = env.must_alloc(served(subject, 50));
  rf_stats const high = env.stats();
  env.free(first);
  env.must_alloc(served(subject, 20));
  env.free(second);
  env.verify();
  RF_REQUIRE(env.stats().peak == high.used, env.stats().peak);
  RF_REQUIRE(env.stats().peak_blocks == 2, env.stats().peak_blocks);
}

void AFailureRaisesNoPeak(const Subject &subject) {
  Env env(subject);
  unsigned char *const p = env.must_alloc(served(subject, 100));
  for (size_t i = 0; i < 3; i++) {
    RF_REQUIRE(env.alloc(RF_SIZE_LIMIT) == nullptr, "");
    RF_REQUIRE(env.realloc(p, RF_SIZE_LIMIT) == nullptr, "");
    env.verify();
  }
  RF_REQUIRE(env.stats().failures == 6, env.stats().failures);
}

void AShrinkingReallocLowersUsed(const Subject &subject) {
  Env env(subject);
  unsigned char *p = env.must_alloc(served(subject, 200));
  env.verify();
  p = env.realloc(p, 3);
  env.verify();
  p = env.realloc(p, served(subject, 120));
  env.verify();
  env.free(p);
  env.verify();
}

void require_largest_is_exact(Env &env) {
  size_t const largest = env.stats().largest_free;
  if (largest != 0) {
    env.free(env.must_alloc(largest));
  }
  RF_REQUIRE(env.alloc(largest + 1) == nullptr, "more than the largest free block, " << largest);
  RF_REQUIRE(env.stats().largest_free == largest, "after alloc and free of it");
  env.verify();
}

void TheLargestFreeBlockIsServedAndNothingLarger(const Subject &subject) {
  for (size_t const size : {200, 256, 1000, 4096, 30000}) {
    for (size_t const skew : {0, 1, 8, 13}) {
      auto const env = Env::try_make(subject, size, skew);
      if (!env->made()) {
        continue;
      }
      require_largest_is_exact(*env);
      Random random(size + skew);
      for (size_t i = 0; i < 30; i++) {
        unsigned char *const p = env->alloc(served(subject, random.below(size / 8)));
        env->alloc(served(subject, random.below(size / 16)));
        if (p != nullptr && random.below(2) == 0) {
          env->free(p);
        }
        require_largest_is_exact(*env);
      }
    }
  }
}

bool count_visits(const rf_block *, void *context) {
  size_t *const left = static_cast<size_t *>(context);
  return --*left != 0;
}

void AWalkEndsWhenToldTo(const Subject &subject) {
  Env env(subject);
  for (size_t i = 0; i < 5; i++) {
    env.must_alloc(served(subject, 30));
  }
  for (size_t const visits : {1, 2, 5}) {
    size_t left = visits;
    RF_REQUIRE(rf_walk(env.allocator(), count_visits, &left) == RF_OK, "");
    RF_REQUIRE(left == 0, "visits left of " << visits << ": " << left);
  }
}

void LiveBlocksAreOwnedAndForeignMemoryIsNot(const Subject &subject) {
  Env env(subject);
  Env other(subject);
  rf_allocator *const a = env.allocator();
  for (size_t const size : {1, 16, 100, 1000}) {
    env.must_alloc(served(subject, size));
  }
  for (const auto &[p, block] : env.live()) {
    RF_REQUIRE(rf_owns(a, p) && rf_owns(a, p + block.size - 1), "block of " << block.size);
    RF_REQUIRE(!rf_owns(other.allocator(), p), "block of another instance");
  }
  int on_stack = 0;
  RF_REQUIRE(!rf_owns(a, nullptr), "NULL");
  RF_REQUIRE(!rf_owns(a, &on_stack), "stack");
  RF_REQUIRE(!rf_owns(a, &env), "elsewhere");
  if (env.has(RF_SUBJECT_ARENA)) {
    RF_REQUIRE(!rf_owns(a, env.arena() - 1), "before the arena");
    RF_REQUIRE(!rf_owns(a, env.arena() + env.arena_size()), "behind the arena");
    RF_REQUIRE(!rf_owns(a, reinterpret_cast<void *>(UINTPTR_MAX)), "the last address");
  }
}

} // namespace

std::vector<Check> account_checks() {
  return {
      RF_CHECK(ANewAllocatorIsEmpty, 0),
      RF_CHECK(UsedIsWhatWasRequested, 0),
      RF_CHECK(PeaksStayWhenBlocksGo, 0),
      RF_CHECK(AFailureRaisesNoPeak, 0),
      RF_CHECK(AShrinkingReallocLowersUsed, 0),
      RF_CHECK(TheLargestFreeBlockIsServedAndNothingLarger, RF_SUBJECT_ARENA),
      RF_CHECK(AWalkEndsWhenToldTo, RF_SUBJECT_WALKS),
      RF_CHECK(LiveBlocksAreOwnedAndForeignMemoryIsNot, RF_SUBJECT_OWNS),
  };
}

} // namespace ringfence::conformance
