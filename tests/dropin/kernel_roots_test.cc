// Pointers that the kernel keeps for a program (checkers/dropin/inspect/kernel_roots.c), in descriptors and timers.
#include "tests/dropin/roots_world.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/kernel_roots.h"
#include "checkers/os/forbidden_calls.h"
}
#undef _Static_assert

#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <initializer_list>
#include <netinet/in.h>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

namespace ringfence_test {
namespace {

class KernelRoots : public Roots {
protected:
  KernelRoots() : before_(descriptors()) {}
  ~KernelRoots() override {
    rf_forbidden_calls = 0;
    for (int const descriptor : opened_) {
      close(descriptor);
    }
    EXPECT_EQ(descriptors(), before_);
  }

  static unsigned descriptors() {
    unsigned open = 0;
    for (int descriptor = 0; descriptor < 1024; descriptor++) {
      open += fcntl(descriptor, F_GETFD) != -1 ? 1 : 0;
    }
    return open;
  }

  int mine(int descriptor) {
    EXPECT_GE(descriptor, 0);
    opened_.push_back(descriptor);
    return descriptor;
  }

  // With this one, and no descriptor left behind.
  void read(int descriptor) {
    unsigned const before = descriptors();
    world.descriptors = {static_cast<uint32_t>(descriptor)};
    seen_.clear();
    rf_kernel_roots_read(&roots_);
    EXPECT_EQ(descriptors(), before);
    EXPECT_FALSE(roots_.any_byte);
  }

  static constexpr uintptr_t kWord = sizeof(uintptr_t) == 8 ? uintptr_t{0x12345678} << 16 | 0x9AB0 : 0x12345670;

  unsigned before_;
  std::vector<int> opened_;
};

// Three bytes, and the word behind them.
std::string message_of(uintptr_t word) {
  std::string text = "abc";
  text.append(reinterpret_cast<const char *>(&word), sizeof word);
  return text;
}

TEST_F(KernelRoots, BytesInAPipeStayThere) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::string const sent = message_of(kWord);
  read(mine(ends[0])); // empty: nobody waits
  EXPECT_EQ(times(kWord), 0);
  ASSERT_EQ(write(mine(ends[1]), sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
  for (int again = 0; again < 2; again++) {
    read(ends[0]);
    EXPECT_EQ(times(kWord), 1);
  }
  read(ends[1]); // the other end has none
  EXPECT_EQ(times(kWord), 0);
  rf_forbidden_calls = RF_CALL_PEEK;
  read(ends[0]);
  EXPECT_EQ(times(kWord), 0);
  char got[64];
  EXPECT_EQ(::read(ends[0], got, sizeof got), static_cast<ssize_t>(sent.size()));
}

TEST_F(KernelRoots, MessagesInASocketStayThere) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  std::string const sent = message_of(kWord);
  read(mine(ends[0]));
  EXPECT_EQ(times(kWord), 0);
  ASSERT_EQ(send(mine(ends[1]), sent.data(), sent.size(), 0), static_cast<ssize_t>(sent.size()));
  for (int again = 0; again < 2; again++) {
    read(ends[0]);
    EXPECT_EQ(times(kWord), 1);
  }
  rf_forbidden_calls = RF_CALL_PEEK;
  read(ends[0]);
  EXPECT_EQ(times(kWord), 0);
  char got[64];
  EXPECT_EQ(recv(ends[0], got, sizeof got, 0), static_cast<ssize_t>(sent.size()));
}

TEST_F(KernelRoots, BytesFarInAPipeAreSeenAsWell) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::string const sent = std::string(9000, 'x') + message_of(kWord);
  ASSERT_EQ(write(mine(ends[1]), sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
  read(mine(ends[0]));
  EXPECT_EQ(times(kWord), 1);
}

// Their words lie across the border of any two pieces that are looked at.
TEST_F(KernelRoots, AllOfALargePipeOrSocketIsSeen) {
  for (bool const is_pipe : {true, false}) {
    SCOPED_TRACE(is_pipe);
    int ends[2];
    ASSERT_EQ(is_pipe ? pipe2(ends, O_NONBLOCK) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    mine(ends[0]);
    mine(ends[1]);
    if (is_pipe) {
      ASSERT_EQ(fcntl(ends[1], F_SETPIPE_SZ, 256 * 1024), 256 * 1024);
    }
    std::string text = "abc";
    std::string rest;
    std::vector<uintptr_t> sent;
    constexpr size_t kAtOnce = 4096 / sizeof(uintptr_t);
    do {
      for (size_t i = 0; i < kAtOnce; i++) {
        sent.push_back(kWord + 16 * sent.size());
        rest.append(reinterpret_cast<const char *>(&sent.back()), sizeof sent.back());
      }
      text += rest;
      rest.clear();
    } while (write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) && (text.clear(), true));
    sent.resize(sent.size() - 2 * kAtOnce);
    EXPECT_GT(sent.size() * sizeof(uintptr_t), 2U * 65536);
    read(ends[0]);
    std::sort(seen_.begin(), seen_.end());
    EXPECT_TRUE(std::includes(seen_.begin(), seen_.end(), sent.begin(), sent.end()));
  }
}

// However short they are, each takes a page.
TEST_F(KernelRoots, AllMessagesOfALargePipeAreSeen) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_DIRECT | O_NONBLOCK), 0);
  mine(ends[0]);
  ASSERT_GT(fcntl(mine(ends[1]), F_SETPIPE_SZ, 256 * 1024), 65536);
  for (uintptr_t i = 0; i < 64; i++) {
    std::string const sent = message_of(kWord + 16 * i);
    ASSERT_EQ(write(ends[1], sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
  }
  read(ends[0]);
  for (uintptr_t i = 0; i < 64; i++) {
    EXPECT_EQ(times(kWord + 16 * i), 1) << i;
  }
}

// A read, or a look, gives one of them.
TEST_F(KernelRoots, EachOfSeveralMessagesIsSeen) {
  constexpr uintptr_t kMessages = 3;
  for (int const type : std::initializer_list<int>{SOCK_SEQPACKET, SOCK_DGRAM, SOCK_STREAM, 0}) {
    SCOPED_TRACE(type);
    int ends[2];
    ASSERT_EQ(type != 0 ? socketpair(AF_UNIX, type, 0, ends) : pipe2(ends, O_DIRECT), 0);
    for (uintptr_t i = 0; i < kMessages; i++) {
      std::string const sent = message_of(kWord + 16 * i);
      ASSERT_EQ(write(ends[1], sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
    }
    mine(ends[1]);
    mine(ends[0]);
    for (int again = 0; again < 2; again++) {
      read(ends[0]);
      for (uintptr_t i = 0; i < kMessages; i++) {
        EXPECT_EQ(times(kWord + 16 * i), 1) << i;
      }
    }
    char got[64];
    EXPECT_EQ(::read(ends[0], got, message_of(0).size()), static_cast<ssize_t>(message_of(0).size()));
    EXPECT_EQ(std::string(got, message_of(0).size()), message_of(kWord)) << "they stay, in their order";
    int offset = 0;
    socklen_t length = sizeof offset;
    EXPECT_TRUE(type == 0 || getsockopt(ends[0], SOL_SOCKET, SO_PEEK_OFF, &offset, &length) == 0);
    EXPECT_EQ(offset, type == 0 ? 0 : -1) << "the program's own looks begin with the first one";
  }
}

// They may come from anywhere, and no other process has pointers of this one.
TEST_F(KernelRoots, MessagesOfTheNetworkAreNotLookedAt) {
  int const own = mine(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  socklen_t length = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string const sent = message_of(kWord);
  if (bind(own, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 ||
      getsockname(own, reinterpret_cast<sockaddr *>(&address), &length) != 0 ||
      sendto(own, sent.data(), sent.size(), 0, reinterpret_cast<sockaddr *>(&address), length) < 0) {
    GTEST_SKIP() << "there is no network here, not even this machine's own";
  }
  read(own);
  EXPECT_EQ(times(kWord), 0);
  char got[64];
  EXPECT_EQ(recv(own, got, sizeof got, MSG_DONTWAIT), static_cast<ssize_t>(sent.size()));
}

// More than the buffer takes at once.
TEST_F(KernelRoots, AllThatAnEpollWatchesIsKept) {
  constexpr uintptr_t kMany = 950;
  int const all = mine(epoll_create1(EPOLL_CLOEXEC));
  int const event = mine(eventfd(0, EFD_CLOEXEC));
  for (uintptr_t i = 0; i < kMany; i++) {
    epoll_event watched = {};
    watched.events = EPOLLIN;
    watched.data.u64 = kWord + i;
    ASSERT_EQ(epoll_ctl(all, EPOLL_CTL_ADD, mine(dup(event)), &watched), 0);
  }
  read(all);
  for (uintptr_t i = 0; i < kMany; i++) {
    EXPECT_EQ(times(kWord + i), 1) << i;
  }
  read(event);
  EXPECT_EQ(times(kWord), 0);
}

TEST_F(KernelRoots, ATimersValueIsKept) {
  sigevent event = {};
  timer_t timer;
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  event.sigev_value.sival_ptr = reinterpret_cast<void *>(kWord);
  ASSERT_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  bool const is_told = access("/proc/self/timers", R_OK) == 0;
  read(0);
  EXPECT_EQ(times(kWord), is_told ? 1 : 0);
  EXPECT_EQ(timer_delete(timer), 0);
}

TEST_F(KernelRoots, TheStackForHandlersAndWhatWasHandedOverAreKept) {
  static char memory[64 * 1024];
  stack_t stack = {};
  stack_t before;
  stack.ss_sp = memory;
  stack.ss_size = sizeof memory;
  ASSERT_EQ(sigaltstack(&stack, &before), 0);
  world.handed_over = kWord;
  read(0);
  EXPECT_EQ(times(reinterpret_cast<uintptr_t>(memory)), 1);
  EXPECT_EQ(times(kWord), 1);
  ASSERT_EQ(sigaltstack(&before, nullptr), 0);
}

} // namespace
} // namespace ringfence_test
