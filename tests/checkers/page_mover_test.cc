// Whether memory of pages can be moved (checkers/page/page_mover.c): as the system says, by its effect, and not where a
// filter might end the process. Other tests of moved pages pass over where it cannot be.
#include "tests/checkers/page_fixture.h"

#if defined(__linux__)

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

extern "C" {
#include "checkers/os/host.h"
#include "checkers/page/page_impl.h"
}

namespace ringfence {
namespace {

// As linux/userfaultfd.h has it, which may be older than the kernel.
struct Job {
  uint64_t to;
  uint64_t from;
  uint64_t size;
  uint64_t mode;
  int64_t done;
};
constexpr unsigned long kApi = _IOWR(0xAA, 0x3F, uint64_t[3]);
constexpr unsigned long kRegister = _IOWR(0xAA, 0x00, uint64_t[4]);
constexpr unsigned long kCopy = _IOWR(0xAA, 0x03, Job);
constexpr unsigned long kMove = _IOWR(0xAA, 0x05, Job);

// By calls of the test's own.
bool system_moves_pages() {
  size_t const size = page_size();
  auto *const pages =
      static_cast<unsigned char *>(mmap(nullptr, 3 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  auto const at = reinterpret_cast<uintptr_t>(pages);
  int const file = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1));
  uint64_t api[3] = {0xAA, 1U << 7 | 1U << 16, 0};
  uint64_t range[4] = {at, 2 * size, 1, 0};
  pages[2 * size] = 5;
  Job copy = {at, at + 2 * size, size, 0, 0};
  Job move = {at + size, at, size, 0, 0};
  bool const moves = file >= 0 && ioctl(file, kApi, api) == 0 && ioctl(file, kRegister, range) == 0 &&
                     ioctl(file, kCopy, &copy) == 0 && ioctl(file, kMove, &move) == 0 &&
                     rf_host_readable(pages + size, 1) && pages[size] == 5;
  close(file);
  munmap(pages, 3 * size);
  return moves;
}

TEST(PageMover, WorksWhereTheSystemMovesPages) {
  bool const wanted = system_moves_pages() && rf_page_has_marks() && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0;
  errno = 77;
  EXPECT_EQ(rf_page_mover_begin(), wanted);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(rf_page_mover_works(), wanted);
}

// Runs the test before in a program of its own, for which these requests to the system are answered with 0 and no more.
struct Request {
  long call;
  unsigned argument; // the number of the one that has this value
  unsigned long value;
  uint32_t error; // in place of 0
};

int works_as_it_should_where_answered(const std::vector<Request> &requests) {
  std::vector<sock_filter> list;
  for (const Request &r : requests) {
    auto const argument = static_cast<uint32_t>(offsetof(seccomp_data, args) + r.argument * sizeof(uint64_t));
    list.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    list.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(r.call), 0, 3));
    list.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument));
    list.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(r.value), 0, 1));
    list.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | r.error));
  }
  list.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  sock_fprog const filter = {static_cast<unsigned short>(list.size()), list.data()};
  pid_t const child = fork();
  if (child == 0) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0) {
      char *const none[] = {nullptr};
      execle("/proc/self/exe", "test", "--gtest_filter=PageMover.WorksWhereTheSystemMovesPages", nullptr, none);
    }
    _exit(1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

TEST(PageMover, IsNotBelievedWhereRequestsAreAnsweredAndNotDone) {
  Request const unfiltered = {SYS_prctl, 0, PR_GET_SECCOMP, 0};
  Request const registers = {SYS_ioctl, 1, kRegister, 0};
  Request const copies = {SYS_ioctl, 1, kCopy, 0};
  Request const moves = {SYS_ioctl, 1, kMove, 0};
  Request const opens = {SYS_userfaultfd, 0, O_CLOEXEC | O_NONBLOCK | 1, EPERM};
  EXPECT_EQ(works_as_it_should_where_answered({unfiltered}), 0);
  EXPECT_EQ(works_as_it_should_where_answered({unfiltered, opens}), 0);
  EXPECT_EQ(works_as_it_should_where_answered({unfiltered, moves}), 0);
  EXPECT_EQ(works_as_it_should_where_answered({unfiltered, moves, copies}), 0);
  EXPECT_EQ(works_as_it_should_where_answered({unfiltered, moves, copies, registers}), 0);
}

// Whether it still works after a look at which the system refused to move a page with this error.
bool works_after(int refused_with) {
  constexpr unsigned kArgument = offsetof(seccomp_data, args) + sizeof(uint64_t);
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArgument),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(kMove), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(refused_with)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog const filter = {sizeof code / sizeof code[0], code};
  pid_t const child = fork();
  if (child == 0) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
      _exit(2);
    }
    rf_page_mover_look();
    _exit(rf_page_mover_works() ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 2);
  return status == 0;
}

// A page that is shared, in use, or moved already says nothing about the descriptor.
TEST(PageMover, WorksUntilTheSystemDoesNotKnowIt) {
  if (!rf_page_mover_begin()) {
    GTEST_SKIP() << "the system moves no pages";
  }
  for (int const error : {EBUSY, ENOENT, EEXIST}) {
    EXPECT_TRUE(works_after(error)) << error;
  }
  for (int const error : {EBADF, ENOTTY, EINVAL}) {
    EXPECT_FALSE(works_after(error)) << error;
  }
}

// A filter may end a process that asks for anything unusual.
TEST(PageMover, IsNotAskedForUnderAFilter) {
  EXPECT_EQ(works_as_it_should_where_answered({{SYS_ioctl, 1, 0, 0}}), 0);
}

} // namespace
} // namespace ringfence

#endif // __linux__
