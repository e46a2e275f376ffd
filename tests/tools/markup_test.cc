// Text between tags, and the conversions of rf_markup.
#include "tests/core/text_sink.h"

extern "C" {
#include "tools/ringfence/render/markup.h"
}

#include <gtest/gtest.h>
#include <string>

namespace {

TEST(Markup, EscapesTextsAndWritesNumbers) {
  std::string out;
  const rf_sink sink = ringfence::sink_to(&out);
  rf_markup(&sink, "<b title=\"%s\">%u %zu</b>", "a\"<&", 7U, size_t{8});
  EXPECT_EQ(out, "<b title=\"a&quot;&lt;&amp;\">7 8</b>");
}

TEST(Markup, APercentSignTakesNoArgument) {
  std::string out;
  const rf_sink sink = ringfence::sink_to(&out);
  rf_markup(&sink, "%u%% of %s%%", 50U, "all");
  EXPECT_EQ(out, "50% of all%");
}

} // namespace
