// Requests that are handed on (checkers/dropin/malloc/forward.c), with a malloc behind, a lot, a clock and a program
// break that are this test's own. Each test has a process of its own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/span.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/reject.h"
#include "checkers/dropin/runtime/caller.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/steering.h"
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

namespace {

using ringfence_test::alone;

constexpr uint64_t kEvery = 4000000; // nanoseconds between two samples
constexpr size_t kEarly = 16384;
constexpr size_t kHeader = 2 * sizeof(size_t);

struct World {
  uint64_t now = 1000000000;
  uintptr_t end = 0; // the program break
  bool due = true;
  int32_t next = 0; // what the lot says
  bool owned = false;
  unsigned draws = 0;
  unsigned sampled = 0;
  unsigned mallocs = 0;
  size_t aligned_size = SIZE_MAX; // of the last request for an alignment
};

World world;
alignas(16) char behind[16]; // the block of the malloc behind
alignas(16) char paged[16];

void *a_malloc(size_t /*size*/) {
  world.mallocs++;
  return behind;
}

void *a_memalign(size_t /*align*/, size_t size) {
  world.aligned_size = size;
  return behind;
}

} // namespace

extern "C" {

rf_process_state rf_process;
rf_steering rf_steering_now;
rf_runtime rf_runtimes[RF_RUNTIMES];

void rf_signals_open_faults() {}

const rf_origin *rf_caller_unwind(const rf_origin *origin, rf_caller_trace * /*called*/) {
  return origin;
}

bool rf_guarded_blocks_draw(int32_t *left) {
  world.draws++;
  *left = world.next;
  return world.due;
}

bool rf_guarded_blocks_want_site(const rf_origin * /*caller*/) {
  return true;
}

void *rf_guarded_blocks_alloc(const rf_page_request * /*request*/, const rf_origin * /*origin*/) {
  world.sampled++;
  errno = EAGAIN; // of a call on the way
  return paged;
}

bool rf_guarded_blocks_own(const void * /*ptr*/) {
  return world.owned;
}

void *rf_malloc_reject(rf_reject /*why*/, size_t, size_t, int error, const rf_origin * /*origin*/) {
  errno = error;
  return nullptr;
}

bool rf_next_malloc_find(rf_malloc_functions *next) {
  next->malloc = a_malloc;
  next->memalign = a_memalign;
  return true;
}

void rf_next_malloc_find_libc(const rf_malloc_functions *next, rf_malloc_functions *libc) {
  *libc = *next;
}

// The linker puts these in front of the port's and the C library's.
uint64_t __wrap_rf_port_now_ns(void);
void *__wrap_sbrk(intptr_t by);

uint64_t __wrap_rf_port_now_ns() {
  return world.now;
}

void *__wrap_sbrk(intptr_t by) {
  EXPECT_EQ(by, 0);
  return reinterpret_cast<void *>(world.end); // NOLINT(performance-no-int-to-ptr)
}
}

namespace {

rf_origin const no_origin = {};

const void *at(uintptr_t address) {
  return reinterpret_cast<const void *>(address); // NOLINT(performance-no-int-to-ptr)
}

void begin() {
  rf_options options = {};
  options.mode = RF_MODE_SAMPLE;
  options.heap = RF_HEAP_NEXT;
  rf_process.options.sample_rate = RF_SAMPLE_RATE_DEFAULT;
  rf_forward_begin(&options);
  rf_forward_begin_sampling();
  EXPECT_EQ(rf_forward.now, RF_FORWARD_ON);
}

void *request(size_t size = 100, size_t align = RF_ALIGN_DEFAULT, rf_family family = RF_FAMILY_MALLOC) {
  return rf_forward_alloc(size, align, family, &no_origin);
}

// ---- Early requests ----

TEST(ForwardParts, AnEarlyRequestMayHaveTheWholeArea) {
  alone([] {
    rf_forward.now = RF_FORWARD_SOON;
    size_t const most = kEarly - 2 * RF_ALIGN_DEFAULT; // its size is before it
    size_t size = 0;
    EXPECT_EQ(request(most + 1), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    void *const p = request(most);
    ASSERT_NE(p, nullptr);
    memset(p, 1, most);
    EXPECT_TRUE(rf_forward_is_early(p, &size));
    EXPECT_EQ(size, most);
    EXPECT_EQ(request(1), nullptr);
  });
}

TEST(ForwardParts, AnEarlyRequestForWhichThereIsNoRoomTakesNone) {
  alone([] {
    rf_forward.now = RF_FORWARD_SOON;
    ASSERT_NE(request(kEarly / 2), nullptr);
    for (int i = 0; i < 10; i++) {
      EXPECT_EQ(request(kEarly / 2), nullptr);
    }
    EXPECT_NE(request(100, 64), nullptr);
  });
}

TEST(ForwardParts, AnEarlyCallocThatWrapsIsRefused) {
  alone([] {
    rf_forward.now = RF_FORWARD_SOON;
    EXPECT_EQ(rf_forward_zalloc(SIZE_MAX / 2 + 1, 2, &no_origin), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_NE(rf_forward_zalloc(10, 2, &no_origin), nullptr);
  });
}

rf_forwarding seen_within;

TEST(ForwardParts, RequestsOfTheDropInsOwnAreEarlyOnes) {
  alone([] {
    auto const look = [] { seen_within = rf_forward.now; };
    rf_forward_own(look);
    EXPECT_EQ(seen_within, RF_FORWARD_SOON);
    EXPECT_EQ(rf_forward.now, RF_FORWARD_NOTHING);
    begin();
    rf_forward_own(look);
    EXPECT_EQ(seen_within, RF_FORWARD_ON);
    EXPECT_EQ(rf_forward.now, RF_FORWARD_ON);
  });
}

// ---- Which blocks are ours ----

TEST(ForwardParts, SampledBlocksAreThoseOfTheirSpace) {
  alone([] {
    constexpr uintptr_t kLow = 0x10000;
    rf_page_all.low = kLow;
    rf_page_all.size = 0x1000;
    begin();
    EXPECT_TRUE(rf_forward_is_others(at(kLow - 1)));
    EXPECT_FALSE(rf_forward_is_others(at(kLow)));
    EXPECT_FALSE(rf_forward_is_others(at(kLow + 0xfff)));
    EXPECT_TRUE(rf_forward_is_others(at(kLow + 0x1000)));
  });
}

TEST(ForwardParts, ABlockOutsideOfTheSpaceMakesAllBlocksThoseThatMayBeOurs) {
  alone([] {
    constexpr uintptr_t kLow = 0x10000;
    rf_page_all.low = kLow;
    rf_page_all.size = 0x1000;
    begin();
    EXPECT_EQ(rf_forward_include(nullptr), nullptr);
    EXPECT_EQ(rf_forward_include(const_cast<void *>(at(kLow))), at(kLow));
    EXPECT_TRUE(rf_forward_is_others(at(kLow - 1)));
    EXPECT_TRUE(rf_forward_is_others(at(kLow + 0x1000)));
    EXPECT_EQ(rf_forward_include(const_cast<void *>(at(kLow + 0x1000))), at(kLow + 0x1000));
    for (uintptr_t const address : {uintptr_t{1}, kLow - 1, kLow, kLow + 0x1000, kLow + 0x2000, UINTPTR_MAX}) {
      EXPECT_FALSE(rf_forward_is_others(at(address))) << address;
    }
  });
}

// A block of the time when the functions were looked up is ours, too; the rest of the memory is not for that.
TEST(ForwardParts, EarlyBlocksWidenTheRangeAsFarAsTheirArea) {
  for (size_t const size : {size_t{0}, size_t{0x1000}}) {
    for (bool const below : {false, true}) {
      alone([=] {
        rf_forward.now = RF_FORWARD_SOON;
        auto const early = reinterpret_cast<uintptr_t>(request(kEarly - 2 * RF_ALIGN_DEFAULT));
        uintptr_t const area = early - RF_ALIGN_DEFAULT;
        uintptr_t const pages = below ? area - 0x10000 : area + 0x10000;
        rf_page_all.low = size != 0 ? pages : 0;
        rf_page_all.size = size;
        begin();
        uintptr_t const low = size != 0 && below ? pages : area;
        uintptr_t const end = size != 0 && !below ? pages + size : area + kEarly;
        EXPECT_TRUE(rf_forward_is_others(at(low - 1)));
        EXPECT_FALSE(rf_forward_is_others(at(low)));
        EXPECT_FALSE(rf_forward_is_others(at(end - 1)));
        EXPECT_TRUE(rf_forward_is_others(at(end)));
      });
    }
  }
}

// Each realloc is looked at then, whose size may be none that can be.
TEST(ForwardParts, WhereRequestsThatCannotBeServedAreReportedEveryBlockMayBeOurs) {
  alone([] {
    rf_page_all.low = 0x10000;
    rf_page_all.size = 0x1000;
    rf_process.report_rejected = true;
    begin();
    EXPECT_FALSE(rf_forward_is_others(at(0x1000)));
    EXPECT_FALSE(rf_forward_is_others(at(UINTPTR_MAX)));
  });
}

// The last unit of a large block may be another mapping's as well.
TEST(ForwardParts, WhatIsBehindALargeBlockIsNotOurs) {
  alone([] {
    uintptr_t const start = uintptr_t{0x1234} << 20;
    rf_span span{};
    span.base = start + RF_SPAN_FRONT;
    span.bytes = 100;
    EXPECT_TRUE(rf_span_enter(start, span.bytes, &span));
    begin();
    EXPECT_TRUE(rf_forward_is_ours(at(start + 99)));
    EXPECT_FALSE(rf_forward_is_ours(at(start + 100)));
  });
}

// ---- Samples ----

TEST(ForwardParts, ASampleLeavesErrno) {
  alone([] {
    begin();
    errno = 4711;
    EXPECT_EQ(request(), paged);
    EXPECT_EQ(errno, 4711);
  });
}

TEST(ForwardParts, TheLotSaysHowFarAwayTheNextOneIs) {
  alone([] {
    begin();
    world.due = false;
    for (int32_t const next : {0, 1, 2, 5}) {
      world.next = next;
      rf_forward_left = 0;
      for (unsigned round = 0; round < 3; round++) {
        unsigned const before = world.draws;
        for (int32_t i = 0; i < (next > 0 ? next : 1); i++) {
          EXPECT_EQ(request(), behind);
        }
        EXPECT_EQ(world.draws, before + 1) << next;
      }
    }
  });
}

TEST(ForwardParts, SamplesOfAThreadAndBeforeItsFirstAreApart) {
  alone([] {
    auto const sampled_after = [](uint64_t ns) {
      world.now += ns;
      unsigned const before = world.sampled;
      (void)request();
      return world.sampled != before;
    };
    begin();
    EXPECT_TRUE(sampled_after(0)) << "the first of the process";
    EXPECT_FALSE(sampled_after(kEvery - 1));
    EXPECT_TRUE(sampled_after(1));
    std::thread([&] {
      EXPECT_FALSE(sampled_after(kEvery - 1));
      EXPECT_TRUE(sampled_after(1));
      EXPECT_FALSE(sampled_after(kEvery - 1));
    }).join();
    rf_process.options.sample_seed = 1;
    EXPECT_TRUE(sampled_after(0));
  });
}

// ---- Requests for the malloc behind ----

// It may align the smallest blocks to their size alone, which is enough for malloc.
TEST(ForwardParts, SmallBlocksOfOtherFamiliesAreAskedForWithTheirAlignment) {
  alone([] {
    begin();
    world.due = false;
    EXPECT_EQ(request(1), behind);
    EXPECT_EQ(request(RF_ALIGN_DEFAULT, RF_ALIGN_DEFAULT, RF_FAMILY_NEW), behind);
    EXPECT_EQ(world.mallocs, 2U);
    EXPECT_EQ(world.aligned_size, SIZE_MAX);
    (void)request(RF_ALIGN_DEFAULT - 1, RF_ALIGN_DEFAULT, RF_FAMILY_NEW);
    EXPECT_EQ(world.aligned_size, RF_ALIGN_DEFAULT - 1);
    (void)request(0, RF_ALIGN_DEFAULT, RF_FAMILY_NEW);
    EXPECT_EQ(world.aligned_size, 1U) << "a pointer of its own";
    (void)request(100, 64);
    EXPECT_EQ(world.aligned_size, 100U);
    EXPECT_EQ(world.mallocs, 2U);
  });
}

#if defined(__GLIBC__)

// ---- Blocks from the program break ----

// As glibc has them there: the size with its bits before each block.
class Break {
public:
  Break() {
    world.end = start();
    begin();
    world.end = start() + sizeof words_;
  }
  // A block at `block`, with the next one behind it.
  const void *put(size_t block, size_t size, size_t bits = 1, size_t next_bits = 1) {
    words_[block / sizeof(size_t) - 1] = size | bits;
    words_[(block + size) / sizeof(size_t) - 1] = 32 | next_bits;
    return at(start() + block);
  }
  uintptr_t start() const { return reinterpret_cast<uintptr_t>(words_); }
  static constexpr size_t kBytes = 512;

private:
  alignas(16) size_t words_[kBytes / sizeof(size_t)] = {};
};

TEST(ForwardParts, ForeignBlocksAreThoseThatLookLikeIt) {
  alone([] {
    Break memory;
    EXPECT_TRUE(rf_forward_is_foreign(memory.put(kHeader, 2 * kHeader)));
    EXPECT_TRUE(rf_forward_is_foreign(memory.put(64, 64)));
    EXPECT_FALSE(rf_forward_is_foreign(memory.put(64, kHeader))) << "too small";
    EXPECT_EQ(rf_forward_is_foreign(memory.put(64, 2 * kHeader + 8)), kHeader == 8) << "no multiple";
    EXPECT_FALSE(rf_forward_is_foreign(memory.put(64, 64, 1, 0))) << "free";
    EXPECT_FALSE(rf_forward_is_foreign(memory.put(64, 64, 3))) << "a mapping";
    EXPECT_FALSE(rf_forward_is_foreign(memory.put(64, 64, 5))) << "of another heap";
    EXPECT_FALSE(rf_forward_is_foreign(at(memory.start() + 72))) << "not aligned";
    EXPECT_TRUE(rf_forward_is_foreign(memory.put(64, Break::kBytes - 64))) << "up to the end";
    EXPECT_FALSE(rf_forward_is_foreign(at(memory.start()))) << "its header would lie before the first";
    EXPECT_FALSE(rf_forward_is_foreign(at(memory.start() + Break::kBytes)));
  });
}

#endif

} // namespace
