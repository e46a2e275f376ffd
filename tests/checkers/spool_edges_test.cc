// The writer's side of a spool (checkers/os/spool_file.c) at its edges, beside what spool_file_test has: paths that are
// too long, folders and files that are not what they should be, and a state that was used before.
#include "checkers/os/spool_file.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sstream>
#include <string>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include "tests/checkers/not_cancelled.h"

static uid_t user;                    // that is asked for
static unsigned interrupted;          // writes that are to come
static ssize_t most = -1;             // bytes of the next one; -1: all
static void (*within)();              // called while the file is written to
static std::function<void()> locking; // once, before the file is locked
static int cannot_lock;               // the error of locking, where there is one

extern "C" {

uid_t __real_geteuid();
uid_t __wrap_geteuid() {
  return user;
}

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation) {
  if (locking && (operation & LOCK_UN) == 0) {
    std::exchange(locking, nullptr)();
  }
  if (cannot_lock != 0 && (operation & LOCK_UN) == 0) {
    errno = cannot_lock;
    return -1;
  }
  return __real_flock(fd, operation);
}

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size) {
  if (within != nullptr) {
    within();
  }
  if (interrupted != 0) {
    interrupted--;
    errno = EINTR;
    return -1;
  }
  return __real_write(fd, bytes, most >= 0 && static_cast<size_t>(most) < size ? static_cast<size_t>(most) : size);
}
}

namespace {

class SpoolEdges : public testing::Test {
protected:
  SpoolEdges() {
    static int count;
    user = __real_geteuid();
    interrupted = 0;
    most = -1;
    locking = nullptr;
    cannot_lock = 0;
    const char *const tmp = std::getenv("TEST_TMPDIR");
    folder_ = std::string(tmp != nullptr ? tmp : "/tmp") + "/edges" + std::to_string(getpid()) + "-" +
              std::to_string(count++);
    EXPECT_EQ(mkdir(folder_.c_str(), 0700), 0);
    begin(folder_);
  }

  // Without places that users share.
  void begin(const std::string &wanted) {
    rf_spool_file_init(&spool_, wanted.data(), wanted.size());
    spool_.shared[0] = "/proc/ringfence-";
    spool_.shared[1] = "/proc/ringfence-";
  }

  bool append(const std::string &line) {
    std::string copy = "?" + line + "\n";
    return rf_spool_file_append(&spool_, &copy[1], copy.size() - 1, false);
  }

  std::string folder_;
  rf_spool_file spool_;
};

TEST_F(SpoolEdges, APathThatIsTooLongIsNone) {
  begin("/" + std::string(RF_SPOOL_PATH - 3, 'x'));
  EXPECT_EQ(std::strlen(spool_.places[0]), RF_SPOOL_PATH - 2);
  begin("/" + std::string(RF_SPOOL_PATH - 2, 'x'));
  EXPECT_STREQ(spool_.places[0], "");
  begin("/" + std::string(2 * RF_SPOOL_PATH, 'x'));
  EXPECT_STREQ(spool_.places[0], "");
  begin(std::string(RF_SPOOL_PATH, 'x'));
  EXPECT_STREQ(spool_.places[0], "") << "nor one that begins here";
  EXPECT_FALSE(append("line"));
}

TEST_F(SpoolEdges, OnlyTheWordAutoIsNoFolder) {
  begin("automatic");
  std::string const place = spool_.places[0];
  ASSERT_GT(place.size(), 10U);
  EXPECT_EQ(place.substr(place.size() - 10), "/automatic");
  EXPECT_STREQ(spool_.places[1], "");
  begin("autx");
  EXPECT_EQ(std::string(spool_.places[0]).find("/autx"), std::strlen(spool_.places[0]) - 5);
}

TEST_F(SpoolEdges, ThePlaceOfAVariableIsOneThatBeginsWithASlash) {
  ASSERT_EQ(setenv("XDG_STATE_HOME", "relative", 1), 0);
  ASSERT_EQ(setenv("HOME", "/home/of", 1), 0);
  begin("auto");
  EXPECT_STREQ(spool_.places[0], "");
  EXPECT_STREQ(spool_.places[1], "/home/of/.local/state/ringfence");
}

TEST_F(SpoolEdges, NothingOfWhatWasBeforeStays) {
  std::memset(static_cast<void *>(&spool_), 0xff, sizeof spool_);
  begin(folder_);
  EXPECT_FALSE(spool_.too_large);
  EXPECT_EQ(spool_.arrived, 0U);
  EXPECT_EQ(spool_.descriptor, -1);
  EXPECT_STREQ(spool_.places[1], "");
}

TEST_F(SpoolEdges, AFolderIsOnesOwnWhereNobodyElseMayWrite) {
  int const fd = open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  struct {
    mode_t mode;
    bool own;
  } const cases[] = {{0700, true}, {0755, true}, {0720, false}, {0702, false}, {0770, false}, {0750, true}};
  for (auto const &each : cases) {
    ASSERT_EQ(fchmod(fd, each.mode), 0);
    EXPECT_EQ(rf_spool_is_own(fd), each.own) << std::oct << each.mode;
  }
  ASSERT_EQ(fchmod(fd, 0700), 0);
  user = __real_geteuid() + 1;
  EXPECT_FALSE(rf_spool_is_own(fd)) << "it is another user's";
  close(fd);
  EXPECT_FALSE(rf_spool_is_own(fd));
}

TEST_F(SpoolEdges, AFileSystemWithoutLocksHasAllLinesInOneFile) {
  for (int const error : {ENOLCK, EOPNOTSUPP, EINTR}) {
    cannot_lock = error;
    EXPECT_TRUE(append(std::to_string(error)));
  }
  std::ifstream file(folder_ + "/spool/current");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(),
            std::to_string(ENOLCK) + "\n" + std::to_string(EOPNOTSUPP) + "\n" + std::to_string(EINTR) + "\n");
}

// The user has chosen it, and whom to share it with.
TEST_F(SpoolEdges, TheChosenFolderMayBeOthersToWrite) {
  ASSERT_EQ(chmod(folder_.c_str(), 0777), 0);
  EXPECT_TRUE(append("line"));
}

TEST_F(SpoolEdges, AWriteThatIsInterruptedIsTriedAgain) {
  interrupted = 3;
  EXPECT_TRUE(append("line"));
  EXPECT_EQ(interrupted, 0U);
}

// The place that took most counts.
TEST_F(SpoolEdges, WhatArrivedIsTheLongestPart) {
  std::string const other = folder_ + "/other";
  ASSERT_LT(other.size(), RF_SPOOL_PATH);
  std::strcpy(spool_.places[1], other.c_str());
  most = 3;
  EXPECT_FALSE(append("line"));
  EXPECT_EQ(spool_.arrived, 3U);
  begin(folder_);
  std::strcpy(spool_.places[1], other.c_str());
  EXPECT_FALSE(append("line")) << "both begin with the end of a line that was cut short";
  EXPECT_EQ(spool_.arrived, 2U);
  begin(folder_);
  std::strcpy(spool_.places[1], (folder_ + "/third").c_str());
  most = 1;
  EXPECT_FALSE(append("line"));
  EXPECT_EQ(spool_.arrived, 1U) << "it is not the first one's";
  most = 3;
  begin(folder_ + "/fourth");
  std::strcpy(spool_.places[1], other.c_str());
  EXPECT_FALSE(append("line"));
  EXPECT_EQ(spool_.arrived, 3U) << "nor is it the last one's";
}

// The line goes into the next file: the collector is about to read the one that it took.
TEST_F(SpoolEdges, ACollectorMayTakeTheFileBetweenItsOpeningAndItsLock) {
  ASSERT_TRUE(append("one"));
  std::string const current = folder_ + "/spool/current";
  std::string const taken = folder_ + "/spool/segment-1";
  struct stat before;
  struct stat after;
  struct stat next;
  ASSERT_EQ(stat(current.c_str(), &before), 0);
  locking = [&] { EXPECT_EQ(rename(current.c_str(), taken.c_str()), 0); };
  EXPECT_TRUE(append("three"));
  ASSERT_EQ(stat(taken.c_str(), &after), 0);
  EXPECT_EQ(after.st_size, before.st_size);
  ASSERT_EQ(stat(current.c_str(), &next), 0);
  EXPECT_EQ(next.st_size, 6);
}

bool is_blocked(int number) {
  sigset_t now;
  EXPECT_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &now), 0);
  return sigismember(&now, number) == 1;
}

// A handler of the program's that ran meanwhile might leave by longjmp.
TEST_F(SpoolEdges, SignalsWaitMeanwhileButForFaults) {
  within = [] {
    EXPECT_TRUE(is_blocked(SIGUSR1));
    for (int const fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP}) {
      EXPECT_FALSE(is_blocked(fault)) << fault;
    }
    within = nullptr;
  };
  EXPECT_TRUE(append("line"));
  EXPECT_EQ(within, nullptr);
  EXPECT_FALSE(is_blocked(SIGUSR1));
}

// Standard streams have lower numbers.
TEST_F(SpoolEdges, AChildClosesWhatAnotherThreadHadOpen) {
  static rf_spool_file *spool;
  spool = &spool_;
  within = [] {
    EXPECT_GT(spool->descriptor, STDERR_FILENO) << "the file";
    within = nullptr;
  };
  EXPECT_TRUE(append("line"));
  EXPECT_EQ(spool_.descriptor, -1) << "closed";
  int const fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GT(fd, STDERR_FILENO);
  spool_.descriptor = fd;
  rf_spool_file_forked(&spool_);
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
  EXPECT_EQ(spool_.descriptor, -1);
  spool_.descriptor = STDERR_FILENO;
  rf_spool_file_forked(&spool_);
  EXPECT_NE(fcntl(STDERR_FILENO, F_GETFD), -1);
}

TEST_F(SpoolEdges, WhatAChildClosesIsNoPointOfCancellation) {
  spool_.descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GT(spool_.descriptor, STDERR_FILENO);
  ringfence_test::expect_not_cancelled([this] { rf_spool_file_forked(&spool_); });
  EXPECT_EQ(spool_.descriptor, -1);
}

TEST_F(SpoolEdges, TheDoorbellIsNotRungForALineThatDidNotArrive) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "doorbell"); // the whole path may be too long
  char before[4096];
  ASSERT_NE(getcwd(before, sizeof before), nullptr);
  int const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ASSERT_EQ(chdir(folder_.c_str()), 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
  ASSERT_EQ(chdir(before), 0);
  char byte = 0;
  char line[] = "?line\n";
  most = 1;
  EXPECT_FALSE(rf_spool_file_append(&spool_, line + 1, 5, true));
  EXPECT_EQ(recv(fd, &byte, 1, 0), -1);
  most = -1;
  EXPECT_TRUE(rf_spool_file_append(&spool_, line + 1, 5, true));
  EXPECT_EQ(recv(fd, &byte, 1, 0), 1);
  close(fd);
}

TEST_F(SpoolEdges, AFileThatIsNoneIsNotWrittenTo) {
  ASSERT_EQ(mkdir((folder_ + "/spool").c_str(), 0700), 0);
  ASSERT_EQ(mkfifo((folder_ + "/spool/current").c_str(), 0600), 0);
  EXPECT_FALSE(append("line"));
}

TEST_F(SpoolEdges, AFolderThatIsAFileIsNone) {
  begin(folder_ + "/file");
  int const fd = open((folder_ + "/file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  close(fd);
  EXPECT_FALSE(append("line"));
}

} // namespace
