// The writer of traces by itself: its table, places of calls, and each byte of a file.
#include "tests/trace/trace_fixture.h"

#include "checkers/report/crc32.h"
#include "checkers/trace/trace_format.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace ringfence_test {
namespace {

class TraceWriter : public ::testing::Test {
protected:
  TraceWriter() {
    options.sink = {append, &file};
    options.memory = memory.data();
    options.size = memory.size() * sizeof(size_t);
  }

  std::vector<size_t> memory = std::vector<size_t>(4096);
  Bytes file;
  rf_trace_writer w;
  rf_trace_writer_options options{};
};

TEST_F(TraceWriter, GrowsItsTableWithMemoryThatItIsGiven) {
  std::vector<std::unique_ptr<size_t[]>> given;
  std::vector<size_t> least(RF_TRACE_MEMORY_MIN / sizeof(size_t));
  options.memory = least.data();
  options.size = RF_TRACE_MEMORY_MIN;
  options.context = &given;
  options.more = [](void *context, size_t size) {
    auto *const all = static_cast<std::vector<std::unique_ptr<size_t[]>> *>(context);
    all->push_back(std::make_unique<size_t[]>(size / sizeof(size_t)));
    return static_cast<void *>(all->back().get());
  };
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  for (uintptr_t i = 1; i <= 5000; i++) {
    rf_trace_writer_alloc(&w, reinterpret_cast<void *>(i * 16), i, RF_ALIGN_DEFAULT, nullptr, 0);
  }
  for (uintptr_t i = 5000; i > 0; i--) {
    rf_trace_writer_free(&w, reinterpret_cast<void *>(i * 16), nullptr, 0);
  }
  rf_trace_writer_end(&w);
  Parsed const read(file);
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(read.t.peak_blocks, 5000U);
  EXPECT_EQ(read.t.count, 10000U);
  EXPECT_EQ(read.t.lost, 0U);
}

// In whatever order blocks are freed, those that share a way through the table with them are still found.
TEST_F(TraceWriter, FreesBlocksInAnyOrder) {
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  constexpr uintptr_t kMany = 500;
  for (uintptr_t const step : {uintptr_t{1}, uintptr_t{7}, uintptr_t{499}}) {
    for (uintptr_t i = 0; i < kMany; i++) {
      rf_trace_writer_alloc(&w, reinterpret_cast<void *>(16 + i * 16), i, RF_ALIGN_DEFAULT, nullptr, 0);
    }
    for (uintptr_t i = 0; i < kMany; i++) {
      rf_trace_writer_free(&w, reinterpret_cast<void *>(16 + i * step % kMany * 16), nullptr, 0);
    }
  }
  rf_trace_writer_end(&w);
  Parsed const read(file);
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(read.t.count, 3 * 2 * kMany);
  EXPECT_EQ(read.t.peak_blocks, kMany);
  EXPECT_EQ(read.t.lost, 0U);
}

TEST_F(TraceWriter, ResizesInTwoStepsAndAnotherThreadMayHaveTheAddressInBetween) {
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  void *const here = reinterpret_cast<void *>(64);
  void *const there = reinterpret_cast<void *>(128);
  size_t block = 0;
  rf_trace_writer_alloc(&w, here, 10, RF_ALIGN_DEFAULT, nullptr, 0);
  ASSERT_TRUE(rf_trace_writer_take(&w, here, &block));
  EXPECT_FALSE(rf_trace_writer_take(&w, here, &block));
  EXPECT_FALSE(rf_trace_writer_take(&w, nullptr, &block));
  rf_trace_writer_alloc(&w, here, 20, RF_ALIGN_DEFAULT, nullptr, 0); // another thread's
  rf_trace_writer_resized(&w, block, there, 30, RF_ALIGN_DEFAULT, false, nullptr, 0);
  rf_trace_writer_free(&w, here, nullptr, 0);
  rf_trace_writer_free(&w, there, nullptr, 0);
  rf_trace_writer_end(&w);
  Parsed const read(file);
  ASSERT_TRUE(read.good) << read.problem;
  ASSERT_EQ(kinds(read.t), "aarff");
  EXPECT_EQ(read.t.ops[2].id, read.t.ops[0].id);
  EXPECT_EQ(read.t.ops[3].id, read.t.ops[1].id);
  EXPECT_EQ(read.t.peak, 50U);
}

// A block of that address that is still in the table was freed unseen.
TEST_F(TraceWriter, AResizedBlockTakesThePlaceOfOneThatWasFreedUnseen) {
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  void *const here = reinterpret_cast<void *>(64);
  void *const there = reinterpret_cast<void *>(128);
  size_t block = 0;
  rf_trace_writer_alloc(&w, here, 10, RF_ALIGN_DEFAULT, nullptr, 0);
  rf_trace_writer_alloc(&w, there, 20, RF_ALIGN_DEFAULT, nullptr, 0);
  ASSERT_TRUE(rf_trace_writer_take(&w, there, &block));
  rf_trace_writer_resized(&w, block, here, 30, RF_ALIGN_DEFAULT, false, nullptr, 0);
  rf_trace_writer_free(&w, here, nullptr, 0);
  rf_trace_writer_end(&w);
  Parsed const read(file);
  ASSERT_TRUE(read.good) << read.problem;
  ASSERT_EQ(kinds(read.t), "aafrf");
  EXPECT_EQ(read.t.ops[2].id, read.t.ops[0].id);
  EXPECT_EQ(read.t.ops[3].id, read.t.ops[1].id);
  EXPECT_EQ(read.t.ops[4].id, read.t.ops[1].id);
}

// The resized block finds no room again: it is told as freed, and as lost.
TEST_F(TraceWriter, ABlockThatFindsNoRoomAnyMoreIsFreedInTheTrace) {
  std::vector<size_t> least(RF_TRACE_MEMORY_MIN / sizeof(size_t));
  options.memory = least.data();
  options.size = RF_TRACE_MEMORY_MIN;
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  uintptr_t count = 0;
  while (w.lost == 0) {
    count++;
    rf_trace_writer_alloc(&w, reinterpret_cast<void *>(count * 16), count, RF_ALIGN_DEFAULT, nullptr, 0);
  }
  size_t block = 0;
  ASSERT_GT(count, 4U);
  ASSERT_TRUE(rf_trace_writer_take(&w, reinterpret_cast<void *>(3 * 16), &block));
  rf_trace_writer_alloc(&w, reinterpret_cast<void *>(7), 7, RF_ALIGN_DEFAULT, nullptr, 0); // another thread's
  rf_trace_writer_resized(&w, block, reinterpret_cast<void *>(9), 30, RF_ALIGN_DEFAULT, false, nullptr, 0);
  rf_trace_writer_end(&w);
  Parsed const read(file);
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(kinds(read.t), std::string(count, 'a') + "f");
  EXPECT_EQ(read.t.ops[count].id, read.t.ops[2].id);
  EXPECT_EQ(read.t.lost, 2U);
}

// The longest places there are, of any size before them: no chunk is longer than its buffer.
TEST_F(TraceWriter, APlaceIsInOneChunkHoweverLongItIs) {
  struct Longest {
    const rf_trace_writer *writer;
    size_t bytes;
  } longest = {&w, 0};
  std::vector<size_t> little(RF_TRACE_MEMORY_MIN / sizeof(size_t) * 2);
  options.memory = little.data();
  options.size = little.size() * sizeof(size_t);
  options.sink.context = &longest;
  options.sink.write = [](void *context, const char *, size_t size) {
    auto *const l = static_cast<Longest *>(context);
    EXPECT_LE(size, l->writer->capacity == 0 ? size : l->writer->capacity);
    l->bytes += size;
  };
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  std::string const name(1000, 'n');
  for (unsigned i = 0; i < 40; i++) {
    std::string const shorter = name.substr(0, i * 37 % 400);
    rf_site const site = {shorter.c_str(), name.c_str(), i};
    rf_trace where{};
    where.site = &site;
    where.depth = i % 2 == 0 ? RF_TRACE_DEPTH : i % RF_TRACE_DEPTH;
    std::fill(where.frames, where.frames + RF_TRACE_DEPTH, UINTPTR_MAX - i);
    rf_trace_writer_alloc(&w, reinterpret_cast<void *>((i + 1) * 16UL), 10, RF_ALIGN_DEFAULT, &where, 0);
    ASSERT_LE(w.used, w.capacity) << i;
    rf_trace_writer_free(&w, reinterpret_cast<void *>((i + 1) * 16UL), nullptr, 0);
  }
  rf_trace_writer_end(&w);
  EXPECT_GT(longest.bytes, 4000U);
}

// The longest of each that may come last, behind any number of bytes.
TEST_F(TraceWriter, ARequestAModuleAndTheEndAreInOneChunkHoweverLongTheyAre) {
  std::vector<size_t> little(RF_TRACE_MEMORY_MIN / sizeof(size_t));
  std::string const name(1000, 'n');
  size_t longest = 0;
  rf_trace where{};
  where.thread = UINT32_MAX;
  options.memory = little.data();
  options.size = RF_TRACE_MEMORY_MIN;
  options.sink.context = &longest;
  options.sink.write = [](void *context, const char *, size_t size) {
    auto *const l = static_cast<size_t *>(context);
    *l = std::max(*l, size);
  };
  for (unsigned before = 0; before < RF_TRACE_BUFFER_MIN / 2; before++) {
    for (unsigned const last : {0, 1, 2}) {
      ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
      for (unsigned i = 0; i < before; i++) {
        rf_trace_writer_alloc(&w, nullptr, 1, RF_ALIGN_DEFAULT, nullptr, 0);
      }
      if (last == 1) {
        w.lost = UINT64_MAX;
        rf_trace_writer_resized(&w, 1, &w, SIZE_MAX, size_t{1} << 20, false, &where, UINT64_MAX);
      } else if (last == 2) {
        rf_trace_writer_module(&w, UINTPTR_MAX, UINTPTR_MAX, UINTPTR_MAX, name.c_str(), name.c_str());
      }
      ASSERT_LE(w.used, w.capacity) << before << " " << last;
      w.lost--;
      w.requests = UINT64_MAX;
      rf_trace_writer_end(&w);
      ASSERT_LE(longest, w.capacity) << before << " " << last;
    }
  }
}

TEST_F(TraceWriter, WritesReturnAddressesAndTellsOfThemFirst) {
  options.context = &w;
  options.met = [](void *context, const rf_trace *where) {
    EXPECT_EQ(where->frames[1], 0x2000U);
    rf_trace_writer_module(static_cast<rf_trace_writer *>(context), 0x1000, 0x3000, 0x800, "/bin/it", "0abc");
  };
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  rf_trace where{};
  where.depth = 2;
  where.frames[0] = 0x1234;
  where.frames[1] = 0x2000;
  where.thread = 7;
  rf_trace_writer_alloc(&w, &w, 1, RF_ALIGN_DEFAULT, &where, 5000);
  rf_trace_writer_free(&w, &w, &where, 12000);
  rf_trace_writer_end(&w);
  Parsed const read(file);
  ASSERT_TRUE(read.good) << read.problem;
  ASSERT_EQ(read.t.site_count, 2U);
  ASSERT_EQ(read.t.sites[1].depth, 2U);
  EXPECT_EQ(read.t.sites[1].frames[0], 0x1234U);
  EXPECT_EQ(read.t.sites[1].frames[1], 0x2000U);
  ASSERT_EQ(read.t.module_count, 1U);
  EXPECT_EQ(read.t.modules[0].bias, 0x800U);
  EXPECT_STREQ(read.t.modules[0].path, "/bin/it");
  EXPECT_STREQ(read.t.modules[0].build_id, "0abc");
  EXPECT_EQ(read.t.ops[0].thread, 7U);
  EXPECT_EQ(read.t.duration_us, 7U);
}

// Byte by byte as docs/traces.md has it: a reader that was written after the page reads the file.
TEST_F(TraceWriter, WritesTheBytesOfThePage) {
  options.process = 0x01020304;
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  rf_trace where{};
  where.site = &kSite;
  where.depth = 1;
  where.frames[0] = 0x1234;
  where.thread = 7;
  rf_trace_writer_alloc(&w, &w, 300, 256, &where, 1000000);
  rf_trace_writer_alloc(&w, nullptr, 5, RF_ALIGN_DEFAULT, &where, 1000000);
  rf_trace_writer_free(&w, &w, &where, 4000000);
  rf_trace_writer_end(&w);
  Bytes const payload("\x03\x06\x06"
                      "demo.c\x04main\x01\xb4\x24" // a call site: line, file, function, one address
                      "\x05\x07"                   // of thread 7
                      "\x28\xac\x02\x08\x01"       // an allocation: size, log2 of the alignment, site
                      "\x10\x05"                   // one that failed
                      "\x41\xb8\x17\x01"           // a free: 3000 microseconds later, of the last block
                      "\x07\x03",                  // the end: three requests
                      32);
  Bytes header("RFTRACE\n\1\0\0\0\4\3\2\1", 16);
  header += little_endian(rf_crc32(0, header.data(), 16));
  Bytes const number = little_endian(0);
  uint32_t const crc = rf_crc32(rf_crc32(0, number.data(), 4), payload.data(), payload.size());
  EXPECT_EQ(file,
            header + little_endian(static_cast<uint32_t>(payload.size())) + number + little_endian(crc) + payload);
}

TEST_F(TraceWriter, AClockThatGoesBackIsNoTimeThatPassed) {
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  for (uint64_t const now_ns : {UINT64_C(9000000), UINT64_C(4000000), UINT64_C(6000000)}) {
    rf_trace_writer_alloc(&w, nullptr, 1, RF_ALIGN_DEFAULT, nullptr, now_ns);
  }
  rf_trace_writer_end(&w);
  Parsed const read(file);
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(read.t.duration_us, 2000U);
}

// Sites lie as far apart as the addresses to which their calls return.
TEST_F(TraceWriter, KnowsPlacesApartThatDifferInSiteAndFrame) {
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  constexpr unsigned kMany = 8;
  static const rf_site sites[kMany] = {};
  for (const rf_site &site : sites) {
    for (uintptr_t k = 0; k < kMany; k++) {
      rf_trace where{};
      where.site = &site;
      where.depth = 1;
      where.frames[0] = 0x1000 + k * sizeof site;
      rf_trace_writer_alloc(&w, nullptr, 1, RF_ALIGN_DEFAULT, &where, 0);
    }
  }
  rf_trace_writer_end(&w);
  Parsed const read(file);
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(read.t.site_count, kMany * kMany + 1);
}

TEST_F(TraceWriter, AFreeOfNothingIsNoLoss) {
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  rf_trace_writer_free(&w, nullptr, nullptr, 0);
  EXPECT_EQ(w.lost, 0U);
  rf_trace_writer_end(&w);
}

TEST_F(TraceWriter, TellsOfReturnAddressesOnly) {
  unsigned told = 0;
  rf_trace where = {};
  where.site = &kSite;
  options.context = &told;
  options.met = [](void *context, const rf_trace *) { ++*static_cast<unsigned *>(context); };
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  rf_trace_writer_alloc(&w, &told, 1, RF_ALIGN_DEFAULT, &where, 0);
  EXPECT_EQ(told, 0U);
  where.depth = 1;
  where.frames[0] = 0x1000;
  rf_trace_writer_alloc(&w, &where, 1, RF_ALIGN_DEFAULT, &where, 0);
  EXPECT_EQ(told, 1U);
  rf_trace_writer_end(&w);
}

TEST_F(TraceWriter, KeepsTheEndOfALongName) {
  ASSERT_EQ(rf_trace_writer_init(&w, &options), RF_OK);
  std::string const name = std::string(1000, 'x') + "/end.c";
  rf_site const site = {name.c_str(), nullptr, 1};
  rf_trace where{};
  where.site = &site;
  rf_trace_writer_alloc(&w, &w, 1, RF_ALIGN_DEFAULT, &where, 0);
  rf_trace_writer_end(&w);
  Parsed const read(file);
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(std::string(read.t.sites[1].file), name.substr(name.size() - 200));
  EXPECT_STREQ(read.t.sites[1].function, "");
}

} // namespace
} // namespace ringfence_test
