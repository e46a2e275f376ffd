// The beginning of a process (checkers/dropin/process/lifecycle.c): the order of all that begins, the handlers that
// each mode needs, programs that are left to another tool, and the functions that the beginning hands out.
#include "tests/dropin/lifecycle_world.h"
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/cache.h"
#include "checkers/dropin/inspect/process_snapshot.h"
#include "checkers/dropin/runtime/thread.h"
}
#undef _Static_assert

#include <csignal>
#include <cstdio>
#include <string>

namespace ringfence_test {
namespace {

class LifecycleBegin : public Lifecycle {
protected:
  Calls begin(bool library = true) {
    return calls_of([&] { rf_process_begin(library); });
  }
  static Calls handlers() { return calls({"fatal", "terminating", "snapshot signal", "snapshot warning", "dump"}); }
};

TEST_F(LifecycleBegin, DoesEachThingOnceWhereWhatItNeedsIsThere) {
  rf_process.options.sweep_every = 500;
  rf_process.options.sweep_budget = 20;
  Calls const done = begin();
  EXPECT_EQ(done, (Calls{"port watches forks",
                         "watch forks",
                         "init",
                         "set stderr",
                         "configure",
                         "suppressions",
                         "forward",
                         "mallinfo",
                         "policy",
                         "collector",
                         "caller",
                         "roots",
                         "fatal",
                         "snapshot signal",
                         "snapshot warning",
                         "dump signal",
                         "terminating",
                         "trace",
                         "pages begin",
                         "steering",
                         "sampling",
                         "way",
                         "every 500",
                         "budget 20",
                         "begin"}));
  EXPECT_TRUE(world.library) << "known when options are read";
  EXPECT_NE(rf_process.halting, nullptr);
  EXPECT_EQ(world.log, "");
  EXPECT_EQ(world.policy, nullptr);
}

TEST_F(LifecycleBegin, ALibraryThatIsLinkedInLeavesSignalsThatEndAProcessAlone) {
  (void)begin(false);
  EXPECT_FALSE(world.library);
  EXPECT_EQ(handlers(), (Calls{"fatal", "snapshot signal", "snapshot warning", "dump signal"}));
}

TEST_F(LifecycleBegin, InstallsTheHandlersThatItsModeNeeds) {
  rf_process.options.mode = RF_MODE_OFF;
  rf_process.options.sweep_every = 500;
  (void)begin();
  EXPECT_EQ(handlers(), (Calls{"snapshot signal", "snapshot warning", "dump signal", "terminating"}));
  EXPECT_TRUE(has("every 0")) << "there is nothing to look at";
  rf_forward.now = RF_FORWARD_ON;
  (void)begin();
  EXPECT_EQ(handlers().front(), "fatal: abort") << "the C library's malloc ends the process by it";
  rf_process.options.mode = RF_MODE_SAMPLE;
  (void)begin();
  EXPECT_EQ(handlers().front(), "fatal");
  rf_process.options.signals = false;
  (void)begin();
  EXPECT_EQ(handlers(), (Calls{"snapshot signal", "snapshot warning"})) << "which the option itself names";
}

TEST_F(LifecycleBegin, KnowsWhereAllRequestsAreHandedOnAndNobodyHearsOfTheProcess) {
  auto const hands_all_on = [&](void (*change)()) {
    rf_options_default(&rf_process.options);
    rf_process.options.mode = RF_MODE_OFF;
    rf_process.options.summary = false;
    rf_forward.now = RF_FORWARD_ON;
    change();
    (void)begin();
    return rf_process.hands_all_on;
  };
  EXPECT_TRUE(hands_all_on([] {}));
  EXPECT_FALSE(hands_all_on([] { rf_process.options.mode = RF_MODE_SAMPLE; }));
  EXPECT_FALSE(hands_all_on([] { rf_process.options.summary = true; }));
  EXPECT_FALSE(hands_all_on([] { rf_process.options.verbosity = 1; }));
  EXPECT_FALSE(hands_all_on([] { rf_forward.now = RF_FORWARD_NOTHING; }));
  EXPECT_FALSE(hands_all_on([] { world.collector_is_named = true; }));
  world.collector_is_named = false;
  rf_heap_init(1);
  EXPECT_NE(rf_cache_take(0), nullptr);
  EXPECT_FALSE(hands_all_on([] {})) << "blocks came before the options";
}

TEST_F(LifecycleBegin, ASignalEndsTheProcessAsItsKindAsks) {
  (void)begin();
  recorded.clear();
  world.dying(SIGFPE);
  EXPECT_TRUE(has("lock 100"));
  EXPECT_EQ(told() + std::to_string(world.exit.number), "signal" + std::to_string(SIGFPE));
  rf_process.ended = false;
  recorded.clear();
  world.terminated(SIGTERM);
  EXPECT_EQ(looks().front(), "lock 20");
  EXPECT_EQ(told() + std::to_string(world.exit.number), "signal" + std::to_string(SIGTERM));
}

// Without our checks it would be gone.
TEST_F(LifecycleBegin, ASignalIsTooLateForAProcessThatEnds) {
  (void)begin();
  EXPECT_FALSE(world.is_late());
  auto const late_at = [](rf_process_ending ending, uint64_t gone, pid_t process = kThis) {
    bool late = false;
    world.before_log = [&] {
      world.now += gone * kMs;
      world.process = process;
      late = world.is_late();
      world.process = kThis;
    };
    rf_process.ended = false;
    (void)rf_process_end(ending, 0);
    EXPECT_FALSE(world.is_late()) << "it has ended";
    return late;
  };
  for (rf_process_ending const ending : {RF_ENDING_EXIT, RF_ENDING_ABRUPT, RF_ENDING_SIGNAL, RF_ENDING_TERMINATED}) {
    EXPECT_TRUE(late_at(ending, 0)) << ending;
    EXPECT_TRUE(late_at(ending, 4990)) << ending;
    EXPECT_FALSE(late_at(ending, 5010)) << ending << ": somebody waits";
    EXPECT_FALSE(late_at(ending, 0, kThis + 1)) << ending << ": a child of vfork";
  }
  EXPECT_FALSE(late_at(RF_ENDING_EXEC, 0)) << "the new program is to end";
  world.before_log = [] {};
}

TEST_F(LifecycleBegin, NamesTheRulesThatHold) {
  std::snprintf(rf_steering_now.rules, sizeof rf_steering_now.rules, "3,7");
  (void)begin();
  EXPECT_STREQ(world.policy, "3,7");
  rf_process.options.help = true;
  (void)begin();
  EXPECT_NE(world.log.find("rules of the collector's policy that set some of these values: 3,7\n"), std::string::npos);
}

TEST_F(LifecycleBegin, LeavesAProgramToAToolThatServesItsMalloc) {
  world.tool = true;
  rf_process.options.trace = "trace";
  rf_process.options.summary = true;
  (void)begin();
  const rf_options &o = rf_process.options;
  EXPECT_EQ(o.mode, RF_MODE_OFF);
  EXPECT_EQ(o.heap, RF_HEAP_NEXT);
  EXPECT_EQ(o.trace, nullptr);
  EXPECT_FALSE(o.signals);
  EXPECT_FALSE(o.sweep);
  EXPECT_EQ(o.leaks, RF_LEAKS_NONE);
  EXPECT_FALSE(o.summary) << "one line says all";
  EXPECT_NE(world.log.find("it is not checked by Ringfence\n"), std::string::npos);
  EXPECT_EQ(recorded.back(), "unchecked: under a tool with its own malloc");
  EXPECT_FALSE(has("begin"));
}

TEST_F(LifecycleBegin, StepsAsideForASanitizerInTheProgram) {
  world.sanitizer = "MemorySanitizer";
  (void)begin();
  EXPECT_EQ(world.sanitizer_told, 1);
  EXPECT_EQ(rf_process.options.mode, RF_MODE_GUARD) << "for what comes to it all the same";
  EXPECT_FALSE(rf_process.options.signals);
  EXPECT_FALSE(rf_process.options.sweep);
  EXPECT_EQ(rf_process.options.leaks, RF_LEAKS_NONE);
  EXPECT_EQ(handlers(), (Calls{"snapshot signal", "snapshot warning"}));
  EXPECT_EQ(recorded.back(), "begin");
}

TEST_F(LifecycleBegin, AFindingThatEndsTheProcessIsItsLastWord) {
  (void)begin();
  rf_process.findings = 1;
  for (int const code : {42, RF_EXITCODE_ABORT}) {
    recorded.clear();
    rf_process_reporter.exitcode = code;
    rf_process.halting();
    EXPECT_EQ(recorded, (Calls{"end of trace", "end of sites", "log"}));
    EXPECT_EQ(told(), code == 42 ? "status" : "signal");
    EXPECT_EQ(world.exit.number, code == 42 ? 42 : SIGABRT);
    EXPECT_EQ(world.findings_told, 1U);
    EXPECT_FALSE(world.leaks_told);
  }
}

// Its parent would wait for ever for a thread that is inside the heap.
TEST_F(LifecycleBegin, AFindingThatEndsAChildOfVforkLeavesTheHeapToItsParent) {
  (void)begin();
  rf_heap_init(1);
  rf_current_thread.cache = rf_cache_take(0);
  ASSERT_NE(rf_current_thread.cache, nullptr);
  ASSERT_TRUE(rf_cache_enter(rf_current_thread.cache));
  pid_t const id = rf_process.id;
  rf_process.id = id + 1;
  recorded.clear();
  rf_process.halting();
  EXPECT_EQ(recorded, Calls{"log"}) << "what the parent does at its own end is left to it";
  EXPECT_EQ(rf_current_thread.cache->inside, static_cast<uint32_t>(RF_CACHE_OUTSIDE));
  rf_process.id = id;
  rf_current_thread.cache = nullptr;
}

TEST_F(LifecycleBegin, DoesWhatACollectorAsksFor) {
  (void)begin();
  recorded.clear();
  world.actions->sweep();
  EXPECT_EQ(recorded, (Calls{"pages 0", "lock 1000", "heap 0", "unlock"}));
  EXPECT_EQ(world.caller, 0U) << "nobody in the program has asked";
  rf_process.options.mode = RF_MODE_OFF;
  recorded.clear();
  world.actions->sweep();
  EXPECT_TRUE(recorded.empty());
  EXPECT_TRUE(world.actions->snapshot("a"));
  EXPECT_EQ(recorded, Calls{"snapshot a"});
  world.snapshot_done = false;
  EXPECT_FALSE(world.actions->snapshot("a"));
  EXPECT_EQ(world.actions->regular_snapshot, rf_process_snapshot_regular);
}

} // namespace
} // namespace ringfence_test
