// Records of the drop-in, which are no block's: zeroed, apart, listed, of many threads, and where memory is short.
#include "tests/checkers/two_at_once.h"
#include "tests/dropin/address_space.h"
#include "tests/dropin/alone.h"
#include "tests/dropin/os_memory.h"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <set>
#include <thread>
#include <utility>
#include <vector>

extern "C" {
#include "checkers/dropin/os/pages.h"
#include "checkers/os/forbidden_calls.h"
}

namespace ringfence_test {
namespace {

bool is_in_a_range(const void *p, size_t size) {
  uintptr_t start;
  uintptr_t end;
  auto const at = reinterpret_cast<uintptr_t>(p);
  for (unsigned i = 0; rf_record_range(i, &start, &end); i++) {
    if (at >= start && at + size <= end) {
      return true;
    }
  }
  return false;
}

TEST(DropinRecords, AreZeroedAlignedApartAndListed) {
  std::vector<std::pair<unsigned char *, size_t>> all;
  for (size_t const size : {1, 63, 64, 65, 1000, 60000, 65536, 65537, 300000}) {
    for (int i = 0; i < 5; i++) {
      unsigned char *const p = bytes(i == 4 ? rf_record_table(size) : rf_record_alloc(size));
      ASSERT_NE(p, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0U);
      EXPECT_EQ(std::count(p, p + size, 0), static_cast<ptrdiff_t>(size));
      std::memset(p, 0xAB, size);
      EXPECT_TRUE(is_in_a_range(p, size)) << size;
      all.emplace_back(p, size);
    }
  }
  std::sort(all.begin(), all.end());
  for (size_t i = 1; i < all.size(); i++) {
    EXPECT_LE(all[i - 1].first + all[i - 1].second, all[i].first);
  }
  char local;
  EXPECT_FALSE(is_in_a_range(&local, 1));
}

unsigned ranges() {
  unsigned count = 0;
  uintptr_t start;
  uintptr_t end;
  while (rf_record_range(count, &start, &end)) {
    count++;
  }
  return count;
}

// Those above a quarter of a chunk, which would leave most of it unused.
TEST(DropinRecords, ThatAreLargeHaveMappingsOfTheirOwn) {
  alone([] {
    unsigned const before = ranges();
    while (ranges() == before) { // so that there is room in a chunk
      ASSERT_NE(rf_record_alloc(60000), nullptr);
    }
    EXPECT_NE(rf_record_alloc(65536), nullptr);
    EXPECT_EQ(ranges(), before + 1);
    EXPECT_NE(rf_record_alloc(65537), nullptr);
    EXPECT_EQ(ranges(), before + 2);
    uintptr_t start;
    uintptr_t end;
    EXPECT_TRUE(rf_record_range(before + 1, &start, &end));
    EXPECT_EQ(end - start, 65536 + kPage);
  });
}

// As where a handler interrupts its own thread in there.
TEST(DropinRecords, AreEmptiedWhereASandboxForbidsToGivePagesBack) {
  alone([] {
    size_t const size = 5 * kPage;
    auto *const record = static_cast<unsigned char *>(rf_record_table(size));
    ASSERT_NE(record, nullptr);
    std::memset(record, 0xAB, size);
    rf_forbid(RF_CALL_MADVISE);
    errno = 77;
    rf_record_empty(record + 1, size - 2);
    EXPECT_EQ(errno, 77);
    for (size_t i = 0; i < size; i++) {
      ASSERT_EQ(record[i], i >= kPage && i < size - kPage ? 0 : 0xAB) << i; // whole pages
    }
  });
}

TEST(DropinRecords, ATableMayBeCut) {
  alone([] {
    auto *const table = bytes(rf_record_table(8 * kPage));
    ASSERT_NE(table, nullptr);
    std::memset(table, 0xAB, 8 * kPage);
    errno = 77;
    rf_record_table_cut(table, 3 * kPage + 1);
    EXPECT_EQ(errno, 77);
    EXPECT_TRUE(is_in_a_range(table, 4 * kPage));
    EXPECT_FALSE(is_in_a_range(table + 4 * kPage, 1)) << "what lies there later is not ours";
    EXPECT_EQ(table[4 * kPage - 1], 0xAB);
    unsigned char resident = 0;
    EXPECT_EQ(mincore(table + 4 * kPage, 1, &resident), -1) << "unmapped";
    rf_record_table_cut(table, 8 * kPage);
    EXPECT_TRUE(is_in_a_range(table, 4 * kPage)) << "it does not grow";
    EXPECT_FALSE(is_in_a_range(table, 8 * kPage));
    unsigned char other = 0;
    rf_record_table_cut(&other, 0); // no table
  });
}

// Each time anew, and the lock is free again.
TEST(DropinRecords, AreNullWhereTheSystemHasNoMemory) {
  alone([] {
    EXPECT_EQ(rf_record_table(SIZE_MAX / 8 * 7), nullptr); // more than a program of 32 bits has in one piece
    while (rf_record_alloc(60000) != nullptr) {
      rlimit const none = {1, RLIM_INFINITY};
      ASSERT_EQ(setrlimit(RLIMIT_AS, &none), 0);
    }
    for (int i = 0; i < 3; i++) {
      EXPECT_EQ(rf_record_alloc(60000), nullptr);
    }
    rlimit const all = {RLIM_INFINITY, RLIM_INFINITY};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &all), 0);
    void *const record = rf_record_alloc(60000);
    ASSERT_NE(record, nullptr);
    std::memset(record, 1, 60000);
  });
}

#ifdef RF_CAN_STEP

// As where a signal handler allocates that interrupted its own thread in here: it waits for nothing, and both have
// their own. Sizes: one that is cut from a chunk, one that is the last of a chunk more often than not, a table.
TEST(DropinRecords, AreMadeInAHandlerThatInterruptedTheMaking) {
  alone([] {
    for (size_t const size : {size_t{64}, size_t{60000}, size_t{70000}}) {
      unsigned char *made[2] = {};
      two_at_once([&](unsigned who) { made[who] = bytes(rf_record_alloc(size)); },
                  [&] {
                    for (unsigned char *const p : made) {
                      ASSERT_NE(p, nullptr);
                      EXPECT_TRUE(is_in_a_range(p, size));
                      EXPECT_EQ(std::count(p, p + size, 0), static_cast<ptrdiff_t>(size));
                      std::memset(p, 0xAB, size); // seen where it is handed out twice
                    }
                  });
    }
  });
}

// Four records of a quarter of it fill one, whose list has no more places for others.
TEST(DropinRecords, FillAChunkToItsLastByte) {
  alone([] {
    size_t const quarter = size_t{64} * 1024;
    unsigned const before = ranges();
    while (ranges() == before) {
      ASSERT_NE(rf_record_alloc(quarter), nullptr);
    }
    for (int i = 0; i < 3; i++) {
      ASSERT_NE(rf_record_alloc(quarter), nullptr);
      EXPECT_EQ(ranges(), before + 1);
    }
    ASSERT_NE(rf_record_alloc(quarter), nullptr);
    EXPECT_EQ(ranges(), before + 2);
  });
}

// If two find a chunk full and make a new one each, the second's is the next: chunks are few, and their number is
// bounded.
TEST(DropinRecords, AChunkThatTwoMadeAtOnceIsUsedLater) {
  alone([] {
    unsigned const before = ranges();
    unsigned records = 0;
    two_at_once(
        [&](unsigned) {
          EXPECT_NE(rf_record_alloc(60000), nullptr);
          records++;
        },
        [] {});
    EXPECT_GT(records, 50U);
    EXPECT_LE(ranges(), before + records / 4 + 2);
  });
}

// A thread that reads the list meanwhile reads nothing of it.
TEST(DropinRecords, ARangeThatIsNotMadeYetIsEmpty) {
  alone([] {
    unsigned const before = ranges();
    unsigned empty = 0;
    bool both = true;
    for (unsigned after = 1; both; after++) {
      both = run_with_other_after(
          after, [] { EXPECT_NE(rf_record_table(1), nullptr); },
          [&] {
            uintptr_t start;
            uintptr_t end;
            for (unsigned i = before; rf_record_range(i, &start, &end); i++) {
              EXPECT_EQ(end - start, end == 0 ? 0 : kPage) << i;
              empty += end == 0 ? 1 : 0;
            }
          });
    }
    EXPECT_GT(empty, 1U);
  });
}

#endif

// A chunk holds four records of 60,000 bytes, so that threads often find it full at the same time.
TEST(DropinRecords, OfThreadsAreApart) {
  alone([] {
    std::vector<std::vector<unsigned char *>> made(4);
    std::vector<std::thread> threads;
    threads.reserve(made.size());
    for (std::vector<unsigned char *> &own : made) {
      threads.emplace_back([&own] {
        for (int i = 0; i < 100; i++) {
          own.push_back(bytes(rf_record_alloc(60000)));
        }
      });
    }
    std::set<unsigned char *> all;
    for (size_t i = 0; i < made.size(); i++) {
      threads[i].join();
      all.insert(made[i].begin(), made[i].end());
    }
    EXPECT_EQ(all.size(), 400U);
    unsigned char *end = nullptr;
    for (unsigned char *const p : all) {
      ASSERT_NE(p, nullptr);
      EXPECT_GE(p, end);
      EXPECT_TRUE(is_in_a_range(p, 60000));
      end = p + 60000;
    }
  });
}

// The list has 1,024 places: then there is no record, and no mapping is left behind. (The least size of a table of
// its own is above a quarter of a chunk.)
TEST(DropinRecords, AreNullWhereTheListOfTheirMappingsIsFull) {
  alone([] {
    while (rf_record_table(1) != nullptr) {
    }
    uintptr_t start;
    uintptr_t end;
    EXPECT_TRUE(rf_record_range(1023, &start, &end));
    EXPECT_EQ(end, start + kPage);
    EXPECT_FALSE(rf_record_range(1024, &start, &end));
    size_t const mapped = mapped_pages();
    for (int i = 0; i < 100; i++) {
      EXPECT_EQ(rf_record_table(size_t{1} << 20), nullptr);
    }
    EXPECT_LT(mapped_pages(), mapped + 256);
    EXPECT_FALSE(rf_record_range(1024, &start, &end));
  });
}

} // namespace
} // namespace ringfence_test
