// The checkers' interface to the system: files, turns, readable memory, stacks, what an address is.
#include "checkers/os/host.h"
#include "checkers/os/maps.h"

#include "tests/checkers/child_status.h"
#include "tests/checkers/not_cancelled.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>

namespace ringfence {
namespace {

// ---- Writing ----

TEST(Write, AFileThatMayNotGrowEndsNothing) {
  EXPECT_EQ(status_of([] {
              rlimit const nothing = {0, 0};
              int const file = open("/tmp", O_TMPFILE | O_WRONLY, 0600);
              sigset_t pending;
              bool const refused = setrlimit(RLIMIT_FSIZE, &nothing) == 0 && !rf_host_write(file, "x", 1);
              return refused && sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 0;
            }),
            0);
}

TEST(Write, AFileAtItsSoftLimitTakesAll) {
  EXPECT_EQ(status_of([] {
              rlimit limit = {2, RLIM_INFINITY};
              int const file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
              sigset_t pending;
              char text[8] = "";
              errno = 77;
              bool const done = setrlimit(RLIMIT_FSIZE, &limit) == 0 && rf_host_write(file, "whole", 5) && errno == 77;
              bool const silent = sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 0;
              bool const as_it_was = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur == 2;
              return done && silent && as_it_was && pread(file, text, sizeof text, 0) == 5;
            }),
            0);
}

// It is raised once: what is refused then is refused at the hard one.
TEST(Write, AFileAtItsHardLimitLeavesTheSoftOneAsItWas) {
  EXPECT_EQ(status_of([] {
              rlimit limit = {2, 4};
              int const file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
              char text[8] = "";
              bool const refused = setrlimit(RLIMIT_FSIZE, &limit) == 0 && !rf_host_write(file, "whole", 5);
              bool const as_it_was = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur == 2;
              return refused && as_it_was && pread(file, text, sizeof text, 0) == 4;
            }),
            0);
}

// No signal comes of it later, and one that waited before still does.
TEST(Write, APipeWithoutAReaderEndsNothing) {
  for (bool const waits : {false, true}) {
    EXPECT_EQ(status_of([waits] {
                int ends[2];
                sigset_t pipe_only;
                sigset_t pending;
                (void)sigemptyset(&pipe_only);
                (void)sigaddset(&pipe_only, SIGPIPE);
                if (pipe(ends) != 0 || close(ends[0]) != 0) {
                  return false;
                }
                if (waits) {
                  (void)pthread_sigmask(SIG_BLOCK, &pipe_only, nullptr);
                  (void)raise(SIGPIPE);
                }
                bool const refused = !rf_host_write(ends[1], "x", 1);
                return refused && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == (waits ? 1 : 0);
              }),
              0);
  }
}

// ---- Turn ----

TEST(Turn, IsNobodysInAChildThatForgetsIt) {
  std::thread([] { ASSERT_TRUE(rf_host_report_lock()); }).join();
  EXPECT_EQ(status_of([] {
              rf_host_report_lock_reset();
              return rf_host_report_lock();
            }),
            0);
  rf_host_report_unlock();
}

TEST(Turn, IsWaitedForByAnotherThreadAndRefusedToItsOwn) {
  ASSERT_TRUE(rf_host_report_lock());
  EXPECT_FALSE(rf_host_report_lock()) << "a handler that interrupted its own report";
  std::atomic<bool> asks{false};
  bool had = false;
  std::thread other([&] {
    asks = true;
    had = rf_host_report_lock();
    rf_host_report_unlock();
  });
  while (!asks) {
  }
  usleep(2000); // it asks meanwhile
  rf_host_report_unlock();
  other.join();
  EXPECT_TRUE(had);
  EXPECT_TRUE(rf_host_report_lock());
  rf_host_report_unlock();
}

// A report is under way wherever a block is freed, which is no point of cancellation.
TEST(Turn, WhoWaitsForItIsNotCancelled) {
  bool claimed = true;
  ASSERT_TRUE(rf_host_report_lock());
  ringfence_test::expect_not_cancelled([&] {
    EXPECT_FALSE(rf_host_claim(&claimed, 1));
    EXPECT_FALSE(rf_host_report_lock());
  });
  rf_host_report_unlock();
}

// ---- Files ----

TEST(ReadFile, GivesItsBytesAndKeepsErrno) {
  errno = 77;
  size_t length = 5;
  EXPECT_EQ(rf_host_read_file("/nowhere/at/all", &length), nullptr);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(rf_host_read_file("/", &length), nullptr) << "no regular file";
  std::string const path = testing::TempDir() + "/read_file";
  for (size_t const size : {0, 1, 4095, 4096, 100000}) {
    std::string const text(size, 'x');
    int const file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ASSERT_EQ(write(file, text.data(), size), static_cast<ssize_t>(size));
    close(file);
    errno = 77;
    const char *const data = rf_host_read_file(path.c_str(), &length);
    ASSERT_NE(data, nullptr);
    EXPECT_EQ(std::string(data, length), text);
    EXPECT_EQ(data[length], '\0');
    EXPECT_EQ(errno, 77);
  }
}

// ---- Memory ----

class Pages {
public:
  Pages() : start_(static_cast<unsigned char *>(mmap(nullptr, 3 * size(), PROT_READ | PROT_WRITE, kFlags, -1, 0))) {
    EXPECT_NE(static_cast<void *>(start_), MAP_FAILED);
    EXPECT_EQ(mprotect(start_, size(), PROT_NONE), 0);
    EXPECT_EQ(munmap(start_ + 2 * size(), size()), 0);
  }
  ~Pages() { munmap(start_, 2 * size()); }
  Pages(const Pages &) = delete;
  Pages &operator=(const Pages &) = delete;

  static size_t size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }
  // The one page that can be read: what is before it is protected, what is behind it not there.
  unsigned char *readable() const { return start_ + size(); }

private:
  static constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  unsigned char *start_;
};

TEST(Readable, TellsToTheByte) {
  Pages const pages;
  unsigned char *const p = pages.readable();
  size_t const size = Pages::size();
  EXPECT_TRUE(rf_host_readable(p, 1));
  EXPECT_TRUE(rf_host_readable(p, size));
  EXPECT_TRUE(rf_host_readable(p + size - 1, 1));
  EXPECT_TRUE(rf_host_readable(p + 3, size - 3));
  EXPECT_FALSE(rf_host_readable(p - 1, 1));
  EXPECT_FALSE(rf_host_readable(p - 1, 2));
  EXPECT_FALSE(rf_host_readable(p + size, 1));
  EXPECT_FALSE(rf_host_readable(p + size - 1, 2));
  EXPECT_FALSE(rf_host_readable(p, size + 1));
  EXPECT_FALSE(rf_host_readable(p, 3 * size));
}

TEST(Readable, WildAddressesAreNot) {
  for (uintptr_t const address : {uintptr_t{0}, uintptr_t{1}, uintptr_t{64}, UINTPTR_MAX, UINTPTR_MAX - 63}) {
    EXPECT_FALSE(rf_host_readable(reinterpret_cast<void *>(address), 64)) << address;
  }
  int local = 0;
  EXPECT_FALSE(rf_host_readable(&local, 0));
  EXPECT_FALSE(rf_host_readable(&local, SIZE_MAX));
}

TEST(Readable, KeepsErrno) {
  errno = 77;
  int local = 0;
  (void)rf_host_readable(&local, 1);
  (void)rf_host_readable(nullptr, 1);
  EXPECT_EQ(errno, 77);
}

TEST(Map, GivesZeroedMemory) {
  auto *const p = static_cast<unsigned char *>(rf_host_map(10000));
  ASSERT_NE(p, nullptr);
  for (size_t i = 0; i < 10000; i++) {
    ASSERT_EQ(p[i], 0);
  }
  EXPECT_EQ(rf_host_map(SIZE_MAX - 65536), nullptr);
}

TEST(Secret, IsAnotherOneEachTime) {
  EXPECT_NE(rf_host_secret(), rf_host_secret());
}

// ---- Stacks ----

TEST(HostStack, HoldsTheFrameAndWhatIsAbove) {
  int local = 0;
  auto const here = reinterpret_cast<uintptr_t>(&local);
  uintptr_t low = 0;
  uintptr_t high = 0;
  ASSERT_TRUE(rf_host_stack(&local, &low, &high));
  EXPECT_LT(low, here);
  EXPECT_GT(high, here);
  EXPECT_TRUE(rf_host_readable(&local, high - here));
}

TEST(HostStack, IsAnotherOneInAnotherThread) {
  int local = 0;
  uintptr_t main_low = 0;
  uintptr_t main_high = 0;
  ASSERT_TRUE(rf_host_stack(&local, &main_low, &main_high));
  std::thread([&] {
    int theirs = 0;
    uintptr_t low = 0;
    uintptr_t high = 0;
    ASSERT_TRUE(rf_host_stack(&theirs, &low, &high));
    EXPECT_TRUE(high <= main_low || low >= main_high);
  }).join();
}

TEST(HostStack, MemoryThatIsNotThereIsNoStack) {
  uintptr_t low;
  uintptr_t high;
  EXPECT_FALSE(rf_host_stack(reinterpret_cast<const void *>(64), &low, &high));
}

// ---- DescribedAddress ----

int zeroed[1000];
int initialised[] = {1, 2, 3};

std::string describe(const void *p) {
  const char *const phrase = rf_host_describe_address(p);
  return phrase != nullptr ? phrase : "";
}

TEST(DescribedAddress, NamesStackStaticAndNothing) {
  int local = 0;
  EXPECT_EQ(describe(&local), "the pointer is to the stack");
  EXPECT_EQ(describe(&zeroed[500]), "the pointer is to a static object");
  EXPECT_EQ(describe(&initialised[1]), "the pointer is to a static object");
  std::string const constant = describe("a constant"); // some linkers put it beside the code
  EXPECT_TRUE(constant == "the pointer is to a static object" || constant == "the pointer is to code or a constant")
      << constant;
  EXPECT_EQ(describe(reinterpret_cast<const void *>(&describe)), "the pointer is to code or a constant");
  EXPECT_EQ(describe(reinterpret_cast<const void *>(64)), "there is no memory at the pointer");
  Pages const pages;
  EXPECT_EQ(describe(pages.readable()), "the pointer is to mapped memory");
}

// A mapping that the kernel put right behind a module's is not the module's .bss.
TEST(DescribedAddress, TakesNoNeighbourOfAModuleForItsMemory) {
  uintptr_t end = 0;
  auto const of_this_program = [](const rf_map *map, void *context) {
    auto *const behind = static_cast<uintptr_t *>(context);
    auto const address = reinterpret_cast<uintptr_t>(&zeroed[999]);
    *behind = address >= map->start && address < map->end ? map->end : *behind;
    return *behind == 0;
  };
  ASSERT_TRUE(rf_maps_each(of_this_program, &end));
  auto const size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void *const page = mmap(reinterpret_cast<void *>(end), size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (page == MAP_FAILED) {
    GTEST_SKIP() << "something else is there";
  }
  EXPECT_EQ(describe(page), "the pointer is to mapped memory");
  EXPECT_EQ(munmap(page, size), 0);
}

TEST(DescribedAddress, NamesAMappedFile) {
  auto const size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (std::string const &name : {std::string("data"), std::string(240, 'x')}) {
    std::string const path = testing::TempDir() + name; // which ends with a slash
    int const file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    ASSERT_EQ(ftruncate(file, static_cast<off_t>(2 * size)), 0);
    for (off_t const offset : {off_t{0}, static_cast<off_t>(size)}) {
      void *const page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, offset);
      std::string const phrase = describe(page);
      EXPECT_EQ(phrase.find("the pointer is to the mapped file /"), 0U) << phrase;
      EXPECT_EQ(phrase.find("/data") != std::string::npos, name == "data") << phrase;
      EXPECT_EQ(phrase, "the pointer is to the mapped file " + path.substr(0, 200));
      EXPECT_EQ(munmap(page, size), 0);
    }
    close(file);
    unlink(path.c_str());
  }
}

// A program may put memory that others share in the place of its own.
TEST(DescribedAddress, SharedMemoryAmongAModulesIsNoStaticObject) {
  static unsigned char room[2 * 65536];
  auto const size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto const at = (reinterpret_cast<uintptr_t>(room) + size - 1) & ~(size - 1);
  auto *const page = reinterpret_cast<void *>(at);
  EXPECT_EQ(describe(page), "the pointer is to a static object");
  ASSERT_EQ(mmap(page, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0), page);
  EXPECT_EQ(describe(page), "the pointer is to the mapped file /dev/zero (deleted)");
  ASSERT_EQ(mmap(page, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), page);
}

TEST(DescribedAddress, KnowsTheHeapOfTheSystem) {
  void *const end = sbrk(4096);
  if (end == reinterpret_cast<void *>(-1)) {
    GTEST_SKIP() << "the system's heap cannot grow";
  }
  EXPECT_EQ(describe(end), "the pointer is to the heap of sbrk");
}

TEST(DescribedAddress, KnowsTheStackOfAThread) {
  std::thread([] {
    int local = 0;
    uintptr_t low;
    uintptr_t high;
    (void)rf_host_stack(&local, &low, &high); // as a capture does
    EXPECT_EQ(describe(&local), "the pointer is to the stack");
  }).join();
}

[[gnu::noinline]] std::string describe_from_below(const void *p) {
  volatile unsigned char pages[3 * 4096];
  pages[0] = 1;
  return describe(p) + std::string(pages[0] != 1 ? 1 : 0, '?');
}

TEST(DescribedAddress, KnowsTheStackFarBelowWhereItWasAskedFor) {
  std::thread([] {
    int local = 0;
    uintptr_t low;
    uintptr_t high;
    (void)rf_host_stack(&local, &low, &high);
    EXPECT_EQ(describe_from_below(&local), "the pointer is to the stack");
  }).join();
}

} // namespace
} // namespace ringfence
