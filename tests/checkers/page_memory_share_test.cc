// How much of the memory pages of blocks may take: a quarter of the machine's, of a limit, or of what groups of
// processes are given.
#include "tests/checkers/page_fixture.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

extern "C" {
#include "checkers/os/forbidden_calls.h"
#include "checkers/page/page_impl.h"
}

namespace ringfence {
namespace {

TEST(PageMemoryShare, AQuarterOfTheMemoryIsItsShare) {
  uint64_t const pages = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES));
  auto const machine = static_cast<size_t>(std::min<uint64_t>(pages * page_size(), SIZE_MAX));
  EXPECT_EQ(rf_page_memory_share(), std::min(machine, rf_page_group_limit("/proc/self/cgroup", "/sys/fs/cgroup")) / 4);
}

// The program has to live on the rest.
TEST(PageMemoryShare, AQuarterOfALimitIsTheShareWhereThatIsLess) {
  for (auto const resource : {RLIMIT_DATA, RLIMIT_AS}) {
    auto const limited = [resource] {
      struct rlimit limit;
      (void)getrlimit(resource, &limit);
      limit.rlim_cur = 40 << 20;
      bool const set = setrlimit(resource, &limit) == 0;
      size_t const share = rf_page_memory_share();
      _exit(set && share == 10 << 20 ? 0 : 1); // no more memory may be needed here
    };
    EXPECT_EXIT(limited(), testing::ExitedWithCode(0), "") << resource;
  }
}

TEST(PageSpaceShare, IsAQuarterOfTheLimitAsItIsNow) {
  auto const limited = [] {
    struct rlimit limit;
    bool const none = rf_page_space_share() == SIZE_MAX;
    (void)getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = 40 << 20;
    bool const first = setrlimit(RLIMIT_AS, &limit) == 0 && rf_page_space_share() == 10 << 20;
    limit.rlim_cur = 20 << 20;
    bool const second = setrlimit(RLIMIT_AS, &limit) == 0 && rf_page_space_share() == 5 << 20;
    _exit(none && first && second ? 0 : 1);
  };
  EXPECT_EXIT(limited(), testing::ExitedWithCode(0), "");
}

TEST(PageSpaceShare, IsTheLastOneThatWasKnownWhereThatMayNotBeAsked) {
  auto const limited = [] {
    struct rlimit limit;
    (void)getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = 40 << 20;
    bool const first = setrlimit(RLIMIT_AS, &limit) == 0 && rf_page_space_share() == 10 << 20;
    rf_forbid(RF_CALL_LIMIT);
    limit.rlim_cur = 20 << 20;
    _exit(first && setrlimit(RLIMIT_AS, &limit) == 0 && rf_page_space_share() == 10 << 20 ? 0 : 1);
  };
  EXPECT_EXIT(limited(), testing::ExitedWithCode(0), "");
}

// Files as the system has them, below a folder of the test's.
class ControlGroups : public testing::Test {
protected:
  void SetUp() override {
    root_ = testing::TempDir() + "/groups";
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string &path, const std::string &text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  size_t limit(const std::string &list) {
    write("/list", list);
    return rf_page_group_limit((root_ + "/list").c_str(), root_.c_str());
  }

  std::string root_;
};

TEST_F(ControlGroups, WithoutALimitThereIsNone) {
  EXPECT_EQ(limit(""), SIZE_MAX);
  EXPECT_EQ(limit("0::/a/b\n"), SIZE_MAX);
  EXPECT_EQ(limit("nothing\n:\n::\n0:\n"), SIZE_MAX);
  write("/a/b/memory.max", "max\n");
  write("/a/memory.max", "18446744073709551619\n"); // 3 more than 64 bits have
  write("/memory.max", "0\n");
  EXPECT_EQ(limit("0::/a/b\n"), SIZE_MAX);
  EXPECT_EQ(rf_page_group_limit((root_ + "/absent").c_str(), std::string(5000, 'a').c_str()), SIZE_MAX);
}

TEST_F(ControlGroups, TheLeastOfAGroupAndThoseAroundItHolds) {
  write("/a/b/memory.max", "3000000\n");
  EXPECT_EQ(limit("0::/a/b\n"), 3000000U);
  write("/a/memory.max", "2000000\n");
  EXPECT_EQ(limit("1:cpu:/c\n0::/a/b\n"), 2000000U);
  write("/memory.max", "1000000\n");
  EXPECT_EQ(limit("0::/a/b\n"), 1000000U);
  EXPECT_EQ(limit("0::/\n"), 1000000U);
  EXPECT_EQ(limit("0::/" + std::string(3000, 'a') + "\n"), 1000000U);
  EXPECT_EQ(limit(""), 1000000U) << "the root's own, as in a container";
}

// Older systems have a hierarchy for each controller, or for some together, beside the unified one.
TEST_F(ControlGroups, OfMemoryAloneAreLookedAtAsWell) {
  write("/memory/a/b/memory.limit_in_bytes", "3000000\n");
  write("/memory/a/memory.limit_in_bytes", "4000000\n");
  write("/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(limit("9:name=systemd:/\n4:memory:/a/b\n3:cpuset:/x\n0::/\n"), 3000000U);
  EXPECT_EQ(limit("4:hugetlb,memory:/a/b\n"), 3000000U);
  EXPECT_EQ(limit("4:memory,pids:/a/other\n"), 4000000U);
  EXPECT_EQ(limit("4:memoryless,inmemory:/a/b\n"), std::min<uint64_t>(SIZE_MAX, 9223372036854771712U));
  write("/memory.max", "1000000\n");
  EXPECT_EQ(limit("4:memory:/a/b\n0::/\n"), 1000000U);
}

} // namespace
} // namespace ringfence
