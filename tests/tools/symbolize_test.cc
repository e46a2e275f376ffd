// Symbolises this test itself.
#include "tools/ringfence/symbols/symbolize.h"

#include "tests/tools/elf_file.h"
#include "tests/tools/run.h"

#include <gtest/gtest.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace {

struct Call {
  const void *return_address;
  unsigned line;
};

extern "C" __attribute__((noinline)) void rf_test_is_called(Call *call) {
  call->return_address = __builtin_return_address(0);
}

// The return address belongs to the next line.
extern "C" __attribute__((noinline)) void rf_test_calls(Call *call) {
  call->line = __LINE__ + 1;
  rf_test_is_called(call);
  asm volatile(""); // or it would be a jump, which returns elsewhere
}

// The load bias of this program.
int load_bias(dl_phdr_info *info, size_t, void *bias) {
  *static_cast<uintptr_t *>(bias) = info->dlpi_addr;
  return 1; // the program itself comes first
}

class Symbolize : public testing::Test {
protected:
  Symbolize() {
    uintptr_t bias = 0;
    dl_iterate_phdr(load_bias, &bias);
    char path[4096];
    ssize_t const length = readlink("/proc/self/exe", path, sizeof path - 1);
    module_.assign(path, length > 0 ? static_cast<size_t>(length) : 0);
    rf_test_calls(&call_);
    frame_.address = reinterpret_cast<uintptr_t>(call_.return_address);
    frame_.module = module_.c_str();
    frame_.offset = frame_.address - bias;
  }
  ~Symbolize() override { rf_bump_arena_free(&arena_); }

  void symbolize(std::vector<rf_frame *> frames) { rf_symbolize(&arena_, frames.data(), frames.size()); }

  // A PATH with this one symboliser in it; false where it is not installed.
  bool only(const std::string &tool) {
    std::string list = getenv("PATH");
    for (size_t start = 0; start <= list.size(); start = list.find(':', start) + 1) {
      const std::string file = list.substr(start, list.find(':', start) - start) + "/" + tool;
      if (access(file.c_str(), X_OK) == 0) {
        const std::string folder = ringfence_test::scratch("bin");
        mkdir(folder.c_str(), 0700);
        EXPECT_EQ(symlink(file.c_str(), (folder + "/" + tool).c_str()), 0);
        setenv("PATH", folder.c_str(), 1);
        return true;
      }
      if (list.find(':', start) == std::string::npos) {
        break;
      }
    }
    return false;
  }

  void expect_function_and_line() {
    ASSERT_GE(frame_.source_count, 1u);
    EXPECT_STREQ(frame_.sources[0].function, "rf_test_calls");
    ASSERT_NE(frame_.sources[0].file, nullptr);
    EXPECT_NE(std::string(frame_.sources[0].file).find("symbolize_test.cc"), std::string::npos);
    EXPECT_EQ(frame_.sources[0].line, call_.line);
  }

  Call call_ = {};
  std::string module_;
  rf_frame frame_ = {};
  rf_bump_arena arena_ = {nullptr};
  const std::string path_before_ = getenv("PATH");
  void TearDown() override { setenv("PATH", path_before_.c_str(), 1); }
};

class With : public Symbolize, public testing::WithParamInterface<const char *> {};

TEST_P(With, FindsTheLineOfTheCall) {
  if (!only(GetParam())) {
    GTEST_SKIP() << GetParam() << " is not installed";
  }
  symbolize({&frame_});
  expect_function_and_line();
}

INSTANTIATE_TEST_SUITE_P(Each, With, testing::Values("addr2line", "eu-addr2line", "llvm-symbolizer"),
                         [](const testing::TestParamInfo<const char *> &tool) {
                           std::string name = tool.param;
                           name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
                           return name;
                         });

// Its end is missing, and nothing is there.
TEST_F(Symbolize, APathThatIsTooLongToBeRecordedIsSaid) {
  rf_frame others[2] = {frame_, frame_};
  const std::string cut = "/" + std::string(950, 'd') + "/and its end";
  const std::string gone = "/" + std::string(500, 'd');
  others[0].module = cut.c_str();
  others[1].module = gone.c_str();
  testing::internal::CaptureStderr();
  symbolize({&others[0], &others[1]});
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(ringfence_test::has(said, "the path of a module is too long to be recorded whole")) << said;
  EXPECT_TRUE(ringfence_test::has(said, "dd/and its end\n")) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

void write_tool(const std::string &path, const std::string &file, const std::string &function = "f") {
  FILE *const out = fopen(path.c_str(), "w");
  ASSERT_NE(out, nullptr);
  fprintf(out, "#!/bin/sh\nwhile read -r at; do echo \"$at\"; echo '%s'; echo '/x/%s:5'; done\n", function.c_str(),
          file.c_str());
  fclose(out);
  chmod(path.c_str(), 0700);
}

// Binutils have one name for all files of a program that was compiled as it was linked.
TEST_F(Symbolize, AFileThatIsMadeUpIsAskedOfTheNextTool) {
  std::string const folder = ringfence_test::scratch("bin");
  mkdir(folder.c_str(), 0700);
  setenv("PATH", folder.c_str(), 1);
  write_tool(folder + "/addr2line", "<artificial>");
  symbolize({&frame_});
  ASSERT_EQ(frame_.source_count, 1U);
  EXPECT_STREQ(frame_.sources[0].file, "/x/<artificial>");
  write_tool(folder + "/eu-addr2line", "<artificial>");
  write_tool(folder + "/llvm-symbolizer", "a.c");
  symbolize({&frame_});
  ASSERT_EQ(frame_.source_count, 1U);
  EXPECT_STREQ(frame_.sources[0].file, "/x/a.c");
}

// Binutils know no lines of what was compiled with -gsplit-dwarf or -gdwarf64.
TEST_F(Symbolize, AProgramWhoseLinesAToolDoesNotReadIsAskedOfTheNextTool) {
  for (const char *const section : {".debug_addr", ".debug_info", ".debug_line"}) {
    bool const split = std::strcmp(section, ".debug_line") != 0;
    std::string const folder = ringfence_test::scratch("bin");
    mkdir(folder.c_str(), 0700);
    setenv("PATH", folder.c_str(), 1);
    ringfence_test::ElfFile image;
    image.symbols = {{"shown", 0x1000, 0x100}};
    image.named_sections = {{section, SHT_PROGBITS, "x"}};
    std::string const program = folder + "/program";
    ringfence_test::write_file(program, image.bytes(), 0755);
    ringfence_test::write_file(folder + "/addr2line",
                               "#!/bin/sh\nwhile read -r at; do printf '%s\\nshown\\n??:?\\n' \"$at\"; done\n", 0755);
    write_tool(folder + "/llvm-symbolizer", "a.c", "shown");
    rf_frame frame = {};
    frame.module = program.c_str();
    frame.offset = 0x1010;
    symbolize({&frame});
    ASSERT_EQ(frame.source_count, 1U);
    EXPECT_STREQ(frame.sources[0].function, "shown");
    EXPECT_EQ(frame.sources[0].line, split ? 5U : 0U);
    frame.offset = 0x3000;
    frame.source_count = 0;
    symbolize({&frame});
    EXPECT_EQ(frame.source_count, 0U) << "no function is there, whatever a tool says";
  }
}

// binutils 2.40 names the unit's file for a header that is file 1 of a DWARF 5 table, with the header's line.
TEST_F(Symbolize, AFileThatAnotherToolNamesForTheSameLineIsBelieved) {
  std::string const folder = ringfence_test::scratch("bin");
  mkdir(folder.c_str(), 0700);
  setenv("PATH", folder.c_str(), 1);
  for (const char *const other : {"/eu-addr2line", "/llvm-symbolizer"}) {
    write_tool(folder + "/addr2line", "main.c", "first");
    write_tool(folder + other, "header.h", "second");
    symbolize({&frame_});
    ASSERT_EQ(frame_.source_count, 1U);
    EXPECT_STREQ(frame_.sources[0].file, "/x/header.h") << other;
    EXPECT_STREQ(frame_.sources[0].function, "first") << other;
    write_tool(folder + other, "./main.c", "second");
    symbolize({&frame_});
    EXPECT_STREQ(frame_.sources[0].file, "/x/main.c") << other << ": another spelling";
    write_tool(folder + other, "header.h:7 (discriminator", "second"); // another line
    symbolize({&frame_});
    EXPECT_STREQ(frame_.sources[0].file, "/x/main.c") << other;
    unlink((folder + other).c_str());
  }
}

// Binutils do not know what was inlined into functions in files of their own.
TEST_F(Symbolize, CallsThatAnotherToolSeesWithinOneAreBelieved) {
  std::string const folder = ringfence_test::scratch("bin");
  mkdir(folder.c_str(), 0700);
  setenv("PATH", folder.c_str(), 1);
  const auto says = [&](const std::string &answer) {
    ringfence_test::write_file(folder + "/llvm-symbolizer",
                               "#!/bin/sh\nwhile read -r at; do printf '%s\\n" + answer + "' \"$at\"; done\n", 0755);
  };
  write_tool(folder + "/addr2line", "a.c", "outer");
  says("inner\\n/x/a.c:5\\nouter\\n/x/a.c:9\\n");
  symbolize({&frame_});
  ASSERT_EQ(frame_.source_count, 2U);
  EXPECT_STREQ(frame_.sources[0].function, "inner");
  EXPECT_STREQ(frame_.sources[1].function, "outer");
  EXPECT_EQ(frame_.sources[1].line, 9U);
  for (const char *const other : {"inner\\n/x/a.c:6\\nouter\\n/x/a.c:9\\n", "inner\\n/x/a.c:5\\nother\\n/x/a.c:9\\n"}) {
    says(other);
    symbolize({&frame_});
    ASSERT_EQ(frame_.source_count, 1U) << other;
    EXPECT_STREQ(frame_.sources[0].function, "outer");
  }
}

TEST_F(Symbolize, ALineWithoutAFunctionIsKeptWhereNoSymbolIsThere) {
  std::string const folder = ringfence_test::scratch("bin");
  mkdir(folder.c_str(), 0700);
  setenv("PATH", folder.c_str(), 1);
  write_tool(folder + "/addr2line", "start.S", "??");
  frame_.offset = 8; // within the header
  symbolize({&frame_});
  ASSERT_EQ(frame_.source_count, 1U);
  EXPECT_EQ(frame_.sources[0].function, nullptr);
  EXPECT_STREQ(frame_.sources[0].file, "/x/start.S");
}

TEST_F(Symbolize, WithoutAToolTheSymbolTableGivesTheFunction) {
  setenv("PATH", "/nonexistent", 1);
  testing::internal::CaptureStderr();
  symbolize({&frame_});
  EXPECT_NE(testing::internal::GetCapturedStderr().find("install binutils"), std::string::npos);
  ASSERT_EQ(frame_.source_count, 1u);
  EXPECT_STREQ(frame_.sources[0].function, "rf_test_calls");
  EXPECT_EQ(frame_.sources[0].file, nullptr);
}

// A tool that is found first, and gives this answer of each address.
TEST_F(Symbolize, TheSymbolTableNamesWhatTheToolDoesNot) {
  struct Case {
    const char *answer;
    const char *function;
    unsigned line;
  };
  for (const Case &c : {Case{"??\\n/a.c:7", "rf_test_calls", 7}, Case{"other\\n??:0", "other", 0}}) {
    const std::string folder = ringfence_test::scratch("bin");
    mkdir(folder.c_str(), 0700);
    ringfence_test::write_file(
        folder + "/addr2line",
        std::string("#!/bin/sh\nwhile read -r at; do printf '%s\\n") + c.answer + "\\n' \"$at\"; done\n", 0755);
    setenv("PATH", folder.c_str(), 1);
    frame_.source_count = 0;
    symbolize({&frame_});
    ASSERT_EQ(frame_.source_count, 1u) << c.answer;
    EXPECT_STREQ(frame_.sources[0].function, c.function);
    EXPECT_EQ(frame_.sources[0].line, c.line);
  }
}

// However the frames of several are mixed.
TEST_F(Symbolize, AToolRunsOnceForEachModule) {
  const std::string folder = ringfence_test::scratch("once");
  mkdir(folder.c_str(), 0700);
  const std::string other = folder + "/other";
  ringfence_test::write_file(other, ringfence_test::read_file(module_), 0755);
  ringfence_test::write_file(folder + "/addr2line",
                             "#!/bin/sh\necho run >>" + folder +
                                 "/runs\nwhile read -r at; do printf '%s\\nf\\n/a.c:7\\n' \"$at\"; done\n",
                             0755);
  setenv("PATH", (folder + ":" + path_before_).c_str(), 1);
  std::vector<rf_frame> frames(6, frame_);
  std::vector<rf_frame *> all;
  for (size_t i = 0; i < frames.size(); i++) {
    frames[i].module = i % 2 == 0 ? module_.c_str() : other.c_str();
    frames[i].offset += i / 2;
    all.push_back(&frames[i]);
  }
  symbolize(all);
  EXPECT_EQ(ringfence_test::read_file(folder + "/runs"), "run\nrun\n");
  for (const rf_frame &frame : frames) {
    ASSERT_EQ(frame.source_count, 1u);
    EXPECT_EQ(frame.sources[0].line, 7u);
  }
}

TEST_F(Symbolize, EqualFramesGetTheSameAnswer) {
  rf_frame second = frame_;
  rf_frame third = frame_;
  third.exact = true;
  symbolize({&frame_, &third, &second});
  ASSERT_GE(second.source_count, 1u);
  EXPECT_EQ(second.sources, frame_.sources);
  EXPECT_NE(third.sources, frame_.sources);
}

TEST_F(Symbolize, LeavesModulesAloneThatHaveChanged) {
  frame_.build_id = "0123456789";
  symbolize({&frame_});
  EXPECT_EQ(frame_.source_count, 0u);
}

// A program may be built anew while one of its processes runs: each frame is of the build that its process told.
TEST_F(Symbolize, TellsBuildsOfOneModuleApart) {
  for (const char *const other : {"0", "z"}) {
    rf_frame changed = frame_;
    changed.build_id = other;
    rf_frame same = frame_;
    rf_frame further = frame_;
    further.offset++;
    symbolize({&changed, &same, &further});
    EXPECT_EQ(changed.source_count, 0u) << other;
    EXPECT_NE(same.source_count, 0u) << other;
    EXPECT_NE(further.source_count, 0u) << other;
  }
}

TEST_F(Symbolize, TellsBuildsApartOfWhichOneBeginsAsTheOther) {
  ringfence_test::ElfFile image;
  image.symbols = {{"f", 0x8000, 0x10}};
  image.build_id = "\x01\x23\x45";
  const std::string file = ringfence_test::scratch("image");
  ringfence_test::write_file(file, image.bytes());
  setenv("PATH", "/nonexistent", 1);
  for (const char *const id : {"01", "0123", "01234", "0123456", "012345"}) {
    rf_frame frame = {};
    frame.module = file.c_str();
    frame.build_id = id;
    frame.offset = 0x8008;
    symbolize({&frame});
    EXPECT_EQ(frame.source_count, strcmp(id, "012345") == 0 ? 1U : 0U) << id;
  }
  unlink(file.c_str());
}

// Without a build-id nothing says that the file is the one that ran.
TEST_F(Symbolize, LeavesModulesAloneThatHaveNoBuildIdAnyMore) {
  ringfence_test::ElfFile image;
  image.symbols = {{"f", 0x8000, 0x10}};
  const std::string file = ringfence_test::scratch("image");
  ringfence_test::write_file(file, image.bytes());
  rf_frame frame = {};
  frame.module = file.c_str();
  frame.build_id = "0123456789";
  frame.offset = 0x8008;
  setenv("PATH", "/nonexistent", 1);
  symbolize({&frame});
  EXPECT_EQ(frame.source_count, 0u);
  frame.build_id = nullptr;
  symbolize({&frame});
  unlink(file.c_str());
  EXPECT_EQ(frame.source_count, 1u);
}

TEST_F(Symbolize, AFunctionEndsWithItsLastByte) {
  ringfence_test::ElfFile image;
  image.symbols = {{"f", 0x8000, 0x10}};
  const std::string file = ringfence_test::scratch("image");
  ringfence_test::write_file(file, image.bytes());
  rf_frame last = {};
  last.module = file.c_str();
  last.exact = true;
  last.offset = 0x800F;
  rf_frame behind = last;
  behind.offset = 0x8010;
  setenv("PATH", "/nonexistent", 1);
  symbolize({&last, &behind});
  unlink(file.c_str());
  EXPECT_EQ(last.source_count, 1u);
  EXPECT_EQ(behind.source_count, 0u);
}

// One that begins where another does may be longer, whichever comes first in the table.
TEST_F(Symbolize, TheLongerOfFunctionsThatBeginAtOnePlaceIsFoundBehindTheEndOfTheOther) {
  for (const bool longer_first : {false, true}) {
    ringfence_test::ElfFile image;
    image.symbols = {{longer_first ? "longer" : "other", 0x8000, longer_first ? 0x20U : 0x10U},
                     {longer_first ? "other" : "longer", 0x8000, longer_first ? 0x10U : 0x20U},
                     {"before", 0x7FF0, 0x100}};
    const std::string file = ringfence_test::scratch("image");
    ringfence_test::write_file(file, image.bytes());
    rf_frame frame = {};
    frame.module = file.c_str();
    frame.exact = true;
    frame.offset = 0x8018;
    setenv("PATH", "/nonexistent", 1);
    symbolize({&frame});
    unlink(file.c_str());
    ASSERT_EQ(frame.source_count, 1u) << longer_first;
    EXPECT_STREQ(frame.sources[0].function, "longer") << longer_first;
  }
}

TEST_F(Symbolize, LeavesAloneWhatIsNoFile) {
  rf_frame gone = frame_;
  gone.module = "/nonexistent/module.so";
  rf_frame vdso = frame_;
  vdso.module = "[vdso]";
  rf_frame anonymous = frame_;
  anonymous.module = nullptr;
  symbolize({&gone, &vdso, &anonymous});
  EXPECT_EQ(gone.source_count + vdso.source_count + anonymous.source_count, 0u);
}

TEST_F(Symbolize, AddressesOutsideOfFunctionsStayWithoutName) {
  frame_.offset = 0x10;
  symbolize({&frame_});
  EXPECT_EQ(frame_.source_count, 0u);
}

TEST_F(Symbolize, PathsMayHaveSpaces) {
  const std::string copy = ringfence_test::scratch("with spaces in it");
  ringfence_test::write_file(copy, ringfence_test::read_file(module_), 0755);
  frame_.module = copy.c_str();
  symbolize({&frame_});
  unlink(copy.c_str());
  expect_function_and_line();
}

// A call at the end of a function returns to the next one; both addresses have the Thumb bit.
TEST_F(Symbolize, TheThumbBitIsNoPartOfAReturnAddress) {
  ringfence_test::ElfFile image;
  image.is64 = false;
  image.machine = EM_ARM;
  image.symbols = {{"calls", 0x8001, 0x10}, {"next", 0x8011, 0x10}};
  const std::string file = ringfence_test::scratch("image");
  ringfence_test::write_file(file, image.bytes());
  rf_frame frame = {};
  frame.module = file.c_str();
  frame.address = frame.offset = 0x8011;
  setenv("PATH", "/nonexistent", 1);
  symbolize({&frame});
  unlink(file.c_str());
  ASSERT_EQ(frame.source_count, 1u);
  EXPECT_STREQ(frame.sources[0].function, "calls");
}

// JSON holds no bytes that are not UTF-8: records have U+FFFD for each.
TEST_F(Symbolize, PathsNeedNotBeUtf8) {
  const std::string copy = ringfence_test::scratch("caf\xE9\x80\xFF");
  const std::string replacement = "\xEF\xBF\xBD";
  std::string recorded = copy;
  recorded.replace(recorded.find('\xE9'), 3, replacement + replacement + replacement);
  ringfence_test::write_file(copy, ringfence_test::read_file(module_), 0755);
  frame_.module = recorded.c_str();
  symbolize({&frame_});
  unlink(copy.c_str());
  expect_function_and_line();
}

TEST_F(Symbolize, NothingToDoIsNothingSaid) {
  setenv("PATH", "/nonexistent", 1);
  testing::internal::CaptureStderr();
  symbolize({});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

} // namespace
