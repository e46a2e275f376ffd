// Arenas: tiny and odd ones, used to the last block, given back in full; several allocators; their end.
#include "tests/conformance/checks.h"
#include "tests/core/unwatched.h"

#include <algorithm>
#include <cstring>

#if defined(__unix__) && SIZE_MAX > UINT32_MAX
#include <sys/mman.h>
#define HUGE_ARENAS 1
#else
#define HUGE_ARENAS 0
#endif

namespace ringfence::conformance {

namespace {

// Takes blocks until there are none, gives them back, and must find everything as it was.
void use_up(Env &env, size_t size) {
  rf_stats const before = env.stats();
  while (env.alloc(size) != nullptr) {
  }
  env.verify();
  env.verify_contents();
  env.free_all();
  env.verify();
  if (env.has(RF_SUBJECT_COALESCES)) {
    RF_REQUIRE(env.stats().largest_free == before.largest_free, "was " << before.largest_free);
  }
}

void TinyAndMisalignedArenasAreUsedOrRefused(const Subject &subject) {
  for (size_t size = 0; size <= 160; size++) {
    for (size_t const skew : {0, 1, 2, 3, 4, 7, 8, 9, 12, 13, 15}) {
      auto const env = Env::try_make(subject, size, skew);
      if (env->made()) {
        env->verify();
        use_up(*env, 1);
        use_up(*env, served(subject, 18));
      }
    }
  }
}

void AnArenaOf1024BytesIsUsed(const Subject &subject) {
  for (size_t const skew : {0, 1, 5, 8}) {
    Env env(subject, 1024, skew);
    env.must_alloc(served(subject, 10));
    env.verify();
  }
}

// Takes all that can be taken at once.
void use_in_full(Env &env) {
  size_t const largest = env.stats().largest_free;
  RF_REQUIRE(largest != 0 || env.arena_size() < 1000, "nothing is free in an arena of " << env.arena_size());
  if (largest != 0) {
    unsigned char *const p = env.must_alloc(largest);
    env.verify();
    env.free(p);
  }
  env.verify();
  RF_REQUIRE(env.stats().largest_free == largest, "arena " << env.arena_size());
}

// Sizes around powers of two, where the width of some field may change.
void ArenasOfAnySizeAreUsedInFull(const Subject &subject) {
  for (size_t power = 256; power <= 16384; power *= 2) {
    for (size_t size = power - 20; size <= power + 20; size++) {
      auto const env = Env::try_make(subject, size, size % 17);
      if (env->made()) {
        use_in_full(*env);
      }
    }
  }
}

void AMissingArenaIsRefused(const Subject &subject) {
  std::vector<std::max_align_t> state(subject.state_size / sizeof(std::max_align_t) + 1);
  RF_REQUIRE(subject.make(state.data(), nullptr, 4096) == nullptr, "NULL");
}

size_t fill(Env &env, size_t size) {
  size_t count = 0;
  while (env.alloc(size) != nullptr) {
    count++;
  }
  return count;
}

void AfterExhaustionAFreedBlockCanBeTakenAgain(const Subject &subject) {
  Env env(subject, 8192);
  for (size_t const size : {1, 24, 100, 1000}) {
    RF_REQUIRE(fill(env, served(subject, size)) != 0, "no block of " << size);
    env.verify();
    for (size_t i = 0; i < 5; i++) {
      env.free(env.live().begin()->first);
      env.must_alloc(served(subject, size));
      env.verify();
    }
    env.verify_contents();
    env.free_all();
    env.verify();
  }
}

void free_every_other(Env &env) {
  std::vector<unsigned char *> blocks;
  for (const auto &[p, block] : env.live()) {
    blocks.push_back(p);
  }
  for (size_t i = 0; i < blocks.size(); i += 2) {
    env.free(blocks[i]);
  }
}

// Frees what is live: from the left, from the right, every other block first, or at random.
void free_in_order(Env &env, size_t order) {
  Random random(order);
  if (order == 2) {
    free_every_other(env);
  }
  while (!env.live().empty()) {
    size_t const last = env.live().size() - 1;
    size_t const pick = order == 1 ? last : order > 2 ? random.below(last + 1) : 0;
    env.free(std::next(env.live().begin(), static_cast<std::ptrdiff_t>(pick))->first);
  }
}

void WhenAllIsFreedTheHeapIsAsAfterInit(const Subject &subject) {
  for (size_t order = 0; order < 8; order++) {
    for (size_t const skew : {0, 3}) {
      Env env(subject, 8192, skew);
      rf_stats const before = env.stats();
      Random random(order);
      size_t blocks = 0;
      size_t const max_align = subject.max_align != 0 ? subject.max_align : SIZE_MAX;
      while (env.alloc(served(subject, random.below(200)), std::min(size_t{1} << random.below(7), max_align)) !=
             nullptr) {
        blocks++;
      }
      RF_REQUIRE(blocks > 10, blocks);
      env.verify();
      free_in_order(env, order);
      env.verify();
      rf_stats const after = env.stats();
      RF_REQUIRE(after.largest_free == before.largest_free, "was " << before.largest_free << ", order " << order);
      RF_REQUIRE(after.free_bytes == before.free_bytes, "was " << before.free_bytes << ", order " << order);
      RF_REQUIRE(after.overhead == before.overhead, "was " << before.overhead << ", order " << order);
    }
  }
}

void SeveralInstancesDoNotDisturbEachOther(const Subject &subject) {
  Env first(subject, kArena, 0);
  Env second(subject, kArena, 5);
  Env third(subject, 8192, 8);
  Env *const envs[] = {&first, &second, &third};
  Random random(3);
  for (size_t i = 0; i < 200; i++) {
    Env &env = *envs[random.below(3)];
    unsigned char *const p = env.alloc(served(subject, random.below(150)));
    if (p != nullptr && random.below(2) == 0) {
      env.free(p);
    }
    envs[random.below(3)]->verify();
  }
  for (Env *const env : envs) {
    env->verify_contents();
    env->free_all();
    env->verify();
  }
}

void ASecondDeinitIsHarmless(const Subject &subject) {
  for (bool const live : {false, true}) {
    Env env(subject);
    if (live) {
      env.must_alloc(served(subject, 40));
      env.free(env.must_alloc(served(subject, 40)));
    }
    env.end();
    size_t const faults = fault_count();
    std::memset(env.arena(), 0xEE, env.arena_size()); // it is the program's again
    env.end();
    RF_REQUIRE(fault_count() == faults, "reported");
    for (size_t i = 0; i < env.arena_size(); i++) {
      RF_REQUIRE(env.arena()[i] == 0xEE, "byte " << i << " of the arena was written");
    }
  }
}

void AnArenaServesAgainAfterDeinit(const Subject &subject) {
  Env env(subject);
  for (size_t i = 0; i < 3; i++) {
    env.must_alloc(served(subject, 100));
    env.must_alloc(served(subject, 10));
    env.verify();
    env.free_all();
    env.end();
    env.again();
    env.verify();
  }
}

// Looks at the heap with one byte of its arena changed: the answer may be that all is well where nothing relies on the
// byte, but there must be one, and the damage is reported to nobody.
void check_with_damage(Env &env, unsigned char *byte, int change) {
  rf_fault where = {RF_OK, nullptr, nullptr, nullptr, nullptr};
  *byte = static_cast<unsigned char>(*byte ^ change);
  size_t const faults = fault_count();
  rf_status const status = rf_check(env.allocator(), &where);
  *byte = static_cast<unsigned char>(*byte ^ change);
  std::ptrdiff_t const at = byte - env.arena();
  RF_REQUIRE(status == RF_OK || status == RF_ERR_CORRUPT, "byte " << at << ": " << rf_status_name(status));
  RF_REQUIRE(status == RF_OK || (where.status == RF_ERR_CORRUPT && where.what != nullptr),
             "byte " << at << ": damage that is not named");
  RF_REQUIRE(fault_count() == faults, "byte " << at << ": check raised a fault");
}

void CheckAnswersWhateverIsDamaged(const Subject &subject) {
  Unwatched const unwatched;
  Env env(subject, 2048);
  std::vector<unsigned char *> blocks;
  for (size_t const size : {10, 100, 0, 33, 200, 64, 1}) {
    if (unsigned char *const p = env.alloc(served(subject, size))) {
      blocks.push_back(p);
    }
  }
  for (size_t i = 1; i < blocks.size(); i += 2) {
    env.free(blocks[i]);
  }
  for (unsigned char *byte = env.arena(); byte < env.arena() + env.arena_size(); byte++) {
    for (int const change : {0x01, 0x08, 0x80, 0xFF}) {
      check_with_damage(env, byte, change);
    }
  }
  env.verify();
  env.verify_contents();
  env.free_all();
  env.verify();
}

#if HUGE_ARENAS

// An arena of which only what is touched takes memory.
class HugeArena {
public:
  explicit HugeArena(size_t size)
      : size_(size),
        start_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  ~HugeArena() { munmap(start_, size_); }
  HugeArena(const HugeArena &) = delete;
  HugeArena &operator=(const HugeArena &) = delete;
  bool made() const { return start_ != MAP_FAILED; }
  void *start() const { return start_; }

private:
  size_t size_;
  void *start_;
};

void ArenasAndBlocksAbove4GiBWork(const Subject &subject) {
  size_t const gib = size_t{1} << 30;
  HugeArena const memory(9 * gib);
  if (!memory.made()) {
    return; // this system does not give away so much address space
  }
  std::vector<std::max_align_t> state(subject.state_size / sizeof(std::max_align_t) + 1);
  rf_allocator *const a = subject.make(state.data(), memory.start(), 9 * gib);
  RF_REQUIRE(a != nullptr, "9 GiB");
  rf_stats before;
  rf_stats_get(a, &before);
  RF_REQUIRE(before.largest_free > 8 * gib, before.largest_free);
  auto *const large = static_cast<unsigned char *>(rf_alloc(a, 5 * gib + 3));
  auto *const behind = static_cast<unsigned char *>(rf_alloc(a, 100));
  RF_REQUIRE(large != nullptr && behind != nullptr, "");
  RF_REQUIRE(behind >= large + 5 * gib + 3 || behind + 100 <= large, "overlap");
  std::memset(large + 5 * gib - 5, 0x11, 8);
  std::memset(behind, 0x22, 100);
  RF_REQUIRE(large[5 * gib + 2] == 0x11 && large[5 * gib - 5] == 0x11, "contents");
  RF_REQUIRE(rf_alloc(a, 5 * gib) == nullptr, "more than there is");
  rf_stats during;
  rf_stats_get(a, &during);
  RF_REQUIRE(during.used == 5 * gib + 103, during.used);
  RF_REQUIRE(rf_check(a, nullptr) == RF_OK, "integrity");
  RF_REQUIRE(rf_free(a, large) == RF_OK && rf_free(a, behind) == RF_OK, "free");
  rf_stats after;
  rf_stats_get(a, &after);
  RF_REQUIRE(after.largest_free == before.largest_free, after.largest_free);
  rf_deinit(a);
}

#endif

} // namespace

std::vector<Check> arena_checks() {
  std::vector<Check> checks = {
      RF_CHECK(TinyAndMisalignedArenasAreUsedOrRefused, RF_SUBJECT_ARENA),
      RF_CHECK(AnArenaOf1024BytesIsUsed, RF_SUBJECT_ARENA),
      RF_CHECK(ArenasOfAnySizeAreUsedInFull, RF_SUBJECT_ARENA),
      RF_CHECK(AMissingArenaIsRefused, RF_SUBJECT_ARENA),
      RF_CHECK(AfterExhaustionAFreedBlockCanBeTakenAgain, RF_SUBJECT_ARENA),
      RF_CHECK(WhenAllIsFreedTheHeapIsAsAfterInit, RF_SUBJECT_ARENA | RF_SUBJECT_COALESCES),
      RF_CHECK(CheckAnswersWhateverIsDamaged, RF_SUBJECT_ARENA),
      RF_CHECK(SeveralInstancesDoNotDisturbEachOther, 0),
      RF_CHECK(ASecondDeinitIsHarmless, 0),
      RF_CHECK(AnArenaServesAgainAfterDeinit, 0),
  };
#if HUGE_ARENAS
  checks.push_back(RF_CHECK(ArenasAndBlocksAbove4GiBWork, RF_SUBJECT_ARENA | RF_SUBJECT_HUGE));
#endif
  return checks;
}

} // namespace ringfence::conformance
