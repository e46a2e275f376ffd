// Requests as an input of a fuzzer: the bytes at each bound. tests/fuzz/trace_seed_test.py has fuzzers read them.
#include "tests/trace/trace_fixture.h"

#include "tools/trace/fuzz_seed.h"

#include <array>
#include <string>
#include <vector>

namespace ringfence_test {
namespace {

using Numbers = std::vector<unsigned>;

// So many blocks of 32 bytes that live at once, and then these requests.
trace trace_of(size_t blocks, const std::vector<trace_op> &more) {
  trace t{};
  for (size_t i = 0; i < blocks; i++) {
    trace_op const op = {TRACE_ALLOC, 0, i, 32, 0, 0};
    trace_add(&t, &op);
  }
  for (const trace_op &op : more) {
    trace_add(&t, &op);
  }
  t.ids = blocks + 1;
  trace_measure(&t);
  return t;
}

Numbers decoded(const std::string &line) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  Numbers out;
  unsigned bits = 0;
  unsigned count = 0;
  for (char const c : line) {
    size_t const digit = digits.find(c);
    if (digit == std::string::npos) {
      break;
    }
    bits = bits << 6 | static_cast<unsigned>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(bits >> count & 0xFF);
    }
  }
  return out;
}

// The problem of the trace. "": there is none, and `last`, of the size that it has now, holds the last bytes.
std::string problem_of(trace t, Numbers *last, const char *allocator = "simple") {
  std::array<char, TRACE_SEED_PROBLEM> problem{};
  std::string line;
  rf_sink const sink = {append, &line};
  bool const good = trace_write_fuzz_seed(&t, allocator, TRACE_SEED_ARENA, &sink, problem.data());
  trace_free(&t);
  Numbers const all = decoded(line);
  if (good && last != nullptr) {
    *last = Numbers(all.end() - static_cast<std::ptrdiff_t>(last->size()), all.end());
  }
  return good ? "" : problem.data();
}

TEST(FuzzSeed, ALengthHasOneTwoOrThreeBytes) {
  const std::vector<std::pair<size_t, Numbers>> cases = {{0, {1}},
                                                         {0x9f, {0x9f}},
                                                         {0xa0, {0xa0, 0xa0}},
                                                         {0x1ff, {0xa1, 0xff}},
                                                         {0x4fff, {0xef, 0xff}},
                                                         {0x5000, {0xf0, 0x00, 0x50}},
                                                         {0xfffff, {0xff, 0xff, 0xff}}};
  for (const auto &[size, length] : cases) {
    Numbers expected = {0, 0}; // an allocation, of a size as it stands
    expected.insert(expected.end(), length.begin(), length.end());
    expected.push_back(1); // to fill it
    Numbers last(expected.size());
    EXPECT_EQ(problem_of(trace_of(0, {{TRACE_ALLOC, 0, 0, size, 0, 0}}), &last), "") << size;
    EXPECT_EQ(last, expected) << size;
  }
  EXPECT_EQ(problem_of(trace_of(0, {{TRACE_ALLOC, 0, 0, 0x100000, 0, 0}}), nullptr),
            "a request is for so many bytes: 1048576; a fuzzer's input takes 1048575 at most");
}

TEST(FuzzSeed, ABlockIsNamedInAsFewBytesAsItsPlaceNeeds) {
  const std::vector<std::pair<size_t, Numbers>> cases = {
      {1, {1, 118}}, {2, {1, 118, 1}}, {256, {1, 118, 255}}, {257, {1, 118, 0, 1}}};
  for (const auto &[blocks, expected] : cases) {
    Numbers last(expected.size());
    EXPECT_EQ(problem_of(trace_of(blocks, {{TRACE_FREE, 0, blocks - 1, 0, 0, 0}}), &last), "");
    EXPECT_EQ(last, expected) << blocks;
  }
}

TEST(FuzzSeed, TakesAsManyBlocksAndRequestsAsAFuzzer) {
  EXPECT_EQ(problem_of(trace_of(511, {}), nullptr), "");
  EXPECT_EQ(problem_of(trace_of(512, {}), nullptr),
            "so many blocks are live at once: 512; a fuzzer's input takes 511 at most");
  const std::vector<trace_op> resized(1999, {TRACE_REALLOC, 0, 0, 8, 0, 0});
  EXPECT_EQ(problem_of(trace_of(1, resized), nullptr), "");
  EXPECT_EQ(problem_of(trace_of(2, resized), nullptr),
            "there are so many requests: 2001; a fuzzer's input takes 2000 at most");
}

TEST(FuzzSeed, SaysWhoseFuzzersRunRequests) {
  EXPECT_EQ(problem_of(trace_of(1, {}), nullptr, "slab"), "");
  EXPECT_EQ(problem_of(trace_of(1, {}), nullptr, "mempool"),
            "no fuzzer runs requests on mempool: use tlsf, simple, smallmem, memheap or slab");
}

} // namespace
} // namespace ringfence_test
