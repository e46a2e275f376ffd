// The search for leaks as a whole (checkers/dropin/inspect/leak_check.c): what it holds while it searches, which memory
// is no root, and which leaks are reported, merged and counted.
#include "tests/dropin/leak_check_world.h"

#include "tests/checkers/recorder.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace ringfence_test {
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

// Also while it asks where blocks come from. What names modules may allocate, and comes when all is given back.
TEST_F(LeakCheck, HoldsEverythingWhileItSearches) {
  world.has_store = true;
  world.blocks = {{0x100, 10, RF_REACHABILITY_LEAKED},
                  {0x200, 20, RF_REACHABILITY_LEAKED, {kSystems + 1}, true},
                  {0x300, 20, RF_REACHABILITY_LEAKED, {kSystems + 1}}};
  EXPECT_EQ(check(RF_LEAKS_LOST).findings, 1U);
  EXPECT_EQ(world.calls, (Calls{"lock threads 1000", "lock blocks 1000", "stop 8192 in 1000", "open", "collect",
                                "close", "resume", "origin", "unlock blocks", "unlock threads", "module"}));
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
       {"lock threads 1000", "lock blocks 1000", "unlock threads"}},
      {[] { world.cannot_stop = "no way"; },
       "no way",
       {"lock threads 1000", "lock blocks 1000", "stop 8192 in 1000", "unlock blocks", "unlock threads"}},
      {[] { world.reads_stacks = false; },
       "the memory map cannot be read (/proc)",
       {"lock threads 1000", "lock blocks 1000", "stop 8192 in 1000", "open", "close", "resume", "unlock blocks",
        "unlock threads"}},
      {[] { world.reads_roots = false; },
       "the memory map cannot be read (/proc)",
       {"lock threads 1000", "lock blocks 1000", "stop 8192 in 1000", "open", "collect", "close", "resume",
        "unlock blocks", "unlock threads"}},
      {[] { world.has_memory = false; },
       "no memory for the search",
       {"lock threads 1000", "lock blocks 1000", "unlock blocks", "unlock threads"}},
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
      {0x900, 31, RF_REACHABILITY_LEAKED, {kUsers + 3}},
  };
  rf_process.options.mode = RF_MODE_GUARD;
  rf_leak_summary const out = check();
  EXPECT_EQ(told(), "31/1@2304 30/2@256 7/1@1280 5/1@768 906/2@1024 "); // direct ones first, then by bytes
  EXPECT_EQ(out.blocks, 8U);
  EXPECT_EQ(out.bytes, 10U + 20 + 5 + 6 + 7 + 900 + 4000 + 31);
  EXPECT_EQ(out.unlisted_blocks, 0U);
  const rf_finding &first = recorder_.findings()[1];
  EXPECT_EQ(first.bug, RF_BUG_LEAK);
  EXPECT_EQ(first.cwe, 401U);
  EXPECT_EQ(first.block, first.address);
  EXPECT_STREQ(first.allocator, "malloc");
  EXPECT_STREQ(first.mode, "guard");
  EXPECT_STREQ(first.detail, "nothing points to it");
  EXPECT_EQ(first.allocated.depth, 1U);
  EXPECT_EQ(first.allocated.frames[0], kUsers + 1);
  EXPECT_STREQ(recorder_.findings()[2].mode, "guard") << "whose first block is on pages of its own";
  EXPECT_STREQ(recorder_.findings()[4].detail, "only leaked blocks point to it");
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
  EXPECT_EQ(out.called_blocks, 0U);
  for (Block &block : world.blocks) {
    block.frames.push_back(kUsers + 1);
  }
  EXPECT_EQ(check(RF_LEAKS_LOST).called_blocks, 2U);
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

// A shorter stack that is the beginning of others is none of them, wherever they meet in the table.
TEST_F(LeakCheck, StacksThatBeginAlikeAreOriginsOfTheirOwn) {
  constexpr unsigned kFamilies = 1000;
  constexpr uintptr_t kDeepest = 16;
  for (uintptr_t i = 0; i < kFamilies; i++) {
    std::vector<uintptr_t> frames;
    for (uintptr_t depth = 1; depth <= kDeepest; depth++) {
      frames.push_back(kUsers + (i << 8) + depth);
    }
    for (uintptr_t depth = kDeepest; depth != 0; depth--) {
      frames.resize(depth);
      world.blocks.push_back({0x1000 + 0x10 * world.blocks.size(), 8, RF_REACHABILITY_LEAKED, frames});
    }
  }
  rf_leak_summary const out = check();
  EXPECT_EQ(out.findings, world.blocks.size());
  EXPECT_EQ(out.unlisted_blocks, 0U);
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
} // namespace ringfence_test
