// A page store whose memory is moved from freed blocks to the next ones, where the kernel moves pages.
#ifndef RINGFENCE_TESTS_CHECKERS_PAGE_MOVE_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_PAGE_MOVE_FIXTURE_H

#include "tests/checkers/child_status.h"
#include "tests/checkers/page_fixture.h"

#include <cstring>
#include <functional>
#include <vector>

extern "C" {
#include "checkers/page/page_impl.h"
}

namespace ringfence {

// In a process of its own, since there is no way back.
inline void alone(const std::function<void()> &body) {
  EXPECT_EQ(status_of([&] {
              body();
              return !testing::Test::HasFailure();
            }),
            0);
}

class PageMove : public testing::Test {
protected:
  void SetUp() override {
    open();
    if (!rf_page_mover_works()) {
      GTEST_SKIP() << "this kernel moves no pages, or lets nobody ask for it";
    }
  }

  ~PageMove() override {
    if (store_ != nullptr) {
      rf_page_store_close(store_);
    }
    EXPECT_EQ(recorder_.count(), 0U) << "findings that no test took";
  }

  void open() {
    rf_page_store_options options = {};
    options.allocator = "store";
    options.mode = "page";
    options.reporter = recorder_.reporter();
    options.side = RF_PAGE_RIGHT;
    options.quarantine = size_t{256} << 20;
    options.fill_alloc = 4096;
    options.fallback = "blocks are under guard";
    options.moves_pages = true;
    store_ = rf_page_store_open(&options);
    ASSERT_NE(store_, nullptr);
    rf_page_fork_register();
  }

  unsigned char *alloc(size_t size, bool zeroed = false) {
    rf_page_request const request = {size, 1, 0, nullptr, RF_FAMILY_MALLOC, zeroed, nullptr};
    return bytes(rf_page_store_alloc(store_, &request, &origin_));
  }

  rf_status free(void *p) {
    rf_page_block freed;
    return rf_page_store_free(store_, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin_, &freed);
  }

  // The bug that a touch is reported as; RF_BUG_COUNT: none.
  rf_bug touch(const unsigned char *p) {
    (void)peek(p);
    std::vector<rf_finding> const found = recorder_.take();
    EXPECT_LE(found.size(), 1U);
    return found.empty() ? RF_BUG_COUNT : found.front().bug;
  }

  bool is_moving() const {
    for (const rf_space *s = store_->spaces; s != nullptr; s = s->next) {
      if (s->moving) {
        return true;
      }
    }
    return false;
  }

  // Live blocks may be touched, freed ones and what is beside either may not; new ones come and go.
  bool stands(unsigned char *live, unsigned char *freed) {
    bool const whole = live[0] == 1 && touch(live) == RF_BUG_COUNT && touch(live + 100) == RF_BUG_BUFFER_OVERFLOW &&
                       touch(freed) == RF_BUG_USE_AFTER_FREE;
    unsigned char *const next = alloc(50);
    bool const served = next != nullptr && next[0] == RF_PATTERN_NEW && next[49] == RF_PATTERN_NEW;
    return whole && served && free(next) == RF_OK && touch(next) == RF_BUG_USE_AFTER_FREE;
  }

  // As long as the list of runs that are ready.
  bool ready_is_counted() const {
    unsigned count = 0;
    for (const rf_slot *s = store_->ready; s != nullptr; s = s->next) {
      count++;
    }
    return count == store_->ready_count;
  }

  unsigned char *live() {
    unsigned char *const p = alloc(100);
    memset(p, 1, 100);
    return p;
  }

  unsigned char *freed() {
    unsigned char *const p = alloc(100);
    EXPECT_EQ(free(p), RF_OK);
    return p;
  }

  FaultRecorder recorder_;
  rf_page_store *store_ = nullptr;
  rf_origin origin_ = {};
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_PAGE_MOVE_FIXTURE_H
