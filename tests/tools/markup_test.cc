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

std::string text_of(const std::string &text) {
  std::string out;
  const rf_sink sink = ringfence::sink_to(&out);
  rf_markup_text(text.c_str(), &sink);
  return out;
}

TEST(Markup, EscapesEachCharacterThatMarkupKnows) {
  EXPECT_EQ(text_of("a'b\rc>d\t\n"), "a&#39;b&#13;c&gt;d\t\n");
}

TEST(Markup, ReplacesWhatNoDocumentMayHold) {
  const std::string replaced = "\xEF\xBF\xBD";
  for (const char *bad : {"\x01", "\x1F", "\x7F", "\xC2\x80", "\xC2\x9F", "\xEF\xBF\xBE", "\xEF\xBF\xBF", "\xFF"}) {
    EXPECT_EQ(text_of(std::string(bad) + "z"), replaced + "z") << bad;
  }
  for (const char *good : {" ", "~", "\xC2\xA0", "\xEF\xBF\xBC", "\xEF\xBE\xBF"}) {
    EXPECT_EQ(text_of(good), good);
  }
}

TEST(Markup, SpellsCharactersThatTurnTheDirection) {
  const struct {
    const char *text;
    const char *shown;
  } cases[] = {
      {"\u061C", "\\u061C"}, {"\u200E", "\\u200E"}, {"\u200F", "\\u200F"}, {"\u202A", "\\u202A"}, {"\u202E", "\\u202E"},
      {"\u2066", "\\u2066"}, {"\u2069", "\\u2069"}, {"\u061B", "\u061B"},  {"\u200D", "\u200D"},  {"\u2010", "\u2010"},
      {"\u2029", "\u2029"},  {"\u202F", "\u202F"},  {"\u2065", "\u2065"},  {"\u206A", "\u206A"},
  };
  for (const auto &c : cases) {
    EXPECT_EQ(text_of(c.text), c.shown);
  }
}

TEST(Markup, APercentSignTakesNoArgument) {
  std::string out;
  const rf_sink sink = ringfence::sink_to(&out);
  rf_markup(&sink, "%u%% of %s%%", 50U, "all");
  EXPECT_EQ(out, "50% of all%");
}

} // namespace
