// The effects of realloc and resize on a block and its contents.
#include "tests/conformance/checks.h"

#include <algorithm>

namespace ringfence::conformance {

namespace {

void ReallocOfNullAllocates(const Subject &subject) {
  Env env(subject);
  size_t const size = served(subject, 33);
  unsigned char *const p = env.alloc_by(size, kAlign, [&] { return rf_realloc(env.allocator(), nullptr, size); });
  RF_REQUIRE(p != nullptr, "");
  RF_REQUIRE(env.alloc_by(0, kAlign, [&] { return rf_realloc(env.allocator(), nullptr, 0); }) != nullptr,
             "realloc(NULL, 0) allocates no bytes");
  env.verify();
  env.free_all();
  env.verify();
}

void ReallocToZeroFreesAndGivesNull(const Subject &subject) {
  Env env(subject);
  rf_stats const empty = env.stats();
  void *const p = rf_alloc(env.allocator(), served(subject, 33));
  RF_REQUIRE(p != nullptr, "");
  RF_REQUIRE(rf_realloc(env.allocator(), p, 0) == nullptr, "");
  rf_stats const after = env.stats();
  RF_REQUIRE(after.blocks == 0 && after.used == 0, after.blocks << " blocks of " << after.used << " bytes");
  RF_REQUIRE(after.failures == 0, "counted as a failure");
  if (env.has(RF_SUBJECT_COALESCES)) {
    RF_REQUIRE(after.free_bytes == empty.free_bytes, after.free_bytes);
  }
}

void ReallocKeepsContents(const Subject &subject) {
  Env env(subject);
  size_t const sizes[] = {0, 1, 8, 12, 16, 17, 31, 32, 33, 48, 64, 100, 128, 255, 500, 1000, 4000};
  for (size_t const from : sizes) {
    for (size_t const to : sizes) {
      if (to == 0 || served(subject, from) != from || served(subject, to) != to) {
        continue;
      }
      unsigned char *const before = env.must_alloc(served(subject, 20));
      unsigned char *const p = env.must_alloc(from);
      env.must_alloc(served(subject, 20)); // in the way
      env.free(before);
      RF_REQUIRE(env.realloc(p, to) != nullptr, "from " << from << " to " << to);
      env.verify();
      env.verify_contents();
      env.free_all();
    }
  }
  env.verify();
}

void ReallocGrowsStepByStep(const Subject &subject) {
  Env env(subject);
  unsigned char *p = env.must_alloc(1);
  unsigned char *other = env.must_alloc(1);
  for (size_t size = 2; size <= served(subject, 300); size++) {
    p = env.realloc(p, size);
    RF_REQUIRE(p != nullptr, "to " << size);
    other = env.realloc(other, size);
    RF_REQUIRE(other != nullptr, "to " << size);
    env.verify();
  }
  for (size_t size = served(subject, 300); size >= 1; size--) {
    p = env.realloc(p, size);
    RF_REQUIRE(p != nullptr, "down to " << size);
    env.verify();
  }
  env.verify_contents();
  env.free_all();
  env.verify();
}

void ReallocHonoursAlignment(const Subject &subject) {
  Env env(subject, kArena, 8);
  for (size_t const align : aligns_to_try(subject)) {
    for (size_t const size : {1, 20, 100, 1000}) {
      unsigned char *p = env.must_alloc(served(subject, 50), 1);
      env.must_alloc(served(subject, 10));
      p = env.realloc(p, served(subject, size), align);
      RF_REQUIRE(p != nullptr, "to " << size << " aligned to " << align);
      env.verify();
      env.free_all();
    }
  }
  env.verify();
}

void ReallocThatFailsLeavesTheBlock(const Subject &subject) {
  Env env(subject);
  unsigned char *const p = env.must_alloc(served(subject, 40));
  env.must_alloc(served(subject, 40));
  for (size_t const size : unservable_sizes(subject)) {
    RF_REQUIRE(env.realloc(p, size) == nullptr, "to " << size);
    env.verify();
    RF_REQUIRE(env.realloc(p, size, 4096) == nullptr, "to " << size);
    env.verify();
  }
  env.verify_contents();
  env.free_all();
  env.verify();
}

void ReallocInAFullArenaLeavesTheBlock(const Subject &subject) {
  Env env(subject, 2048);
  size_t const size = served(subject, 40);
  while (env.alloc(size) != nullptr) {
  }
  while (env.alloc(1) != nullptr) {
  }
  std::vector<unsigned char *> blocks;
  for (const auto &[p, block] : env.live()) {
    blocks.push_back(p);
  }
  for (unsigned char *const p : blocks) {
    RF_REQUIRE(env.realloc(p, 4000) == nullptr, "");
    env.realloc(p, size);
    env.verify();
  }
  env.verify_contents();
  env.free_all();
  env.verify();
}

void ResizeAnswersAsPromised(const Subject &subject) {
  Env env(subject);
  rf_allocator *const a = env.allocator();
  unsigned char *const p = env.must_alloc(served(subject, 100));
  env.must_alloc(served(subject, 100));
  env.unchanged("resize that is no request", 0, [&] {
    RF_REQUIRE(rf_resize(a, p, 0) == RF_ERR_INVALID, "to 0");
    RF_REQUIRE(rf_resize(a, nullptr, 10) == RF_ERR_INVALID, "of NULL");
  });
  for (size_t const size : {100, 99, 50, 1, 64, 100, 101, 120, 2000}) {
    env.resize(p, served(subject, size));
    env.verify();
  }
  if (env.has(RF_SUBJECT_ARENA)) {
    RF_REQUIRE(env.resize(p, kArena) != RF_OK, "beyond the arena");
  }
  RF_REQUIRE(env.resize(p, RF_SIZE_LIMIT) != RF_OK, "to the limit");
  env.verify(); // which sees that no failure was counted
  env.verify_contents();
  env.free_all();
  env.verify();
}

// Fills the arena with blocks of 100 bytes and frees one: all that is free lies behind the block before it, which is
// returned.
unsigned char *only_room_behind(Env &env) {
  std::vector<unsigned char *> blocks;
  while (unsigned char *const p = env.alloc(100)) {
    blocks.push_back(p);
  }
  while (env.alloc(1) != nullptr) {
  }
  std::sort(blocks.begin(), blocks.end(), Env::ByAddress());
  size_t const middle = blocks.size() / 2;
  env.free(blocks[middle]);
  return blocks[middle - 1];
}

void ReallocGrowsIntoTheFreeBlockBehind(const Subject &subject) {
  Env env(subject, 4096);
  unsigned char *const p = only_room_behind(env);
  RF_REQUIRE(env.realloc(p, 180) == p, "grows in place");
  env.verify();
  RF_REQUIRE(env.realloc(p, 60) == p, "shrinks in place");
  env.verify();
  RF_REQUIRE(env.realloc(p, 180) == p, "grows in place again");
  env.verify_contents();
  env.free_all();
  env.verify();
}

void ResizeGrowsIntoTheFreeBlockBehind(const Subject &subject) {
  Env env(subject, 4096);
  unsigned char *const p = only_room_behind(env);
  RF_REQUIRE(env.resize(p, 180) == RF_OK, "grows");
  RF_REQUIRE(env.resize(p, 30) == RF_OK, "shrinks");
  env.verify();
  RF_REQUIRE(env.alloc(100) != nullptr, "what was shrunk away is free");
  RF_REQUIRE(env.resize(p, 180) == RF_ERR_NO_MEMORY, "the way is barred");
  env.verify();
  env.verify_contents();
  env.free_all();
  env.verify();
}

} // namespace

std::vector<Check> realloc_checks() {
  return {
      RF_CHECK(ReallocOfNullAllocates, 0),
      RF_CHECK(ReallocToZeroFreesAndGivesNull, 0),
      RF_CHECK(ReallocKeepsContents, 0),
      RF_CHECK(ReallocGrowsStepByStep, 0),
      RF_CHECK(ReallocHonoursAlignment, 0),
      RF_CHECK(ReallocThatFailsLeavesTheBlock, 0),
      RF_CHECK(ReallocInAFullArenaLeavesTheBlock, RF_SUBJECT_ARENA),
      RF_CHECK(ResizeAnswersAsPromised, 0),
      RF_CHECK(ReallocGrowsIntoTheFreeBlockBehind, RF_SUBJECT_ARENA | RF_SUBJECT_GROWS_IN_PLACE),
      RF_CHECK(ResizeGrowsIntoTheFreeBlockBehind, RF_SUBJECT_ARENA | RF_SUBJECT_GROWS_IN_PLACE),
  };
}

} // namespace ringfence::conformance
