// Accesses to memory that went back, and by pointers out of freed blocks (checkers/dropin/runtime/unmapped.c): what the
// registers tell, beside what unmapped_blocks_test has.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/unmapped.h"
}
#undef _Static_assert

#include "tests/checkers/recorder.h"
#include "tests/dropin/alone.h"

#include <csignal>
#include <functional>
#include <gtest/gtest.h>
#include <ucontext.h>
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
