#include <ringfence/report_text.h>

#include "tests/checkers/sample_finding.h"

#include <gtest/gtest.h>

namespace ringfence {
namespace {

std::string render(const rf_finding &f, const rf_symbolizer *symbolizer = nullptr) {
  TextSink out;
  rf_report_text(&f, symbolizer, out.sink());
  return out.text();
}

// The rest of the first line that begins with `start`.
std::string line_with(const std::string &text, const std::string &start) {
  size_t const at = text.find("\n" + start);
  return at == std::string::npos ? "" : text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

TEST(ReportText, IsWrittenAsDocumented) {
  EXPECT_EQ(render(sample_finding(), &kSampleSymbolizer), documented("text"));
}

TEST(ReportText, IsWrittenToTheByte) {
  EXPECT_EQ(render(sample_finding(), &kSampleSymbolizer),
            "=================================================================\n"
            "==4242==ERROR: Ringfence: heap-buffer-overflow on address 0x105e\n"
            "WRITE of size 3 at 0x105e, found by thread T0 here:\n"
            "    #0 0x401136 in close_log demo.c:21:3\n"
            "    #1 0x401136 in finish demo.c:30\n"
            "    #2 0x401180 in main (/home/user/demo+0x1180) (BuildId: 117750dd)\n"
            "    #3 0x7024a (/lib/libc.so.6+0x2724a)\n"
            "  guard bytes after the block were overwritten\n"
            "  allocator tlsf, mode guard\n"
            "0x105e is located 1 bytes after 13-byte region [0x1050,0x105d)\n"
            "allocated by thread T4250 here:\n"
            "    #0 in open_log demo.c:12\n"
            "Bytes as found (u block, f freed block, g guard, h header, ! overwritten):\n"
            "  0x000000001040:                         fd fd fd fd fd fd fd fd\n"
            "                                           g  g  g  g  g  g  g  g\n"
            "=>0x000000001050: 61 62 63 64 65 66 67 68 69 6a 6b 6c 6d fd[00]fd\n"
            "                   u  u  u  u  u  u  u  u  u  u  u  u  u  g  !  g\n"
            "=>0x000000001060:[00]fd fd fd fd fd fd fd fd fd fd fd\n"
            "                   !  g  g  g  g  g  g  g  g  g  g  g\n"
            "  expected 0xfd where !\n"
            "SUMMARY: Ringfence: heap-buffer-overflow demo.c:12 in open_log\n");
}

TEST(ReportText, WithoutANamerFramesAreNumbers) {
  std::string const text = render(sample_finding());
  EXPECT_EQ(line_with(text, "    #0"), "    #0 0x401136");
  EXPECT_EQ(line_with(text, "    #2"), "    #2 0x7024a");
}

TEST(ReportText, ASiteStandsAboveAStack) {
  rf_finding f = sample_finding();
  f.found.site = &kSampleSite;
  std::string const text = render(f);
  EXPECT_EQ(line_with(text, "    called in"), "    called in open_log demo.c:12");
  EXPECT_EQ(line_with(text, "    #0"), "    #0 0x401136");
}

// As at the end of a process, when nobody called for it.
TEST(ReportText, AWriteThatNoCallCameUponWasFoundInACheckOfAllBlocks) {
  rf_finding f = sample_finding();
  f.found.depth = 0;
  std::string const text = render(f);
  EXPECT_EQ(line_with(text, "WRITE"), "WRITE of size 3 at 0x105e, found in a check of all blocks");
  EXPECT_EQ(line_with(text, "    (not"), "");
}

bool name_of_runtime(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  static_cast<void>(context);
  *out = {"f", "f.c",  static_cast<unsigned>(pc), 0, pc == 3 ? "/home/user/demo" : "/lib/libc.so.6", nullptr,
          0,   nullptr};
  return inlined == 0;
}

// The C library's code has files and lines, too, where its debug information is installed.
TEST(ReportText, TheSummaryPassesOverFramesOfTheRuntime) {
  rf_symbolizer const symbolizer = {name_of_runtime, nullptr};
  rf_finding f = sample_finding();
  f.bug = RF_BUG_LEAK;
  f.allocated.site = nullptr;
  f.allocated.depth = 3;
  f.allocated.frames[0] = 1;
  f.allocated.frames[1] = 2;
  f.allocated.frames[2] = 3;
  EXPECT_EQ(line_with(render(f, &symbolizer), "SUMMARY"), "SUMMARY: Ringfence: memory-leak f.c:3 in f");
  f.allocated.depth = 2;
  EXPECT_EQ(line_with(render(f, &symbolizer), "SUMMARY"), "SUMMARY: Ringfence: memory-leak f.c:1 in f");
}

bool name_with_inlined_headers(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  static_cast<void>(context);
  if (inlined == 0) {
    *out = {"std::allocator<int>::allocate",
            "/usr/include/c++/12/bits/new_allocator.h",
            137,
            0,
            "/home/demo",
            nullptr,
            pc,
            nullptr};
  } else {
    *out = {"main", "main.cc", 7, 0, "/home/demo", nullptr, pc, nullptr};
  }
  return inlined < 2;
}

TEST(ReportText, TheSummaryPassesOverInlinedCodeOfTheCxxLibrary) {
  rf_symbolizer const symbolizer = {name_with_inlined_headers, nullptr};
  rf_finding f = sample_finding();
  f.bug = RF_BUG_LEAK;
  f.allocated.site = nullptr;
  f.allocated.depth = 1;
  f.allocated.frames[0] = 1;
  EXPECT_EQ(line_with(render(f, &symbolizer), "SUMMARY"), "SUMMARY: Ringfence: memory-leak main.cc:7 in main");
}

bool name_of_exit(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  static const char *const functions[] = {"__run_exit_handlers", "exit", "__libc_start_main", "_start", "main"};
  static_cast<void>(context);
  *out = {functions[pc - 1], nullptr, 0, 0, "/home/user/demo", nullptr, pc, nullptr};
  return inlined == 0;
}

// Found by a stack of this depth, whose innermost return address is 1, the next one 2, and so on.
rf_finding found_by(unsigned depth) {
  rf_finding f = sample_finding();
  f.found.site = nullptr;
  f.found.depth = depth;
  for (unsigned i = 0; i < depth; i++) {
    f.found.frames[i] = i + 1;
  }
  return f;
}

// The stack of a sweep at exit tells nothing of the write; one that a call of the program led to does.
TEST(ReportText, AWriteFoundByTheExitHandlersWasFoundInACheckOfAllBlocks) {
  rf_symbolizer const symbolizer = {name_of_exit, nullptr};
  EXPECT_EQ(line_with(render(found_by(4), &symbolizer), "WRITE"),
            "WRITE of size 3 at 0x105e, found in a check of all blocks");
  EXPECT_EQ(line_with(render(found_by(5), &symbolizer), "WRITE"),
            "WRITE of size 3 at 0x105e, found by thread T0 here:");
}

bool name_of_operator(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  static_cast<void>(context);
  *out = {"operator delete(void*, unsigned long)", nullptr, 0, 0, "/lib/libstdc++.so.6", nullptr, pc, nullptr};
  return inlined == 0;
}

// The caller alone is known, and that is the C++ library's own operator: the block was freed, if at exit.
TEST(ReportText, AWriteFoundByAFreeOfTheCxxLibrarysWasFoundThere) {
  rf_symbolizer const symbolizer = {name_of_operator, nullptr};
  EXPECT_EQ(line_with(render(found_by(1), &symbolizer), "WRITE"),
            "WRITE of size 3 at 0x105e, found by thread T0 here:");
}

TEST(ReportText, AMismatchNamesTheAllocationFirst) {
  rf_finding f = sample_finding();
  f.bug = RF_BUG_DEALLOC_MISMATCH;
  f.allocation = "operator new []";
  f.deallocation = "free";
  EXPECT_NE(line_with(render(f), "==").find("alloc-dealloc-mismatch (operator new [] vs free)"), std::string::npos);
}

TEST(ReportText, AnOriginThatIsNotKnownIsSaidToBeSo) {
  rf_finding f = sample_finding();
  f.bug = RF_BUG_BAD_FREE;
  f.access = RF_ACCESS_FREE;
  f.found.depth = 0;
  f.allocated.site = nullptr;
  std::string const text = render(f);
  EXPECT_EQ(line_with(text, "    (not"), "    (not known)");
  EXPECT_EQ(text.find("allocated by"), std::string::npos);
  EXPECT_EQ(line_with(text, "SUMMARY"), "SUMMARY: Ringfence: bad-free");
}

TEST(ReportText, SaysBeforeInsideAndAfter) {
  rf_finding f = sample_finding();
  f.offset = -4;
  f.address = f.block - 4;
  EXPECT_EQ(line_with(render(f), "0x104c"), "0x104c is located 4 bytes before 13-byte region [0x1050,0x105d)");
  f.offset = 12;
  f.address = f.block + 12;
  EXPECT_EQ(line_with(render(f), "0x105c"), "0x105c is located 12 bytes inside of 13-byte region [0x1050,0x105d)");
  f.offset = 13;
  f.address = f.block + 13;
  EXPECT_EQ(line_with(render(f), "0x105d"), "0x105d is located 0 bytes after 13-byte region [0x1050,0x105d)");
}

TEST(ReportText, ADoubleFreeTellsOfBothFrees) {
  rf_finding f = sample_finding();
  f.bug = RF_BUG_DOUBLE_FREE;
  f.access = RF_ACCESS_FREE;
  f.freed = true;
  f.offset = 0;
  f.address = f.block;
  f.released = f.allocated;
  f.released.thread = 0;
  f.window_size = 0;
  f.detail = nullptr;
  EXPECT_EQ(render(f, &kSampleSymbolizer), "=================================================================\n"
                                           "==4242==ERROR: Ringfence: double-free on address 0x1050\n"
                                           "FREE of 0x1050 by thread T0 here:\n"
                                           "    #0 0x401136 in close_log demo.c:21:3\n"
                                           "    #1 0x401136 in finish demo.c:30\n"
                                           "    #2 0x401180 in main (/home/user/demo+0x1180) (BuildId: 117750dd)\n"
                                           "    #3 0x7024a (/lib/libc.so.6+0x2724a)\n"
                                           "  allocator tlsf, mode guard\n"
                                           "0x1050 is located 0 bytes inside of 13-byte region [0x1050,0x105d)\n"
                                           "freed here:\n"
                                           "    #0 in open_log demo.c:12\n"
                                           "previously allocated by thread T4250 here:\n"
                                           "    #0 in open_log demo.c:12\n"
                                           "SUMMARY: Ringfence: double-free demo.c:21:3 in close_log\n");
  f.released.thread = f.process;
  EXPECT_NE(render(f).find("\nfreed by thread T0 here:\n"), std::string::npos) << render(f);
}

TEST(ReportText, ALeakSaysHowMuchAndWhereItCameFrom) {
  rf_finding f = sample_finding();
  f.bug = RF_BUG_LEAK;
  f.access = RF_ACCESS_UNKNOWN;
  f.size = 39;
  f.blocks = 3;
  f.window_size = 0;
  f.detail = nullptr;
  f.found = {};
  EXPECT_EQ(render(f), "=================================================================\n"
                       "==4242==ERROR: Ringfence: memory-leak of 39 byte(s) in 3 object(s)\n"
                       "  allocator tlsf, mode guard\n"
                       "allocated by thread T4250 here:\n"
                       "    #0 in open_log demo.c:12\n"
                       "SUMMARY: Ringfence: memory-leak demo.c:12 in open_log\n");
}

TEST(ReportText, TheStackOfAnAllocationIsToldWhereTheBlocksAddressIsNot) {
  rf_finding f = sample_finding();
  f.bug = RF_BUG_LEAK;
  f.block = 0;
  EXPECT_NE(render(f).find("allocated by thread T4250 here:\n    #0 in open_log demo.c:12\n"), std::string::npos);
}

TEST(ReportText, AMismatchNamesBothCalls) {
  rf_finding f = sample_finding();
  f.bug = RF_BUG_DEALLOC_MISMATCH;
  f.allocation = "operator new";
  f.deallocation = "free";
  EXPECT_EQ(line_with(render(f), "==4242"),
            "==4242==ERROR: Ringfence: alloc-dealloc-mismatch (operator new vs free) on address 0x105e");
}

TEST(ReportText, ASizedDeleteTellsBothSizes) {
  rf_finding f = sample_finding();
  f.bug = RF_BUG_SIZE_MISMATCH;
  f.argument = 24;
  EXPECT_NE(render(f).find("size of the allocated object: 13 bytes; size given to the deallocation: 24 bytes\n"),
            std::string::npos);
}

TEST(ReportText, RequestsTurnedAwayTellWhatWasAskedFor) {
  rf_finding f = {};
  f.process = 7;
  f.bug = RF_BUG_SIZE_TOO_BIG;
  f.size = 0x80000000;
  EXPECT_EQ(line_with(render(f), "==7"), "==7==ERROR: Ringfence: allocation-size-too-big: requested 0x80000000 bytes");
  f.bug = RF_BUG_CALLOC_OVERFLOW;
  f.size = 3;
  f.argument = 2000000000;
  EXPECT_EQ(line_with(render(f), "==7"), "==7==ERROR: Ringfence: calloc-overflow: 2000000000 * 3 does not fit a size");
  f.bug = RF_BUG_BAD_ALIGNMENT;
  f.argument = 24;
  EXPECT_EQ(line_with(render(f), "==7"), "==7==ERROR: Ringfence: invalid-allocation-alignment: 24 is no power of two");
  f.argument = 2; // of posix_memalign
  EXPECT_EQ(line_with(render(f), "==7"),
            "==7==ERROR: Ringfence: invalid-allocation-alignment: 2 is no multiple of a pointer's size");
}

TEST(ReportText, AFreedBlocksWindowIsMarked) {
  rf_finding f = sample_finding();
  f.window_size = 2;
  f.window_address = 0x1050;
  f.window[0] = f.expected[0] = 0xCC;
  f.window_class[0] = RF_BYTE_FREED;
  f.window[1] = 0x41;
  f.expected[1] = 0xCC;
  f.window_class[1] = RF_BYTE_BAD;
  std::string const text = render(f);
  EXPECT_EQ(line_with(text, "=>"), "=>0x000000001050: cc[41]");
  EXPECT_EQ(line_with(text, "                   f"), "                   f  !");
  EXPECT_EQ(line_with(text, "  expected"), "  expected 0xcc where !");
}

TEST(ReportText, BytesThatWereLeftOutAreNoBytes) {
  rf_finding f = sample_finding();
  f.window_size = 2;
  f.window_address = 0x1050;
  f.window_class[0] = RF_BYTE_LEFT_OUT;
  f.window[1] = 0x41;
  f.expected[1] = 0xFD;
  f.window_class[1] = RF_BYTE_BAD;
  EXPECT_EQ(line_with(render(f), "=>"), "=>0x000000001050: --[41]");
  EXPECT_EQ(line_with(render(f), "Bytes as"),
            "Bytes as found (u block, f freed block, g guard, h header, ! overwritten, ? left out):");
  f.window_class[1] = RF_BYTE_LEFT_OUT;
  EXPECT_EQ(line_with(render(f), "Bytes as"), "");
}

} // namespace
} // namespace ringfence
