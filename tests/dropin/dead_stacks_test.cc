// Stacks of ended threads, as the search for leaks asks for them: which are told, and of which part. Real threads of
// the C library's, one at each moment of its life.
extern "C" {
#include "checkers/dropin/runtime/dead_stacks.h"
}

#include "tests/dropin/alone.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <gtest/gtest.h>
#include <link.h>
#include <memory>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <thread>
#include <ucontext.h>
#include <unistd.h>
#include <utility>
#include <vector>

#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__i386__))

namespace {

using ringfence_test::alone;

constexpr size_t kStack = size_t{1} << 20;
constexpr uintptr_t kPage = 4096;
constexpr uintptr_t kHead = 4 * sizeof(void *); // of a descriptor, which the C library still needs

using Ranges = std::vector<std::pair<uintptr_t, uintptr_t>>;

uint32_t own_id() {
  return static_cast<uint32_t>(syscall(SYS_gettid));
}

Ranges dead_stacks() {
  Ranges found;
  auto const visit = [](uintptr_t start, uintptr_t end, void *context) {
    static_cast<Ranges *>(context)->emplace_back(start, end);
    return true;
  };
  EXPECT_TRUE(rf_dead_stacks_each(visit, &found));
  return found;
}

// A thread that does as it is told, on a stack that the C library makes.
class Thread {
public:
  explicit Thread(bool notes, size_t stack = kStack) : notes_(notes) {
    pthread_attr_t attributes;
    EXPECT_EQ(pthread_attr_init(&attributes), 0);
    EXPECT_EQ(pthread_attr_setstacksize(&attributes, stack), 0);
    EXPECT_EQ(pthread_barrier_init(&met_, nullptr, 2), 0);
    EXPECT_EQ(pthread_create(&thread_, &attributes, body, this), 0);
    (void)pthread_barrier_wait(&met_);
    EXPECT_EQ(pthread_attr_destroy(&attributes), 0);
  }

  // Returns when the system has no such thread any more.
  void end() {
    (void)pthread_barrier_wait(&met_);
    while (syscall(SYS_tgkill, getpid(), id_, 0) == 0 || errno != ESRCH) {
      (void)sched_yield();
    }
  }
  void join() { EXPECT_EQ(pthread_join(thread_, nullptr), 0); }
  void detach() { EXPECT_EQ(pthread_detach(thread_), 0); }

  uintptr_t descriptor() const { return static_cast<uintptr_t>(thread_); }
  uintptr_t bottom() const { return bottom_; } // without the closed page
  uintptr_t top() const { return bottom_ + size_; }

private:
  static void *body(void *self) {
    auto *const t = static_cast<Thread *>(self);
    pthread_attr_t attributes;
    void *bottom = nullptr;
    EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
    EXPECT_EQ(pthread_attr_getstack(&attributes, &bottom, &t->size_), 0);
    (void)pthread_attr_destroy(&attributes);
    t->bottom_ = reinterpret_cast<uintptr_t>(bottom);
    t->id_ = own_id();
    (void)pthread_barrier_wait(&t->met_);
    (void)pthread_barrier_wait(&t->met_);
    if (t->notes_) {
      EXPECT_EQ(rf_dead_stacks_note(t->id_), t->bottom_);
    }
    return nullptr;
  }

  bool const notes_;
  pthread_barrier_t met_;
  pthread_t thread_ = {};
  uint32_t id_ = 0;
  uintptr_t bottom_ = 0;
  size_t size_ = 0;
};

uintptr_t start_on_another_stack;

void note_on_another_stack() {
  start_on_another_stack = rf_dead_stacks_note(own_id());
}

// The first thread's stack is of the kernel's making, and a coroutine's of the program's.
TEST(DropinDeadStacks, HaveAStartThatIsKnownOnlyOnTheThreadsOwn) {
  alone([] {
    EXPECT_EQ(rf_dead_stacks_note(own_id()), 0U);
    std::thread([] {
      static char room[1 << 16];
      ucontext_t here;
      ucontext_t there;
      ASSERT_EQ(getcontext(&there), 0);
      there.uc_stack.ss_sp = room;
      there.uc_stack.ss_size = sizeof room;
      there.uc_link = &here;
      start_on_another_stack = 1;
      makecontext(&there, note_on_another_stack, 0);
      ASSERT_EQ(swapcontext(&here, &there), 0);
      EXPECT_EQ(start_on_another_stack, 0U);
    }).join();
  });
}

// Up to its descriptor while another thread may ask for its result, and the rest once nobody can.
TEST(DropinDeadStacks, AreToldInTwoParts) {
  alone([] {
    Thread thread(true);
    EXPECT_EQ(dead_stacks(), Ranges());
    thread.end();
    Ranges expected = {{thread.bottom(), thread.descriptor()}};
    EXPECT_EQ(dead_stacks(), expected);
    thread.join();
    expected.emplace_back(thread.descriptor() + kHead, thread.top());
    EXPECT_EQ(dead_stacks(), expected);
  });
}

TEST(DropinDeadStacks, OfDetachedThreadsAreToldAsAWhole) {
  alone([] {
    Thread thread(true);
    thread.detach();
    thread.end();
    Ranges const expected = {{thread.bottom(), thread.descriptor()}, {thread.descriptor() + kHead, thread.top()}};
    EXPECT_EQ(dead_stacks(), expected);
  });
}

// Some systems put stacks of 2 or 8 MiB at multiples of 2 MiB, so that these are the rule.
TEST(DropinDeadStacks, AreAllToldHoweverFarApartTheyLie) {
  alone([] {
    constexpr size_t kCount = 6;
    constexpr size_t kApart = size_t{4} << 20;
    std::vector<std::unique_ptr<Thread>> threads;
    std::vector<uintptr_t> expected;
    while (threads.size() < kCount) {
      threads.push_back(std::make_unique<Thread>(true, kApart - kPage)); // with the closed page below it
      expected.push_back(threads.back()->bottom());
    }
    EXPECT_EQ((expected[kCount - 2] - expected[kCount - 1]) % kApart, 0U) << "the first may fill a gap";
    for (auto const &thread : threads) {
      thread->end();
    }
    std::sort(expected.begin(), expected.end());
    for (int round = 0; round < 2; round++) {
      std::vector<uintptr_t> found;
      for (auto const &[start, end] : dead_stacks()) {
        found.push_back(start);
      }
      std::sort(found.begin(), found.end());
      EXPECT_EQ(found, expected);
      for (auto const &thread : threads) { // each has the place that it had
        rf_dead_stacks_look(thread->top() - 4 * kPage, thread->top(), own_id());
      }
    }
    for (auto const &thread : threads) {
      thread->join();
    }
  });
}

TEST(DropinDeadStacks, OfThreadsThatNeverCalledTheHeapAreFoundByTheirPlace) {
  alone([] {
    Thread thread(false);
    thread.end();
    EXPECT_EQ(dead_stacks(), Ranges());
    rf_dead_stacks_look(thread.top() - 3 * kPage, thread.top(), own_id()); // too small for a stack
    EXPECT_EQ(dead_stacks(), Ranges());
    rf_dead_stacks_look(thread.bottom(), thread.top(), 0); // the caller has no number
    EXPECT_EQ(dead_stacks(), Ranges());
    rf_dead_stacks_look(thread.top() - 4 * kPage, thread.top(), own_id());
    EXPECT_EQ(dead_stacks(), (Ranges{{thread.bottom(), thread.descriptor()}}));
    thread.join();
  });
}

#if __GLIBC_PREREQ(2, 34)
// Whatever their ends in the memory map: those that nobody has joined, those that wait for the next thread, and
// neither those of threads that run nor those of the program's making.
TEST(DropinDeadStacks, OfThreadsThatNeverCalledTheHeapAreListed) {
  alone([] {
    Thread running(false);
    Thread ended(false);
    Thread joined(false);
    Thread below(false);
    ended.end();
    joined.end();
    joined.join();
    rf_dead_stacks_list(0); // the caller has no number
    rf_dead_stacks_list(1); // not the caller's number
    EXPECT_EQ(dead_stacks(), Ranges());
    rf_dead_stacks_list(own_id());
    Ranges found = dead_stacks();
    Ranges expected = {{ended.bottom(), ended.descriptor()},
                       {joined.bottom(), joined.descriptor()},
                       {joined.descriptor() + kHead, joined.top()}};
    std::sort(found.begin(), found.end());
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(found, expected);
  });
}

// A thread on a stack of the program's making is in another list than its caller, and finds the same.
TEST(DropinDeadStacks, AreListedOfWhateverThreadAsks) {
  alone([] {
    Thread joined(false);
    joined.end();
    joined.join();
    pthread_attr_t attributes;
    void *const stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(stack, MAP_FAILED);
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    ASSERT_EQ(pthread_attr_setstack(&attributes, stack, kStack), 0);
    auto const look = [](void *) -> void * {
      rf_dead_stacks_list(own_id());
      return nullptr;
    };
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, &attributes, look, nullptr), 0);
    ASSERT_EQ(pthread_join(thread, nullptr), 0);
    ASSERT_EQ(pthread_attr_destroy(&attributes), 0);
    EXPECT_EQ(dead_stacks().size(), 2U);
  });
}
#endif

thread_local int own_storage __attribute__((tls_model("initial-exec")));

TEST(DropinDeadStacks, StacksOfRunningThreadsBeginAboveTheirClosedPage) {
  alone([] {
    auto const callers = reinterpret_cast<uintptr_t>(&own_storage);
    EXPECT_EQ(rf_stack_start(callers, callers), 0U); // the first thread's is of the kernel's making
    Thread thread(false);
    uintptr_t const own = thread.descriptor() - (static_cast<uintptr_t>(pthread_self()) - callers);
    EXPECT_EQ(rf_stack_start(own, callers), thread.bottom());
    EXPECT_EQ(rf_stack_start(own + 8, callers), 0U);
    EXPECT_EQ(rf_stack_start(8, callers), 0U);
  });
}

TEST(DropinDeadStacks, AStackThatAnotherThreadHasIsNotDead) {
  alone([] {
    Thread first(true);
    first.end();
    first.join();
    EXPECT_EQ(dead_stacks().size(), 2U);
    Thread second(true); // the C library gives it the stack that is there
    ASSERT_EQ(second.descriptor(), first.descriptor());
    EXPECT_EQ(dead_stacks(), Ranges());
    second.end();
    EXPECT_EQ(dead_stacks().size(), 1U); // one place for both
    second.join();
    EXPECT_EQ(dead_stacks().size(), 2U);
  });
}

TEST(DropinDeadStacks, AllAreToldThoughOneVisitFails) {
  alone([] {
    Thread threads[] = {Thread(true), Thread(true)};
    unsigned visits = 0;
    for (Thread &thread : threads) {
      thread.end();
    }
    auto const fail_at_first = [](uintptr_t, uintptr_t, void *count) { return ++*static_cast<unsigned *>(count) != 1; };
    EXPECT_FALSE(rf_dead_stacks_each(fail_at_first, &visits));
    EXPECT_EQ(visits, 2U);
  });
}

// ---- What a descriptor looks like ----

constexpr size_t kWords = sizeof(void *) == 8 ? 224 : 288; // of a descriptor that are read
constexpr size_t kBelowId = 24;                            // words before the thread's number, at least

// Memory that looks like the stack of an ended thread, up to one condition.
class FakeStack {
public:
  // `size` bytes, of which the stack has `of_stack`: its descriptor takes the last `at_top`.
  FakeStack(size_t size, size_t of_stack, size_t bounds = kWords - 3, size_t at_top = 2304) : bounds_(bounds) {
    void *const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(memory, MAP_FAILED);
    start_ = reinterpret_cast<uintptr_t>(memory);
    end_ = start_ + size;
    descriptor_ = start_ + of_stack - at_top;
    word(0) = descriptor_;
    word(2) = descriptor_;
    bound(0) = start_;
    bound(1) = of_stack;
    bound(2) = kPage;
    auto const *const own = reinterpret_cast<const char *>(pthread_self());
    uint32_t id = 0;
    for (id_ = kBelowId * sizeof(void *); id != own_id(); id_ += sizeof id) {
      memcpy(&id, own + id_, sizeof id);
    }
    id_ -= sizeof id;
  }

  void look() const { rf_dead_stacks_look(start_, end_, own_id()); }
  uintptr_t &word(size_t n) const { return reinterpret_cast<uintptr_t *>(descriptor_)[n]; }
  uintptr_t &bound(size_t n) const { return word(bounds_ + n); }
  void set_at(size_t offset, uint32_t number) const {
    memcpy(reinterpret_cast<char *>(descriptor_) + offset, &number, sizeof number);
  }
  size_t id() const { return id_; }
  uintptr_t descriptor() const { return descriptor_; }
  Ranges lower() const { return {{start_ + kPage, descriptor_}}; }

private:
  size_t bounds_;
  size_t id_ = 0;
  uintptr_t start_ = 0;
  uintptr_t end_ = 0;
  uintptr_t descriptor_ = 0;
};

TEST(DropinDeadStacks, AreThoseWhoseDescriptorIsWhole) {
  const std::pair<const char *, void (*)(const FakeStack &)> kCases[] = {
      {"another address", [](const FakeStack &s) { s.word(0)++; }},
      {"another third word", [](const FakeStack &s) { s.word(2)--; }},
      {"an odd start", [](const FakeStack &s) { s.bound(0) += 8; }},
      {"an odd size", [](const FakeStack &s) { s.bound(1) += 8; }},
      {"an odd guard", [](const FakeStack &s) { s.bound(2) += 8; }},
      {"no guard", [](const FakeStack &s) { s.bound(2) = 0; }},
      {"nothing but a guard", [](const FakeStack &s) { s.bound(2) = s.bound(1); }},
      {"above the descriptor", [](const FakeStack &s) { s.bound(0) += s.bound(1); }},
      {"below the descriptor", [](const FakeStack &s) { s.bound(1) -= kPage; }},
      {"far above the descriptor", [](const FakeStack &s) { s.bound(1) += 0x4000; }},
      {"a thread", [](const FakeStack &s) { s.set_at(s.id(), 4711); }},
      {"being made", [](const FakeStack &s) { s.set_at(s.id() + 0x20, UINT32_MAX); }},
      {"being made, too", [](const FakeStack &s) { s.set_at((kWords - 3) * sizeof(void *) - 4, UINT32_MAX); }},
  };
  for (auto const &[what, damage] : kCases) {
    alone([&, spoil = damage, name = what] {
      FakeStack const stack(16 * kPage, 16 * kPage);
      stack.look();
      EXPECT_EQ(dead_stacks(), stack.lower());
      spoil(stack);
      EXPECT_EQ(dead_stacks(), Ranges()) << name;
    });
  }
}

// The result of a thread is nobody's once the flags behind the head of its robust mutexes say that it exited and that
// its stack was given back.
TEST(DropinDeadStacks, DescriptorsGoWithTheirStackOnceFlagsSaySo) {
  struct Case {
    intptr_t distance; // from a robust mutex's link to its futex
    size_t behind;     // words from it to the flags
    uintptr_t flags;
    size_t ranges;
  };
  constexpr Case kCases[] = {
      {-0x20, 4, 0x30, 2}, {-0x14, 4, 0x30, 2}, {-0xFF, 4, 0x7F, 2}, {-1, 4, 0x30, 2},
      {-0x20, 4, 0x10, 1}, {-0x20, 4, 0x20, 1}, {-0x20, 4, 0, 1},    {-0x20, 3, 0x30, 1},
      {-0x20, 5, 0x30, 1}, {0x20, 4, 0x30, 1},  {0, 4, 0x30, 1},     {-0x100, 4, 0x30, 1},
  };
  for (Case const &c : kCases) {
    for (uint32_t const id : {uint32_t{0}, UINT32_MAX}) {
      alone([&] {
        FakeStack const stack(16 * kPage, 16 * kPage);
        size_t const distance = stack.id() / sizeof(void *) + 3;
        stack.set_at(stack.id(), id);
        stack.word(distance) = static_cast<uintptr_t>(c.distance);
        stack.word(distance + c.behind) = c.flags;
        stack.look();
        EXPECT_EQ(dead_stacks().size(), c.ranges) << c.distance << ' ' << c.behind << ' ' << c.flags << ' ' << id;
      });
    }
  }
}

TEST(DropinDeadStacks, DescriptorsAreAlignedAndHaveBounds) {
  alone([] {
    FakeStack const beyond(16 * kPage, 16 * kPage, kWords - 2);
    beyond.look();
    EXPECT_EQ(dead_stacks(), Ranges());
    FakeStack const odd(16 * kPage, 16 * kPage + 32);
    odd.look();
    EXPECT_EQ(dead_stacks(), Ranges());
  });
}

TEST(DropinDeadStacks, DescriptorsMayEndWithTheirStack) {
  alone([] {
    FakeStack const stack(16 * kPage, 16 * kPage, kWords - 3, kWords * sizeof(void *));
    stack.look();
    EXPECT_EQ(dead_stacks(), stack.lower());
  });
}

// If the system has put something else right above the stack, it is found by its usual size.
TEST(DropinDeadStacks, OfTheUsualSizeAreFoundBelowOtherMemory) {
  for (rlim_t const limit : {rlim_t{64} << 10, RLIM_INFINITY}) {
    alone([limit] {
      rlimit now;
      ASSERT_EQ(getrlimit(RLIMIT_STACK, &now), 0);
      now.rlim_cur = limit;
      if (now.rlim_max == RLIM_INFINITY || limit < now.rlim_max) {
        ASSERT_EQ(setrlimit(RLIMIT_STACK, &now), 0);
        size_t const usual = limit == RLIM_INFINITY ? size_t{2} << 20 : size_t{64} << 10;
        FakeStack const stack(2 * usual, usual);
        stack.look();
        EXPECT_EQ(dead_stacks(), stack.lower());
        FakeStack const other(2 * usual, usual + 2 * kPage);
        other.look();
        EXPECT_EQ(dead_stacks(), stack.lower());
      }
    });
  }
}

// ---- Copies ----

// The words of this program's data that hold `word`.
struct Search {
  uintptr_t inverted;
  unsigned found;
};

int look_for(dl_phdr_info *info, size_t, void *context) {
  auto *const search = static_cast<Search *>(context);
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) &part = info->dlpi_phdr[i];
    if (part.p_type == PT_LOAD && (part.p_flags & PF_W) != 0) {
      auto const start = (info->dlpi_addr + part.p_vaddr + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
      auto const *word = reinterpret_cast<const volatile uintptr_t *>(start);
      for (size_t left = part.p_memsz / sizeof *word - 1; left != 0; left--, word++) {
        search->found += ~*word == search->inverted ? 1 : 0;
      }
    }
  }
  return 1; // the program is the first
}

// In a program that links it, the drop-in's data is the program's: a copy would keep what only a dead stack points to.
TEST(DropinDeadStacks, AreNotCopiedForGood) {
  alone([] {
    size_t const size = 16 * kPage;
    void *const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto const start = reinterpret_cast<uintptr_t>(memory);
    Search search = {~start, 0};
    for (uintptr_t at = start; at < start + size; at += sizeof at) {
      *reinterpret_cast<uintptr_t *>(at) = start;
    }
    rf_dead_stacks_look(start, start + size, own_id());
    (void)dl_iterate_phdr(look_for, &search);
    EXPECT_EQ(search.found, 0U);
  });
}

} // namespace

#endif
