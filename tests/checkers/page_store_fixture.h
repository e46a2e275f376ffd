// A page store of few blocks, and what has to add up in it.
#ifndef RINGFENCE_TESTS_CHECKERS_PAGE_STORE_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_PAGE_STORE_FIXTURE_H

#include "tests/checkers/page_fixture.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <vector>

extern "C" {
#include "checkers/os/host.h"
#include "checkers/page/page_impl.h"
}

namespace ringfence {

class PageStore : public testing::Test {
protected:
  PageStore() {
    options_.allocator = "store";
    options_.mode = "page";
    options_.reporter = recorder_.reporter();
    options_.side = RF_PAGE_LEFT;
    options_.quarantine = 64 * page_size();
    options_.slots = 200;
    options_.largest = 40 * page_size();
    options_.fallback = "blocks are under guard";
  }

  ~PageStore() override { close(); }

  rf_page_store *open() {
    close();
    store_ = rf_page_store_open(&options_);
    EXPECT_NE(store_, nullptr);
    return store_;
  }

  void close() {
    if (store_ != nullptr) {
      rf_page_store_close(store_);
      store_ = nullptr;
    }
  }

  unsigned char *alloc(size_t size, void *backing = nullptr, size_t align = 1) {
    rf_page_request const request = {size, align, 0, nullptr, RF_FAMILY_MALLOC, false, backing};
    return bytes(rf_page_store_alloc(store_, &request, &origin_));
  }

  rf_status free(void *p) {
    rf_page_block freed;
    return rf_page_store_free(store_, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin_, &freed);
  }

  rf_page_figures figures() {
    rf_page_figures found;
    rf_page_store_figures(store_, &found);
    return found;
  }

  FaultRecorder recorder_;
  rf_page_store_options options_ = {};
  rf_page_store *store_ = nullptr;
  rf_origin origin_ = {};
};

struct Sums {
  size_t live = 0;
  size_t freed = 0;
  size_t open_pages = 0;
  size_t freed_pages = 0;
  size_t holes = 0;
};

// Every page of a space is in one run, no two holes are neighbours, and each page knows its block.
inline void check_space(const rf_space *space, Sums *sums) {
  uint32_t page = rf_page_gap(0);
  uint32_t slots = 0;
  const rf_slot *before = nullptr;
  std::vector<uint32_t> owner(space->pages, 0);
  for (const rf_slot *s = space->lowest; s != nullptr; before = s, s = s->after, slots++) {
    rf_slot_state const state = rf_slot_state_of(s);
    ASSERT_EQ(s->space, space);
    ASSERT_EQ(s->run, page) << "a run begins where the one before ends";
    ASSERT_EQ(s->before, before);
    ASSERT_GT(s->length, 0U);
    page += s->length;
    if (state == SLOT_HOLE) {
      EXPECT_FALSE(before != nullptr && rf_slot_state_of(before) == SLOT_HOLE) << "two holes at page " << s->run;
      sums->holes++;
      continue;
    }
    ASSERT_TRUE(state == SLOT_LIVE || state == SLOT_FREED);
    (state == SLOT_LIVE ? sums->live : sums->freed)++;
    sums->open_pages += state == SLOT_LIVE ? s->pages : 0;
    sums->freed_pages += state == SLOT_FREED ? s->length : 0;
    EXPECT_GE(s->first, s->run);
    EXPECT_LE(s->first + s->pages + rf_page_gap(s->pages), page) << "the gap is the block's own";
    std::fill_n(owner.begin() + s->first, std::max(s->pages, 1U), static_cast<uint32_t>(s - space->slots) + 1);
  }
  EXPECT_EQ(page, space->pages - rf_page_gap(0));
  for (const rf_slot *s = space->spare; s != nullptr; s = s->next, slots++) {
    EXPECT_EQ(rf_slot_state_of(s), SLOT_SPARE);
  }
  EXPECT_EQ(slots, space->used);
  EXPECT_TRUE(std::equal(owner.begin(), owner.end(), space->owner));
}

inline size_t count_listed_holes(const rf_page_store *store) {
  size_t count = 0;
  for (size_t kind = 0; kind < RF_PAGE_KINDS; kind++) {
    for (unsigned bin = 0; bin < RF_PAGE_BINS; bin++) {
      const rf_slot *previous = nullptr;
      for (const rf_slot *s = store->holes[kind][bin]; s != nullptr; previous = s, s = s->next, count++) {
        EXPECT_EQ(rf_slot_state_of(s), SLOT_HOLE);
        EXPECT_EQ(s->previous, previous);
        EXPECT_EQ(s->space->kind, kind);
        EXPECT_EQ(s->length >> bin, 1U) << "a hole of " << s->length << " pages in bin " << bin;
      }
    }
  }
  return count;
}

inline void check(rf_page_store *store) {
  Sums sums;
  size_t reserved = 0;
  for (const rf_space *space = store->spaces; space != nullptr; space = space->next) {
    check_space(space, &sums);
    reserved += space->pages * page_size();
    EXPECT_TRUE(rf_page_may_be(reinterpret_cast<void *>(space->start)));
    EXPECT_TRUE(rf_page_may_be(reinterpret_cast<void *>(space->start + space->pages * page_size() - 1)));
  }
  EXPECT_EQ(count_listed_holes(store), sums.holes);
  size_t queued = 0;
  const rf_slot *previous = nullptr;
  for (const rf_slot *s = store->oldest; s != nullptr; previous = s, s = s->next, queued++) {
    EXPECT_EQ(rf_slot_state_of(s), SLOT_FREED);
    EXPECT_EQ(s->previous, previous);
  }
  EXPECT_EQ(store->newest, previous);
  EXPECT_EQ(queued, sums.freed);
  rf_page_figures f;
  rf_page_store_figures(store, &f);
  EXPECT_EQ(store->taken, sums.live + sums.freed);
  EXPECT_EQ(f.open_bytes, sums.open_pages * page_size());
  EXPECT_EQ(f.closed_blocks, sums.freed);
  EXPECT_EQ(f.closed_bytes, sums.freed_pages * page_size());
  EXPECT_EQ(f.reserved_bytes, reserved);
  EXPECT_EQ(f.counters.blocks, sums.live);
}

// In a process of their own, where no other test was: mappings are counted by process, and ended stores kept.
inline void begin_anew() {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
}

[[noreturn]] inline void exit_with(bool well) {
  _exit(well ? 0 : 1);
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_PAGE_STORE_FIXTURE_H
