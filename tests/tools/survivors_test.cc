// Processes that outlive a run, found by their environment or their record.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern "C" {
#include "tools/ringfence/run/survivors.h"
}

namespace {

std::string text() {
  return "RINGFENCE_SURVIVORS_TEST=" + std::to_string(getpid());
}

size_t found_by_this_process(const std::string &what, uint32_t *id) {
  rf_bump_arena arena = {};
  uint32_t *ids = nullptr;
  size_t const count = rf_survivors_find(&arena, what.c_str(), &ids);
  *id = count != 0 ? ids[0] : 0;
  rf_bump_arena_free(&arena);
  return count;
}

// A process of that environment, from the moment on that it has it, and of that user.
pid_t start(const std::string &what, uid_t user = geteuid()) {
  int ready[2];
  EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
  pid_t const child = fork();
  if (child == 0) {
    if (user != geteuid() && setuid(user) != 0) {
      _exit(126);
    }
    std::string environment = what;
    char *const argv[] = {const_cast<char *>("sleep"), const_cast<char *>("60"), nullptr};
    char *const envp[] = {&environment[0], nullptr};
    execve("/bin/sleep", argv, envp);
    _exit(127);
  }
  close(ready[1]);
  char end;
  EXPECT_EQ(read(ready[0], &end, 1), 0);
  close(ready[0]);
  return child;
}

TEST(Survivors, AreThoseThatWereStartedSince) {
  std::string const what = text();
  uint32_t id = 0;
  EXPECT_EQ(found_by_this_process(what, &id), 0U);
  pid_t const child = start(what);
  EXPECT_EQ(found_by_this_process(what, &id), 1U);
  EXPECT_EQ(id, static_cast<uint32_t>(child));
  usleep(30000); // more than a tick of the kernel's
  pid_t const later = fork();
  if (later == 0) {
    _exit(static_cast<int>(found_by_this_process(what, &id)));
  }
  int status = -1;
  EXPECT_EQ(waitpid(later, &status, 0), later);
  EXPECT_EQ(status, 0) << "it was there before";
  kill(child, SIGKILL);
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(found_by_this_process(what, &id), 0U);
}

// A program may write over its environment: what it was started with is known no more.
TEST(Survivors, AreThoseThatHaveARecord) {
  std::string folder = testing::TempDir() + "/recordsXXXXXX";
  ASSERT_NE(mkdtemp(&folder[0]), nullptr);
  uint32_t id = 0;
  pid_t const child = start("NOTHING=0");
  std::string const record = folder + "/" + std::to_string(child);
  EXPECT_EQ(found_by_this_process(folder, &id), 0U);
  close(open(record.c_str(), O_WRONLY | O_CREAT, 0600));
  EXPECT_EQ(found_by_this_process(folder, &id), 1U);
  EXPECT_EQ(id, static_cast<uint32_t>(child));
  std::string const own = folder + "/" + std::to_string(getpid());
  close(open(own.c_str(), O_WRONLY | O_CREAT, 0600));
  EXPECT_EQ(found_by_this_process(folder, &id), 2U) << "one that began in the same tick of the kernel's counts";
  unlink(own.c_str());
  kill(child, SIGKILL);
  siginfo_t end;
  EXPECT_EQ(waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(found_by_this_process(folder, &id), 0U) << "a zombie";
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  unlink(record.c_str());
  rmdir(folder.c_str());
}

// The first thread of a process may end before the others, and is a zombie until they have.
TEST(Survivors, AreThoseOfWhichAThreadRuns) {
  std::string folder = testing::TempDir() + "/threadsXXXXXX";
  ASSERT_NE(mkdtemp(&folder[0]), nullptr);
  uint32_t id = 0;
  pid_t const child = fork();
  if (child == 0) {
    std::thread([] { pause(); }).detach();
    syscall(SYS_exit, 0);
  }
  std::string const stat = "/proc/" + std::to_string(child) + "/stat";
  std::string line;
  for (int i = 0; i < 10000 && line.find(") Z ") == std::string::npos; i++) {
    usleep(1000);
    std::getline(std::ifstream(stat), line);
  }
  EXPECT_NE(line.find(") Z "), std::string::npos) << line;
  std::string const record = folder + "/" + std::to_string(child);
  close(open(record.c_str(), O_WRONLY | O_CREAT, 0600));
  EXPECT_EQ(found_by_this_process(folder, &id), 1U);
  EXPECT_EQ(id, static_cast<uint32_t>(child));
  kill(child, SIGKILL);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  unlink(record.c_str());
  rmdir(folder.c_str());
}

size_t staying(const std::string &what) {
  rf_bump_arena arena = {};
  uint32_t *ids = nullptr;
  size_t const count = rf_survivors_that_stay(&arena, what.c_str(), &ids);
  rf_bump_arena_free(&arena);
  return count;
}

void stop(pid_t child) {
  kill(child, SIGSTOP);
  siginfo_t stopped;
  EXPECT_EQ(waitid(P_PID, static_cast<id_t>(child), &stopped, WSTOPPED), 0);
}

// While it is stopped, the signal waits.
TEST(Survivors, ThatASignalIsAboutToEndAreWaitedFor) {
  std::string const what = text();
  pid_t const child = start(what);
  EXPECT_EQ(staying(what), 1U);
  stop(child);
  EXPECT_EQ(staying(what), 1U);
  kill(child, SIGTERM);
  pid_t const other = fork();
  if (other == 0) {
    usleep(50000);
    kill(child, SIGCONT);
    _exit(0);
  }
  EXPECT_EQ(staying(what), 0U);
  EXPECT_EQ(waitpid(other, nullptr, 0), other);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
}

TEST(Survivors, ThatASignalDoesNotReachAreWaitedForForASecond) {
  std::string const what = text();
  pid_t const child = start(what);
  stop(child);
  kill(child, SIGTERM);
  EXPECT_EQ(staying(what), 1U);
  kill(child, SIGKILL);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(staying(what), 0U);
}

bool may_become(uid_t user) {
  pid_t const child = fork();
  if (child == 0) {
    _exit(setuid(user) == 0 ? 0 : 1);
  }
  int status = -1;
  return waitpid(child, &status, 0) == child && status == 0;
}

// A daemon gives up its rights.
TEST(Survivors, MayBeOfAnotherUser) {
  uid_t const nobody = 65534;
  if (!may_become(nobody)) {
    GTEST_SKIP() << "this process may not become another user";
  }
  std::string const what = text();
  pid_t const child = start(what, nobody);
  uint32_t id = 0;
  EXPECT_EQ(found_by_this_process(what, &id), 1U);
  kill(child, SIGKILL);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
}

} // namespace
