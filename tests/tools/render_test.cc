// Parts of the reports that do not depend on the findings: colours, the frame of a profile, lines of source files.
#include "tests/core/text_sink.h"
#include "tests/tools/pprof_text.h"
#include "tests/tools/run.h"

#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>
#include <utility>

extern "C" {
#include "tools/ringfence/model/run.h"
#include "tools/ringfence/render/colour.h"
#include "tools/ringfence/render/pprof.h"
#include "tools/ringfence/render/source.h"
}

namespace {

using ringfence_test::scratch;
using ringfence_test::write_file;

// ---- Colours ----

std::string coloured(const std::string &text, bool wanted = true) {
  std::FILE *const file = std::tmpfile();
  rf_colour_sink c;
  rf_colour_sink_init(&c, file, wanted);
  for (const char letter : text) {
    rf_sink_char(&c.sink, letter);
  }
  rf_colour_sink_end(&c);
  std::string out(static_cast<size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  EXPECT_EQ(std::fread(out.data(), 1, out.size(), file), out.size());
  std::fclose(file);
  return out;
}

TEST(Colour, BeginsAndEndsWithItsLineHoweverLongThatIs) {
  for (const size_t length : {0U, 243U, 244U, 255U, 256U, 257U, 511U, 700U}) {
    const std::string line = "==1==ERROR: " + std::string(length, 'x');
    EXPECT_EQ(coloured("a\n" + line + "\nb\n"), "a\n\033[1;31m" + line + "\033[0m\nb\n") << length;
    EXPECT_EQ(coloured(line), "\033[1;31m" + line + "\033[0m") << length;
    EXPECT_EQ(coloured(line, false), line) << length;
  }
}

TEST(Colour, IsThatOfTheKindOfLine) {
  const std::pair<const char *, const char *> lines[] = {
      {"==1==ERROR: Ringfence: double-free", "1;31"},
      {"=====", ""},
      {"SUMMARY: Ringfence: double-free", "1"},
      {"ringfence: nothing found in 1 process", "32"},
      {"ringfence: 1 finding in 1 process", "1;31"},
      {"ringfence: library: x", "1"},
      {"WRITE of size 1 at 0x10", "34"},
      {"READ of size 1 at 0x10", "34"},
      {"allocated by thread T0 here:", "34"},
      {"freed by thread T0 here:", "34"},
      {"    #0 0x1 in main", ""},
      {" ringfence: indented", ""},
  };
  for (const auto &[line, colour] : lines) {
    const std::string code = colour;
    const std::string begin = code.empty() ? "" : "\033[" + code + "m";
    EXPECT_EQ(coloured(std::string(line) + "\n"), begin + line + (code.empty() ? "\n" : "\033[0m\n"));
  }
}

// ---- Profiles ----

// Stored blocks have 65535 bytes at most: lengths around that and its double.
TEST(Pprof, IsWholeInBlocksOfAnyNumber) {
  for (size_t length = 65490; length < 131060; length += length == 65540 ? 65490 : 1) {
    rf_bump_arena arena = {nullptr};
    const std::string name(length, 'n');
    const rf_pprof_type type = {name.c_str(), "bytes"};
    rf_pprof p;
    rf_pprof_init(&p, &arena, &type, 1);
    std::string file;
    const rf_sink sink = ringfence::sink_to(&file);
    rf_pprof_put(&p, 0, &sink);
    rf_bump_arena_free(&arena);
    const auto number = [&file](size_t at, size_t size) {
      size_t value = 0;
      for (size_t i = 0; i < size; i++) {
        value |= static_cast<size_t>(static_cast<unsigned char>(file[at + i])) << (8 * i);
      }
      return value;
    };
    size_t at = 10;
    size_t sum = 0;
    for (bool last = false; !last;) {
      ASSERT_LE(at + 5, file.size());
      size_t const size = number(at + 1, 2);
      last = file[at] == 1;
      ASSERT_EQ(size ^ 0xFFFF, number(at + 3, 2)) << length;
      at += 5 + size;
      sum += size;
    }
    ASSERT_EQ(at + 8, file.size()) << length;
    ASSERT_EQ(number(at + 4, 4), sum) << length;
    ASSERT_GE(sum, length);
  }
}

// Field by field, by the numbers of profile.proto.
TEST(Pprof, HasEachPlaceOnceByAllThatIsKnownOfIt) {
  rf_bump_arena arena = {nullptr};
  rf_run run = {};
  const std::string begin = R"({"type":"finding","bug":"memory-leak","allocated":)";
  for (const std::string &allocated :
       {std::string(R"({"site":{"file":"a.c","line":3,"function":"f"}})"),
        std::string(R"({"site":{"file":"a.c","line":4,"function":"f"}})"),
        std::string(R"({"site":{"file":"b.c","line":3,"function":"f"}})"),
        std::string(R"({"site":{"file":"a.c","line":3,"function":"f"}})"),
        std::string(R"({"frames":[{"pc":"0x1010","module":"/m","build_id":"ab","offset":"0x10","function":"g"},)"
                    R"({"pc":"0x1020","module":"/m","build_id":"ab","offset":"0x20"},{"pc":"0x30"},)"
                    R"({"pc":"0x1040","module":"/m","build_id":"ab","offset":"0x40","function":"g"}]})"),
        std::string("{}"),
        std::string(R"({"frames":[{"pc":"0x1010","module":"/m","build_id":"cd","offset":"0x10","function":"g"}]})")}) {
    const std::string line = begin + allocated + "}";
    rf_run_add_line(&run, &arena, line.c_str(), line.size());
  }
  ASSERT_EQ(run.record_count, 7U);
  const rf_pprof_type types[] = {{"objects", "count"}, {"space", "bytes"}};
  rf_pprof p;
  rf_pprof_init(&p, &arena, types, 2);
  for (size_t i = 0; i < run.record_count; i++) {
    const int64_t values[] = {static_cast<int64_t>(i) + 1, 1000};
    rf_pprof_add(&p, run.records[i], values);
  }
  std::string file;
  const rf_sink sink = ringfence::sink_to(&file);
  rf_pprof_put(&p, 1234567890123, &sink);
  EXPECT_EQ(ringfence_test::pprof_text(file), R"_(1:{1:1 2:2}
1:{1:3 2:4}
5:{1:1 2:5 3:5 4:6}
4:{1:1 2:0 3:0 4:{1:1 2:3}}
2:{1:[1] 2:[1,1000]}
4:{1:2 2:0 3:0 4:{1:1 2:4}}
2:{1:[2] 2:[2,1000]}
5:{1:2 2:5 3:5 4:7}
4:{1:3 2:0 3:0 4:{1:2 2:3}}
2:{1:[3] 2:[3,1000]}
2:{1:[1] 2:[4,1000]}
5:{1:3 2:8 3:8 4:0}
3:{1:1 5:9 6:10 7:1 8:1 9:1}
4:{1:4 2:1 3:16 4:{1:3 2:0}}
5:{1:4 2:11 3:11 4:0}
4:{1:5 2:1 3:32 4:{1:4 2:0}}
5:{1:5 2:12 3:12 4:0}
4:{1:6 2:0 3:48 4:{1:5 2:0}}
4:{1:7 2:1 3:64 4:{1:3 2:0}}
2:{1:[4,5,6,7] 2:[5,1000]}
5:{1:6 2:13 3:13 4:0}
4:{1:8 2:0 3:0 4:{1:6 2:0}}
2:{1:[8] 2:[6,1000]}
3:{1:2 5:9 6:14 7:1 8:1 9:1}
4:{1:9 2:2 3:16 4:{1:3 2:0}}
2:{1:[9] 2:[7,1000]}
9:1234567890123
14:3
6:""
6:"objects"
6:"count"
6:"space"
6:"bytes"
6:"f"
6:"a.c"
6:"b.c"
6:"g"
6:"/m"
6:"ab"
6:"/m+0x20"
6:"0x30"
6:"(call site not recorded)"
6:"cd"
)_");
  rf_bump_arena_free(&arena);
}

// ---- Lines of source files ----

class Source : public testing::Test {
protected:
  Source() {
    EXPECT_EQ(mkdir(folder_.c_str(), 0755), 0);
    sources_.arena = &arena_;
    sources_.directory = folder_.c_str();
  }
  ~Source() override { rf_bump_arena_free(&arena_); }

  const char *line(const std::string &file, unsigned number) {
    rf_frame_view call = {};
    const std::string kept = file;
    call.file = rf_bump_arena_text(&arena_, kept.data(), kept.size());
    call.line = number;
    return rf_source_text(&sources_, &arena_, &call);
  }

  const std::string folder_ = scratch("code");
  rf_bump_arena arena_ = {nullptr};
  rf_sources sources_ = {};
};

TEST_F(Source, IsShownOfFilesInTheFolderAlone) {
  const std::string other = folder_ + "2";
  ASSERT_EQ(mkdir(other.c_str(), 0755), 0);
  write_file(folder_ + "/a.c", "one \n two \t\r\nthree");
  write_file(other + "/a.c", "secret\n");
  EXPECT_STREQ(line(folder_ + "/a.c", 1), "one ");
  EXPECT_STREQ(line("a.c", 2), " two \t");
  EXPECT_STREQ(line("a.c", 3), "three");
  EXPECT_EQ(line("a.c", 4), nullptr);
  EXPECT_EQ(line(other + "/a.c", 1), nullptr);
  EXPECT_EQ(line("../" + other.substr(other.rfind('/') + 1) + "/a.c", 1), nullptr);
}

// Keys and passwords; and what a caller keeps to itself.
TEST_F(Source, IsNotShownOfHiddenFilesNorOfAFolderThatIsLeftOut) {
  for (const char *folder : {"/.keys", "/own", "/own2", "/src"}) {
    ASSERT_EQ(mkdir((folder_ + folder).c_str(), 0755), 0);
  }
  for (const char *name : {".netrc", ".keys/a.c", "own/token", "own2/a.c", "src/.env", "src/a.b.c"}) {
    write_file(folder_ + "/" + name, "text\n");
  }
  ASSERT_EQ(symlink(".netrc", (folder_ + "/link.c").c_str()), 0);
  const std::string own = folder_ + "/src/../own/";
  sources_.without = own.c_str();
  for (const char *name : {".netrc", ".keys/a.c", "own/token", "src/.env", "link.c", "src/../own/token"}) {
    EXPECT_EQ(line(name, 1), nullptr) << name;
  }
  EXPECT_STREQ(line("own2/a.c", 1), "text");
  EXPECT_STREQ(line(folder_ + "/src/a.b.c", 1), "text");
}

TEST_F(Source, IsNotShownWhereTheFolderThatIsLeftOutIsNotFound) {
  write_file(folder_ + "/a.c", "text\n");
  sources_.without = "/nowhere";
  EXPECT_EQ(line("a.c", 1), nullptr);
}

TEST_F(Source, IsShownOfFilesThatAreNotTooLarge) {
  std::string text = "one\n" + std::string((4U << 20) - 4, '\n');
  write_file(folder_ + "/a.c", text);
  write_file(folder_ + "/b.c", text + "\n");
  EXPECT_STREQ(line("a.c", 1), "one");
  EXPECT_EQ(line("b.c", 1), nullptr);
}

TEST_F(Source, LongLinesAreLeftOut) {
  write_file(folder_ + "/a.c", std::string(240, 'x') + "\n" + std::string(241, 'y') + "\nlast\n");
  EXPECT_EQ(line("a.c", 1), std::string(240, 'x'));
  EXPECT_EQ(line("a.c", 2), nullptr);
  EXPECT_STREQ(line("a.c", 3), "last");
}

} // namespace
