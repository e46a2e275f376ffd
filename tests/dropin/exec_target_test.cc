// The search for a program as execvp makes it, and the interpreter that stands for a script.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/process/exec_target.h"
}
#undef _Static_assert

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace ringfence_test {
namespace {

class ExecTarget : public testing::Test {
protected:
  ExecTarget() {
    for (const char *const part : {"/one", "/two"}) {
      EXPECT_EQ(mkdir((top_ + part).c_str(), 0755), 0);
    }
    put("/one/plain", "not an executable\n", 0644);
    put("/two/plain", "an executable\n", 0755);
    put("/one/both", "the first\n", 0755);
    put("/two/both", "the second\n", 0755);
    put("/two/script", "#! \t" + top_ + "/two/plain -x\n", 0755);
  }

  void put(const std::string &name, const std::string &text, mode_t mode) const {
    std::ofstream(top_ + name) << text;
    EXPECT_EQ(chmod((top_ + name).c_str(), mode), 0);
  }

  // The folder named by so many characters.
  std::string padded(const std::string &folder, size_t length) const {
    std::string text = top_ + folder;
    text += std::string((length - text.size()) % 2, '/');
    while (text.size() < length) {
      text += "/.";
    }
    return text;
  }

  static std::string find(const std::string &name, bool search = true) {
    auto const target = std::make_unique<rf_exec_target>();
    errno = 77;
    rf_exec_target_find(name.c_str(), search, environ, target.get());
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(target->unchecked, nullptr);
    return target->file;
  }

  std::string find_in(const std::string &path, const std::string &name) {
    std::string const before = getenv("PATH");
    setenv("PATH", path.c_str(), 1);
    std::string const found = find(name);
    setenv("PATH", before.c_str(), 1);
    return found;
  }

  static std::string made() {
    std::string name = testing::TempDir() + "exec_target.XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    return name;
  }

  std::string top_ = made();
  std::string one_ = top_ + "/one";
  std::string two_ = top_ + "/two";
};

TEST_F(ExecTarget, IsTheFirstOfPathThatCanBeExecuted) {
  EXPECT_EQ(find_in(one_ + ":" + two_, "both"), one_ + "/both");
  EXPECT_EQ(find_in(two_ + ":" + one_, "both"), two_ + "/both");
  EXPECT_EQ(find_in(one_ + ":" + two_, "plain"), two_ + "/plain");
  EXPECT_EQ(find_in("/nonexistent:" + one_ + ":" + two_, "plain"), two_ + "/plain");
  EXPECT_EQ(find_in(one_ + ":" + two_, "script"), two_ + "/plain");
}

TEST_F(ExecTarget, IsInTheCurrentFolderWhereAPartOfPathIsEmpty) {
  ASSERT_EQ(chdir(two_.c_str()), 0);
  EXPECT_EQ(find_in(":/nonexistent", "plain"), "plain");
  EXPECT_EQ(find_in("/nonexistent::" + one_, "both"), "both");
  EXPECT_EQ(find_in("/nonexistent:", "both"), "both");
  ASSERT_EQ(chdir("/"), 0);
}

// The longest path that the system takes has PATH_MAX bytes with its end; a folder that makes more is passed over.
TEST_F(ExecTarget, MayHaveTheLongestPathThereIs) {
  std::string const name = "/both";
  for (size_t const more : {size_t{0}, size_t{1}, size_t{2}}) {
    std::string const folder = padded("/one", PATH_MAX - 1 - name.size() - 1 + more);
    bool const fits = more < 2;
    EXPECT_EQ(access((folder + name).c_str(), X_OK) == 0, fits) << more;
    EXPECT_EQ(find_in(folder + ":" + two_, "both"), fits ? folder + name : two_ + name) << more;
  }
}

TEST_F(ExecTarget, IsNotSearchedForWhereItsNameHasASlashOrNobodyAsks) {
  EXPECT_EQ(find(one_ + "/both"), one_ + "/both");
  EXPECT_EQ(find(two_ + "/script", false), two_ + "/plain");
  EXPECT_EQ(find("both", false), "both");
}

} // namespace
} // namespace ringfence_test
