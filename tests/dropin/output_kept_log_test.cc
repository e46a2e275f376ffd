// A log that may not be opened any more (checkers/dropin/runtime/output.c): a descriptor of it is kept, and the process
// knows whether programs that it executes have lost it.
#include "tests/checkers/not_cancelled.h"
#include "tests/dropin/output_world.h"

#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace ringfence_test {
namespace {

// Neither are points of cancellation: setuid and its like, nor what tells of a child that is not checked.
TEST(Output, ALogIsKeptAndWrittenWithoutAPointOfCancellation) {
  std::string const in = folder();
  process(in + "/log", [] {
    rf_process.options.summary = true;
    expect_not_cancelled([] { rf_output_keep_log(); });
    expect_not_cancelled([] { rf_output_write("one\n", 4); });
  });
}

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

TEST(Output, ALogIsKeptWhereAStreamIsClosed) {
  std::string const in = folder();
  std::string const moved = in + "_moved";
  process(in + "/log", [&] {
    rf_process.options.summary = true;
    close(STDIN_FILENO); // whose number the log has at first
    rf_output_keep_log();
    EXPECT_FALSE(is_open(STDIN_FILENO));
    ASSERT_EQ(rename(in.c_str(), moved.c_str()), 0);
    errno = 77;
    write_line("kept\n");
  });
  EXPECT_EQ(text_of(moved + "/log"), "kept\n");
}

// Lines for a standard error that is a file of the program's by chance go nowhere.
TEST(Output, NothingTakesThePlaceOfAClosedStream) {
  int const one = make(folder() + "/one");
  process("", [&] {
    rf_process.options.summary = true;
    rf_output_set_standard_error();
    put_at_standard_error(one);
    close(STDIN_FILENO);
    rf_output_keep_log();
    EXPECT_FALSE(is_open(STDIN_FILENO));
    errno = 77;
  });
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

} // namespace
} // namespace ringfence_test
