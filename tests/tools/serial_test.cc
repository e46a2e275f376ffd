// The library's serial form, read back: whole, and with lines lost, damaged and repeated.
#include "tools/ringfence/model/serial.h"

#include "checkers/report/crc32.h"
#include "tests/checkers/sample_finding.h"

#include <ringfence/guard_small.h>
#include <ringfence/report_serial.h>

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace ringfence {
namespace {

class Serial : public testing::Test {
protected:
  Serial() {
    serial_.arena = &arena_;
    serial_.finding = [](void *context, rf_record *record) {
      static_cast<Serial *>(context)->findings_.push_back(record);
    };
    serial_.text = [](void *context, const char *line, size_t length) {
      static_cast<Serial *>(context)->texts_.emplace_back(line, length);
    };
    serial_.context = this;
  }
  ~Serial() override { rf_bump_arena_free(&arena_); }

  static std::vector<std::string> sent(const rf_finding &f, const rf_symbolizer *symbolizer = &kSampleSymbolizer) {
    TextSink out;
    rf_report_serial(&f, symbolizer, out.sink());
    std::vector<std::string> lines;
    std::istringstream stream(out.text());
    for (std::string line; std::getline(stream, line);) {
      lines.push_back(line);
    }
    return lines;
  }
  static std::vector<std::string> sent(uint64_t sequence) {
    rf_finding f = sample_finding();
    f.sequence = sequence;
    return sent(f);
  }
  void receive(const std::vector<std::string> &lines) {
    for (const std::string &line : lines) {
      rf_serial_line(&serial_, line.data(), line.size());
    }
  }
  void end() { rf_serial_end(&serial_); }
  std::string detail(size_t i) { return findings_[i]->finding.detail; }

  rf_bump_arena arena_ = {nullptr};
  rf_serial serial_ = {};
  std::vector<rf_record *> findings_;
  std::vector<std::string> texts_;
};

void expect_sample(const rf_record &record) {
  const rf_finding &f = record.finding;
  const rf_finding s = sample_finding();
  EXPECT_EQ(f.bug, s.bug);
  EXPECT_EQ(f.cwe, s.cwe);
  EXPECT_EQ(f.access, s.access);
  EXPECT_EQ(f.access_size, s.access_size);
  EXPECT_EQ(f.address, s.address);
  EXPECT_EQ(f.block, s.block);
  EXPECT_EQ(f.size, s.size);
  EXPECT_EQ(f.blocks, s.blocks);
  EXPECT_EQ(f.offset, s.offset);
  EXPECT_EQ(f.freed, s.freed);
  EXPECT_EQ(f.process, s.process);
  EXPECT_EQ(f.time_ns, s.time_ns);
  EXPECT_STREQ(f.allocator, s.allocator);
  EXPECT_STREQ(f.mode, s.mode);
  EXPECT_STREQ(f.detail, s.detail);
  EXPECT_EQ(f.window_address, s.window_address);
  ASSERT_EQ(f.window_size, s.window_size);
  for (unsigned i = 0; i < s.window_size; i++) {
    EXPECT_EQ(f.window[i], s.window[i]) << i;
    EXPECT_EQ(f.expected[i], s.expected[i]) << i;
    EXPECT_EQ(f.window_class[i], s.window_class[i]) << i;
  }
  ASSERT_NE(f.allocated.site, nullptr);
  EXPECT_STREQ(f.allocated.site->file, "demo.c");
  EXPECT_STREQ(f.allocated.site->function, "open_log");
  EXPECT_EQ(f.allocated.site->line, 12U);
  EXPECT_EQ(f.allocated.thread, 4250U);
  ASSERT_EQ(record.found.count, 3U);
  EXPECT_EQ(f.found.frames[2], s.found.frames[2]);
  EXPECT_STREQ(record.found.frames[0].module, "/home/user/demo");
  EXPECT_STREQ(record.found.frames[0].build_id, "117750dd");
  EXPECT_EQ(record.found.frames[0].offset, 0x1136U);
  EXPECT_STREQ(record.found.frames[1].function, "main");
  EXPECT_STREQ(record.found.frames[2].module, "/lib/libc.so.6");
}

TEST_F(Serial, WhatWasSentArrives) {
  receive(sent(sample_finding()));
  ASSERT_EQ(findings_.size(), 1U) << "handed out at its last line";
  expect_sample(*findings_[0]);
  EXPECT_EQ(serial_.damaged + serial_.incomplete + serial_.missing, 0U);
}

TEST_F(Serial, NegativeOffsetsAndLargeNumbersArrive) {
  rf_finding f = sample_finding();
  f.offset = -7;
  f.address = UINTPTR_MAX;
  f.size = SIZE_MAX;
  f.freed = true;
  receive(sent(f));
  ASSERT_EQ(findings_.size(), 1U);
  EXPECT_EQ(findings_[0]->finding.offset, -7);
  EXPECT_EQ(findings_[0]->finding.address, UINTPTR_MAX);
  EXPECT_EQ(findings_[0]->finding.size, SIZE_MAX);
  EXPECT_TRUE(findings_[0]->finding.freed);
}

TEST_F(Serial, WhatFewFindingsHaveArrives) {
  for (const rf_access access : {RF_ACCESS_UNKNOWN, RF_ACCESS_READ, RF_ACCESS_WRITE, RF_ACCESS_FREE}) {
    rf_finding f = sample_finding();
    f.sequence = 1U + access;
    f.access = access;
    f.at_access = true;
    f.argument = 77;
    f.allocation = "operator new[]";
    f.deallocation = "free";
    receive(sent(f));
    ASSERT_EQ(findings_.size(), 1U + access);
    const rf_finding &found = findings_.back()->finding;
    EXPECT_EQ(found.access, access);
    EXPECT_TRUE(found.at_access);
    EXPECT_EQ(found.argument, 77U);
    EXPECT_STREQ(found.allocation, "operator new[]");
    EXPECT_STREQ(found.deallocation, "free");
  }
}

// Each address is in a module of its own, but for every seventh, which is in none.
bool name_apart(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  auto *const name = static_cast<std::string *>(context);
  *out = {};
  *name = "module " + std::to_string(pc);
  out->module = pc % 7 == 0 ? nullptr : name->c_str();
  out->offset = pc + 1;
  return inlined == 0;
}

TEST_F(Serial, EachFrameMayBeOfAModuleOfItsOwn) {
  rf_finding f = sample_finding();
  uintptr_t pc = 1000;
  for (rf_trace *t : {&f.found, &f.allocated, &f.released}) {
    t->depth = RF_TRACE_DEPTH;
    for (uintptr_t &frame : t->frames) {
      frame = pc++;
    }
  }
  std::string name;
  rf_symbolizer const symbolizer = {name_apart, &name};
  receive(sent(f, &symbolizer));
  ASSERT_EQ(findings_.size(), 1U);
  pc = 1000;
  for (const rf_stack *stack : {&findings_[0]->found, &findings_[0]->allocated, &findings_[0]->released}) {
    ASSERT_EQ(stack->count, unsigned{RF_TRACE_DEPTH});
    for (unsigned i = 0; i < stack->count; i++, pc++) {
      const rf_frame &frame = stack->frames[i];
      EXPECT_EQ(frame.address, pc);
      EXPECT_EQ(frame.module == nullptr ? "" : frame.module, pc % 7 == 0 ? "" : "module " + std::to_string(pc));
      EXPECT_EQ(frame.offset, pc % 7 == 0 ? 0 : pc + 1);
    }
  }
}

TEST_F(Serial, EveryKindArrives) {
  for (unsigned bug = 0; bug < RF_BUG_COUNT; bug++) {
    rf_finding f = {};
    f.bug = static_cast<rf_bug>(bug);
    f.sequence = bug + 1;
    receive(sent(f, nullptr));
    ASSERT_EQ(findings_.size(), bug + 1);
    EXPECT_EQ(findings_[bug]->finding.bug, f.bug);
  }
}

TEST_F(Serial, OtherTextStandsBetweenAndAround) {
  std::vector<std::string> lines;
  for (const std::string &line : sent(sample_finding())) {
    lines.push_back("[12.345] boot: sensor ready #RF");
    lines.push_back("[12.346] " + line + "\r");
    lines.push_back("");
  }
  receive(lines);
  ASSERT_EQ(findings_.size(), 1U);
  expect_sample(*findings_[0]);
  EXPECT_EQ(serial_.damaged, 0U);
}

TEST_F(Serial, TwoRecordsThatAreSentInTurnAreKeptApart) {
  const std::vector<std::string> a = sent(1);
  const std::vector<std::string> b = sent(2);
  std::vector<std::string> mixed;
  for (size_t i = 0; i < a.size(); i++) {
    mixed.push_back(a[i]);
    mixed.push_back(b[i]);
  }
  receive(mixed);
  ASSERT_EQ(findings_.size(), 2U);
  expect_sample(*findings_[0]);
  expect_sample(*findings_[1]);
}

TEST_F(Serial, AnyLineMayBeLost) {
  const std::vector<std::string> whole = sent(sample_finding());
  for (size_t lost = 0; lost < whole.size(); lost++) {
    findings_.clear();
    std::vector<std::string> lines = whole;
    lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(lost));
    receive(lines);
    end();
    ASSERT_EQ(findings_.size(), 1U) << lost;
    EXPECT_EQ(findings_[0]->finding.bug, RF_BUG_BUFFER_OVERFLOW);
    EXPECT_NE(detail(0).find("at least 1 line of this report did not arrive"), std::string::npos) << lost;
    EXPECT_EQ(serial_.incomplete, lost + 1);
  }
}

// One line of each text that several lines hold.
TEST_F(Serial, ATextShowsWhereAPartOfItDidNotArrive) {
  rf_finding f = sample_finding();
  const std::string text = "a text that is so long that one line of the form has no room for it, nor have two of them";
  f.detail = text.c_str();
  const std::vector<std::string> whole = sent(f);
  size_t with_gap = 0;
  for (size_t lost = 0; lost < whole.size(); lost++) {
    findings_.clear();
    std::vector<std::string> lines = whole;
    lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(lost));
    receive(lines);
    end();
    ASSERT_EQ(findings_.size(), 1U) << lost;
    const std::string shown = detail(0).substr(0, detail(0).find("; at least"));
    const size_t gap = shown.find("...");
    const std::string behind = gap == std::string::npos ? shown : shown.substr(gap + 3);
    with_gap += gap != std::string::npos ? 1 : 0;
    EXPECT_EQ(text.rfind(shown.substr(0, gap == std::string::npos ? 0 : gap), 0), 0U) << shown;
    EXPECT_NE(text.find(behind), std::string::npos) << shown;
  }
  EXPECT_GT(with_gap, 0U);
}

TEST_F(Serial, EveryFlippedBitIsNoticed) {
  const std::vector<std::string> whole = sent(sample_finding());
  size_t flips = 0;
  for (size_t i = 4; i < whole[1].size(); i++) {
    for (const char other : {'0', '7', 'f'}) {
      std::string garbled = whole[1];
      if (garbled[i] == other) {
        continue;
      }
      garbled[i] = other;
      rf_serial_line(&serial_, garbled.data(), garbled.size());
      flips++;
    }
  }
  EXPECT_EQ(serial_.damaged, flips);
  EXPECT_EQ(serial_.lines, 0U);
}

TEST_F(Serial, ALineThatIsCutShortOrRunsOnIsDamaged) {
  const std::string line = sent(sample_finding())[0];
  for (size_t length = 4; length < line.size(); length++) {
    rf_serial_line(&serial_, line.data(), length);
  }
  EXPECT_EQ(serial_.damaged, line.size() - 4);
  const std::string longer = line + "00";
  rf_serial_line(&serial_, longer.data(), longer.size());
  EXPECT_EQ(serial_.damaged, line.size() - 3);
  EXPECT_EQ(serial_.lines, 0U);
}

TEST_F(Serial, ALineWithinABrokenLineIsFound) {
  std::vector<std::string> lines = sent(sample_finding());
  lines[1] = lines[0].substr(0, 20) + lines[1];
  receive(lines);
  ASSERT_EQ(findings_.size(), 1U);
  expect_sample(*findings_[0]);
  EXPECT_EQ(serial_.damaged, 1U);
}

TEST_F(Serial, RepeatedLinesCountOnce) {
  std::vector<std::string> lines;
  for (const std::string &line : sent(sample_finding())) {
    lines.push_back(line);
    lines.push_back(line);
  }
  receive(lines);
  end();
  ASSERT_EQ(findings_.size(), 1U);
  expect_sample(*findings_[0]);
}

TEST_F(Serial, ATargetThatStartedAnewBeginsAnew) {
  const std::vector<std::string> lines = sent(sample_finding());
  receive(std::vector<std::string>(lines.begin(), lines.begin() + 3));
  receive(lines);
  ASSERT_EQ(findings_.size(), 2U);
  EXPECT_NE(detail(0).find("did not arrive"), std::string::npos);
  expect_sample(*findings_[1]);
}

TEST_F(Serial, OneLineBehindOtherTextIsOfATargetThatBeganAnew) {
  const std::string line = "#RF:01040100008004040010002044043412000895a7982a";
  receive({line, line, "\r", line, "boot", line, " \t", line, "#R", line});
  EXPECT_EQ(findings_.size(), 3U) << "repeated by the line, and sent by three starts";
}

TEST_F(Serial, AnotherFindingOfTheSameNumberIsNoRepetition) {
  rf_finding other = sample_finding();
  other.address++;
  const std::vector<std::string> lines = sent(sample_finding());
  const std::vector<std::string> after = sent(other);
  ASSERT_NE(lines[0], after[0]);
  receive({lines[0]});
  receive(after);
  end();
  ASSERT_EQ(findings_.size(), 2U);
  EXPECT_EQ(findings_[1]->finding.address, other.address);
  EXPECT_EQ(serial_.incomplete, 1U);
}

TEST_F(Serial, WhatWasSentBeforeTheFirstLineIsNotMissed) {
  receive(sent(7));
  EXPECT_EQ(serial_.missing, 0U);
  receive(sent(8));
  EXPECT_EQ(serial_.missing, 0U);
  receive(sent(10));
  EXPECT_EQ(serial_.missing, 1U);
}

TEST_F(Serial, FindingsWithoutAnEndAreHandedOutInTheirOrder) {
  receive({sent(4)[0]});
  receive({sent(5)[0]});
  receive({sent(6)[0]});
  end();
  ASSERT_EQ(findings_.size(), 3U);
  for (size_t i = 0; i < 3; i++) {
    EXPECT_EQ(findings_[i]->finding.sequence, 4 + i);
  }
}

TEST_F(Serial, FindingsOfWhichNothingCameAreCounted) {
  receive(sent(1));
  receive(sent(5));
  receive(sent(1)); // anew
  receive(sent(2));
  EXPECT_EQ(findings_.size(), 4U);
  EXPECT_EQ(serial_.missing, 3U);
}

TEST_F(Serial, WhatNeverEndsIsHandedOutAtTheEnd) {
  const std::vector<std::string> lines = sent(sample_finding());
  receive(std::vector<std::string>(lines.begin(), lines.end() - 1));
  EXPECT_EQ(findings_.size(), 0U);
  end();
  ASSERT_EQ(findings_.size(), 1U);
}

TEST_F(Serial, TextArrivesWholeOrNotAtAll) {
  TextSink out;
  rf_serial_text s;
  const std::string json = "{\"type\":\"snapshot\",\"name\":\"a longer name than a line holds\"}";
  rf_serial_text_init(&s, out.sink(), 1);
  rf_sink_str(&s.sink, (json + "\n").c_str());
  std::istringstream stream(out.text());
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  receive(lines);
  EXPECT_EQ(texts_, std::vector<std::string>{json});
  texts_.clear();
  lines.erase(lines.begin() + 1);
  receive(lines);
  end();
  EXPECT_TRUE(texts_.empty());
  EXPECT_EQ(serial_.incomplete, 1U);
}

TEST_F(Serial, NoiseBreaksNothing) {
  unsigned const seed = 20261120;
  std::mt19937 random(seed);
  SCOPED_TRACE(seed);
  const std::vector<std::string> whole = sent(sample_finding());
  for (int round = 0; round < 300; round++) {
    std::vector<std::string> lines = whole;
    std::shuffle(lines.begin(), lines.end(), random);
    for (std::string &line : lines) {
      if (random() % 3 == 0) {
        line[random() % line.size()] = static_cast<char>(random());
      }
      if (random() % 5 == 0) {
        line.resize(random() % line.size());
      }
    }
    receive(lines);
  }
  end();
  for (const rf_record *record : findings_) {
    EXPECT_EQ(record->finding.bug, RF_BUG_BUFFER_OVERFLOW);
    EXPECT_LE(record->found.count, static_cast<unsigned>(RF_TRACE_DEPTH));
  }
}

// A line whose only field is `tag`, with `bytes` from `first` on.
std::string line_of(unsigned tag, unsigned first, const std::string &bytes) {
  std::string line = {RF_SERIAL_VERSION, 1 + RF_BUG_LEAK, 1, 0, 0, static_cast<char>(0x80)};
  line += {static_cast<char>(tag), static_cast<char>(bytes.size() + 1), static_cast<char>(first)};
  line += bytes;
  uint32_t const crc = rf_crc32(0, line.data(), line.size());
  for (unsigned i = 0; i < 4; i++) {
    line += static_cast<char>(crc >> 8 * i);
  }
  std::string text = RF_SERIAL_MARK;
  for (char const c : line) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

// Lines may be damaged, or made up.
TEST_F(Serial, NoByteIsBehindTheWindow) {
  const unsigned tags[] = {RF_SERIAL_WINDOW, RF_SERIAL_EXPECTED, RF_SERIAL_CLASSES};
  for (unsigned const tag : tags) {
    receive({line_of(tag, RF_WINDOW - 1, "uuuu")});
  }
  ASSERT_EQ(findings_.size(), 3U);
  EXPECT_EQ(findings_[0]->finding.window[RF_WINDOW - 1], 'u');
  EXPECT_EQ(findings_[0]->finding.expected[0], 0);
  EXPECT_EQ(findings_[1]->finding.expected[RF_WINDOW - 1], 'u');
  EXPECT_EQ(findings_[1]->finding.window_class[0], 0);
  EXPECT_EQ(findings_[2]->finding.window_size, static_cast<unsigned>(RF_WINDOW));
}

// guard_small's: what follows from the numbers is worked out.
TEST_F(Serial, FindingsByNumbersAreWorkedOut) {
  rf_small_finding f = {RF_BUG_BUFFER_OVERFLOW, 0x20001014, 0x20001000, 20, nullptr, nullptr, nullptr};
  uintptr_t const site = 0x8001230;
  memcpy(&f.allocated, &site, sizeof site);
  TextSink out;
  uintptr_t const caller = 0x8004567;
  memcpy(&f.released, &caller, sizeof caller);
  rf_small_finding_write(&f, 3, out.sink());
  std::istringstream stream(out.text());
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  receive(lines);
  ASSERT_EQ(findings_.size(), 1U);
  const rf_finding &found = findings_[0]->finding;
  EXPECT_EQ(found.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(found.cwe, 122U);
  EXPECT_EQ(found.access, RF_ACCESS_WRITE);
  EXPECT_EQ(found.offset, 20);
  EXPECT_EQ(found.size, 20U);
  EXPECT_EQ(found.sequence, 3U);
  EXPECT_EQ(found.blocks, 1U);
  EXPECT_FALSE(found.freed);
  EXPECT_STREQ(found.allocator, "guard_small");
  EXPECT_STREQ(found.mode, "guard");
  EXPECT_EQ(findings_[0]->allocated.site, site);
  EXPECT_EQ(findings_[0]->found.site, 0U);
  EXPECT_EQ(findings_[0]->released.site, 0U);
  ASSERT_EQ(findings_[0]->released.count, 1U);
  EXPECT_EQ(findings_[0]->released.frames[0].address, 0x8004566U) << "code, whose lowest bit is a mark";
  for (const auto &[bug, freed] :
       {std::pair{RF_BUG_USE_AFTER_FREE, true}, {RF_BUG_DOUBLE_FREE, true}, {RF_BUG_BAD_FREE, false}}) {
    TextSink next;
    f.bug = bug;
    f.block = freed ? f.block : 0;
    rf_small_finding_write(&f, 4, next.sink());
    receive({next.text()});
    EXPECT_EQ(findings_.back()->finding.bug, bug);
    EXPECT_EQ(findings_.back()->finding.freed, freed) << rf_bug_name(bug);
    EXPECT_EQ(findings_.back()->finding.blocks, freed ? 1U : 0U) << rf_bug_name(bug);
  }
}

} // namespace
} // namespace ringfence
