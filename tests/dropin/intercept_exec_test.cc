// Calls that start another program (checkers/dropin/process/intercept_exec.c): which function behind is called with
// what, what the process does before and after, and which environment a program gets that needs another library. The
// functions behind, and what is found out about programs, are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/malloc/trace_hook.h"
#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/process/exec_target.h"
#include "checkers/dropin/process/intercept_transfer.h"
#include "checkers/dropin/process/lifecycle.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/reserve_stack.h"
}
#undef _Static_assert
#include "tests/dropin/calls.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <gtest/gtest.h>
#include <pthread.h>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using ringfence_test::call;
using ringfence_test::Calls;
using ringfence_test::calls_of;
using ringfence_test::RecordsCalls;

namespace {

constexpr pid_t kThis = 4711;
constexpr pid_t kChild = 4712;

struct World {
  pid_t process = kThis;
  int error = ENOENT; // of each function behind; 0: none
  int status = 0;     // of a command
  bool executable = true;
  const char *unchecked = nullptr;
  bool other_preload = false;
  std::string closed;             // the first string of the list that meets closed memory
  std::vector<std::string> waits; // what waitpid says
  bool ignored[2] = {};           // SIGINT and SIGQUIT, by the program
  FILE *stream = nullptr;
  sigset_t mask_meanwhile;
};

World world;
char the_store;

std::string words(char *const *list) {
  std::string text = "[";
  for (size_t i = 0; list != nullptr && list[i] != nullptr; i++) {
    text += (i == 0 ? "" : " ") + std::string(list[i]);
  }
  return text + "]";
}

int failing() {
  errno = world.error;
  return world.error != 0 ? -1 : 0;
}

int their_execve(const char *path, char *const argv[], char *const envp[]) {
  call(std::string("execve ") + path + " " + words(argv) + " " + words(envp));
  return failing();
}
int their_execvpe(const char *file, char *const argv[], char *const envp[]) {
  call(std::string("execvpe ") + file + " " + words(argv) + " " + words(envp));
  return failing();
}
int their_fexecve(int fd, char *const argv[], char *const envp[]) {
  call("fexecve " + std::to_string(fd) + " " + words(argv) + " " + words(envp));
  return failing();
}

std::string signals_in(const sigset_t *set) {
  std::string text;
  for (int const number : {SIGINT, SIGQUIT, SIGUSR1, SIGCHLD}) {
    text += sigismember(set, number) == 1 ? " " + std::to_string(number) : "";
  }
  return text;
}

int spawn(const char *name, pid_t *pid, const char *file, const posix_spawnattr_t *attributes, char *const argv[],
          char *const envp[]) {
  call(std::string(name) + " " + file + " " + words(argv) + " " + words(envp));
  short flags = 0;
  if (attributes != nullptr && posix_spawnattr_getflags(attributes, &flags) == 0 && flags != 0) {
    sigset_t mask;
    sigset_t defaults;
    (void)posix_spawnattr_getsigmask(attributes, &mask);
    (void)posix_spawnattr_getsigdefault(attributes, &defaults);
    EXPECT_EQ(flags, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    call("mask" + signals_in(&mask) + " defaults" + signals_in(&defaults));
    (void)pthread_sigmask(SIG_SETMASK, nullptr, &world.mask_meanwhile);
  }
  *pid = kChild;
  return world.error;
}
int their_spawn(pid_t *pid, const char *file, const posix_spawn_file_actions_t *, const posix_spawnattr_t *attributes,
                char *const argv[], char *const envp[]) {
  return spawn("posix_spawn", pid, file, attributes, argv, envp);
}
int their_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *, const posix_spawnattr_t *attributes,
                 char *const argv[], char *const envp[]) {
  return spawn("posix_spawnp", pid, file, attributes, argv, envp);
}

int their_system(const char *command) {
  call(std::string("system ") + (command != nullptr ? command : "none"));
  errno = world.error;
  return world.status;
}
FILE *their_popen(const char *command, const char *modes) {
  call(std::string("popen ") + command + " " + modes + " " + words(environ));
  return world.stream;
}

template <typename F> void *address_of(F *function) {
  return reinterpret_cast<void *>(function);
}

} // namespace

extern "C" {

rf_process_state rf_process;
rf_guarded_blocks_state rf_guarded_blocks;

void *__real_dlsym(void *handle, const char *name);

void *__wrap_dlsym(void *handle, const char *name) {
  struct {
    const char *name;
    void *function;
  } const theirs[] = {
      {"execve", address_of(their_execve)},       {"execvpe", address_of(their_execvpe)},
      {"fexecve", address_of(their_fexecve)},     {"posix_spawn", address_of(their_spawn)},
      {"posix_spawnp", address_of(their_spawnp)}, {"system", address_of(their_system)},
      {"popen", address_of(their_popen)},
  };
  for (auto const &each : theirs) {
    if (std::strcmp(name, each.name) == 0) {
      return each.function;
    }
  }
  return __real_dlsym(handle, name);
}

int __wrap_access(const char *path, int mode) {
  call(std::string(mode == X_OK ? "executable? " : "access ") + path);
  return world.executable ? 0 : -1;
}

pid_t __wrap_getpid() {
  return world.process;
}

pid_t __wrap_waitpid(pid_t child, int *status, int) {
  std::string const answer = world.waits.empty() ? "" : world.waits.front();
  world.waits.erase(world.waits.begin(), world.waits.begin() + (world.waits.empty() ? 0 : 1));
  call("wait " + std::to_string(child) + " " + answer);
  if (answer == "interrupted" || answer == "none") {
    errno = answer == "none" ? ECHILD : EINTR;
    return -1;
  }
  *status = world.status;
  return child;
}

void __wrap_rf_on_reserve_stack(rf_reserve_work work, void *argument) {
  call("reserve stack");
  work(argument);
}

pid_t rf_process_now() {
  return world.process;
}

void rf_tracing_end() {
  call("end of trace");
}
int rf_process_end(rf_process_ending ending, int status) {
  EXPECT_EQ(ending, RF_ENDING_EXEC);
  call("end " + std::to_string(status));
  return status;
}
void rf_process_resume() {
  call("resume");
  errno = 77;
}
void rf_process_log_resumed() {
  call("resumed");
  errno = 78;
}
void rf_process_log_unchecked(pid_t process, const char *other, const char *why, uint64_t time_ns) {
  EXPECT_EQ(time_ns, 12345U);
  call("unchecked " + std::to_string(process) + " " + other + " " + why);
}

void rf_exec_target_find(const char *file, bool search, char *const envp[], rf_exec_target *out) {
  call(std::string(search ? "search " : "find ") + file + " " + words(envp));
  std::snprintf(out->file, sizeof out->file, "%s", file);
  out->unchecked = world.unchecked;
  out->other_preload = world.other_preload;
  out->time_ns = 12345;
}
size_t rf_exec_target_entries(char *const envp[]) {
  size_t count = 1;
  for (; envp != nullptr && envp[count - 1] != nullptr; count++) {
  }
  return count;
}
size_t rf_exec_target_preload_size(const rf_exec_target *, char *const[]) {
  return sizeof "LD_PRELOAD=other";
}
void rf_exec_target_environment(const rf_exec_target *, char *const envp[], char **out, char *preload) {
  std::strcpy(preload, "LD_PRELOAD=other");
  for (; *envp != nullptr; envp++) {
    *out++ = *envp;
  }
  out[-1] = preload;
  *out = nullptr;
}

bool rf_transfer_look_strings(char *const *list, const rf_origin *origin) {
  EXPECT_NE(origin->caller, 0U);
  call("look at " + words(list));
  return list != nullptr && list[0] != nullptr && world.closed == list[0];
}

int rf_libc_sigaction(int number, const struct sigaction *action, struct sigaction *old) {
  call(std::string(action->sa_handler == SIG_IGN ? "ignore " : "restore ") + std::to_string(number));
  if (old != nullptr) {
    *old = {};
    old->sa_handler = world.ignored[number == SIGQUIT] ? SIG_IGN : SIG_DFL;
  }
  return 0;
}
}

namespace ringfence_test {
namespace {

char a0[] = "a0";
char a1[] = "a1";
char e0[] = "E=0";
char e1[] = "E=1";
char m0[] = "M=0";
char m1[] = "M=1";
char *const kArguments[] = {a0, a1, nullptr};
char *const kEnvironment[] = {e0, e1, nullptr};
char *mine[] = {m0, m1, nullptr};

class InterceptExec : public RecordsCalls {
protected:
  InterceptExec() : before_(environ) {
    world = World();
    rf_process.id = kThis;
    rf_process.forked = false;
    rf_guarded_blocks.store = nullptr;
    environ = mine;
  }
  ~InterceptExec() override { environ = before_; }

  static void watch() { rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store); }

  static bool has(const Calls &calls, const std::string &what) {
    return std::find(calls.begin(), calls.end(), what) != calls.end();
  }

private:
  char **before_;
};

struct Way {
  std::function<int()> call;
  std::string finds;
  std::string theirs;
};

const std::vector<Way> &ways() {
  static const std::vector<Way> all = {
      {[] { return execve("/p", kArguments, kEnvironment); }, "find /p [E=0 E=1]", "execve /p [a0 a1] [E=0 E=1]"},
      {[] { return execv("/p", kArguments); }, "find /p [M=0 M=1]", "execve /p [a0 a1] [M=0 M=1]"},
      {[] { return execvpe("p", kArguments, kEnvironment); }, "search p [E=0 E=1]", "execvpe p [a0 a1] [E=0 E=1]"},
      {[] { return execvp("p", kArguments); }, "search p [M=0 M=1]", "execvpe p [a0 a1] [M=0 M=1]"},
      {[] { return execl("/p", a0, a1, "a2", static_cast<char *>(nullptr)); }, "find /p [M=0 M=1]",
       "execve /p [a0 a1 a2] [M=0 M=1]"},
      {[] { return execl("/p", a0, static_cast<char *>(nullptr)); }, "find /p [M=0 M=1]", "execve /p [a0] [M=0 M=1]"},
      {[] { return execlp("p", a0, a1, static_cast<char *>(nullptr)); }, "search p [M=0 M=1]",
       "execvpe p [a0 a1] [M=0 M=1]"},
      {[] { return execle("/p", a0, a1, static_cast<char *>(nullptr), kEnvironment); }, "find /p [E=0 E=1]",
       "execve /p [a0 a1] [E=0 E=1]"},
  };
  return all;
}

TEST_F(InterceptExec, AProcessEndsBeforeAndGoesOnWhereItFails) {
  for (const Way &way : ways()) {
    SCOPED_TRACE(way.theirs);
    std::string const file = way.finds.substr(way.finds.find(' ') + 1, way.finds.find(" [") - way.finds.find(' ') - 1);
    int result = 0;
    EXPECT_EQ(calls_of([&] { result = way.call(); }), (Calls{"reserve stack", way.finds, "end of trace",
                                                             "executable? " + file, "end 0", way.theirs, "resume"}));
    EXPECT_EQ(result, -1);
    EXPECT_EQ(errno, ENOENT) << "its own error";
  }
}

TEST_F(InterceptExec, AFileThatCannotBeExecutedIsNoEnd) {
  world.executable = false;
  EXPECT_TRUE(has(calls_of([] { (void)execv("/p", kArguments); }), "end -1"));
}

TEST_F(InterceptExec, AChildOfForkEndsNothing) {
  rf_process.forked = true;
  EXPECT_EQ(calls_of([] { (void)execv("/p", kArguments); }),
            (Calls{"reserve stack", "find /p [M=0 M=1]", "end of trace", "execve /p [a0 a1] [M=0 M=1]", "resume"}));
}

// It shares its parent's memory, and would not give the stack back.
TEST_F(InterceptExec, AChildOfVforkStaysOnItsStack) {
  world.process = kThis + 1;
  EXPECT_FALSE(has(calls_of([] { (void)execv("/p", kArguments); }), "reserve stack"));
}

TEST_F(InterceptExec, AProgramThatIsNotCheckedIsToldOfUntilItFails) {
  world.unchecked = "static";
  Calls const last = {"end 0", "unchecked 4711 /p static", "execve /p [a0 a1] [E=0 E=1]", "resume", "resumed"};
  Calls const all = calls_of([] { (void)execve("/p", kArguments, kEnvironment); });
  ASSERT_GE(all.size(), last.size());
  EXPECT_EQ(Calls(all.end() - static_cast<ptrdiff_t>(last.size()), all.end()), last);
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(InterceptExec, AProgramThatNeedsAnotherLibraryHasItInItsEnvironment) {
  world.other_preload = true;
  EXPECT_TRUE(
      has(calls_of([] { (void)execve("/p", kArguments, kEnvironment); }), "execve /p [a0 a1] [E=0 LD_PRELOAD=other]"));
  EXPECT_TRUE(has(calls_of([] { (void)execvp("p", kArguments); }), "execvpe p [a0 a1] [M=0 LD_PRELOAD=other]"));
  EXPECT_TRUE(
      has(calls_of([] { (void)fexecve(7, kArguments, kEnvironment); }), "fexecve 7 [a0 a1] [E=0 LD_PRELOAD=other]"));
  pid_t pid = 0;
  EXPECT_TRUE(has(calls_of([&] { (void)posix_spawn(&pid, "/p", nullptr, nullptr, kArguments, kEnvironment); }),
                  "posix_spawn /p [a0 a1] [E=0 LD_PRELOAD=other]"));
}

TEST_F(InterceptExec, AnOpenFileIsAProgramAsWell) {
  world.unchecked = "static";
  int result = 0;
  EXPECT_EQ(
      calls_of([&] { result = fexecve(7, kArguments, kEnvironment); }),
      (Calls{"find /proc/thread-self/fd/7 [E=0 E=1]", "end of trace", "executable? /proc/thread-self/fd/7", "end 0",
             "unchecked 4711 /proc/thread-self/fd/7 static", "fexecve 7 [a0 a1] [E=0 E=1]", "resume", "resumed"}));
  EXPECT_EQ(result, -1);
  EXPECT_EQ(errno, ENOENT);
}

// ---- Closed memory ----

TEST_F(InterceptExec, StringsThatTheSystemCouldNotReadAreLookedAt) {
  std::vector<std::function<void()>> const each = {
      [] { (void)execve("/p", kArguments, kEnvironment); },
      [] { (void)fexecve(7, kArguments, kEnvironment); },
      [] {
        pid_t pid = 0;
        errno = 0; // the error is the result
        (void)posix_spawn(&pid, "/p", nullptr, nullptr, kArguments, kEnvironment);
      },
  };
  for (auto const &act : each) {
    auto const looks = [&] {
      Calls some = calls_of(act);
      some.erase(std::remove_if(some.begin(), some.end(), [](const std::string &c) { return c.rfind("look", 0) != 0; }),
                 some.end());
      return some;
    };
    rf_guarded_blocks.store = nullptr;
    world.error = EFAULT;
    EXPECT_EQ(looks(), Calls()) << "no memory is closed";
    watch();
    world.closed = "";
    EXPECT_EQ(looks(), (Calls{"look at [a0 a1]", "look at [E=0 E=1]"}));
    world.closed = "a0";
    EXPECT_EQ(looks(), (Calls{"look at [a0 a1]"})) << "that explains it";
    world.error = ENOENT;
    EXPECT_EQ(looks(), Calls());
  }
}

// ---- posix_spawn ----

TEST_F(InterceptExec, AChildThatIsNotCheckedIsToldOfByItsParent) {
  world.error = 0;
  world.unchecked = "static";
  pid_t pid = 0;
  int result = -1;
  EXPECT_EQ(calls_of([&] { result = posix_spawn(&pid, "/p", nullptr, nullptr, kArguments, kEnvironment); }),
            (Calls{"find /p [E=0 E=1]", "posix_spawn /p [a0 a1] [E=0 E=1]", "unchecked 4712 /p static"}));
  EXPECT_EQ(result, 0);
  EXPECT_EQ(pid, kChild);
  EXPECT_EQ(calls_of([&] { result = posix_spawnp(nullptr, "p", nullptr, nullptr, kArguments, kEnvironment); }),
            (Calls{"search p [E=0 E=1]", "posix_spawnp p [a0 a1] [E=0 E=1]", "unchecked 4712 p static"}))
      << "though nobody asks for its number";
  world.error = ENOENT;
  EXPECT_EQ(calls_of([&] { result = posix_spawn(&pid, "/p", nullptr, nullptr, kArguments, kEnvironment); }).size(), 2U);
  EXPECT_EQ(result, ENOENT);
}

// ---- Commands ----

TEST_F(InterceptExec, ACommandIsTheCLibrarysToRun) {
  world.status = 7 << 8;
  int status = 0;
  EXPECT_EQ(calls_of([&] { status = system("c"); }), (Calls{"find /bin/sh [M=0 M=1]", "system c"}));
  EXPECT_EQ(status, 7 << 8);
  EXPECT_EQ(calls_of([&] { status = system(nullptr); }), Calls{"system none"}) << "is there a shell?";
  world.unchecked = "static";
  EXPECT_EQ(calls_of([&] { status = system("c"); }),
            (Calls{"find /bin/sh [M=0 M=1]", "unchecked 4711 /bin/sh static", "system c"}));
}

TEST_F(InterceptExec, ACommandThatTheSystemCouldNotReadIsLookedAt) {
  auto const looked = [] { return has(calls_of([] { (void)system("c"); }), "look at [c]"); };
  world.status = 127 << 8;
  EXPECT_FALSE(looked());
  watch();
  EXPECT_TRUE(looked()) << "the shell did not begin";
  world.status = 1 << 8;
  EXPECT_FALSE(looked());
  world.status = -1;
  world.error = EFAULT;
  EXPECT_TRUE(looked());
  world.error = EAGAIN;
  EXPECT_FALSE(looked());
  EXPECT_TRUE(has(calls_of([] { (void)popen("c", "r"); }), "look at [c]"));
  world.stream = stdin;
  EXPECT_FALSE(has(calls_of([] { (void)popen("c", "r"); }), "look at [c]"));
  world.stream = nullptr;
  rf_guarded_blocks.store = nullptr;
  EXPECT_FALSE(has(calls_of([] { (void)popen("c", "r"); }), "look at [c]"));
}

TEST_F(InterceptExec, AStreamOfACommandHasTheLibraryThatItsShellNeeds) {
  world.stream = stdin;
  FILE *stream = nullptr;
  EXPECT_EQ(calls_of([&] { stream = popen("c", "r"); }), (Calls{"find /bin/sh [M=0 M=1]", "popen c r [M=0 M=1]"}));
  EXPECT_EQ(stream, stdin);
  world.other_preload = true;
  EXPECT_TRUE(has(calls_of([&] { stream = popen("c", "w"); }), "popen c w [M=0 LD_PRELOAD=other]"));
  EXPECT_EQ(stream, stdin);
  EXPECT_EQ(environ, mine) << "for that moment alone";
}

std::string numbered(const char *word, int number) {
  return word + (" " + std::to_string(number));
}

// As POSIX has it: SIGINT and SIGQUIT are ignored, SIGCHLD waits, and the shell begins with what was before.
TEST_F(InterceptExec, ACommandWhoseShellNeedsAnotherLibraryRunsAsBySystem) {
  sigset_t one;
  sigset_t now;
  sigemptyset(&one);
  sigaddset(&one, SIGUSR1);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &one, nullptr), 0);
  world.other_preload = true;
  world.error = 0;
  world.status = 3 << 8;
  world.waits = {"interrupted", "done"};
  world.ignored[1] = true;
  int status = 0;
  Calls const all = calls_of([&] { status = system("c"); });
  EXPECT_EQ(all, (Calls{"find /bin/sh [M=0 M=1]", numbered("ignore", SIGINT), numbered("ignore", SIGQUIT),
                        "find /bin/sh [M=0 M=1]", "posix_spawn /bin/sh [sh -c c] [M=0 LD_PRELOAD=other]",
                        numbered("mask", SIGUSR1) + numbered(" defaults", SIGINT), "wait 4712 interrupted",
                        "wait 4712 done", numbered("restore", SIGINT), numbered("ignore", SIGQUIT)}));
  EXPECT_EQ(status, 3 << 8);
  EXPECT_EQ(sigismember(&world.mask_meanwhile, SIGCHLD), 1);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &now), 0);
  EXPECT_EQ(sigismember(&now, SIGCHLD), 0);
  EXPECT_EQ(sigismember(&now, SIGUSR1), 1);
  sigemptyset(&one);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &one, nullptr), 0);
  world.waits = {"none"};
  EXPECT_EQ(system("c"), -1);
  EXPECT_EQ(errno, ECHILD);
  world.error = EAGAIN;
  errno = 0;
  Calls const failed = calls_of([&] { status = system("c"); });
  EXPECT_EQ(status, -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(failed.back(), numbered("ignore", SIGQUIT)) << "handlers are put back";
}

} // namespace
} // namespace ringfence_test
