// Findings of faults that nothing else explains (checkers/dropin/runtime/crash.c): their kinds, what they say, and the
// instruction that they name, by what the system tells of a fault.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/crash.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/page/page_store.h"
}
#undef _Static_assert

#include "tests/checkers/recorder.h"
#include "tests/dropin/heap_alone.h"

#include <csignal>
#include <gtest/gtest.h>
#include <string>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

namespace ringfence_test {
namespace {

using ringfence::Recorder;

#if defined(__x86_64__) || defined(__i386__)

#if defined(__x86_64__)
enum { kPc = REG_RIP, kStack = REG_RSP };
#else
enum { kPc = REG_EIP, kStack = REG_ESP };
#endif

constexpr uintptr_t kHere = 0x123450; // the instruction
constexpr greg_t kWrites = 2;         // in the error code of a page fault
constexpr greg_t kGeneralProtection = 13;

class Crash : public testing::Test {
protected:
  Crash() {
    rf_process.guard_options.reporter = recorder_.reporter();
    rf_process.options.mode = RF_MODE_SAMPLE;
    rf_process.id = getpid();
    rf_process.ending = false;
    EXPECT_EQ(getcontext(&context_), 0);
    at(kPc) = static_cast<greg_t>(kHere);
    at(REG_ERR) = 0;
    at(REG_TRAPNO) = kGeneralProtection;
  }
  ~Crash() override { rf_process.guard_options.reporter = nullptr; }

  greg_t &at(int number) { return context_.uc_mcontext.gregs[number]; }

  std::vector<rf_finding> findings_of(int number, int code, uintptr_t address) {
    siginfo_t info = {};
    info.si_signo = number;
    info.si_code = code;
    info.si_addr = reinterpret_cast<void *>(address);
    rf_crash_report(number, &info, &context_);
    return recorder_.take();
  }

  rf_finding finding_of(int number, int code, uintptr_t address) {
    std::vector<rf_finding> const all = findings_of(number, code, address);
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? rf_finding{} : all[0];
  }

  ucontext_t context_;

private:
  Recorder recorder_;
};

TEST_F(Crash, SaysWhatTheSystemTells) {
  uintptr_t const far = 0x5550000;
  std::string const zero = "SIGSEGV: the address is in the zero page: a NULL pointer, or a member or element of one";
  struct {
    int number;
    int code;
    uintptr_t address;
    rf_bug bug;
    std::string detail;
  } const rows[] = {
      {SIGSEGV, SEGV_MAPERR, 0, RF_BUG_SEGV, zero},
      {SIGSEGV, SEGV_MAPERR, 0xFFFF, RF_BUG_SEGV, zero},
      {SIGSEGV, SEGV_MAPERR, 0x10000, RF_BUG_SEGV, "SIGSEGV: there is no memory at the address"},
      {SIGSEGV, SEGV_ACCERR, far, RF_BUG_SEGV, "SIGSEGV: the memory at the address may not be used so"},
      {SIGSEGV, SI_KERNEL, far, RF_BUG_SEGV, "SIGSEGV: the address is none that the processor has: a wild pointer"},
      {SIGBUS, BUS_ADRALN, far, RF_BUG_BUS, "SIGBUS: the address is not aligned"},
      {SIGBUS, BUS_ADRERR, far, RF_BUG_BUS, "SIGBUS: nothing is behind the address: the mapped file is shorter"},
      {SIGFPE, FPE_INTDIV, kHere, RF_BUG_FPE, "SIGFPE: an integer was divided by zero"},
      {SIGFPE, FPE_FLTINV, kHere, RF_BUG_FPE, "SIGFPE: wrong arithmetic"},
      {SIGILL, ILL_ILLOPN, kHere, RF_BUG_ILL, "SIGILL: the processor has no such instruction"},
  };
  for (auto const &row : rows) {
    SCOPED_TRACE(row.detail);
    rf_finding const f = finding_of(row.number, row.code, row.address);
    EXPECT_EQ(f.bug, row.bug);
    EXPECT_EQ(std::string(f.detail != nullptr ? f.detail : ""), row.detail);
    EXPECT_EQ(f.cwe == 476, row.detail == zero) << f.cwe;
    EXPECT_EQ(f.address, row.code == SI_KERNEL ? 0 : row.address) << "the system tells none";
    EXPECT_STREQ(f.allocator, "malloc");
    EXPECT_STREQ(f.mode, "sample");
    EXPECT_TRUE(f.at_access);
    ASSERT_NE(f.found.depth, 0U);
    EXPECT_EQ(f.found.frames[0], kHere + 1) << "a return address would be one behind the instruction";
  }
}

// No file is to blame if closed pages have no memory and no block is on any of them.
TEST_F(Crash, SaysThatMemoryForBlocksHasNone) {
  rf_page_bounds const before = rf_page_all;
  rf_page_all = {0x5550000, 4096};
  rf_finding const f = finding_of(SIGBUS, BUS_ADRERR, 0x5550fff);
  rf_page_all = before;
  EXPECT_EQ(f.bug, RF_BUG_BUS);
  EXPECT_STREQ(f.detail, "SIGBUS: the memory at the address is for blocks, and has none");
}

// A member or an element of a pointer that has the bytes of a fill; also where the processor does not tell the address.
TEST_F(Crash, SaysWhichMemoryThePointerWasReadFrom) {
  rf_process.checked = true;
  struct {
    uintptr_t fill;
    std::string detail;
  } const rows[] = {
      {0xcd, "SIGSEGV: the pointer was read from memory that was never written, whose bytes are 0xcd"},
      {0xfd, "SIGSEGV: the pointer was read from the guard bytes beside a block, which are 0xfd"},
  };
  for (auto const &row : rows) {
    uintptr_t const word = UINTPTR_MAX / 0xff * row.fill;
    for (uintptr_t const address : {word - 0x10000, word, word + 24, word + 0xffff}) {
      rf_finding const f = finding_of(SIGSEGV, SEGV_MAPERR, address);
      EXPECT_EQ(f.bug, RF_BUG_SEGV);
      EXPECT_EQ(f.detail, row.detail);
      EXPECT_EQ(f.address, address);
    }
    EXPECT_NE(finding_of(SIGSEGV, SEGV_MAPERR, word + 0x10000).detail, row.detail);
    EXPECT_NE(finding_of(SIGBUS, BUS_ADRERR, word).detail, row.detail);
#if defined(__x86_64__)
    at(REG_RBX) = static_cast<greg_t>(word + 24);
    rf_finding const f = finding_of(SIGSEGV, SI_KERNEL, 0);
    EXPECT_EQ(f.detail, row.detail);
    EXPECT_EQ(f.address, word + 24);
    EXPECT_NE(finding_of(SIGSEGV, SEGV_MAPERR, 0x5550000).detail, row.detail) << "it tells another address";
    at(REG_TRAPNO) = 0;
    EXPECT_NE(finding_of(SIGSEGV, SI_KERNEL, 0).detail, row.detail) << "no fault of the processor";
    at(REG_TRAPNO) = kGeneralProtection;
#endif
    rf_process.checked = false;
    EXPECT_NE(finding_of(SIGSEGV, SEGV_MAPERR, word).detail, row.detail) << "blocks are not filled";
    rf_process.checked = true;
  }
  rf_process.checked = false;
}

// That comes in the place of a signal whose handler the system could not call.
TEST_F(Crash, SaysThatAHandlerHadNoRoom) {
  std::string const room = "SIGSEGV: the stack has no room for the handler of another signal: it is at its end, or "
                           "handlers interrupt each other without an end";
  for (greg_t const exception : {0, 11, 12, 13, 14}) {
    at(REG_TRAPNO) = exception;
    rf_finding const f = finding_of(SIGSEGV, SI_KERNEL, 0);
    bool const of_processor = exception == 12 || exception == 13;
    EXPECT_EQ(f.detail == room, !of_processor) << exception;
    EXPECT_EQ(f.cwe == 674, !of_processor) << exception;
  }
}

TEST_F(Crash, ReadsOrWritesWhereAPageWasMissing) {
  for (bool const writes : {false, true}) {
    at(REG_ERR) = writes ? kWrites : 0;
    rf_access const access = writes ? RF_ACCESS_WRITE : RF_ACCESS_READ;
    EXPECT_EQ(finding_of(SIGSEGV, SEGV_MAPERR, 0x5550000).access, access);
    EXPECT_EQ(finding_of(SIGSEGV, SEGV_ACCERR, 0x5550000).access, access);
    EXPECT_EQ(finding_of(SIGSEGV, SI_KERNEL, 0).access, RF_ACCESS_UNKNOWN);
    EXPECT_EQ(finding_of(SIGBUS, BUS_ADRERR, 0x5550000).access, RF_ACCESS_UNKNOWN);
    EXPECT_EQ(finding_of(SIGFPE, FPE_INTDIV, kHere).access, RF_ACCESS_UNKNOWN);
  }
}

// A push or a local variable just below the stack pointer, or a large frame whose beginning is not there either.
TEST_F(Crash, SaysThatTheStackIsAtItsEnd) {
  std::string const full =
      "SIGSEGV: the stack is at its end: recursion without an end, a large object on it, or a wrong stack pointer";
  uintptr_t const there = reinterpret_cast<uintptr_t>(&full) & ~uintptr_t{4095};
  uintptr_t const none = 0x5550000; // no memory is there
  struct {
    uintptr_t stack;
    uintptr_t address;
    bool full;
  } const rows[] = {
      {there, there - 1, true},
      {there, there - 256, true},
      {there, there - 257, false},
      {there, there, false}, // readable: not the stack's end
      {there, there + 100, false},
      {none, none, true},
      {none, none + 8192, true},
      {none, none + 64 * 1024 * 1024 - 1, true},
      {none, none + 64 * 1024 * 1024, false},
      {none, none - 257, false},
      {0, 0x10000, false}, // no stack pointer
      {0, UINTPTR_MAX - 100, false},
  };
  for (auto const &row : rows) {
    at(kStack) = static_cast<greg_t>(row.stack);
    for (int const code : {SEGV_MAPERR, SEGV_ACCERR}) {
      rf_finding const f = finding_of(SIGSEGV, code, row.address);
      EXPECT_EQ(f.detail == full, row.full) << row.stack << " " << row.address << " " << f.detail;
      EXPECT_EQ(f.cwe == 674, row.full) << f.cwe;
    }
  }
}

// Its caller is on the stack, where that can be read.
TEST_F(Crash, IsTheCallersWhereTheProgramJumpedToWhereNoCodeIs) {
  uintptr_t const stack[] = {0xABCD0, 1, 2};
  for (uintptr_t const to : {uintptr_t{0}, uintptr_t{4095}, uintptr_t{0x777000}}) {
    at(kPc) = static_cast<greg_t>(to);
    at(kStack) = static_cast<greg_t>(reinterpret_cast<uintptr_t>(stack));
    rf_finding const f = finding_of(SIGSEGV, SEGV_MAPERR, to);
    EXPECT_STREQ(f.detail, "SIGSEGV: the program jumped to where no code is");
    EXPECT_EQ(f.access, RF_ACCESS_UNKNOWN);
    ASSERT_NE(f.found.depth, 0U);
    EXPECT_EQ(f.found.frames[0], 0xABCD0U);
    at(kStack) = 8;
    rf_finding const lost = finding_of(SIGSEGV, SEGV_MAPERR, to);
    EXPECT_STREQ(lost.detail, "SIGSEGV: the program jumped to where no code is");
    EXPECT_EQ(lost.found.depth, 0U);
  }
  at(kPc) = 100;
  EXPECT_STREQ(finding_of(SIGSEGV, SEGV_MAPERR, 0x777000).detail, "SIGSEGV: the program jumped to where no code is");
  at(kPc) = 4096;
  EXPECT_STREQ(finding_of(SIGSEGV, SEGV_MAPERR, 0x777000).detail, "SIGSEGV: there is no memory at the address");
}

// Pages that were closed, in a block and behind its end. Of a block that was freed nothing more is near.
TEST_F(Crash, SaysWhichBlockTheMemoryIsOfOrIsNear) {
  heap_alone([this] {
    constexpr size_t kSize = 100000;
    rf_origin const origin = {};
    rf_cache *const cache = rf_cache_take(0);
    rf_block_request const request = {kSize, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, false, false, 0};
    void *const p = rf_cache_alloc(cache, &request, &origin);
    auto const start = reinterpret_cast<uintptr_t>(p);
    rf_process.id = getpid();
    rf_process.checked = true;
    struct {
      uintptr_t address;
      const char *detail;
    } const cases[] = {{start + kSize - 1,
                        "SIGSEGV: the memory of the block was unmapped, or may not be used so: munmap, mremap, mmap, "
                        "mprotect"},
                       {start + kSize, "SIGSEGV: a wild access near a block"}};
    for (auto const &each : cases) {
      rf_finding const f = finding_of(SIGSEGV, SEGV_ACCERR, each.address);
      EXPECT_STREQ(f.detail, each.detail);
      EXPECT_EQ(f.block, start);
      EXPECT_EQ(f.offset, static_cast<ptrdiff_t>(each.address - start));
    }
    EXPECT_TRUE(rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
    rf_finding const f = finding_of(SIGSEGV, SEGV_ACCERR, start + kSize);
    EXPECT_STREQ(f.detail, "SIGSEGV: the memory at the address may not be used so");
    EXPECT_EQ(f.block, 0U);
  });
}

TEST_F(Crash, IsNoneOfOtherSignalsOrOfAChildOfVfork) {
  EXPECT_TRUE(findings_of(SIGTERM, SI_USER, 0).empty());
  EXPECT_TRUE(findings_of(SIGABRT, SI_TKILL, 0).empty());
  rf_process.id = getppid();
  EXPECT_TRUE(findings_of(SIGSEGV, SEGV_MAPERR, 0).empty());
}

// The status is the signal's.
TEST_F(Crash, EndsNoProcessByItself) {
  struct Watching {
    rf_reporter base;
    bool ending;
  } watching = {};
  watching.base.report = [](rf_reporter *self, const rf_finding *) {
    reinterpret_cast<Watching *>(self)->ending = rf_process.ending;
    return RF_ACTION_CONTINUE;
  };
  rf_process.guard_options.reporter = &watching.base;
  for (bool const before : {false, true}) {
    rf_process.ending = before;
    watching.ending = false;
    (void)findings_of(SIGSEGV, SEGV_MAPERR, 0);
    EXPECT_TRUE(watching.ending) << "while it is reported";
    EXPECT_EQ(rf_process.ending, before);
  }
}

#endif

} // namespace
} // namespace ringfence_test
