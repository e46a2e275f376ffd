// Requests that are handed on (checkers/dropin/malloc/forward.c): early ones,
// which blocks are ours, and what the malloc behind is asked for. (Samples:
// forward_samples_test.)
#include "tests/checkers/single_step.h"
#include "tests/dropin/forward_world.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/span.h"
}
#undef _Static_assert

#include <sys/mman.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace ringfence_test {
namespace {

constexpr size_t kEarly = 16384;
constexpr size_t kHeader = 2 * sizeof(size_t);

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

#ifdef RF_CAN_STEP

volatile sig_atomic_t steps;
volatile sig_atomic_t wrong;

// Another thread frees one of ours meanwhile, which must not come to the malloc
// behind.
TEST(ForwardParts, ABlockOfOursStaysSoWhileTheRangeGrows) {
  alone([] {
    constexpr uintptr_t kLow = 0x10000;
    rf_page_all.low = kLow;
    rf_page_all.size = 0x1000;
    begin();
    auto const look = [](int) {
      steps = steps + 1;
      wrong = wrong + (rf_forward_is_others(at(kLow)) || rf_forward_is_others(at(kLow + 0xfff)) ? 1 : 0);
    };
    ASSERT_NE(signal(SIGTRAP, look), SIG_ERR);
    set_stepping(true);
    (void)rf_forward_include(const_cast<void *>(at(kLow + 0x1000)));
    set_stepping(false);
    EXPECT_GT(steps, 5);
    EXPECT_EQ(wrong, 0);
  });
}

#endif

// A block of the time when the functions were looked up is ours, too; the rest
// of the memory is not for that.
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

// ---- Requests for the malloc behind ----

// It may align the smallest blocks to their size alone, which is enough for
// malloc.
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

// ---- Blocks of the malloc behind that others of its functions made ----

TEST(ForwardParts, AnyAllocatedMemoryMayHoldABlockOfALibraryWithFurtherFunctions) {
  alone([] {
    static int constant;
    begin();
    void *const memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto const start = reinterpret_cast<uintptr_t>(memory);
    EXPECT_FALSE(rf_forward_is_foreign(memory));
    rf_forward.next.has_others = true;
    EXPECT_TRUE(rf_forward_is_foreign(memory));
    EXPECT_TRUE(rf_forward_is_foreign(at(start + sizeof(void *))));
    EXPECT_FALSE(rf_forward_is_foreign(at(start + sizeof(void *) / 2))) << "no block begins there";
    EXPECT_FALSE(rf_forward_is_foreign(reinterpret_cast<const void *>(rf_forward.next.malloc))) << "code";
    EXPECT_FALSE(rf_forward_is_foreign(&constant)) << "data";
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
} // namespace ringfence_test
