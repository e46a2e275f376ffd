// A hunt keeps its input and the output of each run; the output of two runs may differ.
#include "tests/tools/run.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

extern "C" {
#include "tools/ringfence/base/write_file.h"
#include "tools/ringfence/run/spool.h"

ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __real_write(int fd, const void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size);
ssize_t __wrap_write(int fd, const void *buffer, size_t size);
}

namespace {

// So much comes from standard input, of which nothing is written anywhere. -1: input and files are the real ones.
int64_t made_up_input = -1;
// Each call is interrupted at first, and then does a few bytes.
bool calls_are_slow = false;
bool was_interrupted = false;
bool disk_is_full = false;

bool interrupts() {
  was_interrupted = calls_are_slow && !was_interrupted;
  errno = was_interrupted ? EINTR : errno;
  return was_interrupted;
}

} // namespace

ssize_t __wrap_read(int fd, void *buffer, size_t size) {
  if (made_up_input >= 0 && fd == STDIN_FILENO) {
    size_t const given = std::min(size, static_cast<size_t>(made_up_input));
    made_up_input -= static_cast<int64_t>(given);
    return static_cast<ssize_t>(given);
  }
  return interrupts() ? -1 : __real_read(fd, buffer, calls_are_slow ? std::min<size_t>(size, 100) : size);
}

ssize_t __wrap_write(int fd, const void *buffer, size_t size) {
  if (made_up_input >= 0 && fd != STDERR_FILENO) {
    return static_cast<ssize_t>(size);
  }
  if (disk_is_full) {
    return 0;
  }
  return interrupts() ? -1 : __real_write(fd, buffer, calls_are_slow ? std::min<size_t>(size, 7) : size);
}

TEST(WriteAll, NothingThatIsWrittenIsAFullDisk) {
  disk_is_full = true;
  errno = 0;
  bool const done = rf_write_all(STDOUT_FILENO, "x", 1);
  int const error = errno;
  disk_is_full = false;
  EXPECT_FALSE(done);
  EXPECT_EQ(error, ENOSPC);
}

namespace {

class SpoolDifference : public testing::Test {
protected:
  ~SpoolDifference() override { rf_bump_arena_free(&arena_); }

  std::string of(const std::string &first, const std::string &second, bool on_error = false) {
    const std::string folders[] = {ringfence_test::scratch("a"), ringfence_test::scratch("b")};
    for (const std::string &folder : folders) {
      const bool is_first = &folder == &folders[0];
      (void)mkdir(folder.c_str(), 0700);
      ringfence_test::write_file(folder + "/stdout", on_error ? "same\n" : is_first ? first : second);
      ringfence_test::write_file(folder + "/stderr", !on_error ? "same\n" : is_first ? first : second);
    }
    rf_spool const spool = {nullptr, 0, joined_};
    const char *const text = rf_spool_difference(&spool, &arena_, folders[0].c_str(), folders[1].c_str());
    return text == nullptr ? "" : text;
  }

  bool joined_ = false;

private:
  rf_bump_arena arena_ = {nullptr};
};

TEST_F(SpoolDifference, IsToldByTheFirstByteAndItsLine) {
  EXPECT_EQ(of("one\ntwo\n", "one\ntwo\n"), "");
  EXPECT_EQ(of("one\ntwo\n", "one\ntwice\n"), "standard output differs from byte 6 on: \"twice\" instead of \"two\"");
  EXPECT_EQ(of("one\ntwo\n", "one\nt\too\n", true),
            "standard error differs from byte 5 on: \"t?oo\" instead of \"two\"");
  EXPECT_EQ(of("one\ntwo\n", "one\nt\x7Foo~\n"),
            "standard output differs from byte 5 on: \"t?oo~\" instead of \"two\"");
}

TEST_F(SpoolDifference, IsToldOfTheOneThatIsLonger) {
  EXPECT_EQ(of("one\n", "one\ntwo\n"), "standard output differs from byte 4 on: \"two\" instead of \"\"");
  EXPECT_EQ(of("one\ntwo\n", "one\n"), "standard output differs from byte 4 on: \"\" instead of \"two\"");
}

TEST_F(SpoolDifference, LongLinesAreCut) {
  const std::string text = of(std::string(500, 'x'), std::string(500, 'y'));
  EXPECT_EQ(text, "standard output differs from byte 0 on: \"" + std::string(120, 'y') + "\" instead of \"" +
                      std::string(120, 'x') + "\"");
}

TEST_F(SpoolDifference, IsShownWhereverItIsInALongLine) {
  const std::string same(500, '.');
  EXPECT_EQ(of(same + "one" + same, same + "two" + same),
            "standard output differs from byte 500 on: \"" + std::string(80, '.') + "two" + std::string(37, '.') +
                "\" instead of \"" + std::string(80, '.') + "one" + std::string(37, '.') + "\"");
}

TEST_F(SpoolDifference, OfStandardErrorIsNoneWhereBothAreOneFile) {
  EXPECT_NE(of("one\n", "two\n", true), "");
  joined_ = true;
  EXPECT_EQ(of("one\n", "two\n", true), "");
}

// ---- Input and output ----

class Spool : public testing::Test {
protected:
  Spool() : stdin_(dup(STDIN_FILENO)), stdout_(dup(STDOUT_FILENO)), stderr_(dup(STDERR_FILENO)) {
    EXPECT_EQ(mkdir(folder_.c_str(), 0700), 0);
  }
  ~Spool() override {
    give_back();
    made_up_input = -1;
    calls_are_slow = false;
    ringfence_test::run({"rm", "-r", folder_});
    rf_bump_arena_free(&arena_);
  }

  // Descriptor `to` is the file `name` from now on.
  void redirect(int to, const std::string &name) const {
    int const fd = open((folder_ + "/" + name).c_str(), O_RDWR | O_CREAT, 0600);
    ASSERT_EQ(dup2(fd, to), to);
    close(fd);
  }
  void give_back() {
    const std::pair<int *, int> all[] = {{&stdin_, 0}, {&stdout_, 1}, {&stderr_, 2}};
    for (const auto &[kept, fd] : all) {
      if (*kept >= 0) {
        (void)dup2(*kept, fd);
        close(*kept);
      }
      *kept = -1;
    }
  }
  // A run of a hunt, with its three streams, whose output is then put out.
  void run_once(const std::function<void(const int *streams)> &run) {
    int streams[3] = {-1, -1, -1};
    std::string const run_folder = folder_ + "/run";
    EXPECT_EQ(mkdir(run_folder.c_str(), 0700), 0);
    began_ = rf_spool_begin(&spool_, &arena_, folder_.c_str());
    opened_ = rf_spool_open(&spool_, &arena_, run_folder.c_str(), streams);
    run(streams);
    rf_spool_emit(&spool_, &arena_, run_folder.c_str(), streams);
    rf_spool_close(streams);
  }
  std::string text_of(const std::string &name) const { return ringfence_test::read_file(folder_ + "/" + name); }

  std::string folder_ = ringfence_test::scratch("spool");
  rf_bump_arena arena_ = {nullptr};
  rf_spool spool_ = {};
  bool began_ = false;
  bool opened_ = false;

private:
  int stdin_;
  int stdout_;
  int stderr_;
};

TEST_F(Spool, KeepsAGibibyteOfInputAndNoMore) {
  redirect(STDIN_FILENO, "input");
  made_up_input = 1073741824;
  EXPECT_TRUE(rf_spool_begin(&spool_, &arena_, folder_.c_str()));
  EXPECT_EQ(made_up_input, 0);
  EXPECT_EQ(unlink((folder_ + "/stdin").c_str()), 0);
  made_up_input = 1073741825;
  testing::internal::CaptureStderr();
  bool const kept = rf_spool_begin(&spool_, &arena_, folder_.c_str());
  made_up_input = -1;
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "ringfence: cannot keep a copy of the input: File too large\n");
  EXPECT_FALSE(kept);
}

TEST_F(Spool, LosesNothingToCallsThatAreInterruptedOrDoAPart) {
  std::string text;
  for (int i = 0; i < 1000; i++) {
    text += std::to_string(i) + "\n";
  }
  ringfence_test::write_file(folder_ + "/input", text);
  redirect(STDIN_FILENO, "input");
  calls_are_slow = true;
  bool const kept = rf_spool_begin(&spool_, &arena_, folder_.c_str());
  calls_are_slow = false;
  EXPECT_TRUE(kept);
  EXPECT_EQ(text_of("stdin"), text);
}

// A program that runs after the hunt, in the same shell, reads on where the program of the last run has stopped.
TEST_F(Spool, GivesEachRunTheInputFromWhereItWasAndLeavesItWhereTheLastOneStopped) {
  ringfence_test::write_file(folder_ + "/input", "0123456789");
  redirect(STDIN_FILENO, "input");
  redirect(STDOUT_FILENO, "out");
  redirect(STDERR_FILENO, "err");
  ASSERT_EQ(lseek(STDIN_FILENO, 4, SEEK_SET), 4);
  std::string read_by_run(3, ' ');
  ssize_t got = 0;
  ssize_t written = 0;
  run_once([&](const int *streams) {
    got = read(streams[0], &read_by_run[0], 3);
    written = write(streams[1], "said", 4) + write(streams[2], "warned", 6);
  });
  off_t const at = lseek(STDIN_FILENO, 0, SEEK_CUR);
  give_back();
  EXPECT_TRUE(began_ && opened_);
  EXPECT_EQ(got, 3);
  EXPECT_EQ(written, 10);
  EXPECT_EQ(read_by_run, "456");
  EXPECT_EQ(at, 7);
  EXPECT_EQ(text_of("out"), "said");
  EXPECT_EQ(text_of("err"), "warned");
}

// Output to both ends of `2>&1` keeps its order, and comes once.
TEST_F(Spool, KeepsTheOrderOfStreamsThatAreOneFile) {
  redirect(STDIN_FILENO, "input");
  redirect(STDOUT_FILENO, "out");
  ASSERT_EQ(dup2(STDOUT_FILENO, STDERR_FILENO), STDERR_FILENO);
  ssize_t written = 0;
  run_once([&](const int *streams) {
    written = write(streams[1], "1", 1) + write(streams[2], "2", 1) + write(streams[1], "3", 1);
  });
  give_back();
  EXPECT_TRUE(began_ && opened_ && spool_.joined);
  EXPECT_EQ(written, 3);
  EXPECT_EQ(text_of("out"), "123");
}

} // namespace
