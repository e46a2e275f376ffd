// Reports of AddressSanitizer, LeakSanitizer and Valgrind as findings.
#include "tests/tools/foreign_fixture.h"

#include <sstream>
#include <vector>

namespace ringfence_test {
namespace {

const char kAsan[] = R"(some output of the program's
=================================================================
==4711==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000013 at pc 0x55aa bp 0x7ffc sp 0x7ffb
READ of size 4 at 0x602000000013 thread T0
    #0 0x55aa00001251 in app::get(int, char) /src/a.cc:12:3
    #1 0x7f0000027249  (/lib/x86_64-linux-gnu/libc.so.6+0x27249) (BuildId: 93ac61ec)

0x602000000013 is located 3 bytes inside of 10-byte region [0x602000000010,0x60200000001a)
freed by thread T0 here:
    #0 0x7f00000b76a8 in __interceptor_free ../../../../src/libsanitizer/asan/asan_malloc_linux.cpp:52
    #1 0x55aa000011f1 in drop a.cc:4

previously allocated by thread T0 here:
    #0 0x7f00000b89cf in malloc (/usr/lib/libasan.so.8+0xb89cf)
    #1 0x55aa0000120d in make(unsigned long) (/bin/prog+0x120d)

SUMMARY: AddressSanitizer: heap-use-after-free /src/a.cc:12 in app::get
WRITE of size 9, which the program says
    #0 0x1 in no_part_of_it /x.c:1
)";

const char kValgrind[] = R"(<?xml version="1.0"?>
<valgrindoutput><protocolversion>4</protocolversion><pid>4711</pid><ppid>1</ppid>
<args><vargv><exe>/usr/bin/valgrind</exe></vargv><argv><exe>./prog</exe></argv></args>
<error><unique>0x0</unique><tid>1</tid><kind>InvalidRead</kind><what>Invalid read of size 4</what>
<stack><frame><ip>0x1091A6</ip><obj>/bin/prog</obj><fn>app::get&lt;int&gt;(int)</fn>
<dir>/src</dir><file>a.cc</file><line>12</line></frame></stack>
<auxwhat>Address 0x4a8d043 is 3 bytes inside a block of size 10 free'd</auxwhat>
<stack><frame><ip>0x2</ip><obj>/lib/vgpreload.so</obj><fn>free</fn></frame>
<frame><ip>0x3</ip><fn>drop</fn></frame></stack>
<auxwhat>Block was alloc'd at</auxwhat>
<stack><frame><ip>0x4</ip><fn>malloc</fn></frame><frame><ip>0x5</ip><fn>make</fn></frame></stack></error>
</valgrindoutput>)";

void expect_use_after_free(const rf_record *r) {
  ASSERT_NE(r, nullptr);
  EXPECT_EQ(r->finding.bug, RF_BUG_USE_AFTER_FREE);
  EXPECT_EQ(r->finding.access, RF_ACCESS_READ);
  EXPECT_EQ(r->finding.access_size, 4U);
  EXPECT_EQ(r->finding.size, 10U);
  EXPECT_EQ(r->finding.offset, 3);
  EXPECT_EQ(r->finding.process, 4711U);
  ASSERT_EQ(r->allocated.count, 2U);
  ASSERT_EQ(r->released.count, 2U);
  EXPECT_TRUE(r->finding.freed);
  EXPECT_STREQ(r->found.frames[0].sources[0].file, "/src/a.cc");
  EXPECT_EQ(r->found.frames[0].sources[0].line, 12U);
}

TEST_F(Foreign, AsanAndValgrindTellOfOneBug) {
  const rf_foreign asan = read(kAsan);
  const rf_foreign valgrind = read(kValgrind);
  ASSERT_EQ(asan.count, 1U);
  ASSERT_EQ(valgrind.count, 1U);
  EXPECT_STREQ(asan.tool, "asan");
  EXPECT_STREQ(valgrind.tool, "valgrind");
  EXPECT_STREQ(valgrind.program, "./prog");
  const rf_record *const one = record(asan);
  const rf_record *const other = record(valgrind);
  expect_use_after_free(one);
  expect_use_after_free(other);
  const rf_identity a = rf_identity_of(&arena_, one, nullptr);
  const rf_identity b = rf_identity_of(&arena_, other, nullptr);
  EXPECT_EQ(a.group, b.group) << rf_identity_why(&arena_, &a, &b);
  EXPECT_EQ(a.stacks[RF_STACK_FOUND].key, b.stacks[RF_STACK_FOUND].key) << "libc is passed over";
  EXPECT_STREQ(one->found.frames[1].module, "/lib/x86_64-linux-gnu/libc.so.6");
  EXPECT_EQ(one->found.frames[1].offset, 0x27249U);
  EXPECT_STREQ(one->found.frames[1].build_id, "93ac61ec");
  EXPECT_STREQ(one->allocated.frames[1].module, "/bin/prog");
}

struct Row {
  const char *text;
  const char *bug; // NULL: left out
  int offset;
};

TEST_F(Foreign, KindsOfAsan) {
  static const Row rows[] = {
      {"heap-buffer-overflow on address 0x18 at\n0x18 is located 0 bytes to the right of 8-byte region [0x10,0x18)",
       "heap-buffer-overflow", 8},
      {"heap-buffer-overflow on address 0xe at\n0xe is located 2 bytes before 8-byte region [0x10,0x18)",
       "heap-buffer-underflow", -2},
      {"attempting double-free on 0x10 in thread T0:\n0x10 is located 0 bytes inside of 8-byte region [0x10,0x18)",
       "double-free", 0},
      {"attempting free on address which was not malloc()-ed: 0x12 in thread T0", "bad-free", 0},
      {"alloc-dealloc-mismatch (malloc vs operator delete) on 0x10", "alloc-dealloc-mismatch", 0},
      {"new-delete-type-mismatch on 0x10 in thread T0:", "new-delete-type-mismatch", 0},
      {"SEGV on unknown address 0x000000000008 (pc 0x1)", "SEGV", 0},
      {"requested allocation size 0xffff exceeds maximum supported size", "allocation-size-too-big", 0},
      {"calloc parameters overflow: count * size", "calloc-overflow", 0},
      {"reallocarray parameters overflow: count * size", "calloc-overflow", 0},
      {"invalid allocation alignment: 24", "invalid-allocation-alignment", 0},
      {"attempting to call malloc_usable_size() for pointer which is not owned: 0x10", "bad-malloc_usable_size", 0},
      {"BUS on unknown address (pc 0x1)", "BUS", 0},
      {"ILL on unknown address 0x10 (pc 0x1)", "ILL", 0},
      {"FPE on unknown address 0x10 (pc 0x1)", "FPE", 0},
      {"stack-buffer-overflow on address 0x7ffc", "stack-buffer-overflow", 0},
      {"stack-use-after-return on address 0x7ffc", nullptr, 0},
      {"global-buffer-overflow on address 0x7ffc", nullptr, 0},
  };
  for (const Row &row : rows) {
    const rf_foreign found = read(std::string("==1==ERROR: AddressSanitizer: ") + row.text + "\n");
    EXPECT_EQ(found.count, row.bug == nullptr ? 0U : 1U) << row.text;
    EXPECT_EQ(found.other, row.bug == nullptr ? 1U : 0U) << row.text;
    if (row.bug != nullptr && found.count == 1) {
      EXPECT_STREQ(rf_bug_name(found.findings[0].bug), row.bug) << row.text;
      const rf_record *const r = record(found);
      ASSERT_NE(r, nullptr);
      EXPECT_EQ(r->finding.offset, row.offset) << row.text;
    }
  }
}

// As checked processes tell of it: from the first byte outside on, as far as that is known.
TEST_F(Foreign, AnAccessAcrossTheEndOfABlockIsOneOfTheBytesBehindIt) {
  static const struct {
    const char *start, *size, *frame, *distance;
    int offset;
    unsigned size_behind; // 0: unknown
  } rows[] = {
      {"0x18", "8", "main /src/a.c:3:4", "0x1a is located 0", 10, 6},
      {"0x1a", "8", "main /src/a.c:3:4", "0x1a is located 0", 10, 8},
      {"0x1a", "20", "__interceptor_memset ../libsanitizer/x.inc:799", "0x1a is located 0", 10, 0},
      {"0x1a", "20", "__asan_memset (/prog+0xa277b) (BuildId: 9222)", "0x1a is located 0", 10, 0},
      {"0x1a", "20", "strcpy (/prog+0x8d8e6) (BuildId: 9222)", "0x1a is located 0", 10, 0},
      {"0x1a", "20", " (/usr/lib/libasan.so.8+0x8d8e6)", "0x1a is located 0", 10, 0},
      {"0x1a", "8", "strange /src/a.c:3:4", "0x1a is located 0", 10, 8},
      {"0x1c", "20", "__interceptor_memset ../libsanitizer/x.inc:799", "0x1c is located 2", 12, 20},
  };
  for (const auto &row : rows) {
    const rf_foreign found = read(std::string("==1==ERROR: AddressSanitizer: heap-buffer-overflow on address ") +
                                  row.start + " at pc 0x1\nWRITE of size " + row.size + " at\n    #0 0x1 in " +
                                  row.frame + "\n\n" + row.distance + " bytes after 10-byte region [0x10,0x1a)\n");
    ASSERT_EQ(found.count, 1U);
    const rf_record *const r = record(found);
    ASSERT_NE(r, nullptr);
    EXPECT_EQ(r->finding.offset, row.offset) << row.start << row.frame;
    EXPECT_EQ(r->finding.access_size, row.size_behind) << row.start << row.frame;
    EXPECT_EQ(strstr(r->finding.detail, " 20 bytes in all") != nullptr, row.size_behind == 0) << r->finding.detail;
  }
  const rf_foreign valgrind =
      read("<valgrindoutput><error><kind>InvalidWrite</kind><what>Invalid write of size 8</what>"
           "<auxwhat>Address 0x46 is 6 bytes inside a block of size 10 alloc'd</auxwhat></error>");
  ASSERT_EQ(valgrind.count, 1U);
  EXPECT_EQ(record(valgrind)->finding.offset, 10);
  EXPECT_EQ(record(valgrind)->finding.access_size, 4U);
}

TEST_F(Foreign, LeaksOfLeakSanitizer) {
  const rf_foreign found =
      read("==9==ERROR: LeakSanitizer: detected memory leaks\r\n\r\n"
           "Direct leak of 40 byte(s) in 2 object(s) allocated from:\r\n"
           "    #0 0x1 in malloc /x.c:1\r\n    #1 0x2 in make /src/a.c:3\r\n\r\n"
           "Indirect leak of 8 byte(s) in 1 object(s) allocated from:\r\n"
           "    #0 0x3 in make2 /src/a.c:4\r\n\r\nSUMMARY: AddressSanitizer: 48 byte(s) leaked\r\n");
  ASSERT_EQ(found.count, 2U);
  EXPECT_EQ(found.findings[0].size, 40U);
  EXPECT_EQ(found.findings[0].blocks, 2U);
  EXPECT_EQ(found.findings[0].process, 9U);
  EXPECT_EQ(found.findings[0].stacks[1].count, 2U);
  EXPECT_STREQ(found.findings[0].stacks[1].frames[1].file, "/src/a.c");
  EXPECT_STREQ(found.findings[1].detail, "only leaked blocks point to it");
}

// Logs add to each line: colours within it, names and times before it.
std::string with_each_line(const std::string &text, const std::string &before, const std::string &behind) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t feed = text.find('\n', at);
    out += before + text.substr(at, feed - at) + behind + "\n";
    at = feed + 1;
  }
  return out;
}

TEST_F(Foreign, LinesMayHaveColoursAndPrefixes) {
  const std::string logs[] = {
      with_each_line(kAsan, "\033[1m\033[32m", "\033[1m\033[0m"),
      with_each_line(kAsan, "2026-11-22T01:39:27.123Z app-7 | ", ""),
      std::string("a byte that is \0", 16) + "\n" + kAsan,
  };
  for (const std::string &log : logs) {
    const rf_foreign found = read(log);
    ASSERT_EQ(found.count, 1U) << log;
    const rf_record *const r = record(found);
    expect_use_after_free(r);
    EXPECT_EQ(r->found.count, 2U) << log;
    EXPECT_EQ(r->finding.address, static_cast<uintptr_t>(0x602000000013U)) << log;
  }
}

// "Thread T1 created by T0 here:", and the function whose frame a pointer to the stack is in.
TEST_F(Foreign, OtherStacksOfAReportArePassedOver) {
  const rf_foreign found = read("==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x13\n"
                                "    #0 0x1 in get /src/a.c:1\n\n0x13 is located 3 bytes inside of 10-byte region "
                                "[0x10,0x1a)\nfreed by thread T1 here:\n    #0 0x2 in drop /src/a.c:2\n\n"
                                "previously allocated by thread T1 here:\n    #0 0x3 in make /src/a.c:3\n\n"
                                "Thread T1 created by T0 here:\n    #0 0x4 in pthread_create /x.c:4\n"
                                "    #1 0x5 in main /src/a.c:5\n\n"
                                "==1==ERROR: AddressSanitizer: attempting free on address which was not malloc()-ed: "
                                "0x7ffc in thread T0\n    #0 0x6 in free /x.c:6\n    #1 0x7 in main /src/a.c:7\n\n"
                                "Address 0x7ffc is located in stack of thread T0 at offset 32 in frame\n"
                                "    #0 0x8 in main /src/a.c:8\n");
  ASSERT_EQ(found.count, 2U);
  const rf_foreign_stack *const stacks = found.findings[0].stacks;
  for (unsigned i = 0; i < 3; i++) {
    EXPECT_EQ(stacks[i].count, 1U) << i;
  }
  EXPECT_EQ(found.findings[1].stacks[0].count, 2U);
}

TEST_F(Foreign, ADetailNamesNoAddressesOfOneRun) {
  static const char *const rows[][2] = {
      {"SEGV on unknown address 0x000000000008 (pc 0x5625a7bff94c bp 0x7ffc sp 0x7ffd T0)",
       "SEGV on unknown address 0x000000000008"},
      {"attempting free on address which was not malloc()-ed: 0x602000000013 in thread T0",
       "attempting free on address which was not malloc()-ed"},
      {"heap-use-after-free on address 0x13 at pc 0x1 bp 0x2 sp 0x3", "heap-use-after-free on address 0x13"},
      {"requested allocation size 0x8000000000000000 (0x8000 after adjustments for alignment, red zones etc.) exceeds",
       "requested allocation size 0x8000000000000000"},
      {"calloc parameters overflow: count * size (3 * -1) cannot be represented in type size_t (thread T0)",
       "calloc parameters overflow: count * size (3 * -1) cannot be represented in type size_t"},
      {"heap-use-after-free on address 0x13 at pc 0x1 bp 0x2 sp 0x3 (thread T0)",
       "heap-use-after-free on address 0x13"},
  };
  for (const auto &row : rows) {
    const rf_foreign found = read(std::string("==1==ERROR: AddressSanitizer: ") + row[0] + "\n");
    ASSERT_EQ(found.count, 1U) << row[0];
    EXPECT_STREQ(found.findings[0].detail, row[1]);
  }
}

TEST_F(Foreign, SizesAndNamesOfBadRequests) {
  const rf_foreign found =
      read("==1==ERROR: AddressSanitizer: requested allocation size 0x8000000000000000 (0x8 after) exceeds\n"
           "==1==ERROR: AddressSanitizer: calloc parameters overflow: count * size (3 * -1) cannot be represented\n"
           "==1==ERROR: AddressSanitizer: invalid allocation alignment: 24, alignment must be a power of two\n"
           "==1==ERROR: AddressSanitizer: alloc-dealloc-mismatch (operator new [] vs operator delete) on 0x10\n"
           "==1==ERROR: AddressSanitizer: new-delete-type-mismatch on 0x10 in thread T0:\n"
           "  object passed to delete has wrong type:\n  size of the allocated type:   16 bytes;\n"
           "  size of the deallocated type: 4 bytes.\n"
           "==1==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
           "==1==The signal is caused by a WRITE memory access.\n");
  ASSERT_EQ(found.count, 6U);
  const rf_record *records[6];
  for (size_t i = 0; i < 6; i++) {
    records[i] = record(found, i);
    ASSERT_NE(records[i], nullptr);
  }
  EXPECT_EQ(records[0]->finding.size, static_cast<size_t>(0x8000000000000000U));
  EXPECT_EQ(records[1]->finding.argument, 3U);
  EXPECT_EQ(records[1]->finding.size, SIZE_MAX);
  EXPECT_EQ(records[2]->finding.argument, 24U);
  EXPECT_STREQ(records[3]->finding.allocation, "operator new []");
  EXPECT_STREQ(records[3]->finding.deallocation, "operator delete");
  EXPECT_EQ(records[4]->finding.size, 16U);
  EXPECT_EQ(records[4]->finding.argument, 4U);
  EXPECT_EQ(records[5]->finding.access, RF_ACCESS_WRITE);
}

TEST_F(Foreign, ALibraryIsKnownByItsNameNotByItsFolder) {
  const rf_foreign found = read("==1==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
                                "    #0 0x1 in f (/lib/libc.so.6+0x10)\n    #1 0x2 in g (/opt/my.so.d/tool+0x10)\n");
  ASSERT_EQ(found.count, 1U);
  EXPECT_STREQ(rf_foreign_program(&found, &found.findings[0]), "/opt/my.so.d/tool");
}

TEST_F(Foreign, ABlockIsFreedWhereAStackFreedIt) {
  const rf_foreign found = read("==1==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x10 at pc 0x1\n"
                                "WRITE of size 16 at 0x10 thread T0\n    #0 0x1 in f /src/a.c:1\n"
                                "0x10 is located 0 bytes inside of 8-byte region [0x10,0x18)\n"
                                "allocated by thread T0 here:\n    #0 0x2 in g /src/a.c:2\n");
  ASSERT_EQ(found.count, 1U);
  EXPECT_EQ(found.findings[0].bug, RF_BUG_BUFFER_OVERFLOW) << "an access that begins within the block";
  EXPECT_FALSE(record(found)->finding.freed);
  EXPECT_TRUE(record(found)->finding.at_access) << "a write is seen as it is made";
}

TEST_F(Foreign, LinesMayEndAsThoseOfWindows) {
  const rf_foreign found = read("==1==ERROR: AddressSanitizer: heap-use-after-free\r\n    #0 0x1 in f\r\n"
                                "    #1 0x2 in g\r");
  ASSERT_EQ(found.count, 1U);
  EXPECT_STREQ(found.findings[0].detail, "heap-use-after-free");
  ASSERT_EQ(found.findings[0].stacks[0].count, 2U);
  EXPECT_STREQ(found.findings[0].stacks[0].frames[0].function, "f");
  EXPECT_STREQ(found.findings[0].stacks[0].frames[1].function, "g");
}

TEST_F(Foreign, NamesInValgrindsXmlHaveTheirLettersBack) {
  const rf_foreign found = read("<valgrindoutput><error><kind>InvalidRead</kind><what>x of size 1</what><stack><frame>"
                                "<ip>0x1</ip><fn>operator&quot;&quot; _k&lt;&apos;a&apos;&gt;(int&amp;)</fn></frame>"
                                "</stack></error></valgrindoutput>");
  ASSERT_EQ(found.count, 1U);
  ASSERT_EQ(found.findings[0].stacks[0].count, 1U);
  EXPECT_STREQ(found.findings[0].stacks[0].frames[0].function, "operator\"\" _k<'a'>(int&)");
}

TEST_F(Foreign, AFrameOfValgrindHasNoFolderOfAnother) {
  const rf_foreign found = read("<valgrindoutput><error><kind>InvalidRead</kind><what>x of size 1</what><stack>"
                                "<frame><ip>0x1</ip><dir>/src</dir><file>a.c</file></frame>"
                                "<frame><ip>0x2</ip><file>b.c</file></frame></stack></error></valgrindoutput>");
  ASSERT_EQ(found.count, 1U);
  ASSERT_EQ(found.findings[0].stacks[0].count, 2U);
  EXPECT_STREQ(found.findings[0].stacks[0].frames[0].file, "/src/a.c");
  EXPECT_STREQ(found.findings[0].stacks[0].frames[1].file, "b.c");
}

TEST_F(Foreign, AnErrorOfHWAddressSanitizerIsCounted) {
  EXPECT_EQ(read("==1==ERROR: HWAddressSanitizer: tag-mismatch on address 0x10\n").other, 1U);
}

TEST_F(Foreign, AFishyValueOfValgrindIsASize) {
  const rf_foreign found =
      read("<valgrindoutput><error><kind>FishyValue</kind><what>Argument 'size' of function malloc has a fishy "
           "(possibly negative) value: -8</what></error></valgrindoutput>");
  ASSERT_EQ(found.count, 1U);
  EXPECT_EQ(found.findings[0].size, 0 - UINT64_C(8));
}

TEST_F(Foreign, LeaksOfValgrind) {
  const auto leak = [](const std::string &kind) {
    return "<error><kind>Leak_" + kind +
           "</kind><xwhat><text>40 bytes in 2 blocks</text><leakedbytes>40</leakedbytes>"
           "<leakedblocks>2</leakedblocks></xwhat><stack><frame><ip>0x1</ip><fn>make</fn></frame></stack></error>";
  };
  const rf_foreign found = read("<valgrindoutput>" + leak("DefinitelyLost") + leak("IndirectlyLost") +
                                leak("StillReachable") + "</valgrindoutput>");
  ASSERT_EQ(found.count, 2U);
  EXPECT_EQ(found.other, 1U);
  const char *const details[] = {"nothing points to it", "only leaked blocks point to it"};
  for (size_t i = 0; i < 2; i++) {
    const rf_record *const r = record(found, i);
    EXPECT_EQ(r->finding.bug, RF_BUG_LEAK);
    EXPECT_EQ(r->finding.size, 40U);
    EXPECT_EQ(r->finding.blocks, 2U);
    EXPECT_STREQ(r->finding.detail, details[i]);
    EXPECT_EQ(r->allocated.count, 1U);
    EXPECT_EQ(r->found.count, 0U);
    EXPECT_FALSE(r->finding.at_access);
  }
}

TEST_F(Foreign, KindsOfValgrind) {
  struct Kind {
    const char *kind;
    const char *about;
    const char *bug;
    uint64_t block;
  };
  static const Kind rows[] = {
      {"InvalidWrite", "Address 0x18 is 0 bytes after a block of size 8 alloc'd", "heap-buffer-overflow", 0x10},
      {"InvalidWrite", "Address 0x1b is 3 bytes after a block of size 8 alloc'd", "heap-buffer-overflow", 0x10},
      {"InvalidWrite", "Address 0xe is 2 bytes before a block of size 8 alloc'd", "heap-buffer-underflow", 0x10},
      {"InvalidRead", "Address 0x0 is not stack'd, malloc'd or (recently) free'd", "SEGV", 0},
      {"InvalidFree", "Address 0x10 is 0 bytes inside a block of size 8 free'd", "double-free", 0x10},
      {"InvalidFree", "Address 0x12 is 2 bytes inside a block of size 8 free'd", "bad-free", 0x10},
      {"InvalidFree", "Address 0x12 is 2 bytes inside a block of size 8 alloc'd", "bad-free", 0x10},
      {"MismatchedFree", "Address 0x10 is 0 bytes inside a block of size 8 alloc'd", "alloc-dealloc-mismatch", 0x10},
      {"InvalidWrite", "Address 0x2398 is 5,000 bytes after a block of size 4,096 alloc'd", "heap-buffer-overflow",
       0x10},
      {"InvalidRead", "Address 0x13a7 is 1 bytes before a block of size 70,000 alloc'd", "heap-buffer-underflow",
       0x13a8},
      {"InvalidRead", "Address 0x12d697 is 1,234,567 bytes inside a block of size 2,000,000 free'd",
       "heap-use-after-free", 0x10},
      {"InvalidFree", "Address 0x410 is 1,024 bytes inside a block of size 2,048 free'd", "bad-free", 0x10},
      {"Leak_DefinitelyLost", "", "memory-leak", 0},
      {"Leak_StillReachable", "", nullptr, 0},
      {"UninitCondition", "", nullptr, 0},
  };
  for (const Kind &row : rows) {
    const rf_foreign found = read("<valgrindoutput><error><kind>" + std::string(row.kind) +
                                  "</kind><what>x of size 1</what><stack><frame><ip>0x1</ip></frame></stack><auxwhat>" +
                                  row.about + "</auxwhat></error></valgrindoutput>");
    ASSERT_EQ(found.count, row.bug == nullptr ? 0U : 1U) << row.kind << row.about;
    if (row.bug != nullptr) {
      EXPECT_STREQ(rf_bug_name(found.findings[0].bug), row.bug) << row.about;
      EXPECT_EQ(found.findings[0].block, row.block) << row.about;
    }
  }
}

TEST_F(Foreign, NumbersOfValgrindHaveCommas) {
  static const std::pair<const char *, size_t> sizes[] = {
      {"8", 8}, {"999", 999}, {"5,000", 5000}, {"1,234,567", 1234567}};
  for (const auto &[text, size] : sizes) {
    const rf_foreign found = read("<valgrindoutput><error><kind>InvalidRead</kind><what>Invalid read of size 8</what>"
                                  "<auxwhat>Address 0x10 is 0 bytes inside a block of size " +
                                  std::string(text) + " free'd</auxwhat></error></valgrindoutput>");
    ASSERT_EQ(found.count, 1U);
    EXPECT_EQ(found.findings[0].size, size);
    EXPECT_EQ(found.findings[0].access_size, 8U);
  }
}

// A report may be cut off at any byte: the reader ends, and a finding has the fields that were there.
TEST_F(Foreign, ReportsMayEndAnywhere) {
  for (const std::string &text : {std::string(kAsan), std::string(kValgrind)}) {
    for (size_t length = 0; length < text.size(); length++) {
      const rf_foreign found = read(text.substr(0, length));
      ASSERT_LE(found.count, 1U);
      if (found.count == 1) {
        ASSERT_NE(record(found), nullptr);
      }
      rf_bump_arena_free(&arena_);
    }
  }
  EXPECT_EQ(read("nothing of interest").tool, nullptr);
}

TEST_F(Foreign, ALeakThatIsCutOffIsOneBlock) {
  const rf_foreign found = read("==9==ERROR: LeakSanitizer: detected memory leaks\nDirect leak of 40 by");
  ASSERT_EQ(found.count, 1U);
  EXPECT_EQ(found.findings[0].blocks, 1U);
  EXPECT_EQ(found.findings[0].size, 40U);
}

// The process was ended, or another one writes to the same file.
TEST_F(Foreign, AReportWithoutAnEndEndsWhereLeaksAreTold) {
  const rf_foreign found = read("==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x13 at pc 0x1\n"
                                "    #0 0x1 in get /src/a.c:1\n"
                                "==2==ERROR: LeakSanitizer: detected memory leaks\n"
                                "    #1 0x2 in other /src/a.c:2\n");
  ASSERT_EQ(found.count, 1U);
  EXPECT_EQ(found.findings[0].stacks[0].count, 1U);
}

TEST_F(Foreign, TheCauseOfADifferentTagIsTheBug) {
  const auto report = [](const std::string &cause, const std::string &blocks) {
    return "==9==ERROR: HWAddressSanitizer: tag-mismatch on address 0x0042ffe0000a at pc 0x00400082ad50\n"
           "WRITE of size 1 at 0x0042ffe0000a tags: 2c/00 (ptr/mem) in thread T0\n"
           "    #0 0x40082ad50 in fill /src/a.c:5:3\n\n"
           "[0x0042ffe00000,0x0042ffe00020) is a small allocated heap chunk; size: 32 offset: 10\n\n"
           "Cause: " +
           cause + "\n" + blocks + "SUMMARY: HWAddressSanitizer: tag-mismatch /src/a.c:5:3 in fill\n";
  };
  const std::string made = "allocated by thread T0 here:\n    #0 0x1 in make /src/a.c:4:3\n";
  const std::string located =
      "0x0042ffe0000a is located 0 bytes after a 10-byte region [0x0042ffe00000,0x0042ffe0000a)\n";
  const rf_foreign over = read(report("heap-buffer-overflow", located + made));
  ASSERT_EQ(over.count, 1U);
  const rf_record *const r = record(over);
  EXPECT_EQ(r->finding.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(r->finding.size, 10U);
  EXPECT_EQ(r->finding.offset, 10);
  EXPECT_EQ(r->allocated.count, 1U);
  const rf_foreign freed =
      read(report("use-after-free", "freed by thread T0 here:\n    #0 0x2 in drop /src/a.c:9:3\n\npreviously " + made));
  ASSERT_EQ(freed.count, 1U);
  EXPECT_EQ(record(freed)->finding.bug, RF_BUG_USE_AFTER_FREE);
  EXPECT_EQ(record(freed)->released.count, 1U);
  EXPECT_EQ(read(report("stack tag-mismatch", "")).other, 1U);
}

// Tests that run at the same time: ctest names each by its number, containers by their names.
TEST_F(Foreign, LinesOfSomeProcessesMayBeMixed) {
  const auto with_number = [](const std::string &from, const std::string &to) {
    std::string text = kAsan;
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
    return text;
  };
  for (const auto &[one, other] : std::vector<std::pair<std::string, std::string>>{
           {"1: ", "12: "},
           {"web-1  | ", "db | "},
           {"2026-11-29T22:05:01.1234567Z 1: ", "2026-11-29T22:05:02.1Z 2: "}}) {
    std::istringstream first(kAsan);
    std::istringstream second(with_number("READ of size 4", "WRITE of size 8"));
    std::string mixed;
    std::string a;
    std::string b;
    while (std::getline(first, a) && std::getline(second, b)) {
      mixed += one + a + "\n" + other + b + "\n";
      mixed += "3: 7 tests passed\nweb | GET /\n";
    }
    const rf_foreign both = read(mixed);
    ASSERT_EQ(both.count, 2U) << mixed;
    expect_use_after_free(record(both, 0));
    const rf_record *const r = record(both, 1);
    EXPECT_EQ(r->finding.access, RF_ACCESS_WRITE) << mixed;
    EXPECT_EQ(r->finding.access_size, 8U);
    EXPECT_EQ(r->found.count + r->allocated.count + r->released.count, 6U);
  }
}

} // namespace
} // namespace ringfence_test
