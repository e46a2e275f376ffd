// Files to write to by path, of which some name a descriptor; and writes that the system does in parts.
#include "tests/tools/run.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <deque>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

extern "C" {
#include "tools/ringfence/base/write_file.h"
}

namespace {

using ringfence_test::read_file;
using ringfence_test::scratch;
using ringfence_test::write_file;

// The answers of the next writes: a size, or a negative errno. The system's own after the last.
std::deque<int> answers;

} // namespace

extern "C" ssize_t __real_write(int fd, const void *data, size_t size);

extern "C" ssize_t __wrap_write(int fd, const void *data, size_t size) {
  if (answers.empty()) {
    return __real_write(fd, data, size);
  }
  int const answer = answers.front();
  answers.pop_front();
  if (answer < 0) {
    errno = -answer;
    return -1;
  }
  return __real_write(fd, data, static_cast<size_t>(answer));
}

namespace {

TEST(NamedDescriptor, IsFoundBehindLinks) {
  std::string const first = scratch("link");
  std::string const folder = first.substr(0, first.rfind('/'));
  std::string before = "/proc/self/fd/7";
  for (int links = 1; links <= 8; links++) {
    std::string const name = first + std::to_string(links);
    ASSERT_EQ(symlink(before.c_str(), name.c_str()), 0);
    EXPECT_EQ(rf_named_descriptor(name.c_str()), links < 8 ? 7 : -1) << links;
    before = links % 2 == 0 ? name : name.substr(folder.size() + 1); // absolute, and relative to the link's folder
  }
  EXPECT_EQ(rf_named_descriptor("/proc/thread-self/fd/7"), 7);
  EXPECT_EQ(rf_named_descriptor((folder + "/7").c_str()), -1);
  EXPECT_EQ(rf_named_descriptor((std::string(PATH_MAX, '/') + "proc/self/fd/7").c_str()), -1);
}

TEST(WriteFile, AFileIsEmptied) {
  std::string const path = scratch("file");
  write_file(path, "before");
  FILE *const file = rf_write_file(path.c_str());
  ASSERT_NE(file, nullptr);
  EXPECT_NE(fcntl(fileno(file), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(fclose(file), 0);
  EXPECT_EQ(read_file(path), "");
}

TEST(WriteFile, ADescriptorsFileIsContinued) {
  std::string const path = scratch("file");
  int const fd = open(path.c_str(), O_WRONLY | O_CREAT, 0644);
  ASSERT_GE(fd, 0);
  EXPECT_TRUE(rf_write_all(fd, "before ", 7));
  FILE *const file = rf_write_file(("/dev/fd/" + std::to_string(fd)).c_str());
  ASSERT_NE(file, nullptr);
  EXPECT_NE(fileno(file), fd);
  EXPECT_NE(fcntl(fileno(file), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_GE(fputs("after", file), 0);
  EXPECT_EQ(fclose(file), 0);
  EXPECT_EQ(read_file(path), "before after");
  EXPECT_EQ(close(fd), 0) << "it was closed with the file";
}

// So that no later message is written into it.
TEST(WriteFile, ADescriptorsFileTakesNoPlaceOfAStandardStream) {
  int const fd = open("/dev/null", O_WRONLY);
  int const input = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
  EXPECT_EQ(close(STDIN_FILENO), 0);
  FILE *const file = rf_write_file(("/dev/fd/" + std::to_string(fd)).c_str());
  EXPECT_EQ(dup2(input, STDIN_FILENO), STDIN_FILENO);
  EXPECT_EQ(close(input), 0);
  ASSERT_NE(file, nullptr);
  EXPECT_GT(fileno(file), STDERR_FILENO);
  EXPECT_EQ(fclose(file), 0);
  EXPECT_EQ(close(fd), 0);
}

// One that is open to be read alone, a file of this process's own, and one that is not open.
TEST(WriteFile, ADescriptorThatIsNoneToWriteToIsRefused) {
  int const read_only = open("/dev/null", O_RDONLY);
  int const own = open("/dev/null", O_WRONLY | O_CLOEXEC);
  for (int const fd : {read_only, own, 1000000}) {
    errno = 0;
    EXPECT_EQ(rf_write_file(("/dev/fd/" + std::to_string(fd)).c_str()), nullptr) << fd;
    EXPECT_EQ(errno, EBADF) << fd;
  }
  EXPECT_EQ(close(read_only), 0);
  EXPECT_EQ(close(own), 0);
}

TEST(WriteAll, GoesOnAfterAPartAndASignal) {
  std::string const path = scratch("file");
  int const fd = open(path.c_str(), O_WRONLY | O_CREAT, 0644);
  ASSERT_GE(fd, 0);
  answers = {2, -EINTR, 1};
  EXPECT_TRUE(rf_write_all(fd, "abcdef", 6));
  EXPECT_TRUE(answers.empty());
  EXPECT_EQ(read_file(path), "abcdef");
  EXPECT_EQ(close(fd), 0);
}

TEST(WriteAll, EndsAtAnErrorAndWhereNothingIsTaken) {
  std::string const path = scratch("file");
  int const fd = open(path.c_str(), O_WRONLY | O_CREAT, 0644);
  ASSERT_GE(fd, 0);
  answers = {2, -EIO};
  EXPECT_FALSE(rf_write_all(fd, "abcdef", 6));
  EXPECT_EQ(errno, EIO);
  answers = {0};
  errno = EINTR;
  EXPECT_FALSE(rf_write_all(fd, "abcdef", 6));
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(read_file(path), "ab");
  EXPECT_EQ(close(fd), 0);
}

} // namespace
