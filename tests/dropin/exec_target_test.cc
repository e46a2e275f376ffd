// The search for a program as execvp makes it, and the interpreter that stands for a script.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/process/exec_target.h"
}
#undef _Static_assert

#include "tests/checkers/not_cancelled.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <link.h>
#include <memory>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <vector>

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

TEST_F(ExecTarget, IsNoFolder) {
  std::string const three = top_ + "/three";
  ASSERT_EQ(mkdir(three.c_str(), 0755), 0);
  ASSERT_EQ(mkdir((three + "/plain").c_str(), 0755), 0);
  EXPECT_EQ(find_in(three + ":" + two_, "plain"), two_ + "/plain");
  ASSERT_EQ(rmdir((three + "/plain").c_str()), 0);
  ASSERT_EQ(rmdir(three.c_str()), 0);
}

// posix_spawn and execve are none.
TEST_F(ExecTarget, IsFoundWithoutAPointOfCancellation) {
  expect_not_cancelled([this] { EXPECT_EQ(find(two_ + "/script", false), two_ + "/plain"); });
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

// ---- LD_PRELOAD ----

// The environment of the target with this entry, in which the program that runs stands for the library.
std::vector<std::string> environment_with(const std::string &entry, const char *library) {
  auto const target = std::make_unique<rf_exec_target>();
  snprintf(target->library, sizeof target->library, "%s", library);
  std::string first = "A=1";
  std::string middle = entry;
  std::string last = "B=2";
  char *const envp[] = {first.data(), middle.data(), last.data(), nullptr};
  EXPECT_EQ(rf_exec_target_entries(envp), 4U);
  std::vector<char *> out(4);
  size_t const size = rf_exec_target_preload_size(target.get(), envp);
  std::vector<char> preload(size + 64, '#');
  rf_exec_target_environment(target.get(), envp, out.data(), preload.data());
  EXPECT_LT(strlen(preload.data()), size) << "room for the longest there may be";
  std::vector<std::string> found;
  for (size_t i = 0; i < out.size() && out[i] != nullptr; i++) {
    found.emplace_back(out[i]);
  }
  return found;
}

TEST_F(ExecTarget, NamesTheOtherLibraryInThePlaceOfOursOrNone) {
  rf_exec_target_init();
  char path[PATH_MAX] = "";
  ASSERT_GT(readlink("/proc/self/exe", path, sizeof path - 1), 0);
  std::string const own = strrchr(path, '/') + 1;
  std::string const other = "/somewhere/else/with/a/long/name/libother.so";
  struct {
    std::string entry;
    std::string replaced;
    std::string without; // "": the entry is left out
  } const cases[] = {
      {own, other, ""},
      {"/x/" + own, other, ""},
      {"/x/" + own + ":", other + ":", ":"},
      {"/a.so:/x/" + own + ":/b.so", "/a.so:" + other + ":/b.so", "/a.so:/b.so"},
      {"/a.so /x/" + own, "/a.so " + other, "/a.so"},
      {"/a.so  " + own + " /b.so", "/a.so  " + other + " /b.so", "/a.so /b.so"},
      {"/x/my_" + own, "/x/my_" + own, "/x/my_" + own},
      {"/x/" + own + ".1", "/x/" + own + ".1", "/x/" + own + ".1"},
      {own + ":" + own + ":" + own, other + ":" + other + ":" + other, ""},
  };
  for (auto const &c : cases) {
    std::string const name = "LD_PRELOAD=";
    EXPECT_EQ(environment_with(name + c.entry, other.c_str()),
              (std::vector<std::string>{"A=1", name + c.replaced, "B=2"}));
    std::vector<std::string> expected = {"A=1", name + c.without, "B=2"};
    if (c.without.empty()) {
      expected.erase(expected.begin() + 1);
    }
    EXPECT_EQ(environment_with(name + c.entry, ""), expected) << c.entry;
  }
}

// ---- Why the library will not be in it ----

// The answer for a copy of this program, of so many bytes and with this mode, that belongs to another group where this
// user may give it one.
std::string why_not(const std::string &path, size_t size, mode_t mode) {
  std::ifstream from("/proc/self/exe", std::ios::binary);
  std::vector<char> bytes(size);
  from.read(bytes.data(), static_cast<std::streamsize>(size));
  std::ofstream(path, std::ios::binary).write(bytes.data(), from.gcount());
  [[maybe_unused]] int const refused = chown(path.c_str(), static_cast<uid_t>(-1), 1);
  EXPECT_EQ(chmod(path.c_str(), mode), 0);
  auto const target = std::make_unique<rf_exec_target>();
  rf_exec_target_find(path.c_str(), false, environ, target.get());
  std::string const found = target->unchecked != nullptr ? target->unchecked : "";
  (void)unlink(path.c_str());
  return found;
}

constexpr size_t kAll = size_t{1} << 26;

TEST_F(ExecTarget, OfWhichOnlyAPartIsThereIsNothingKnown) {
  EXPECT_EQ(why_not(top_ + "/whole", kAll, 0755), "");
  for (size_t const size : {size_t{0}, size_t{10}, size_t{51}, sizeof(ElfW(Ehdr)) - 1}) {
    EXPECT_EQ(why_not(top_ + "/part", size, 0755), "") << size;
  }
}

TEST_F(ExecTarget, GainsTheRightsOfAGroupWhichMayExecuteItWhereTheMountLetsIt) {
  struct statvfs mount;
  bool const gains = statvfs(top_.c_str(), &mount) == 0 && (mount.f_flag & ST_NOSUID) == 0;
  bool const can_differ = getgid() != 1 && chown((top_ + "/two/plain").c_str(), static_cast<uid_t>(-1), 1) == 0;
  if (!can_differ || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
    GTEST_SKIP() << "no file may belong to another group, or nobody gains rights";
  }
  EXPECT_EQ(why_not(top_ + "/own", kAll, 0755), "");
  EXPECT_EQ(why_not(top_ + "/group", kAll, 02755), gains ? "setuid or setgid" : "");
  EXPECT_EQ(why_not(top_ + "/lock", kAll, 02745), ""); // locks of files, once
  // Mounted for this process alone, which ends with its last test.
  bool const mounted = unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                       ::mount("none", one_.c_str(), "tmpfs", MS_NOSUID, nullptr) == 0;
  if (mounted) {
    EXPECT_EQ(why_not(one_ + "/group", kAll, 02755), "");
    EXPECT_EQ(umount(one_.c_str()), 0);
  }
}

} // namespace
} // namespace ringfence_test
