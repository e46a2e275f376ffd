// Stacks of ended threads, as the search for leaks asks for them: which are told, and of which part. Real threads of
// the C library's, one at each moment of its life.
extern "C" {
#include "checkers/dropin/runtime/dead_stacks.h"
}

#include "tests/dropin/alone.h"

#include <cerrno>
#include <csignal>
#include <gtest/gtest.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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
  explicit Thread(bool notes) : notes_(notes) {
    pthread_attr_t attributes;
    EXPECT_EQ(pthread_attr_init(&attributes), 0);
    EXPECT_EQ(pthread_attr_setstacksize(&attributes, kStack), 0);
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
      rf_dead_stacks_note(t->id_);
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

// Where the drop-in is linked in, its data is the program's, and a copy would keep what only a dead stack points to.
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
