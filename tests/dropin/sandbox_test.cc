// The evaluation of filters of system calls (checkers/dropin/runtime/sandbox.c) at the edges of their instructions;
// call_filters_test has usual filters.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/sandbox.h"
#include "checkers/os/forbidden_calls.h"
#include <ringfence/port.h>
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <vector>

namespace ringfence_test {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kMachine = AUDIT_ARCH_X86_64;
#elif defined(__i386__)
constexpr uint32_t kMachine = AUDIT_ARCH_I386;
#else
constexpr uint32_t kMachine = AUDIT_ARCH_AARCH64;
#endif

constexpr sock_filter kLoadMachine = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
constexpr sock_filter kAllow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
constexpr sock_filter kKill = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);

constexpr sock_filter jump(uint16_t condition, uint32_t value, uint8_t yes, uint8_t no) {
  return BPF_JUMP(static_cast<uint16_t>(BPF_JMP | condition | BPF_K), value, yes, no);
}

// The first `length` of the instructions: whether they end the process.
void expect_end(bool ends, std::vector<sock_filter> code, size_t length) {
  alone([&] {
    sock_fprog const program = {static_cast<unsigned short>(length), code.data()};
    rf_sandbox_entered(SECCOMP_MODE_FILTER, &program);
    EXPECT_EQ(rf_sandbox_forbids_search(), ends);
    EXPECT_EQ(rf_is_forbidden(RF_CALL_CLOCK), false) << "strict mode alone forbids it";
  });
}

void expect_end(bool ends, const std::vector<sock_filter> &code) {
  expect_end(ends, code, code.size());
}

TEST(DropinSandboxEdges, AConditionHoldsUpToItsValue) {
  auto const where = [](uint16_t condition, uint32_t value) {
    return std::vector<sock_filter>{kLoadMachine, jump(condition, value, 0, 1), kKill, kAllow};
  };
  expect_end(true, where(BPF_JEQ, kMachine));
  expect_end(false, where(BPF_JEQ, kMachine + 1));
  expect_end(true, where(BPF_JGT, kMachine - 1));
  expect_end(false, where(BPF_JGT, kMachine));
  expect_end(true, where(BPF_JGE, kMachine));
  expect_end(false, where(BPF_JGE, kMachine + 1));
  expect_end(true, where(BPF_JSET, kMachine));
  expect_end(false, where(BPF_JSET, ~kMachine));
}

TEST(DropinSandboxEdges, AJumpCountsFromTheNextInstruction) {
  expect_end(false, {BPF_STMT(BPF_JMP | BPF_JA, 1), kKill, kAllow, kKill});
  expect_end(false, {BPF_STMT(BPF_JMP | BPF_JA, 0), kAllow, kKill});
  expect_end(false, {kLoadMachine, jump(BPF_JEQ, kMachine, 1, 0), kKill, kAllow, kKill});
  expect_end(false, {kLoadMachine, jump(BPF_JEQ, kMachine, 0, 1), kAllow, kKill});
}

TEST(DropinSandboxEdges, BehindTheLastInstructionAllIsAllowed) {
  expect_end(false, {kLoadMachine, kKill}, 1);
  expect_end(true, {kLoadMachine, kKill}, 2);
}

TEST(DropinSandboxEdges, BitsBesideTheActionAreData) {
  expect_end(true, {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP | 7)});
  expect_end(true, {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD | 9)});
  expect_end(false, {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 13)});
  expect_end(false, {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)});
}

TEST(DropinSandboxEdges, WhatWasLoadedIsTheAnswerWhereItSaysSo) {
  sock_filter const mask = BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x80000000U);
  expect_end(true, {kLoadMachine, mask, BPF_STMT(BPF_RET | BPF_A, SECCOMP_RET_ALLOW)}); // ends a thread or all
}

TEST(DropinSandboxEdges, StrictModeForbidsAllAndTheClock) {
  alone([] {
    rf_sandbox_entered(SECCOMP_MODE_STRICT, nullptr);
    EXPECT_TRUE(rf_sandbox_forbids_search());
    EXPECT_TRUE(rf_is_forbidden(RF_CALL_CLOCK));
    EXPECT_TRUE(rf_is_forbidden(RF_CALL_MMAP));
    EXPECT_TRUE(rf_is_forbidden(RF_CALL_SPOOL));
  });
}

// A second filter cannot allow again what the first one forbids.
TEST(DropinSandboxEdges, FiltersAddUp) {
  alone([] {
    sock_filter kill[] = {kKill};
    sock_filter allow[] = {kAllow};
    sock_fprog const first = {1, kill};
    sock_fprog const second = {1, allow};
    rf_sandbox_entered(SECCOMP_MODE_FILTER, &first);
    rf_sandbox_entered(SECCOMP_MODE_FILTER, &second);
    EXPECT_TRUE(rf_sandbox_forbids_search());
  });
}

// A write that is refused would end the process by the call that takes its signal.
TEST(DropinSandboxEdges, WhereSignalsMayNotBeTakenTheLogLeavesThemWaiting) {
  for (long const number : {long{SYS_rt_sigtimedwait}, long{SYS_rt_sigpending}, long{SYS_tee}}) {
    alone([number] {
      sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                            jump(BPF_JEQ, static_cast<uint32_t>(number), 0, 1), kKill, kAllow};
      sock_fprog const filter = {4, code};
      int ends[2];
      ASSERT_EQ(pipe(ends), 0);
      ASSERT_EQ(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
      close(ends[0]);
      rf_sandbox_entered(SECCOMP_MODE_FILTER, &filter);
      rf_port_log("a", 1);
      sigset_t waiting;
      ASSERT_EQ(sigpending(&waiting), 0);
      EXPECT_EQ(sigismember(&waiting, SIGPIPE), number == SYS_tee ? 0 : 1) << number;
    });
  }
}

// Whether a process gets more memory is asked before the system has seen the filter, wherever it lies.
TEST(DropinSandboxMemory, IsNotGivenWhereTheCallEndsTheProcessOrIsRefused) {
  auto const gives = [](uint32_t action, size_t length = 1) {
    sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, action)};
    sock_fprog const program = {static_cast<unsigned short>(length), code};
    return rf_sandbox_gives_memory(SECCOMP_MODE_FILTER, &program);
  };
  for (uint32_t const action : {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP}) {
    EXPECT_FALSE(gives(action)) << action;
  }
  EXPECT_FALSE(gives(SECCOMP_RET_ERRNO | 12));
  for (uint32_t const action : {SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_TRACE}) {
    EXPECT_TRUE(gives(action)) << action;
  }
  EXPECT_TRUE(gives(SECCOMP_RET_KILL_PROCESS, 0)) << "no filter";
  EXPECT_FALSE(rf_sandbox_gives_memory(SECCOMP_MODE_STRICT, nullptr));
  EXPECT_FALSE(rf_is_forbidden(~0U)) << "nothing was entered";
}

TEST(DropinSandboxMemory, OfAFilterThatCannotBeReadIsNoMatter) {
  sock_fprog const program = {1, reinterpret_cast<sock_filter *>(16)};
  EXPECT_TRUE(rf_sandbox_gives_memory(SECCOMP_MODE_FILTER, nullptr));
  EXPECT_TRUE(rf_sandbox_gives_memory(SECCOMP_MODE_FILTER, reinterpret_cast<void *>(16)));
  EXPECT_TRUE(rf_sandbox_gives_memory(SECCOMP_MODE_FILTER, &program));
}

TEST(DropinSandboxMemory, OfAFilterOfWhichAPartCannotBeReadIsNoMatter) {
  constexpr size_t kPage = 4096;
  void *const pages = mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  auto *const end = reinterpret_cast<sock_filter *>(static_cast<char *>(pages) + kPage);
  end[-1] = kLoadMachine;
  ASSERT_EQ(mprotect(end, kPage, PROT_NONE), 0);
  sock_fprog const program = {3, end - 1};
  EXPECT_TRUE(rf_sandbox_gives_memory(SECCOMP_MODE_FILTER, &program));
}

// It may not have looked at it yet.
TEST(DropinSandboxMemory, OfAFilterThatTheSystemWouldRefuseIsAnsweredAsWell) {
  for (uint32_t const by : {UINT32_MAX, UINT32_MAX - 1, UINT32_MAX / 2, uint32_t{2}}) {
    alone([by] {
      sock_filter code[] = {kLoadMachine, BPF_STMT(BPF_JMP | BPF_JA, by), kKill};
      sock_fprog const program = {3, code};
      (void)alarm(50);
      EXPECT_TRUE(rf_sandbox_gives_memory(SECCOMP_MODE_FILTER, &program)) << by;
    });
  }
}

} // namespace
} // namespace ringfence_test
