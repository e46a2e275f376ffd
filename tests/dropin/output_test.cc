// Place of the process's lines (checkers/dropin/runtime/output.c): standard error, neither if that is a file of the
// program's by chance, and the log.
#include "tests/dropin/output_world.h"

#include <sys/stat.h>

namespace ringfence_test {
namespace {

// ---- Standard error ----

TEST(Output, IsSaidToTheStandardErrorThatTheProcessHasPutThere) {
  std::string const in = folder();
  int const one = make(in + "/one");
  int const other = make(in + "/other");
  int const terminal = open("/dev/null", O_WRONLY | O_CLOEXEC);
  process("", [&] {
    put_at_standard_error(one);
    rf_output_set_standard_error();
    say("a");
    write_line("b");
    EXPECT_EQ(said, "ab");
    put_at_standard_error(other);
    say("c");
    write_line("d");
    EXPECT_EQ(said, "ab") << "a file that came there by chance";
    put_at_standard_error(terminal);
    say("e");
    EXPECT_EQ(said, "abe") << "no data is in it";
    put_at_standard_error(other);
    rf_output_set_standard_error();
    say("f");
    EXPECT_EQ(said, "abef") << "by the program's will";
    rf_forbidden_calls = RF_CALL_OPEN;
    put_at_standard_error(one);
    say("g");
    EXPECT_EQ(said, "abefg") << "a sandbox lets nobody ask";
  });
}

TEST(Output, OfALibraryThatIsLinkedInGoesToStandardErrorWhateverThatIs) {
  int const one = make(folder() + "/one");
  process("", [&] {
    rf_process.library = false;
    rf_output_set_standard_error();
    put_at_standard_error(one);
    say("a");
    EXPECT_EQ(said, "a");
  });
}

TEST(Output, AChildOfVforkHasAStandardErrorOfItsOwn) {
  std::string const in = folder();
  int const one = make(in + "/one");
  int const other = make(in + "/other");
  process("", [&] {
    put_at_standard_error(one);
    rf_output_set_standard_error();
    put_at_standard_error(other);
    rf_process.id = getppid();
    rf_output_set_standard_error();
    rf_process.id = getpid();
    say("a");
    EXPECT_EQ(said, "");
  });
}

TEST(Output, AStandardErrorThatIsClosedIsNone) {
  int const one = make(folder() + "/one");
  process("", [&] {
    close(STDERR_FILENO);
    close(STDIN_FILENO);
    errno = 77;
    rf_output_set_standard_error();
    EXPECT_EQ(errno, 77);
    say("a");
    EXPECT_EQ(errno, 77) << "whatever the system says of what is closed";
    said.clear();
    put_at_standard_error(one);
    say("a");
    EXPECT_EQ(said, "") << "what came there later";
    rf_output_keep_standard_error();
    EXPECT_FALSE(is_open(STDIN_FILENO)) << "a copy takes the place of no stream";
    errno = 77;
  });
}

TEST(Output, StandardErrorThatWasClosedIsPutBackAtTheEnd) {
  std::string const in = folder();
  int const one = make(in + "/one");
  int const other = make(in + "/other");
  process("", [&] {
    put_at_standard_error(one);
    rf_output_restore_standard_error();
    int const before = descriptors();
    rf_output_keep_standard_error();
    rf_output_keep_standard_error();
    EXPECT_EQ(descriptors(), before + 1);
    errno = 77;
    int copies = 0;
    for (int fd = STDERR_FILENO + 1; fd < 100; fd++) {
      struct stat now;
      struct stat first;
      int const flags = fcntl(fd, F_GETFD);
      copies += fd != one && fstat(fd, &now) == 0 && fstat(one, &first) == 0 && now.st_ino == first.st_ino &&
                flags == FD_CLOEXEC;
    }
    EXPECT_EQ(copies, 1) << "which a program that is executed does not have";
    put_at_standard_error(other);
    errno = 77;
    rf_output_restore_standard_error();
    EXPECT_EQ(write(STDERR_FILENO, "a", 1), 1) << "the program's, where it put one there";
    close(STDERR_FILENO);
    rf_output_restore_standard_error();
    EXPECT_EQ(write(STDERR_FILENO, "b", 1), 1);
  });
  EXPECT_EQ(text_of(in + "/one"), "b");
  EXPECT_EQ(text_of(in + "/other"), "a");
}

// ---- The log ----

TEST(Output, LinesAreAddedToTheLog) {
  std::string const log = folder() + "/log";
  std::ofstream(log) << "before\n";
  process(log, [&] {
    int const open_before = descriptors();
    errno = 77;
    write_line("one\n");
    write_line("two\n");
    EXPECT_EQ(said, "");
    EXPECT_EQ(descriptors(), open_before);
    errno = 77;
  });
  EXPECT_EQ(text_of(log), "before\none\ntwo\n");
}

// A command that the process starts has the options of this one, or its own.
TEST(Output, ALogIsSharedWithWhoseOptionsNameIt) {
  struct {
    std::string options;
    bool shared;
  } const rows[] = {
      {"", false},
      {"mode=page:log=/tmp/x/%p", true},
      {"log=/tmp/x/%p:mode=page", true},
      {"log='/tmp/x/%p':mode=page", true},
      {"log=\"/tmp/x/%p\"", true},
      {"log=/tmp/x/%p.other", false},
      {"log=/tmp/x/%", false},
      {"log='/tmp/x/%p.other'", false},
  };
  process("/tmp/x/%p", [&] {
    EXPECT_TRUE(rf_output_shares_log(nullptr)) << "no command began this process";
    rf_process.options.summary = true;
    EXPECT_FALSE(rf_output_shares_log(nullptr));
    for (auto const &row : rows) {
      EXPECT_EQ(rf_output_shares_log(row.options.c_str()), row.shared) << row.options;
    }
    rf_process.options.log = nullptr;
    EXPECT_TRUE(rf_output_shares_log(nullptr)) << "standard error is everybody's";
  });
}

TEST(Output, ALogThatCannotBeOpenedTakesNothing) {
  process("/nonexistent/log", [&] {
    write_line("one\n");
    EXPECT_EQ(said, "");
    errno = 77;
    rf_output_open();
    EXPECT_EQ(rf_process.log.fd, -1);
    EXPECT_EQ(rf_process.log.opened_by, 0U);
    rf_output_close();
    errno = 77;
  });
}

TEST(Output, TheReporterHasTheLogWhileItIsOpen) {
  std::string const log = folder() + "/log";
  process(log, [&] {
    rf_process.log.file = 4711; // of another one before
    rf_output_open();
    int const fd = rf_process.log.fd;
    EXPECT_GE(fd, 0);
    EXPECT_EQ(rf_process.log.file, 0U) << "not looked at yet";
    EXPECT_EQ(rf_process.log.opened_by, static_cast<uint32_t>(getpid()));
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
    rf_output_close();
    EXPECT_FALSE(is_open(fd));
    EXPECT_EQ(rf_process.log.fd, -1);
    EXPECT_EQ(rf_process.log.opened_by, 0U);
    rf_output_close();
    errno = 77;
  });
}

TEST(Output, TheReporterWritesNothingIntoAFileThatIsStandardErrorByChance) {
  int const one = make(folder() + "/one");
  process("", [&] {
    rf_output_set_standard_error();
    rf_output_open();
    EXPECT_EQ(rf_process.log.fd, -1) << "to standard error";
    put_at_standard_error(one);
    rf_output_open();
    struct stat file;
    ASSERT_EQ(fstat(rf_process.log.fd, &file), 0);
    EXPECT_TRUE(S_ISCHR(file.st_mode)) << "nowhere";
    rf_output_close();
    errno = 77;
  });
}

} // namespace
} // namespace ringfence_test
