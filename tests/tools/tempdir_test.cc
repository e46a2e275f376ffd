// Folders for temporary files that cannot be had, and limits for sizes of files that a user may raise a little.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <sys/resource.h>
#include <vector>

extern "C" {
#include "tools/ringfence/run/file_limit.h"
#include "tools/ringfence/run/tempdir.h"

char *__wrap_mkdtemp(char *path);
int __wrap_getrlimit(int resource, rlimit *out);
int __wrap_setrlimit(int resource, const rlimit *limit);
}

namespace {

std::vector<std::string> tried;
std::vector<int> errors; // of these, in turn
rlimit now = {RLIM_INFINITY, RLIM_INFINITY};

} // namespace

char *__wrap_mkdtemp(char *path) {
  std::string const template_of = path;
  errno = errors.at(tried.size());
  tried.push_back(template_of.substr(0, template_of.rfind('/')));
  return nullptr;
}

int __wrap_getrlimit(int, rlimit *out) {
  *out = now;
  return 0;
}

// As for a user without privileges.
int __wrap_setrlimit(int, const rlimit *limit) {
  if (limit->rlim_max > now.rlim_max || limit->rlim_cur > limit->rlim_max) {
    errno = EPERM;
    return -1;
  }
  now = *limit;
  return 0;
}

namespace {

TEST(Tempdir, SaysWhyTheFolderThatWasWishedCannotBeHad) {
  rf_bump_arena arena = {};
  ASSERT_EQ(setenv("TMPDIR", "/wished", 1), 0);
  tried.clear();
  errors = {EACCES, ENOSPC, EROFS, ENOENT};
  testing::internal::CaptureStderr();
  EXPECT_EQ(rf_tempdir_make(&arena), nullptr);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "ringfence: cannot write to /wished (Permission denied), nor to any other folder for temporary files; set "
            "TMPDIR to one with space\n");
  EXPECT_EQ(tried, (std::vector<std::string>{"/wished", "/tmp", "/var/tmp", "/dev/shm"}));
  rf_bump_arena_free(&arena);
}

TEST(FileLimit, IsRaisedAsFarAsTheUserMayAndGivenBack) {
  now = {4096, 4096};
  EXPECT_FALSE(rf_file_limit_raise()) << "it is as high as it may be";
  now = {4096, 1 << 20};
  errno = EFBIG;
  EXPECT_TRUE(rf_file_limit_raise());
  EXPECT_EQ(errno, EFBIG);
  EXPECT_EQ(now.rlim_cur, 1U << 20);
  EXPECT_EQ(now.rlim_max, 1U << 20);
  EXPECT_FALSE(rf_file_limit_raise()) << "once";
  rf_file_limit_give_back();
  EXPECT_EQ(now.rlim_cur, 4096U);
  EXPECT_EQ(now.rlim_max, 1U << 20);
}

} // namespace
