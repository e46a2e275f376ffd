// Findings written by the library and read back by the command.
#include "tests/core/text_sink.h"
#include "tools/ringfence/model/record.h"
#include "tools/ringfence/render/document.h"

#include <cstring>
#include <gtest/gtest.h>
#include <ringfence/report_json.h>
#include <ringfence/report_text.h>
#include <string>

namespace {

std::string text_of(const rf_finding &f, const rf_symbolizer *symbolizer) {
  std::string text;
  const rf_sink sink = ringfence::sink_to(&text);
  rf_report_text(&f, symbolizer, &sink);
  return text;
}

std::string json_of(const rf_finding &f, const rf_symbolizer *symbolizer) {
  std::string text;
  const rf_sink sink = ringfence::sink_to(&text);
  rf_report_json(&f, symbolizer, &sink);
  return text;
}

// Every address is in one module, as a process names its own.
bool in_module(void *, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  *out = rf_frame_name{};
  out->module = "/lib/a \"b\".so";
  out->build_id = "00ff";
  out->offset = pc - 0x1000;
  return inlined == 0;
}

const rf_symbolizer kInModule = {in_module, nullptr};
const rf_site kSite = {"dir/file.c", "function", 42};

rf_finding overflow() {
  rf_finding f = {};
  f.bug = RF_BUG_BUFFER_OVERFLOW;
  f.cwe = 122;
  f.access = RF_ACCESS_WRITE;
  f.access_size = 3;
  f.address = 0x7000000d;
  f.block = 0x70000000;
  f.size = 13;
  f.blocks = 1;
  f.offset = 13;
  f.window_address = 0x70000000;
  f.window_size = 16;
  for (unsigned i = 0; i < 16; i++) {
    f.window[i] = static_cast<unsigned char>(17 * i);
    f.expected[i] = i < 13 ? f.window[i] : 0xFD;
    f.window_class[i] = i < 13 ? RF_BYTE_USER : RF_BYTE_BAD;
  }
  f.allocator = "tlsf";
  f.mode = "guard";
  f.detail = "guard bytes after the block were overwritten";
  f.found.depth = 2;
  f.found.frames[0] = 0x2345;
  f.found.frames[1] = 0x3456;
  f.found.thread = 7;
  f.allocated.site = &kSite;
  f.allocated.thread = 8;
  f.time_ns = 123456789012345;
  f.sequence = 5;
  f.process = 7;
  return f;
}

class Record : public testing::Test {
protected:
  ~Record() override { rf_bump_arena_free(&arena_); }

  rf_record *read(const std::string &line) {
    return rf_record_read(&arena_, rf_json_parse(&arena_, line.data(), line.size()));
  }

  // Reads `f` back and expects the same text of both.
  void expect_same(const rf_finding &f) {
    rf_record *const record = read(json_of(f, &kInModule));
    ASSERT_NE(record, nullptr);
    rf_record_trim(record, "/lib/libringfence.so", true);
    const rf_symbolizer symbolizer = rf_record_symbolizer(record);
    EXPECT_EQ(text_of(record->finding, &symbolizer), text_of(f, &kInModule));
    EXPECT_EQ(json_of(record->finding, &symbolizer), json_of(f, &kInModule));
  }

private:
  rf_bump_arena arena_ = {nullptr};
};

TEST_F(Record, DamageComesBackAsItWas) {
  expect_same(overflow());
}

// As Linux writes it; the build-id says whether another file is there.
TEST_F(Record, AModuleThatWasReplacedIsLookedForWhereItWas) {
  const auto frame = [](const std::string &path, const std::string &more) {
    return R"({"pc":"0x1","module":")" + path + "\"" + more + "}";
  };
  const std::string id = R"(,"build_id":"ab")";
  const std::string line = R"({"type":"finding","version":1,"pid":7,"sequence":1,"bug":"double-free",)"
                           R"("found":{"thread":1,"frames":[)" +
                           frame("/x/a (deleted)", id) + "," + frame("/x/b (deleted)", "") + "," +
                           frame(" (deleted)", id) + "," + frame("/x/d", id) + "]}}";
  const rf_record *const record = read(line);
  ASSERT_NE(record, nullptr);
  ASSERT_EQ(record->found.count, 4U);
  EXPECT_STREQ(record->found.frames[0].module, "/x/a");
  EXPECT_STREQ(record->found.frames[1].module, "/x/b (deleted)");
  EXPECT_STREQ(record->found.frames[2].module, " (deleted)");
  EXPECT_STREQ(record->found.frames[3].module, "/x/d");
}

TEST_F(Record, BytesThatWereLeftOutComeBackAsSuch) {
  rf_finding f = overflow();
  for (unsigned i = 0; i < 13; i++) {
    f.window[i] = 0;
    f.expected[i] = 0;
    f.window_class[i] = RF_BYTE_LEFT_OUT;
  }
  expect_same(f);
  const rf_record *const newer = read(R"({"type":"finding","bug":"double-free","window":{"address":"0x10",)"
                                      R"("bytes":"0000","expected":"0000","classes":"z?"}})");
  ASSERT_EQ(newer->finding.window_size, 2U);
  EXPECT_EQ(newer->finding.window_class[0], RF_BYTE_OTHER) << "a class that is not known here";
  EXPECT_EQ(newer->finding.window_class[1], RF_BYTE_LEFT_OUT);
}

TEST_F(Record, DistancesBeforeABlockComeBack) {
  rf_finding f = overflow();
  f.bug = RF_BUG_BUFFER_UNDERFLOW;
  f.address = f.block - 4;
  f.offset = -4;
  expect_same(f);
}

TEST_F(Record, FreesComeBack) {
  rf_finding f = overflow();
  f.bug = RF_BUG_DOUBLE_FREE;
  f.access = RF_ACCESS_FREE;
  f.freed = true;
  f.offset = 0;
  f.released = f.found;
  f.allocated = f.found;
  expect_same(f);
}

TEST_F(Record, MismatchesComeBack) {
  rf_finding f = overflow();
  f.bug = RF_BUG_DEALLOC_MISMATCH;
  f.allocation = "malloc";
  f.deallocation = "operator delete";
  expect_same(f);
  f.bug = RF_BUG_SIZE_MISMATCH;
  f.argument = 99;
  expect_same(f);
}

TEST_F(Record, RequestsWithoutABlockComeBack) {
  rf_finding f = {};
  f.bug = RF_BUG_CALLOC_OVERFLOW;
  f.size = SIZE_MAX / 2;
  f.argument = 3;
  expect_same(f);
}

TEST_F(Record, LeaksComeBack) {
  rf_finding f = overflow();
  f.bug = RF_BUG_LEAK;
  f.access = RF_ACCESS_UNKNOWN;
  f.window_size = 0;
  f.blocks = 12;
  expect_same(f);
}

TEST_F(Record, KeepsTheFunctionThatTheProcessKnew) {
  rf_record *const record =
      read(R"({"type":"finding","bug":"double-free","found":{"frames":[{"pc":"0x1","function":"gone"}]}})");
  ASSERT_NE(record, nullptr);
  const rf_symbolizer symbolizer = rf_record_symbolizer(record);
  rf_frame_name name;
  ASSERT_TRUE(symbolizer.name(symbolizer.context, 1, 0, &name));
  EXPECT_STREQ(name.function, "gone");
  rf_source source = {"better", nullptr, 0};
  record->found.frames[0].sources = &source;
  record->found.frames[0].source_count = 1;
  ASSERT_TRUE(symbolizer.name(symbolizer.context, 1, 0, &name));
  EXPECT_STREQ(name.function, "better");
}

TEST_F(Record, OtherLinesAreNoRecords) {
  EXPECT_EQ(read(R"({"type":"start","pid":1})"), nullptr);
  EXPECT_EQ(read(R"({"type":"finding","bug":"not a bug"})"), nullptr);
  EXPECT_EQ(read(R"(["finding"])"), nullptr);
  EXPECT_EQ(read("{"), nullptr);
}

TEST_F(Record, FieldsMayBeAbsent) {
  rf_record *const record = read(R"({"type":"finding","bug":"double-free"})");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->finding.window_size, 0u);
  EXPECT_EQ(record->found.count, 0u);
}

TEST_F(Record, AWindowThatContradictsItselfIsLeftOut) {
  for (const char *const expected : {"", "0", "00", "000000"}) {
    EXPECT_EQ(read(R"({"type":"finding","bug":"double-free","window":{"bytes":"0000","expected":")" +
                   std::string(expected) + R"(","classes":"..","address":"0x10"}})")
                  ->finding.window_size,
              0u)
        << expected;
  }
  EXPECT_EQ(read(R"({"type":"finding","bug":"double-free","window":{"bytes":"00","expected":"00","classes":"gg"}})")
                ->finding.window_size,
            0u);
  EXPECT_EQ(read(R"({"type":"finding","bug":"double-free","window":{"bytes":")" + std::string(2000, '0') +
                 R"(","expected":"00","classes":"g"}})")
                ->finding.window_size,
            0u);
}

TEST_F(Record, MoreFramesThanATraceHoldsAreLeftOut) {
  std::string line = R"({"type":"finding","bug":"double-free","found":{"frames":[{"pc":"0x1"})";
  for (int i = 0; i < 100; i++) {
    line += R"(,{"pc":"0x2"})";
  }
  EXPECT_EQ(read(line + "]}}")->found.count, static_cast<unsigned>(RF_TRACE_DEPTH));
}

// Frames of a stack, with the names that symbolising gave.
class Trim : public Record {
protected:
  Trim() { record_.found.frames = frames_; }

  void add(const char *module, const char *function, const char *file = nullptr) {
    const unsigned i = record_.found.count++;
    sources_[i].function = function;
    sources_[i].file = file;
    frames_[i].address = i + 1;
    frames_[i].module = module;
    frames_[i].sources = &sources_[i];
    frames_[i].source_count = function != nullptr ? 1 : 0;
  }

  std::string trimmed(bool whole) {
    rf_record_trim(&record_, "/x/libringfence.so", whole);
    std::string left;
    for (unsigned i = 0; i < record_.found.count; i++) {
      left += std::to_string(record_.finding.found.frames[i]);
    }
    return left;
  }

  rf_record record_ = {};

private:
  rf_source sources_[RF_TRACE_DEPTH] = {};
  rf_frame frames_[RF_TRACE_DEPTH] = {};
};

TEST_F(Trim, TakesTheLibraryOffTheTop) {
  add("/x/libringfence.so", "rf_report");
  add("/x/libringfence.so", "free");
  add("/bin/p", "f");
  add("/x/libringfence.so", "callback");
  EXPECT_EQ(trimmed(true), "34");
}

TEST_F(Trim, EndsWithMain) {
  add("/bin/p", "f");
  add("/bin/p", "main");
  add("/lib/libc.so.6", "__libc_start_call_main");
  add("/bin/p", "_start");
  EXPECT_EQ(trimmed(false), "12");
}

TEST_F(Trim, EndsWhereAThreadStarts) {
  add("/bin/p", "work");
  add("/lib/libc.so.6", "start_thread");
  add("/lib/libc.so.6", "clone3");
  EXPECT_EQ(trimmed(false), "1");
}

// Symbol tables have names with versions, debug information those of the code.
TEST_F(Trim, EndsWhereTheProgramStartsWhateverThatIsCalled) {
  for (const char *const start : {"__libc_start_call_main", "__libc_start_main_impl", "__libc_start_main@@GLIBC_2.34",
                                  "_start", "start_thread", "clone", "clone3"}) {
    record_.found.count = 0;
    add("/bin/p", "work");
    add("/lib/libc.so.6", start);
    add("/bin/p", "before");
    EXPECT_EQ(trimmed(false), "1") << start;
  }
}

// Programs have a clone_node, and a clone and a start_thread of their own.
TEST_F(Trim, GoesOnBehindFunctionsOfTheProgramThatAreCalledAlike) {
  for (const char *const own :
       {"clone_node", "clone3d", "start_thread_pool", "_start_server", "clone", "start_thread"}) {
    record_.found.count = 0;
    add("/bin/p", "copy");
    add("/bin/p", own);
    add("/bin/p", "main");
    add("/lib/libc.so.6", "__libc_start_call_main");
    EXPECT_EQ(trimmed(false), "123") << own;
  }
}

TEST_F(Trim, EndsWhereAThreadStartsInAProgramThatHasTheCLibraryLinkedIn) {
  add("/bin/static", "work");
  add("/bin/static", "start_thread");
  add("/bin/static", "clone3");
  EXPECT_EQ(trimmed(false), "1");
}

// A stack may end with the program's own, as far as it was followed.
TEST_F(Trim, KeepsTheOutermostFunctionWhereItsLineTellsThatItIsTheProgramsOwn) {
  add("/bin/p", "copy");
  add("/bin/p", "clone", "p.c");
  EXPECT_EQ(trimmed(false), "12");
}

TEST_F(Trim, EndsWhereAThreadStartsWhereNoModuleIsKnown) {
  add(nullptr, "work");
  add(nullptr, "start_thread", "nptl/pthread_create.c");
  EXPECT_EQ(trimmed(false), "1");
}

TEST_F(Trim, KeepsAStackThatBeginsWhereAThreadStarts) {
  add("/lib/libc.so.6", "start_thread");
  add("/lib/libc.so.6", "clone3");
  EXPECT_EQ(trimmed(false), "1");
}

TEST_F(Trim, EndsWhereTheLibraryCallsAMainWithoutName) {
  add("/bin/stripped", nullptr);
  add("/bin/stripped", nullptr);
  add("/x/libringfence.so", "run_main");
  add("/lib/libc.so.6", "__libc_start_call_main");
  EXPECT_EQ(trimmed(false), "12");
}

TEST_F(Trim, LeavesAllToWhoAsksForTheWhole) {
  add("/bin/p", "main");
  add("/lib/libc.so.6", "__libc_start_call_main");
  EXPECT_EQ(trimmed(true), "12");
}

TEST_F(Trim, KeepsFramesWithoutNames) {
  add("/bin/p", nullptr);
  add(nullptr, nullptr);
  EXPECT_EQ(trimmed(false), "12");
}

TEST(Namer, NamesFilesAsSeenFromTheUsersDirectory) {
  rf_source source = {"f", "/home/u/src/a.c", 3};
  rf_frame frame = {};
  frame.address = 1;
  frame.sources = &source;
  frame.source_count = 1;
  rf_record record = {};
  record.found = {&frame, 1, 0};
  rf_symbolizer const symbolizer = rf_record_symbolizer(&record);
  rf_frame_name name;

  ASSERT_TRUE(symbolizer.name(symbolizer.context, 1, 0, &name));
  EXPECT_STREQ(name.file, "/home/u/src/a.c");
  record.directory = "/home/u";
  ASSERT_TRUE(symbolizer.name(symbolizer.context, 1, 0, &name));
  EXPECT_STREQ(name.file, "src/a.c");
  record.directory = "/home/u/sr";
  ASSERT_TRUE(symbolizer.name(symbolizer.context, 1, 0, &name));
  EXPECT_STREQ(name.file, "/home/u/src/a.c");
  source.file = "/proc/self/cwd/lib/b.c";
  ASSERT_TRUE(symbolizer.name(symbolizer.context, 1, 0, &name));
  EXPECT_STREQ(name.file, "lib/b.c");
  frame.module = "/home/u/bin/p";
  EXPECT_FALSE(symbolizer.name(symbolizer.context, 1, 1, &name)) << "nothing is inlined there";
  EXPECT_FALSE(symbolizer.name(symbolizer.context, 2, 0, &name));
}

TEST(RecordCount, IsAtLeastOneAndDoesNotWrap) {
  rf_bump_arena arena = {nullptr};
  for (const auto &[text, times] :
       {std::pair{"0", 1U}, {"7", 7U}, {"4294967295", UINT32_MAX}, {"4294967301", UINT32_MAX}}) {
    const std::string line =
        R"({"type":"finding","bug":"double-free","times":)" + std::string(text) + R"(,"processes":)" + text + "}";
    const rf_record *const record = rf_record_read(&arena, rf_json_parse(&arena, line.c_str(), line.size()));
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(record->times, times) << text;
    EXPECT_EQ(record->processes, times) << text;
  }
  rf_bump_arena_free(&arena);
}

TEST(RecordTitle, HasTheArticleThatItsNumberIsSpokenWith) {
  rf_bump_arena arena = {nullptr};
  rf_record record = {};
  record.finding.bug = RF_BUG_DOUBLE_FREE;
  for (const size_t size : {8, 11, 18, 80, 89, 800, 8000, 11000, 18999, 8000000}) {
    record.finding.size = size;
    EXPECT_EQ(rf_document_title(&arena, &record), "an " + std::to_string(size) + "-byte block was freed again");
  }
  for (const size_t size : {0, 1, 7, 12, 16, 110, 118, 180, 1100, 1800, 1008, 21000}) {
    record.finding.size = size;
    EXPECT_EQ(rf_document_title(&arena, &record), "a " + std::to_string(size) + "-byte block was freed again");
  }
  record.finding = overflow();
  record.finding.size = 8;
  record.finding.offset = 9;
  EXPECT_STREQ(rf_document_title(&arena, &record), "3 bytes written, 1 byte after an 8-byte block");
  record.finding.freed = true;
  EXPECT_STREQ(rf_document_title(&arena, &record), "3 bytes written, 1 byte after a freed 8-byte block");
  record.finding.access = RF_ACCESS_READ;
  EXPECT_STREQ(rf_document_title(&arena, &record), "3 bytes read, 1 byte after a freed 8-byte block");
  record.finding.access = RF_ACCESS_UNKNOWN;
  record.finding.access_size = 0;
  EXPECT_STREQ(rf_document_title(&arena, &record), "memory touched, 1 byte after a freed 8-byte block");
  record.finding.block = 0;
  EXPECT_STREQ(rf_document_title(&arena, &record), "memory touched");
  rf_bump_arena_free(&arena);
}

} // namespace
