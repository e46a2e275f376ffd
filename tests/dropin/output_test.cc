// Where the process's lines go (checkers/dropin/runtime/output.c): the log, standard error, and neither where that is a
// file of the program's by chance. Each test is in a process of its own, over real files.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/output.h"
#include "checkers/os/forbidden_calls.h"
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <linux/capability.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

std::string said;
int programs_kept = 0;
bool keeps_rights = true;

} // namespace

extern "C" {

void __wrap_rf_port_log(const char *text, size_t size) {
  said.append(text, size);
}

int __real_access(const char *path, int mode);

int __wrap_access(const char *path, int mode) {
  errno = EACCES;
  return keeps_rights ? __real_access(path, mode) : -1;
}

void __wrap_rf_modules_keep_program() {
  programs_kept++;
}
}

namespace ringfence_test {
namespace {

std::string folder() {
  std::string name = testing::TempDir() + "output.XXXXXX";
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  return name;
}

std::string text_of(const std::string &path) {
  std::ifstream file(path);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

int make(const std::string &path) {
  return open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

bool is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

int descriptors() {
  int count = 0;
  for (int fd = 0; fd < 4096; fd++) {
    count += is_open(fd) ? 1 : 0;
  }
  return count;
}

// A process with this log; "": standard error.
void process(const std::string &log, const std::function<void()> &act) {
  alone([&] {
    rf_process.id = getpid();
    rf_process.library = true;
    rf_process.options.log = log.empty() ? nullptr : log.c_str();
    rf_process.options.log_length = log.size();
    rf_process.log.fd = -1;
    errno = 77;
    act();
    EXPECT_EQ(errno, 77);
  });
}

void say(const std::string &text) {
  rf_output_say(text.data(), text.size());
}

void write_line(const std::string &text) {
  rf_output_write(text.data(), text.size());
}

void put_at_standard_error(int fd) {
  int const saved = errno;
  ASSERT_EQ(dup2(fd, STDERR_FILENO), STDERR_FILENO);
  errno = saved;
}

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
    rf_output_open();
    int const fd = rf_process.log.fd;
    EXPECT_GE(fd, 0);
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

// ---- A log that may not be opened any more ----

TEST(Output, ALogThatIsKeptTakesLinesThatItsPathNoLongerLeadsTo) {
  std::string const in = folder();
  std::string const moved = in + "_moved";
  process(in + "/log", [&] {
    rf_process.options.summary = true;
    int const open_before = descriptors();
    errno = 77;
    rf_output_keep_log();
    EXPECT_EQ(errno, 77);
    rf_output_keep_log();
    EXPECT_EQ(descriptors(), open_before + 1) << "once";
    EXPECT_EQ(programs_kept, 2) << "the program's path is known from then on";
    ASSERT_EQ(rename(in.c_str(), moved.c_str()), 0);
    errno = 77;
    write_line("kept\n");
    rf_output_open();
    EXPECT_GE(rf_process.log.fd, 0);
    rf_output_close();
    EXPECT_EQ(descriptors(), open_before + 1) << "those were copies";
    ASSERT_EQ(mkdir(in.c_str(), 0700), 0);
    errno = 77;
    write_line("opened\n");
  });
  EXPECT_EQ(text_of(moved + "/log"), "kept\n");
  EXPECT_EQ(text_of(in + "/log"), "opened\n") << "the path, where it leads somewhere";
}

TEST(Output, ADescriptorThatTheProgramHasTakenIsNoLog) {
  std::string const in = folder();
  std::string const data = folder() + "/data";
  std::string const moved = in + "_moved";
  process(in + "/log", [&] {
    rf_process.options.summary = true;
    int const programs = make(data);
    bool had[4096];
    for (int fd = 0; fd < 4096; fd++) {
      had[fd] = is_open(fd);
    }
    rf_output_keep_log();
    for (int fd = 0; fd < 4096; fd++) {
      if (!had[fd] && is_open(fd)) {
        EXPECT_EQ(dup2(programs, fd), fd);
      }
    }
    ASSERT_EQ(rename(in.c_str(), moved.c_str()), 0);
    errno = 77;
    write_line("a\n");
  });
  EXPECT_EQ(text_of(moved + "/log"), "");
  EXPECT_EQ(text_of(data), "");
}

TEST(Output, NoLogIsKeptUnlessSummariesAreAskedFor) {
  std::string const in = folder();
  process(in + "/log", [&] {
    int const open_before = descriptors();
    errno = 77;
    rf_output_keep_log();
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(descriptors(), open_before);
    EXPECT_EQ(programs_kept, 1);
    errno = 77;
  });
}

// Nothing may be opened, closed or asked there.
TEST(Output, InASandboxTheLogThatIsKeptIsWrittenToAndStays) {
  std::string const in = folder();
  process(in + "/log", [&] {
    rf_process.options.summary = true;
    rf_forbidden_calls = RF_CALL_OPEN;
    write_line("lost\n");
    rf_output_open();
    EXPECT_EQ(rf_process.log.fd, -1);
    rf_forbidden_calls = 0;
    rf_output_keep_log();
    rf_forbidden_calls = RF_CALL_OPEN;
    write_line("one\n");
    rf_output_open();
    int const fd = rf_process.log.fd;
    EXPECT_GT(fd, 0);
    rf_output_close();
    EXPECT_TRUE(is_open(fd));
    write_line("two\n");
  });
  EXPECT_EQ(text_of(in + "/log"), "one\ntwo\n");
}

void expect_lost(bool lost) {
  errno = 77;
  EXPECT_EQ(rf_output_log_is_lost(), lost);
  EXPECT_EQ(errno, 77);
}

TEST(Output, ALogIsLostToOtherProgramsWhereItsPathNoLongerLeadsToIt) {
  std::string const in = folder();
  std::string const moved = in + "_moved";
  process(in + "/log.%p", [&] {
    rf_process.options.summary = true;
    expect_lost(false);
    rf_output_keep_log();
    int const open_before = descriptors();
    expect_lost(false);
    ASSERT_EQ(unlink((in + "/log." + std::to_string(getpid())).c_str()), 0);
    expect_lost(false); // a child that has not written yet
    ASSERT_EQ(rename(in.c_str(), moved.c_str()), 0);
    expect_lost(true);
    EXPECT_EQ(descriptors(), open_before);
    rf_forbidden_calls = RF_CALL_OPEN;
    expect_lost(false); // nobody may look
  });
}

TEST(Output, ALogThatIsNotKeptIsNotKnownToBeLost) {
  process(folder() + "/none/log", [&] {
    rf_process.options.summary = true;
    expect_lost(false);
    rf_output_keep_log();
    expect_lost(false);
  });
  process("", [&] {
    rf_process.options.summary = true;
    rf_output_set_standard_error();
    put_at_standard_error(make(folder() + "/other"));
    rf_output_keep_log();
    expect_lost(false);
  });
}

// Root's rights over files are given up as well.
void become_powerless() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct const none[2] = {};
  ASSERT_EQ(syscall(SYS_capset, &header, none), 0);
}

TEST(Output, ALogIsLostToOtherProgramsWithTheRightsToIt) {
  std::string const in = folder();
  process(in + "/log", [&] {
    rf_process.options.summary = true;
    rf_output_keep_log();
    become_powerless();
    expect_lost(false);
    ASSERT_EQ(chmod(in.c_str(), 0), 0);
    expect_lost(true);
    errno = 77;
    write_line("kept\n");
    ASSERT_EQ(chmod(in.c_str(), 0500), 0);
    expect_lost(false);
    ASSERT_EQ(chmod((in + "/log").c_str(), 0), 0);
    expect_lost(true);
    ASSERT_EQ(chmod((in + "/log").c_str(), 0600), 0);
    ASSERT_EQ(chmod(in.c_str(), 0700), 0);
    errno = 77;
  });
  EXPECT_EQ(text_of(in + "/log"), "kept\n");
}

TEST(Output, ALogIsLostWhereExecTakesTheRightsAway) {
  process(folder() + "/log", [&] {
    rf_process.options.summary = true;
    rf_output_keep_log();
    expect_lost(false);
    keeps_rights = false;
    expect_lost(true);
  });
}

TEST(Output, ALogOfAChildIsLostWhereItsFolderTakesNoFiles) {
  std::string const in = folder();
  process(in + "/log.%p", [&] {
    rf_process.options.summary = true;
    rf_output_keep_log();
    become_powerless();
    ASSERT_EQ(unlink((in + "/log." + std::to_string(getpid())).c_str()), 0);
    ASSERT_EQ(chmod(in.c_str(), 0500), 0);
    expect_lost(true);
  });
}

// ---- No descriptor is left ----

constexpr rlim_t kFew = 64;

void limit_descriptors(rlim_t most) {
  struct rlimit const limit = {kFew, most};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

void use_up_descriptors() {
  while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) {
  }
  EXPECT_EQ(errno, EMFILE);
  errno = 77;
}

void expect_few() {
  struct rlimit limit = {};
  EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, kFew) << "as the program had it";
}

TEST(Output, AProcessWithoutADescriptorLeftIsRecordedAboveItsSoftLimit) {
  std::string const log = folder() + "/log";
  process(log, [&] {
    limit_descriptors(kFew * 2);
    use_up_descriptors();
    write_line("one\n");
    EXPECT_EQ(errno, 77);
    expect_few();
    rf_output_open();
    EXPECT_EQ(errno, 77);
    EXPECT_GE(rf_process.log.fd, static_cast<int>(kFew));
    expect_few();
    rf_output_close();
    EXPECT_EQ(descriptors(), static_cast<int>(kFew));
    errno = 77;
  });
  EXPECT_EQ(text_of(log), "one\n");
}

TEST(Output, ALogThatIsKeptIsCopiedAboveTheSoftLimit) {
  std::string const in = folder();
  std::string const moved = in + "_moved";
  process(in + "/log", [&] {
    rf_process.options.summary = true;
    limit_descriptors(kFew * 2);
    rf_output_keep_log();
    ASSERT_EQ(rename(in.c_str(), moved.c_str()), 0);
    use_up_descriptors();
    write_line("one\n");
    expect_few();
  });
  EXPECT_EQ(text_of(moved + "/log"), "one\n");
}

TEST(Output, ASandboxThatLetsNobodyRaiseALimitEndsNoProcess) {
  std::string const log = folder() + "/log";
  process(log, [&] {
    limit_descriptors(kFew * 2);
    use_up_descriptors();
    rf_forbidden_calls = RF_CALL_LIMIT;
    write_line("one\n");
  });
  EXPECT_EQ(text_of(log), "");
}

TEST(Output, NothingIsWrittenWhereTheHardLimitIsReached) {
  std::string const log = folder() + "/log";
  process(log, [&] {
    limit_descriptors(kFew);
    use_up_descriptors();
    write_line("one\n");
    rf_output_open();
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(rf_process.log.fd, -1);
    expect_few();
  });
  EXPECT_EQ(text_of(log), "");
}

} // namespace
} // namespace ringfence_test
