// Frames in reports of sanitizers: their text, and whose code they are.
#include "tests/tools/foreign_fixture.h"

namespace ringfence_test {
namespace {

using ForeignFrames = Foreign;

// Found while it fuzzes and by a run on the input alone, one bug has other callers in libFuzzer.
TEST_F(ForeignFrames, StacksEndAtTheTargetOfAFuzzer) {
  const rf_foreign found = read("==1==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
                                "    #0 0x1 in parse /src/a.cc:1\n    #1 0x2 in LLVMFuzzerTestOneInput /src/a.cc:2\n"
                                "    #2 0x3 in fuzzer::Fuzzer::ExecuteCallback(unsigned char const*, unsigned long) "
                                "(/bin/fuzz+0x10)\n    #3 0x4 in main (/bin/fuzz+0x20)\n");
  ASSERT_EQ(found.count, 1U);
  EXPECT_EQ(found.findings[0].stacks[0].count, 2U);
}

// A program may call the target of a fuzzer itself: these callers are its own.
TEST_F(ForeignFrames, StacksGoOnBehindATargetThatTheProgramCalls) {
  const rf_foreign found = read("==1==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
                                "    #0 0x1 in parse /src/a.cc:1\n    #1 0x2 in LLVMFuzzerTestOneInput /src/a.cc:2\n"
                                "    #2 0x3 in fuzz_again /src/a.cc:3\n    #3 0x4 in main /src/a.cc:4\n"
                                "==1==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
                                "    #0 0x2 in LLVMFuzzerTestOneInput /src/a.cc:2\n"
                                "==1==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
                                "    #0 0x2 in fuzzer::Fuzzer::Loop() (/bin/fuzz+0x10)\n");
  ASSERT_EQ(found.count, 3U);
  EXPECT_EQ(found.findings[0].stacks[0].count, 4U);
  EXPECT_EQ(found.findings[1].stacks[0].count, 1U);
  EXPECT_EQ(found.findings[2].stacks[0].count, 1U);
}

// AddressSanitizer gives a frame its source or its module; a main alone counts with its program.
TEST_F(ForeignFrames, AMainIsOneOfItsProgram) {
  const std::string start = "==1==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
                            "    #0 0x1 in main /src/a.c:1\n    #1 0x2 in _start (/bin/";
  const rf_foreign one = read(start + "one+0x10)\n");
  const rf_foreign two = read(start + "two+0x10)\n");
  const rf_identity a = rf_identity_of(&arena_, record(one), nullptr);
  const rf_identity b = rf_identity_of(&arena_, record(two), nullptr);
  EXPECT_NE(a.group, b.group);
  EXPECT_STREQ(rf_foreign_program(&one, &one.findings[0]), "/bin/one");
}

// In its text a frame with a line has no module, so that the place of its code tells whose it is.
TEST_F(ForeignFrames, CodeBesideMainIsTheProgramsOwn) {
  struct Code {
    const char *pc; // of make
    const char *place;
    const char *last; // what main counts as
  };
  static const Code rows[] = {
      {"0x55aa00001000", "/src/a.c:1", "main of prog"},
      {"0x55aa7fffffff", "/src/a.c:1", "main of prog"},
      {"0x55aac0003000", "/src/a.c:1", "main"},
      {"0x55a940003000", "/src/a.c:1", "main"},
      {"0x55a980003001", "/src/a.c:1", "main of prog"},
      {"0x7f1200001000", "/src/a.c:1", "main"},
      {"0x55aa00001000", "(/bin/prog+0x1000)", "main of prog"},
      {"0x7f1200001000", "(/lib/libx.so+0x1000)", "main"},
  };
  for (const Code &row : rows) {
    const rf_foreign found = read("==1==ERROR: LeakSanitizer: detected memory leaks\n"
                                  "Direct leak of 4 byte(s) in 1 object(s) allocated from:\n    #0 " +
                                  std::string(row.pc) + " in make " + row.place +
                                  "\n    #1 0x55aa00003000 in main /src/a.c:2\n"
                                  "    #2 0x55aa00000010 in _start (/bin/prog+0x10)\n");
    ASSERT_EQ(found.count, 1U);
    const rf_identity id = rf_identity_of(&arena_, record(found), nullptr);
    ASSERT_EQ(id.stacks[RF_STACK_ALLOCATED].count, 2U);
    EXPECT_STREQ(id.stacks[RF_STACK_ALLOCATED].frames[1], row.last) << row.pc << row.place;
  }
}

TEST_F(ForeignFrames, AnotherFindingOfTheProcessNamesItsProgram) {
  const std::string leak = "Direct leak of 4 byte(s) in 1 object(s) allocated from:\n    #0 0x1 in make /src/a.c:1\n"
                           "    #1 0x2 in main /src/a.c:2\n";
  const std::string start = "    #2 0x3 in _start (/bin/prog+0x10)\n";
  const auto last_of = [&](const rf_foreign &found, size_t index, const char *program = nullptr) {
    const rf_identity id = rf_identity_of(&arena_, record(found, index, program), nullptr);
    return std::string(id.stacks[RF_STACK_ALLOCATED].frames[1]);
  };
  const std::string one = "==1==ERROR: LeakSanitizer: detected memory leaks\n" + leak;
  const rf_foreign found = read(one + leak + start + "==2==ERROR: LeakSanitizer: detected memory leaks\n" + leak);
  ASSERT_EQ(found.count, 3U);
  EXPECT_EQ(last_of(found, 0), "main of prog");
  EXPECT_EQ(last_of(found, 1), "main of prog");
  EXPECT_EQ(last_of(found, 2), "main") << "another process";
  EXPECT_EQ(last_of(found, 2, "/srv/tool"), "main of tool");
  EXPECT_EQ(last_of(found, 1, "/srv/tool"), "main of tool") << "a build under another name";
  const rf_foreign turned = read(one + start + leak);
  ASSERT_EQ(turned.count, 2U);
  EXPECT_EQ(last_of(turned, 1), "main of prog") << "named before";
}

// The name of a build for a sanitizer may be another one. Offsets in it are not those of the program that is named.
TEST_F(ForeignFrames, FramesOfTheProgramBearTheNameThatIsGiven) {
  const rf_foreign found = read("==1==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
                                "    #0 0x1 in parse (/bin/prog-asan+0x1)\n    #1 0x2  (/bin/prog-asan+0x2)\n"
                                "    #2 0x3 in main (/bin/prog-asan+0x3)\n");
  ASSERT_EQ(found.count, 1U);
  const rf_record *const given = record(found, 0, "/srv/prog");
  ASSERT_EQ(given->found.count, 3U);
  EXPECT_STREQ(given->found.frames[0].module, "/srv/prog");
  EXPECT_EQ(given->found.frames[0].offset, 0U);
  EXPECT_STREQ(given->found.frames[1].module, "/bin/prog-asan");
  EXPECT_EQ(given->found.frames[1].offset, 2U);
  EXPECT_STREQ(record(found, 0, "/srv/prog-asan")->found.frames[0].module, "/bin/prog-asan");
}

// If debugging information of glibc is installed, its frames have lines and no module.
TEST_F(ForeignFrames, FunctionsOfTheCLibraryAndOfTheSanitizerArePassedOver) {
  const std::string text = "==1==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
                           "    #0 0x7f0000001000 in realpath /src/compiler-rt/lib/asan/asan_interceptors.cpp:1\n"
                           "    #1 0x7f0000001000 in fetch ../../../../src/libsanitizer/asan/asan_malloc_linux.cpp:69\n"
                           "    #2 0x7f1000001000 in compare /src/lib/stdlib/compare.c:4\n"
                           "    #3 0x7f1000001000 in qsort_r stdlib/./stdlib/msort.c:297\n"
                           "    #4 0x55aa00001000 in sort ./stdlib/sort.c:3\n"
                           "    #5 0x55aa00002000 in main main.c:4\n"
                           "    #6 0x7f1000002000 in run ../sysdeps/nptl/run.h:58\n";
  const rf_foreign found = read(text);
  ASSERT_EQ(found.count, 1U);
  const rf_identity id = rf_identity_of(&arena_, record(found), nullptr);
  ASSERT_EQ(id.stacks[RF_STACK_FOUND].count, 3U);
  EXPECT_STREQ(id.stacks[RF_STACK_FOUND].frames[0], "compare");
  EXPECT_STREQ(id.stacks[RF_STACK_FOUND].frames[1], "sort") << "a program may have such a folder";
  EXPECT_STREQ(id.stacks[RF_STACK_FOUND].frames[2], "main");
}

// clang links the sanitizer into the program.
TEST_F(ForeignFrames, InterceptorsInTheProgramArePassedOver) {
  const rf_foreign found = read("==1==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
                                "    #0 0x1 in compare /src/a.c:1\n    #1 0x2 in qsort_r (/bin/prog+0x2)\n"
                                "    #2 0x3 in qsort_r (/opt/own.so+0x3)\n    #3 0x4 in qsort /src/b.c:4\n"
                                "    #4 0x5 in main (/bin/prog+0x5)\n");
  ASSERT_EQ(found.count, 1U);
  const rf_identity id = rf_identity_of(&arena_, record(found), nullptr);
  ASSERT_EQ(id.stacks[RF_STACK_FOUND].count, 4U);
  EXPECT_STREQ(id.stacks[RF_STACK_FOUND].frames[1], "qsort_r") << "of another library";
  EXPECT_STREQ(id.stacks[RF_STACK_FOUND].frames[2], "qsort") << "with a line";
}

// Valgrind names the module and the line of a frame.
TEST_F(ForeignFrames, AFunctionOfTheProgramWithALineIsNoInterceptor) {
  const rf_foreign found = read("<valgrindoutput><pid>1</pid><error><kind>InvalidRead</kind><what>Invalid read</what>"
                                "<stack><frame><ip>0x1</ip><obj>/bin/prog</obj><fn>getline</fn><dir>/src</dir>"
                                "<file>b.c</file><line>4</line></frame><frame><ip>0x2</ip><obj>/bin/prog</obj>"
                                "<fn>main</fn></frame></stack></error></valgrindoutput>");
  ASSERT_EQ(found.count, 1U);
  EXPECT_STREQ(record(found)->found.frames[0].module, "/bin/prog");
}

TEST_F(ForeignFrames, PathsOfFramesMayBeRelativeAndHaveSpaces) {
  struct Line {
    const char *text, *function, *file, *module;
  };
  static const Line lines[] = {
      {" in main /my src/a b.c:4:2", "main", "/my src/a b.c", nullptr},
      {" in f(int, char) src/a.cc:4", "f(int, char)", "src/a.cc", nullptr},
      {" in f(int, char) const /src/a.cc:4", "f(int, char) const", "/src/a.cc", nullptr},
      {" in operator()(int) (prog+0x12)", "operator()(int)", nullptr, "prog"},
      {" in f (void (*)(int)) (/my bin/prog+0x12)", "f (void (*)(int))", nullptr, "/my bin/prog"},
      {" in f(a+b) (bin/prog+0x12) (BuildId: 4f)", "f(a+b)", nullptr, "bin/prog"},
      {"  (bin/prog+0x12)", nullptr, nullptr, "bin/prog"},
      {"  (<unknown module>)", nullptr, nullptr, nullptr},
      {" in _Z1fv", "_Z1fv", nullptr, nullptr},
  };
  for (const Line &line : lines) {
    const rf_foreign found = read(std::string("==1==ERROR: AddressSanitizer: SEGV\n    #0 0x1") + line.text + "\n");
    ASSERT_EQ(found.count, 1U);
    ASSERT_EQ(found.findings[0].stacks[0].count, 1U);
    const rf_foreign_frame &frame = found.findings[0].stacks[0].frames[0];
    EXPECT_STREQ(frame.function, line.function) << line.text;
    EXPECT_STREQ(frame.file, line.file) << line.text;
    EXPECT_STREQ(frame.module, line.module) << line.text;
    EXPECT_EQ(frame.offset, line.module == nullptr ? 0U : 0x12U) << line.text;
  }
}

// ASAN_OPTIONS=log_exe_name=1
TEST_F(ForeignFrames, TheFirstLineMayNameTheProgram) {
  const std::string leak = "Direct leak of 4 byte(s) in 1 object(s) allocated from:\n    #0 0x1 in make /src/a.c:1\n";
  const rf_foreign found = read("==prog==7==ERROR: LeakSanitizer: detected memory leaks\n\n" + leak +
                                "==a=b==8==ERROR: AddressSanitizer: heap-use-after-free\n"
                                "x==9==ERROR: LeakSanitizer: detected memory leaks\n" +
                                leak + "====ERROR: AddressSanitizer: SEGV\n");
  ASSERT_EQ(found.count, 4U);
  static const uint32_t pids[] = {7, 8, 9, 0};
  static const char *const programs[] = {"prog", "a=b", nullptr, nullptr};
  for (size_t i = 0; i < 4; i++) {
    EXPECT_EQ(found.findings[i].process, pids[i]);
    EXPECT_STREQ(found.findings[i].program, programs[i]);
  }
  EXPECT_STREQ(rf_foreign_program(&found, &found.findings[0]), "prog");
}

} // namespace
} // namespace ringfence_test
