// Processes that signals end, and handlers on stacks of their own, under the drop-in.
#include "tests/dropin/run.h"

#include <csignal>
#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

// ---- On a stack that is too small for what we do there ----

struct OnSmallStack {
  const char *what; // in programs/small_stacks.c
  int status;       // without findings
  const char *bug;  // of a finding, "" for none
  bool in_off;      // not a matter of checked blocks
};

const OnSmallStack kOnSmallStacks[] = {
    {"exit", 7, "", true},
    {"_exit", 7, "", true},
    {"abort", 128 + SIGABRT, "", true},
    {"terminate", 128 + SIGTERM, "", true},
    {"exec", 7, "", true},
    {"fexec", 7, "", true},
    {"spawn", 7, "", true},
    {"system", 7, "", true},
    {"popen", 7, "", true},
    {"dlclose", 7, "", true},
    {"free", 7, "", false},
    {"damage_and_exit", 99, "heap-buffer-overflow", false},
    {"double_free", 99, "double-free", false},
    {"damage_and_free", 99, "heap-buffer-overflow", false},
    {"damage_and_realloc", 99, "heap-buffer-overflow", false},
    {"grow_damaged", 99, "heap-buffer-overflow", false},
    {"bad_free", 99, "bad-free", false},
    {"bad_realloc", 99, "bad-free", false},
    {"bad_usable_size", 99, "bad-malloc_usable_size", false},
    {"too_big", 99, "allocation-size-too-big", false},
};

void expect_done(const OnSmallStack &each, const std::string &stack, const std::string &mode) {
  SCOPED_TRACE(mode + " " + stack + " " + each.what);
  Result const result = run({program("small_stacks"), stack, each.what}, with("leaks=0:rejected=1:mode=" + mode));
  EXPECT_EQ(result.status, each.status);
  ASSERT_EQ(result.findings.size(), each.bug[0] == '\0' ? 0U : 1U);
  EXPECT_EQ(result.findings.empty() ? "" : result.findings[0]["bug"].text, each.bug);
}

TEST(ProcessSignals, DoesAsWellOnASmallStack) {
  for (const OnSmallStack &each : kOnSmallStacks) {
    for (const char *const stack : {"handler", "coroutine"}) {
      for (const char *const mode : {"off", "sample", "guard", "page"}) {
        if (each.in_off || mode == std::string("guard") || mode == std::string("page")) {
          expect_done(each, stack, mode);
        }
      }
    }
  }
}

#if defined(__x86_64__) && defined(__GLIBC__)
// The C library's own take 200 bytes, but for 1.6 KiB where the loader looks for a function first.
TEST(ProcessSignals, ARequestTakesLittleOfTheStack) {
  How how = with("leaks=0:mode=guard");
  how.environment.emplace_back("LD_BIND_NOW", "1");
  Result const guard = run({program("stack_need"), "2048"}, how);
  EXPECT_EQ(guard.status, 5) << guard.out;
  how = with("leaks=0:mode=page");
  how.environment.emplace_back("LD_BIND_NOW", "1");
  Result const page = run({program("stack_need"), "2560"}, how);
  EXPECT_EQ(page.status, 5) << page.out;
}
#endif

TEST(ProcessSignals, FindsWhatAHandlerInEightKiBDoes) {
  for (const OnSmallStack &each : kOnSmallStacks) {
    for (const char *const mode : {"guard:watch=0", "guard:watch=1", "page", "guard:halt=0", "page:halt=0"}) {
      if (!each.in_off) {
        expect_done(each, "least", mode);
      }
    }
  }
}

TEST(ProcessSignals, WhoseStackForHandlersWasFreedIsToldOfTheSignal) {
  for (const char *const mode : {"mode=page", "mode=page:halt=0", "mode=guard:watch=1"}) {
    SCOPED_TRACE(mode);
    Result const bad = run({program("small_stacks"), "freed", "bad"}, with(mode));
    EXPECT_EQ(bad.status, 99);
    ASSERT_EQ(bad.findings.size(), 1U);
    EXPECT_EQ(bad.findings[0]["bug"].text, "heap-use-after-free");
    EXPECT_EQ(bad.findings[0]["access"].text, "write");
    EXPECT_EQ(bad.findings[0]["size"].number, 65536);
    EXPECT_EQ(bad.findings[0]["freed"].kind, Json::kTrue);
    Result const good = run({program("small_stacks"), "freed", "good"}, with(mode));
    EXPECT_EQ(good.status, 0);
    EXPECT_EQ(good.findings.size(), 0U);
  }
}

TEST(ProcessSignals, OfGoAreHandledOnTheStacksOfItsRuntime) {
  for (const char *const mode :
       {"mode=off", "mode=guard", "mode=guard:watch=1", "mode=sample:sample_rate=1", "mode=page"}) {
    SCOPED_TRACE(mode);
    Result const result = run({program("go_runtime")}, with(mode));
    EXPECT_EQ(result.status, 7);
    EXPECT_EQ(result.findings.size(), 0U);
  }
}

TEST(ProcessSignals, ThatWaitGoOnWaiting) {
  for (int const number : {SIGABRT, SIGFPE, SIGILL, SIGTRAP, SIGBUS, SIGSEGV}) {
    for (const char *const mode : {"mode=off", "mode=guard", "mode=guard:watch=1", "mode=sample", "mode=page"}) {
      SCOPED_TRACE(std::to_string(number) + " " + mode);
      Result const result = run({program("odd_ends"), "waits", std::to_string(number)}, with(mode));
      EXPECT_EQ(result.status, 5);
      EXPECT_EQ(result.findings.size(), 0U);
    }
  }
  Result const bad = run({program("odd_ends"), "waits", std::to_string(SIGABRT), "bad"}, with(""));
  EXPECT_EQ(bad.status, 99);
  EXPECT_GE(bad.findings.size(), 1U) << "the child sees it, too, where it has the time";
}

// The handler of faults has a stack of its own, so that of a coroutine does not matter.
TEST(ProcessSignals, FindsAnAccessOfACoroutineOnASmallStack) {
  Result const result = run({program("small_stacks"), "coroutine", "write_after_free"}, with("leaks=0:mode=page"));
  EXPECT_EQ(result.status, 99);
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
}

TEST(ProcessSignals, ASecondOneDoesNotCutTheChecksForTheFirstShort) {
  for (int round = 0; round < 5; round++) {
    Result const result = run({program("signalled_twice")}, with(""));
    EXPECT_EQ(result.status, 128 + SIGTERM);
    ASSERT_EQ(result.findings.size(), 1U);
    EXPECT_EQ(result.findings[0]["bug"].text, "heap-buffer-overflow");
  }
}

// As a program in strict C (-std=c11) does where it says signal.
TEST(ProcessSignals, HandlersThatAreSetBySystemVsFormsAreKnown) {
  Result const fault = run({program("strict_signals"), "fault"}, with(""));
  EXPECT_EQ(fault.status, 128 + SIGSEGV);
  ASSERT_EQ(fault.findings.size(), 1U);
  EXPECT_EQ(fault.findings[0]["bug"].text, "SEGV");
  Result const damage = run({program("strict_signals"), "damage"}, with(""));
  EXPECT_EQ(damage.status, 128 + SIGTERM);
  ASSERT_EQ(damage.findings.size(), 1U);
  EXPECT_EQ(damage.findings[0]["bug"].text, "heap-buffer-overflow");
  for (const char *const mode : {"mode=off", "mode=guard", "mode=page"}) {
    EXPECT_EQ(run({program("strict_signals"), "handled"}, with(mode)).status, 5) << mode;
  }
}

TEST(ProcessSignals, AHandlerThatLeavesTheProcessDoesNotCutItsLastChecksShort) {
  for (const char *const way : {"_exit", "jump"}) {
    for (const char *const mode : {"mode=guard", "mode=page"}) {
      SCOPED_TRACE(std::string(way) + " " + mode);
      How how = with(mode);
      how.log = false;
      Result const result = run({program("handled_at_end"), way}, how);
      EXPECT_EQ(result.status, 99);
      size_t told = 0;
      for (size_t at = 0; (at = result.err.find("SUMMARY: Ringfence: heap-buffer-overflow", at)) != std::string::npos;
           at++) {
        told++;
      }
      EXPECT_EQ(told, 12U);
    }
  }
}

const std::pair<const char *, int> kSignals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},
                                                 {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM},
                                                 {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"XCPU", SIGXCPU}};

TEST(ProcessSignals, EndedByASignalIsCheckedAndSummedUp) {
  for (const auto &[name, number] : kSignals) {
    SCOPED_TRACE(name);
    Result const good = run({program("process"), "signal" + std::to_string(number)}, with("summary=1"));
    EXPECT_EQ(good.status, 128 + number);
    EXPECT_EQ(good.findings.size(), 0U);
    EXPECT_GE(good.last("summary")["allocations"].number, 1);
    Result const bad = run({program("process"), "signal" + std::to_string(number), "bad"}, with("summary=1"));
    EXPECT_EQ(bad.status, 128 + number) << "as without";
    ASSERT_EQ(bad.findings.size(), 1U);
    EXPECT_EQ(bad.findings[0]["bug"].text, "heap-buffer-overflow");
  }
}

TEST(ProcessSignals, EndedByASignalIsCheckedInPageAndSample) {
  for (const char *const mode : {"page", "sample:heap=own", "off:heap=own"}) {
    Result const result = run({program("process"), "signal15"}, with("summary=1:mode=" + std::string(mode)));
    EXPECT_EQ(result.status, 128 + SIGTERM) << mode;
    EXPECT_GE(result.last("summary")["allocations"].number, 1) << mode;
  }
}

TEST(ProcessSignals, WithSignalsOffIsEndedAtOnce) {
  Result const result = run({program("process"), "signal15", "bad"}, with("summary=1:signals=0"));
  EXPECT_EQ(result.status, 128 + SIGTERM);
  EXPECT_EQ(result.findings.size(), 0U);
  EXPECT_EQ(result.last("summary").kind, Json::kNothing);
}

TEST(ProcessSignals, EndedByTimeoutIsChecked) {
  Result const result = run({"timeout", "-s", "TERM", "0.3", program("process"), "sleep", "bad"}, with(""));
  EXPECT_EQ(result.status, 124);
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.findings[0]["bug"].text, "heap-buffer-overflow");
}

// Its summary comes at exit: the signal did nothing.
TEST(ProcessSignals, GoesOnWhereItsSignalIsIgnored) {
  Result const result = run({"nohup", program("process"), "signal1"}, with("summary=1"));
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(run({program("process"), "blocked"}, with("summary=1")).status, 0);
}

TEST(ProcessSignals, OfAContainerGoesOnWhereItsSignalsEndNothing) {
  std::string const as_first = "unshare --user --map-root-user --pid --fork ";
  if (run_bare({"sh", "-c", as_first + "true"}).status != 0) {
    GTEST_SKIP() << "no containers here";
  }
  Result const result = run({"sh", "-c", as_first + program("process") + " signal15"}, with("summary=1"));
  EXPECT_EQ(result.status, 0) << result.err;
}

// ---- Ignored faults ----

const char *const kModes[] = {"mode=off", "mode=guard", "mode=guard:watch=1", "mode=sample", "mode=page"};

TEST(ProcessSignals, AProgramThatItStartsIgnoresTheFaultsThatItIgnored) {
  for (const char *const way : {"exec", "file", "vfork", "spawn", "thread", "system", "popen"}) {
    for (const char *const mode : kModes) {
      SCOPED_TRACE(std::string(way) + " " + mode);
      EXPECT_EQ(run({program("process"), std::string("ignore_") + way}, with(mode)).status, 3);
    }
  }
}

TEST(ProcessSignals, AProgramThatItSpawnsHasTheDefaultActionsThatItAskedFor) {
  for (const char *const mode : kModes) {
    EXPECT_EQ(run({program("process"), "ignore_default"}, with(mode)).status, 4) << mode;
  }
}

TEST(ProcessSignals, FindsAnAccessAfterItStartedAProgramWithFaultsIgnored) {
  for (const char *const way : {"exec", "spawn", "system"}) {
    SCOPED_TRACE(way);
    Result const result = run({program("process"), std::string("ignore_vain_") + way}, with("mode=page"));
    EXPECT_EQ(result.status, 99);
    ASSERT_EQ(result.findings.size(), 1U);
    EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
  }
}

TEST(ProcessSignals, KilledLeavesNoSummary) {
  Result const result = run({program("process"), "signal9"}, with("summary=1"));
  EXPECT_EQ(result.status, 128 + SIGKILL);
  EXPECT_EQ(result.last("start").kind, Json::kObject);
  EXPECT_EQ(result.last("summary").kind, Json::kNothing);
}

} // namespace
} // namespace ringfence_test
