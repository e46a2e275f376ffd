// The race detector of virtual threads: silent where something puts two accesses in order, and where nothing does it
// names the race, whichever access comes first.
#include "fuzz/threads_port.h"
#include "fuzz/threads_races.h"
#include "tests/fuzz/threads_run.h"
#include "tests/fuzz/threads_subject.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace ringfence::fuzz {
namespace {

alignas(16) unsigned char memory[32];
uint64_t locks[2];
uint64_t event;
unsigned flag;

void read(size_t offset, size_t size = 1) {
  rf_fuzz_read(memory + offset, size);
}

void write(size_t offset, size_t size = 1) {
  rf_fuzz_write(memory + offset, size);
}

void store(int order) {
  rf_fuzz_atomic_store(&flag, sizeof flag, order);
}

void load(int order) {
  rf_fuzz_atomic_load(&flag, sizeof flag, order);
}

void change(int order) {
  rf_fuzz_atomic_change(&flag, sizeof flag, order);
}

void locked(unsigned lock, const Body &body) {
  virtual_lock(&locks[lock], Threads::current());
  body();
  virtual_unlock(&locks[lock], Threads::current());
}

struct Row {
  const char *name;
  bool races;
  std::vector<Body> threads; // one after the other
};

const Row kRows[] = {
    {"TwoReads", false, {[] { read(0); }, [] { read(0); }}},
    {"TwoWrites", true, {[] { write(0); }, [] { write(0); }}},
    {"AReadAndAWrite", true, {[] { read(0); }, [] { write(0); }}},
    {"AWriteAndARead", true, {[] { write(0); }, [] { read(0); }}},
    {"OfTheThirdThread", true, {[] { write(0); }, [] { read(1); }, [] { read(0); }}},
    {"NeighboursInOneWord", false, {[] { write(3); }, [] { write(4); }}},
    {"NeighboursInTwoWords", false, {[] { write(7); }, [] { write(8); }}},
    {"TheLastByteOfARange", true, {[] { write(2, 17); }, [] { read(18); }}},
    {"TheByteBehindARange", false, {[] { write(2, 17); }, [] { read(19); }}},
    {"TheFirstByteOfARange", true, {[] { read(2); }, [] { write(2, 17); }}},
    {"TheByteBeforeARange", false, {[] { read(1); }, [] { write(2, 17); }}},
    {"TheMiddleOfARange", true, {[] { write(2, 17); }, [] { read(12); }}},
    {"TheLastByteOfAWordInARange", true, {[] { write(2, 17); }, [] { read(7); }}},
    {"TwoPiecesOfOneWordWrittenOneByOne", true, {[] { write(0), write(4); }, [] { read(0); }}},
    {"AnEarlierWriteOfTwo", true, {[] { write(0), locked(0, [] { write(4); }); }, [] { locked(1, [] { read(0); }); }}},
    {"NoBytes", false, {[] { write(0, 0); }, [] { write(0, 0); }}},

    {"UnderOneLock", false, {[] { locked(0, [] { write(0); }); }, [] { locked(0, [] { write(0); }); }}},
    {"UnderTwoLocks", true, {[] { locked(0, [] { write(0); }); }, [] { locked(1, [] { write(0); }); }}},
    {"BehindALockOfItsOwn", true, {[] { locked(0, [] {}), write(0); }, [] { locked(0, [] { write(0); }); }}},
    {"BeforeTheOthersLock", true, {[] { locked(0, [] { write(0); }); }, [] { write(0), locked(0, [] {}); }}},
    {"AfterAnEvent",
     false,
     {[] { write(0), virtual_set(&event); }, [] { virtual_wait(&event, true, false), read(0); }}},
    {"BehindTheEvent",
     true,
     {[] { virtual_set(&event), write(0); }, [] { virtual_wait(&event, true, false), read(0); }}},

    {"TwoAtomics", false, {[] { store(__ATOMIC_RELAXED); }, [] { change(__ATOMIC_RELAXED), load(__ATOMIC_RELAXED); }}},
    {"AnAtomicReadAndAWrite", true, {[] { load(__ATOMIC_SEQ_CST); }, [] { rf_fuzz_write(&flag, 1); }}},
    {"AWriteAndAnAtomicRead", true, {[] { rf_fuzz_write(&flag, 1); }, [] { load(__ATOMIC_SEQ_CST); }}},
    {"AReadAndAnAtomicWrite", true, {[] { rf_fuzz_read(&flag, 1); }, [] { store(__ATOMIC_SEQ_CST); }}},
    {"AnAtomicChangeAndARead", true, {[] { change(__ATOMIC_SEQ_CST); }, [] { rf_fuzz_read(&flag, 1); }}},
    {"AReadAndAnAtomicRead", false, {[] { rf_fuzz_read(&flag, 4); }, [] { load(__ATOMIC_SEQ_CST); }}},

    {"ReleaseAcquire", false, {[] { write(0), store(__ATOMIC_RELEASE); }, [] { load(__ATOMIC_ACQUIRE), read(0); }}},
    {"Sequential", false, {[] { write(0), store(__ATOMIC_SEQ_CST); }, [] { load(__ATOMIC_SEQ_CST), read(0); }}},
    {"Consume", false, {[] { write(0), store(__ATOMIC_RELEASE); }, [] { load(__ATOMIC_CONSUME), read(0); }}},
    {"Changes", false, {[] { write(0), change(__ATOMIC_ACQ_REL); }, [] { change(__ATOMIC_ACQ_REL), write(0); }}},
    {"RelaxedAcquire", true, {[] { write(0), store(__ATOMIC_RELAXED); }, [] { load(__ATOMIC_ACQUIRE), read(0); }}},
    {"ReleaseRelaxed", true, {[] { write(0), store(__ATOMIC_RELEASE); }, [] { load(__ATOMIC_RELAXED), read(0); }}},
    {"ReleaseRelease", true, {[] { write(0), change(__ATOMIC_RELEASE); }, [] { change(__ATOMIC_RELEASE), read(0); }}},
    {"AcquireAcquire", true, {[] { write(0), change(__ATOMIC_ACQUIRE); }, [] { change(__ATOMIC_ACQUIRE), read(0); }}},
    {"WrittenBehindTheRelease",
     true,
     {[] { store(__ATOMIC_RELEASE), write(0); }, [] { load(__ATOMIC_ACQUIRE), read(0); }}},
    {"WrittenBehindTheReleasingChange",
     true,
     {[] { change(__ATOMIC_RELEASE), write(0); }, [] { change(__ATOMIC_ACQUIRE), read(0); }}},
    {"ReadBeforeTheAcquire",
     true,
     {[] { write(0), store(__ATOMIC_RELEASE); }, [] { read(0), load(__ATOMIC_ACQUIRE); }}},
    {"HandedOnByAThird",
     false,
     {[] { write(0), store(__ATOMIC_RELEASE); }, [] { load(__ATOMIC_ACQUIRE), virtual_set(&event); },
      [] { virtual_wait(&event, true, false), read(0); }}},
    {"AChangeLeavesTheReleaseInForce",
     false,
     {[] { write(0), store(__ATOMIC_RELEASE); }, [] { change(__ATOMIC_RELAXED); },
      [] { load(__ATOMIC_ACQUIRE), read(0); }}},
    {"AStoreEndsTheReleaseOfAnother",
     true,
     {[] { write(0), store(__ATOMIC_RELEASE); }, [] { store(__ATOMIC_RELAXED); },
      [] { load(__ATOMIC_ACQUIRE), read(0); }}},

    {"Fences",
     false,
     {[] { write(0), rf_fuzz_fence(__ATOMIC_RELEASE), store(__ATOMIC_RELAXED); },
      [] { load(__ATOMIC_RELAXED), rf_fuzz_fence(__ATOMIC_ACQUIRE), read(0); }}},
    {"AReleasingFence",
     false,
     {[] { write(0), rf_fuzz_fence(__ATOMIC_SEQ_CST), change(__ATOMIC_RELAXED); },
      [] { load(__ATOMIC_ACQUIRE), read(0); }}},
    {"AnAcquiringFence",
     false,
     {[] { write(0), store(__ATOMIC_RELEASE); },
      [] { load(__ATOMIC_RELAXED), rf_fuzz_fence(__ATOMIC_ACQ_REL), read(0); }}},
    {"AFenceThatReleasesNothing",
     true,
     {[] { write(0), rf_fuzz_fence(__ATOMIC_ACQUIRE), store(__ATOMIC_RELAXED); },
      [] { load(__ATOMIC_ACQUIRE), read(0); }}},
    {"AFenceThatAcquiresNothing",
     true,
     {[] { write(0), store(__ATOMIC_RELEASE); },
      [] { load(__ATOMIC_RELAXED), rf_fuzz_fence(__ATOMIC_RELEASE), read(0); }}},
    {"AFenceBeforeTheLoad",
     true,
     {[] { write(0), store(__ATOMIC_RELEASE); },
      [] { rf_fuzz_fence(__ATOMIC_ACQUIRE), load(__ATOMIC_RELAXED), read(0); }}},
    {"WrittenBehindTheFence",
     true,
     {[] { rf_fuzz_fence(__ATOMIC_RELEASE), write(0), store(__ATOMIC_RELAXED); },
      [] { load(__ATOMIC_ACQUIRE), read(0); }}},
};

class RaceRows : public testing::TestWithParam<Row> {};

TEST_P(RaceRows, AreFoundWhereNothingPutsTheAccessesInOrder) {
  const Row &row = GetParam();
  if (row.races) {
    EXPECT_DEATH(run_as_threads(row.threads), "data race: it");
  } else {
    run_as_threads(row.threads);
  }
}

INSTANTIATE_TEST_SUITE_P(Each, RaceRows, testing::ValuesIn(kRows),
                         [](const auto &row) { return std::string(row.param.name); });

TEST(Races, AreFoundBetweenAnyTwoThreads) {
  for (uint8_t first = 0; first < Threads::kMost; first++) {
    for (unsigned second = 0; second < Threads::kMost; second++) {
      std::vector<Body> bodies(Threads::kMost, [] {});
      bodies[first] = bodies[second] = [] { write(0); };
      std::vector<uint8_t> const schedule = {first, UINT8_MAX};
      if (second == first) {
        run_as_threads(bodies, schedule);
      } else {
        EXPECT_DEATH(run_as_threads(bodies, schedule), "data race") << unsigned{first} << ", " << second;
      }
    }
  }
}

// ---- What is left out ----

TEST(RacesLeftOut, AreThoseThatTheHarnessIgnores) {
  run_as_threads(RunOf{{[] { write(0); }, [] { write(0); }}, {}, nullptr},
                 [](Threads &threads) { threads.ignore_races(); });
  EXPECT_DEATH(run_as_threads({[] { write(0); }, [] { write(0); }}), "data race") << "a later run is watched again";
}

TEST(RacesLeftOut, AreThoseOnAThreadsOwnVariables) {
  Body const first = [] { write(8, 8); };
  run_as_threads(RunOf{{first, first}, {}, nullptr}, [](Threads &threads) { threads.own(memory + 8, 8); });
  auto const own = [](Threads &threads) { threads.own(memory + 8, 8); };
  EXPECT_DEATH(run_as_threads(RunOf{{[] { write(7); }, [] { write(7); }}, {}, nullptr}, own), "data race");
  EXPECT_DEATH(run_as_threads(RunOf{{[] { write(16); }, [] { write(16); }}, {}, nullptr}, own), "data race");
}

TEST(RacesLeftOut, AreThoseThatAreNamed) {
  races_leave_out([](const volatile void *at) { return at == memory + 1; });
  run_as_threads({[] { write(1); }, [] { write(1); }});
  EXPECT_DEATH(run_as_threads({[] { write(0); }, [] { write(0); }}), "data race");
  races_leave_out(nullptr);
  EXPECT_DEATH(run_as_threads({[] { write(1); }, [] { write(1); }}), "data race");
}

TEST(RacesLeftOut, AreThoseOfEarlierRuns) {
  run_as_threads({[] { write(0); }, [] {}});
  run_as_threads({[] {}, [] { write(0); }});
}

// ---- What the compiler tells of ----

class Accesses : public testing::TestWithParam<threads_access> {
protected:
  void SetUp() override { memset(memory, 0, sizeof memory); }

  // Of two threads, one of which makes the access.
  static void make(const Body &other, bool first) {
    Body const access = [] { GetParam().make(memory); };
    run_as_threads(first ? std::vector<Body>{access, other} : std::vector<Body>{other, access});
  }
};

TEST_P(Accesses, AreComparedByAllOfTheirBytesAndNoMore) {
  const threads_access &a = GetParam();
  for (bool const first : {true, false}) {
    EXPECT_DEATH(make([&a] { write(a.offset); }, first), "data race");
    EXPECT_DEATH(make([&a] { write(a.offset + a.size - 1); }, first), "data race");
    make([&a] { write(a.offset + a.size); }, first);
  }
}

TEST_P(Accesses, RaceWithReadsAndAtomicsAsTheyWrite) {
  const threads_access &a = GetParam();
  Body const reads = [&a] { read(a.offset); };
  Body const loads = [&a] { rf_fuzz_atomic_load(memory + a.offset, 1, __ATOMIC_RELAXED); };
  for (bool const first : {true, false}) {
    if (a.writes) {
      EXPECT_DEATH(make(reads, first), "data race");
    } else {
      make(reads, first);
    }
    if (a.writes && !a.atomic) {
      EXPECT_DEATH(make(loads, first), "data race");
    } else {
      make(loads, first);
    }
  }
}

TEST_P(Accesses, LetOtherThreadsRunBefore) {
  rf_fuzz_points_left = 100;
  GetParam().make(memory);
  EXPECT_LT(rf_fuzz_points_left, 100);
  rf_fuzz_points_left = INT64_MAX;
}

INSTANTIATE_TEST_SUITE_P(All, Accesses, testing::ValuesIn(threads_accesses, threads_accesses + threads_access_count),
                         [](const auto &access) { return std::string(access.param.name); });

// ---- As code orders them ----

TEST(Order, IsThatWhichTheCodeNames) {
  int value = 0;
  int told = 0;
  for (size_t g = 0; g < threads_give_count; g++) {
    for (size_t t = 0; t < threads_take_count; t++) {
      const threads_order &give = threads_gives[g];
      const threads_order &take = threads_takes[t];
      SCOPED_TRACE(std::string(give.name) + ", " + take.name);
      auto const both = [&] {
        value = told = 0;
        run_as_threads({[&] { give.act(&value, &told); }, [&] { take.act(&value, &told); }});
      };
      if (give.orders && take.orders) {
        both();
        EXPECT_EQ(value, 2);
      } else {
        EXPECT_DEATH(both(), "data race");
      }
    }
  }
}

} // namespace
} // namespace ringfence::fuzz
