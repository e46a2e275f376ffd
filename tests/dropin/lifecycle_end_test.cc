// The end of a process (checkers/dropin/process/lifecycle.c): what is checked at which end, for how long and behind
// which locks, the status, streams that are closed on the way out; and the same checks on demand.
#include "tests/checkers/single_step.h"
#include "tests/dropin/lifecycle_world.h"
#include <ringfence/dropin.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <pthread.h>
#include <string>
#include <thread>

namespace ringfence_test {
namespace {

// ---- What is checked at which end ----

TEST_F(Lifecycle, AnExitChecksEverythingAndTellsItInTheEnd) {
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 3), 3);
  EXPECT_EQ(recorded, (Calls{"restore stderr", "all streams", "pages 0", "lock 1000", "heap 0", "unlock", "leaks",
                             "end of trace", "end of sites", "log"}));
  EXPECT_TRUE(world.ending) << "findings do not end it again";
  EXPECT_FALSE(world.cancellable);
  int state = 0;
  ASSERT_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state), 0);
  EXPECT_EQ(state, PTHREAD_CANCEL_ENABLE) << "as before";
  EXPECT_EQ(world.caller, 0U) << "no call of the program's asked for it";
  EXPECT_EQ(world.pages_caller, 0U);
}

// Else they would cut it short; a process that ends without a checker is gone by then.
TEST_F(Lifecycle, TheProgramsHandlersOfSignalsDoNotRunWithinIt) {
  world.handles_signals = true;
  for (auto const ending : {RF_ENDING_EXIT, RF_ENDING_ABRUPT, RF_ENDING_EXEC, RF_ENDING_TERMINATED, RF_ENDING_SIGNAL}) {
    SCOPED_TRACE(ending);
    (void)looks_at(ending);
    EXPECT_EQ(recorded.front(), "block signals");
    EXPECT_EQ(recorded.back(), ending <= RF_ENDING_ABRUPT ? "forget signals" : "open signals");
    recorded.clear();
    (void)rf_process_end(ending, 0);
    EXPECT_TRUE(recorded.empty()) << "only once";
  }
}

TEST_F(Lifecycle, AProgramThatAnotherMallocServesIsNotChecked) {
  std::string const line = "unchecked: with a malloc of its own";
  auto const is_told = [&](rf_process_ending ending = RF_ENDING_EXIT) {
    rf_process.ended = false;
    recorded.clear();
    (void)rf_process_end(ending, 0);
    return has(line);
  };
  EXPECT_FALSE(is_told());
  world.replaced = true;
  EXPECT_TRUE(is_told());
  EXPECT_EQ(recorded.back(), "log") << "before the end";
  EXPECT_FALSE(is_told(RF_ENDING_EXEC));
  world.allocations = 1; // it hands requests on
  EXPECT_FALSE(is_told());
  world.allocations = 0;
  world.sanitizer = "AddressSanitizer";
  EXPECT_FALSE(is_told());
  EXPECT_EQ(world.sanitizer_told, 0) << "at the beginning";
  world.sanitizer = nullptr;
  rf_process.forked = true;
  EXPECT_FALSE(is_told());
  rf_process.forked = false;
  rf_process.checked = false;
  EXPECT_FALSE(is_told()) << "modes off and sample";
}

// Each page that the end of a child writes or reads for the first time is a fault.
TEST_F(Lifecycle, AChildThatHandsAllRequestsOnEndsAtOnceUnlessSomethingWasFound) {
  rf_process.hands_all_on = true;
  rf_process.forked = true;
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 3), 3);
  EXPECT_EQ(recorded, Calls());
  rf_process.findings = 1;
  rf_process.options.exitcode = 99;
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 3), 99);
  EXPECT_TRUE(has("log"));
  rf_process.findings = 0;
  rf_process.forked = false;
  rf_process.ended = false;
  recorded.clear();
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 3), 3);
  EXPECT_TRUE(has("log")) << "the process that began it";
}

// It would cut the checks short.
TEST_F(Lifecycle, AThreadThatLeavesWhileAnotherOneIsAtTheEndWaits) {
  for (bool const for_ever : {false, true}) {
    std::atomic<int> status{-1};
    std::thread other;
    rf_process.ended = false;
    rf_process.findings = 0;
    world.naps = 0;
    world.before_log = [&] {
      rf_process.findings = 1;
      other = std::thread([&] { status = rf_process_end(RF_ENDING_ABRUPT, 5); });
      while (__atomic_load_n(&world.naps, __ATOMIC_ACQUIRE) == 0 && status == -1) {
        std::this_thread::yield();
      }
      EXPECT_EQ(status, -1);
      EXPECT_EQ(pthread_cancel(other.native_handle()), 0); // _exit is no point of cancellation
      if (for_ever) {
        world.now += 5010 * kMs;
        other.join();
        EXPECT_EQ(status, 99);
      }
    };
    EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 0), 0);
    if (!for_ever) {
      other.join();
    }
    EXPECT_EQ(status, 99) << "the end had findings";
    EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 5), 5) << "as before, afterwards";
  }
  world.before_log = [] {};
}

// When it reads the time, the end has begun for everybody or for nobody.
TEST_F(Lifecycle, AnEndThatComesWhileAnotherOneBeginsIsNoShorter) {
  for (bool const same_thread : {false, true}) {
    rf_process.ended = false;
    recorded.clear();
    int status = -1;
    auto const terminate = [&] { status = rf_process_end(RF_ENDING_TERMINATED, SIGTERM); };
    world.at_clock = [&] {
      if (same_thread) {
        terminate();
      } else {
        std::thread(terminate).join();
      }
      EXPECT_TRUE(has("log")) << "it is checked before it may go";
    };
    EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 3), 3);
    EXPECT_EQ(status, SIGTERM);
    EXPECT_EQ(calls({"log"}).size(), 1U);
    EXPECT_EQ(rf_process.ends, 0U) << "nobody waits for it";
  }
}

TEST_F(Lifecycle, OfTwoThatBeginAtOnceTheSecondWaits) {
  std::atomic<bool> begun{false};
  std::thread first;
  world.before_log = [&] {
    begun = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    rf_process.findings = 1;
  };
  world.at_clock = [&] {
    first = std::thread([] { (void)rf_process_end(RF_ENDING_EXIT, 0); });
    while (!begun) {
      std::this_thread::yield();
    }
  };
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 5), 99) << "the end had findings";
  first.join();
  EXPECT_EQ(calls({"log"}).size(), 1U);
  world.before_log = [] {};
}

TEST_F(Lifecycle, NobodyWaitsForItselfOrWhereHeMayNot) {
  int status = -1;
  auto const leave = [&] { status = rf_process_end(RF_ENDING_ABRUPT, 5); };
  auto const leave_meanwhile = [&](const std::function<void()> &act) {
    status = -1;
    rf_process.ended = false;
    world.before_log = act;
    (void)rf_process_end(RF_ENDING_EXIT, 0);
    world.before_log = [] {};
    return status;
  };
  EXPECT_EQ(leave_meanwhile(leave), 5) << "a handler, or a fault of the checks";
  EXPECT_EQ(leave_meanwhile([&] {
              world.process++;
              std::thread(leave).join();
              world.process--;
            }),
            5)
      << "a child of vfork";
  EXPECT_EQ(leave_meanwhile([&] {
              rf_forbidden_calls = RF_CALL_NANOSLEEP;
              std::thread(leave).join();
              rf_forbidden_calls = 0;
            }),
            5)
      << "a sandbox";
}

#ifdef RF_CAN_STEP

// A signal may come after any instruction of an end, and its handler leave: it would wait for what it interrupted.
TEST_F(Lifecycle, AHandlerThatInterruptsAnEndAnywhereDoesNotWaitForIt) {
  struct sigaction action = {};
  struct sigaction before = {};
  static unsigned left;
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t *, void *) {
    if (rf_process.ends != 0) {
      left += rf_process_end(RF_ENDING_ABRUPT, 5) == 5 ? 1 : 0;
    }
  };
  ASSERT_EQ(sigaction(SIGTRAP, &action, &before), 0);
  world.nap_is_long = true;
  for (rf_process_ending const ending : {RF_ENDING_EXIT, RF_ENDING_EXEC}) {
    left = 0;
    rf_process.ended = false;
    set_stepping(true);
    (void)rf_process_end(ending, 0);
    set_stepping(false);
    EXPECT_EQ(world.naps, 0U) << ending;
    EXPECT_GT(left, 100U);
    EXPECT_EQ(rf_process.ends, 0U);
  }
  EXPECT_EQ(sigaction(SIGTRAP, &before, nullptr), 0);
}

#endif

TEST_F(Lifecycle, OtherEndsLookForNoLeaksAndLeaveStreamsAlone) {
  Calls const blocks = {"pages 0", "lock 1000", "heap 0", "unlock"};
  EXPECT_EQ(looks_at(RF_ENDING_ABRUPT), blocks);
  EXPECT_EQ(looks_at(RF_ENDING_EXEC), blocks);
  EXPECT_TRUE(has("log"));
  EXPECT_FALSE(world.leaks.checked);
}

TEST_F(Lifecycle, WithoutChecksOrSweepsBlocksAreNotLookedAt) {
  rf_process.options.sweep = false;
  EXPECT_EQ(looks_at(RF_ENDING_EXIT), (Calls{"all streams", "leaks"}));
  EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM), Calls());
  rf_process.options.sweep = true;
  rf_process.checked = false;
  EXPECT_EQ(looks_at(RF_ENDING_EXIT), (Calls{"all streams", "pages 0", "lock 1000", "unlock"})) << "mode sample";
  rf_process.options.mode = RF_MODE_OFF;
  EXPECT_EQ(looks_at(RF_ENDING_EXIT), Calls());
  rf_process.checked = true;
  rf_process.options.mode = RF_MODE_GUARD;
  rf_process.options.leaks = RF_LEAKS_NONE;
  EXPECT_FALSE(looks_at(RF_ENDING_EXIT).empty());
  EXPECT_FALSE(has("leaks"));
}

TEST_F(Lifecycle, AHeapThatCannotBeLockedIsLeftAlone) {
  world.locks = false;
  EXPECT_EQ(looks_at(RF_ENDING_EXIT), (Calls{"all streams", "pages 0", "lock 1000", "leaks"}));
}

// It may have died inside the heap: there is nothing left to lose.
TEST_F(Lifecycle, AFaultLooksAtTheHeapAsItStands) {
  EXPECT_EQ(looks_at(RF_ENDING_SIGNAL, SIGSEGV), (Calls{"pages 0", "lock 100", "heap 0", "unlock"}));
  world.locks = false;
  EXPECT_EQ(looks_at(RF_ENDING_SIGNAL, SIGSEGV), (Calls{"pages 0", "lock 100", "heap 0"}));
}

// ---- A signal of somebody who waits for the end ----

TEST_F(Lifecycle, ATerminatedProcessIsCheckedForATenthOfASecond) {
  world.heap_takes = 30 * kMs;
  EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM),
            (Calls{"lock 20", "newest 100000000", "unlock", "pages 70000000"}));
  EXPECT_EQ(world.unchecked, "");
  rf_process.checked = false;
  EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM), (Calls{"lock 20", "unlock", "pages 100000000"}));
}

TEST_F(Lifecycle, ATerminatedProcessSaysWhatItHadNoTimeFor) {
  for (uint64_t const takes : {100 * kMs - 1, 100 * kMs}) {
    bool const in_time = takes < 100 * kMs;
    world.heap_takes = takes;
    EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM).size(), in_time ? 4U : 3U);
    EXPECT_EQ(world.unchecked, in_time ? "" : "there was no time");
  }
  world.heap_takes = kMs;
  world.pages_take = 99 * kMs;
  EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM).size(), 4U);
  EXPECT_EQ(world.unchecked, "there was no time");
}

TEST_F(Lifecycle, ATerminatedProcessLeavesBlocksAloneThatAThreadIsAt) {
  world.locks = false;
  EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM), (Calls{"lock 20"}));
  EXPECT_EQ(world.unchecked, "a thread was allocating");
}

// ---- Children of fork ----

TEST_F(Lifecycle, AChildLooksAtBlocksAsLongAsItsOwnAllocationsAllow) {
  rf_process.forked = true;
  EXPECT_EQ(looks_at(RF_ENDING_ABRUPT), (Calls{"pages 300000", "lock 1000", "newest 300000", "unlock"}));
  world.allocations = 1000;
  EXPECT_EQ(looks_at(RF_ENDING_ABRUPT), (Calls{"pages 2300000", "lock 1000", "newest 2300000", "unlock"}));
  (void)looks_at(RF_ENDING_EXIT);
  EXPECT_EQ(calls({"pages", "newest"}), (Calls{"pages 5000000", "newest 5000000"}));
}

TEST_F(Lifecycle, AChildThatAllocatedNothingLostNothing) {
  rf_process.forked = true;
  (void)looks_at(RF_ENDING_EXIT);
  EXPECT_FALSE(has("leaks"));
  EXPECT_TRUE(world.leaks.checked) << "and needs no search to know";
  world.allocations = 1;
  (void)looks_at(RF_ENDING_EXIT);
  EXPECT_TRUE(has("leaks"));
  world.allocations = 0;
  rf_process.options.leaks = RF_LEAKS_ALL;
  (void)looks_at(RF_ENDING_EXIT);
  EXPECT_TRUE(has("leaks"));
  rf_process.options.leaks = RF_LEAKS_LOST;
  rf_process.forked = false;
  (void)looks_at(RF_ENDING_EXIT);
  EXPECT_TRUE(has("leaks"));
}

// ---- Who ends, and how often ----

TEST_F(Lifecycle, EndsOnce) {
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 3), 3);
  recorded.clear();
  rf_process.findings = 1;
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 4), 4);
  EXPECT_TRUE(recorded.empty());
}

TEST_F(Lifecycle, AChildOfVforkEndsNothing) {
  world.process = kThis + 1;
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 4), 4);
  EXPECT_TRUE(recorded.empty());
  rf_process_leaving(0x5000, 4);
  world.process = kThis;
  (void)rf_process_end(RF_ENDING_EXIT, -1);
  EXPECT_EQ(told(), "unknown") << "nobody has left yet";
  EXPECT_NE(world.sp, 0x5000U);
}

TEST_F(Lifecycle, NothingEndsBeforeItsBeginOrWhereTheTimeMayNotBeRead) {
  rf_process.ready = false;
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 4), 4);
  rf_process.ready = true;
  rf_forbidden_calls = RF_CALL_CLOCK;
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 4), 4);
  EXPECT_TRUE(recorded.empty());
}

TEST_F(Lifecycle, AProcessWhoseExecFailedEndsAgain) {
  (void)rf_process_end(RF_ENDING_EXEC, 0);
  EXPECT_EQ(told(), "exec");
  world.process = kThis + 1;
  rf_process_resume();
  EXPECT_TRUE(rf_process.ended) << "a child of vfork resumes nothing";
  world.process = kThis;
  rf_process_resume();
  EXPECT_FALSE(rf_process.ending) << "findings end it as before";
  recorded.clear();
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 3), 3);
  EXPECT_TRUE(has("log"));
  EXPECT_EQ(told(), "status");
}

// ---- The status ----

TEST_F(Lifecycle, FindingsChangeTheStatusUnlessTheOptionSaysNot) {
  rf_process.findings = 2;
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 3), 99);
  EXPECT_EQ(world.findings_told, 2U);
  EXPECT_EQ(told() + " " + std::to_string(world.exit.number), "status 99");
  rf_process.options.exitcode = 0;
  rf_process.ended = false;
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 3), 3);
  EXPECT_EQ(world.exit.number, 3);
}

TEST_F(Lifecycle, IsToldAsTheSystemTellsIt) {
  struct {
    rf_process_ending ending;
    int status;
    std::string kind;
    int number;
  } const rows[] = {
      {RF_ENDING_EXIT, 0x105, "status", 5},     {RF_ENDING_ABRUPT, 300, "status", 44},
      {RF_ENDING_EXEC, 0, "exec", 0},           {RF_ENDING_EXEC, -1, "none", 0},
      {RF_ENDING_TERMINATED, 15, "signal", 15}, {RF_ENDING_SIGNAL, 11, "signal", 11},
      {RF_ENDING_EXIT, -1, "unknown", 0},
  };
  for (uint64_t const findings : {0, 1}) {
    for (auto const &row : rows) {
      SCOPED_TRACE(row.kind + " " + std::to_string(row.status));
      rf_process.ended = false;
      rf_process.findings = row.ending >= RF_ENDING_EXEC ? findings : 0;
      (void)rf_process_end(row.ending, row.status);
      EXPECT_EQ(told(), row.kind);
      EXPECT_EQ(world.exit.number, row.number);
    }
  }
}

TEST_F(Lifecycle, KnowsTheStackAndTheStatusThatItWasLeftWith) {
  rf_process_leaving(0x5000, 0x1FF);
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, -1), -1);
  EXPECT_EQ(world.sp, 0x5000U);
  EXPECT_EQ(told(), "status");
  EXPECT_EQ(world.exit.number, 0xFF);
  rf_process.ended = false;
  (void)rf_process_end(RF_ENDING_ABRUPT, 4);
  EXPECT_EQ(world.exit.number, 4) << "this one is the last";
}

TEST_F(Lifecycle, LooksForLeaksFromItsOwnFrameWhereNobodyHasLeft) {
  (void)rf_process_end(RF_ENDING_EXIT, 0);
  auto const here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  EXPECT_LT(world.sp, here);
  EXPECT_GT(world.sp, here - 64 * 1024);
}

// ---- Streams ----

TEST_F(Lifecycle, KeepsStandardErrorThatIsClosedOnTheWayOut) {
  EXPECT_TRUE(rf_process_closes(stderr, nullptr));
  EXPECT_FALSE(has("keep stderr")) << "the program goes on";
  rf_process_leaving(0x5000, 0);
  EXPECT_TRUE(rf_process_closes(stdout, nullptr));
  world.process = kThis + 1;
  EXPECT_TRUE(rf_process_closes(stderr, nullptr));
  EXPECT_FALSE(has("keep stderr"));
  world.process = kThis;
  EXPECT_TRUE(rf_process_closes(stderr, nullptr));
  EXPECT_TRUE(has("keep stderr"));
}

TEST_F(Lifecycle, AClosedStreamIsNotClosedAgainAndNotUsed) {
  world.freed = true;
  errno = 0;
  EXPECT_FALSE(rf_process_closes(stdin, nullptr));
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(recorded, Calls{"free"});
  recorded.clear();
  errno = 0;
  EXPECT_FALSE(rf_process_uses(stdin, nullptr));
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(recorded, Calls{"stale read 1"});
  world.stale = false;
  EXPECT_TRUE(rf_process_uses(stdin, nullptr)) << "nobody has reported it";
  world.freed = false;
  recorded.clear();
  EXPECT_TRUE(rf_process_uses(stdin, nullptr));
  EXPECT_TRUE(recorded.empty());
  EXPECT_TRUE(rf_process_closes(stdin, nullptr));
  EXPECT_EQ(recorded, Calls{"stream"});
}

// ---- On demand ----

TEST_F(Lifecycle, ASweepOnDemandLooksAtAllAndCountsWhatItFinds) {
  world.heap_findings = 2;
  world.page_findings = 3;
  EXPECT_EQ(__ringfence_sweep(), 5U);
  EXPECT_EQ(recorded, (Calls{"pages 0", "lock 1000", "heap 0", "unlock"}));
  EXPECT_NE(world.caller, 0U) << "who asked is told";
  EXPECT_EQ(world.pages_caller, world.caller);
  rf_process.options.mode = RF_MODE_OFF;
  recorded.clear();
  EXPECT_EQ(__ringfence_sweep(), 0U);
  EXPECT_TRUE(recorded.empty());
}

TEST_F(Lifecycle, ASearchForLeaksOnDemandBeginsAtItsCaller) {
  world.leaks.findings = 4;
  EXPECT_EQ(__ringfence_check_leaks(), 4U);
  auto const here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  EXPECT_LT(world.sp, here);
  EXPECT_GT(world.sp, here - 4096);
  EXPECT_FALSE(world.cancellable);
  int state = 0;
  ASSERT_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state), 0);
  EXPECT_EQ(state, PTHREAD_CANCEL_ENABLE);
  rf_process.checked = false;
  recorded.clear();
  EXPECT_EQ(__ringfence_check_leaks(), 0U);
  EXPECT_TRUE(recorded.empty());
}

} // namespace
} // namespace ringfence_test
