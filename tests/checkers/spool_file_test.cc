// The writer's side of a spool: records are whole lines, wait for nobody and leave nothing open.
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/spool_file.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

static int copied = -1; // a further descriptor of the file that was locked last, as a child of fork has one
static bool copies;

extern "C" int flock(int fd, int operation) {
  if (copies && (operation & LOCK_SH) != 0) {
    copied = dup(fd);
  }
  return static_cast<int>(syscall(SYS_flock, fd, operation));
}

namespace {

class SpoolFile : public testing::Test {
protected:
  SpoolFile() {
    static int count;
    const char *const tmp = std::getenv("TEST_TMPDIR");
    folder_ = std::string(tmp != nullptr ? tmp : "/tmp") + "/spool" + std::to_string(getpid()) + "-" +
              std::to_string(count++);
    begin(folder_);
  }

  void TearDown() override { EXPECT_EQ(descriptors(), open_before_) << "whatever became of a line"; }

  // The places that users share are of the test's own.
  void begin(const std::string &wanted) {
    shared_ = folder_ + "-shared-";
    rf_spool_file_init(&spool_, wanted.data(), wanted.size());
    spool_.shared[0] = "/proc/ringfence-";
    spool_.shared[1] = shared_.c_str();
  }

  bool append(const std::string &line, bool ring = false) { return append_to(&spool_, line, ring); }

  static bool append_to(rf_spool_file *spool, const std::string &line, bool ring = false) {
    std::string copy = "?" + line + "\n";
    return rf_spool_file_append(spool, &copy[1], copy.size() - 1, ring);
  }

  std::string path(const std::string &name) const { return folder_ + "/" + name; }
  std::string current() const { return path("spool/current"); }
  std::string written() const { return read(current()); }

  static std::string read(const std::string &file) {
    std::string text;
    char buffer[4096];
    int const fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    for (ssize_t got; fd >= 0 && (got = ::read(fd, buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(got));
    }
    (void)close(fd);
    return text;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> out;
    DIR *const d = opendir(path("spool").c_str());
    for (const dirent *e = d == nullptr ? nullptr : readdir(d); e != nullptr; e = readdir(d)) {
      if (e->d_name[0] != '.') {
        out.emplace_back(e->d_name);
      }
    }
    (void)closedir(d);
    return out;
  }

  // The exit status of `body` in a child, which may spoil itself.
  template <class Body> static int in_child(Body body) {
    pid_t const child = fork();
    if (child == 0) {
      _exit(body());
    }
    int status = -1;
    (void)waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  static size_t descriptors() {
    size_t count = 0;
    for (int fd = 0; fd < 256; fd++) {
      count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
  }

  std::string shared_file() const { return shared_ + std::to_string(geteuid()) + "/spool/current"; }

  size_t const open_before_ = descriptors();
  std::string folder_;
  std::string shared_;
  rf_spool_file spool_;
};

TEST_F(SpoolFile, MakesItsFoldersAndAppendsLinesThatOnlyTheUserReads) {
  folder_ += "/deeper/still";
  begin(folder_);
  EXPECT_TRUE(append("one"));
  EXPECT_TRUE(append("two"));
  EXPECT_EQ(written(), "one\ntwo\n");
  struct stat st;
  ASSERT_EQ(stat(current().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600U);
  ASSERT_EQ(stat(folder_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700U);
}

TEST_F(SpoolFile, EndsALineThatWasCutShort) {
  ASSERT_TRUE(append("one"));
  int const fd = open(current().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  ASSERT_EQ(write(fd, "half", 4), 4);
  (void)close(fd);
  EXPECT_TRUE(append("two"));
  EXPECT_TRUE(append("three"));
  EXPECT_EQ(written(), "one\nhalf\ntwo\nthree\n");
}

TEST_F(SpoolFile, WritesToANewFileWhereACollectorHasTakenThisOne) {
  ASSERT_TRUE(append("one"));
  ASSERT_EQ(rename(current().c_str(), path("spool/segment-1").c_str()), 0);
  EXPECT_TRUE(append("two"));
  EXPECT_EQ(written(), "two\n");
  EXPECT_EQ(read(path("spool/segment-1")), "one\n");
}

// It was stopped, or died, in the middle: what is told must neither wait nor be lost.
TEST_F(SpoolFile, DoesNotWaitForACollectorThatKeepsTheLock) {
  ASSERT_TRUE(append("one"));
  int const held = open(current().c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(flock(held, LOCK_EX | LOCK_NB), 0);
  auto const before = std::chrono::steady_clock::now();
  EXPECT_TRUE(append("two"));
  EXPECT_TRUE(append("three"));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1));
  EXPECT_EQ(written(), "one\n");
  std::string others;
  size_t segments = 0;
  for (const std::string &name : names()) {
    segments += name.compare(0, 8, "segment-") == 0;
    others += name == "current" ? "" : read(path("spool/" + name));
  }
  EXPECT_EQ(segments, 2U);
  EXPECT_EQ(names().size(), 3U);
  EXPECT_TRUE(others == "two\nthree\n" || others == "three\ntwo\n") << others;
  (void)close(held);
  EXPECT_TRUE(append("four"));
  EXPECT_EQ(written(), "one\nfour\n");
}

TEST_F(SpoolFile, UnlocksTheFileThoughAChildHasACopyOfItsDescriptor) {
  copies = true;
  EXPECT_TRUE(append("one"));
  copies = false;
  ASSERT_GE(copied, 0);
  int const collector = open(current().c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(flock(collector, LOCK_EX | LOCK_NB), 0);
  (void)close(collector);
  (void)close(copied);
}

// A collector's end of the doorbell of `folder`.
int listen_at(const std::string &folder) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  int const saved = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  EXPECT_EQ(chdir(folder.c_str()), 0); // the path may be too long for an address
  std::strcpy(address.sun_path, "doorbell");
  int const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
  EXPECT_EQ(fchdir(saved), 0);
  (void)close(saved);
  return fd;
}

TEST_F(SpoolFile, RingsADoorbellAndDoesNotWaitForIt) {
  ASSERT_TRUE(append("one", true)) << "without a collector";
  int const fd = listen_at(folder_);
  char byte;
  ASSERT_TRUE(append("two", false));
  EXPECT_EQ(recv(fd, &byte, 1, 0), -1);
  ASSERT_TRUE(append("three", true));
  EXPECT_EQ(recv(fd, &byte, 1, 0), 1);
  auto const before = std::chrono::steady_clock::now();
  for (int i = 0; i < 2000; i++) {
    ASSERT_TRUE(append("more", true)); // the queue is full soon
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
  (void)close(fd);
}

TEST_F(SpoolFile, TheDoorbellAloneTellsWhetherACollectorListens) {
  ASSERT_EQ(mkdir(folder_.c_str(), 0700), 0);
  for (const std::string &folder : {folder_, path("short"), path(std::string(200, 'x'))}) {
    (void)mkdir(folder.c_str(), 0700);
    EXPECT_FALSE(rf_spool_file_ring(folder.c_str())) << "no doorbell";
    int const fd = listen_at(folder);
    char byte;
    EXPECT_TRUE(rf_spool_file_ring(folder.c_str()));
    EXPECT_EQ(recv(fd, &byte, 1, 0), 1);
    for (int i = 0; i < 2000; i++) {
      ASSERT_TRUE(rf_spool_file_ring(folder.c_str())) << "one that is behind listens, too";
    }
    (void)close(fd);
    errno = 77;
    EXPECT_FALSE(rf_spool_file_ring(folder.c_str())) << "a collector that died";
    EXPECT_EQ(errno, 77);
  }
  EXPECT_FALSE(rf_spool_file_ring(path("none").c_str()));
}

TEST_F(SpoolFile, LinesOfThreadsAndProcessesAreWhole) {
  enum { kThreads = 4, kLines = 100 };
  auto const work = [this](char letter) {
    rf_spool_file spool;
    rf_spool_file_init(&spool, folder_.data(), folder_.size());
    for (int i = 0; i < kLines; i++) {
      EXPECT_TRUE(append_to(&spool, std::string(5000, letter)));
    }
  };
  pid_t const child = fork();
  if (child == 0) {
    work('z');
    _exit(0);
  }
  std::vector<std::thread> threads;
  for (char t = 0; t < kThreads; t++) {
    threads.emplace_back(work, static_cast<char>('a' + t));
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  std::string text = written();
  // A writer may see the middle of another's write, and take it for a line that was cut: it writes a line feed more.
  for (size_t at = 0; (at = text.find("\n\n", at)) != std::string::npos;) {
    text.erase(at, 1);
  }
  ASSERT_EQ(text.size(), (kThreads + 1) * kLines * 5001U);
  for (size_t at = 0; at < text.size(); at += 5001) {
    EXPECT_EQ(text.substr(at, 5001), std::string(5000, text[at]) + "\n");
  }
}

TEST_F(SpoolFile, LeavesStandardStreamsAloneThatAreClosed) {
  EXPECT_EQ(in_child([this] {
              for (int fd = 0; fd < 3; fd++) {
                (void)close(fd);
              }
              size_t const open = descriptors();
              return append("one") && descriptors() == open ? 0 : 1;
            }),
            0);
  EXPECT_EQ(written(), "one\n");
}

TEST_F(SpoolFile, WritesByNoDescriptorOfAStandardStream) {
  for (int stream = 0; stream < 3; stream++) {
    EXPECT_EQ(in_child([this, stream] {
                rlimit const one_more = {4, 4}; // for the folder; the file has to do with the stream's
                for (int fd = 3; fd < 256; fd++) {
                  (void)close(fd);
                }
                (void)close(stream);
                (void)setrlimit(RLIMIT_NOFILE, &one_more);
                return append("one") ? 1 : 0;
              }),
              0)
        << stream;
  }
}

TEST_F(SpoolFile, SaysThatItFailedWhereNoDescriptorIsLeft) {
  EXPECT_EQ(in_child([this] {
              rlimit const none = {3, 3};
              (void)setrlimit(RLIMIT_NOFILE, &none);
              errno = 77;
              return append("one") ? 1 : errno == 77 ? 0 : 2;
            }),
            0);
}

// The first line would fit, and a part of the second.
TEST_F(SpoolFile, RaisesASoftLimitOfFileSizesWhileItWrites) {
  EXPECT_EQ(in_child([this] {
              rlimit limit = {6, RLIM_INFINITY};
              (void)setrlimit(RLIMIT_FSIZE, &limit);
              errno = 77;
              bool const done = append("one") && append("two") && append("three") && errno == 77;
              return done && getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur == 6 ? 0 : 1;
            }),
            0);
  EXPECT_EQ(written(), "one\ntwo\nthree\n");
}

// The signal for it does not reach the program, and the line that was cut costs itself only.
TEST_F(SpoolFile, SurvivesALimitOfFileSizes) {
  EXPECT_EQ(in_child([this] {
              rf_forbid(RF_CALL_LIMIT);
              if (!append("one")) {
                return 1;
              }
              rlimit limit = {6, RLIM_INFINITY};
              (void)setrlimit(RLIMIT_FSIZE, &limit);
              if (append("too long for it: " + std::string(100, 'x')) || append("refused wholly")) {
                return 2;
              }
              limit.rlim_cur = RLIM_INFINITY;
              (void)setrlimit(RLIMIT_FSIZE, &limit);
              return append("three") ? 0 : 3;
            }),
            0);
  EXPECT_EQ(written(), "one\nto\nthree\n");
  EXPECT_EQ(read(shared_file()), "too lo") << "the next place was tried";
}

// The part of a line that arrived does not count the line feed that ends the one before.
TEST_F(SpoolFile, TellsHowMuchOfALineArrived) {
  begin(folder_);
  spool_.shared[1] = spool_.shared[0];
  EXPECT_EQ(in_child([this] {
              rf_forbid(RF_CALL_LIMIT);
              rlimit limit = {6, RLIM_INFINITY};
              bool const one = append("one") && spool_.arrived == 4;
              (void)setrlimit(RLIMIT_FSIZE, &limit);
              bool const two = !append("two") && spool_.arrived == 2;
              limit.rlim_cur = 8;
              (void)setrlimit(RLIMIT_FSIZE, &limit);
              bool const three = !append("three") && spool_.arrived == 1;
              limit.rlim_cur = 9;
              (void)setrlimit(RLIMIT_FSIZE, &limit);
              bool const four = !append("four") && spool_.arrived == 0;
              return (one ? 0 : 1) + (two ? 0 : 2) + (three ? 0 : 4) + (four ? 0 : 8);
            }),
            0);
  EXPECT_EQ(written(), "one\ntw\nt\n");
}

TEST_F(SpoolFile, ASignalThatWaitedBeforeALimitOfFileSizesWaitsOn) {
  EXPECT_EQ(in_child([this] {
              rf_forbid(RF_CALL_LIMIT);
              rlimit const nothing = {0, RLIM_INFINITY};
              sigset_t signals;
              (void)sigemptyset(&signals);
              (void)sigaddset(&signals, SIGXFSZ);
              (void)sigprocmask(SIG_BLOCK, &signals, nullptr);
              (void)raise(SIGXFSZ);
              (void)setrlimit(RLIMIT_FSIZE, &nothing);
              if (append("one")) {
                return 1;
              }
              return sigpending(&signals) == 0 && sigismember(&signals, SIGXFSZ) == 1 ? 0 : 2;
            }),
            0);
}

// A collector keeps the lock, and no other place can be had.
TEST_F(SpoolFile, ASegmentThatIsRefusedLeavesNeitherAFileNorASignal) {
  begin(folder_);
  spool_.shared[1] = spool_.shared[0];
  ASSERT_TRUE(append("one"));
  int const held = open(current().c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(flock(held, LOCK_EX | LOCK_NB), 0);
  for (rlim_t const room : {0, 3}) {
    EXPECT_EQ(in_child([this, room] {
                rf_forbid(RF_CALL_LIMIT);
                rlimit const limit = {room, RLIM_INFINITY};
                (void)setrlimit(RLIMIT_FSIZE, &limit);
                return append("two") ? 1 : 0;
              }),
              0)
        << room;
    EXPECT_EQ(names(), std::vector<std::string>{"current"});
  }
  (void)close(held);
}

TEST_F(SpoolFile, WorksWithAnyUmask) {
  for (mode_t const mask : {0777U, 0477U, 0277U}) {
    mode_t const before = umask(mask);
    bool const one = append("one");
    bool const two = append("two");
    (void)umask(before);
    struct stat st;
    ASSERT_EQ(stat(current().c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600U) << mask;
    EXPECT_TRUE(one && two);
    EXPECT_EQ(written(), "one\ntwo\n");
    ASSERT_EQ(unlink(current().c_str()), 0);
  }
}

TEST_F(SpoolFile, FollowsNoLinkOfAnotherFile) {
  ASSERT_TRUE(append("one"));
  ASSERT_EQ(unlink(current().c_str()), 0);
  ASSERT_EQ(symlink(path("victim").c_str(), current().c_str()), 0);
  EXPECT_TRUE(append("two"));
  EXPECT_EQ(read(shared_file()), "two\n");
  EXPECT_NE(access(path("victim").c_str(), F_OK), 0);
  ASSERT_EQ(unlink(current().c_str()), 0);
  ASSERT_EQ(mkfifo(current().c_str(), 0600), 0);
  EXPECT_TRUE(append("three")) << "without waiting for a reader";
}

// As in Bazel's sandbox, where what lies outside of it is read-only.
TEST_F(SpoolFile, GoesToASharedPlaceWhereItsFolderCannotBeWritten) {
  begin("/proc/ringfence-spool");
  ASSERT_TRUE(append("one"));
  EXPECT_EQ(read(shared_file()), "one\n");
  for (unsigned const usable : {0U, 1U}) {
    spool_.shared[usable] = shared_.c_str();
    spool_.shared[1 - usable] = "/proc/ringfence-";
    ASSERT_TRUE(append("again"));
  }
  EXPECT_EQ(read(shared_file()), "one\nagain\nagain\n");
}

TEST_F(SpoolFile, NamesTheSharedPlacesInMemoryAndInTmp) {
  rf_spool_file spool = {};
  rf_spool_file_init(&spool, "/x", 2);
  EXPECT_EQ(spool.descriptor, -1) << "0 is the program's";
  EXPECT_STREQ(spool.shared[0], "/dev/shm/ringfence-");
  EXPECT_STREQ(spool.shared[1], "/tmp/ringfence-");
}

// In /tmp, another user may have made it.
TEST_F(SpoolFile, TrustsNoSharedPlaceThatOthersMayWriteOrThatIsALink) {
  begin("/proc/ringfence-spool");
  std::string const place = shared_ + std::to_string(geteuid());
  ASSERT_EQ(mkdir(folder_.c_str(), 0700), 0);
  ASSERT_EQ(symlink(folder_.c_str(), place.c_str()), 0);
  EXPECT_FALSE(append("one"));
  ASSERT_EQ(unlink(place.c_str()), 0);
  ASSERT_EQ(mkdir(place.c_str(), 0700), 0);
  ASSERT_EQ(chmod(place.c_str(), 0777), 0);
  EXPECT_FALSE(append("two"));
  ASSERT_EQ(chmod(place.c_str(), 0700), 0);
  EXPECT_TRUE(append("three"));
  EXPECT_EQ(read(shared_file()), "three\n");
}

TEST_F(SpoolFile, FindsTheUsersOwnFolderByItself) {
  struct Row {
    const char *state;
    const char *home;
    const char *there;
  };
  static const Row rows[] = {{"/state", "/home", "/state/ringfence"},
                             {nullptr, "/home", "/home/.local/state/ringfence"},
                             {"relative", "/home", "/home/.local/state/ringfence"}};
  for (const Row &row : rows) {
    std::string const base = folder_ + std::to_string(&row - rows);
    std::string const state = row.state == nullptr ? "" : row.state[0] == '/' ? base + row.state : row.state;
    EXPECT_EQ(in_child([&] {
                (void)(row.state == nullptr ? unsetenv("XDG_STATE_HOME") : setenv("XDG_STATE_HOME", state.c_str(), 1));
                (void)setenv("HOME", (base + row.home).c_str(), 1);
                begin("auto");
                return append("one") ? 0 : 1;
              }),
              0);
    EXPECT_EQ(read(base + row.there + "/spool/current"), "one\n") << row.there;
  }
}

TEST_F(SpoolFile, TakesARelativeFolderFromWhereTheProcessBegan) {
  EXPECT_EQ(in_child([this] {
              (void)mkdir(folder_.c_str(), 0700);
              if (chdir(folder_.c_str()) != 0) {
                return 1;
              }
              begin("here");
              return chdir("/") == 0 && append("one") ? 0 : 2;
            }),
            0);
  EXPECT_EQ(read(path("here/spool/current")), "one\n");
}

} // namespace
