// Blocks whose memory has gone back to the system (checkers/dropin/runtime/unmapped.c): a use of one is told as such.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/unmapped.h"
}
#undef _Static_assert

#include "tests/checkers/own_program.h"
#include "tests/checkers/recorder.h"
#include "tests/dropin/alone.h"

#include <csignal>
#include <gtest/gtest.h>
#include <ucontext.h>
#include <vector>

namespace ringfence {
namespace {

using ringfence_test::alone;

constexpr uintptr_t kStart = uintptr_t{0x4567} << 16;

class Unmapped {
public:
  Unmapped() {
    rf_process.guard_options.reporter = recorder_.reporter();
    rf_process.checked = true;
  }
  void note(uintptr_t start, size_t size) {
    rf_slot slots[2] = {};
    rf_span span{};
    span.base = start + RF_SPAN_FRONT;
    span.slots = slots;
    span.large = true;
    span.count = 1;
    span.bytes = 2 << 20;
    span.size = size;
    slots[0].allocated = allocated;
    slots[0].released = released;
    slots[0].traits = rf_traits(RF_SLOT_FREED, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
    rf_unmapped_note(&span);
  }
  std::vector<rf_finding> take() { return recorder_.take(); }

  uint32_t allocated = 0; // stacks of the next block
  uint32_t released = 0;

private:
  Recorder recorder_;
};

const void *pointer(uintptr_t address) {
  return reinterpret_cast<const void *>(address);
}

TEST(DropinUnmapped, AFreeOfTheBlockAgainIsADoubleFree) {
  alone([] {
    Unmapped unmapped;
    rf_origin const origin = {nullptr, rf_test_return_address(), nullptr};
    uintptr_t const block = kStart + RF_SPAN_FRONT;
    EXPECT_FALSE(rf_unmapped_bad_free(pointer(block), &origin));
    unmapped.note(kStart, 1000000);
    EXPECT_FALSE(rf_unmapped_bad_free(pointer(block + 1), &origin));
    EXPECT_FALSE(rf_unmapped_bad_free(pointer(kStart - 1), &origin));
    EXPECT_FALSE(rf_unmapped_bad_free(pointer(kStart + (2 << 20)), &origin));
    EXPECT_TRUE(unmapped.take().empty());
    EXPECT_TRUE(rf_unmapped_bad_free(pointer(block), &origin));
    std::vector<rf_finding> const found = unmapped.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].bug, RF_BUG_DOUBLE_FREE);
    EXPECT_EQ(found[0].access, RF_ACCESS_FREE);
    EXPECT_STREQ(found[0].allocator, "malloc");
    EXPECT_STREQ(found[0].mode, "guard");
    EXPECT_EQ(found[0].block, block);
    EXPECT_EQ(found[0].size, 1000000U);
    EXPECT_EQ(found[0].blocks, 1U);
    EXPECT_TRUE(found[0].freed);
    EXPECT_EQ(found[0].offset, 0);
    EXPECT_STREQ(found[0].detail, "the memory of the block has gone back to the system");
    EXPECT_EQ(found[0].found.depth == 0 ? origin.caller : found[0].found.frames[0], origin.caller);
  });
}

TEST(DropinUnmapped, ItsStacksAreThoseOfTheBlock) {
  alone([] {
    Unmapped unmapped;
    static rf_stack_depot depot;
    alignas(8) static unsigned char memory[8192];
    rf_origin const origin = {nullptr, rf_test_return_address(), nullptr};
    uintptr_t const allocation[] = {11, 12};
    uintptr_t const release[] = {21, 22, 23};
    ASSERT_EQ(rf_stack_depot_init(&depot, memory, sizeof memory), RF_OK);
    rf_heap_options_now.depot = &depot;
    unmapped.allocated = rf_stack_depot_put(&depot, allocation, 2);
    unmapped.released = rf_stack_depot_put(&depot, release, 3);
    unmapped.note(kStart, 1000000);
    EXPECT_TRUE(rf_unmapped_bad_free(pointer(kStart + RF_SPAN_FRONT), &origin));
    std::vector<rf_finding> const found = unmapped.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].allocated.depth, 2U);
    EXPECT_EQ(found[0].allocated.frames[1], 12U);
    EXPECT_EQ(found[0].released.depth, 3U);
    EXPECT_EQ(found[0].released.frames[2], 23U);
  });
}

// All of it went back: what lies around the block, too.
TEST(DropinUnmapped, AnAccessBehindTheBlockIsOneInItsMemory) {
  alone([] {
    Unmapped unmapped;
    ucontext_t context;
    ASSERT_EQ(getcontext(&context), 0);
    unmapped.note(kStart, 1000);
    rf_unmapped_report(pointer(kStart + (2 << 20)), &context);
    EXPECT_TRUE(unmapped.take().empty());
    for (uintptr_t const offset : {size_t{0}, (size_t{2} << 20) - 1}) {
      rf_unmapped_report(pointer(kStart + offset), &context);
      EXPECT_EQ(unmapped.take().size(), 1U) << offset;
    }
  });
}

// Not where the memory serves the program again.
TEST(DropinUnmapped, AnAccessThereIsAUseAfterFree) {
  alone([] {
    Unmapped unmapped;
    ucontext_t context;
    ASSERT_EQ(getcontext(&context), 0);
    unmapped.note(kStart, 1000000);
    rf_unmapped_report(pointer(kStart - 1), &context);
    EXPECT_TRUE(unmapped.take().empty()) << "never ours";
    rf_span again{};
    again.base = kStart + RF_SPAN_FRONT;
    again.bytes = RF_UNIT;
    ASSERT_TRUE(rf_span_enter(kStart, RF_UNIT, &again));
    rf_unmapped_report(pointer(kStart + 1000), &context);
    EXPECT_TRUE(unmapped.take().empty()) << "ours again";
    ASSERT_TRUE(rf_span_enter(kStart, RF_UNIT, nullptr));
    rf_unmapped_report(pointer(kStart + 1000), &context);
    std::vector<rf_finding> const found = unmapped.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].bug, RF_BUG_USE_AFTER_FREE);
    EXPECT_EQ(found[0].block, kStart + RF_SPAN_FRONT);
    EXPECT_EQ(found[0].offset, ptrdiff_t{1000} - static_cast<ptrdiff_t>(RF_SPAN_FRONT));
    EXPECT_TRUE(found[0].at_access) << "the allocation is not its place";
#if defined(__x86_64__)
    ASSERT_NE(found[0].found.depth, 0U); // a return address would be one behind the instruction
    EXPECT_EQ(found[0].found.frames[0], static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RIP]) + 1);
#endif
  });
}

// A member or an index, which may be negative, lies up to 64 KiB from the pointer that was read.
TEST(DropinUnmapped, AnAccessNearTheFillIsByAPointerOutOfAFreedBlock) {
  alone([] {
    Unmapped unmapped;
    ucontext_t context;
    ASSERT_EQ(getcontext(&context), 0);
    constexpr uintptr_t kFill = UINTPTR_MAX / 0xff * 0xcc;
    constexpr uintptr_t kReach = 0x10000;
    for (uintptr_t const address : {kFill - kReach, kFill - 8, kFill, kFill + kReach - 1}) {
      siginfo_t info{};
      info.si_code = SEGV_MAPERR;
      info.si_addr = const_cast<void *>(pointer(address));
      rf_unmapped_report_fill(&info, &context);
      std::vector<rf_finding> const found = unmapped.take();
      ASSERT_EQ(found.size(), 1U) << address;
      EXPECT_EQ(found[0].bug, RF_BUG_USE_AFTER_FREE);
      EXPECT_EQ(found[0].address, address);
#if defined(__x86_64__)
      ASSERT_NE(found[0].found.depth, 0U);
      EXPECT_EQ(found[0].found.frames[0], static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RIP]) + 1);
#endif
      EXPECT_STREQ(found[0].detail, "the pointer was read from freed memory, whose bytes are 0xcc");
    }
    for (uintptr_t const address : {kFill - kReach - 1, kFill + kReach, uintptr_t{8}}) {
      siginfo_t info{};
      info.si_code = SEGV_MAPERR;
      info.si_addr = const_cast<void *>(pointer(address));
      rf_unmapped_report_fill(&info, &context);
      EXPECT_TRUE(unmapped.take().empty()) << address;
    }
  });
}

// The heap's own report has it then.
TEST(DropinUnmapped, AFreeOfTheFillIsNoneWhereNoCodeHasAFreedBlock) {
  alone([] {
    Unmapped unmapped;
    rf_origin const origin = {nullptr, rf_test_return_address(), nullptr};
    for (bool const checked : {true, false}) {
      rf_process.checked = checked;
      EXPECT_FALSE(rf_unmapped_bad_free(pointer(UINTPTR_MAX / 0xff * 0xcc), &origin));
    }
    EXPECT_TRUE(unmapped.take().empty());
  });
}

TEST(DropinUnmapped, TheLastSixtyFourAreRemembered) {
  alone([] {
    Unmapped unmapped;
    rf_origin const origin = {nullptr, rf_test_return_address(), nullptr};
    auto const start_of = [](uintptr_t i) { return kStart + (i << 22); };
    for (uintptr_t i = 0; i < 65; i++) {
      unmapped.note(start_of(i), 100 + i);
    }
    unmapped.note(start_of(64), 4711); // again there
    for (uintptr_t i = 0; i < 65; i++) {
      EXPECT_EQ(rf_unmapped_bad_free(pointer(start_of(i) + RF_SPAN_FRONT), &origin), i >= 2) << i;
    }
    std::vector<rf_finding> const found = unmapped.take();
    ASSERT_EQ(found.size(), 63U);
    EXPECT_EQ(found.front().size, 102U);
    EXPECT_EQ(found.back().size, 4711U); // the last one there
  });
}

} // namespace
} // namespace ringfence
