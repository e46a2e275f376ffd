// Answers of symbolizers that say less than another one, or less than the truth: tools and a program made here.
#include "tools/ringfence/symbols/symbolize.h"

#include "tests/tools/elf_file.h"
#include "tests/tools/run.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <string>

namespace {

class SymbolizeAnswers : public testing::Test {
protected:
  SymbolizeAnswers() {
    mkdir(folder_.c_str(), 0700);
    setenv("PATH", folder_.c_str(), 1);
    ringfence_test::ElfFile image;
    image.symbols = {{"first", 0x1000, 0x100}, {"shown", 0x2000, 0x100}};
    image.named_sections = {{".debug_info", SHT_PROGBITS, "x"}};
    ringfence_test::write_file(program_, image.bytes(), 0755);
    for (unsigned i = 0; i < 3; i++) {
      frames_[i].module = program_.c_str();
      frames_[i].offset = 0x1010 + 0x1000U * i;
    }
  }
  ~SymbolizeAnswers() override {
    setenv("PATH", path_before_.c_str(), 1);
    rf_bump_arena_free(&arena_);
  }

  // `answer` to each address, but `first` to those of the function "first".
  void says(const std::string &tool, const std::string &answer, const std::string &first = "") {
    ringfence_test::write_file(folder_ + "/" + tool,
                               "#!/bin/sh\nwhile read -r at; do echo \"$at\"; case $at in 0x10*) printf '%b\\n' '" +
                                   (first.empty() ? answer : first) + "';; *) printf '%b\\n' '" + answer +
                                   "';; esac; done\n",
                               0755);
  }

  void symbolize() {
    rf_frame *list[] = {&frames_[0], &frames_[1], &frames_[2]};
    rf_symbolize(&arena_, list, 3);
  }

  rf_frame frames_[3] = {}; // in "first", in "shown", in no function

private:
  const std::string path_before_ = getenv("PATH");
  const std::string folder_ = ringfence_test::scratch("bin");
  const std::string program_ = folder_ + "/program";
  rf_bump_arena arena_ = {nullptr};
};

// As in a stripped program whose debug information is apart, at a call to which the compiler gave line 0.
TEST_F(SymbolizeAnswers, AFunctionWithAFileIsKeptWithoutALineOrASymbol) {
  says("addr2line", "f\\n/x/f.c:?");
  symbolize();
  ASSERT_EQ(frames_[2].source_count, 1U);
  EXPECT_STREQ(frames_[2].sources[0].function, "f");
  EXPECT_STREQ(frames_[2].sources[0].file, "/x/f.c");
  EXPECT_EQ(frames_[2].sources[0].line, 0U);
}

// As of a program of C and C++ that was compiled with -gsplit-dwarf: binutils know the lines in C.
TEST_F(SymbolizeAnswers, LinesThatAToolReadsOfSomeUnitsAloneAreAskedOfTheOther) {
  says("addr2line", "shown\\n??:?", "first\\n/x/main.c:3");
  says("llvm-symbolizer", "shown\\n/x/a.cc:5");
  symbolize();
  ASSERT_EQ(frames_[0].source_count, 1U);
  EXPECT_STREQ(frames_[0].sources[0].file, "/x/main.c");
  ASSERT_EQ(frames_[1].source_count, 1U);
  EXPECT_STREQ(frames_[1].sources[0].file, "/x/a.cc");
  EXPECT_EQ(frames_[1].sources[0].line, 5U);
  EXPECT_EQ(frames_[2].source_count, 0U) << "no function is there, whatever a tool says";
}

// binutils 2.40 names a static function of C++ as the function that it was inlined into.
TEST_F(SymbolizeAnswers, TheInnermostOfSeveralCallsIsNotNamedAsTheOutermost) {
  struct Case {
    std::string first[2], second[2]; // the innermost call and the outermost
    const char *expected;
  };
  static const Case kCases[] = {{{"use(int)", "use(int)"}, {"make", "use(int)"}, "make"},
                                {{"use(int)", "use"}, {"make", "use(int)"}, "make"}, // -gline-tables-only
                                {{"use(int) [clone .cold]", "use(int)"}, {"make", "use(int)"}, "make"},
                                {{"use(int)", "use(int)"}, {"use(int)", "use(int)"}, "use(int)"}, // a recursion
                                {{"use(int)", "use(int)"}, {"??", "use(int)"}, "use(int)"},
                                {{"n::make(int)", "use(int)"}, {"make", "use(int)"}, "n::make(int)"},
                                {{"use(int)", "user(int)"}, {"make", "user(int)"}, "use(int)"},
                                {{"??", "use(int)"}, {"make", "use(int)"}, nullptr}};
  for (const Case &c : kCases) {
    says("addr2line", c.first[0] + "\\n/x/a.cc:5\\n" + c.first[1] + "\\n/x/a.cc:9");
    says("llvm-symbolizer", c.second[0] + "\\n/x/a.cc:5\\n" + c.second[1] + "\\n/x/a.cc:9");
    symbolize();
    ASSERT_EQ(frames_[0].source_count, 2U);
    EXPECT_STREQ(frames_[0].sources[0].function, c.expected) << c.first[0] << " in " << c.first[1];
    EXPECT_EQ(frames_[0].sources[1].function, c.first[1]);
  }
}

// elfutils 0.188 know nothing of what was inlined as a program was linked.
TEST_F(SymbolizeAnswers, AToolThatWasAskedForMadeUpFilesIsCorrectedAsWell) {
  says("addr2line", "outer\\n/x/<artificial>:5");
  says("eu-addr2line", "outer\\n/x/a.c:5");
  says("llvm-symbolizer", "inner\\n/x/a.c:5\\nouter\\n/x/a.c:9");
  symbolize();
  ASSERT_EQ(frames_[0].source_count, 2U);
  EXPECT_STREQ(frames_[0].sources[0].function, "inner");
}

// A second tool that sees a call inlined there on another line means another address.
TEST_F(SymbolizeAnswers, CallsThatWereInlinedOnAnotherLineAreNotTaken) {
  says("addr2line", "outer\\n/x/a.c:9");
  for (const unsigned line : {9U, 5U}) {
    frames_[0].source_count = 0;
    says("llvm-symbolizer", "inner\\n/x/b.h:" + std::to_string(line) + "\\nouter\\n/x/a.c:12");
    symbolize();
    ASSERT_EQ(frames_[0].source_count, line == 9 ? 2U : 1U);
    EXPECT_STREQ(frames_[0].sources[0].function, line == 9 ? "inner" : "outer");
  }
}

} // namespace
