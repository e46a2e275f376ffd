// Fakes for the tests of checkers/dropin/malloc/guarded_blocks.c: its clock, store, policy and table of sites. Each
// test runs in a process of its own.
#ifndef RINGFENCE_TESTS_DROPIN_GUARDED_BLOCKS_WORLD_H
#define RINGFENCE_TESTS_DROPIN_GUARDED_BLOCKS_WORLD_H

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/heap.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/page_time.h"
#include "checkers/dropin/malloc/steer.h"
#include "checkers/dropin/malloc/watched_sites.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/caller.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/site_choice.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/tag_fault.h"
#include "checkers/dropin/runtime/thread.h"
}
#undef _Static_assert

#include <gtest/gtest.h>

#include <climits>
#include <functional>
#include <map>
#include <string>
#include <sys/resource.h>
#include <utility>
#include <vector>

namespace ringfence_test {

constexpr uint64_t kMicrosecond = 1000;
constexpr uint32_t kEveryUs = 2500;
constexpr unsigned kSaved = 4; // looks that a thread may take at once: 7500 us were saved, and the present moment
constexpr uint32_t kSecret = 0x1234;
constexpr uint32_t kKey = 4711;
constexpr uintptr_t kCaller = 0xCA11;
constexpr rf_origin kOrigin = {nullptr, kCaller, nullptr};

using Looks = std::vector<std::pair<uint32_t, uint32_t>>;

struct World {
  rlim_t space = RLIM_INFINITY;
  uint64_t now = 1000 * 1000 * kMicrosecond;

  // Steering.
  bool paces = false;
  rf_steer_turn turn = RF_STEER_DUE;
  int32_t stretch = INT32_MAX; // the longest
  uint32_t raise = 1;
  std::function<void()> in_look;
  unsigned looks = 0;
  unsigned ticks = 0;

  // Sites.
  bool sites_limited = false;
  bool may_be_watched = true;
  bool is_new = true; // the path, to those that were watched
  bool wanted = true; // by the table of sites
  std::vector<std::pair<uint32_t, uintptr_t>> asked_may;
  Looks asked_wants;
  unsigned added = 0;
  unsigned inherits = 0;
  std::string folder;
  unsigned unwound = 0;

  // The share of the processor time.
  bool time_limited = false;
  bool time_left = true;
  unsigned percent = 0;
  uint64_t entered = 0;
  std::vector<uint64_t> left;
  unsigned time_forks = 0;

  // The store.
  bool has_store = true;
  rf_page_store_options options = {};
  unsigned opened = 0;
  unsigned reserved = 0;
  std::map<const void *, rf_page_block> blocks;
  void *next = nullptr; // block of the next request; NULL: there is no memory
  rf_page_request request = {};
  const rf_origin *origin = nullptr;
  rf_status freed = RF_OK;
  rf_status resized = RF_ERR_NO_MEMORY;
  bool ends_as_well = true;
  rf_family family = RF_FAMILY_MALLOC;
  size_t freed_size = 0;
  std::vector<std::string> calls; // to the store and for it, in order
  uint64_t budget = 0;
  size_t served = 0;
  unsigned watches = 0;
  unsigned tag_watches = 0;

  // The rest of the drop-in.
  std::vector<std::pair<uintptr_t, size_t>> signals_freed;
  std::vector<size_t> moved;
  rf_cache *cache = nullptr;
  unsigned enters = 0;
  std::vector<rf_cache *> leaves;
  unsigned ids = 0;
  unsigned sites_kept = 0;

  std::vector<std::string> take_calls() { return std::exchange(calls, {}); }
  Looks take_wants() { return std::exchange(asked_wants, {}); }
};

extern World world;
extern int the_reporter;
extern rf_stack_depot depot;
extern char bytes[4];

rf_page_store *store_of_test();

// Runs `test` in a process of which no store was opened yet, with an option of each kind.
void in_process(rf_mode mode, const std::function<void(rf_options &)> &test);

void begin();

// The same where the store is there and the rate is 1 of `rate`.
void begun(rf_mode mode, const std::function<void()> &test);

void become_new_thread();

// The way of an allocation.
bool allocates();

// One that is certainly looked at, whatever was drawn.
bool is_looked_at();

// The number of the first allocation, from 1 on, that a new thread has on pages.
unsigned first_of_new_thread();

unsigned looks_at_once();

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_GUARDED_BLOCKS_WORLD_H
