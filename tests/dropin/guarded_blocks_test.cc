// The choice of blocks for pages of their own, and what becomes of them (checkers/dropin/malloc/guarded_blocks.c), with
// a clock, a store, a policy and a table of sites that are this test's own. Each test has a process of its own.
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

#include "checkers/os/forbidden_calls.h"

#include "tests/dropin/alone.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr uint64_t kMicrosecond = 1000;
constexpr uint32_t kEveryUs = 2500;
constexpr unsigned kSaved = 4; // looks that a thread may take at once: 7500 us were saved, and the present moment
constexpr uint32_t kSecret = 0x1234;
constexpr uint32_t kKey = 4711;
constexpr uintptr_t kCaller = 0xCA11;
constexpr rf_origin kOrigin = {nullptr, kCaller, nullptr};

using Looks = std::vector<std::pair<uint32_t, uint32_t>>;

struct World {
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

World world;
int the_store;
int the_reporter;
rf_stack_depot depot;
char bytes[4];

rf_page_store *store_of_test() {
  return reinterpret_cast<rf_page_store *>(&the_store);
}

} // namespace

extern "C" {

// ---- The process ----

rf_process_state rf_process;
rf_steering rf_steering_now;
RF_THREAD_LOCAL rf_thread rf_current_thread;
uint32_t rf_forbidden_calls;
rf_runtime rf_runtimes[RF_RUNTIMES];
extern const uintptr_t rf_page_debugger[] = {1};
extern const uintptr_t rf_heap_debugger[] = {1};
rf_stop_state rf_stop_now;

// The linker puts these in front of those of //checkers and //lib/port.
uint64_t __wrap_rf_port_now_ns(void);
uintptr_t __wrap_rf_host_secret(void);
void __wrap_rf_options_keep_sites(rf_stack_depot *of);

uint64_t __wrap_rf_port_now_ns() {
  return world.now;
}

uintptr_t __wrap_rf_host_secret() {
  return kSecret;
}

void __wrap_rf_options_keep_sites(rf_stack_depot *of) {
  world.sites_kept += of == &depot ? 1 : 0;
}

uint32_t rf_thread_id() {
  world.ids++;
  return 1;
}

rf_cache *rf_enter_slow() {
  world.enters++;
  return world.cache;
}

void rf_leave_slow(rf_cache *cache) {
  world.leaves.push_back(cache);
}

void rf_signals_freed(uintptr_t block, size_t size) {
  world.signals_freed.emplace_back(block, size);
}

void rf_pages_move(void * /*to*/, void * /*from*/, size_t size) {
  world.calls.emplace_back("move");
  world.moved.push_back(size);
}

void rf_tag_faults_watch() {
  world.tag_watches++;
}

const rf_origin *rf_caller_unwind(const rf_origin *origin, rf_caller_trace *called) {
  world.unwound++;
  called->origin = *origin;
  called->origin.caller++;
  return &called->origin;
}

// ---- Steering and sites ----

bool rf_steer_paces() {
  return world.paces;
}

rf_steer_turn rf_steer_look(int32_t *left) {
  world.looks++;
  if (world.in_look) {
    std::exchange(world.in_look, nullptr)();
  }
  if (world.turn == RF_STEER_WAIT) {
    *left = 99;
  }
  return world.turn;
}

void rf_steer_tick() {
  world.ticks++;
}

int32_t rf_steer_stretch(int32_t drawn) {
  return std::min(drawn, world.stretch);
}

uint32_t rf_steer_raise() {
  return world.raise;
}

bool rf_site_is_limited() {
  return world.sites_limited;
}

uint32_t rf_site_key(const rf_origin *origin) {
  return kKey + static_cast<uint32_t>(origin->caller - kCaller);
}

bool rf_site_may_be_watched(uint32_t key, uintptr_t caller) {
  world.asked_may.emplace_back(key, caller);
  return world.may_be_watched;
}

bool rf_site_wants(uint32_t key, uint32_t one_in) {
  world.asked_wants.emplace_back(key, one_in);
  return world.wanted;
}

void rf_watched_sites_begin(const char *folder) {
  world.folder = folder;
}

bool rf_watched_sites_add(uint32_t key) {
  world.added += key == kKey ? 1 : 0;
  return world.is_new;
}

void rf_watched_sites_inherit() {
  world.inherits++;
}

// ---- The share of the processor time ----

void rf_page_time_begin(unsigned percent) {
  world.percent = percent;
  world.time_limited = percent < 100;
}

bool rf_page_time_is_limited() {
  return world.time_limited;
}

bool rf_page_time_left() {
  return world.time_left;
}

uint64_t rf_page_time_enter() {
  return ++world.entered;
}

void rf_page_time_leave(uint64_t entered) {
  world.calls.emplace_back("leave");
  world.left.push_back(entered);
}

void rf_page_time_forked() {
  world.time_forks++;
}

// ---- The store ----

rf_page_store *rf_page_store_open(const rf_page_store_options *options) {
  world.opened++;
  world.options = *options;
  return world.has_store ? store_of_test() : nullptr;
}

bool rf_page_store_reserve(rf_page_store * /*store*/) {
  world.reserved++;
  return true;
}

bool rf_page_store_owns(const rf_page_store * /*store*/, const void *ptr) {
  return ptr >= bytes && ptr < bytes + sizeof bytes;
}

void *rf_page_store_alloc(rf_page_store * /*store*/, const rf_page_request *request, const rf_origin *origin) {
  world.calls.emplace_back("alloc");
  world.request = *request;
  world.origin = origin;
  return world.next;
}

rf_status rf_page_store_free(rf_page_store * /*store*/, void *ptr, rf_family family, size_t size,
                             const rf_origin *origin, rf_page_block *freed) {
  world.calls.emplace_back("free");
  world.family = family;
  world.freed_size = size;
  world.origin = origin;
  *freed = world.blocks[ptr];
  return world.freed;
}

bool rf_page_store_find(rf_page_store * /*store*/, const void *ptr, rf_page_block *out) {
  *out = {};
  out->size = 12345; // of no meaning
  if (world.blocks.count(ptr) == 0) {
    return false;
  }
  *out = world.blocks[ptr];
  return true;
}

rf_status rf_page_store_refuse(rf_page_store * /*store*/, void * /*ptr*/, const rf_origin *origin) {
  world.calls.emplace_back("refuse");
  world.origin = origin;
  return RF_ERR_INVALID;
}

bool rf_page_store_ends_as_well(const rf_page_store * /*store*/, size_t /*old_size*/, size_t /*size*/) {
  return world.ends_as_well;
}

rf_status rf_page_store_resize(rf_page_store * /*store*/, void * /*ptr*/, size_t /*size*/,
                               const rf_origin * /*origin*/) {
  world.calls.emplace_back("resize");
  return world.resized;
}

void rf_page_store_return_rights(const rf_page_store * /*store*/, const void * /*ptr*/) {
  world.calls.emplace_back("rights");
}

size_t rf_page_store_sweep(rf_page_store * /*store*/, uint64_t budget_ns, const rf_origin *origin) {
  world.budget = budget_ns;
  EXPECT_NE(origin->caller, 0U);
  return 3;
}

void rf_page_store_figures(rf_page_store * /*store*/, rf_page_figures *out) {
  out->counters.allocations = world.served;
  out->declined = 5;
}

void rf_page_store_watch(const rf_page_store * /*store*/) {
  world.watches++;
}
}

namespace {

// A process of which no store was opened yet, with an option of each kind.
void in_process(rf_mode mode, const std::function<void(rf_options &)> &test) {
  ringfence_test::alone([&] {
    rf_options &o = rf_process.options;
    o.mode = mode;
    o.signals = true;
    o.sample_rate = 16;
    o.watch = 16;
    o.sample_slots = 64;
    o.align = RF_PAGE_BOTH;
    o.closed = 1 << 20;
    o.fill_alloc = 4096;
    o.page_memory = 1 << 24;
    o.page_seed = 77;
    o.page_time = 100;
    test(o);
  });
}

void begin() {
  rf_guarded_blocks_begin(&rf_process.options, &depot, reinterpret_cast<rf_reporter *>(&the_reporter));
}

// The same where the store is there and the rate is 1 of `rate`.
void begun(rf_mode mode, const std::function<void()> &test) {
  in_process(mode, [&](rf_options &) {
    begin();
    test();
  });
}

void become_new_thread() {
  rf_guarded_blocks_pick = {};
  rf_guarded_blocks_left = 0;
}

// The way of an allocation.
bool allocates() {
  return !rf_guarded_blocks_passes() && rf_guarded_blocks_due(&kOrigin);
}

// One that is certainly looked at, whatever was drawn.
bool is_looked_at() {
  rf_guarded_blocks_left = 2;
  depot.added();
  return allocates();
}

// The number of the first allocation, from 1 on, that a new thread has on pages.
unsigned first_of_new_thread() {
  become_new_thread();
  unsigned number = 1;
  while (!allocates() && number < 10000) {
    number++;
  }
  return number;
}

unsigned looks_at_once() {
  unsigned count = 0;
  while (count < 100 && is_looked_at()) {
    count++;
  }
  return count;
}

// ---- By lot ----

TEST(GuardedBlocks, OneInTheRateIsSampled) {
  begun(RF_MODE_SAMPLE, [] {
    EXPECT_EQ(rf_guarded_blocks.rate, 16U);
    unsigned due = 0;
    for (int i = 0; i < 160000; i++) {
      due += allocates() ? 1 : 0;
    }
    EXPECT_NEAR(due, 10000, 500);
    EXPECT_EQ(world.looks, 0U);
    EXPECT_EQ(world.ticks, 0U);
  });
}

TEST(GuardedBlocks, EachIsWhereTheRateIsOne) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_PAGE}) {
    in_process(mode, [](rf_options &o) {
      o.sample_rate = 1;
      begin();
      EXPECT_EQ(rf_guarded_blocks.rate, 1U);
      for (unsigned i = 1; i < 10; i++) {
        EXPECT_TRUE(allocates());
        EXPECT_EQ(world.ticks, i);
        EXPECT_EQ(rf_guarded_blocks_left, 0);
      }
      EXPECT_EQ(world.looks, 0U);
    });
  }
}

// Each power of two up to the rate is as likely as the others; after it, so are the numbers up to the next.
TEST(GuardedBlocks, GuardMayBeginWithAnyOfTheFirst) {
  in_process(RF_MODE_GUARD, [](rf_options &) {
    begin();
    std::map<unsigned, unsigned> powers;
    std::set<unsigned> numbers;
    for (unsigned thread = 0; thread < 5000; thread++) {
      world.now += 10000 * kMicrosecond;
      unsigned const number = first_of_new_thread();
      numbers.insert(number);
      powers[number < 2 ? 0 : number < 4 ? 1 : number < 8 ? 2 : number < 16 ? 3 : number < 32 ? 4 : 5]++;
    }
    EXPECT_EQ(numbers.size(), 31U);
    EXPECT_EQ(*numbers.rbegin(), 31U);
    for (unsigned power = 0; power < 5; power++) {
      EXPECT_NEAR(powers[power], 1000, 150) << power;
    }
  });
}

TEST(GuardedBlocks, SampleBeginsAsItGoesOn) {
  begun(RF_MODE_SAMPLE, [] {
    unsigned most = 0;
    double sum = 0;
    for (unsigned thread = 0; thread < 5000; thread++) {
      unsigned const number = first_of_new_thread();
      most = std::max(most, number);
      sum += number;
    }
    EXPECT_GT(most, 64U);
    EXPECT_NEAR(sum / 5000, 16, 1);
  });
}

TEST(GuardedBlocks, AfterTheFirstTheRateHolds) {
  in_process(RF_MODE_GUARD, [](rf_options &o) {
    o.sample_seed = 5;
    begin();
    unsigned due = 0;
    for (int i = 0; i < 160000; i++) {
      due += allocates() ? 1 : 0;
    }
    EXPECT_NEAR(due, 10000, 500);
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 1U);
  });
}

// A seed picks the same for each thread, in the order in which threads begin.
TEST(GuardedBlocks, ThreadsDrawNumbersOfTheirOwn) {
  in_process(RF_MODE_SAMPLE, [](rf_options &o) {
    o.sample_seed = 5;
    begin();
    for (uint64_t thread = 0; thread < 3; thread++) {
      become_new_thread();
      rf_sample_pick expected = {};
      rf_sample_seed(&expected, 5 + thread);
      unsigned next = 1;
      while (!rf_sample_due(&expected, 16)) {
        next++;
      }
      unsigned number = 1;
      while (!allocates()) {
        number++;
      }
      EXPECT_EQ(number, next);
      EXPECT_EQ(rf_guarded_blocks_pick.random, expected.random);
    }
  });
}

TEST(GuardedBlocks, NoneIsDrawnWhereTheCallsOfPagesAreForbidden) {
  for (uint32_t const call : {RF_CALL_MADVISE, RF_CALL_MPROTECT, RF_CALL_MMAP, RF_CALL_MUNMAP, RF_CALL_CLOCK}) {
    begun(RF_MODE_PAGE, [call] {
      rf_forbidden_calls = call;
      int32_t left = 5;
      EXPECT_FALSE(rf_guarded_blocks_draw(&left));
      EXPECT_EQ(left, INT32_MAX);
      EXPECT_FALSE(allocates());
      EXPECT_EQ(rf_guarded_blocks_left, INT32_MAX);
      EXPECT_EQ(world.ticks, 0U);
    });
  }
  begun(RF_MODE_PAGE, [] {
    rf_forbidden_calls = RF_CALL_GETPID | RF_CALL_MREMAP;
    EXPECT_TRUE(allocates());
  });
}

TEST(GuardedBlocks, AllocationsBeforeTheEndOfTheCountdownPass) {
  begun(RF_MODE_PAGE, [] {
    rf_guarded_blocks_left = 3;
    EXPECT_TRUE(rf_guarded_blocks_passes());
    EXPECT_FALSE(rf_guarded_blocks_due(&kOrigin));
    EXPECT_EQ(rf_guarded_blocks_left, 2);
    EXPECT_TRUE(rf_guarded_blocks_passes());
    EXPECT_FALSE(rf_guarded_blocks_passes());
    EXPECT_TRUE(rf_guarded_blocks_due(&kOrigin));
    rf_guarded_blocks_left = -5;
    EXPECT_FALSE(rf_guarded_blocks_passes());
    EXPECT_EQ(rf_guarded_blocks_left, 0);
  });
}

// ---- Steered ----

TEST(GuardedBlocks, AStretchThatEndsDrawsNothing) {
  begun(RF_MODE_SAMPLE, [] {
    world.paces = true;
    world.turn = RF_STEER_WAIT;
    EXPECT_FALSE(allocates());
    EXPECT_EQ(rf_guarded_blocks_left, 99);
    EXPECT_EQ(world.looks, 1U);
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 0U);
  });
}

TEST(GuardedBlocks, ACountdownIsCutIntoStretches) {
  begun(RF_MODE_SAMPLE, [] {
    (void)allocates();
    world.paces = true;
    world.stretch = 1;
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 1U);
    for (int i = 0; i < 20; i++) {
      int32_t left = 0;
      EXPECT_TRUE(rf_guarded_blocks_draw(&left));
      EXPECT_EQ(left, 1);
    }
    world.stretch = INT32_MAX;
    int32_t left = 0;
    EXPECT_TRUE(rf_guarded_blocks_draw(&left));
    EXPECT_EQ(left, static_cast<int32_t>(rf_guarded_blocks_pick.left));
  });
}

TEST(GuardedBlocks, ANewRateIsDrawnFromAndNobodysTurn) {
  begun(RF_MODE_SAMPLE, [] {
    (void)allocates();
    world.paces = true;
    world.turn = RF_STEER_ANEW;
    world.in_look = [] { rf_guarded_blocks.rate = 1000000; };
    uint64_t const before = rf_guarded_blocks_pick.random;
    int32_t left = 0;
    EXPECT_FALSE(rf_guarded_blocks_draw(&left));
    EXPECT_NE(rf_guarded_blocks_pick.random, before);
    EXPECT_GT(left, 1000);
    world.turn = RF_STEER_DUE;
    EXPECT_TRUE(rf_guarded_blocks_draw(&left));
  });
}

TEST(GuardedBlocks, ARateOfNoneDrawsNothing) {
  begun(RF_MODE_SAMPLE, [] {
    (void)allocates();
    world.paces = true;
    world.in_look = [] { rf_guarded_blocks.rate = 0; };
    uint64_t const before = rf_guarded_blocks_pick.random;
    int32_t left = 0;
    EXPECT_FALSE(rf_guarded_blocks_draw(&left));
    EXPECT_EQ(left, INT32_MAX);
    EXPECT_EQ(rf_guarded_blocks_pick.random, before);
    world.stretch = 64;
    EXPECT_FALSE(rf_guarded_blocks_draw(&left));
    EXPECT_EQ(left, 64);
  });
}

// ---- As time allows ----

TEST(GuardedBlocks, GuardWatchesOneInSoLongATimeAndSavesUpSome) {
  begun(RF_MODE_GUARD, [] {
    EXPECT_EQ(looks_at_once(), kSaved);
    world.now += kEveryUs * kMicrosecond - 1;
    EXPECT_FALSE(is_looked_at());
    world.now += 1;
    EXPECT_EQ(looks_at_once(), 1U);
    world.now += 2 * kEveryUs * kMicrosecond;
    EXPECT_EQ(looks_at_once(), 2U);
    world.now += 1000 * kEveryUs * kMicrosecond;
    EXPECT_EQ(looks_at_once(), kSaved);
    world.now += (kEveryUs + 9000) * kMicrosecond; // a bit more than can be saved
    EXPECT_EQ(looks_at_once(), kSaved);
    world.now += kEveryUs * kMicrosecond - 1;
    EXPECT_FALSE(is_looked_at());
  });
}

TEST(GuardedBlocks, TheClockMayWrap) {
  for (uint64_t const us : {(uint64_t{1} << 32) - 1000, (uint64_t{1} << 31) - 1000}) {
    ringfence_test::alone([us] {
      world.now = us * kMicrosecond;
      rf_process.options.mode = RF_MODE_GUARD;
      rf_process.options.signals = true;
      rf_process.options.watch = 16;
      begin();
      EXPECT_EQ(looks_at_once(), kSaved);
      world.now += 2 * kEveryUs * kMicrosecond;
      EXPECT_EQ(looks_at_once(), 2U);
    });
  }
}

TEST(GuardedBlocks, ASeedTakesAllThatAreLookedAt) {
  in_process(RF_MODE_GUARD, [](rf_options &o) {
    o.sample_seed = 9;
    begin();
    world.is_new = false;
    EXPECT_EQ(looks_at_once(), 100U);
    EXPECT_EQ(world.asked_may.size(), 0U);
    world.sites_limited = true;
    EXPECT_EQ(looks_at_once(), 100U);
    EXPECT_EQ(world.asked_may.size(), 100U);
    EXPECT_EQ(world.added, 0U);
    world.may_be_watched = false;
    EXPECT_EQ(looks_at_once(), 0U);
  });
}

TEST(GuardedBlocks, PathsThatWereWatchedAreWatchedSeldom) {
  begun(RF_MODE_GUARD, [] {
    world.is_new = false;
    std::vector<int> due;
    for (int i = 0; i < 34; i++) {
      world.now += 10000 * kMicrosecond;
      if (is_looked_at()) {
        due.push_back(i);
      }
    }
    EXPECT_EQ(due, std::vector<int>({0, 16, 32}));
    EXPECT_EQ(world.added, 34U);
    EXPECT_EQ(world.take_wants(), Looks());
    world.is_new = true;
    EXPECT_TRUE(is_looked_at());
  });
}

TEST(GuardedBlocks, RaisedTheTableOfSitesSaysWhich) {
  begun(RF_MODE_GUARD, [] {
    world.raise = 3;
    EXPECT_TRUE(is_looked_at());
    EXPECT_EQ(world.take_wants(), Looks());
    world.is_new = false;
    EXPECT_TRUE(is_looked_at());
    world.wanted = false;
    EXPECT_FALSE(is_looked_at());
    EXPECT_EQ(world.take_wants(), Looks({{kKey, 48}, {kKey, 48}}));
  });
}

TEST(GuardedBlocks, ASiteThatMayNotBeWatchedTakesNoTime) {
  begun(RF_MODE_GUARD, [] {
    world.may_be_watched = false;
    for (int i = 0; i < 20; i++) {
      EXPECT_FALSE(is_looked_at());
    }
    EXPECT_EQ(world.added, 0U);
    EXPECT_EQ(world.asked_may.back(), (std::pair<uint32_t, uintptr_t>(kKey, kCaller)));
    world.may_be_watched = true;
    world.is_new = false;
    world.raise = 2;
    world.wanted = false;
    for (int i = 0; i < 20; i++) {
      EXPECT_FALSE(is_looked_at());
    }
    world.wanted = true;
    EXPECT_EQ(looks_at_once(), kSaved);
  });
}

// ---- Sites in mode sample, and for callers outside the store ----

TEST(GuardedBlocks, SitesThatAreAlikeAreNotAskedFor) {
  begun(RF_MODE_SAMPLE, [] {
    world.may_be_watched = false;
    world.wanted = false;
    EXPECT_TRUE(rf_guarded_blocks_want_site(&kOrigin));
    EXPECT_EQ(world.asked_may.size(), 0U);
    world.sites_limited = true;
    EXPECT_FALSE(rf_guarded_blocks_want_site(&kOrigin));
    world.may_be_watched = true;
    EXPECT_TRUE(rf_guarded_blocks_want_site(&kOrigin)); // limited, but not raised
    EXPECT_EQ(world.take_wants(), Looks());
    world.sites_limited = false;
    world.raise = 4;
    EXPECT_FALSE(rf_guarded_blocks_want_site(&kOrigin));
    world.wanted = true;
    EXPECT_TRUE(rf_guarded_blocks_want_site(&kOrigin));
    EXPECT_EQ(world.take_wants(), Looks({{kKey, 4}, {kKey, 4}}));
    world.may_be_watched = false;
    EXPECT_FALSE(rf_guarded_blocks_want_site(&kOrigin));
    EXPECT_EQ(world.take_wants(), Looks());
  });
}

TEST(GuardedBlocks, SampleAsksForTheSiteOfTheProgramsOwnCall) {
  in_process(RF_MODE_SAMPLE, [](rf_options &o) {
    o.sample_rate = 1;
    begin();
    rf_runtimes[0] = {kCaller, 1};
    EXPECT_TRUE(allocates());
    EXPECT_EQ(world.unwound, 0U); // takes time, and nobody asks
    world.raise = 2;
    EXPECT_TRUE(allocates());
#if !RF_STACK_RULES
    EXPECT_EQ(world.unwound, 1U);
    EXPECT_EQ(world.asked_may.back(), (std::pair<uint32_t, uintptr_t>(kKey + 1, kCaller + 1)));
#endif
    world.wanted = false;
    EXPECT_FALSE(allocates());
  });
}

TEST(GuardedBlocks, APolicyMayNotTakeMoreTimeThanGuardDoes) {
  in_process(RF_MODE_SAMPLE, [](rf_options &o) {
    o.sample_rate = 1;
    begin();
    for (int i = 0; i < 20; i++) {
      EXPECT_TRUE(allocates()); // as the user wants it
    }
    rf_steering_now.limited = true;
    for (unsigned i = 0; i < 20; i++) {
      EXPECT_EQ(allocates(), i < kSaved) << i;
    }
    world.now += kEveryUs * kMicrosecond;
    world.raise = 2;
    world.wanted = false;
    EXPECT_FALSE(allocates());
    world.wanted = true;
    EXPECT_TRUE(allocates()); // the one before took none
    EXPECT_FALSE(allocates());
    rf_steering_now.limited = false;
    EXPECT_TRUE(allocates());
  });
}

// ---- Mode page, of limited time ----

TEST(GuardedBlocks, PageWatchesAllAsLongAsThereIsTime) {
  in_process(RF_MODE_PAGE, [](rf_options &o) {
    o.page_time = 30;
    begin();
    EXPECT_EQ(world.percent, 30U);
    EXPECT_EQ(rf_guarded_blocks.rate, 2U); // not 1, for the sake of the shortest way
    world.is_new = false;
    for (unsigned i = 1; i < 10; i++) {
      EXPECT_TRUE(allocates());
      EXPECT_EQ(world.ticks, i);
    }
    EXPECT_EQ(world.added, 0U);
    world.time_left = false;
    EXPECT_FALSE(allocates());
    EXPECT_GT(rf_guarded_blocks_left, 0);
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 1U);
    EXPECT_EQ(world.added, 1U);
    world.is_new = true;
    EXPECT_TRUE(is_looked_at());
  });
}

TEST(GuardedBlocks, PageLooksAgainAfterAHundredAllocationsOrSo) {
  in_process(RF_MODE_PAGE, [](rf_options &o) {
    o.page_time = 30;
    begin();
    world.time_left = false;
    world.is_new = false;
    int32_t least = INT32_MAX;
    int32_t most = 0;
    double sum = 0;
    for (int i = 0; i < 5000; i++) {
      rf_guarded_blocks_left = 0;
      EXPECT_FALSE(rf_guarded_blocks_due(&kOrigin));
      least = std::min(least, rf_guarded_blocks_left);
      most = std::max(most, rf_guarded_blocks_left);
      sum += rf_guarded_blocks_left;
    }
    EXPECT_EQ(least, 1);
    EXPECT_EQ(most, 256);
    EXPECT_NEAR(sum / 5000, 128.5, 5);
  });
}

// ---- New stacks ----

TEST(GuardedBlocks, AfterANewStackTheNextIsLookedAtAndTheDrawnOneIsToo) {
  begun(RF_MODE_GUARD, [] {
    ASSERT_NE(depot.added, nullptr);
    rf_guarded_blocks_left = 5;
    rf_sample_pick const before = rf_guarded_blocks_pick;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 1);
    depot.added(); // another one, before the next allocation
    EXPECT_EQ(rf_guarded_blocks_left, 1);
    EXPECT_TRUE(allocates());
    EXPECT_EQ(memcmp(&before, &rf_guarded_blocks_pick, sizeof before), 0); // nothing was drawn
    EXPECT_EQ(rf_guarded_blocks_left, 4);
    for (int i = 0; i < 3; i++) {
      EXPECT_FALSE(allocates());
    }
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 0U);
    (void)allocates();
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 1U);
  });
}

// The countdown may run on before another stack is new: the drawn one stays where it was.
TEST(GuardedBlocks, TheDrawnOneIsNotLostWhereStacksAreNewInTurn) {
  begun(RF_MODE_GUARD, [] {
    rf_guarded_blocks_left = 5;
    depot.added();
    rf_guarded_blocks_left = 3; // as a draw in a signal handler leaves it
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 3);
    rf_guarded_blocks_left = 0;
    (void)rf_guarded_blocks_due(&kOrigin);
    EXPECT_EQ(rf_guarded_blocks_left, 4);
  });
}

TEST(GuardedBlocks, ANewStackChangesNothingWhereTheNextIsDrawnAnyway) {
  begun(RF_MODE_GUARD, [] {
    for (int32_t const left : {1, 0}) {
      rf_guarded_blocks_left = left;
      depot.added();
      EXPECT_EQ(rf_guarded_blocks_left, left);
    }
    (void)allocates();
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 1U); // drawn, not taken for the stack's sake
  });
}

TEST(GuardedBlocks, NoNewStackIsLookedAtWithoutTime) {
  begun(RF_MODE_GUARD, [] {
    EXPECT_EQ(looks_at_once(), kSaved);
    rf_guarded_blocks_left = 5;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 5);
    world.now += kEveryUs * kMicrosecond;
    rf_forbidden_calls = RF_CALL_MPROTECT;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 5);
    rf_forbidden_calls = 0;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 1);
  });
  in_process(RF_MODE_GUARD, [](rf_options &o) {
    o.sample_seed = 1;
    begin();
    world.now -= 100 * kEveryUs * kMicrosecond; // a seed asks for no time
    rf_guarded_blocks_left = 5;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 1);
  });
  in_process(RF_MODE_PAGE, [](rf_options &o) {
    o.page_time = 30;
    begin();
    world.now -= 100 * kEveryUs * kMicrosecond;
    rf_guarded_blocks_left = 5;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 1);
  });
}

TEST(GuardedBlocks, ANewStackIsNotLookedAtWhereCallsHaveBeenForbiddenSince) {
  begun(RF_MODE_GUARD, [] {
    rf_guarded_blocks_left = 5;
    depot.added();
    rf_forbidden_calls = RF_CALL_MPROTECT;
    EXPECT_FALSE(allocates());
    EXPECT_EQ(rf_guarded_blocks_left, INT32_MAX);
  });
}

TEST(GuardedBlocks, NewStacksAreOfNoMeaningInSampleAndInPageWithoutALimit) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_PAGE}) {
    begun(mode, [] { EXPECT_EQ(depot.added, nullptr); });
  }
}

// ---- The beginning ----

TEST(GuardedBlocks, ModesWithoutPagesOpenNoStore) {
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_ASAN, RF_MODE_MTE}) {
    begun(mode, [] { EXPECT_EQ(world.opened, 0U); });
  }
  for (bool const watches : {true, false}) {
    in_process(RF_MODE_GUARD, [watches](rf_options &o) {
      o.watch = watches ? 16 : 0;
      o.signals = !watches; // no handler, nobody who would tell
      begin();
      EXPECT_EQ(world.opened, 0U);
      EXPECT_EQ(world.sites_kept, 1U);
      EXPECT_EQ(rf_guarded_blocks.rate, 0U);
      EXPECT_EQ(rf_guarded_blocks.store, nullptr);
      EXPECT_EQ(depot.added, nullptr);
    });
  }
}

TEST(GuardedBlocks, WithoutMemoryForTheStoreThereIsNone) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_GUARD, RF_MODE_PAGE}) {
    in_process(mode, [](rf_options &o) {
      world.has_store = false;
      o.watch_sites = "folder";
      begin();
      EXPECT_EQ(world.opened, 1U);
      EXPECT_EQ(rf_guarded_blocks.rate, 0U);
      EXPECT_EQ(world.reserved, 0U);
      EXPECT_EQ(world.folder, "");
      EXPECT_EQ(depot.added, nullptr);
      EXPECT_FALSE(rf_guarded_blocks_own(bytes));
      EXPECT_EQ(rf_guarded_blocks_sweep(1), 0U);
      rf_page_figures figures;
      memset(&figures, 1, sizeof figures);
      rf_guarded_blocks_figures(&figures);
      rf_page_figures const none = {};
      EXPECT_EQ(memcmp(&figures, &none, sizeof none), 0);
      figures.declined = 5;
      EXPECT_EQ(rf_guarded_blocks_unpaged(&figures, 7), 0U);
      rf_guarded_blocks_handlers_changed();
      EXPECT_EQ(world.watches, 0U);
      int32_t left = 0;
      EXPECT_FALSE(rf_guarded_blocks_draw(&left));
      EXPECT_EQ(left, INT32_MAX);
    });
  }
}

TEST(GuardedBlocks, SamplesStore) {
  in_process(RF_MODE_SAMPLE, [](rf_options &) {
    rf_process.library = true;
    rf_guarded_blocks_left = 5;
    begin();
    rf_page_store_options const &s = world.options;
    EXPECT_STREQ(s.allocator, "malloc");
    EXPECT_STREQ(s.mode, "sample");
    EXPECT_EQ(s.reporter, reinterpret_cast<rf_reporter *>(&the_reporter));
    EXPECT_EQ(rf_guarded_blocks.reporter, s.reporter);
    EXPECT_EQ(s.depot, &depot);
    EXPECT_EQ(s.stack_depth, 16U);
    EXPECT_EQ(s.side, RF_PAGE_BOTH);
    EXPECT_EQ(s.quarantine, SIZE_MAX);
    EXPECT_EQ(s.fill_alloc, 0U);
    EXPECT_EQ(s.note, nullptr);
    EXPECT_EQ(s.slots, 64U);
    EXPECT_EQ(s.largest, RF_SAMPLE_LARGEST_DEFAULT);
    EXPECT_EQ(s.memory, size_t{1} << 24);
    EXPECT_EQ(s.seed, 0U);
    EXPECT_TRUE(s.watches_seldom);
    EXPECT_FALSE(s.moves_pages);
    EXPECT_TRUE(s.shows_pages);
    EXPECT_TRUE(s.keeps_pages);
    EXPECT_STREQ(s.fallback, "further ones are not sampled");
    EXPECT_EQ(world.reserved, 1U);
    EXPECT_EQ(world.sites_kept, 1U);
    EXPECT_EQ(rf_guarded_blocks_left, 0);
  });
}

TEST(GuardedBlocks, GuardsStore) {
  in_process(RF_MODE_GUARD, [](rf_options &o) {
    rf_process.library = true;
    o.watch_sites = "folder";
    begin();
    rf_page_store_options const &s = world.options;
    EXPECT_STREQ(s.mode, "guard");
    EXPECT_EQ(s.stack_depth, 0U);
    EXPECT_EQ(s.side, RF_PAGE_RIGHT); // where most stray reads are
    EXPECT_EQ(s.quarantine, SIZE_MAX);
    EXPECT_EQ(s.fill_alloc, 4096U);
    EXPECT_STREQ(s.note, "the block was one of the few that guard watches; to watch it again: "
                         "RINGFENCE_OPTIONS=watch=16:sample_seed=4661");
    EXPECT_EQ(s.slots, 64U);
    EXPECT_EQ(s.largest, RF_SAMPLE_LARGEST_DEFAULT);
    EXPECT_EQ(s.seed, 0U);
    EXPECT_FALSE(s.moves_pages);
    EXPECT_TRUE(s.shows_pages);
    EXPECT_FALSE(s.keeps_pages);
    EXPECT_STREQ(s.fallback, "further ones are checked as in mode guard");
    EXPECT_EQ(world.reserved, 0U);
    EXPECT_EQ(world.folder, "folder");
    EXPECT_EQ(rf_guarded_blocks.rate, 16U);
  });
  in_process(RF_MODE_GUARD, [](rf_options &o) {
    o.align = RF_PAGE_LEFT;
    o.watch = 20;
    o.sample_rate = 30;
    o.sample_seed = 40;
    begin();
    EXPECT_EQ(world.options.side, RF_PAGE_LEFT);
    EXPECT_STREQ(world.options.note, "the block was one of the few that guard watches; to watch it again: "
                                     "RINGFENCE_OPTIONS=watch=20:sample_seed=40");
    EXPECT_EQ(rf_guarded_blocks.rate, 20U);
    EXPECT_EQ(world.folder, "");
  });
}

TEST(GuardedBlocks, PagesAreClosedAsAskedFor) {
  for (rf_page_closing const closing : {RF_PAGE_CLOSING_MARKERS, RF_PAGE_CLOSING_RIGHTS}) {
    in_process(RF_MODE_PAGE, [closing](rf_options &o) {
      rf_process.library = true;
      o.page_close = closing;
      begin();
      EXPECT_FALSE(world.options.moves_pages);
      EXPECT_EQ(world.options.shows_pages, closing == RF_PAGE_CLOSING_RIGHTS);
      EXPECT_EQ(world.options.read_all == nullptr, closing == RF_PAGE_CLOSING_RIGHTS);
    });
  }
}

TEST(GuardedBlocks, PagesStore) {
  for (bool const library : {true, false}) {
    in_process(RF_MODE_PAGE, [library](rf_options &o) {
      rf_process.library = library;
      o.watch_sites = "folder";
      begin();
      rf_page_store_options const &s = world.options;
      EXPECT_STREQ(s.mode, "page");
      EXPECT_EQ(s.stack_depth, 0U);
      EXPECT_EQ(s.side, RF_PAGE_BOTH);
      EXPECT_EQ(s.quarantine, size_t{1} << 20);
      EXPECT_EQ(s.fill_alloc, 4096U);
      EXPECT_EQ(s.note, nullptr);
      EXPECT_EQ(s.slots, 0U);
      EXPECT_EQ(s.largest, 0U);
      EXPECT_EQ(s.memory, size_t{1} << 24);
      EXPECT_EQ(s.seed, 77U);
      EXPECT_EQ(s.moves_pages, library);
      EXPECT_FALSE(s.shows_pages);
      EXPECT_NE(s.read_all, nullptr);
      EXPECT_FALSE(s.keeps_pages);
      EXPECT_STREQ(s.fallback, "further ones are checked as in mode guard");
      EXPECT_EQ(world.reserved, 0U);
      EXPECT_EQ(world.folder, "");
      EXPECT_EQ(world.percent, 100U);
      EXPECT_EQ(rf_guarded_blocks.rate, 1U);
    });
  }
}

// Pages are closed by their rights, and kept, where they are few.
TEST(GuardedBlocks, ManySlotsCloseTheirPagesAsModePageDoes) {
  for (unsigned const slots : {RF_SAMPLE_KEEPS, RF_SAMPLE_KEEPS + 1}) {
    in_process(RF_MODE_SAMPLE, [slots](rf_options &o) {
      o.sample_slots = slots;
      begin();
      EXPECT_EQ(world.options.shows_pages, slots == RF_SAMPLE_KEEPS);
      EXPECT_EQ(world.options.keeps_pages, slots == RF_SAMPLE_KEEPS);
    });
  }
}

TEST(GuardedBlocks, StacksOfSamplesHaveADepth) {
  for (unsigned const depth : {15U, 16U, 40U}) {
    in_process(RF_MODE_SAMPLE, [depth](rf_options &o) {
      o.stack_depth = depth;
      begin();
      EXPECT_EQ(world.options.stack_depth, std::max(depth, 16U));
    });
    in_process(RF_MODE_GUARD, [depth](rf_options &o) {
      o.stack_depth = depth;
      begin();
      EXPECT_EQ(world.options.stack_depth, depth);
    });
  }
}

TEST(GuardedBlocks, AlignmentIsGivenUpWhereItWasAskedFor) {
  for (rf_page_side const side : {RF_PAGE_LEFT, RF_PAGE_RIGHT, RF_PAGE_BOTH, RF_PAGE_EXACT, RF_PAGE_UNALIGNED}) {
    in_process(RF_MODE_PAGE, [side](rf_options &o) {
      o.align = side;
      begin();
      bool const keeps = side == RF_PAGE_EXACT || side == RF_PAGE_UNALIGNED;
      EXPECT_EQ(rf_guarded_blocks.keeps_alignment, keeps);
      EXPECT_EQ(rf_guarded_blocks_align(1), keeps ? 2 * RF_ALIGN_DEFAULT : RF_ALIGN_DEFAULT);
      EXPECT_EQ(rf_guarded_blocks_align(64), 64U);
    });
  }
}

// ---- Requests ----

TEST(GuardedBlocks, ARequestIsTheStores) {
  begun(RF_MODE_PAGE, [] {
    rf_page_request request = {};
    request.size = 100;
    world.next = bytes;
    EXPECT_EQ(rf_guarded_blocks_alloc(&request, &kOrigin), bytes);
    EXPECT_EQ(world.request.size, 100U);
    EXPECT_EQ(world.origin, &kOrigin);
    EXPECT_EQ(world.left, std::vector<uint64_t>({1}));
    EXPECT_EQ(world.take_calls(), std::vector<std::string>({"alloc", "leave"}));
    EXPECT_EQ(world.ids, 0U);
    world.next = nullptr;
    EXPECT_EQ(rf_guarded_blocks_alloc(&request, &kOrigin), nullptr);
    EXPECT_EQ(world.left, std::vector<uint64_t>({1, 2}));
    EXPECT_TRUE(rf_guarded_blocks_own(bytes));
    EXPECT_FALSE(rf_guarded_blocks_own(bytes + sizeof bytes));
  });
}

TEST(GuardedBlocks, AThreadIsKnownWhereItsNumberCannotBeAskedFor) {
  begun(RF_MODE_PAGE, [] {
    rf_forbidden_calls = RF_CALL_GETTID;
    rf_page_request const request = {};
    (void)rf_guarded_blocks_alloc(&request, &kOrigin);
    EXPECT_EQ(world.ids, 1U);
    rf_guarded_blocks_free(bytes, RF_FAMILY_MALLOC, SIZE_MAX, &kOrigin);
    EXPECT_EQ(world.ids, 2U);
  });
}

// A thread without a cache gets one, by which the search for leaks knows it.
TEST(GuardedBlocks, ThreadsOfCheckedProcessesGetACache) {
  enum Hindrance { kNone, kUnchecked, kHasOne, kBinding, kEnded, kNoMemory };
  for (Hindrance const hindrance : {kNone, kUnchecked, kHasOne, kBinding, kEnded, kNoMemory}) {
    begun(RF_MODE_PAGE, [hindrance] {
      static rf_cache caches[2];
      world.cache = hindrance == kNoMemory ? nullptr : &caches[0];
      rf_process.checked = hindrance != kUnchecked;
      rf_current_thread.cache = hindrance == kHasOne ? &caches[1] : nullptr;
      rf_current_thread.binding = hindrance == kBinding;
      rf_current_thread.ended = hindrance == kEnded;
      rf_page_request const request = {};
      (void)rf_guarded_blocks_alloc(&request, &kOrigin);
      EXPECT_EQ(world.enters, hindrance == kNone || hindrance == kNoMemory ? 1U : 0U) << hindrance;
      EXPECT_EQ(world.leaves.size(), hindrance == kNone ? 1U : 0U) << hindrance;
      if (hindrance == kNone) {
        EXPECT_EQ(world.leaves[0], &caches[0]);
      }
    });
  }
}

TEST(GuardedBlocks, AFreedBlockIsNoStackOfSignalHandlers) {
  begun(RF_MODE_PAGE, [] {
    world.blocks[bytes] = {bytes, 77, RF_FAMILY_NEW, 0, nullptr};
    rf_guarded_blocks_free(bytes, RF_FAMILY_NEW, 78, &kOrigin);
    EXPECT_EQ(world.family, RF_FAMILY_NEW);
    EXPECT_EQ(world.freed_size, 78U);
    EXPECT_EQ(world.origin, &kOrigin);
    EXPECT_EQ(world.left, std::vector<uint64_t>({1}));
    auto const expected = std::vector<std::pair<uintptr_t, size_t>>({{reinterpret_cast<uintptr_t>(bytes), 77}});
    EXPECT_EQ(world.signals_freed, expected);
    world.freed = RF_ERR_INVALID; // a finding, on which the program goes on
    rf_guarded_blocks_free(bytes, RF_FAMILY_NEW, 78, &kOrigin);
    EXPECT_EQ(world.signals_freed, expected);
    EXPECT_EQ(world.left, std::vector<uint64_t>({1, 2}));
  });
}

TEST(GuardedBlocks, TheUsableSizeIsTheBlocksOwn) {
  begun(RF_MODE_PAGE, [] {
    world.blocks[bytes] = {bytes, 77, RF_FAMILY_MALLOC, 0, nullptr};
    size_t size = 1;
    EXPECT_TRUE(rf_guarded_blocks_usable_size(bytes, &size));
    EXPECT_EQ(size, 77U);
    EXPECT_FALSE(rf_guarded_blocks_usable_size(bytes + 1, &size));
    EXPECT_EQ(size, 0U);
  });
}

// ---- realloc ----

struct Realloc {
  bool is_block;
  void *moved;
  size_t old_size;
};

// About the block at `bytes`, which has this size.
Realloc reallocate(size_t from, size_t to) {
  world.blocks[bytes] = {bytes, from, RF_FAMILY_MALLOC, 0, nullptr};
  world.calls.clear();
  world.moved.clear();
  Realloc result = {false, nullptr, 0};
  result.is_block = rf_guarded_blocks_realloc(bytes, to, &kOrigin, &result.moved, &result.old_size);
  return result;
}

TEST(GuardedBlocks, ReallocOfNoBlockIsReported) {
  begun(RF_MODE_PAGE, [] {
    void *moved = nullptr;
    size_t old_size = 1;
    EXPECT_FALSE(rf_guarded_blocks_realloc(bytes + 1, 5, &kOrigin, &moved, &old_size));
    EXPECT_EQ(world.take_calls(), std::vector<std::string>({"refuse"}));
    EXPECT_EQ(world.origin, &kOrigin);
  });
}

TEST(GuardedBlocks, ReallocMovesABlock) {
  begun(RF_MODE_PAGE, [] {
    world.next = bytes + 1;
    world.resized = RF_OK;
    for (size_t const size : {size_t{50}, size_t{100}, size_t{200}}) {
      Realloc const done = reallocate(100, size);
      EXPECT_TRUE(done.is_block);
      EXPECT_EQ(done.moved, bytes + 1);
      EXPECT_EQ(done.old_size, 100U);
      EXPECT_EQ(world.moved, std::vector<size_t>({std::min<size_t>(size, 100)}));
      EXPECT_EQ(world.take_calls(), std::vector<std::string>({"rights", "alloc", "leave", "move", "free", "leave"}));
      EXPECT_EQ(world.request.size, size);
      EXPECT_EQ(world.request.align, RF_ALIGN_DEFAULT);
      EXPECT_EQ(world.request.room, 0U);
      EXPECT_EQ(world.request.like, nullptr);
      EXPECT_EQ(world.family, RF_FAMILY_MALLOC);
      EXPECT_EQ(world.freed_size, SIZE_MAX);
    }
  });
}

TEST(GuardedBlocks, ReallocIsAnAllocationThatIsCounted) {
  begun(RF_MODE_PAGE, [] {
    world.next = bytes + 1;
    rf_guarded_blocks_left = 3;
    for (int const left : {2, 1}) {
      Realloc const done = reallocate(100, 200);
      EXPECT_TRUE(done.is_block);
      EXPECT_EQ(done.moved, nullptr); // to be moved to the heap
      EXPECT_EQ(done.old_size, 100U);
      EXPECT_EQ(world.take_calls(), std::vector<std::string>({"rights"}));
      EXPECT_EQ(rf_guarded_blocks_left, left);
    }
    EXPECT_EQ(reallocate(100, 200).moved, bytes + 1);
  });
}

TEST(GuardedBlocks, WithoutMemoryABlockIsMovedToTheHeapByTheCaller) {
  begun(RF_MODE_PAGE, [] {
    Realloc const done = reallocate(100, 200);
    EXPECT_TRUE(done.is_block);
    EXPECT_EQ(done.moved, nullptr);
    EXPECT_EQ(done.old_size, 100U);
    EXPECT_EQ(world.take_calls(), std::vector<std::string>({"rights", "alloc", "leave"}));
  });
}

TEST(GuardedBlocks, BigBlocksGrowInPlace) {
  begun(RF_MODE_PAGE, [] {
    size_t const big = RF_PAGE_GROWS_FROM;
    world.next = bytes + 1;
    world.resized = RF_OK;
    Realloc const done = reallocate(big, 2 * big);
    EXPECT_TRUE(done.is_block);
    EXPECT_EQ(done.moved, bytes);
    EXPECT_EQ(done.old_size, big);
    EXPECT_EQ(world.take_calls(), std::vector<std::string>({"resize"}));
    EXPECT_EQ(reallocate(big - 1, 2 * big).moved, bytes + 1);
    world.ends_as_well = false;
    EXPECT_EQ(reallocate(big, 2 * big).moved, bytes + 1);
    EXPECT_EQ(world.request.like, nullptr);
    EXPECT_EQ(world.request.room, 0U);
  });
}

// With as much room behind them as they are long, and so that pages can be moved.
TEST(GuardedBlocks, BigBlocksWithoutRoomMoveToWhereThereIsSome) {
  begun(RF_MODE_PAGE, [] {
    size_t const big = RF_PAGE_GROWS_FROM;
    world.next = bytes + 1;
    EXPECT_EQ(reallocate(big, 2 * big).moved, bytes + 1);
    EXPECT_EQ(world.take_calls(),
              std::vector<std::string>({"resize", "rights", "alloc", "leave", "move", "free", "leave"}));
    EXPECT_EQ(world.request.like, bytes);
    EXPECT_EQ(world.request.room, 2 * big);
    EXPECT_EQ(world.moved, std::vector<size_t>({big}));
  });
}

// ---- Figures, handlers, forks ----

TEST(GuardedBlocks, FiguresAreTheStores) {
  begun(RF_MODE_PAGE, [] {
    world.served = 8;
    rf_page_figures figures;
    memset(&figures, 1, sizeof figures);
    rf_guarded_blocks_figures(&figures);
    EXPECT_EQ(figures.counters.allocations, 8U);
    EXPECT_EQ(figures.open_bytes, 0U);
    EXPECT_EQ(rf_guarded_blocks_sweep(123), 3U);
    EXPECT_EQ(world.budget, 123U);
  });
}

TEST(GuardedBlocks, BlocksWithoutPagesAreCountedInModePage) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_GUARD, RF_MODE_PAGE}) {
    begun(mode, [mode] {
      rf_page_figures figures = {};
      figures.declined = 5;
      EXPECT_EQ(rf_guarded_blocks_unpaged(&figures, 7), mode == RF_MODE_PAGE ? 5U : 0U);
      world.time_limited = true;
      EXPECT_EQ(rf_guarded_blocks_unpaged(&figures, 7), mode == RF_MODE_PAGE ? 7U : 0U);
    });
  }
}

TEST(GuardedBlocks, HandlersOfTheProgramAreWatched) {
  begun(RF_MODE_PAGE, [] {
    rf_guarded_blocks_handlers_changed();
    EXPECT_EQ(world.watches, 1U);
    EXPECT_EQ(world.tag_watches, 0U);
  });
}

TEST(GuardedBlocks, AChildKnowsTheBlocksThatItHasInherited) {
  begun(RF_MODE_PAGE, [] {
    rf_page_block block = {bytes, 1, RF_FAMILY_MALLOC, 0, nullptr};
    EXPECT_FALSE(rf_guarded_blocks_inherited(&block));
    world.served = 3;
    rf_guarded_blocks_forked();
    EXPECT_EQ(world.time_forks, 1U);
    EXPECT_EQ(world.inherits, 0U);
    EXPECT_FALSE(rf_guarded_blocks_inherited(&block)); // of a parent with one thread: its own
    rf_guarded_blocks_inherit();
    EXPECT_EQ(world.inherits, 1U);
    block.serial = 2;
    EXPECT_TRUE(rf_guarded_blocks_inherited(&block));
    block.serial = 3;
    EXPECT_FALSE(rf_guarded_blocks_inherited(&block));
  });
}

} // namespace
