// The answers were taken from addr2line 2.40, eu-addr2line 0.188 and llvm-symbolizer 14 for one program.
#include "tools/ringfence/symbols/symbolize.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

class Parse : public testing::Test {
protected:
  ~Parse() override { rf_bump_arena_free(&arena_); }

  void parse(const std::string &answer, size_t count) {
    sources_.assign(count + 1, nullptr);
    counts_.assign(count + 1, 0);
    rf_symbolize_parse(&arena_, answer.c_str(), count, sources_.data(), counts_.data());
    EXPECT_EQ(counts_[count], 0U) << "of an address that was not asked for";
  }

  std::string at(size_t address, size_t depth) const {
    if (depth >= counts_[address]) {
      return "nothing";
    }
    const rf_source &s = sources_[address][depth];
    return std::string(s.function != nullptr ? s.function : "?") + " " + (s.file != nullptr ? s.file : "?") + ":" +
           std::to_string(s.line);
  }

  std::vector<size_t> counts_;

private:
  rf_bump_arena arena_ = {nullptr};
  std::vector<rf_source *> sources_;
};

TEST_F(Parse, Addr2line) {
  parse("0x0000000000001074\nin2\n/tmp/b.c:2\nin1\n/tmp/b.c:4 (discriminator 3)\nmain\n/tmp/b.c:9\n"
        "0x0000000000001080\nmain\n/tmp/b.c:12\n",
        2);
  EXPECT_EQ(at(0, 0), "in2 /tmp/b.c:2");
  EXPECT_EQ(at(0, 1), "in1 /tmp/b.c:4");
  EXPECT_EQ(at(0, 2), "main /tmp/b.c:9");
  EXPECT_EQ(at(0, 3), "nothing");
  EXPECT_EQ(at(1, 0), "main /tmp/b.c:12");
}

TEST_F(Parse, EuAddr2line) {
  parse("0x0000000000001074\nin2 inlined at /tmp/b.c:4:10 in "
        "main\n/tmp/b.c:2:86\nin1\n/tmp/b.c:4:10\nmain\n/tmp/b.c:9:11\n",
        1);
  EXPECT_EQ(at(0, 0), "in2 /tmp/b.c:2");
  EXPECT_EQ(at(0, 1), "in1 /tmp/b.c:4");
  EXPECT_EQ(at(0, 2), "main /tmp/b.c:9");
}

TEST_F(Parse, LlvmSymbolizer) {
  parse("0x1074\nin2\n/tmp/b.c:2\nmain\n/tmp/b.c:9\n\n0x1080\nmain\n/tmp/b.c:12\n\n", 2);
  EXPECT_EQ(at(0, 1), "main /tmp/b.c:9");
  EXPECT_EQ(at(1, 0), "main /tmp/b.c:12");
}

TEST_F(Parse, UnknownPartsStayUnknown) {
  parse("0x1\n??\n??:0\n0x2\n??\n??:?\n0x3\nmain\n??:0\n0x4\n??\n/tmp/start.S:5\n", 4);
  EXPECT_EQ(at(0, 0), "? ?:0");
  EXPECT_EQ(at(1, 0), "? ?:0");
  EXPECT_EQ(at(2, 0), "main ?:0");
  EXPECT_EQ(at(3, 0), "? /tmp/start.S:5");
}

// clang gives line 0 to a call that was made of two; each tool writes it in its own way. A file without a folder comes
// from the symbol table, which may name another one.
TEST_F(Parse, AFileOfDebugInformationIsKeptWithoutALine) {
  parse("0x1\nf\n/tmp/b.c:?\n0x2\nf\nsrc/b.c:0\n0x3\nf\n/tmp/b.c:0:0\n0x4\nf\nb.c:?\n0x5\nf\n/tmp/<artificial>:?\n"
        "0x6\nf\n/tmp/:?\n0x7\nin\n/tmp/b.h:4\nf\n/tmp/b.c:?\n",
        7);
  EXPECT_EQ(at(0, 0), "f /tmp/b.c:0");
  EXPECT_EQ(at(1, 0), "f src/b.c:0");
  EXPECT_EQ(at(2, 0), "f /tmp/b.c:0");
  EXPECT_EQ(at(3, 0), "f ?:0");
  EXPECT_EQ(at(4, 0), "f ?:0");
  EXPECT_EQ(at(5, 0), "f ?:0");
  EXPECT_EQ(at(6, 0), "in /tmp/b.h:4");
  EXPECT_EQ(at(6, 1), "f /tmp/b.c:0");
}

TEST_F(Parse, KeepsSpacesAndColonsOfNames) {
  parse("0x1\nstd::vector<int, std::allocator<int> >::push_back(int&&)\n/my files/a:b/stl.h:77\n", 1);
  EXPECT_EQ(at(0, 0), "std::vector<int, std::allocator<int> >::push_back(int&&) /my files/a:b/stl.h:77");
}

TEST_F(Parse, DropsDotsOfPaths) {
  static const char *const kCases[][2] = {{"././f.c", "f.c"},
                                          {"./src/./f.c", "src/f.c"},
                                          {"/a/./b/f.c", "/a/b/f.c"},
                                          {"../f.c", "../f.c"},
                                          {"a./f.c", "a./f.c"},
                                          {".//f.c", ".//f.c"},
                                          {"./.f.c", ".f.c"},
                                          {"/./f.c", "/f.c"},
                                          {"a/../f.c", "a/../f.c"},
                                          {"./", "./"},
                                          {"a/./", "a/./"}};
  for (const auto &[given, expected] : kCases) {
    parse("0x1\nf\n" + std::string(given) + ":7\n", 1);
    EXPECT_EQ(at(0, 0), "f " + std::string(expected) + ":7");
  }
}

TEST_F(Parse, IgnoresWhatWasNotAskedFor) {
  parse("noise\n0x1\nf\na.c:1\n0x2\ng\na.c:2\n", 1);
  EXPECT_EQ(at(0, 0), "f a.c:1");
  EXPECT_EQ(counts_[0], 1u);
}

TEST_F(Parse, StopsWhereTheAnswerIsCutOff) {
  parse("0x1\nf", 1);
  EXPECT_EQ(counts_[0], 0u);
}

} // namespace
