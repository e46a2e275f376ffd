// The beginning of the process (checkers/dropin/process/start.c and start_glibc.c): what is made ready, in which order,
// where the drop-in leaves the process to a sanitizer, and with which status the C library ends it. All that it calls,
// and the C library, are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/process/exec_target.h"
#include "checkers/dropin/process/intercept_clone.h"
#include "checkers/dropin/process/intercept_files.h"
#include "checkers/dropin/process/lifecycle.h"
#include "checkers/dropin/process/sanitizer_check.h"
#include "checkers/dropin/process/start.h"
#include "checkers/dropin/process/unloaded_places.h"
}
#undef _Static_assert

#include <csetjmp>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

struct World {
  Calls calls;
  bool leaves = false;
  int status = -1; // of the end
  void (*at_exit)(void *) = nullptr;
  void (*at_quick_exit)(void *) = nullptr;
  void (*in_child)() = nullptr;
};

World world;
bool records;
jmp_buf out;

void call(const std::string &what) {
  world.calls.push_back(what);
}

} // namespace

extern "C" {

using Entry = void (*)(int, char **, char **);
extern Entry const __start_rf_entries[];
extern Entry const __stop_rf_entries[];

void rf_intercept_transfer_begin() {
  call("transfer begins");
}
bool rf_sanitizer_leave() {
  call("sanitizer");
  return world.leaves;
}
void rf_process_begin(bool library) {
  call(library ? "begin as a library" : "begin");
}
void rf_intercept_files_init() {
  call("files");
}
void rf_intercept_descriptors_init() {
  call("descriptors");
}
void rf_intercept_sandbox_init() {
  call("sandbox");
}
void rf_intercept_clone_init() {
  call("clone");
}
void rf_intercept_mappings_init() {
  call("mappings");
}
void rf_intercept_transfer_init() {
  call("transfer");
}
void rf_intercept_signal_init() {
  call("signal");
}
void rf_exec_target_init() {
  call("exec target");
}
void rf_intercept_glibc_init() {
  call("glibc");
}
void rf_intercept_calls_init() {
  call("calls");
}
void rf_intercept_closed_init() {
  call("closed");
}
void rf_intercept_fortify_init() {
  call("fortify");
}
void rf_intercept_sync_init() {
  call("sync");
}
void rf_intercept_transfer_end() {
  call("transfer ends");
}
void rf_intercept_descriptors_end() {
  call("descriptors end");
}
void rf_intercept_glibc_end() {
  call("glibc ends");
}
void rf_intercept_calls_end() {
  call("calls end");
}
void rf_dlclose_forked() {
  call("dlclose");
}
void rf_unloaded_places_forked() {
  call("places");
}
void rf_fork_child_also(void (*function)(void)) {
  world.in_child = function;
}
int rf_process_end(rf_process_ending ending, int status) {
  call("end " + std::to_string(ending) + " " + std::to_string(status));
  return world.status;
}

int __real___cxa_atexit(void (*function)(void *), void *argument, void *library);
int __wrap___cxa_atexit(void (*function)(void *), void *argument, void *library) {
  if (!records) {
    return __real___cxa_atexit(function, argument, library);
  }
  EXPECT_EQ(library, nullptr) << "the program's: a library's would run when it is unloaded";
  call("at exit");
  world.at_exit = function;
  return 0;
}
int __wrap___cxa_at_quick_exit(void (*function)(void *), void *library) {
  EXPECT_EQ(library, nullptr);
  call("at quick exit");
  world.at_quick_exit = function;
  return 0;
}
[[noreturn]] void __real_exit(int status);
[[noreturn]] void __wrap_exit(int status) {
  if (!records) {
    __real_exit(status);
  }
  call("exit " + std::to_string(status));
  longjmp(out, 1);
}
[[noreturn]] void __wrap__exit(int status) {
  call("_exit " + std::to_string(status));
  longjmp(out, 1);
}
}

namespace ringfence_test {
namespace {

Calls calls_of(const std::function<void()> &act) {
  world.calls.clear();
  records = true;
  if (setjmp(out) == 0) {
    act();
  }
  records = false;
  return world.calls;
}

Calls begin(char **environment) {
  EXPECT_EQ(__stop_rf_entries - __start_rf_entries, 1);
  return calls_of([=] { __start_rf_entries[0](0, nullptr, environment); });
}

class Start : public testing::Test {
protected:
  Start() { world = World(); }
};

// The exit handler is registered before any of the program's. The functions behind are looked for when requests can be
// served, since the linker allocates.
TEST_F(Start, AllIsReadyBeforeTheProgram) {
  EXPECT_EQ(begin(nullptr), (Calls{"transfer begins", "sanitizer", "begin as a library", "glibc", "calls", "closed",
                                   "fortify", "sync", "at exit", "at quick exit", "files", "descriptors", "sandbox",
                                   "clone", "mappings", "transfer", "signal", "exec target"}));
}

TEST_F(Start, AProcessThatIsASanitizersIsLeftAlone) {
  world.leaves = true;
  EXPECT_EQ(begin(nullptr), (Calls{"transfer begins", "sanitizer"}));
}

TEST_F(Start, TheEnvironmentIsTheOneThatIsHandedInWhereThereIsNoneYet) {
  char **const there = environ;
  char *none[] = {nullptr};
  (void)begin(none);
  EXPECT_EQ(environ, there);
  environ = nullptr;
  (void)begin(none);
  EXPECT_EQ(environ, none);
  environ = there;
}

TEST_F(Start, AnExitEndsWithTheStatusOfTheEnd) {
  (void)begin(nullptr);
  ASSERT_NE(world.at_exit, nullptr);
  Calls ends = {"transfer ends", "descriptors end", "glibc ends", "calls end",
                "end " + std::to_string(RF_ENDING_EXIT) + " -1"};
  EXPECT_EQ(calls_of([] { world.at_exit(nullptr); }), ends) << "nothing was found";
  world.status = 23;
  ends.emplace_back("exit 23");
  EXPECT_EQ(calls_of([] { world.at_exit(nullptr); }), ends) << "streams are flushed yet";
  world.status = 0;
  ends.back() = "exit 0";
  EXPECT_EQ(calls_of([] { world.at_exit(nullptr); }), ends);
}

TEST_F(Start, AQuickOneIsAbrupt) {
  (void)begin(nullptr);
  ASSERT_NE(world.at_quick_exit, nullptr);
  std::string const end = "end " + std::to_string(RF_ENDING_ABRUPT) + " -1";
  EXPECT_EQ(calls_of([] { world.at_quick_exit(nullptr); }), Calls{end});
  world.status = 23;
  EXPECT_EQ(calls_of([] { world.at_quick_exit(nullptr); }), (Calls{end, "_exit 23"}));
}

TEST_F(Start, AChildOfForkHasNoLockOfAnotherThread) {
  (void)begin(nullptr);
  EXPECT_EQ(calls_of(world.in_child), (Calls{"dlclose", "places"}));
}

} // namespace
} // namespace ringfence_test
