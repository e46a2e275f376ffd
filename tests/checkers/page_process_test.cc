// rf_page and the limits of its process: blocks and mappings by the million, locked memory, limits of memory and of
// address space.
#include "tests/checkers/found_on_purpose.h"
#include "tests/checkers/page_fixture.h"

#include <ringfence/std.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

namespace ringfence {
namespace {

class PageProcess : public PageTest {};

void a_million_blocks() {
  constexpr size_t kCount = 1000 * 1000;
  constexpr size_t kOpen = 100 * 1000;
  static rf_std heap;
  static rf_page page;
  rf_std_init(&heap);
  rf_page_options options;
  rf_page_options_default(&options);
  options.memory = kOpen * page_size();
  rf_page_init(&page, &heap.base, &options);
  std::vector<unsigned char *> blocks(kCount);
  for (size_t i = 0; i < kCount; i++) {
    blocks[i] = bytes(rf_alloc(&page.base, 16));
    if (blocks[i] == nullptr) {
      std::fprintf(stderr, "block %zu was not served\n", i);
      _exit(1);
    }
    std::memset(blocks[i], static_cast<int>(i), 16);
  }
  // The first are on pages of their own, the last under guard: both are watched.
  rf_stats stats;
  rf_stats_get(&page.base, &stats);
  bool fine = stats.blocks == kCount && stats.used == 16 * kCount;
  rf_page_figures figures;
  rf_page_store_figures(page.store, &figures);
  fine = fine && figures.declined == kCount - figures.counters.blocks;
  fine = fine && (rf_page_has_marks() ? figures.counters.blocks == kOpen : figures.counters.blocks < 30000);
  for (size_t i = 0; i < kCount; i++) {
    fine = fine && blocks[i][15] == static_cast<unsigned char>(i);
    fine = rf_free(&page.base, blocks[i]) == RF_OK && fine;
  }
  // And there is room for pages again.
  unsigned char *const p = bytes(rf_alloc(&page.base, 16));
  rf_free(&page.base, p);
  std::fprintf(stderr, "fine: %d\n", fine);
  (void)peek(p);
}

// The kernel's limit of mappings (65530) is said once, where it is one.
TEST_F(PageProcess, AMillionLiveBlocksAreSurvivedWhateverTheLimit) {
  std::string const limit =
      rf_page_has_marks()
          ? "^"
          : "^ringfence: the kernel's limit of mappings [^\n]*; for now, further ones are checked as in mode guard\n";
  EXPECT_EXIT(a_million_blocks(), testing::ExitedWithCode(RF_EXITCODE_DEFAULT),
              limit + "fine: 1\n[^\n]*heap-use-after-free");
}

TEST_F(PageProcess, BlocksTakeOneMappingWhereMarkersCloseThem) {
  if (!rf_page_has_marks()) {
    GTEST_SKIP() << "this kernel has no guard markers";
  }
  auto const mappings = [] {
    std::ifstream maps("/proc/self/maps");
    return std::count(std::istreambuf_iterator<char>(maps), {}, '\n');
  };
  std::vector<void *> blocks;
  rf_free(a(), rf_alloc(a(), 1));
  auto const before = mappings();
  for (size_t i = 0; i < 5000; i++) {
    blocks.push_back(rf_alloc(a(), i));
  }
  for (size_t i = 0; i < blocks.size(); i += 2) {
    rf_free(a(), blocks[i]);
  }
  EXPECT_LT(mappings(), before + 20);
  for (size_t i = 1; i < blocks.size(); i += 2) {
    rf_free(a(), blocks[i]);
  }
}

// The kernel sets no markers in locked memory. To lock everything takes a right that not every process has.
void lock_and_free(bool everything, int later) {
  static rf_std heap;
  static rf_page page;
  static FaultRecorder recorder;
  rf_page_options options;
  rf_page_options_default(&options);
  options.reporter = recorder.reporter();
  options.quarantine = 64 * page_size();
  options.side = RF_PAGE_LEFT;
  rf_std_init(&heap);
  rf_page_init(&page, &heap.base, &options);
  unsigned char *p = bytes(rf_alloc(&page.base, 100));
  bool fine = everything ? mlockall(MCL_CURRENT | later) == 0 || errno == ENOMEM || errno == EPERM : mlock(p, 100) == 0;
  unsigned found = 0;
  for (unsigned i = 0; i < 1000; i++) {
    std::memset(p, 0x41, 100);
    fine = rf_free(&page.base, p) == RF_OK && fine;
    (void)peek(p + 50);
    for (rf_finding const &f : recorder.take()) {
      found += f.bug == RF_BUG_USE_AFTER_FREE && f.block == reinterpret_cast<uintptr_t>(p) ? 1U : 0U;
    }
    p = bytes(rf_alloc(&page.base, 100));
    (void)peek(p - 1);
    for (rf_finding const &f : recorder.take()) {
      found += f.bug == RF_BUG_BUFFER_UNDERFLOW && f.block == reinterpret_cast<uintptr_t>(p) ? 1U : 0U;
    }
  }
  std::fprintf(stderr, "fine: %d, found: %u\n", fine, found);
  _exit(0);
}

TEST_F(PageProcess, LockedMemoryIsWatchedAsAny) {
  EXPECT_EXIT(lock_and_free(false, 0), testing::ExitedWithCode(0), "^fine: 1, found: 2000\n$");
  EXPECT_EXIT(lock_and_free(true, 0), testing::ExitedWithCode(0), "^fine: 1, found: 2000\n$");
  EXPECT_EXIT(lock_and_free(true, MCL_FUTURE), testing::ExitedWithCode(0), "^fine: 1, found: 2000\n$");
}

// Pages of blocks count for the limit, gaps do not.
TEST_F(PageProcess, ALimitOfDataIsLeftToTheProgram) {
  auto const program = [this] {
    rlimit limit;
    limit.rlim_cur = limit.rlim_max = size_t{128} << 20;
    setrlimit(RLIMIT_DATA, &limit);
    start();
    std::vector<unsigned char *> blocks;
    for (size_t i = 0; i < 4000; i++) {
      blocks.push_back(bytes(rf_alloc(a(), 8)));
    }
    void *const own = mmap(nullptr, size_t{20} << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    rf_page_figures figures;
    rf_page_store_figures(page_.store, &figures);
    _exit(own != MAP_FAILED && figures.counters.blocks == 4000 ? 0 : 1);
  };
  EXPECT_EXIT(program(), testing::ExitedWithCode(0), "");
}

TEST_F(PageProcess, VeryLargeBlocksAreUnderGuard) {
  size_t const size = (sizeof(void *) == 8 ? size_t{1} << 30 : size_t{64} << 20) + 1;
  rf_std heap;
  ASSERT_EQ(rf_std_init(&heap), RF_OK);
  rf_page over;
  ASSERT_EQ(rf_page_init(&over, &heap.base, &options_), RF_OK);
  unsigned char *const p = bytes(rf_alloc(&over.base, size));
  ASSERT_NE(p, nullptr);
  poke(p + size, 1);
  EXPECT_EQ(rf_free(&over.base, p), RF_OK);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_STREQ(f.mode, "guard");
  over.base.ops->deinit(&over.base);
}

TEST_F(PageProcess, WhereAddressSpaceIsScarceBlocksAreUnderGuard) {
  auto const program = [this] {
    std::vector<unsigned char *> blocks(15000); // later there may be no room for it
    rlimit limit;
    limit.rlim_cur = limit.rlim_max = size_t{400} << 20;
    setrlimit(RLIMIT_AS, &limit);
    for (unsigned char *&p : blocks) {
      p = bytes(rf_alloc(a(), 8));
    }
    bool fine = true;
    for (unsigned char *const p : blocks) {
      fine = p != nullptr && rf_free(a(), p) == RF_OK && fine;
    }
    _exit(fine && recorder_.count() == 0 ? 0 : 1);
  };
  EXPECT_EXIT(program(), testing::ExitedWithCode(0), "");
}

} // namespace
} // namespace ringfence
