// Calls that start another program (checkers/dropin/process/intercept_exec.c): which function behind is called with
// what, what the process does before and after, and which environment a program gets that needs another library.
#include "tests/dropin/intercept_exec_world.h"

#include <climits>
#include <fcntl.h>
#include <functional>
#include <future>
#include <spawn.h>
#include <thread>

namespace ringfence_test {
namespace {

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
  Calls const last = {"end 0",  "unchecked 4711 /p static", "execve /p [a0 a1] [E=0 E=1]", "resume", "reserve stack",
                      "resumed"};
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
  EXPECT_EQ(calls_of([&] { result = fexecve(7, kArguments, kEnvironment); }),
            (Calls{"reserve stack", "find /proc/self/fd/7 [E=0 E=1]", "end of trace", "executable? /proc/self/fd/7",
                   "end 0", "unchecked 4711 /proc/self/fd/7 static", "fexecve 7 [a0 a1] [E=0 E=1]", "resume",
                   "reserve stack", "resumed"}));
  EXPECT_EQ(result, -1);
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(InterceptExec, AFileOfAnOpenFolderIsNamedAsTheSystemFindsIt) {
  struct {
    int folder;
    const char *path;
    std::string name;
  } const each[] = {
      {7, "p", "/proc/self/fd/7/p"},
      {INT_MIN, "d/p", "/proc/self/fd/-2147483648/d/p"}, // the longest number; the system refuses it
      {7, "/p", "/p"},
      {AT_FDCWD, "p", "p"},
      {7, "", "/proc/self/fd/7"},
      {AT_FDCWD, "", ""},
  };
  for (auto const &[folder, path, name] : each) {
    SCOPED_TRACE(name);
    int result = 0;
    EXPECT_EQ(calls_of([&, f = folder, p = path] { result = execveat(f, p, kArguments, kEnvironment, AT_EMPTY_PATH); }),
              (Calls{"reserve stack", "find " + name + " [E=0 E=1]", "end of trace", "executable? " + name, "end 0",
                     "execveat " + std::to_string(folder) + " '" + path + "' [a0 a1] [E=0 E=1] " +
                         std::to_string(AT_EMPTY_PATH),
                     "resume"}));
    EXPECT_EQ(result, -1);
    EXPECT_EQ(errno, ENOENT);
  }
}

TEST_F(InterceptExec, AnOlderCLibraryHasNoFilesOfOpenFolders) {
  world.lacks = "execveat";
  int result = 0;
  EXPECT_TRUE(has(calls_of([&] { result = execveat(7, "p", kArguments, kEnvironment, 0); }), "resume"));
  EXPECT_EQ(result, -1);
  EXPECT_EQ(errno, ENOSYS);
}

// ---- Ignored faults ----

TEST_F(InterceptExec, IgnoredFaultsAreIgnoredTrulyUntilItFails) {
  world.faults_ignored = true;
  for (auto const &act :
       {+[] { (void)execve("/p", kArguments, kEnvironment); }, +[] { (void)fexecve(7, kArguments, kEnvironment); }}) {
    Calls const all = calls_of(act);
    ASSERT_GE(all.size(), 4U);
    EXPECT_EQ(all[all.size() - 4], "ignore faults");
    EXPECT_NE(all[all.size() - 3].find("execve"), std::string::npos) << "right after it";
    EXPECT_EQ(all[all.size() - 2], "handle faults");
    EXPECT_EQ(errno, ENOENT);
  }
}

TEST_F(InterceptExec, IgnoredFaultsAreIgnoredTrulyUntilAChildHasBegun) {
  pid_t pid = 0;
  world.faults_ignored = true;
  world.error = 0;
  EXPECT_EQ(calls_of([&] { (void)posix_spawn(&pid, "/p", nullptr, nullptr, kArguments, kEnvironment); }),
            (Calls{"reserve stack", "find /p [E=0 E=1]", "ignore faults and stay", "posix_spawn /p [a0 a1] [E=0 E=1]",
                   "handle faults"}));
  EXPECT_EQ(calls_of([&] { (void)popen("c", "r"); }),
            (Calls{"reserve stack", "find /bin/sh [M=0 M=1]", "ignore faults and stay", "popen c r [M=0 M=1]",
                   "handle faults"}));
  world.waits = {"done"};
  Calls const all = calls_of([&] { (void)system("c"); });
  auto const handled = std::find(all.begin(), all.end(), "handle faults");
  ASSERT_NE(handled, all.end());
  EXPECT_EQ(*(handled + 1), "wait 4712 done") << "it is not without a handler while the command runs";
}

// Another thread's fault would end the process.
TEST_F(InterceptExec, NoChildIsGivenIgnoredFaultsWhereThereAreThreads) {
  pid_t pid = 0;
  world.faults_ignored = true;
  std::promise<void> end;
  std::thread other([&] { end.get_future().wait(); });
  EXPECT_EQ(calls_of([&] { (void)posix_spawn(&pid, "/p", nullptr, nullptr, kArguments, kEnvironment); }),
            (Calls{"reserve stack", "find /p [E=0 E=1]", "posix_spawn /p [a0 a1] [E=0 E=1]"}));
  EXPECT_EQ(calls_of([&] { (void)system("c"); }), (Calls{"reserve stack", "find /bin/sh [M=0 M=1]", "system c"}));
  end.set_value();
  other.join();
}

// ---- Closed memory ----

TEST_F(InterceptExec, StringsThatTheSystemCouldNotReadAreLookedAt) {
  std::vector<std::function<void()>> const each = {
      [] { (void)execve("/p", kArguments, kEnvironment); },
      [] { (void)fexecve(7, kArguments, kEnvironment); },
      [] { (void)execveat(7, "p", kArguments, kEnvironment, 0); },
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
    Calls const all = looks();
    ASSERT_EQ(all.size(), 3U) << "the name is the first";
    EXPECT_EQ(all[1], "look at [a0 a1]");
    EXPECT_EQ(all[2], "look at [E=0 E=1]");
    world.closed = "a0";
    EXPECT_EQ(looks(), (Calls{all[0], all[1]})) << "that explains it";
    world.closed = all[0].substr(strlen("look at ["), all[0].size() - strlen("look at []"));
    EXPECT_EQ(looks(), (Calls{all[0]}));
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
            (Calls{"reserve stack", "find /p [E=0 E=1]", "posix_spawn /p [a0 a1] [E=0 E=1]", "reserve stack",
                   "find /p [E=0 E=1]", "unchecked 4712 /p static"}));
  EXPECT_EQ(result, 0);
  EXPECT_EQ(pid, kChild);
  EXPECT_EQ(calls_of([&] { result = posix_spawnp(nullptr, "p", nullptr, nullptr, kArguments, kEnvironment); }),
            (Calls{"reserve stack", "search p [E=0 E=1]", "posix_spawnp p [a0 a1] [E=0 E=1]", "reserve stack",
                   "search p [E=0 E=1]", "unchecked 4712 p static"}))
      << "though nobody asks for its number";
  world.error = ENOENT;
  EXPECT_EQ(calls_of([&] { result = posix_spawn(&pid, "/p", nullptr, nullptr, kArguments, kEnvironment); }).size(), 3U);
  EXPECT_EQ(result, ENOENT);
}

TEST_F(InterceptExec, AChildThatNeedsAnotherLibraryHasItInItsEnvironment) {
  pid_t pid = 0;
  world.error = 0;
  world.other_preload = true;
  EXPECT_TRUE(has(calls_of([&] { (void)posix_spawn(&pid, "/p", nullptr, nullptr, kArguments, kEnvironment); }),
                  "posix_spawn /p [a0 a1] [E=0 LD_PRELOAD=other]"));
  EXPECT_EQ(pid, kChild);
}

TEST_F(InterceptExec, AChildOfVforkThatStartsAnotherStaysOnItsStack) {
  pid_t pid = 0;
  world.error = 0;
  world.unchecked = "static";
  world.process = kThis + 1;
  EXPECT_FALSE(has(calls_of([&] { (void)posix_spawn(&pid, "/p", nullptr, nullptr, kArguments, kEnvironment); }),
                   "reserve stack"));
}

} // namespace
} // namespace ringfence_test
