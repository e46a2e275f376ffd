// The search for leaks as a whole (checkers/dropin/inspect/leak_check.c): what it holds while it searches, which memory
// is no root, and which leaks are reported, merged and counted. Heap, pages, threads and modules are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/leak_check.h"
#include "checkers/dropin/inspect/reachability.h"
#include "checkers/dropin/inspect/told_leaks.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/module.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/process_reporter.h"
#include "checkers/dropin/runtime/sandbox.h"
#include "checkers/dropin/runtime/state.h"
}
#undef _Static_assert

#include "tests/checkers/recorder.h"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

using Ranges = std::vector<std::pair<uintptr_t, uintptr_t>>;

constexpr uintptr_t kStackPointer = 0x7000;
constexpr uintptr_t kUsers = 0x10000; // addresses in the program's code; others follow, 0x1000 for each kind of module
constexpr uintptr_t kRuntime = 0x11000;
constexpr uintptr_t kLoader = 0x12000;
constexpr uintptr_t kSystems = 0x13000;
constexpr uintptr_t kStripped = 0x14000;
constexpr uintptr_t kRingfence = 0x15000;
constexpr uintptr_t kNowhere = 0x16000;

const rf_known_module kModules[] = {
    {kUsers, kRuntime, false, false, true, true},       {kRuntime, kLoader, true, false, true, false},
    {kLoader, kSystems, true, true, true, false},       {kSystems, kStripped, false, false, true, false},
    {kStripped, kRingfence, false, false, false, true}, {kRingfence, kNowhere, true, false, true, true}};

struct Block {
  uintptr_t start;
  size_t size;
  rf_reachability_state state;
  std::vector<uintptr_t> frames = {kUsers + 1};
  bool paged = false;
  bool live = true; // still, when it is asked where it was allocated
};

struct World {
  std::vector<Block> blocks;
  std::vector<std::string> calls;
  std::set<uintptr_t> told;
  std::vector<bool> noted;
  Ranges excluded;
  const rf_site *site = nullptr; // of all blocks
  const char *cannot_stop = nullptr;
  const rf_known_module *program = &kModules[0];
  bool sandbox = false;
  bool threads_locked = true;
  bool world_locked = true;
  bool has_memory = true;
  bool has_table = true;
  bool reads_stacks = true;
  bool reads_roots = true;
  bool has_store = false;
  bool to_program = false;
  void *memory = nullptr;
  size_t size = 0;
};

World world;
char the_store;

rf_trace trace_of(const Block &block) {
  rf_trace trace = {};
  trace.site = world.site;
  trace.depth = static_cast<unsigned>(block.frames.size());
  std::copy(block.frames.begin(), block.frames.end(), trace.frames);
  return trace;
}

// They are in order of their addresses.
const Block *block_at(const void *start) {
  auto const address = reinterpret_cast<uintptr_t>(start);
  auto const found = std::lower_bound(world.blocks.begin(), world.blocks.end(), address,
                                      [](const Block &block, uintptr_t at) { return block.start < at; });
  return found == world.blocks.end() || found->start != address ? nullptr : &*found;
}

rf_page_store *store_of_test() {
  return reinterpret_cast<rf_page_store *>(&the_store);
}

// Two ranges, from this address on.
bool range_of(uintptr_t first, unsigned index, uintptr_t *start, uintptr_t *end) {
  *start = first + 0x100 * index;
  *end = *start + 0x10;
  return index < 2;
}

} // namespace

extern "C" {

rf_guarded_blocks_state rf_guarded_blocks;

// ---- Locks ----

bool rf_sandbox_forbids_search() {
  return world.sandbox;
}

bool rf_thread_lock(unsigned ms) {
  world.calls.push_back("lock threads " + std::to_string(ms));
  return world.threads_locked;
}

void rf_thread_unlock() {
  world.calls.emplace_back("unlock threads");
}

bool rf_lock_all(unsigned ms) {
  world.calls.push_back("lock heap " + std::to_string(ms));
  return world.world_locked;
}

void rf_unlock_all() {
  world.calls.emplace_back("unlock heap");
}

void rf_page_lock_all() {
  world.calls.emplace_back("lock pages");
}

void rf_page_unlock_all() {
  world.calls.emplace_back("unlock pages");
}

const char *rf_stop_the_world(rf_stopped *stopped, unsigned ms) {
  world.calls.push_back("stop " + std::to_string(stopped->capacity) + " in " + std::to_string(ms));
  return world.cannot_stop;
}

void rf_resume_the_world(rf_stopped *) {
  world.calls.emplace_back("resume");
}

// ---- Memory ----

void *rf_pages_map(size_t size, size_t, size_t) {
  world.size = size;
  world.memory = world.has_memory ? std::calloc(1, size) : nullptr;
  return world.memory;
}

void rf_pages_unmap(void *start, size_t size) {
  EXPECT_EQ(start, world.memory);
  EXPECT_EQ(size, world.size);
  std::free(start);
  world.memory = nullptr;
}

void *rf_record_table(size_t) {
  static char table[16];
  return world.has_table ? table : nullptr;
}

bool rf_record_range(unsigned index, uintptr_t *start, uintptr_t *end) {
  return range_of(0x1000, index, start, end);
}

bool rf_heap_each_range(rf_range_fn visit, void *context) {
  return visit(0x2000, 0x2010, context) && visit(0x2100, 0x2110, context);
}

bool rf_page_store_space(const rf_page_store *, unsigned index, uintptr_t *start, uintptr_t *end) {
  return range_of(0x3000, index, start, end);
}

bool rf_page_store_own_memory(const rf_page_store *, unsigned index, uintptr_t *start, uintptr_t *end) {
  return range_of(0x4000, index, start, end);
}

// ---- Roots ----

bool rf_ranges_add(rf_ranges *ranges, uintptr_t start, uintptr_t end) {
  if (ranges->count == ranges->capacity) {
    return false;
  }
  ranges->list[ranges->count++] = {start, end};
  return true;
}

void rf_ranges_sort(rf_ranges *ranges) {
  world.excluded.clear();
  for (size_t i = 0; i < ranges->count; i++) {
    world.excluded.emplace_back(ranges->list[i].start, ranges->list[i].end);
  }
  std::sort(world.excluded.begin(), world.excluded.end());
}

bool rf_roots_exclude_library(rf_roots *roots) {
  return rf_ranges_add(&roots->excluded, 0x500, 0x510);
}

void rf_roots_open(rf_roots *) {
  world.calls.emplace_back("open");
}

void rf_roots_close(rf_roots *) {
  world.calls.emplace_back("close");
}

bool rf_roots_stacks(rf_roots *, rf_stopped *, uintptr_t sp) {
  EXPECT_EQ(sp, kStackPointer);
  return world.reads_stacks;
}

size_t rf_reachability_count_blocks() {
  return world.blocks.size();
}

size_t rf_reachability_count_slots() {
  return 2 * world.blocks.size();
}

void rf_reachability_collect(rf_reachability *table) {
  EXPECT_EQ(table->capacity, world.blocks.size());
  EXPECT_EQ(table->index_capacity, 2 * world.blocks.size());
  world.calls.emplace_back("collect");
  for (const Block &block : world.blocks) {
    table->blocks[table->count++] = {block.start, block.size, block.state, block.paged, nullptr};
  }
}

bool rf_reachability_mark(rf_reachability *) {
  return world.reads_roots;
}

// ---- Blocks and where they come from ----

bool rf_heap_live(const void *ptr, rf_view *out) {
  static rf_slot slot;
  const Block *const block = block_at(ptr);
  EXPECT_TRUE(block != nullptr && !block->paged);
  out->slot = &slot;
  slot.allocated = static_cast<uint32_t>(block - world.blocks.data());
  slot.allocated_by = 7;
  return block->live;
}

void rf_check_trace(uint32_t stack, uint16_t thread, rf_trace *out) {
  EXPECT_EQ(thread, 7);
  *out = trace_of(world.blocks[stack]);
}

bool rf_page_store_allocated(rf_page_store *store, const void *ptr, rf_trace *out) {
  const Block *const block = block_at(ptr);
  EXPECT_EQ(store, store_of_test());
  EXPECT_TRUE(block != nullptr && block->paged);
  *out = trace_of(*block);
  return block->live;
}

const rf_known_module *rf_known_module_find(rf_known_modules *, uintptr_t address) {
  auto const *const found = std::find_if(std::begin(kModules), std::end(kModules), [address](const rf_known_module &m) {
    return address >= m.start && address < m.end;
  });
  return found == std::end(kModules) ? nullptr : found;
}

const rf_known_module *rf_known_module_of_program(rf_known_modules *) {
  return world.program;
}

rf_process_state rf_process = {};

bool rf_process_reports_to_program() {
  return world.to_program;
}

bool rf_told_leaks_has(uintptr_t start, size_t, bool note) {
  world.noted.push_back(note);
  return world.told.count(start) != 0;
}
}

namespace {

class LeakCheck : public testing::Test {
protected:
  LeakCheck() { world = World(); }
  ~LeakCheck() override { EXPECT_EQ(world.memory, nullptr); }

  rf_leak_summary check(rf_leaks policy = RF_LEAKS_ALL) {
    rf_leak_summary out;
    recorder_.take();
    rf_guarded_blocks.store = world.has_store ? store_of_test() : nullptr;
    rf_leak_check(policy, kStackPointer, recorder_.reporter(), &out);
    EXPECT_EQ(out.findings, recorder_.count());
    EXPECT_EQ(out.checked, out.why == nullptr && policy != RF_LEAKS_NONE);
    return out;
  }

  // Bytes, blocks and the address of each finding, in order.
  std::string told() {
    std::string text;
    for (const rf_finding &f : recorder_.findings()) {
      text += std::to_string(f.size) + "/" + std::to_string(f.blocks) + "@" + std::to_string(f.address) + " ";
    }
    return text;
  }

  std::string why_not() {
    const char *const why = check().why;
    return why == nullptr ? "" : why;
  }

  ringfence::Recorder recorder_;
};

using Calls = std::vector<std::string>;

// The first: where there is a table of threads, it stays.
TEST_F(LeakCheck, WithoutATableOfThreadsThereIsNoSearch) {
  world.has_table = false;
  EXPECT_EQ(why_not(), "no memory for the search");
}

TEST_F(LeakCheck, HoldsEverythingWhileItSearches) {
  EXPECT_EQ(why_not(), "");
  EXPECT_EQ(world.calls, (Calls{"lock threads 1000", "lock heap 1000", "lock pages", "stop 8192 in 1000", "open",
                                "collect", "close", "resume", "unlock pages", "unlock heap", "unlock threads"}));
}

TEST_F(LeakCheck, GivesBackWhatItHasWhereItCannotSearch) {
  struct {
    void (*hinder)();
    const char *why;
    Calls calls;
  } const cases[] = {
      {[] { world.sandbox = true; }, "the program forbids itself the system calls that this takes (seccomp)", {}},
      {[] { world.threads_locked = false; }, "a thread is inside an allocation function", {"lock threads 1000"}},
      {[] { world.world_locked = false; },
       "a thread is inside an allocation function",
       {"lock threads 1000", "lock heap 1000", "unlock threads"}},
      {[] { world.cannot_stop = "no way"; },
       "no way",
       {"lock threads 1000", "lock heap 1000", "lock pages", "stop 8192 in 1000", "unlock pages", "unlock heap",
        "unlock threads"}},
      {[] { world.reads_stacks = false; },
       "the memory map cannot be read (/proc)",
       {"lock threads 1000", "lock heap 1000", "lock pages", "stop 8192 in 1000", "open", "close", "resume",
        "unlock pages", "unlock heap", "unlock threads"}},
      {[] { world.reads_roots = false; },
       "the memory map cannot be read (/proc)",
       {"lock threads 1000", "lock heap 1000", "lock pages", "stop 8192 in 1000", "open", "collect", "close", "resume",
        "unlock pages", "unlock heap", "unlock threads"}},
      {[] { world.has_memory = false; },
       "no memory for the search",
       {"lock threads 1000", "lock heap 1000", "lock pages", "unlock pages", "unlock heap", "unlock threads"}},
  };
  for (const auto &c : cases) {
    world = World();
    world.blocks = {{0x100, 10, RF_REACHABILITY_LEAKED}};
    c.hinder();
    rf_leak_summary const out = check();
    EXPECT_STREQ(out.why, c.why);
    EXPECT_EQ(world.calls, c.calls) << c.why;
    EXPECT_EQ(out.blocks, 0U);
    EXPECT_EQ(recorder_.count(), 0U);
  }
}

TEST_F(LeakCheck, IsNotMadeWhereNobodyAsks) {
  world.blocks = {{0x100, 10, RF_REACHABILITY_LEAKED}};
  EXPECT_EQ(check(RF_LEAKS_NONE).why, nullptr);
  EXPECT_EQ(world.calls, Calls());
}

TEST_F(LeakCheck, ItsOwnMemoryIsNoRoot) {
  for (bool const paged : {false, true}) {
    Ranges expected = {{0x500, 0x510}, {0x1000, 0x1010}, {0x1100, 0x1110}, {0x2000, 0x2010}, {0x2100, 0x2110}};
    world = World();
    world.has_store = paged;
    if (paged) {
      expected.insert(expected.end(), {{0x3000, 0x3010}, {0x3100, 0x3110}, {0x4000, 0x4010}, {0x4100, 0x4110}});
    }
    EXPECT_EQ(why_not(), "");
    ASSERT_FALSE(world.excluded.empty());
    EXPECT_GE(world.excluded.back().second - world.excluded.back().first, RF_ROOTS_BUFFER); // that of the search
    EXPECT_EQ(world.excluded.back().second - world.excluded.back().first, world.size);
    world.excluded.pop_back();
    EXPECT_EQ(world.excluded, expected);
  }
}

TEST_F(LeakCheck, BlocksOfOneOriginAreOneFinding) {
  world.has_store = true;
  world.blocks = {
      {0x100, 10, RF_REACHABILITY_LEAKED},
      {0x200, 20, RF_REACHABILITY_LEAKED, {kUsers + 1}, true},
      {0x300, 5, RF_REACHABILITY_LEAKED, {kUsers + 1, kUsers + 2}},
      {0x400, 6, RF_REACHABILITY_LEAKED_INDIRECTLY, {kUsers + 9}},
      {0x500, 7, RF_REACHABILITY_LEAKED, {kUsers + 9}, true},
      {0x600, 8, RF_REACHABILITY_REACHABLE},
      {0x700, 900, RF_REACHABILITY_LEAKED_INDIRECTLY, {kUsers + 9}},
      {0x800, 4000, RF_REACHABILITY_LEAKED, {kUsers + 1}, false, false}, // freed meanwhile
  };
  rf_process.options.mode = RF_MODE_GUARD;
  rf_leak_summary const out = check();
  EXPECT_EQ(told(), "30/2@256 7/1@1280 5/1@768 906/2@1024 "); // direct ones first, then by bytes
  EXPECT_EQ(out.blocks, 7U);
  EXPECT_EQ(out.bytes, 10U + 20 + 5 + 6 + 7 + 900 + 4000);
  EXPECT_EQ(out.unlisted_blocks, 0U);
  const rf_finding &first = recorder_.findings()[0];
  EXPECT_EQ(first.bug, RF_BUG_LEAK);
  EXPECT_EQ(first.cwe, 401U);
  EXPECT_EQ(first.block, first.address);
  EXPECT_STREQ(first.allocator, "malloc");
  EXPECT_STREQ(first.mode, "guard");
  EXPECT_STREQ(first.detail, "nothing points to it");
  EXPECT_EQ(first.allocated.depth, 1U);
  EXPECT_EQ(first.allocated.frames[0], kUsers + 1);
  EXPECT_STREQ(recorder_.findings()[1].mode, "guard") << "whose first block is on pages of its own";
  EXPECT_STREQ(recorder_.findings()[3].detail, "only leaked blocks point to it");
}

TEST_F(LeakCheck, ReachableBlocksAreTellableAndNoLeaks) {
  world.blocks = {{0x100, 10, RF_REACHABILITY_REACHABLE}, {0x200, 20, RF_REACHABILITY_LEAKED}};
  rf_leak_summary const out = check(RF_LEAKS_REACHABLE);
  EXPECT_EQ(recorder_.count(), 2U);
  EXPECT_STREQ(recorder_.findings()[0].detail, "still reachable");
  EXPECT_EQ(out.blocks, 1U);
  EXPECT_EQ(out.bytes, 20U);
}

TEST_F(LeakCheck, LeaksThatWereToldAreCountedOnly) {
  world.to_program = true;
  world.told = {0x100, 0x300};
  world.blocks = {{0x100, 10, RF_REACHABILITY_LEAKED},
                  {0x200, 20, RF_REACHABILITY_LEAKED},
                  {0x300, 30, RF_REACHABILITY_LEAKED, {kUsers + 2}}};
  rf_leak_summary const out = check(RF_LEAKS_LOST);
  EXPECT_EQ(told(), "20/1@512 ");
  EXPECT_EQ(out.blocks, 3U);
  EXPECT_EQ(out.unlisted_blocks, 0U);
  EXPECT_EQ(world.noted, std::vector<bool>(3, true));
  world.to_program = false;
  world.noted.clear();
  (void)check();
  EXPECT_EQ(world.noted, std::vector<bool>(3, false));
}

TEST_F(LeakCheck, LeaksOfTheSystemAreCountedWithThoseThatWereTold) {
  world.told = {0x100};
  world.blocks = {{0x100, 10, RF_REACHABILITY_LEAKED, {kSystems + 1}},
                  {0x200, 20, RF_REACHABILITY_LEAKED, {kSystems + 1}}};
  rf_leak_summary const out = check(RF_LEAKS_LOST);
  EXPECT_EQ(recorder_.count(), 0U);
  EXPECT_EQ(out.unlisted_blocks, 2U);
  EXPECT_EQ(out.unlisted_bytes, 30U);
  EXPECT_EQ(check(RF_LEAKS_ALL).unlisted_blocks, 0U);
  EXPECT_EQ(recorder_.count(), 1U);
}

// By the byte before the return address, since a call may be the last instruction of its module.
TEST_F(LeakCheck, ALeakIsListedByWhoMadeIt) {
  struct {
    std::vector<uintptr_t> frames;
    bool is_listed;
    bool is_called = false; // by the user's code, where it is not listed
  } const cases[] = {
      {{kUsers + 1}, true},
      {{kRuntime}, true}, // the call ends the program's module
      {{kSystems + 1, kUsers + 1}, false, true},
      {{kRuntime + 1, kSystems + 1, kStripped + 1, kUsers + 1}, false, true},
      {{kSystems + 1, kStripped + 1}, false},
      {{kSystems + 1, kRingfence + 1}, false},
      {{kRingfence + 1, kUsers + 1}, true},
      {{kRuntime + 1, kUsers + 1}, true},
      {{kRuntime + 1, kSystems + 1}, false},
      {{kNowhere + 1, kStripped + 1, kUsers + 1}, false, true},
      {{kNowhere + 1, kUsers + 1}, true},
      {{kNowhere + 1, kNowhere + 2}, true}, // the program's
      {{}, true},
      {{kLoader + 1, kUsers + 1}, true},
      {{kLoader + 1, kRuntime + 1, kUsers + 1}, true},
      {{kRuntime + 1, kLoader + 1, kUsers + 1}, true},
      {{kLoader + 1, kLoader + 2, kUsers + 1}, false},
      {{kLoader + 1, kSystems, kUsers + 1}, false},
      {{kLoader + 1}, true},
  };
  for (const auto &c : cases) {
    world.blocks = {{0x100, 10, RF_REACHABILITY_LEAKED, c.frames}};
    rf_leak_summary const out = check(RF_LEAKS_LOST);
    EXPECT_EQ(out.findings, c.is_listed ? 1U : 0U) << testing::PrintToString(c.frames);
    EXPECT_EQ(out.called_blocks, c.is_called ? 1U : 0U) << testing::PrintToString(c.frames);
  }
  static rf_site site;
  world.site = &site;
  world.blocks = {{0x100, 10, RF_REACHABILITY_LEAKED, {kSystems + 1}}};
  EXPECT_EQ(check(RF_LEAKS_LOST).findings, 1U);
  world.site = nullptr;
  world.blocks = {{0x100, 10, RF_REACHABILITY_LEAKED, {}}};
  for (const rf_known_module *const program :
       {&kModules[3], &kModules[4], static_cast<const rf_known_module *>(nullptr)}) {
    world.program = program;
    EXPECT_EQ(check(RF_LEAKS_LOST).findings, 0U);
  }
}

// Only so many origins are told apart; leaks of the others are counted.
TEST_F(LeakCheck, LeaksOfTooManyOriginsAreCounted) {
  constexpr unsigned kMost = 16384;
  for (uintptr_t i = 0; i < kMost + 3; i++) {
    bool const leaked = i != kMost + 1;
    world.blocks.push_back(
        {0x1000 + 0x10 * i, 8, leaked ? RF_REACHABILITY_LEAKED : RF_REACHABILITY_REACHABLE, {i + 1}});
  }
  rf_leak_summary const out = check(RF_LEAKS_REACHABLE);
  EXPECT_EQ(out.findings, kMost);
  EXPECT_EQ(out.blocks, kMost + 2U);
  EXPECT_EQ(out.unlisted_blocks, 2U);
  EXPECT_EQ(out.unlisted_bytes, 16U);
}

} // namespace
