// Paths in which tools have put other characters for bytes that are no UTF-8.
#include "tests/tools/run.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>
#include <vector>

extern "C" {
#include "tools/ringfence/symbols/garbled_path.h"

DIR *__real_opendir(const char *name);
DIR *__wrap_opendir(const char *name);
}

namespace {

std::vector<std::string> opened;

} // namespace

DIR *__wrap_opendir(const char *name) {
  opened.emplace_back(name);
  return __real_opendir(name);
}

namespace {

// The characters that stand for bytes which are no UTF-8 may be those of a name, too.
TEST(GarbledPath, IsFoundByTheNamesThatAreThere) {
  rf_bump_arena arena = {nullptr};
  std::string const folder = ringfence_test::scratch("garbled");
  ringfence_test::Removed const removed(folder);
  mkdir(folder.c_str(), 0700);
  for (const char *const name : {"/a\xE9z", "/b\xEF\xBF\xBDz", "/c\xE9\xE8z", "/dz", "/g\x80z", "/h\xFFz"}) {
    ringfence_test::write_file(folder + name, "");
  }
  EXPECT_EQ(rf_garbled_path_find(&arena, (folder + "/a\xEF\xBF\xBDz").c_str()), folder + "/a\xE9z");
  EXPECT_EQ(rf_garbled_path_find(&arena, (folder + "/b\xEF\xBF\xBDz").c_str()), folder + "/b\xEF\xBF\xBDz");
  EXPECT_EQ(rf_garbled_path_find(&arena, (folder + "/c\xEF\xBF\xBD\xEF\xBF\xBDz").c_str()), folder + "/c\xE9\xE8z");
  EXPECT_EQ(rf_garbled_path_find(&arena, (folder + "/g\xEF\xBF\xBDz").c_str()), folder + "/g\x80z");
  EXPECT_EQ(rf_garbled_path_find(&arena, (folder + "/h\xEF\xBF\xBDz").c_str()), folder + "/h\xFFz");
  mkdir((folder + "/e\xEF\xBF\xBDz").c_str(), 0700);
  ringfence_test::write_file(folder + "/e\xEF\xBF\xBDz/f\xE9z", "");
  EXPECT_EQ(rf_garbled_path_find(&arena, (folder + "/e\xEF\xBF\xBDz/f\xEF\xBF\xBDz").c_str()),
            folder + "/e\xEF\xBF\xBDz/f\xE9z");
  const std::string absent = folder + "/d\xEF\xBF\xBDz";
  EXPECT_EQ(rf_garbled_path_find(&arena, absent.c_str()), absent);
  rf_bump_arena_free(&arena);
}

TEST(GarbledPath, HasNoMoreAndNoFewerLettersThanItsName) {
  rf_bump_arena arena = {nullptr};
  std::string const folder = ringfence_test::scratch("letters");
  ringfence_test::Removed const removed(folder);
  mkdir(folder.c_str(), 0700);
  for (const char *const name : {"/a\xE9zz", "/b\xE9", "/c~z", "/d\x7Fz"}) {
    ringfence_test::write_file(folder + name, "");
  }
  for (const char *const name : {"/a\xEF\xBF\xBDz", "/b\xEF\xBF\xBDz", "/c\xEF\xBF\xBDz", "/d\xEF\xBF\xBDz"}) {
    EXPECT_EQ(rf_garbled_path_find(&arena, (folder + name).c_str()), folder + name);
  }
  rf_bump_arena_free(&arena);
}

TEST(GarbledPath, IsLookedUpInTheFolderOfEachPartFromTheRootOn) {
  rf_bump_arena arena = {nullptr};
  opened.clear();
  EXPECT_STREQ(rf_garbled_path_find(&arena, "/no such\xEF\xBF\xBD/x"), "/no such\xEF\xBF\xBD/x");
  EXPECT_STREQ(rf_garbled_path_find(&arena, "/proc/no\xEF\xBF\xBD"), "/proc/no\xEF\xBF\xBD");
  EXPECT_EQ(opened, (std::vector<std::string>{"/", "/proc"}));
  EXPECT_STREQ(rf_garbled_path_find(&arena, "a\xEF\xBF\xBD"), "a\xEF\xBF\xBD") << "none from the root on";
  EXPECT_STREQ(rf_garbled_path_find(&arena, "/plain"), "/plain");
  EXPECT_EQ(opened.size(), 2U);
  rf_bump_arena_free(&arena);
}

} // namespace
