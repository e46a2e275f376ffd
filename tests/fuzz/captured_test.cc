// Folders of fuzzers: one that its process left behind is removed by the next process, that of a living one stays.
// Standard error, captured again and again.
#include "fuzz/captured.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <sys/wait.h>

namespace {

using ringfence::fuzz::Folder;

// A process with a folder, which ends without destructors, as libFuzzer does on a finding.
class Process {
public:
  Process() {
    int name[2];
    int end[2];
    if (pipe(name) != 0 || pipe(end) != 0) {
      std::abort();
    }
    child_ = fork();
    if (child_ == 0) {
      (void)close(end[1]);
      std::string const &path = Folder::path();
      (void)!write(name[1], path.c_str(), path.size() + 1);
      char none;
      (void)!read(end[0], &none, 1);
      _exit(0);
    }
    (void)close(name[1]);
    (void)close(end[0]);
    char path[4096] = "";
    (void)!read(name[0], path, sizeof path - 1);
    (void)close(name[0]);
    folder_ = path;
    end_ = end[1];
  }
  Process(const Process &) = delete;
  Process &operator=(const Process &) = delete;
  ~Process() { leave(); }

  const std::string &folder() const { return folder_; }

  void leave() {
    if (child_ > 0) {
      (void)close(end_);
      (void)waitpid(child_, nullptr, 0);
      child_ = 0;
    }
  }

private:
  pid_t child_;
  int end_;
  std::string folder_;
};

bool exists(const std::string &folder) {
  return !folder.empty() && std::filesystem::is_directory(folder);
}

TEST(Folder, OneThatWasLeftIsRemovedByTheNextProcess) {
  Process first;
  ASSERT_TRUE(exists(first.folder()));
  std::ofstream(first.folder() + "/standard-error") << "text";
  first.leave();
  ASSERT_TRUE(exists(first.folder())); // nobody could
  Process const second;
  EXPECT_TRUE(exists(second.folder()));
  EXPECT_FALSE(exists(first.folder()));
}

TEST(Folder, ThatOfALivingProcessStays) {
  Process const first;
  Process const second;
  EXPECT_NE(first.folder(), second.folder());
  EXPECT_TRUE(exists(first.folder()));
  EXPECT_TRUE(exists(second.folder()));
}

TEST(Folder, FoldersOfOtherNamesStay) {
  std::string const other = Folder::parent().string() + "/other-fuzz-folder";
  std::filesystem::create_directory(other);
  std::ofstream(other + "/lock") << "";
  Process const process;
  EXPECT_TRUE(exists(other));
  std::filesystem::remove_all(other);
}

void say(const char *text) {
  (void)!write(STDERR_FILENO, text, std::strlen(text));
}

// In a process of its own, which alone has its folder.
TEST(StandardError, EachCaptureHasItsOwnTextAndTheLastGivesItBack) {
  int back[2];
  ASSERT_EQ(pipe(back), 0);
  pid_t const child = fork();
  if (child == 0) {
    (void)dup2(back[1], STDERR_FILENO);
    bool held = true;
    for (const char *const text : {"the longer one\n", "short\n", ""}) {
      ringfence::fuzz::StandardError error;
      say(text);
      held = held && error.text() == text;
      say(".");
    }
    _exit(held ? 0 : 1);
  }
  (void)close(back[1]);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  char seen[16] = "";
  EXPECT_EQ(read(back[0], seen, sizeof seen - 1), 3);
  EXPECT_STREQ(seen, "...");
  (void)close(back[0]);
}

} // namespace
