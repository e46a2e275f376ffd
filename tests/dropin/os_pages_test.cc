// Pages that the drop-in asks the system for: mapped, refused, extended, moved.
#include "tests/dropin/address_space.h"
#include "tests/dropin/alone.h"
#include "tests/dropin/os_memory.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" {
#include "checkers/dropin/os/pages.h"
}

static bool refuses_places; // that were chosen
static unsigned wishes;     // moves that keep the old range and wish for a place

// The kernel takes the last argument in other calls than those that document it, whether the caller gave it or not.
extern "C" void *mremap(void *old, size_t old_size, size_t new_size, int flags, ...) noexcept {
  va_list more;
  va_start(more, flags);
  void *const wish = va_arg(more, void *);
  va_end(more);
  wishes += (flags & MREMAP_DONTUNMAP) != 0 && wish != nullptr ? 1 : 0;
  if (refuses_places && (flags & MREMAP_FIXED) != 0) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  auto const moved = syscall(SYS_mremap, old, old_size, new_size, flags, wish);
  return reinterpret_cast<void *>(moved);
}

namespace ringfence_test {
namespace {

bool is_mapped(const void *page) {
  unsigned char present;
  int const saved = errno;
  auto const start = reinterpret_cast<uintptr_t>(page) & ~(kPage - 1);
  bool const mapped = mincore(reinterpret_cast<void *>(start), kPage, &present) == 0;
  errno = saved;
  return mapped;
}

size_t count_present(void *start, size_t size) {
  std::vector<unsigned char> present(size / kPage);
  EXPECT_EQ(mincore(start, size, present.data()), 0);
  return static_cast<size_t>(
      std::count_if(present.begin(), present.end(), [](unsigned char p) { return (p & 1) != 0; }));
}

// From the page of the first byte to that of the last, where there are two at least; and never an error.
TEST(DropinPages, PopulatesARange) {
  auto *const p = static_cast<char *>(rf_pages_map(8 * kPage, kPage, 0));
  ASSERT_NE(p, nullptr);
  auto const start = reinterpret_cast<uintptr_t>(p);
  bool const can = madvise(p + 7 * kPage, kPage, 23) == 0;
  errno = 5;
  rf_pages_populate(start + kPage, start + 2 * kPage);
  EXPECT_EQ(count_present(p, 7 * kPage), 0U);
  rf_pages_populate(start + 100, start + 100);
  EXPECT_EQ(count_present(p, 7 * kPage), 0U);
  rf_pages_populate(start + 2 * kPage - 1, start + 3 * kPage + 1);
  EXPECT_EQ(count_present(p, 7 * kPage), can ? 3U : 0U);
  EXPECT_EQ(count_present(p + kPage, 3 * kPage), can ? 3U : 0U);
  errno = EINVAL; // another call's, which does not mean that the system knows of no such thing
  rf_pages_populate(start, start + kPage + 1);
  EXPECT_EQ(count_present(p, kPage), can ? 1U : 0U);
  rf_pages_populate(start + 5 * kPage, start + 7 * kPage);
  EXPECT_EQ(count_present(p + 5 * kPage, 2 * kPage), can ? 2U : 0U);
  errno = 5;
  EXPECT_EQ(std::count(p, p + 8 * kPage, 0), static_cast<ptrdiff_t>(8 * kPage));
  rf_pages_unmap(p, 8 * kPage);
  rf_pages_populate(start, start + 2 * kPage); // of nothing
  EXPECT_EQ(errno, 5);
}

TEST(DropinPages, RoundsUpToWholePages) {
  EXPECT_EQ(rf_pages_round(0), 0U);
  EXPECT_EQ(rf_pages_round(1), kPage);
  EXPECT_EQ(rf_pages_round(kPage), kPage);
  EXPECT_EQ(rf_pages_round(kPage + 1), 2 * kPage);
  EXPECT_EQ(rf_pages_round(SIZE_MAX - kPage + 1), SIZE_MAX - kPage + 1);
  EXPECT_EQ(rf_pages_round(SIZE_MAX - kPage + 2), 0U);
  EXPECT_EQ(rf_pages_round(SIZE_MAX), 0U);
}

// Aligned, zeroed, alone, and given back whole, whatever the size, the alignment and the room.
TEST(DropinPages, AreMappedAsAskedFor) {
  struct Mapping {
    unsigned char *start;
    size_t size;
  };
  std::vector<Mapping> all;
  errno = 77;
  for (size_t const align : {kPage, size_t{1} << 16, size_t{1} << 20, size_t{1} << 22}) {
    for (size_t const size : {size_t{1}, kPage, kPage + 1, size_t{1} << 16, (size_t{1} << 20) + 5}) {
      for (size_t const room : {size_t{0}, 3 * kPage}) {
        unsigned char *const p = bytes(rf_pages_map(size, align, room));
        ASSERT_NE(p, nullptr);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % align, 0U);
        size_t const whole = rf_pages_round(size);
        EXPECT_EQ(std::count(p, p + whole, 0), static_cast<ptrdiff_t>(whole));
        std::memset(p, 1, whole);
        EXPECT_FALSE(room != 0 && is_mapped(p + whole)) << "room is free";
        all.push_back({p, whole});
      }
    }
  }
  std::sort(all.begin(), all.end(), [](const Mapping &a, const Mapping &b) { return a.start < b.start; });
  for (size_t i = 1; i < all.size(); i++) {
    EXPECT_LE(all[i - 1].start + all[i - 1].size, all[i].start);
  }
  for (const Mapping &m : all) {
    rf_pages_unmap(m.start, m.size);
    EXPECT_FALSE(is_mapped(m.start));
    EXPECT_FALSE(is_mapped(m.start + m.size - 1));
  }
  EXPECT_EQ(errno, 77) << "left alone";
}

// The next mapping takes the place of the last one that was given back: the kernel need not search.
TEST(DropinPages, AreMappedWhereTheLastWereGivenBack) {
  alone([] {
    constexpr size_t kAlign = size_t{1} << 20;
    void *const first = rf_pages_map(kAlign, kAlign, 0);
    void *const second = rf_pages_map(kAlign, kAlign, 0);
    EXPECT_EQ(bytes(second), bytes(first) - kAlign) << "below";
    rf_pages_unmap(second, kAlign);
    EXPECT_EQ(rf_pages_map(kAlign, kAlign, 0), second);
  });
}

// The number of all mappings of the process.
size_t mapped_pages() {
  char text[64] = "";
  int const file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  EXPECT_GT(read(file, text, sizeof text - 1), 0);
  (void)close(file);
  return std::strtoul(text, nullptr, 10);
}

// The place that is wished for is taken, so the system chooses one, which is hardly aligned.
TEST(DropinPages, LeaveNothingBehindWhereTheyCannotLie) {
  for (unsigned shift = 20; shift < 26; shift++) {
    size_t const align = size_t{1} << shift;
    unsigned char *const above = bytes(rf_pages_map(kPage, align, 0));
    ASSERT_NE(above, nullptr);
    void *const taken = mmap(above - align, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(taken, MAP_FAILED);
    size_t const before = mapped_pages();
    unsigned char *const p = bytes(rf_pages_map(2 * kPage, align, 32 * kPage));
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(mapped_pages(), before + 2) << shift;
    rf_pages_unmap(p, 2 * kPage);
    EXPECT_EQ(mapped_pages(), before) << shift;
    (void)munmap(taken, kPage);
    rf_pages_unmap(above, kPage);
  }
}

TEST(DropinPages, WhatTheSystemRefusesIsNull) {
  errno = 77;
  bool const wide = sizeof(void *) > 4; // else 2 GiB may be there, and an address that is a multiple of that
  size_t const half = wide ? SIZE_MAX / 2 - kPage : SIZE_MAX;
  for (size_t const size : {size_t{0}, SIZE_MAX, SIZE_MAX / 2 + 1, half, SIZE_MAX - kPage}) {
    EXPECT_EQ(rf_pages_map(size, kPage, 0), nullptr) << size;
  }
  EXPECT_EQ(rf_pages_map(wide ? kPage : SIZE_MAX - kPage, SIZE_MAX / 2 + 1, 0), nullptr);
  void *const p = rf_pages_map(kPage, kPage, SIZE_MAX / 2);
  EXPECT_NE(p, nullptr) << "without the room";
  rf_pages_unmap(p, kPage);
  EXPECT_EQ(errno, 77);
}

TEST(DropinPages, GrowInPlaceWhereThereIsRoom) {
  unsigned char *const p = bytes(rf_pages_map(3 * kPage, kPage, 8 * kPage));
  std::memset(p, 7, 3 * kPage);
  ASSERT_TRUE(rf_pages_extend(p, 3 * kPage - 5, 11 * kPage - 1));
  EXPECT_EQ(std::count(p, p + 3 * kPage, 7), static_cast<ptrdiff_t>(3 * kPage));
  EXPECT_EQ(std::count(p + 3 * kPage, p + 11 * kPage, 0), static_cast<ptrdiff_t>(8 * kPage));
  void *const neighbour = mmap(p + 11 * kPage, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  errno = 77;
  EXPECT_FALSE(neighbour == p + 11 * kPage && rf_pages_extend(p, 11 * kPage, 12 * kPage));
  EXPECT_EQ(errno, 77);
  munmap(neighbour, kPage);
  rf_pages_unmap(p, 11 * kPage);
}

// Small ones by copying; of large ones the pages move, and those that were never touched stay so.
TEST(DropinPages, MoveWithTheirBytes) {
  constexpr size_t kLarge = size_t{1} << 20;
  for (size_t const size : {size_t{1}, kPage + 3, kLarge - 1, kLarge, kLarge + 1, 4 * kLarge + 3 * kPage + 9}) {
    for (size_t const from_offset : {size_t{0}, size_t{80}}) {
      for (size_t const to_offset : {from_offset, size_t{16}}) {
        size_t const whole = rf_pages_round(size + kPage);
        unsigned char *const from = bytes(rf_pages_map(whole, kPage, 0));
        unsigned char *const to = bytes(rf_pages_map(whole, kPage, 0));
        std::memset(to, 3, whole);
        for (size_t i = 0; i < size; i++) {
          from[from_offset + i] = static_cast<unsigned char>(1 + i % 251 + i / kPage % 5);
        }
        errno = 77;
        rf_pages_move(to + to_offset, from + from_offset, size);
        EXPECT_EQ(errno, 77);
        size_t wrong = 0;
        for (size_t i = 0; i < size; i++) {
          wrong += to[to_offset + i] != static_cast<unsigned char>(1 + i % 251 + i / kPage % 5) ? 1 : 0;
        }
        EXPECT_EQ(wrong, 0U) << size << " bytes from " << from_offset << " to " << to_offset;
        for (size_t i = 0; i < to_offset; i++) {
          ASSERT_EQ(to[i], 3) << "before";
        }
        for (size_t i = to_offset + size; i < to_offset + size + 32 && i < whole; i++) {
          ASSERT_EQ(to[i], 3) << "behind";
        }
        std::memset(from, 9, whole); // is still mapped
        rf_pages_unmap(from, whole);
        rf_pages_unmap(to, whole);
      }
    }
  }
}

// The place in between, to which they were moved first, is given back.
TEST(DropinPages, AreCopiedWhereTheSystemDoesNotMoveThemToTheirPlace) {
  constexpr size_t kSize = size_t{4} << 20;
  unsigned char *const from = bytes(rf_pages_map(kSize, kPage, 0));
  unsigned char *const to = bytes(rf_pages_map(kSize, kPage, 0));
  ASSERT_TRUE(from != nullptr && to != nullptr);
  for (size_t i = 0; i < kSize; i += kPage) {
    from[i] = static_cast<unsigned char>(i / kPage + 1);
  }
  size_t const before = mapped_pages();
  refuses_places = true;
  rf_pages_move(to, from, kSize);
  refuses_places = false;
  EXPECT_EQ(mapped_pages(), before);
  for (size_t i = 0; i < kSize; i += kPage) {
    ASSERT_EQ(to[i], static_cast<unsigned char>(i / kPage + 1));
  }
  rf_pages_unmap(from, kSize);
  rf_pages_unmap(to, kSize);
}

TEST(DropinPages, MoveWithoutAWishThatNobodySet) {
  constexpr size_t kSize = size_t{1} << 20;
  unsigned char *const from = bytes(rf_pages_map(kSize, kPage, 0));
  unsigned char *const to = bytes(rf_pages_map(kSize, kPage, 0));
  wishes = 0;
  rf_pages_move(to, from, kSize);
  EXPECT_EQ(wishes, 0U);
  rf_pages_unmap(from, kSize);
  rf_pages_unmap(to, kSize);
}

TEST(DropinPages, ThatWereNeverTouchedMoveUntouched) {
  constexpr size_t kSize = size_t{64} << 20;
  unsigned char *const from = bytes(rf_pages_map(kSize, kPage, 0));
  unsigned char *const to = bytes(rf_pages_map(kSize, kPage, 0));
  from[kSize / 2] = 5;
  rf_pages_move(to, from, kSize);
  EXPECT_EQ(to[kSize / 2], 5);
  EXPECT_LT(count_present(to, kSize), 2 * (size_t{2} << 20) / kPage);
  rf_pages_unmap(from, kSize);
  rf_pages_unmap(to, kSize);
}

// A refused mapping is asked for once more after memory was given back.
TEST(DropinPages, AreAskedForAgainWhereSomeIsGivenBack) {
  alone([] {
    static std::vector<size_t> refused;
    static bool gives;
    rf_pages_on_refusal([](size_t size) {
      refused.push_back(size);
      rlimit const all = {RLIM_INFINITY, RLIM_INFINITY};
      return gives && setrlimit(RLIMIT_AS, &all) == 0;
    });
    void *const page = rf_pages_map(kPage, 1, 0);
    EXPECT_NE(page, nullptr);
    EXPECT_TRUE(refused.empty());
    rlimit const none = {1, RLIM_INFINITY};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &none), 0);
    errno = 77;
    EXPECT_EQ(rf_pages_map(3 * kPage, 1, 0), nullptr);
    EXPECT_EQ(std::count(refused.begin(), refused.end(), 3 * kPage), static_cast<ptrdiff_t>(refused.size()));
    EXPECT_FALSE(refused.empty());
    refused.clear();
    EXPECT_EQ(rf_record_table(kPage), nullptr);
    EXPECT_EQ(refused, std::vector<size_t>{kPage}) << "which asks once alone";
    gives = true;
    EXPECT_NE(rf_pages_map(3 * kPage, 1, 0), nullptr);
    ASSERT_EQ(setrlimit(RLIMIT_AS, &none), 0);
    EXPECT_NE(rf_record_table(kPage), nullptr);
    EXPECT_EQ(errno, 77);
  });
}

} // namespace
} // namespace ringfence_test
