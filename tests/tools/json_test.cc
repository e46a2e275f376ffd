#include "tools/ringfence/base/json.h"

#include <gtest/gtest.h>
#include <string>

namespace {

class Json : public testing::Test {
protected:
  ~Json() override { rf_bump_arena_free(&arena_); }
  const rf_json *parse(const std::string &text) { return rf_json_parse(&arena_, text.data(), text.size()); }

private:
  rf_bump_arena arena_ = {nullptr};
};

TEST_F(Json, ReadsMembersOfAnObject) {
  const rf_json *const o = parse(R"( {"bug":"double-free","size":13,"offset":-4,"freed":true,"site":null} )");
  ASSERT_NE(o, nullptr);
  EXPECT_STREQ(rf_json_text(o, "bug", ""), "double-free");
  EXPECT_EQ(rf_json_unsigned(o, "size", 0), 13u);
  EXPECT_EQ(rf_json_signed(o, "offset", 0), -4);
  EXPECT_TRUE(rf_json_bool(o, "freed", false));
  EXPECT_EQ(rf_json_member(o, "site")->type, RF_JSON_NULL);
}

TEST_F(Json, AnswersForWhatIsAbsentOrOfAnotherType) {
  const rf_json *const o = parse(R"({"size":13,"name":"x","n":-1,"big":"18446744073709551616"})");
  EXPECT_STREQ(rf_json_text(o, "size", "none"), "none");
  EXPECT_EQ(rf_json_unsigned(o, "name", 7), 7u);
  EXPECT_EQ(rf_json_unsigned(o, "n", 7), 7u);
  EXPECT_EQ(rf_json_unsigned(o, "big", 7), 7u);
  EXPECT_TRUE(rf_json_bool(o, "size", true));
  EXPECT_EQ(rf_json_member(nullptr, "size"), nullptr);
}

TEST_F(Json, AListIsAnArray) {
  const rf_json *const o = parse(R"({"list":[5,6],"empty":[],"object":{"a":1},"text":"x"})");
  ASSERT_NE(rf_json_list(o, "list"), nullptr);
  EXPECT_STREQ(rf_json_list(o, "list")->text, "5");
  for (const char *const name : {"empty", "object", "text", "absent"}) {
    EXPECT_EQ(rf_json_list(o, name), nullptr) << name;
  }
}

TEST_F(Json, CountsTheElementsOfAList) {
  const rf_json *const v = parse(R"({"none":[],"one":[1],"three":[1,[2,3],{}]})");
  ASSERT_NE(v, nullptr);
  EXPECT_EQ(rf_json_length(rf_json_list(v, "none")), 0U);
  EXPECT_EQ(rf_json_length(rf_json_list(v, "one")), 1U);
  EXPECT_EQ(rf_json_length(rf_json_list(v, "three")), 3U);
}

TEST_F(Json, KeepsAddressesExact) {
  const rf_json *const o = parse(R"({"address":"0xffffffffffffffff","time":18446744073709551615})");
  EXPECT_EQ(rf_json_unsigned(o, "address", 0), UINT64_MAX);
  EXPECT_EQ(rf_json_unsigned(o, "time", 0), UINT64_MAX);
}

TEST_F(Json, ChainsTheElementsOfAnArray) {
  const rf_json *const a = parse("[1, [], {\"x\":[2]}]");
  ASSERT_NE(a, nullptr);
  EXPECT_STREQ(a->first->text, "1");
  EXPECT_EQ(a->first->next->type, RF_JSON_ARRAY);
  EXPECT_EQ(a->first->next->first, nullptr);
  EXPECT_STREQ(rf_json_member(a->first->next->next, "x")->first->text, "2");
  EXPECT_EQ(a->first->next->next->next, nullptr);
}

TEST_F(Json, DecodesEscapes) {
  EXPECT_STREQ(parse(R"("a\"b\\c\/d\b\f\n\r\te")")->text, "a\"b\\c/d\b\f\n\r\te");
  EXPECT_STREQ(parse(R"("\u00e9\u20ac\ud83d\ude00")")->text, "é€😀");
  EXPECT_STREQ(parse(R"("\ud83dx \u0000")")->text, "\xEF\xBF\xBDx \xEF\xBF\xBD");
}

TEST_F(Json, OnlyAHighSurrogateTakesTheNextUnitAlong) {
  EXPECT_STREQ(parse(R"("\ud7ff\u0041")")->text, "\xED\x9F\xBF"
                                                 "A");
  EXPECT_STREQ(parse(R"("\ud800\udc00")")->text, "\xF0\x90\x80\x80");
  EXPECT_STREQ(parse(R"("\udbff\udfff")")->text, "\xF4\x8F\xBF\xBF");
  EXPECT_STREQ(parse(R"("\ud800\udbff")")->text, "\xEF\xBF\xBD");
  EXPECT_STREQ(parse(R"("\ud800\ue000")")->text, "\xEF\xBF\xBD");
  EXPECT_STREQ(parse(R"("\udc00\u0041")")->text, "\xEF\xBF\xBD"
                                                 "A");
  EXPECT_STREQ(parse(R"("\udfff\u0041")")->text, "\xEF\xBF\xBD"
                                                 "A");
  EXPECT_STREQ(parse(R"("\ue000\u0041")")->text, "\xEE\x80\x80"
                                                 "A");
}

TEST_F(Json, RefusesAControlCharacterWhereverItStands) {
  for (size_t length = 1; length <= 20; length++) {
    for (size_t at = 0; at < length; at++) {
      for (const int c : {0x00, 0x01, 0x1F, 0x20, 0x21, 0x7F, 0x80, 0x9F, 0xA0, 0xFF}) {
        std::string inner(length, 'x');
        inner[at] = static_cast<char>(c);
        for (const std::string &end : {std::string(), std::string("\\n")}) {
          const rf_json *const value = parse('"' + inner + end + '"');
          ASSERT_EQ(value == nullptr, c < 0x20) << length << " " << at << " " << c;
          if (value != nullptr) {
            EXPECT_EQ(value->text, inner + (end.empty() ? "" : "\n"));
          }
        }
      }
    }
  }
}

TEST_F(Json, RefusesWhatIsNotJson) {
  for (const char *const text :
       {"",   "{",  "[1,]",   "{\"a\"}", "{\"a\":1,}", "nul",    "01",  "1.",    ".5",    "1e",       "-",
        "+1", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"",  "\"\n\"", "1 2", "{a:1}", "['a']", "truefalse"}) {
    EXPECT_EQ(parse(text), nullptr) << text;
  }
}

TEST_F(Json, ListsSideBySideAreNotNested) {
  std::string lists;
  for (int i = 0; i < 100; i++) {
    lists += "[1],{\"a\":1},";
  }
  EXPECT_NE(parse('[' + lists + "[]]"), nullptr);
}

TEST_F(Json, RefusesDeepNestingInsteadOfOverflowingTheStack) {
  EXPECT_NE(parse(std::string(64, '[') + std::string(64, ']')), nullptr);
  EXPECT_EQ(parse(std::string(65, '[') + std::string(65, ']')), nullptr);
  EXPECT_EQ(parse(std::string(100000, '[')), nullptr);
}

TEST_F(Json, StopsAtEveryTruncation) {
  const std::string whole = R"({"a":[1.5e3,"x\u00e9\n",true,null,{"b":-2}]})";
  ASSERT_NE(parse(whole), nullptr);
  for (size_t length = 0; length < whole.size(); length++) {
    EXPECT_EQ(parse(whole.substr(0, length)), nullptr) << length;
  }
}

} // namespace
