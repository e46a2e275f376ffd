// Files by the checkers' interface to the system (checkers/os/host_posix.c): opening, reading, writing, and the signals
// that come with a write.
#include "checkers/os/forbidden_calls.h"

#include "tests/checkers/child_status.h"
#include "tests/checkers/folder_entries.h"
#include "tests/checkers/host_posix_fixture.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <climits>
#include <cstring>
#include <fstream>

namespace ringfence {
namespace {

// ---- Files ----

TEST_F(HostPosix, OpensFilesForAppending) {
  mode_t const mask = umask(0);
  int const fd = rf_host_open(path_.c_str());
  (void)umask(mask);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(errno, 77);
  EXPECT_TRUE(is_uncancelled_inside());
  EXPECT_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
  EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  struct stat file;
  ASSERT_EQ(fstat(fd, &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0666U);
  EXPECT_TRUE(rf_host_write(fd, "one", 3));
  errno = 77;
  play.cancel_states.clear();
  rf_host_close(fd);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(play.closed, std::vector<int>{fd});
  EXPECT_TRUE(is_uncancelled_inside());
  rf_host_close(-1);
  EXPECT_EQ(play.closed.size(), 1U) << "there is nothing to close";
  int const again = rf_host_open(path_.c_str());
  EXPECT_TRUE(rf_host_write(again, "two", 3));
  rf_host_close(again);
  size_t length = 0;
  EXPECT_STREQ(rf_host_read_file(path_.c_str(), &length), "onetwo");
  unlink(path_.c_str());
  errno = 77;
  EXPECT_EQ(rf_host_open("/nowhere/at/all"), -1);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(status_of([this] {
              rf_forbid(RF_CALL_OPEN);
              return rf_host_open(path_.c_str()) == -1 && access(path_.c_str(), F_OK) != 0;
            }),
            0);
}

TEST_F(HostPosix, TellsFilesApart) {
  int const fd = rf_host_open(path_.c_str());
  int const same = rf_host_open(path_.c_str());
  int const other = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  errno = 77;
  uint64_t const file = rf_host_file(fd);
  EXPECT_NE(file, 0U);
  EXPECT_EQ(rf_host_file(same), file);
  EXPECT_NE(rf_host_file(other), file);
  rf_host_close(same);
  EXPECT_EQ(rf_host_file(same), 0U);
  EXPECT_EQ(rf_host_file(-1), 0U);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(status_of([fd] {
              rf_forbid(RF_CALL_OPEN);
              return rf_host_file(fd) == 0;
            }),
            0);
  rf_host_close(fd);
  rf_host_close(other);
  unlink(path_.c_str());
}

TEST_F(HostPosix, ReadsFilesWholeHoweverTheyCome) {
  int const fd = rf_host_open(path_.c_str());
  ASSERT_TRUE(rf_host_write(fd, "0123456789", 10));
  rf_host_close(fd);
  struct {
    std::vector<ssize_t> reads;
    const char *text;
  } const cases[] = {{{}, "0123456789"},   {{1, 2, 3}, "0123456789"}, {{-EINTR, 4, -EINTR, -EINTR, 6}, "0123456789"},
                     {{3, 0}, "012"}, // it became shorter
                     {{3, -EIO}, nullptr}, {{-EIO}, nullptr},         {{0}, ""}};
  for (const auto &c : cases) {
    play.transfers = c.reads;
    play.closed.clear();
    play.cancel_states.clear();
    errno = 77;
    size_t length = 99;
    EXPECT_STREQ(rf_host_read_file(path_.c_str(), &length), c.text);
    EXPECT_TRUE(c.text == nullptr || length == std::strlen(c.text));
    EXPECT_TRUE(play.transfers.empty());
    EXPECT_EQ(play.closed.size(), 1U);
    EXPECT_EQ(play.cancel_states.size(), 4U) << "in it, and in the end";
    EXPECT_EQ(errno, 77);
  }
  EXPECT_EQ(status_of([this] { // the number of a file may be 0
              (void)__real_close(0);
              size_t length = 0;
              const char *const text = rf_host_read_file(path_.c_str(), &length);
              return text != nullptr && length == 10 && fcntl(0, F_GETFD) == -1;
            }),
            0);
  unlink(path_.c_str());
}

size_t mapped_pages() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages;
}

TEST_F(HostPosix, AFileThatCannotBeReadLeavesNoMemoryBehind) {
  constexpr size_t kPages = 1000;
  int const fd = rf_host_open(path_.c_str());
  ASSERT_EQ(ftruncate(fd, kPages * 4096), 0);
  rf_host_close(fd);
  size_t const before = mapped_pages();
  play.transfers = {3, -EIO};
  size_t length = 0;
  EXPECT_EQ(rf_host_read_file(path_.c_str(), &length), nullptr);
  EXPECT_LT(mapped_pages(), before + kPages / 2);
  unlink(path_.c_str());
}

// ---- Writing ----

class Written : public HostPosix {
protected:
  Written() { EXPECT_EQ(pipe(ends_), 0); }
  ~Written() override {
    (void)__real_close(ends_[0]);
    (void)__real_close(ends_[1]);
  }

  std::string text() {
    char bytes[100] = "";
    (void)fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    ssize_t const got = __real_read(ends_[0], bytes, sizeof bytes);
    return std::string(bytes, got > 0 ? static_cast<size_t>(got) : 0);
  }

  int ends_[2] = {-1, -1};
};

TEST_F(Written, GoesOnUntilAllIsWritten) {
  struct {
    std::vector<ssize_t> writes;
    const char *text;
  } const cases[] = {{{}, "report"}, {{2, 3}, "report"}, {{-EINTR, 1, -EINTR}, "report"}, {{2, -EIO}, "re"},
                     {{0}, ""},      {{4, 0}, "repo"},   {{1, -ENOSPC, 9}, "r"}};
  for (const auto &c : cases) {
    play.transfers = c.writes;
    play.cancel_states.clear();
    errno = 77;
    EXPECT_EQ(rf_host_write(ends_[1], "report", 6), std::string(c.text) == "report");
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(text(), c.text);
    EXPECT_TRUE(is_uncancelled_inside());
    EXPECT_EQ(play.waits, 0U) << "no signal comes with these";
    play.transfers.clear();
  }
  EXPECT_TRUE(rf_host_write(-1, "error", 5));
  EXPECT_EQ(play.log, "error");
  EXPECT_TRUE(rf_host_write(ends_[1], "", 0));
}

// ---- Signals that come with a write ----

struct SignalCase {
  int error;   // of a write that no signal comes with
  int waiting; // a signal that was blocked before, and sent; 0: none
};

// True where a write that fails so leaves the signals as they were.
bool leaves_signals(const SignalCase &c, int fd) {
  sigset_t set;
  sigset_t pending;
  (void)sigemptyset(&set);
  if (c.waiting != 0) {
    (void)sigaddset(&set, c.waiting);
    (void)pthread_sigmask(SIG_SETMASK, &set, nullptr);
    (void)__real_raise(c.waiting);
  }
  play.transfers = {-c.error};
  bool const written = rf_host_write(fd, "x", 1);
  (void)sigpending(&pending);
  (void)pthread_sigmask(SIG_SETMASK, nullptr, &set);
  bool as_before = true;
  for (int const signal : {SIGPIPE, SIGXFSZ}) {
    int const is_waiting = c.waiting == signal ? 1 : 0;
    as_before = as_before && sigismember(&pending, signal) == is_waiting && sigismember(&set, signal) == is_waiting;
  }
  return !written && as_before;
}

TEST_F(Written, ASignalThatWaitedIsNotTakenForThatOfTheWrite) {
  SignalCase const cases[] = {{EPIPE, SIGPIPE}, {EFBIG, SIGXFSZ}, {EPIPE, SIGXFSZ},
                              {EFBIG, SIGPIPE}, {EIO, SIGPIPE},   {EPIPE, 0}};
  for (const SignalCase &c : cases) {
    EXPECT_EQ(status_of([&] { return leaves_signals(c, ends_[1]); }), 0) << c.error << " " << c.waiting;
  }
}

// The system sends the signal itself here.
TEST_F(Written, ASignalOfTheWriteIsTakenAndTheMaskIsAsBefore) {
  (void)__real_close(ends_[0]);
  for (bool const is_blocked : {false, true}) {
    EXPECT_EQ(status_of([this, is_blocked] {
                sigset_t set;
                sigset_t now;
                (void)sigemptyset(&set);
                (void)sigaddset(&set, SIGUSR1);
                if (is_blocked) {
                  (void)sigaddset(&set, SIGPIPE);
                }
                (void)pthread_sigmask(SIG_SETMASK, &set, nullptr);
                play.interruptions = 2;
                bool const written = rf_host_write(ends_[1], "x", 1);
                (void)pthread_sigmask(SIG_SETMASK, nullptr, &now);
                (void)sigpending(&set);
                return !written && play.waits == 3 && errno == 77 && sigismember(&set, SIGPIPE) == 0 &&
                       sigismember(&now, SIGUSR1) == 1 && sigismember(&now, SIGPIPE) == (is_blocked ? 1 : 0) &&
                       sigismember(&now, SIGXFSZ) == 0;
              }),
              0)
        << is_blocked;
  }
}

// The soft limit is raised then, and the disk is full.
TEST_F(Written, ASignalOfAnEarlierPartOfTheWriteIsTakenToo) {
  EXPECT_EQ(status_of([this] {
              struct rlimit limit;
              (void)getrlimit(RLIMIT_FSIZE, &limit);
              limit.rlim_cur = 4096;
              (void)setrlimit(RLIMIT_FSIZE, &limit);
              play.transfers = {-EFBIG, -ENOSPC};
              return !rf_host_write(ends_[1], "x", 1) && play.transfers.empty() && play.waits == 1;
            }),
            0);
}

TEST_F(Written, WhereSignalsMayNotBeMaskedNoneIs) {
  EXPECT_EQ(status_of([this] {
              (void)signal(SIGPIPE, SIG_IGN);
              rf_forbid(RF_CALL_SIGNAL_MASK);
              bool const written = rf_host_write(ends_[1], "x", 1) && text() == "x";
              play.transfers = {-EPIPE};
              return written && !rf_host_write(ends_[1], "x", 1) && play.waits == 0;
            }),
            0);
}

// It would end the program, where a sandbox does not let it be taken.
TEST_F(Written, WhereASignalMayNotBeTakenItStaysBlocked) {
  (void)__real_close(ends_[0]);
  for (bool const comes : {false, true}) {
    EXPECT_EQ(status_of([this, comes] {
                sigset_t now;
                (void)sigemptyset(&now);
                (void)pthread_sigmask(SIG_SETMASK, &now, nullptr);
                rf_forbid(RF_CALL_PENDING);
                play.transfers = {comes ? 1 : -EIO};
                (void)rf_host_write(ends_[1], "x", 1);
                (void)pthread_sigmask(SIG_SETMASK, nullptr, &now);
                return play.waits == 0 && sigismember(&now, SIGPIPE) == (comes ? 1 : 0) &&
                       sigismember(&now, SIGXFSZ) == 0;
              }),
              0)
        << comes;
  }
}

} // namespace
} // namespace ringfence
