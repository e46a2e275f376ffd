// A damaged trace is told by what is wrong with it.
#include "tests/trace/trace_fixture.h"

#include "checkers/report/crc32.h"
#include "checkers/trace/trace_format.h"

#include <array>
#include <random>
#include <string>
#include <utility>

namespace ringfence_test {
namespace {

class BadTrace : public Tracer {
protected:
  // Some of everything, in several chunks.
  Bytes good_file() {
    for (int i = 0; i < 3; i++) {
      EXPECT_EQ(rf_free_at(a, alloc(10, 64, &kSite), &kOther), RF_OK);
      EXPECT_NE(alloc(20), nullptr);
      rf_tracer_flush(&tracer);
    }
    return end();
  }

  static std::string problem_of(const Bytes &bytes) { return Parsed(bytes).problem; }

  // A file of one chunk with that payload.
  static Bytes with_payload(const Bytes &payload) {
    Bytes out(RF_TRACE_MAGIC);
    out += Bytes("\1\0\0\0\0\0\0\0", 8);
    out += little_endian(rf_crc32(0, out.data(), 16));
    out += little_endian(static_cast<uint32_t>(payload.size()));
    Bytes const first = little_endian(0);
    uint32_t const crc = rf_crc32(rf_crc32(0, first.data(), 4), payload.data(), payload.size());
    return out + first + little_endian(crc) + payload;
  }
};

bool begins(const std::string &text, const std::string &part) {
  return text.rfind(part, 0) == 0;
}

TEST_F(BadTrace, CutOffAnywhereSaysWhereOrHasNoEnd) {
  Bytes const whole = good_file();
  Parsed const all(whole);
  ASSERT_TRUE(all.good && all.t.complete) << all.problem;
  size_t at_a_chunk = 0;
  for (size_t size = 0; size < whole.size(); size++) {
    Parsed const cut(whole.substr(0, size));
    EXPECT_FALSE(cut.t.complete) << size;
    EXPECT_LE(cut.t.count, all.t.count);
    at_a_chunk += cut.good ? 1 : 0;
    EXPECT_TRUE(cut.good || begins(cut.problem, "it is") || begins(cut.problem, "it ends")) << cut.problem;
  }
  EXPECT_EQ(at_a_chunk, 4U) << "behind the header, and behind each chunk but the last";
}

TEST_F(BadTrace, AnyChangedByteIsSeen) {
  Bytes const whole = good_file();
  for (size_t at = 0; at < whole.size(); at++) {
    for (int bit = 0; bit < 8; bit++) {
      Bytes changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      EXPECT_NE(problem_of(changed), "") << "byte " << at << ", bit " << bit;
    }
  }
}

TEST_F(BadTrace, SaysWhatIsWrong) {
  Bytes const whole = good_file();
  EXPECT_EQ(problem_of(""), "it is empty");
  EXPECT_EQ(problem_of("#!/bin/sh\necho hello\n"), "it is not a trace: it does not begin with RFTRACE");
  EXPECT_EQ(problem_of(whole.substr(0, 15)), "it ends within its header");
  Bytes newer = whole;
  newer[8] = 2;
  EXPECT_EQ(problem_of(newer), "its header is damaged");
  newer.replace(16, 4, little_endian(rf_crc32(0, newer.data(), 16)));
  EXPECT_EQ(problem_of(newer), "it has version 2 of the format, this command reads version 1");
  Bytes damaged = whole;
  damaged[RF_TRACE_HEADER_BYTES + RF_TRACE_CHUNK_HEADER_BYTES] ^= 1;
  EXPECT_EQ(problem_of(damaged), "chunk 0 is damaged: its check sum is wrong, at byte 20");
  EXPECT_TRUE(begins(problem_of(whole.substr(0, whole.size() - 1)), "it is cut off in chunk 3: "));
  EXPECT_TRUE(begins(problem_of(whole + "x"), "it is cut off in the header of chunk 4, at byte "));
}

TEST_F(BadTrace, SaysWhatIsWrongInsideAChunkThatIsWhole) {
  std::pair<Bytes, const char *> const cases[] = {
      {Bytes("\1\1", 2), "a request names a block that there never was"},
      {Bytes("\0\5\1\1\1\1", 6), "a request names a block that was freed before"},
      {Bytes("\1\0", 2), "a request names a block that there never was"},
      {Bytes("\x20\5\7", 3), "a request names a call site that is not there"},
      {Bytes("\x08\5\x40", 3), "a number is too large"},
      {Bytes("\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11), "a number is too large"},
      {Bytes("\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), "a number is too large"},
      {Bytes("\0\x80", 2), "an event goes beyond its chunk"},
      {Bytes("\3\1\5ab", 5), "an event goes beyond its chunk"},
      {Bytes("\3\1\1a\1b\x7f", 7), "a number is too large"},
      {Bytes("\4\1\2\3\1a", 6), "an event goes beyond its chunk"},
      {Bytes("\x80", 1), "no event begins with 0x80"},
      {Bytes("\x0b", 1), "no event begins with 0x0b"},
      {Bytes("\7\1", 2), "1 requests were recorded, but 0 are there"},
  };
  for (const auto &[payload, problem] : cases) {
    EXPECT_TRUE(begins(problem_of(with_payload(payload)), problem)) << problem_of(with_payload(payload));
  }
  EXPECT_EQ(problem_of(with_payload(Bytes("\0\5\1\1\7\2", 6))), "");
}

TEST_F(BadTrace, TheLargestChunkHasAMebibyte) {
  Bytes threads;
  while (threads.size() < RF_TRACE_CHUNK_MOST) {
    threads += "\5\1";
  }
  EXPECT_EQ(problem_of(with_payload(threads)), "");
  EXPECT_EQ(problem_of(with_payload(threads + "\5\1")), "chunk 0 says that it has 1048578 bytes, at byte 20");
}

// A number has 64 bits: nine bytes of seven, and one bit more.
TEST_F(BadTrace, TheLargestNumberHasTenBytes) {
  Bytes const nine(9, '\xff');
  Parsed const largest(with_payload("\6" + nine + "\1"));
  ASSERT_TRUE(largest.good) << largest.problem;
  EXPECT_EQ(largest.t.lost, UINT64_MAX);
  EXPECT_TRUE(begins(problem_of(with_payload("\6" + nine + "\2")), "a number is too large, at byte 43"));
  Parsed const of_nine(with_payload("\6" + nine.substr(1) + "\x7f"));
  ASSERT_TRUE(of_nine.good) << of_nine.problem;
  EXPECT_EQ(of_nine.t.lost, UINT64_MAX / 2);
}

// A process that failed to exec went on, and was killed.
TEST_F(BadTrace, OnlyAnEndThatIsTheLastEventCounts) {
  EXPECT_TRUE(Parsed(with_payload(Bytes("\7\0", 2))).t.complete);
  EXPECT_FALSE(Parsed(with_payload(Bytes("\7\0\6\1", 4))).t.complete);
  EXPECT_FALSE(Parsed(with_payload(Bytes("\7\0\5\1", 4))).t.complete);
  EXPECT_TRUE(Parsed(with_payload(Bytes("\7\0\5\1\7\0", 6))).t.complete);
}

TEST_F(BadTrace, MissingRequestsAddUp) {
  Parsed const read(with_payload(Bytes("\6\1\6\2", 4)));
  EXPECT_TRUE(read.good) << read.problem;
  EXPECT_EQ(read.t.lost, 3U);
}

TEST_F(BadTrace, TheTimeOfAFailedRequestCounts) {
  Parsed const read(with_payload(Bytes("\x50\5\x08\x40\7\x08", 6)));
  EXPECT_TRUE(read.good) << read.problem;
  EXPECT_EQ(read.t.failures, 1U);
  EXPECT_EQ(read.t.duration_us, 12U);
}

TEST_F(BadTrace, IsWholeIfNothingComesBehindItsEnd) {
  Bytes const request("\0\5", 2);
  EXPECT_TRUE(Parsed(with_payload(request + "\7\1")).t.complete);
  Parsed const more(with_payload(request + "\7\1" + request));
  EXPECT_TRUE(more.good && !more.t.complete) << more.problem;
  EXPECT_TRUE(Parsed(with_payload(request + "\7\1" + request + "\7\2")).t.complete);
}

TEST_F(BadTrace, RandomPayloadsNeverHarm) {
  unsigned const seed = 20261120;
  std::mt19937 random(seed);
  size_t good = 0;
  for (int i = 0; i < 20000; i++) {
    Bytes payload(1 + random() % 40, '\0');
    for (char &c : payload) {
      c = static_cast<char>(random() % 3 == 0 ? random() : random() % 8);
    }
    good += Parsed(with_payload(payload)).good ? 1 : 0;
  }
  EXPECT_GT(good, 0U) << "seed " << seed;
}

TEST_F(BadTrace, AFileThatCannotBeReadIsToldByTheSystemsWords) {
  std::array<char, TRACE_PROBLEM_BYTES> problem{};
  trace t;
  EXPECT_FALSE(trace_read(&t, "/nowhere/at/all", problem.data()));
  EXPECT_STREQ(problem.data(), "it cannot be read: No such file or directory");
  EXPECT_FALSE(trace_read(&t, "/", problem.data()));
  EXPECT_STREQ(problem.data(), "it cannot be read: Is a directory");
}

} // namespace
} // namespace ringfence_test
