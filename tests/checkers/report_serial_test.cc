// The serial form as it goes over the line. //tests/tools:serial_test reads it back.
#include <ringfence/report_serial.h>

#include "checkers/report/crc32.h"
#include "tests/checkers/sample_finding.h"

#include <gtest/gtest.h>

#include <cstring>

namespace ringfence {
namespace {

std::vector<std::string> lines_of(const std::string &text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::string render(const rf_finding &f, const rf_symbolizer *symbolizer = nullptr) {
  TextSink out;
  rf_report_serial(&f, symbolizer, out.sink());
  return out.text();
}

unsigned byte_at(const std::string &line, size_t index) {
  return static_cast<unsigned>(std::stoul(line.substr(4 + 2 * index, 2), nullptr, 16));
}

TEST(ReportSerial, TheChecksumIsThatOfZip) {
  EXPECT_EQ(rf_crc32(0, "123456789", 9), 0xCBF43926U);
  uint32_t const half = rf_crc32(0, "1234", 4);
  EXPECT_EQ(rf_crc32(half, "56789", 5), 0xCBF43926U);
}

// The finding that docs/reports.md shows.
rf_finding documented_finding() {
  static const rf_site site = {"demo.c", "open_log", 12};
  rf_finding f = {};
  f.bug = RF_BUG_DOUBLE_FREE;
  f.cwe = 415;
  f.access = RF_ACCESS_FREE;
  f.address = 0x20001050;
  f.block = 0x20001050;
  f.size = 13;
  f.blocks = 1;
  f.freed = true;
  f.allocated.site = &site;
  f.allocator = "tlsf";
  f.mode = "guard";
  f.sequence = 1;
  return f;
}

TEST(ReportSerial, IsWrittenAsDocumented) {
  std::ifstream file("docs/reports.md");
  std::string shown;
  for (std::string line; std::getline(file, line);) {
    shown += line.rfind(RF_SERIAL_MARK, 0) == 0 ? line + "\n" : "";
  }
  EXPECT_EQ(render(documented_finding()), shown);
}

TEST(ReportSerial, EachLineIsShortAndHexadecimal) {
  for (const std::string &line : lines_of(render(sample_finding(), &kSampleSymbolizer))) {
    EXPECT_LT(line.size(), static_cast<size_t>(RF_SERIAL_LINE));
    EXPECT_EQ(line.rfind("#RF:", 0), 0U);
    EXPECT_EQ(line.substr(4).find_first_not_of("0123456789abcdef"), std::string::npos) << line;
    EXPECT_EQ(line.size() % 2, 0U);
  }
}

TEST(ReportSerial, EachLineSaysKindRecordAndIndexAndTheLastOneThatItIs) {
  rf_finding f = sample_finding();
  f.sequence = 0x0203;
  const std::vector<std::string> lines = lines_of(render(f));
  ASSERT_GT(lines.size(), 3U);
  for (size_t i = 0; i < lines.size(); i++) {
    EXPECT_EQ(byte_at(lines[i], 0), 1U);
    EXPECT_EQ(byte_at(lines[i], 1), 1U + RF_BUG_BUFFER_OVERFLOW);
    EXPECT_EQ(byte_at(lines[i], 2), 3U);
    EXPECT_EQ(byte_at(lines[i], 3), 2U);
    EXPECT_EQ(byte_at(lines[i], 4), i);
    EXPECT_EQ(byte_at(lines[i], 5), i + 1 == lines.size() ? 0x80U : 0U);
  }
}

TEST(ReportSerial, EachLineIsPutOutAtOnce) {
  struct Counter {
    size_t writes = 0;
    static void write(void *context, const char *text, size_t size) {
      static_cast<Counter *>(context)->writes++;
      EXPECT_EQ(text[size - 1], '\n');
    }
  } counter;
  rf_sink const sink = {Counter::write, &counter};
  rf_finding const f = sample_finding();
  rf_report_serial(&f, nullptr, &sink);
  EXPECT_EQ(counter.writes, lines_of(render(f)).size());
}

TEST(ReportSerial, AFindingWithNothingInItIsOneLine) {
  rf_finding f = {};
  f.bug = RF_BUG_DOUBLE_FREE;
  f.sequence = 7;
  EXPECT_EQ(lines_of(render(f)).size(), 1U);
}

// Wherever in a line the bytes begin.
TEST(ReportSerial, TheBytesFoundTakeUpWhatTheTextBeforeThemLeaves) {
  rf_finding f = documented_finding();
  f.window_address = f.block;
  f.window_size = RF_WINDOW;
  size_t fewest = SIZE_MAX;
  size_t most = 0;
  for (size_t length = 0; length < 2 * RF_SERIAL_DATA; length++) {
    std::string const detail(length, 'x');
    f.detail = detail.c_str();
    std::vector<std::string> const lines = lines_of(render(f));
    for (const std::string &line : lines) {
      EXPECT_LT(line.size(), static_cast<size_t>(RF_SERIAL_LINE)) << length;
    }
    size_t const free_of_text = lines.size() - length / (RF_SERIAL_DATA - 2);
    fewest = std::min(fewest, free_of_text);
    most = std::max(most, free_of_text);
  }
  EXPECT_LE(most - fewest, 2U) << "a line ends where nothing more fits";
}

// A piece of it goes into a line that has room for four letters, and none into one with less.
TEST(ReportSerial, ATextBeginsInALineThatHasRoomForFourLetters) {
  rf_finding f = {};
  f.bug = RF_BUG_DOUBLE_FREE;
  std::string const allocator(10, 'a');
  f.allocator = allocator.c_str();
  for (size_t length = 1; length <= RF_SERIAL_DATA - 2; length++) {
    std::string const detail(length, 'x');
    f.detail = detail.c_str();
    size_t const left = RF_SERIAL_DATA - (2 + length);
    size_t const first = left < 2 + 4 ? 2 + length : left < 2 + allocator.size() ? RF_SERIAL_DATA : 0;
    std::vector<std::string> const lines = lines_of(render(f));
    ASSERT_EQ(lines.size(), first != 0 ? 2U : 1U) << length;
    if (first != 0) {
      size_t const bytes = RF_SERIAL_HEAD + first + RF_SERIAL_CRC;
      EXPECT_EQ(lines[0].size(), std::strlen(RF_SERIAL_MARK) + 2 * bytes) << length;
    }
  }
}

TEST(ReportSerial, LongTextsAndFullStacksFit) {
  std::string const file(3000, 'f');
  rf_site const site = {file.c_str(), "function", 12};
  rf_finding f = sample_finding();
  f.found.depth = RF_TRACE_DEPTH;
  f.allocated.site = &site;
  for (unsigned i = 0; i < RF_TRACE_DEPTH; i++) {
    f.found.frames[i] = UINTPTR_MAX - i;
  }
  for (const std::string &line : lines_of(render(f, &kSampleSymbolizer))) {
    EXPECT_LT(line.size(), static_cast<size_t>(RF_SERIAL_LINE));
  }
}

TEST(SerialText, EachLineOfTextIsARecord) {
  TextSink out;
  rf_serial_text s;
  rf_serial_text_init(&s, out.sink(), 5);
  rf_sink_str(&s.sink, "{\"type\":\"snapshot\",\"version\":1}\n{}\n");
  const std::vector<std::string> lines = lines_of(out.text());
  ASSERT_EQ(lines.size(), 3U); // 31 bytes are two lines
  EXPECT_EQ(byte_at(lines[0], 1), 0U);
  EXPECT_EQ(byte_at(lines[0], 2), 5U);
  EXPECT_EQ(byte_at(lines[1], 2), 5U);
  EXPECT_EQ(byte_at(lines[1], 4), 1U);
  EXPECT_EQ(byte_at(lines[1], 5), 0x80U);
  EXPECT_EQ(byte_at(lines[2], 2), 6U);
  EXPECT_EQ(byte_at(lines[2], 4), 0U) << "each record counts its lines from 0";
  EXPECT_EQ(byte_at(lines[2], 5), 0x80U);
}

} // namespace
} // namespace ringfence
