// The log that options without a reporter name: its descriptor ends with the checking, and what is told later is
// appended.
#include <ringfence/checked.h>
#include <ringfence/checked_handles.h>
#include <ringfence/checked_pools.h>
#include <ringfence/handle.h>
#include <ringfence/memblocks.h>
#include <ringfence/pool_watch.h>
#include <ringfence/tlsf.h>
#include <ringfence/watch.h>

#include "tests/checkers/child_status.h"
#include "tests/checkers/folder_entries.h"
#include "tests/checkers/found_on_purpose.h"
#include "tests/checkers/recorder.h"
#include "tests/core/unwatched.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

namespace ringfence {
namespace {

constexpr int kEnded = 50;

alignas(64) unsigned char arena[256 * 1024];

class CheckedLog : public testing::TestWithParam<rf_mode> {
protected:
  CheckedLog() : path_(testing::TempDir() + "/checked_log_test." + std::to_string(getpid())) {
    rf_options_default(&options_.settings);
    options_.settings.mode = RF_MODE_GUARD;
    options_.settings.sample_rate = 1;
    options_.settings.halt = false;
    options_.settings.max_findings = 0;
    options_.settings.format = RF_FORMAT_JSON;
    options_.settings.log = path_.c_str();
    options_.settings.log_length = path_.size();
    std::remove(path_.c_str());
  }
  ~CheckedLog() override { std::remove(path_.c_str()); }

  // The findings in the log, each with that name.
  size_t told(const char *bug) const {
    std::ifstream file(path_);
    size_t lines = 0;
    for (std::string line; std::getline(file, line); lines++) {
      EXPECT_NE(line.find(bug), std::string::npos) << line;
    }
    return lines;
  }

  rf_allocator *init() {
    EXPECT_EQ(rf_tlsf_init(&heap_, arena, sizeof arena), RF_OK);
    return rf_checked_init(&checked_, &heap_.base, &options_);
  }

  Unwatched const unwatched_; // damage is done on purpose
  std::string const path_;
  rf_checked_options options_ = {};
  rf_tlsf heap_;
  rf_checked checked_;
  Recorder recorder_;
};

TEST_P(CheckedLog, AnEndedAllocatorKeepsNoDescriptor) {
  options_.settings.mode = GetParam();
  (void)rf_options_of_process(); // and whatever else is opened once
  rf_free(init(), arena);
  rf_checked_deinit(&checked_);
  size_t const before = open_descriptors();
  for (int i = 0; i < kEnded; i++) {
    rf_free(init(), arena);
    rf_checked_deinit(&checked_);
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(told("bad-free"), 1U + kEnded);
}

TEST_P(CheckedLog, AFindingAfterTheEndIsAppendedAndKeepsNoneEither) {
  options_.settings.mode = GetParam();
  (void)rf_options_of_process();
  size_t const before = open_descriptors();
  rf_allocator *const a = init();
  rf_free(a, arena);
  rf_checked_deinit(&checked_);
  EXPECT_EQ(told("bad-free"), 1U);
  for (size_t i = 0; i < 3; i++) {
    EXPECT_EQ(rf_alloc(a, 10), nullptr);
    EXPECT_EQ(told(""), 2 + i);
    EXPECT_EQ(open_descriptors(), before);
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, CheckedLog, testing::Values(RF_MODE_GUARD, RF_MODE_PAGE, RF_MODE_SAMPLE),
                         [](const auto &i) { return std::string(rf_mode_name(i.param)); });

TEST_F(CheckedLog, OneThatToldNothingTellsAfterTheEnd) {
  rf_allocator *const a = init();
  rf_checked_deinit(&checked_);
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_EQ(rf_alloc(a, 10), nullptr);
  EXPECT_EQ(told("use-after-deinit"), 1U);
}

TEST_F(CheckedLog, TheNextOneInTheSamePlaceHasItsLogOpen) {
  rf_free(init(), arena);
  rf_checked_deinit(&checked_);
  size_t const before = open_descriptors();
  rf_allocator *const a = init();
  rf_free(a, arena);
  EXPECT_EQ(open_descriptors(), before + 1);
  rf_free(a, arena);
  EXPECT_EQ(open_descriptors(), before + 1);
  rf_checked_deinit(&checked_);
  EXPECT_EQ(told("bad-free"), 3U);
}

// No descriptor of another log is closed, whatever was in the memory of one that is not used.
TEST_F(CheckedLog, AReporterOfOnesOwnLeavesDescriptorsAlone) {
  int const other = dup(STDERR_FILENO);
  options_.reporter = recorder_.reporter();
  std::memset(&checked_, 0, sizeof checked_);
  checked_.log.fd = other;
  checked_.log.opened_by = static_cast<uint32_t>(getpid());
  rf_free(init(), arena);
  rf_checked_deinit(&checked_);
  EXPECT_EQ(recorder_.count(), 1U);
  EXPECT_EQ(close(other), 0);
}

TEST_F(CheckedLog, ModeOffLeavesDescriptorsAlone) {
  std::memset(&checked_, 0, sizeof checked_);
  EXPECT_EQ(rf_checked_init(&checked_, nullptr, &options_), nullptr);
  rf_checked_deinit(&checked_);
  options_.settings.mode = RF_MODE_OFF;
  EXPECT_EQ(init(), &heap_.base);
  rf_checked_deinit(&checked_);
  EXPECT_NE(fcntl(STDIN_FILENO, F_GETFD), -1) << "the number in zeroed memory";
}

// The number may be another file's there.
TEST_F(CheckedLog, AChildLeavesWhatItsParentOpened) {
  rf_free(init(), arena);
  int const fd = checked_.log.fd;
  EXPECT_EQ(0, status_of([&] {
              rf_checked_deinit(&checked_);
              return fcntl(fd, F_GETFD) != -1;
            }));
  rf_checked_deinit(&checked_);
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

// A program that closes all descriptors has files of its own under their numbers afterwards.
class CheckedLogReplaced : public CheckedLog {
protected:
  CheckedLogReplaced() : allocator_(init()), number_((rf_free(allocator_, arena), checked_.log.fd)) {
    int const file = open(other_.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    EXPECT_EQ(dup2(file, number_), number_);
    EXPECT_EQ(close(file), 0);
  }
  ~CheckedLogReplaced() override {
    EXPECT_EQ(close(number_), 0);
    std::remove(other_.c_str());
  }
  bool is_the_programs() const {
    return fcntl(number_, F_GETFD) != -1 && std::filesystem::file_size(other_) == 0 && write(number_, "", 1) == 1;
  }

  rf_allocator *const allocator_;
  int const number_; // which the log had
  std::string const other_ = path_ + ".other";
};

TEST_F(CheckedLogReplaced, AFindingGoesToTheLogAllTheSame) {
  rf_free(allocator_, arena);
  EXPECT_EQ(told("bad-free"), 2U);
  EXPECT_TRUE(is_the_programs());
  rf_checked_deinit(&checked_);
  EXPECT_NE(fcntl(number_, F_GETFD), -1);
}

TEST_F(CheckedLogReplaced, TheEndClosesNothing) {
  rf_checked_deinit(&checked_);
  EXPECT_TRUE(is_the_programs());
}

TEST_F(CheckedLogReplaced, AFindingOfAChildGoesToTheLogToo) {
  EXPECT_EQ(0, status_of([&] {
              rf_free(allocator_, arena);
              return is_the_programs();
            }));
  EXPECT_EQ(told("bad-free"), 2U);
  rf_checked_deinit(&checked_);
}

// Programs write to their standard streams without asking whether they are open.
TEST_F(CheckedLog, TakesTheNumberOfNoStandardStream) {
  EXPECT_EQ(0, status_of([&] {
              for (int stream = 0; stream <= STDERR_FILENO; stream++) {
                (void)close(stream);
              }
              rf_free(init(), arena);
              bool const none = fcntl(0, F_GETFD) == -1 && fcntl(1, F_GETFD) == -1 && fcntl(2, F_GETFD) == -1;
              return none && checked_.log.fd > STDERR_FILENO;
            }));
  EXPECT_EQ(told("bad-free"), 1U);
}

TEST_F(CheckedLog, AChildClosesWhatItHasOfItsParentsLog) {
  rf_allocator *const a = init();
  rf_free(a, arena);
  size_t const before = open_descriptors();
  EXPECT_EQ(0, status_of([&] {
              rf_free(a, arena);
              return open_descriptors() == before;
            }));
  EXPECT_EQ(told("bad-free"), 2U);
  rf_checked_deinit(&checked_);
}

TEST_F(CheckedLog, EndedHandlesKeepNoDescriptor) {
  rf_handle_heap heap;
  rf_checked_handles checked;
  (void)rf_options_of_process();
  size_t const before = open_descriptors();
  for (int i = 0; i < kEnded; i++) {
    ASSERT_EQ(rf_handle_heap_init(&heap, arena, sizeof arena, nullptr), RF_OK);
    rf_handles *const h = rf_checked_handles_init(&checked, &heap.base, &options_);
    EXPECT_NE(rf_handle_free(h, 77), RF_OK);
    rf_checked_handles_deinit(&checked);
    EXPECT_EQ(rf_handle_alloc(h, 5), RF_HANDLE_NULL);
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(told(""), 2U * kEnded);
}

#if RF_WATCH
TEST_F(CheckedLog, PoolsWithOtherOptionsKeepTheDescriptorsOfThoseAlone) {
  alignas(16) static unsigned char buffer[32 * 4];
  static size_t bitmap[RF_MEMBLOCKS_WORDS(4)];
  static rf_memblocks pool;
  (void)rf_options_of_process();
  size_t const before = open_descriptors();
  for (int i = 0; i < kEnded; i++) {
    ASSERT_EQ(rf_checked_pools_init(&options_), RF_MODE_GUARD);
    ASSERT_EQ(rf_memblocks_init(&pool, buffer, 32, 4, bitmap), RF_OK);
    void *p = nullptr;
    ASSERT_EQ(rf_memblocks_alloc(&pool, 1, &p), RF_OK);
    ASSERT_EQ(rf_memblocks_free(&pool, 1, &p), RF_OK);
    static_cast<unsigned char *>(p)[9] = 1;
    rf_memblocks_deinit(&pool);
  }
  EXPECT_EQ(open_descriptors(), before + 1);
  options_.settings.mode = RF_MODE_OFF;
  EXPECT_EQ(rf_checked_pools_init(&options_), RF_MODE_OFF);
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(told("heap-use-after-free"), static_cast<size_t>(kEnded));
}
#endif

TEST(CheckedHandles, WithoutAPlaceForTheirStateAreTheInnerOnes) {
  rf_handles inner = {};
  rf_checked_handles checked = {};
  EXPECT_EQ(rf_checked_handles_init(nullptr, &inner, nullptr), &inner);
  EXPECT_EQ(rf_checked_handles_init(&checked, nullptr, nullptr), nullptr);
}

} // namespace
} // namespace ringfence
