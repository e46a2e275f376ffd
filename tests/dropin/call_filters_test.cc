// Filters of system calls (checkers/dropin/runtime/sandbox.c): what each usual one forbids the checker.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/sandbox.h"
#include "checkers/os/forbidden_calls.h"
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <cstddef>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <vector>

namespace ringfence {
namespace {

using ringfence_test::alone;

constexpr sock_filter kLoadNumber = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
constexpr sock_filter kLoadMachine = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
constexpr sock_filter kAllow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
constexpr sock_filter kKill = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
constexpr sock_filter kKillThread = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD);
constexpr sock_filter kTrap = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
constexpr sock_filter kRefuse = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 13);

// The second statement where the condition holds, else the third.
std::vector<sock_filter> where(int condition, uint32_t value, const sock_filter &yes, const sock_filter &no) {
  return {kLoadNumber, BPF_JUMP(BPF_JMP | static_cast<uint16_t>(condition) | BPF_K, value, 0, 1), yes, no};
}

void expect_search(bool allowed, std::vector<sock_filter> code) {
  alone([&] {
    sock_fprog const program = {static_cast<unsigned short>(code.size()), code.data()};
    EXPECT_FALSE(rf_sandbox_forbids_search());
    rf_sandbox_entered(SECCOMP_MODE_FILTER, &program);
    EXPECT_EQ(rf_sandbox_forbids_search(), !allowed);
  });
}

TEST(DropinSandbox, ForbidsTheSearchForLeaksWhereACallThatItMakesEndsTheProcess) {
  for (long const call : {SYS_rt_sigaction, SYS_openat, SYS_read, SYS_close, SYS_getdents64, SYS_process_vm_readv}) {
    auto const number = static_cast<uint32_t>(call);
    expect_search(false, where(BPF_JEQ, number, kKill, kAllow));
    expect_search(false, where(BPF_JEQ, number, kKillThread, kAllow));
    expect_search(false, where(BPF_JEQ, number, kTrap, kAllow));
    expect_search(true, where(BPF_JEQ, number, kRefuse, kAllow));
  }
  expect_search(false, where(BPF_JEQ, SYS_write, kAllow, kKill));
}

TEST(DropinSandbox, FollowsTheInstructionsOfFilters) {
  expect_search(true, {kAllow});
  expect_search(false, {kKill});
  expect_search(true, where(BPF_JEQ, SYS_execve, kKill, kAllow));
  expect_search(true, where(BPF_JGT, 0xFFFF, kKill, kAllow));
  expect_search(false, where(BPF_JGT, SYS_rt_sigaction - 1, kKill, kAllow));
  expect_search(true, where(BPF_JGE, 0x10000, kKill, kAllow));
  expect_search(false, where(BPF_JGE, SYS_process_vm_readv, kKill, kAllow));
  expect_search(true, where(BPF_JSET, 0x40000000, kKill, kAllow));
  expect_search(false, where(BPF_JSET, SYS_rt_sigaction, kKill, kAllow));
  expect_search(true, {BPF_STMT(BPF_JMP | BPF_JA, 1), kKill, kAllow});
  expect_search(true, {kLoadNumber, BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0),
                       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), kKill, kAllow});
  expect_search(false, {kLoadNumber, BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0), BPF_STMT(BPF_RET | BPF_A, 0)});
  expect_search(true, {BPF_STMT(BPF_LD | BPF_IMM, 5), kKill});
}

// The checkers do without a part of what they do where one of the calls that it takes would end the process.
TEST(DropinSandbox, ForbidsEachPartByTheCallsThatItTakes) {
#if defined(SYS_fcntl64)
  long const fcntl_call = SYS_fcntl64; // 32 bits
#else
  long const fcntl_call = SYS_fcntl;
#endif
  struct Part {
    long call;
    uint32_t uses;
  };
  const Part kParts[] = {{SYS_madvise, RF_CALL_MADVISE | RF_CALL_OTHERS},
                         {SYS_mprotect, RF_CALL_MPROTECT},
                         {SYS_mremap, RF_CALL_MREMAP},
                         {SYS_munmap, RF_CALL_MUNMAP},
                         {SYS_membarrier, RF_CALL_MEMBARRIER},
                         {SYS_clock_nanosleep, RF_CALL_NANOSLEEP},
                         {SYS_nanosleep, RF_CALL_NANOSLEEP},
                         {SYS_rt_sigprocmask, RF_CALL_SIGNAL_MASK | RF_CALL_OPEN | RF_CALL_OTHERS},
                         {SYS_getpid, RF_CALL_GETPID | RF_CALL_OTHERS},
                         {SYS_gettid, RF_CALL_GETTID | RF_CALL_OTHERS},
                         {SYS_openat, RF_CALL_OPEN | RF_CALL_OTHERS},
                         {SYS_close, RF_CALL_OPEN | RF_CALL_OTHERS},
                         {fcntl_call, RF_CALL_OPEN | RF_CALL_PEEK},
                         {SYS_rt_sigaction, RF_CALL_OTHERS},
                         {SYS_read, RF_CALL_OTHERS},
                         {SYS_getdents64, RF_CALL_OTHERS},
                         {SYS_sigaltstack, RF_CALL_OTHERS},
                         {SYS_process_vm_readv, RF_CALL_OTHERS},
                         {SYS_process_vm_writev, RF_CALL_OTHERS},
                         {SYS_pread64, RF_CALL_SPOOL | RF_CALL_OTHERS},
                         {SYS_tee, RF_CALL_PEEK},
                         {SYS_pipe2, RF_CALL_PEEK},
                         {SYS_recvfrom, RF_CALL_PEEK},
                         {SYS_getsockopt, RF_CALL_PEEK},
                         {SYS_ioctl, RF_CALL_IOCTL},
                         {SYS_flock, RF_CALL_SPOOL},
                         {SYS_linkat, RF_CALL_SPOOL},
                         {SYS_unlinkat, RF_CALL_SPOOL},
                         {SYS_mkdirat, RF_CALL_SPOOL},
                         {SYS_fchmod, RF_CALL_SPOOL},
                         {SYS_socket, RF_CALL_SPOOL},
                         {SYS_sendto, RF_CALL_SPOOL},
                         {SYS_rt_sigpending, RF_CALL_PENDING},
                         {SYS_rt_sigtimedwait, RF_CALL_PENDING},
                         {SYS_prlimit64, RF_CALL_LIMIT},
                         {SYS_mknodat, RF_CALL_MARK},
                         {SYS_pkey_mprotect, RF_CALL_KEY},
                         {SYS_mincore, RF_CALL_RESIDENT},
                         {SYS_execve, 0}};
  for (const Part &part : kParts) {
    alone([&] {
      std::vector<sock_filter> code = where(BPF_JEQ, static_cast<uint32_t>(part.call), kKill, kAllow);
      sock_fprog const program = {static_cast<unsigned short>(code.size()), code.data()};
      rf_sandbox_entered(SECCOMP_MODE_FILTER, &program);
      EXPECT_EQ(rf_forbidden_calls, part.uses) << part.call;
    });
  }
}

#if defined(__x86_64__)
TEST(DropinSandbox, TellsTheFilterWhichMachineItIs) {
  expect_search(true, {kLoadMachine, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), kKill, kAllow});
}
#elif defined(__i386__)
TEST(DropinSandbox, TellsTheFilterWhichMachineItIs) {
  expect_search(true, {kLoadMachine, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 1, 0), kKill, kAllow});
}
#endif

TEST(DropinSandbox, ForbidsTheSearchWhereHardlyAnythingIsAllowed) {
  alone([] {
    rf_sandbox_entered(SECCOMP_MODE_STRICT, nullptr);
    EXPECT_TRUE(rf_sandbox_forbids_search());
  });
}

} // namespace
} // namespace ringfence
