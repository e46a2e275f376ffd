// The system below the drop-in by itself: locks, sorting, threads, C++ runtimes and files that stay open.
#include "tests/checkers/two_at_once.h"
#include "tests/dropin/alone.h"
#include "tests/dropin/os_memory.h"

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
#include "checkers/dropin/os/procfs.h"
#include "checkers/os/sort.h"
}

static std::string status; // that is read of a thread; empty: what the system says

extern "C" ssize_t read(int fd, void *buffer, size_t size) {
  if (status.empty()) {
    return syscall(SYS_read, fd, buffer, size);
  }
  return static_cast<ssize_t>(status.copy(static_cast<char *>(buffer), size));
}

namespace ringfence_test {
namespace {

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
  expect_one_has([&] { return rf_futex_try(&lock); }, [&] { rf_futex_unlock(&lock); });
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

// The thread that stops all others would go on without those that were not told.
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

// A thread that runs would not be stopped.
TEST(DropinProcfs, TakesNobodyForDeadWhereNoFileCanBeOpened) {
  EXPECT_EXIT(
      {
        rlimit none;
        none.rlim_cur = none.rlim_max = 0;
        _exit(setrlimit(RLIMIT_NOFILE, &none) == 0 && !rf_procfs_is_dead(static_cast<uint32_t>(gettid())) ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
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
} // namespace ringfence_test
