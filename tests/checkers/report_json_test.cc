#include <ringfence/report_json.h>

#include "checkers/report/utf8.h"
#include "tests/checkers/json_value.h"
#include "tests/checkers/sample_finding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace ringfence {
namespace {

std::string render(const rf_finding &f, const rf_symbolizer *symbolizer = nullptr) {
  TextSink out;
  rf_report_json(&f, symbolizer, out.sink());
  return out.text();
}

Json parse(const std::string &line) {
  Json value;
  EXPECT_TRUE(Json::parse(line, value)) << line;
  return value;
}

// The documented object, without the line breaks that stand in it for the reader.
std::string joined(const std::string &text) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    out += line.substr(std::min(line.find_first_not_of(' '), line.size()));
  }
  return out + "\n";
}

TEST(ReportJson, IsWrittenAsDocumented) {
  EXPECT_EQ(render(sample_finding(), &kSampleSymbolizer), joined(documented("json")));
}

TEST(ReportJson, IsOneLine) {
  std::string const line = render(sample_finding(), &kSampleSymbolizer);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST(ReportJson, CanBeReadBack) {
  Json const j = parse(render(sample_finding(), &kSampleSymbolizer));
  EXPECT_EQ(j["type"].text, "finding");
  EXPECT_EQ(j["version"].number, 1);
  EXPECT_EQ(j["pid"].number, 4242);
  EXPECT_EQ(j["sequence"].number, 1);
  EXPECT_EQ(j["time_ns"].number, 1234567890);
  EXPECT_EQ(j["bug"].text, "heap-buffer-overflow");
  EXPECT_EQ(j["cwe"].number, 122);
  EXPECT_EQ(j["access"].text, "write");
  EXPECT_EQ(j["access_size"].number, 3);
  EXPECT_EQ(j["address"].text, "0x105e");
  EXPECT_EQ(j["block"].text, "0x1050");
  EXPECT_EQ(j["size"].number, 13);
  EXPECT_EQ(j["blocks"].number, 1);
  EXPECT_EQ(j["freed"].kind, Json::kFalse);
  EXPECT_EQ(j["offset"].number, 14);
  EXPECT_EQ(j["relation"].text, "after");
  EXPECT_EQ(j["distance"].number, 1);
  EXPECT_EQ(j["allocator"].text, "tlsf");
  EXPECT_EQ(j["mode"].text, "guard");
  EXPECT_EQ(j["detail"].text, "guard bytes after the block were overwritten");
  EXPECT_EQ(j["released"].kind, Json::kNothing);
}

TEST(ReportJson, FramesCarryModuleOffsetAndBuildId) {
  Json const frames = parse(render(sample_finding(), &kSampleSymbolizer))["found"]["frames"];
  ASSERT_EQ(frames.items.size(), 3U);
  EXPECT_EQ(frames.items[0]["pc"].text, "0x401136");
  EXPECT_EQ(frames.items[0]["module"].text, "/home/user/demo");
  EXPECT_EQ(frames.items[0]["offset"].text, "0x1136");
  EXPECT_EQ(frames.items[0]["build_id"].text, "117750dd");
  EXPECT_EQ(frames.items[0]["function"].text, "close_log");
  EXPECT_EQ(frames.items[0]["line"].number, 21);
  EXPECT_EQ(frames.items[2]["build_id"].kind, Json::kNothing);
}

TEST(ReportJson, WithoutANamerFramesAreAddresses) {
  Json const frame = parse(render(sample_finding()))["found"]["frames"].items[0];
  EXPECT_EQ(frame.members.size(), 1U);
  EXPECT_EQ(frame["pc"].text, "0x401136");
}

TEST(ReportJson, ASiteIsAnObjectOfItsOwn) {
  Json const allocated = parse(render(sample_finding()))["allocated"];
  EXPECT_EQ(allocated["thread"].number, 4250);
  EXPECT_EQ(allocated["site"]["file"].text, "demo.c");
  EXPECT_EQ(allocated["site"]["line"].number, 12);
  EXPECT_EQ(allocated["site"]["function"].text, "open_log");
  EXPECT_EQ(allocated["frames"].items.size(), 0U);
}

TEST(ReportJson, TheWindowHasALetterForEachByte) {
  Json const window = parse(render(sample_finding()))["window"];
  EXPECT_EQ(window["address"].text, "0x1048");
  EXPECT_EQ(window["bytes"].text.size(), 72U);
  EXPECT_EQ(window["expected"].text.size(), 72U);
  EXPECT_EQ(window["classes"].text, "gggggggguuuuuuuuuuuuug!g!ggggggggggg");
}

TEST(ReportJson, ARequestTurnedAwayHasNoBlock) {
  rf_finding f = {};
  f.bug = RF_BUG_CALLOC_OVERFLOW;
  f.size = SIZE_MAX;
  f.argument = 3;
  Json const j = parse(render(f));
  EXPECT_EQ(j["block"].kind, Json::kNothing);
  EXPECT_EQ(j["offset"].kind, Json::kNothing);
  EXPECT_EQ(j["size"].text, std::to_string(SIZE_MAX));
  EXPECT_EQ(j["argument"].number, 3);
  EXPECT_EQ(j["access"].kind, Json::kNothing);
  EXPECT_EQ(j["window"].kind, Json::kNothing);
}

TEST(ReportJson, NegativeOffsetsKeepTheirSign) {
  rf_finding f = sample_finding();
  f.offset = -7;
  EXPECT_EQ(parse(render(f))["offset"].number, -7);
}

std::string string_of(const char *text) {
  TextSink out;
  rf_json_string(text, out.sink());
  return out.text();
}

TEST(JsonString, EscapesWhatJsonDoesNotAllow) {
  EXPECT_EQ(string_of("a\"b\\c\n\t\x01\x7F"), "\"a\\\"b\\\\c\\u000a\\u0009\\u0001\\u007f\"");
  EXPECT_EQ(string_of(""), "\"\"");
  EXPECT_EQ(string_of(nullptr), "null");
}

TEST(JsonString, WritesTextThatStandsForItselfInOnePiece) {
  std::vector<std::string> pieces;
  rf_sink const sink = {[](void *context, const char *text, size_t length) {
                          static_cast<std::vector<std::string> *>(context)->emplace_back(text, length);
                        },
                        &pieces};
  rf_json_string("a plain ~ text\" \x7F!", &sink);
  EXPECT_EQ(pieces, (std::vector<std::string>{"\"", "a plain ~ text", "\\", "\"", " ", "\\u007f", "!", "\""}));
}

TEST(JsonString, KeepsUtf8) {
  EXPECT_EQ(string_of("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\x9B"), "\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\x9B\"");
}

TEST(JsonString, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(string_of("a\xFF"
                      "b"),
            "\"a\\ufffdb\"");
  EXPECT_EQ(string_of("\xC3"), "\"\\ufffd\"");                       // cut short
  EXPECT_EQ(string_of("\xC0\x80"), "\"\\ufffd\\ufffd\"");            // overlong
  EXPECT_EQ(string_of("\xE0\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\""); // overlong
  EXPECT_EQ(string_of("\xED\xA0\x80"), "\"\\ufffd\\ufffd\\ufffd\""); // a surrogate
  EXPECT_EQ(string_of("\xF4\x90\x80\x80").size(), 2 + 4 * 6U);       // beyond U+10FFFF
  EXPECT_EQ(string_of("\xE2\x82"), "\"\\ufffd\\ufffd\"");            // cut short
}

// `code` as UTF-8 of `length` bytes, which may be more than it needs.
std::string utf8(uint32_t code, unsigned length) {
  static const unsigned char first[] = {0, 0, 0xC0, 0xE0, 0xF0};
  std::string text(1, static_cast<char>(length == 1 ? code : first[length] | code >> 6 * (length - 1)));
  for (unsigned i = length - 1; i > 0; i--) {
    text += static_cast<char>(0x80 | (code >> 6 * (i - 1) & 0x3F));
  }
  return text;
}

TEST(Utf8, IsValidUpToTheLastCodePointWithoutSurrogatesAndInTheShortestForm) {
  auto const length_of = [](const std::string &text) {
    return rf_utf8_length(reinterpret_cast<const unsigned char *>(text.c_str()));
  };
  for (uint32_t code = 1; code < 0x200000; code += code < 0x11000 ? 1 : 0x3F) {
    unsigned const needed = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    bool const valid = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    ASSERT_EQ(length_of(utf8(code, needed)), valid ? needed : 0) << code;
    if (needed > 1) {
      ASSERT_EQ(length_of(utf8(code, needed).substr(0, needed - 1)), 0U) << code;
      ASSERT_EQ(length_of(utf8(code, needed).substr(1)), 0U) << code;
    }
    for (unsigned longer = needed + 1; longer <= 4; longer++) {
      ASSERT_EQ(length_of(utf8(code, longer)), 0U) << code << " in " << longer;
    }
  }
}

// The page's table of kinds: "| heap-buffer-overflow | 122 (126 read) | …".
TEST(Kinds, HaveTheNamesAndCwesOfTheirPage) {
  std::ifstream file("docs/checkers/findings.md");
  std::stringstream text;
  text << file.rdbuf();
  for (unsigned i = 0; i < RF_BUG_COUNT; i++) {
    auto const bug = static_cast<rf_bug>(i);
    std::string const head = std::string("\n| ") + rf_bug_name(bug) + " | ";
    size_t const at = text.str().find(head);
    ASSERT_NE(at, std::string::npos) << rf_bug_name(bug);
    std::string const cell = text.str().substr(at + head.size(), 20);
    unsigned const cwe = static_cast<unsigned>(std::stoul(cell));
    bool const has_read = cell.find(" read)") < cell.find('|');
    unsigned const read = has_read ? static_cast<unsigned>(std::stoul(cell.substr(cell.find('(') + 1))) : cwe;
    EXPECT_EQ(rf_bug_cwe(bug, RF_ACCESS_WRITE), cwe) << rf_bug_name(bug);
    EXPECT_EQ(rf_bug_cwe(bug, RF_ACCESS_READ), read) << rf_bug_name(bug);
  }
}

} // namespace
} // namespace ringfence
