// The place of the page checkers' address space (checkers/page/page_posix.c), and how little of it suffices. Each test
// runs in a child of fork, since the first reservation of a process differs from those behind it.
#include "tests/checkers/child_status.h"
#include "tests/checkers/page_fixture.h"

#include <ringfence/sample.h>

#include <sys/mman.h>
#include <sys/resource.h>

#include <cstdint>
#include <fstream>
#include <vector>

extern "C" {
#include "checkers/page/page_impl.h"
}

namespace ringfence {
namespace {

constexpr size_t kSize = size_t{16} << 20;

// No more address space than the process has, and `more` bytes.
bool limit_space(size_t more) {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit limit = {};
  (void)getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = pages * page_size() + more;
  return pages != 0 && setrlimit(RLIMIT_AS, &limit) == 0;
}

TEST(PageReserve, PutsReservationsBelowEachOther) {
  EXPECT_EQ(0, status_of([] {
              auto const first = reinterpret_cast<uintptr_t>(rf_page_reserve(kSize));
              auto const second = reinterpret_cast<uintptr_t>(rf_page_reserve(kSize));
              return first != 0 && second != 0 && (sizeof(void *) == 4 || second + kSize == first);
            }));
}

// The system puts that one where it puts others, above them all.
TEST(PageReserve, OneThatFoundItsPlaceTakenMovesNoneBehindIt) {
  EXPECT_EQ(0, status_of([] {
              auto const first = reinterpret_cast<uintptr_t>(rf_page_reserve(kSize));
              void *const wish = reinterpret_cast<void *>(first - kSize);
              void *const taken = mmap(wish, kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              auto const other = reinterpret_cast<uintptr_t>(rf_page_reserve(kSize));
              bool const is_other = taken == wish && other != 0 && other > first;
              (void)munmap(taken, kSize);
              return sizeof(void *) == 4 || (is_other && rf_page_reserve(kSize) == wish);
            }));
}

// A place far from the others is asked for while the first is held.
TEST(PageReserve, TakesAnyPlaceWhereThereIsSpaceForOneOnly) {
  EXPECT_EQ(0, status_of([] {
              bool const limited = limit_space(kSize + kSize / 2);
              void *const p = rf_page_reserve(kSize);
              return limited && p != nullptr && rf_page_open(p, kSize) && rf_page_reserve(kSize) == nullptr;
            }));
}

TEST(PageReserve, IsRefusedWhereThereIsNoSpace) {
  EXPECT_EQ(0, status_of([] { return limit_space(kSize / 2) && rf_page_reserve(kSize) == nullptr; }));
}

// Among these limits are those at which the store's own records fit, and the least of spaces does not.
TEST(PageReserve, WhoGetsNoSpaceLeavesNoStoreBehind) {
  std::vector<unsigned char> arena(size_t{64} << 10);
  TlsfHeap heap(arena.data(), arena.size());
  rf_sample_options options;
  rf_sample_options_default(&options);
  options.slots = 1;
  for (size_t pages = 1; pages <= 32; pages++) {
    EXPECT_EQ(0, status_of([&] {
                rf_sample sample;
                return limit_space(pages * page_size()) && (rf_sample_init(&sample, heap.allocator(), &options) ==
                                                            RF_OK) == rf_page_store_has_owner(&sample);
              }))
        << pages << " pages";
  }
}

} // namespace
} // namespace ringfence
