// How the output of two runs of a hunt differs.
#include "tests/tools/run.h"

#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>

extern "C" {
#include "tools/ringfence/run/spool.h"
}

namespace {

class SpoolDifference : public testing::Test {
protected:
  ~SpoolDifference() override { rf_bump_arena_free(&arena_); }

  std::string of(const std::string &first, const std::string &second, bool on_error = false) {
    const std::string folders[] = {ringfence_test::scratch("a"), ringfence_test::scratch("b")};
    for (const std::string &folder : folders) {
      const bool is_first = &folder == &folders[0];
      (void)mkdir(folder.c_str(), 0700);
      ringfence_test::write_file(folder + "/stdout", on_error ? "same\n" : is_first ? first : second);
      ringfence_test::write_file(folder + "/stderr", !on_error ? "same\n" : is_first ? first : second);
    }
    rf_spool const spool = {nullptr, 0, joined_};
    const char *const text = rf_spool_difference(&spool, &arena_, folders[0].c_str(), folders[1].c_str());
    return text == nullptr ? "" : text;
  }

  bool joined_ = false;

private:
  rf_bump_arena arena_ = {nullptr};
};

TEST_F(SpoolDifference, IsToldByTheFirstByteAndItsLine) {
  EXPECT_EQ(of("one\ntwo\n", "one\ntwo\n"), "");
  EXPECT_EQ(of("one\ntwo\n", "one\ntwice\n"), "standard output differs from byte 6 on: \"twice\" instead of \"two\"");
  EXPECT_EQ(of("one\ntwo\n", "one\nt\too\n", true),
            "standard error differs from byte 5 on: \"t?oo\" instead of \"two\"");
}

TEST_F(SpoolDifference, IsToldOfTheOneThatIsLonger) {
  EXPECT_EQ(of("one\n", "one\ntwo\n"), "standard output differs from byte 4 on: \"two\" instead of \"\"");
  EXPECT_EQ(of("one\ntwo\n", "one\n"), "standard output differs from byte 4 on: \"\" instead of \"two\"");
}

TEST_F(SpoolDifference, LongLinesAreCut) {
  const std::string text = of(std::string(500, 'x'), std::string(500, 'y'));
  EXPECT_EQ(text, "standard output differs from byte 0 on: \"" + std::string(120, 'y') + "\" instead of \"" +
                      std::string(120, 'x') + "\"");
}

TEST_F(SpoolDifference, OfStandardErrorIsNoneWhereBothAreOneFile) {
  EXPECT_NE(of("one\n", "two\n", true), "");
  joined_ = true;
  EXPECT_EQ(of("one\n", "two\n", true), "");
}

} // namespace
