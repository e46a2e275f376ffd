// Accesses to memory that went back, and by pointers out of freed blocks (checkers/dropin/runtime/unmapped.c): what the
// registers tell, beside what unmapped_blocks_test has.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/unmapped.h"
}
#undef _Static_assert

#include "tests/checkers/recorder.h"
#include "tests/dropin/heap_alone.h"

#include <csignal>
#include <cstddef>
#include <functional>
#include <gtest/gtest.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

namespace ringfence_test {
namespace {

constexpr uintptr_t kFill = UINTPTR_MAX / 0xff * 0xcc;

const void *pointer(uintptr_t address) {
  return reinterpret_cast<const void *>(address);
}

class UnmappedAccess {
public:
  UnmappedAccess() {
    rf_process.guard_options.reporter = recorder_.reporter();
    rf_process.checked = true;
    rf_process.options.mode = RF_MODE_GUARD;
  }

  std::vector<rf_finding> after_fill(int code, uintptr_t address) {
    siginfo_t info{};
    info.si_code = code;
    info.si_addr = const_cast<void *>(pointer(address));
    rf_unmapped_report_fill(&info, &context);
    return recorder_.take();
  }

  std::vector<rf_finding> after(uintptr_t address) {
    rf_unmapped_report(pointer(address), &context);
    return recorder_.take();
  }

  ucontext_t context = {};

private:
  ringfence::Recorder recorder_;
};

TEST(DropinUnmappedAccess, ByAFilledPointerIsSeenAsItHappened) {
  alone([] {
    UnmappedAccess access;
    std::vector<rf_finding> const found = access.after_fill(SEGV_MAPERR, kFill + 8);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_TRUE(found[0].at_access);
    EXPECT_EQ(found[0].access, RF_ACCESS_UNKNOWN);
    EXPECT_STREQ(found[0].mode, "guard");
  });
}

TEST(DropinUnmappedAccess, ByAFilledPointerIsNoneWhereBlocksAreNotFilled) {
  alone([] {
    UnmappedAccess access;
    rf_process.checked = false;
    EXPECT_TRUE(access.after_fill(SEGV_MAPERR, kFill).empty());
  });
}

#if defined(__x86_64__)

// ---- The block that the pointer was read from ----

const char kPlain[] = "the pointer was read from freed memory, whose bytes are 0xcc";
const char kFrom[] = "the pointer was read from freed memory, whose bytes are 0xcc: probably from this block, whose "
                     "address the code has";

// Blocks that were freed, and one that lives; the crash is in a function that has none of their addresses.
class HeldBlocks : public UnmappedAccess {
public:
  HeldBlocks() : cache_(rf_cache_take(0)), first(freed(40)), second(freed(40)), live(block(40)) {
    rf_process.id = getpid();
    context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(address_of(&frame_[kWords / 2]));
  }

  rf_finding finding() {
    std::vector<rf_finding> const found = after_fill(SEGV_MAPERR, kFill + 8);
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? rf_finding{} : found[0];
  }

  void expect(uintptr_t block, uintptr_t address) {
    rf_finding const f = finding();
    EXPECT_STREQ(f.detail, kFrom);
    EXPECT_EQ(f.address, address);
    EXPECT_EQ(f.block, block);
    EXPECT_EQ(f.offset, static_cast<ptrdiff_t>(address - block));
    EXPECT_EQ(f.size, 40U);
    EXPECT_TRUE(f.freed);
  }

  void expect_none() {
    rf_finding const f = finding();
    EXPECT_STREQ(f.detail, kPlain);
    EXPECT_EQ(f.address, kFill + 8);
    EXPECT_EQ(f.block, 0U);
  }

  // The variable so many words from the stack pointer on, in a function that has a frame pointer from now on.
  uintptr_t &variable(ptrdiff_t at) {
    context.uc_mcontext.gregs[REG_RBP] = static_cast<greg_t>(address_of(&frame_[kWords - 1]));
    return frame_[kWords / 2 + at];
  }

  void set(int number, uintptr_t value) { context.uc_mcontext.gregs[number] = static_cast<greg_t>(value); }

private:
  static constexpr size_t kWords = 64;

  static uintptr_t address_of(const void *p) { return reinterpret_cast<uintptr_t>(p); }
  uintptr_t block(size_t size) {
    rf_block_request const request = {size, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, false, false, 0};
    rf_origin const origin = {};
    return address_of(rf_cache_alloc(cache_, &request, &origin));
  }
  uintptr_t freed(size_t size) {
    uintptr_t const p = block(size);
    rf_origin const origin = {};
    EXPECT_TRUE(rf_cache_free(cache_, reinterpret_cast<void *>(p), RF_FAMILY_MALLOC, SIZE_MAX, &origin));
    return p;
  }

  rf_cache *cache_;
  uintptr_t frame_[kWords] = {};

public:
  uintptr_t first;
  uintptr_t second;
  uintptr_t live;
};

TEST(DropinUnmappedAccess, ByAFilledPointerIsOfTheFreedBlockThatARegisterPointsInto) {
  heap_alone([] {
    for (int const number : {REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RCX, REG_RDX, REG_RSI,
                             REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11}) {
      HeldBlocks held;
      SCOPED_TRACE(number);
      held.expect_none();
      for (uintptr_t const inside : {uintptr_t{0}, uintptr_t{39}}) {
        held.set(number, held.first + inside);
        held.expect(held.first, held.first + inside);
      }
      for (uintptr_t const beside : {held.first - 1, held.first + 40, held.live}) {
        held.set(number, beside);
        held.expect_none();
      }
    }
  });
}

TEST(DropinUnmappedAccess, ByAFilledPointerIsOfTheFreedBlockThatAVariablePointsInto) {
  heap_alone([] {
    for (ptrdiff_t const at : {-16, -1, 0, 1, 30}) {
      HeldBlocks held;
      SCOPED_TRACE(at);
      held.variable(at) = held.second + 8;
      held.expect(held.second, held.second + 8);
    }
    HeldBlocks held;
    held.variable(31) = held.second; // the caller's frame begins
    held.expect_none();
    held.variable(31) = 0;
    held.variable(-17) = held.second; // a function that has returned left it there
    held.expect_none();
  });
}

// The other registers have what the last call left in them.
TEST(DropinUnmappedAccess, WhatCallsKeepTellsTheBlockBeforeWhatTheyLeaveBehind) {
  heap_alone([] {
    HeldBlocks held;
    held.set(REG_RDI, held.first);
    held.set(REG_R12, held.second);
    held.expect(held.second, held.second);
    held.set(REG_R12, 0);
    held.variable(0) = held.second;
    held.expect(held.second, held.second);
  });
}

TEST(DropinUnmappedAccess, OneOfSeveralFreedBlocksIsNotGuessed) {
  heap_alone([] {
    HeldBlocks held;
    held.set(REG_RBX, held.first);
    held.set(REG_R15, held.second);
    held.expect_none();
    held.set(REG_R14, held.second + 8); // twice the one, and once the other
    held.expect_none();
    held.set(REG_R14, 0);
    held.set(REG_RBX, 0);
    held.variable(3) = held.first;
    held.expect_none();
    held.set(REG_R15, held.first + 16);
    held.expect(held.first, held.first);
  });
}

// The processor does not tell an address that is not canonical.
TEST(DropinUnmappedAccess, ByAFilledPointerIsFoundInAnyRegisterWhereTheAddressIsNotTold) {
  for (int i = 0; i < REG_RIP; i++) {
    alone([i] {
      UnmappedAccess access;
      access.context.uc_mcontext.gregs[i] = static_cast<greg_t>(kFill + 24);
      std::vector<rf_finding> const found = access.after_fill(SI_KERNEL, 0);
      ASSERT_EQ(found.size(), 1U) << i;
      EXPECT_EQ(found[0].address, kFill + 24);
      EXPECT_TRUE(access.after_fill(SEGV_MAPERR, 8).empty()) << "it tells another address";
    });
  }
}

TEST(DropinUnmappedAccess, WithoutFillInARegisterIsNone) {
  alone([] {
    UnmappedAccess access;
    access.context.uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(kFill);
    EXPECT_TRUE(access.after_fill(SI_KERNEL, 0).empty());
  });
}

TEST(DropinUnmappedAccess, ReadsOrWritesAsTheProcessorSays) {
  alone([] {
    constexpr uintptr_t kStart = uintptr_t{0x4567} << 16;
    UnmappedAccess access;
    rf_slot slots[2] = {};
    rf_span span{};
    span.base = kStart + RF_SPAN_FRONT;
    span.slots = slots;
    span.large = true;
    span.count = 1;
    span.bytes = 2 << 20;
    span.size = 1000;
    slots[0].traits = rf_traits(RF_SLOT_FREED, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
    rf_unmapped_note(&span);
    for (bool const written : {false, true}) {
      access.context.uc_mcontext.gregs[REG_TRAPNO] = 14; // a page fault
      access.context.uc_mcontext.gregs[REG_ERR] = written ? 6 : 4;
      std::vector<rf_finding> const found = access.after(kStart + 100);
      ASSERT_EQ(found.size(), 1U);
      EXPECT_EQ(found[0].access, written ? RF_ACCESS_WRITE : RF_ACCESS_READ);
    }
  });
}

#endif

} // namespace
} // namespace ringfence_test
