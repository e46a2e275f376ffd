// Pages where the system refuses a call once, or is asked for more than it need be: what is closed stays closed, and
// what is a block's is open.
#include "tests/checkers/page_store_fixture.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <vector>

namespace {

constexpr int kInstall = 102; // MADV_GUARD_INSTALL

enum Which { kMap, kProtect, kAdvise };

struct Call {
  Which which;
  uintptr_t start;
  size_t size;
  int how; // rights, or the advice
};

struct {
  bool recorded;
  std::vector<Call> calls;
  unsigned times[3]; // that each is refused
  int why;
  unsigned asked; // for handlers
} system_;

bool refuses(Which which, const void *start, size_t size, int how) {
  if (system_.recorded) {
    system_.calls.push_back({which, reinterpret_cast<uintptr_t>(start), size, how});
  }
  if (system_.times[which] == 0) {
    return false;
  }
  system_.times[which]--;
  errno = system_.why;
  return true;
}

} // namespace

// The linker puts these in front of the C library's.
extern "C" {
void *__real_mmap(void *start, size_t size, int rights, int flags, int file, off_t offset);
void *__wrap_mmap(void *start, size_t size, int rights, int flags, int file, off_t offset);
int __real_mprotect(void *start, size_t size, int rights);
int __wrap_mprotect(void *start, size_t size, int rights);
int __real_madvise(void *start, size_t size, int advice);
int __wrap_madvise(void *start, size_t size, int advice);
int __real_sigaction(int number, const struct sigaction *action, struct sigaction *before);
int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *before);

void *__wrap_mmap(void *start, size_t size, int rights, int flags, int file, off_t offset) {
  return (flags & MAP_FIXED) != 0 && refuses(kMap, start, size, rights)
             ? MAP_FAILED
             : __real_mmap(start, size, rights, flags, file, offset);
}

int __wrap_mprotect(void *start, size_t size, int rights) {
  return refuses(kProtect, start, size, rights) ? -1 : __real_mprotect(start, size, rights);
}

int __wrap_madvise(void *start, size_t size, int advice) {
  return refuses(kAdvise, start, size, advice) ? -1 : __real_madvise(start, size, advice);
}

int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *before) {
  system_.asked++;
  return __real_sigaction(number, action, before);
}
}

namespace ringfence {
namespace {

class PageSystem : public PageStore {
protected:
  void SetUp() override { page_ = bytes(rf_page_records(page_size())); }
  void TearDown() override {
    system_ = {};
    rf_page_release(page_, page_size());
  }

  unsigned char *page_;
};

TEST_F(PageSystem, APageIsClosedAndEmptyWhereNoMappingIsLeft) {
  page_[7] = 1;
  system_.times[kMap] = 1;
  system_.why = ENOMEM;
  rf_page_close(page_, page_size());
  EXPECT_EQ(system_.times[kMap], 0U);
  EXPECT_FALSE(rf_host_readable(page_, 1));
  ASSERT_TRUE(rf_page_open(page_, page_size()));
  EXPECT_EQ(page_[7], 0);
}

TEST_F(PageSystem, APageIsShutWhereItsRightsCannotBeTaken) {
  system_.times[kProtect] = 1;
  system_.why = ENOMEM;
  rf_page_shut(page_, page_size());
  EXPECT_EQ(system_.times[kProtect], 0U);
  EXPECT_FALSE(rf_host_readable(page_, 1));
}

TEST_F(PageSystem, MarkersAreAskedForAgainWhereASignalComes) {
  if (!rf_page_has_marks()) {
    GTEST_SKIP() << "this kernel has no markers";
  }
  system_.times[kAdvise] = 3;
  system_.why = EINTR;
  EXPECT_TRUE(rf_page_mark(page_, page_size()));
  EXPECT_FALSE(rf_host_readable(page_, 1));
  system_.times[kAdvise] = 3;
  EXPECT_TRUE(rf_page_unmark(page_, page_size()));
  EXPECT_TRUE(rf_host_readable(page_, 1));
}

// At no moment another thread may touch them.
TEST_F(PageSystem, PagesAreMarkedBeforeTheyAreOpened) {
  open();
  system_.recorded = true;
  (void)alloc(100);
  system_.recorded = false;
  if (!store_->spaces->marks) {
    GTEST_SKIP() << "access rights close the pages";
  }
  size_t opened = 0;
  for (size_t i = 0; i < system_.calls.size(); i++) {
    Call const &call = system_.calls[i];
    if (call.which == kProtect && (call.how & PROT_READ) != 0) {
      opened++;
      EXPECT_TRUE(std::any_of(
          system_.calls.begin(), system_.calls.begin() + static_cast<ptrdiff_t>(i), [&call](Call const &before) {
            return before.which == kAdvise && before.how == kInstall && before.start <= call.start &&
                   before.start + before.size >= call.start + call.size;
          }));
    }
  }
  EXPECT_EQ(opened, 1U);
}

// Where pages cannot be made ready for markers, rights close them: no marker stays.
TEST_F(PageSystem, BlocksAreServedWhereThePagesCannotBeMadeReady) {
  open();
  system_.times[kProtect] = 1;
  system_.why = ENOMEM;
  unsigned char *const first = alloc(100);
  unsigned char *const second = alloc(page_size() + 1);
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_TRUE(rf_host_readable(first, 100));
  EXPECT_TRUE(rf_host_readable(second, page_size() + 1));
  EXPECT_FALSE(rf_host_readable(second + 2 * page_size(), 1));
  EXPECT_EQ(free(first), RF_OK);
  EXPECT_FALSE(rf_host_readable(first, 1));
}

// More often than there may be mappings.
TEST_F(PageSystem, APageThatCannotBeOpenedTakesNoMapping) {
  options_.shows_pages = true;
  open();
  for (unsigned i = 0; i < 1100; i++) {
    system_.times[kProtect] = 1;
    system_.why = ENOMEM;
    ASSERT_EQ(alloc(100), nullptr);
  }
  EXPECT_NE(alloc(100), nullptr);
}

TEST_F(PageSystem, HandlersAreLookedForNowAndThen) {
  unsigned const times = 6400;
  open();
  rf_page_watch(true);
  system_.asked = 0;
  for (unsigned i = 0; i < times; i++) {
    rf_page_watch(true);
  }
  EXPECT_GE(system_.asked, times / 100);
  EXPECT_LE(system_.asked, times / 10);
}

} // namespace
} // namespace ringfence
