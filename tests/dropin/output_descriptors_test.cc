// A log where no descriptor is left (checkers/dropin/runtime/output.c): it is opened above the soft limit.
#include "tests/dropin/output_world.h"

#include <cstdio>
#include <sys/resource.h>
#include <sys/stat.h>

namespace ringfence_test {
namespace {

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

// An empty file, which takes neither a descriptor nor room in a file.
TEST(Output, AFindingThatTheLogDoesNotTakeIsMarkedWhateverTheLimits) {
  std::string const log = folder() + "/log";
  struct stat mark;
  auto const is_marked = [&] { return stat((log + ".lost").c_str(), &mark) == 0; };
  process(log, [] { rf_output_mark_loss(); });
  EXPECT_FALSE(is_marked()) << "there is no command";
  process(log, [] {
    rf_process.options.summary = true;
    rf_forbidden_calls = RF_CALL_MARK;
    rf_output_mark_loss();
  });
  EXPECT_FALSE(is_marked()) << "a sandbox forbids it";
  process(log, [] {
    rlimit const none = {0, 0};
    rf_process.options.summary = true;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
    limit_descriptors(kFew);
    use_up_descriptors();
    for (int i = 0; i < 2; i++) { // the second finds the file
      rf_output_mark_loss();
      EXPECT_EQ(errno, 77);
    }
  });
  ASSERT_TRUE(is_marked());
  EXPECT_TRUE(S_ISREG(mark.st_mode));
  EXPECT_EQ(mark.st_size, 0);
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
