// The small parts that the others of the command stand on.
#include "tests/core/text_sink.h"
#include "tests/tools/run.h"

#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

extern "C" {
#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/json.h"
#include "tools/ringfence/base/option_table.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/string_table.h"
#include "tools/ringfence/base/subprocess.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/base/write_file.h"
}

namespace {

using ringfence_test::scratch;
using ringfence_test::write_file;

class Base : public testing::Test {
protected:
  ~Base() override { rf_bump_arena_free(&arena_); }

  rf_bump_arena arena_ = {nullptr};
};

// A variable of the environment, as it was before at the end.
class Variable {
public:
  Variable(const char *name, const std::string &value) : name_(name) {
    if (const char *const before = getenv(name)) {
      before_ = before;
    }
    setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (before_.has_value()) {
      setenv(name_, before_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  Variable(const Variable &) = delete;
  Variable &operator=(const Variable &) = delete;

private:
  const char *name_;
  std::optional<std::string> before_;
};

// ---- Arena ----

using Arena = Base;

TEST_F(Arena, TextsOfEveryLengthAreWhole) {
  for (size_t length = 0; length < 600; length++) {
    const std::string text = std::string(length, 'x') + "e";
    ASSERT_EQ(rf_bump_arena_print(&arena_, "%s", text.c_str()), text);
  }
}

TEST_F(Arena, AnArrayWhoseSizeWrapsEndsTheProgram) {
  EXPECT_EXIT(rf_bump_arena_array(&arena_, SIZE_MAX / 4 + 2, 4), testing::ExitedWithCode(RF_EXIT_USAGE),
              "ringfence: out of memory");
  EXPECT_EXIT(rf_bump_arena_alloc(&arena_, SIZE_MAX - 2), testing::ExitedWithCode(RF_EXIT_USAGE),
              "ringfence: out of memory");
}

TEST_F(Arena, WhatIsTakenAgainAfterAResetIsZero) {
  (void)rf_bump_arena_alloc(&arena_, 1);
  const rf_bump_arena_mark mark = rf_bump_arena_mark_of(&arena_);
  memset(rf_bump_arena_alloc(&arena_, 100), 0xAA, 100);
  rf_bump_arena_reset(&arena_, mark);
  const auto *const again = static_cast<const unsigned char *>(rf_bump_arena_alloc(&arena_, 100));
  for (int i = 0; i < 100; i++) {
    ASSERT_EQ(again[i], 0) << i;
  }
}

TEST_F(Arena, EachStringOfATableHasOneIndex) {
  rf_string_table table = {};
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < 300; i++) {
      ASSERT_EQ(rf_string_table_index(&table, &arena_, rf_bump_arena_print(&arena_, "%zu", i)), i) << round;
    }
  }
  EXPECT_EQ(table.count, 300U);
}

// ---- Messages ----

TEST(Diagnostics, AMessageThatIsTooLongIsCutWithinItsLine) {
  for (const size_t length : {2034U, 2035U, 2036U, 5000U}) {
    testing::internal::CaptureStderr();
    rf_diag("%s", std::string(length, 'x').c_str());
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "ringfence: " + std::string(length < 2035 ? length : 2035, 'x') + "\n");
  }
}

TEST(Diagnostics, AMessageSteersNoTerminalAndIsUtf8) {
  testing::internal::CaptureStderr();
  rf_diag("%s", "no \x1B[31mfile\x7F caf\xE9 \xC3\xA9\r\n\tat \xC2\x9B");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "ringfence: no ?[31mfile? caf\xEF\xBF\xBD \xC3\xA9?\n\tat ?\n");
}

TEST(Diagnostics, ACutMessageEndsWithAWholeCharacter) {
  testing::internal::CaptureStderr();
  rf_diag("%s%s", std::string(2034, 'x').c_str(), "\xC3\xA9");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "ringfence: " + std::string(2034, 'x') + "\xEF\xBF\xBD\n");
}

// ---- Sinks ----

using Sinks = Base;

TEST_F(Sinks, ControlCharactersOfBothRangesAreReplaced) {
  std::string out;
  const rf_sink to = ringfence::sink_to(&out);
  const rf_sink clean = rf_clean_sink(&to);
  rf_sink_str(&clean, "\x01\x1F \x7E\x7F\t\n\xC2\x7F|\xC2\x80\xC2\x9F\xC2\xA0\xC3\x80\xC2");
  EXPECT_EQ(out, "?? \x7E?\t\n\xEF\xBF\xBD?|??\xC2\xA0\xC3\x80\xEF\xBF\xBD");
}

TEST_F(Sinks, BytesThatAreNoUtf8AreReplacedOneByOne) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"caf\xE9/b", "caf?/b"},        {"\xC0\xAF", "??"},      {"\xED\xA0\x80", "???"},
      {"\xF4\x90\x80\x80", "????"},   {"\xF0\x9F\x98", "???"}, {"a\x80z\xFF\xFE", "a?z??"},
      {"\xE2\x82 \xE2\x82", "?? ??"}, {"\xC2\x41", "?A"},
  };
  for (const auto &[text, marks] : cases) {
    std::string expected;
    for (const char c : marks) {
      expected += c == '?' ? std::string("\xEF\xBF\xBD") : std::string(1, c);
    }
    std::string out;
    const rf_sink to = ringfence::sink_to(&out);
    const rf_sink clean = rf_clean_sink(&to);
    rf_sink_str(&clean, text.c_str());
    EXPECT_EQ(out, expected);
  }
}

TEST_F(Sinks, CharactersOfEachLengthStay) {
  const std::string text = "aZ~\xC2\xA0\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\n";
  std::string out;
  const rf_sink to = ringfence::sink_to(&out);
  const rf_sink clean = rf_clean_sink(&to);
  rf_sink_str(&clean, text.c_str());
  EXPECT_EQ(out, text);
}

TEST_F(Sinks, ACharacterBehindTheEndOfThePieceIsNoPartOfIt) {
  std::string out;
  const rf_sink to = ringfence::sink_to(&out);
  const rf_sink clean = rf_clean_sink(&to);
  rf_sink_mem(&clean, "\xE2\x82\xAC", 2);
  rf_sink_mem(&clean, "\xC2\x80", 1);
  rf_sink_mem(&clean, "", 0);
  EXPECT_EQ(out, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_F(Sinks, AFileTellsWhyAWriteToItFailed) {
  FILE *const full = fopen("/dev/full", "we");
  FILE *const other = fopen("/dev/full", "we");
  ASSERT_TRUE(full != nullptr && other != nullptr);
  const std::string text(10000, 'x');
  rf_sink const sink = rf_file_sink(full);
  rf_sink_str(&sink, "x");
  EXPECT_EQ(rf_file_error(full), 0) << "nothing was written so far";
  rf_sink_str(&sink, text.c_str());
  errno = 0;
  EXPECT_EQ(rf_file_error(full), ENOSPC);
  EXPECT_EQ(rf_file_error(other), 0);
  (void)fwrite(text.data(), 1, text.size(), other);
  EXPECT_EQ(rf_file_error(other), EIO) << "the reason is not known";
  (void)fclose(full);
  (void)fclose(other);
}

TEST_F(Sinks, ATextEndsWithinItsRoom) {
  for (const size_t length : {511U, 512U, 513U, 1024U}) {
    rf_text_sink t;
    rf_text_sink_init(&t, &arena_);
    const char *const next = rf_bump_arena_text(&arena_, "next", 4);
    rf_sink_str(&t.sink, std::string(length, 'x').c_str());
    EXPECT_EQ(t.text, std::string(length, 'x'));
    EXPECT_STREQ(next, "next") << length;
  }
}

// ---- Options ----

// Names of 23 columns stand beside their help, longer ones above it.
TEST(OptionTable, HelpIsInTwoColumns) {
  const rf_option rows[] = {
      {"short", 's', nullptr, "one line", nullptr},
      {"valued", '\0', "N", "two\nlines", nullptr},
      {"maybe", 'm', "[=N]", "optional", nullptr},
      {"of-just-seventeen", '\0', nullptr, "beside", nullptr},
      {"of-eighteen-letter", '\0', nullptr, "below", nullptr},
  };
  const rf_option_table table = {"test", rows, 5, false};
  testing::internal::CaptureStdout();
  rf_option_table_help(&table);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "Options:\n"
                                                    "  -s, --short             one line\n"
                                                    "      --valued N          two\n"
                                                    "                          lines\n"
                                                    "  -m, --maybe[=N]         optional\n"
                                                    "      --of-just-seventeen beside\n"
                                                    "      --of-eighteen-letter\n"
                                                    "                          below\n");
}

// ---- Words ----

using Words = Base;

TEST_F(Words, AWordIsOneOfAListOrNot) {
  for (const char *const word : {"no", "yes", "all"}) {
    EXPECT_TRUE(rf_is_word_of(word, "no yes all")) << word;
  }
  for (const char *const word : {"", " ", "n", "es", "ye", "no yes", "all ", "none"}) {
    EXPECT_FALSE(rf_is_word_of(word, "no yes all")) << word;
  }
}

TEST_F(Words, BytesHaveTheUnitInWhichTheyAreBelow1024) {
  const uint64_t kib = 1024;
  EXPECT_STREQ(rf_bytes_text(&arena_, 1), "1 byte");
  EXPECT_STREQ(rf_bytes_text(&arena_, kib - 1), "1023 bytes");
  EXPECT_STREQ(rf_bytes_text(&arena_, kib), "1.0 KiB");
  EXPECT_STREQ(rf_bytes_text(&arena_, kib * kib - 60), "1023.9 KiB");
  EXPECT_STREQ(rf_bytes_text(&arena_, kib * kib - 1), "1.0 MiB");
  EXPECT_STREQ(rf_bytes_text(&arena_, kib * kib * kib * kib * 5000), "5000.0 TiB");
}

TEST_F(Words, NounsHaveAPlural) {
  EXPECT_STREQ(rf_counted(&arena_, 0, "process"), "0 processes");
  EXPECT_STREQ(rf_counted(&arena_, 1, "process"), "1 process");
  EXPECT_STREQ(rf_counted(&arena_, 2, "block"), "2 blocks");
}

TEST_F(Words, ChangesHaveASignAndAPlural) {
  EXPECT_STREQ(rf_changed(&arena_, 1, "block"), "+1 block");
  EXPECT_STREQ(rf_changed(&arena_, -1, "block"), "-1 block");
  EXPECT_STREQ(rf_changed(&arena_, 0, "byte"), "+0 bytes");
  EXPECT_STREQ(rf_changed(&arena_, INT64_MIN, "byte"), "-9223372036854775808 bytes");
}

// ---- JSON ----

using Numbers = Base;

TEST_F(Numbers, OutOfTheirRangeAreTheFallback) {
  const std::string text = R"({"big":18446744073709551616,"small":-1,"text":"12","hex":"0x1f","none":"","half":1.5})";
  const rf_json *const o = rf_json_parse(&arena_, text.c_str(), text.size());
  ASSERT_NE(o, nullptr);
  EXPECT_EQ(rf_json_unsigned(o, "big", 7), 7U);
  EXPECT_EQ(rf_json_unsigned(o, "text", 7), 12U) << "after a number that was out of range";
  EXPECT_EQ(rf_json_signed(o, "big", 7), 7);
  EXPECT_EQ(rf_json_signed(o, "text", 7), 12);
  EXPECT_EQ(rf_json_unsigned(o, "small", 7), 7U);
  EXPECT_EQ(rf_json_signed(o, "small", 7), -1);
  EXPECT_EQ(rf_json_unsigned(o, "hex", 7), 31U);
  EXPECT_EQ(rf_json_unsigned(o, "none", 7), 7U);
  EXPECT_EQ(rf_json_signed(o, "none", 7), 7);
  EXPECT_EQ(rf_json_unsigned(o, "half", 7), 7U);
}

// ---- Paths ----

using Paths = Base;

TEST_F(Paths, AFolderInPathIsNoProgramNorIsAFileThatNobodyMayRun) {
  const std::string first = scratch("path_first");
  const std::string second = scratch("path_second");
  ASSERT_EQ(mkdir(first.c_str(), 0755), 0);
  ASSERT_EQ(mkdir((first + "/tool").c_str(), 0755), 0);
  const Variable path("PATH", first + ":" + second);
  EXPECT_EQ(rf_paths_in_path(&arena_, "tool"), nullptr);
  ASSERT_EQ(mkdir(second.c_str(), 0755), 0);
  write_file(second + "/tool", "#!/bin/sh\n", 0644);
  EXPECT_EQ(rf_paths_in_path(&arena_, "tool"), nullptr);
  ASSERT_EQ(chmod((second + "/tool").c_str(), 0755), 0);
  EXPECT_EQ(rf_paths_in_path(&arena_, "tool"), second + "/tool");
}

TEST_F(Paths, AnEmptyPartOfPathIsTheCurrentFolder) {
  char before[PATH_MAX];
  ASSERT_NE(getcwd(before, sizeof before), nullptr);
  const std::string here = scratch("path_here");
  ASSERT_EQ(mkdir(here.c_str(), 0755), 0);
  write_file(here + "/tool", "#!/bin/sh\n", 0755);
  ASSERT_EQ(chdir(here.c_str()), 0);
  for (const char *const path : {"", ":/nonexistent", "/nonexistent:", "/nonexistent::/nonexistent"}) {
    const Variable set("PATH", path);
    EXPECT_STREQ(rf_paths_in_path(&arena_, "tool"), "./tool") << path;
  }
  EXPECT_EQ(chdir(before), 0);
}

TEST_F(Paths, OfADescriptorHaveItsNumber) {
  EXPECT_EQ(rf_named_descriptor("/proc/self/fd/7"), 7);
  EXPECT_EQ(rf_named_descriptor("/proc/self/fd/4294967297"), INT_MAX) << "not descriptor 1";
  EXPECT_EQ(rf_named_descriptor("/proc/self/fd/7x"), -1);
  EXPECT_EQ(rf_named_descriptor("/proc/self/fd/"), -1);
  EXPECT_EQ(rf_named_descriptor("7"), -1);
}

TEST_F(Paths, ANameBelowAFileIsNotFound) {
  int status = 0;
  const std::string file = scratch("file");
  write_file(file, "");
  EXPECT_EQ(rf_paths_program(&arena_, (file + "/program").c_str(), &status), nullptr);
  EXPECT_EQ(status, RF_EXIT_NOT_FOUND);
  EXPECT_EQ(rf_paths_program(&arena_, (file + "2").c_str(), &status), nullptr);
  EXPECT_EQ(status, RF_EXIT_NOT_FOUND);
  EXPECT_EQ(rf_paths_program(&arena_, file.c_str(), &status), nullptr);
  EXPECT_EQ(status, RF_EXIT_CANNOT_RUN);
}

// As in a folder's name, or in an argument that stands in one word with its program.
TEST_F(Paths, AnEqualsSignBehindASlashOrASpaceIsNoVariables) {
  int status = 0;
  for (const std::string word : {"./none/of=these", "ls of=these", "of=these"}) {
    testing::internal::CaptureStderr();
    EXPECT_EQ(rf_paths_program(&arena_, word.c_str(), &status), nullptr);
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(said.find("variables stand before the command") != std::string::npos, word == "of=these") << said;
  }
}

// Asks as a user whom no capability lets run what anybody else may run. Exits with the status.
[[noreturn]] void ask_without_capabilities(rf_bump_arena *arena, const std::string &file) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {};
  int status = 0;
  if (syscall(SYS_capset, &header, none) == 0) {
    (void)rf_paths_program(arena, file.c_str(), &status);
  }
  exit(status);
}

TEST_F(Paths, AFileThatOthersMayRunIsTold) {
  const std::string file = scratch("others");
  write_file(file, "#!/bin/sh\n");
  for (const mode_t mode : {0610, 0601}) {
    ASSERT_EQ(chmod(file.c_str(), mode), 0);
    EXPECT_EXIT(ask_without_capabilities(&arena_, file), testing::ExitedWithCode(RF_EXIT_CANNOT_RUN),
                "others may not be executed by this user");
  }
  if (chown(file.c_str(), 65534, static_cast<gid_t>(-1)) == 0) { // root's tests can
    ASSERT_EQ(chmod(file.c_str(), 0744), 0);
    EXPECT_EXIT(ask_without_capabilities(&arena_, file), testing::ExitedWithCode(RF_EXIT_CANNOT_RUN),
                "others may not be executed by this user");
    ASSERT_EQ(chown(file.c_str(), getuid(), static_cast<gid_t>(-1)), 0);
  }
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  EXPECT_EXIT(ask_without_capabilities(&arena_, file), testing::ExitedWithCode(RF_EXIT_CANNOT_RUN),
              "others is not executable .Permission denied.; `chmod .x` makes it so");
}

TEST_F(Paths, TheFolderOfBazelRunIsEnteredFromARunfilesTreeAlone) {
  char before[PATH_MAX];
  ASSERT_NE(getcwd(before, sizeof before), nullptr);
  const std::string user = scratch("user");
  const std::string tree = scratch("tool.runfiles");
  ASSERT_EQ(mkdir(user.c_str(), 0755), 0);
  ASSERT_EQ(mkdir(tree.c_str(), 0755), 0);
  ASSERT_EQ(mkdir((tree + "/main").c_str(), 0755), 0);
  const Variable directory("BUILD_WORKING_DIRECTORY", user);
  char now[PATH_MAX];
  char expected[PATH_MAX];
  for (const auto &[from, to] : {std::pair{tree + "/main", user}, {tree, tree}}) {
    const Variable pwd("PWD", from);
    EXPECT_EQ(chdir(from.c_str()), 0);
    rf_paths_enter();
    EXPECT_STREQ(getcwd(now, sizeof now), realpath(to.c_str(), expected));
    EXPECT_EQ(std::string(getenv("PWD")), to);
  }
  EXPECT_EQ(chdir(before), 0);
}

// ---- Processes ----

using Subprocess = Base;

TEST_F(Subprocess, OnlyOneThatSucceedsHasAnOutput) {
  const char *const copies[] = {"sh", "-c", "cat", nullptr};
  const char *const fails[] = {"sh", "-c", "cat; exit 3", nullptr};
  EXPECT_STREQ(rf_subprocess_output(&arena_, "/bin/sh", copies, "text"), "text");
  EXPECT_EQ(rf_subprocess_output(&arena_, "/bin/sh", fails, "text"), nullptr);
  EXPECT_EQ(rf_subprocess_output(&arena_, "/nonexistent", copies, "text"), nullptr);
}

TEST_F(Subprocess, WhatItSaysOfErrorsIsNotShown) {
  const char *const complains[] = {"sh", "-c", "echo text; echo complaint >&2", nullptr};
  testing::internal::CaptureStderr();
  const char *const output = rf_subprocess_output(&arena_, "/bin/sh", complains, "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_STREQ(output, "text\n");
}

TEST_F(Subprocess, LoadsNoLibraryOfTheUsers) {
  const Variable preload("LD_PRELOAD", "");
  const char *const shows[] = {"sh", "-c", "echo \"${LD_PRELOAD-none}\"", nullptr};
  EXPECT_STREQ(rf_subprocess_output(&arena_, "/bin/sh", shows, ""), "none\n");
}

} // namespace
