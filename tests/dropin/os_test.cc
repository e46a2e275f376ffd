// The system below the drop-in by itself: pages, records, locks, sorting, threads and files that stay open.
#include "tests/checkers/two_at_once.h"
#include "tests/dropin/address_space.h"
#include "tests/dropin/alone.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include "checkers/dropin/os/cxx_runtime.h"
#include "checkers/dropin/os/futex.h"
#include "checkers/dropin/os/kept_file.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/os/procfs.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/sort.h"
}

static std::string status; // that is read of a thread; empty: what the system says

extern "C" ssize_t read(int fd, void *buffer, size_t size) {
  if (status.empty()) {
    return syscall(SYS_read, fd, buffer, size);
  }
  return static_cast<ssize_t>(status.copy(static_cast<char *>(buffer), size));
}

static unsigned wishes; // moves that keep the old range and wish for a place

// The kernel takes the last argument in other calls than those that document it, whether the caller gave it or not.
extern "C" void *mremap(void *old, size_t old_size, size_t new_size, int flags, ...) noexcept {
  va_list more;
  va_start(more, flags);
  void *const wish = va_arg(more, void *);
  va_end(more);
  wishes += (flags & MREMAP_DONTUNMAP) != 0 && wish != nullptr ? 1 : 0;
  auto const moved = syscall(SYS_mremap, old, old_size, new_size, flags, wish);
  return reinterpret_cast<void *>(moved);
}

namespace {

using ringfence_test::alone;
using ringfence_test::mapped_pages;

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

unsigned char *bytes(void *p) {
  return static_cast<unsigned char *>(p);
}

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

// ---- Pages ----

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

// ---- Records ----

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
    gives = true;
    EXPECT_NE(rf_pages_map(3 * kPage, 1, 0), nullptr);
    EXPECT_EQ(errno, 77);
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
      ringfence_test::two_at_once([&](unsigned who) { made[who] = bytes(rf_record_alloc(size)); },
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

// ---- Locks ----

// Another thread has begun, so that the library uses atomic operations from now on.
void leave_one_thread() {
  std::thread([] {}).join();
}

TEST(DropinFutex, IsHeldByOne) {
  leave_one_thread();
  rf_futex lock = {};
  long count = 0;
  auto const work = [&] {
    for (int i = 0; i < 5000; i++) {
      rf_futex_lock(&lock);
      long const before = *static_cast<volatile long *>(&count);
      if (i % 64 == 0) {
        sched_yield();
      }
      count = before + 1;
      rf_futex_unlock(&lock);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back(work);
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(count, 20000);
  EXPECT_EQ(lock.state, 0U);
}

#ifdef RF_CAN_STEP

TEST(DropinFutex, OneOfTwoAtOnceHasIt) {
  std::thread([] {}).join(); // with atomic operations
  rf_futex lock = {};
  ringfence_test::expect_one_has([&] { return rf_futex_try(&lock); }, [&] { rf_futex_unlock(&lock); });
}

#endif

TEST(DropinFutex, IsWaitedForNoLongerThanAsked) {
  leave_one_thread();
  rf_futex lock = {};
  errno = 77;
  ASSERT_TRUE(rf_futex_lock_within(&lock, 0));
  EXPECT_EQ(lock.state, 1U);
  EXPECT_FALSE(rf_futex_try(&lock));
  EXPECT_FALSE(rf_futex_lock_within(&lock, 0));
  EXPECT_EQ(lock.state, 1U);
  EXPECT_FALSE(rf_futex_lock_within(&lock, 5));
  EXPECT_EQ(lock.state, 2U) << "somebody may wait";
  rf_futex_unlock(&lock);
  EXPECT_EQ(lock.state, 0U);
  ASSERT_TRUE(rf_futex_try(&lock));
  EXPECT_EQ(lock.state, 1U);
  EXPECT_EQ(errno, 77);
}

// Each of them sleeps by then, and one after another has to be woken.
TEST(DropinFutex, SaysThatItWaitsWhileItDoes) {
  rf_futex lock = {1};
  EXPECT_FALSE(rf_futex_lock_within(&lock, 2));
  EXPECT_FALSE(rf_futex_waits);
  EXPECT_EQ(lock.state, 2U) << "somebody may wait";
}

TEST(DropinFutex, WakesThoseWhoSleep) {
  leave_one_thread();
  rf_futex lock = {};
  std::atomic<int> had{0};
  rf_futex_lock(&lock);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) {
    threads.emplace_back([&] {
      rf_futex_lock(&lock);
      had++;
      rf_futex_unlock(&lock);
    });
  }
  while (__atomic_load_n(&lock.state, __ATOMIC_RELAXED) != 2) {
    sched_yield();
  }
  EXPECT_EQ(had, 0);
  rf_futex_unlock(&lock);
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(had, 3);
}

// ---- Sorting ----

bool before(const void *a, const void *b) {
  return std::memcmp(a, b, sizeof(uint32_t)) < 0;
}

TEST(DropinSort, SortsAnyNumberOfAnySize) {
  std::mt19937 random(4);
  for (size_t const size : {4, 5, 16, 24}) {
    for (size_t count = 0; count < 60; count++) {
      std::vector<std::string> items(count);
      std::string flat;
      for (std::string &item : items) {
        item.resize(size);
        std::generate(item.begin(), item.end(), [&] { return static_cast<char>(random() % 120); });
        flat += item;
      }
      rf_sort(flat.data(), count, size, before);
      std::sort(items.begin(), items.end());
      std::string expected;
      for (const std::string &item : items) {
        expected += item;
      }
      EXPECT_EQ(flat, expected) << count << " items of " << size;
    }
  }
}

// ---- Threads ----

TEST(DropinProcfs, ListsEachThreadOnce) {
  std::set<uint32_t> expected = {static_cast<uint32_t>(gettid())};
  std::vector<std::thread> threads;
  std::atomic<bool> done{false};
  std::atomic<uint32_t> ids[100] = {};
  for (std::atomic<uint32_t> &id : ids) {
    threads.emplace_back([&] {
      id = static_cast<uint32_t>(gettid());
      while (!done) {
        usleep(1000);
      }
    });
  }
  for (std::atomic<uint32_t> &id : ids) {
    while (id == 0) {
      sched_yield();
    }
    expected.insert(id);
    EXPECT_FALSE(rf_procfs_is_dead(id));
  }
  std::multiset<uint32_t> seen;
  auto const see = [](uint32_t id, void *context) { static_cast<std::multiset<uint32_t> *>(context)->insert(id); };
  EXPECT_TRUE(rf_procfs_each_thread(see, &seen));
  for (uint32_t const id : expected) {
    EXPECT_EQ(seen.count(id), 1U); // beside them there may be threads that end
  }
  done = true;
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_TRUE(rf_procfs_is_dead(0x7FFFFFFF)) << "no such thread";
}

// The system refuses to list folders from now on.
bool forbid_lists() {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getdents64, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog const filter = {4, code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// Who stops all threads would go on without those that were not told.
TEST(DropinProcfs, AListThatIsNotReadToItsEndIsNone) {
  EXPECT_EXIT(
      {
        auto const see = [](uint32_t, void *) {};
        bool const before = rf_procfs_each_thread(see, nullptr);
        _exit(before && forbid_lists() && !rf_procfs_each_thread(see, nullptr) ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

// Its files may have the numbers of standard streams that are closed.
TEST(DropinProcfs, ReadsWithTheDescriptorZero) {
  EXPECT_EXIT(
      {
        close(0);
        uint32_t count = 0;
        auto const see = [](uint32_t, void *context) { ++*static_cast<uint32_t *>(context); };
        bool const read = rf_procfs_each_thread(see, &count) && count == 1;
        bool const lives = !rf_procfs_is_dead(static_cast<uint32_t>(gettid()));
        _exit(read && lives && open("/dev/null", O_RDONLY) == 0 ? 0 : 1); // and they are closed
      },
      testing::ExitedWithCode(0), "");
}

// A name may look like the rest of the line.
TEST(DropinProcfs, TellsTheDeadByTheirState) {
  ASSERT_EQ(pthread_setname_np(pthread_self(), "a) Z 1 (b) X"), 0);
  EXPECT_FALSE(rf_procfs_is_dead(static_cast<uint32_t>(gettid())));
  ASSERT_EQ(pthread_setname_np(pthread_self(), "os_test"), 0);
  // The first thread ends, and stays listed as long as the process has others.
  EXPECT_EXIT(
      {
        std::thread([main = static_cast<uint32_t>(gettid())] {
          for (int i = 0; i < 5000 && !rf_procfs_is_dead(main); i++) {
            usleep(1000);
          }
          _exit(rf_procfs_is_dead(main) ? 0 : 1);
        }).detach();
        syscall(SYS_exit, 0);
      },
      testing::ExitedWithCode(0), "");
}

// One that is about to vanish.
TEST(DropinProcfs, TellsEachStateOfTheDead) {
  auto const id = static_cast<uint32_t>(gettid());
  for (char const state : std::string("RSDTtZXI")) {
    status = std::string("1 (name) ") + state + " 1";
    EXPECT_EQ(rf_procfs_is_dead(id), state == 'Z' || state == 'X') << state;
  }
  status = "1 no name";
  EXPECT_FALSE(rf_procfs_is_dead(id));
  status.clear();
}

// ---- C++ runtimes of their own ----

// The name of std::bad_alloc may be the last that a module has.
TEST(DropinCxxRuntime, IsKnownByItsMarkAnywhereInAModule) {
  std::string const mark("St9bad_alloc\0", 13);
  for (size_t const at : {size_t{1}, size_t{100}, kPage - 13, kPage, 2 * kPage - 13}) {
    for (char const before : {'\0', '_'}) {
      std::string text(2 * kPage, '\0');
      text.replace(at, mark.size(), mark);
      text[at - 1] = before;
      std::string const path = testing::TempDir() + "cxx_runtime" + std::to_string(at) + before;
      int const file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
      ASSERT_EQ(write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));
      void *const module = mmap(nullptr, text.size(), PROT_READ, MAP_PRIVATE, file, 0);
      ASSERT_NE(module, MAP_FAILED);
      bool const is_mark = before == '\0';
      EXPECT_EQ(rf_cxx_runtime_is_private(reinterpret_cast<uintptr_t>(module) + 5), is_mark) << at;
      close(file);
      unlink(path.c_str()); // no munmap: the answer is kept for the address
    }
  }
}

// ---- Files that stay open ----

TEST(DropinKeptFile, IsKnownWhileItsDescriptorIsItsOwn) {
  rf_kept_file kept;
  int const file = open("/dev/null", O_RDONLY);
  rf_kept_file_keep(&kept, file);
  close(file);
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_GE(kept.descriptor, limit.rlim_cur > 1000 ? 1000 : static_cast<int>(limit.rlim_cur) / 2);
  EXPECT_NE(fcntl(kept.descriptor, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_TRUE(rf_kept_file_is_there(&kept));
  int const other = open("/dev/zero", O_RDONLY);
  dup2(other, kept.descriptor);
  EXPECT_FALSE(rf_kept_file_is_there(&kept)) << "another file on the same device";
  int const pipe_like = open("/proc/self/stat", O_RDONLY);
  dup2(pipe_like, kept.descriptor);
  EXPECT_FALSE(rf_kept_file_is_there(&kept));
  close(kept.descriptor);
  EXPECT_FALSE(rf_kept_file_is_there(&kept)) << "closed";
  close(other);
  close(pipe_like);
  rf_kept_file_keep(&kept, -1);
  EXPECT_FALSE(rf_kept_file_is_there(&kept));
  EXPECT_EQ(kept.descriptor, -1);
  rf_kept_file const none = {};
  EXPECT_FALSE(rf_kept_file_is_there(&none));
}

TEST(DropinKeptFile, LiesBelowAnyLimit) {
  for (rlim_t const most : {999, 1000, 1001}) {
    alone([most] {
      rlimit const limit = {most, most};
      rf_kept_file kept;
      ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
      int const file = open("/dev/null", O_RDONLY);
      rf_kept_file_keep(&kept, file);
      EXPECT_EQ(kept.descriptor, most > 1000 ? 1000 : static_cast<int>(most) / 2);
    });
  }
}

TEST(DropinKeptFile, LiesInTheUpperHalfOfFewDescriptors) {
  rlimit const limit = {100, 100};
  EXPECT_EXIT(
      {
        setrlimit(RLIMIT_NOFILE, &limit);
        rf_kept_file kept;
        rf_kept_file_keep(&kept, 0);
        _exit(kept.descriptor == 50 && rf_kept_file_is_there(&kept) ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

} // namespace
