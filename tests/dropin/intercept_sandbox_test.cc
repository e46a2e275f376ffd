// Calls by which a program restricts itself (checkers/dropin/process/intercept_sandbox.c): what is made ready
// before, in which order, and that each call reaches the system as it was made. The system, and who makes ready, are
// this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/cache.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/page_time.h"
#include "checkers/dropin/process/intercept_clone.h"
#include "checkers/dropin/process/intercept_files.h"
#include "checkers/dropin/process/lifecycle.h"
#include "checkers/dropin/runtime/output.h"
#include "checkers/dropin/runtime/sandbox.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/os/forbidden_calls.h"
}
#undef _Static_assert
#include "tests/dropin/alone.h"
#include "tests/dropin/calls.h"

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

using ringfence_test::alone;
using ringfence_test::call;
using ringfence_test::Calls;
using ringfence_test::calls_of;
using ringfence_test::RecordsCalls;
using ringfence_test::with;

namespace {

struct World {
  int result = 0;
  bool has_memory = false;
  bool gives_memory = true; // the sandbox
  long forks = -4711;       // the number of a call that does
  long executes = -4711;    // the number of a call that makes it another program
  long ends = -4711;        // the number of a call that ends the process
};

World world;
char the_filter;

int their_prctl(int option, ...) {
  std::string text = "prctl " + std::to_string(option);
  va_list list;
  va_start(list, option);
  for (int i = 0; i < 4; i++) {
    text += " " + std::to_string(va_arg(list, unsigned long));
  }
  va_end(list);
  call(text);
  return world.result;
}

} // namespace

extern "C" {

void *__real_dlsym(void *handle, const char *name);

void *__wrap_dlsym(void *handle, const char *name) {
  return std::strcmp(name, "prctl") == 0 ? reinterpret_cast<void *>(their_prctl) : __real_dlsym(handle, name);
}

void __wrap_rf_page_store_settle() {
  call("pages settle");
}
void rf_page_time_settle() {
  call("time settles");
}
void __wrap_rf_output_keep_log() {
  call("keep log");
}
void __wrap_rf_page_signals_keep(bool keeps) {
  call(keeps ? "keep signals" : "let signals go");
}
void __wrap_rf_host_keep() {
  call("keep time");
}
unsigned __wrap_rf_host_unwind(uintptr_t *, unsigned max) {
  call("unwind " + std::to_string(max));
  return 0;
}
rf_cache *__wrap_rf_enter_slow() {
  static rf_cache cache;
  call("heap");
  return world.has_memory ? &cache : nullptr;
}
void __wrap_rf_leave_slow(rf_cache *) {
  call("leave");
}
void *__wrap_rf_cache_malloc(rf_cache *, size_t size, rf_family, const rf_origin *) {
  static char block;
  call("malloc " + std::to_string(size));
  return size != 32 ? &block : nullptr; // the memory has an end
}
bool __wrap_rf_cache_free(rf_cache *, void *, rf_family, size_t, const rf_origin *) {
  call("free");
  return true;
}
bool rf_call_forks(long number, const long[6]) {
  return number == world.forks;
}
long rf_call_fork(long number, const long argument[6]) {
  call("fork by " + std::to_string(number) + " " + std::to_string(argument[0]));
  return 4711;
}
bool rf_call_executes(long number) {
  return number == world.executes;
}
long rf_call_execute(long number, const long argument[6]) {
  call("execute by " + std::to_string(number) + " " + std::to_string(argument[0]));
  return -12;
}
bool rf_call_ends(long number) {
  return number == world.ends;
}
int rf_process_end(rf_process_ending ending, int status) {
  call("end " + std::to_string(ending) + " " + std::to_string(status));
  return 99;
}
void rf_forward_settle() {
  call("forward settles");
}
bool __wrap_rf_sandbox_gives_memory(unsigned long mode, const void *filter) {
  EXPECT_EQ(filter, mode == SECCOMP_MODE_FILTER ? &the_filter : nullptr);
  return mode != SECCOMP_MODE_STRICT && world.gives_memory;
}
void __wrap_rf_sandbox_entered(unsigned long mode, const void *filter) {
  call("entered " + std::to_string(mode) + (filter == &the_filter ? " by the filter" : ""));
}
}

namespace ringfence_test {
namespace {

class InterceptSandbox : public RecordsCalls {
protected:
  InterceptSandbox() {
    world = World();
    rf_process.checked = false;
    rf_intercept_sandbox_init();
  }
};

const Calls kReady = {"pages settle", "time settles", "keep log",       "keep signals",
                      "keep time",    "unwind 1",     "forward settles"};

std::string number_of(const void *p) {
  return std::to_string(reinterpret_cast<uintptr_t>(p));
}

TEST_F(InterceptSandbox, EverythingIsReadyBeforeTheProgramIsInIt) {
  std::string const seccomp = "prctl " + std::to_string(PR_SET_SECCOMP) + " ";
  int result = 7;
  EXPECT_EQ(calls_of([&] { result = prctl(PR_SET_SECCOMP, 2UL, &the_filter, 3UL, 4UL); }),
            with(kReady, {seccomp + "2 " + number_of(&the_filter) + " 3 4", "entered 2 by the filter"}));
  EXPECT_EQ(result, 0);
  EXPECT_EQ(calls_of([&] { result = prctl(PR_SET_SECCOMP, 1UL, 0UL, 0UL, 0UL); }),
            with(kReady, {seccomp + "1 0 0 0", "entered 1"}));
}

// Strict mode lets nobody ask for memory, and some filters do not.
TEST_F(InterceptSandbox, TheHeapHasSomeMemoryBeforeNobodyGetsMore) {
  rf_process.checked = true;
  EXPECT_EQ(calls_of([] { (void)prctl(PR_SET_SECCOMP, 1UL, 0UL, 0UL, 0UL); }).front(), "heap");
  EXPECT_EQ(calls_of([] { (void)prctl(PR_SET_SECCOMP, 2UL, &the_filter, 0UL, 0UL); }).front(), kReady.front());
  EXPECT_EQ(calls_of([] { (void)syscall(SYS_seccomp, 0, ~0U, nullptr); }).front(), "heap");
  EXPECT_EQ(calls_of([] { (void)syscall(SYS_seccomp, 1, ~0U, &the_filter); }).front(), kReady.front());
  world.gives_memory = false;
  EXPECT_EQ(calls_of([] { (void)prctl(PR_SET_SECCOMP, 2UL, &the_filter, 0UL, 0UL); }).front(), "heap");
  EXPECT_EQ(calls_of([] { (void)syscall(SYS_seccomp, 1, ~0U, &the_filter); }).front(), "heap");
  alone([] {
    rf_forbid(RF_CALL_MMAP);
    EXPECT_EQ(calls_of([] { (void)prctl(PR_SET_SECCOMP, 2UL, &the_filter, 0UL, 0UL); }).front(), kReady.front())
        << "it is too late";
  });
}

// One of each size that small blocks have.
TEST_F(InterceptSandbox, TheHeapsMemoryIsForAllSmallBlocks) {
  rf_process.checked = true;
  world.has_memory = true;
  Calls all = {"heap"};
  for (size_t size = 16; size <= 4096; size += 16) {
    all.push_back("malloc " + std::to_string(size));
    if (size != 32) {
      all.emplace_back("free");
    }
  }
  Calls const calls = calls_of([] { (void)prctl(PR_SET_SECCOMP, 1UL, 0UL, 0UL, 0UL); });
  ASSERT_GT(calls.size(), all.size());
  EXPECT_EQ(Calls(calls.begin(), calls.begin() + static_cast<ptrdiff_t>(all.size())), all);
  EXPECT_EQ(calls[all.size()], "leave");
}

TEST_F(InterceptSandbox, ASandboxThatIsRefusedRestrictsNothing) {
  world.result = -1;
  int result = 7;
  Calls const all = calls_of([&] { result = prctl(PR_SET_SECCOMP, 2UL, &the_filter, 0UL, 0UL); });
  EXPECT_EQ(result, -1);
  EXPECT_EQ(all.back(), "let signals go");
  EXPECT_EQ(all.size(), kReady.size() + 2);
}

// A filter may be next, and that by a way that nobody sees.
TEST_F(InterceptSandbox, WhoGivesUpPrivilegesIsLeftWithFewerCalls) {
  EXPECT_EQ(calls_of([] { (void)prctl(PR_SET_NO_NEW_PRIVS, 1UL, 2UL, 3UL, 4UL); }),
            (Calls{"pages settle", "time settles", "prctl " + std::to_string(PR_SET_NO_NEW_PRIVS) + " 1 2 3 4"}));
  EXPECT_EQ(calls_of([] { (void)prctl(PR_GET_NO_NEW_PRIVS, 1UL, 2UL, 3UL, 4UL); }),
            (Calls{"prctl " + std::to_string(PR_GET_NO_NEW_PRIVS) + " 1 2 3 4"}));
}

// ---- The call itself ----

TEST_F(InterceptSandbox, ACallIsTheSystems) {
  EXPECT_EQ(calls_of([] { EXPECT_EQ(syscall(SYS_getpid), getpid()); }), Calls());
  errno = 0;
  EXPECT_EQ(syscall(SYS_close, -1), -1);
  EXPECT_EQ(errno, EBADF);
  errno = 0;
  EXPECT_EQ(syscall(SYS_fcntl, 0, -1, 0), -1);
  EXPECT_EQ(errno, EINVAL);
  errno = 5;
  EXPECT_EQ(syscall(-1), -1);
  EXPECT_EQ(errno, ENOSYS);
  char text[] = "abcdef";
  char copy[sizeof text] = "";
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  // The sixth argument counts: flags that are none.
  iovec const from = {text, sizeof text};
  EXPECT_EQ(syscall(SYS_pwritev2, ends[1], &from, 1, -1L, -1L, 1 << 30), -1);
  EXPECT_TRUE(errno == EOPNOTSUPP || errno == EINVAL) << errno;
  EXPECT_EQ(syscall(SYS_pwritev2, ends[1], &from, 1, -1L, -1L, 0), static_cast<long>(sizeof text));
  EXPECT_EQ(read(ends[0], copy, sizeof copy), static_cast<ssize_t>(sizeof copy));
  EXPECT_STREQ(copy, text);
  (void)close(ends[0]);
  (void)close(ends[1]);
}

TEST_F(InterceptSandbox, ACallThatMakesAChildIsToldOf) {
  world.forks = 12345;
  EXPECT_EQ(calls_of([] { EXPECT_EQ(syscall(12345, 6, 0, 0, 0, 0), 4711); }), Calls{"fork by 12345 6"});
}

TEST_F(InterceptSandbox, ACallThatExecutesAProgramIsToldOf) {
  world.executes = 12345;
  EXPECT_EQ(calls_of([] { EXPECT_EQ(syscall(12345, 6, 0, 0, 0, 0), -12); }), Calls{"execute by 12345 6"});
}

TEST_F(InterceptSandbox, ACallThatEndsTheProcessIsToldOfFirst) {
  world.ends = SYS_close;
  EXPECT_EQ(calls_of([] { EXPECT_EQ(syscall(SYS_close, -7), -1); }),
            Calls{"end " + std::to_string(RF_ENDING_ABRUPT) + " -7"});
}

// Flags that the system does not know: it enters nothing, but what enters one has come.
TEST_F(InterceptSandbox, TheCallThatEntersOneIsKnownAsWell) {
  Calls const refused = with(kReady, {"let signals go"});
  EXPECT_EQ(calls_of([] { EXPECT_EQ(syscall(SYS_seccomp, 1, ~0U, &the_filter), -1); }), refused);
  EXPECT_EQ(calls_of([] { EXPECT_EQ(syscall(SYS_seccomp, 0, ~0U, nullptr), -1); }), refused);
  EXPECT_EQ(calls_of([] { (void)syscall(SYS_seccomp, 2, 0, nullptr); }), Calls()) << "a question";
  EXPECT_EQ(calls_of([] { (void)syscall(SYS_dup, 1 << 20); }), Calls());
}

// A filter that a listener decides for: where the system has that, it gives a descriptor.
TEST_F(InterceptSandbox, ACallThatGivesADescriptorHasEnteredOne) {
  constexpr int kNoListener = 2;
  pid_t const child = fork();
  if (child == 0) {
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog const filter = {1, &allow};
    long listener = -1;
    (void)syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    Calls const all = calls_of([&] { listener = syscall(SYS_seccomp, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter); });
    _exit(listener <= 0 ? kNoListener : all.back() == "entered 2" ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNoListener) {
    GTEST_SKIP() << "the system has no listeners";
  }
  EXPECT_EQ(status, 0);
}

// No descriptor is a ruleset: Landlock refuses. It ends no process, so that only files are seen to.
TEST_F(InterceptSandbox, FilesAreOpenBeforeLandlock) {
  Calls const expected = {"keep log", "keep time", "unwind 1"};
  EXPECT_EQ(calls_of([] { EXPECT_EQ(syscall(446, -1, 0), -1); }), expected);
  EXPECT_EQ(calls_of([] { EXPECT_EQ(syscall(445, -1, 0, nullptr, 0), -1); }), Calls()) << "a rule";
}

// Bubblewrap makes its namespaces by this call; the system refuses each of these.
TEST_F(InterceptSandbox, FilesAreOpenBeforeAProcessWithFilesOfItsOwnIsMade) {
  Calls const expected = {"keep log", "keep time", "unwind 1"};
  for (long const other : {CLONE_NEWNS, CLONE_NEWUSER}) {
    EXPECT_EQ(calls_of([&] { EXPECT_EQ(syscall(SYS_clone, other | CLONE_FS, 0, 0, 0, 0), -1); }), expected);
  }
  EXPECT_EQ(calls_of([] { EXPECT_EQ(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), -1); }), Calls());
}

} // namespace
} // namespace ringfence_test
