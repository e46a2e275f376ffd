// A page checker over an allocator, with a reporter that records.
#ifndef RINGFENCE_TESTS_CHECKERS_PAGE_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_PAGE_FIXTURE_H

#include "tests/checkers/heaps.h"

#include <ringfence/page.h>

#include <unistd.h>

#include "checkers/page/page_store.h"

#if RF_TEST_NO_MARKS
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#endif

#include <array>
#include <vector>

// Whether guard markers close pages. RF_TEST_NO_MARKS has the kernel refuse them, as kernels before 6.13 do.
extern "C" bool rf_page_has_marks(void);

namespace ringfence {

#if RF_TEST_NO_MARKS
inline bool refuse_marks() {
  constexpr unsigned kGuardInstall = 102;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kGuardInstall, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog const program = {sizeof code / sizeof code[0], code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0 ||
      rf_page_has_marks()) {
    std::abort();
  }
  return true;
}

// Before main.
inline bool const marks_refused = refuse_marks();
#endif

inline unsigned char *bytes(void *p) {
  return static_cast<unsigned char *>(p);
}

// Volatile accesses cannot be left out or moved, and the handler of its fault changes what tests look at
// next.
inline unsigned char peek(const volatile unsigned char *p) {
  unsigned char const value = *p;
  asm volatile("" : : : "memory");
  return value;
}

inline void poke(volatile unsigned char *p, unsigned char value) {
  *p = value;
  asm volatile("" : : : "memory");
}

inline size_t page_size() {
  return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// How far behind the start of its page.
inline size_t past_page(const void *p) {
  return reinterpret_cast<uintptr_t>(p) % page_size();
}

// As Recorder, for findings that are made in a signal handler: nothing is allocated.
class FaultRecorder {
public:
  FaultRecorder() = default;
  FaultRecorder(const FaultRecorder &) = delete;
  FaultRecorder &operator=(const FaultRecorder &) = delete;

  rf_reporter *reporter() { return &reporter_; }
  size_t count() const { return count_; }

  // The findings since the last call.
  std::vector<rf_finding> take() {
    std::vector<rf_finding> const taken(findings_.begin(), findings_.begin() + static_cast<ptrdiff_t>(count_));
    count_ = 0;
    return taken;
  }

private:
  static rf_action record(rf_reporter *self, const rf_finding *finding) {
    auto *const recorder = static_cast<FaultRecorder *>(self->context);
    if (recorder->count_ < recorder->findings_.size()) {
      recorder->findings_[recorder->count_++] = *finding;
    }
    return RF_ACTION_CONTINUE;
  }

  std::array<rf_finding, 32> findings_;
  size_t count_ = 0;
  rf_reporter reporter_ = {record, this, 1, 0};
};

class PageTest : public testing::Test {
protected:
  PageTest() : arena_(kArenaSize), heap_(arena_.data(), arena_.size()) {
    rf_page_options_default(&options_);
    start();
  }

  ~PageTest() override {
    end();
    EXPECT_EQ(recorder_.count(), 0U) << "findings that no test took";
  }

  // Starts anew with options_.
  void start() {
    end();
    options_.reporter = recorder_.reporter();
    ASSERT_EQ(rf_page_init(&page_, heap_.allocator(), &options_), RF_OK);
    made_ = true;
  }

  void start(rf_page_side side) {
    options_.side = side;
    start();
  }

  void end() {
    if (made_) {
      page_.base.ops->deinit(&page_.base);
      made_ = false;
    }
  }

  rf_allocator *a() { return &page_.base; }

  rf_finding take_one() {
    std::vector<rf_finding> const found = recorder_.take();
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? rf_finding{} : found.front();
  }

  static void expect_block(const rf_finding &f, rf_bug bug, const void *block, size_t size, ptrdiff_t offset) {
    EXPECT_STREQ(rf_bug_name(f.bug), rf_bug_name(bug));
    EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(block));
    EXPECT_EQ(f.size, size);
    EXPECT_EQ(f.offset, offset);
    EXPECT_EQ(f.address, f.block + static_cast<uintptr_t>(offset));
    EXPECT_STREQ(f.mode, "page");
  }

  static constexpr size_t kArenaSize = size_t{4} << 20;

  std::vector<unsigned char> arena_;
  TlsfHeap heap_;
  FaultRecorder recorder_;
  rf_page page_ = {};
  rf_page_options options_ = {};
  bool made_ = false;
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_PAGE_FIXTURE_H
