// Traces: what a recorder writes is what the reader reads, and a damaged file is told by what is wrong with it.
#include "checkers/report/crc32.h"
#include "tools/trace/read.h"
#include "tools/trace/synthetic.h"
#include "tools/trace/write.h"

#include "checkers/trace/trace_format.h"
#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <memory>
#include <random>
#include <ringfence/tlsf.h>
#include <ringfence/trace.h>
#include <string>
#include <vector>

namespace {

using Bytes = std::string;

void append(void *context, const char *bytes, size_t size) {
  static_cast<Bytes *>(context)->append(bytes, size);
}

// The result of trace_parse, freed at its end.
struct Parsed {
  explicit Parsed(const Bytes &bytes) {
    good = trace_parse(&t, reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size(), text.data());
    problem = good ? "" : text.data();
  }
  ~Parsed() { trace_free(&t); }
  Parsed(const Parsed &) = delete;
  Parsed &operator=(const Parsed &) = delete;

  std::array<char, TRACE_PROBLEM_BYTES> text{};
  trace t{};
  bool good;
  std::string problem;
};

std::string kinds(const trace &t) {
  std::string out;
  for (size_t i = 0; i < t.count; i++) {
    out += "afr"[t.ops[i].kind];
  }
  return out;
}

Bytes little_endian(uint32_t value) {
  Bytes out;
  for (int i = 0; i < 4; i++) {
    out += static_cast<char>(value >> 8 * i);
  }
  return out;
}

const rf_site kSite = {"demo.c", "main", 6};
const rf_site kOther = {"other.c", "work", 60};

class Tracer : public testing::Test {
protected:
  void SetUp() override { begin(1 << 16); }

  void TearDown() override { rf_deinit(a); }

  void begin(size_t bytes) {
    memory = std::make_unique<size_t[]>(bytes / sizeof(size_t));
    rf_tracer_options const options = {{append, &file}, memory.get(), bytes};
    ASSERT_EQ(rf_tlsf_init(&heap, arena.data(), arena.size()), RF_OK);
    ASSERT_EQ(rf_tracer_init(&tracer, &heap.base, &options), RF_OK);
    a = &tracer.base;
  }

  void *alloc(size_t size, size_t align = RF_ALIGN_DEFAULT, const rf_site *site = &kSite) {
    return rf_alloc_at(a, size, align, site);
  }

  // All that was recorded.
  Bytes end() {
    rf_deinit(a);
    return file;
  }

  std::vector<unsigned char> arena = std::vector<unsigned char>(1 << 16);
  std::unique_ptr<size_t[]> memory;
  rf_tlsf heap{};
  rf_tracer tracer{};
  rf_allocator *a = nullptr;
  Bytes file;
};

TEST_F(Tracer, RecordsKindSizeAlignmentBlockSiteAndThread) {
  void *const first = alloc(13);
  void *const second = alloc(100, 256, &kOther);
  void *const grown = rf_realloc_at(a, first, 40, RF_ALIGN_DEFAULT, &kOther);
  EXPECT_EQ(rf_free_at(a, second, &kSite), RF_OK);
  ASSERT_NE(grown, nullptr);
  Parsed const p(end());
  ASSERT_TRUE(p.good) << p.problem;
  ASSERT_EQ(kinds(p.t), "aarf");
  const trace_op *const ops = p.t.ops;
  EXPECT_EQ(ops[0].size, 13U);
  EXPECT_EQ(ops[0].align, 0U);
  EXPECT_EQ(ops[1].size, 100U);
  EXPECT_EQ(ops[1].align, 256U);
  EXPECT_EQ(ops[2].size, 40U);
  EXPECT_EQ(ops[2].id, ops[0].id);
  EXPECT_EQ(ops[3].id, ops[1].id);
  EXPECT_NE(ops[0].id, ops[1].id);
  EXPECT_EQ(ops[0].site, ops[3].site);
  EXPECT_EQ(ops[1].site, ops[2].site);
  EXPECT_STREQ(p.t.sites[ops[0].site].file, "demo.c");
  EXPECT_STREQ(p.t.sites[ops[0].site].function, "main");
  EXPECT_EQ(p.t.sites[ops[0].site].line, 6U);
  EXPECT_STREQ(p.t.sites[ops[1].site].file, "other.c");
  EXPECT_EQ(p.t.site_count, 3U) << "two, and the one that is not known";
  EXPECT_NE(ops[0].thread, 0U);
  EXPECT_EQ(p.t.peak, 140U);
  EXPECT_EQ(p.t.peak_blocks, 2U);
  EXPECT_TRUE(p.t.complete);
  EXPECT_EQ(p.t.lost, 0U);
}

TEST_F(Tracer, ChangesNothing) {
  void *const p = alloc(10);
  EXPECT_TRUE(rf_owns(a, p));
  EXPECT_EQ(rf_usable_size(a, p), rf_usable_size(&heap.base, p));
  EXPECT_EQ(rf_inner(a), &heap.base);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  rf_stats s;
  rf_stats_get(a, &s);
  EXPECT_EQ(s.used, 10U);
  EXPECT_EQ(rf_free(&heap.base, p), RF_OK) << "the block is the heap's own";
}

TEST_F(Tracer, CountsARequestThatWasNotServedAndMakesNoBlockOfIt) {
  void *const p = alloc(10);
  EXPECT_EQ(alloc(1 << 20), nullptr);
  EXPECT_EQ(rf_realloc_at(a, p, 1 << 20, RF_ALIGN_DEFAULT, &kSite), nullptr);
  EXPECT_EQ(rf_free_at(a, p, &kSite), RF_OK);
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(kinds(read.t), "af");
  EXPECT_EQ(read.t.failures, 2U);
  EXPECT_EQ(read.t.peak, 10U);
}

TEST_F(Tracer, EndsOnce) {
  (void)alloc(10);
  Bytes const once = end();
  rf_deinit(a);
  EXPECT_EQ(file, once);
}

TEST_F(Tracer, HandsRejectedRequestsOn) {
  static size_t rejected;
  rf_allocator_ops ops = *heap.base.ops;
  ops.reject = [](rf_allocator *, rf_reject, size_t size, size_t, const rf_site *) { rejected = size; };
  heap.base.ops = &ops;
  EXPECT_EQ(alloc(SIZE_MAX), nullptr);
  EXPECT_EQ(rejected, SIZE_MAX);
  (void)end();
}

TEST_F(Tracer, DoesNotRecordARefusedFree) {
  rf_fault_scope scope;
  rf_fault_scope_enter(
      &scope, [](const rf_fault *, void *) {}, nullptr);
  void *const p = alloc(10);
  EXPECT_EQ(rf_free_at(a, p, &kSite), RF_OK);
  EXPECT_NE(rf_free_at(a, p, &kSite), RF_OK);
  EXPECT_NE(rf_free_at(a, &scope, &kSite), RF_OK);
  rf_fault_scope_leave(&scope);
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(kinds(read.t), "af");
}

TEST_F(Tracer, RecordsAResizeInPlaceThatSucceeds) {
  void *const p = alloc(100);
  void *const wall = alloc(100);
  EXPECT_EQ(rf_resize_at(a, p, 50, &kSite), RF_OK);
  EXPECT_NE(rf_resize_at(a, p, 5000, &kSite), RF_OK);
  EXPECT_EQ(rf_free_at(a, wall, &kSite), RF_OK);
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(kinds(read.t), "aarf");
  EXPECT_EQ(read.t.ops[2].size, 50U);
}

TEST_F(Tracer, KnowsABlockThatItMissedTheFreeOf) {
  void *const p = alloc(64);
  EXPECT_EQ(rf_free(&heap.base, p), RF_OK); // behind its back
  ASSERT_EQ(alloc(64), p);
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(kinds(read.t), "afa");
}

TEST_F(Tracer, LeavesOutWhatItsTableHasNoRoomFor) {
  rf_deinit(a);
  file.clear();
  begin(RF_TRACE_MEMORY_MIN);
  std::vector<void *> blocks;
  for (int i = 0; i < 100; i++) {
    blocks.push_back(alloc(8));
  }
  for (void *const p : blocks) {
    EXPECT_EQ(rf_free_at(a, p, &kSite), RF_OK);
  }
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(read.t.peak_blocks, 12U) << "three quarters of 16 slots";
  EXPECT_EQ(read.t.lost, 88U);
  EXPECT_EQ(kinds(read.t), std::string(12, 'a') + std::string(12, 'f'));
}

TEST_F(Tracer, WritesInChunksAsItsBufferFills) {
  size_t const header = file.size();
  EXPECT_EQ(header, RF_TRACE_HEADER_BYTES);
  for (int i = 0; i < 20000; i++) {
    EXPECT_EQ(rf_free_at(a, alloc(8), &kSite), RF_OK);
  }
  EXPECT_GT(file.size(), size_t{60000});
  EXPECT_LT(file.size(), size_t{40000} * 6);
  Parsed const before(file);
  EXPECT_TRUE(before.good) << before.problem;
  EXPECT_FALSE(before.t.complete) << "what is in the buffer is missing";
  size_t const so_far = before.t.count;
  rf_tracer_flush(&tracer);
  Parsed const flushed(file);
  EXPECT_GT(flushed.t.count, so_far);
  EXPECT_FALSE(flushed.t.complete);
  Parsed const all(end());
  EXPECT_EQ(all.t.count, 40000U);
  EXPECT_TRUE(all.t.complete);
}

TEST_F(Tracer, RefusesTooLittleMemory) {
  rf_tracer other;
  rf_tracer_options options = {{append, &file}, memory.get(), RF_TRACE_MEMORY_MIN - 1};
  EXPECT_EQ(rf_tracer_init(&other, &heap.base, &options), RF_ERR_INVALID);
  options = {{append, &file}, reinterpret_cast<char *>(memory.get()) + 1, 1 << 15};
  EXPECT_EQ(rf_tracer_init(&other, &heap.base, &options), RF_ERR_INVALID);
  options = {{nullptr, nullptr}, memory.get(), 1 << 15};
  EXPECT_EQ(rf_tracer_init(&other, &heap.base, &options), RF_ERR_INVALID);
  EXPECT_EQ(rf_tracer_init(&other, &heap.base, nullptr), RF_ERR_INVALID);
}

// ---- The writer ----

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

// A block is allocated once before it is freed, of a size that can be; the peak is that of the sums.
void expect_to_add_up(trace *t, size_t largest) {
  std::vector<size_t> live(t->ids);
  size_t bytes = 0;
  size_t peak = 0;
  ASSERT_NE(t->count, 0U);
  for (size_t i = 0; i < t->count; i++) {
    const trace_op &op = t->ops[i];
    ASSERT_LT(op.id, t->ids);
    ASSERT_EQ(op.kind == TRACE_ALLOC, live[op.id] == 0) << t->name << ", operation " << i;
    ASSERT_TRUE(op.kind == TRACE_FREE ? op.size == 0 : op.size != 0 && op.size <= largest) << t->name << ", " << i;
    bytes += op.size - live[op.id];
    live[op.id] = op.size;
    peak = std::max(peak, bytes);
  }
  EXPECT_EQ(t->peak, peak) << t->name;
  trace_free(t);
}

TEST(MadeUpTraces, AddUp) {
  for (size_t kind = 0; kind < trace_kinds(); kind++) {
    trace made = trace_make(kind, 1);
    EXPECT_STREQ(made.name, trace_name(kind));
    expect_to_add_up(&made, SIZE_MAX);
  }
  trace random = trace_make_random(3, 5000, 100, 4096);
  expect_to_add_up(&random, 4096);
  trace comb = trace_make_comb(3, 50, 4096);
  expect_to_add_up(&comb, 4096);
  trace again = trace_make_comb(3, 50, 4096);
  trace other = trace_make_comb(4, 50, 4096);
  EXPECT_EQ(again.count, other.count);
  EXPECT_NE(again.peak, other.peak) << "another seed";
  EXPECT_EQ(again.count, 300U) << "each block is allocated and freed";
  trace_free(&again);
  trace_free(&other);
}

TEST_F(TraceWriter, WritesAMadeUpTraceThatReadsTheSame) {
  trace made = trace_make(6, 1);
  std::string const path = testing::TempDir() + "trace_test.rft";
  ASSERT_TRUE(trace_write(&made, path.c_str()));
  std::array<char, TRACE_PROBLEM_BYTES> problem{};
  trace read;
  ASSERT_TRUE(trace_read(&read, path.c_str(), problem.data())) << problem.data();
  ASSERT_EQ(read.count, made.count);
  EXPECT_EQ(read.peak, made.peak);
  for (size_t i = 0; i < made.count; i++) {
    ASSERT_EQ(read.ops[i].kind, made.ops[i].kind);
    ASSERT_EQ(read.ops[i].size, made.ops[i].size);
  }
  trace_free(&made);
  trace_free(&read);
}

TEST_F(TraceWriter, SaysWhereAMadeUpTraceCannotBeWritten) {
  trace made = trace_make(6, 1);
  EXPECT_FALSE(trace_write(&made, "/nowhere/trace"));
  EXPECT_FALSE(trace_write(&made, "/dev/full"));
  trace_cut(&made, 3);
  EXPECT_FALSE(trace_write(&made, "/dev/full")) << "as little as is written at the end";
  trace_free(&made);
}

// ---- Bad files ----

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

TEST(TraceCut, LeavesTheFirstRequestsAndTheirPeaks) {
  trace t = trace_make(0, 1);
  trace_cut(&t, 10);
  EXPECT_EQ(t.count, 10U);
  size_t live = 0;
  size_t blocks = 0;
  for (size_t i = 0; i < 10; i++) {
    live += t.ops[i].size;
    blocks += t.ops[i].kind == TRACE_ALLOC ? 1 : 0;
  }
  EXPECT_LE(t.peak, live);
  EXPECT_GT(t.peak, 0U);
  EXPECT_LE(t.peak_blocks, blocks);
  EXPECT_GT(t.peak_blocks, 0U);
  trace_cut(&t, 1);
  EXPECT_EQ(t.peak_blocks, 1U);
  EXPECT_EQ(t.peak, t.ops[0].size);
  trace_free(&t);
}

TEST(TraceCut, KeepsTheLastRequestsAndTheBlocksThatTheyMeet) {
  trace t{};
  trace_op const ops[] = {{TRACE_ALLOC, 0, 0, 10, 0, 0},   {TRACE_FREE, 0, 0, 0, 0, 0},   {TRACE_ALLOC, 0, 1, 20, 0, 0},
                          {TRACE_REALLOC, 0, 1, 30, 0, 0}, {TRACE_ALLOC, 0, 2, 50, 0, 0}, {TRACE_FREE, 0, 2, 0, 0, 0},
                          {TRACE_ALLOC, 0, 0, 40, 0, 0},   {TRACE_FREE, 0, 1, 0, 0, 0}};
  for (const trace_op &op : ops) {
    trace_add(&t, &op);
  }
  t.ids = 3;
  trace_keep_last(&t, 1);
  EXPECT_EQ(kinds(t), "aaf");
  EXPECT_EQ(t.ops[0].size, 30U) << "as it is then";
  EXPECT_EQ(t.ops[1].size, 40U);
  EXPECT_EQ(t.peak, 70U);
  EXPECT_EQ(t.peak_blocks, 2U);
  trace_free(&t);
}

TEST(Synthetic, SizesOfThePowerLawAreBounded) {
  for (size_t kind = 0; kind < trace_kinds(); kind++) {
    if (std::string(trace_name(kind)) != "power law") {
      continue;
    }
    trace t = trace_make(kind, 7);
    size_t largest = 0;
    for (size_t i = 0; i < t.count; i++) {
      largest = std::max(largest, t.ops[i].size);
    }
    EXPECT_EQ(largest, 8192U);
    trace_free(&t);
  }
}

TEST(TraceCut, LeavesATraceThatIsShorter) {
  trace t = trace_make(0, 1);
  trace_cut(&t, 10);
  trace_cut(&t, 11);
  EXPECT_EQ(t.count, 10U);
  trace_free(&t);
}

} // namespace
