// The checkers' interface to the system where calls are interrupted, locks are held and memory is odd.
#include "checkers/os/host.h"
#include "checkers/os/maps.h"
#include "checkers/os/pid_path.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <iterator>
#include <string>

static unsigned interruptions; // of reads that are to come

extern "C" ssize_t read(int fd, void *buffer, size_t size) {
  if (interruptions != 0) {
    interruptions--;
    errno = EINTR;
    return -1;
  }
  return syscall(SYS_read, fd, buffer, size);
}

namespace ringfence {
namespace {

using Clock = std::chrono::steady_clock;

TEST(HostReadFile, GoesOnAfterAnInterruption) {
  std::string const path = testing::TempDir() + "/interrupted";
  int const file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ASSERT_EQ(write(file, "whole", 5), 5);
  close(file);
  size_t length = 0;
  interruptions = 3;
  const char *const data = rf_host_read_file(path.c_str(), &length);
  EXPECT_EQ(interruptions, 0U);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(std::string(data, length), "whole");
  unlink(path.c_str());
}

TEST(HostReadFile, ReadsRegularFilesAlone) {
  size_t length = 0;
  std::string const path = testing::TempDir() + "/pipe" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(rf_host_read_file(path.c_str(), &length), nullptr);
  EXPECT_EQ(rf_host_read_file("/dev/null", &length), nullptr);
  unlink(path.c_str());
}

TEST(HostTurn, IsRefusedToItsOwnThreadAtOnce) {
  ASSERT_TRUE(rf_host_report_lock());
  Clock::time_point const before = Clock::now();
  EXPECT_FALSE(rf_host_report_lock());
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(1));
  rf_host_report_unlock();
}

TEST(HostClaim, WaitsAsLongAsItIsTold) {
  bool flag = false;
  EXPECT_TRUE(rf_host_claim(&flag, 0));
  EXPECT_TRUE(flag);
  for (unsigned const patience : {0U, 20U}) {
    Clock::time_point const before = Clock::now();
    errno = 77;
    EXPECT_FALSE(rf_host_claim(&flag, patience));
    EXPECT_GE(Clock::now() - before, std::chrono::milliseconds(patience));
    EXPECT_EQ(errno, 77);
  }
  flag = false;
  EXPECT_TRUE(rf_host_claim(&flag, 20));
}

// A coroutine's stack is mapped below those of threads, and ends where its mapping does.
TEST(HostStack, OfACoroutineEndsWithItsMapping) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t const size = size_t{4} << 20;
  auto *const room = static_cast<char *>(mmap(nullptr, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(static_cast<void *>(room), MAP_FAILED);
  ASSERT_EQ(mprotect(room + page, size, PROT_READ | PROT_WRITE), 0);
  auto const start = reinterpret_cast<uintptr_t>(room) + page;
  uintptr_t low = 0;
  uintptr_t high = 0;
  ASSERT_TRUE(rf_host_stack(room + page + 1000, &low, &high));
  EXPECT_EQ(low, start);
  EXPECT_EQ(high, start + size);
  munmap(room, size + 2 * page);
}

TEST(HostUnwind, LeavesTheSignalMaskAsItWas) {
  sigset_t faults;
  (void)sigemptyset(&faults);
  (void)sigaddset(&faults, SIGSEGV);
  (void)sigaddset(&faults, SIGUSR1);
  (void)pthread_sigmask(SIG_BLOCK, &faults, nullptr);
  uintptr_t frames[8];
  EXPECT_GT(rf_host_unwind(frames, 8), 1U);
  sigset_t now;
  (void)pthread_sigmask(SIG_UNBLOCK, &faults, &now);
  EXPECT_EQ(sigismember(&now, SIGSEGV), 1);
  EXPECT_EQ(sigismember(&now, SIGUSR1), 1);
  EXPECT_EQ(sigismember(&now, SIGBUS), 0);
}

TEST(PidPath, MustFitWithTheByteThatEndsIt) {
  std::string const id = std::to_string(getpid());
  std::string const expected = "/log-" + id + "-%q%";
  for (size_t room = 2; room < expected.size() + 3; room++) {
    char text[64] = "";
    rf_sink_buffer path;
    rf_sink_buffer_init(&path, text, room);
    bool const fits = rf_pid_path("/log-%p-%q%", 11, &path);
    EXPECT_EQ(fits, room > expected.size() + 1) << room;
    EXPECT_EQ(fits ? text : expected, expected);
  }
}

// ---- The map ----

struct Mapping {
  uintptr_t start, end;
  uint64_t offset;
  bool readable, writable, executable, shared;
  bool operator==(const Mapping &m) const {
    return start == m.start && end == m.end && offset == m.offset && readable == m.readable && writable == m.writable &&
           executable == m.executable && shared == m.shared;
  }
};

// Allocates nothing, which might change the map.
struct Mappings {
  Mapping all[4096];
  size_t count;

  void read(char *buffer, size_t size) {
    count = 0;
    EXPECT_TRUE(rf_maps_each_in(
        buffer, size,
        [](const rf_map *m, void *context) {
          auto *const self = static_cast<Mappings *>(context);
          self->all[self->count++] = {m->start,    m->end,        m->file_offset, m->readable,
                                      m->writable, m->executable, m->shared};
          return self->count < std::size(self->all);
        },
        this));
  }

  bool operator==(const Mappings &other) const {
    return std::equal(all, all + count, other.all, other.all + other.count);
  }
};

char line[RF_MAPS_BYTES];
Mappings whole;
Mappings in_parts;
Mappings whole_after;

// The rest of a line that was cut is no line. A sanitizer's runtime may map memory of its own while the map is read:
// only a map that stayed as it was can be compared.
TEST(HostMaps, AreTheSameWhereTheBufferIsSmallerThanALine) {
  for (size_t const size : {56U, 60U, 64U, 80U, 100U}) {
    unsigned tries = 10;
    do {
      whole.read(line, sizeof line);
      in_parts.read(line, size);
      whole_after.read(line, sizeof line);
    } while (!(whole_after == whole) && --tries != 0);
    ASSERT_NE(tries, 0U) << size;
    EXPECT_TRUE(in_parts == whole) << size;
  }
}

TEST(HostMaps, TellTheRights) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (int const rights : {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC}) {
    for (int const kind : {MAP_PRIVATE, MAP_SHARED}) {
      auto *const room = static_cast<char *>(mmap(nullptr, 3 * page, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      void *const made = mmap(room + page, page, rights, kind | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
      ASSERT_EQ(made, static_cast<void *>(room + page));
      auto const start = reinterpret_cast<uintptr_t>(made);
      whole.read(line, sizeof line);
      const Mapping *const found = std::find_if(
          whole.all, whole.all + whole.count, [start](const Mapping &m) { return m.start <= start && start < m.end; });
      ASSERT_NE(found, whole.all + whole.count);
      EXPECT_EQ(found->readable, (rights & PROT_READ) != 0);
      EXPECT_EQ(found->writable, (rights & PROT_WRITE) != 0);
      EXPECT_EQ(found->executable, (rights & PROT_EXEC) != 0);
      EXPECT_EQ(found->shared, kind == MAP_SHARED);
      munmap(room, 3 * page);
    }
  }
}

} // namespace
} // namespace ringfence
