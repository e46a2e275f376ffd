// Files that may have lines where a build-id had names alone (tools/service/life/better_file.c).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <unistd.h>

extern "C" {
#include "tools/service/life/better_file.h"
}

namespace {

class BetterFile : public testing::Test {
protected:
  BetterFile() : folder_(testing::TempDir() + "/betterXXXXXX") {
    EXPECT_NE(mkdtemp(&folder_[0]), nullptr);
    EXPECT_TRUE(rf_store_open(&store_, ":memory:", RF_STORE_CREATE));
  }
  ~BetterFile() override { rf_store_close(&store_); }

  // A file that is there.
  std::string file(const char *name) const {
    std::string path = folder_ + "/" + name;
    std::ofstream(path.c_str()) << "x";
    return path;
  }

  void symbol(const char *build_id, int64_t offset, const char *text) {
    rf_store_run(&store_, "INSERT OR REPLACE INTO symbol(build_id, offset, text) VALUES(?, ?, ?)", "tit", build_id,
                 offset, text);
  }

  bool is_new(const char *build_id, const char *module, uint64_t offset = 16) {
    rf_frame frame = {};
    frame.build_id = build_id;
    frame.module = module;
    frame.offset = offset;
    return rf_better_file_is_new(&store_, &frame);
  }

  // "BUILD-ID FILE", of those that are to be asked next; "" where there is none.
  std::string next(size_t room = 4096) {
    std::string build_id(room, '\0');
    std::string path(room, '\0');
    bool const found = rf_better_file_next(&store_, &build_id[0], &path[0], room);
    return found ? std::string(build_id.c_str()) + " " + path.c_str() : "";
  }

  std::string folder_;
  rf_store store_ = {};
};

constexpr char kName[] = R"([{"function":"f"}])";
constexpr char kLine[] = R"([{"function":"f","file":"f.c","line":1}])";

TEST_F(BetterFile, IsNewWhereNamesWithoutLinesAreKnownAndTheFileWasNotAsked) {
  symbol("aa", 16, kName);
  symbol("aa", 32, kLine);
  EXPECT_TRUE(is_new("aa", "/bin/a"));
  EXPECT_FALSE(is_new("aa", "/bin/a", 32)) << "there is a line";
  EXPECT_FALSE(is_new("aa", "/bin/a", 48)) << "nobody has asked for names";
  EXPECT_FALSE(is_new("bb", "/bin/a")) << "nor here";
  EXPECT_FALSE(is_new(nullptr, "/bin/a"));
  EXPECT_FALSE(is_new("", "/bin/a"));
  EXPECT_FALSE(is_new("aa", nullptr));
  rf_better_file_note(&store_, "aa", "/bin/a", false);
  EXPECT_FALSE(is_new("aa", "/bin/a")) << "it was asked and has none";
  EXPECT_TRUE(is_new("aa", "/bin/other"));
}

TEST_F(BetterFile, OneWithLinesIsAskedWhereThereWereNone) {
  symbol("aa", 16, kName);
  symbol("bb", 16, kName);
  symbol("bb", 32, kLine);
  std::string const a = file("a");
  std::string const b = file("b");
  rf_better_file_note(&store_, "aa", a.c_str(), true);
  rf_better_file_note(&store_, "bb", b.c_str(), true);
  rf_better_file_note(&store_, "", b.c_str(), true);
  rf_better_file_note(&store_, nullptr, b.c_str(), true);
  rf_better_file_note(&store_, "cc", "", true);
  rf_better_file_note(&store_, "cc", nullptr, true);
  EXPECT_EQ(next(), "aa " + a);
  EXPECT_EQ(next(), "aa " + a) << "until it is done";
  rf_better_file_done(&store_, "aa");
  EXPECT_EQ(next(), "");
}

TEST_F(BetterFile, EachIsDoneByItself) {
  std::string const a = file("a");
  std::string const b = file("b");
  rf_better_file_note(&store_, "aa", a.c_str(), true);
  rf_better_file_note(&store_, "bb", b.c_str(), true);
  rf_better_file_done(&store_, "aa");
  EXPECT_EQ(next(), "bb " + b);
}

// It would hold up all others.
TEST_F(BetterFile, OneThatCannotBeReadOrHasNoRoomGivesWayToTheNext) {
  std::string const b = file("b");
  rf_better_file_note(&store_, "aa", (folder_ + "/gone").c_str(), true);
  rf_better_file_note(&store_, "bb", b.c_str(), true);
  EXPECT_EQ(next(), "");
  EXPECT_EQ(next(), "bb " + b);
  EXPECT_EQ(next(b.size()), "") << "no room for the NUL";
  EXPECT_EQ(next(), "");
  rf_better_file_note(&store_, "bb", b.c_str(), true);
  EXPECT_EQ(next(b.size() + 1), "bb " + b);
}

TEST_F(BetterFile, OtherNotesOfTheStoreAreNotTakenForOne) {
  for (const char *const key : {"better", "better9", "better;x", "a", "z"}) {
    rf_store_run(&store_, "INSERT OR REPLACE INTO meta(key, value) VALUES(?, '/dev/null')", "t", key);
  }
  EXPECT_EQ(next(), "");
}

} // namespace
