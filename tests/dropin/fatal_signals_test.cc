// Handlers of signals that end a process (checkers/dropin/process/fatal_signals.c): for which signals, what is
// reported and checked, in which order, and that the process ends of the same signal. The reporters, the
// checks and the system are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/process/fatal_signals.h"
#include "checkers/dropin/runtime/crash.h"
#include "checkers/dropin/runtime/libc_abort.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/unmapped.h"
#include "checkers/os/reserve_stack.h"
}
#undef _Static_assert
#include "tests/dropin/calls.h"

#include <cerrno>
#include <csignal>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

using ringfence_test::call;
using ringfence_test::Calls;
using ringfence_test::calls_of;
using ringfence_test::recorded;
using ringfence_test::RecordsCalls;

namespace {

struct World {
  std::map<int, struct sigaction> installed;
  bool again = true; // each of them
  bool settles = false;
  bool explains = false; // the unmapped block, or the fill
  bool aborts = false;   // the fault is abort's own
  bool faults_again = false;
  int fault_of_check = 0; // a signal
  pid_t process = 4711;
  int blocked = 0; // a signal
  bool late = false;
  uintptr_t server = 0;
  bool (*holds)(const void *, void *) = nullptr;
};

World world;

void handle(int number, int code) {
  siginfo_t info = {};
  info.si_signo = number;
  info.si_code = code;
  world.installed.at(number).sa_sigaction(number, &info, &world);
}

} // namespace

extern "C" {

rf_process_state rf_process;

void rf_signals_install(int number, const struct sigaction *action, bool again) {
  world.installed[number] = *action;
  world.again = world.again && again;
}
void rf_signals_keep_faults_open() {
  call("open faults");
}
bool rf_signals_hold(const void *, void *) {
  return false;
}

void rf_libc_abort_init() {
  call("find the last words");
}
void rf_libc_abort_report(const void *context) {
  EXPECT_EQ(context, &world);
  call("last words");
}
bool rf_libc_abort_is_its_fault(const void *context) {
  EXPECT_EQ(context, &world);
  return world.aborts;
}
void rf_unmapped_report(const void *, const void *) {
  call("unmapped");
}
void rf_unmapped_report_fill(const void *, const void *) {
  call("fill");
  rf_process.findings += world.explains ? 1 : 0;
}
void rf_crash_report(int number, const void *info, const void *context) {
  EXPECT_NE(info, nullptr);
  EXPECT_EQ(context, &world);
  call("crash", number);
  if (world.faults_again) {
    world.faults_again = false;
    handle(SIGSEGV, SEGV_MAPERR);
  }
}

void __wrap_rf_host_unwind_fault() {
  call("unwinder");
}
void __wrap_rf_on_reserve_stack(rf_reserve_work work, void *argument) {
  call("reserve stack");
  work(argument);
}
bool __wrap_rf_page_settle(const void *, void *context) {
  EXPECT_EQ(context, &world);
  call("settle");
  return world.settles;
}
void __wrap_rf_page_served_by(uintptr_t handler) {
  world.server = handler;
}
void __wrap_rf_page_held_by(bool (*hold)(const void *, void *)) {
  world.holds = hold;
}

int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *) {
  call(action->sa_handler == SIG_DFL && action->sa_flags == 0 ? "default" : "handler", number);
  return 0;
}
int __wrap_raise(int number) {
  call("raise", number);
  errno = 77;
  return 0;
}
pid_t __wrap_getpid() {
  return world.process;
}
int __wrap_sigprocmask(int, const sigset_t *set, sigset_t *old) {
  EXPECT_EQ(set, nullptr);
  sigemptyset(old);
  if (world.blocked != 0) {
    sigaddset(old, world.blocked);
  }
  return 0;
}
}

namespace ringfence_test {
namespace {

bool is_late() {
  return world.late;
}

void check(int number) {
  call("check", number);
  int const fault = world.fault_of_check;
  world.fault_of_check = 0;
  if (fault != 0) {
    handle(fault, SEGV_MAPERR);
  }
  errno = 78;
}

class FatalSignals : public RecordsCalls {
protected:
  FatalSignals() {
    world = World();
    rf_process.findings = 0;
    rf_process.options.mode = RF_MODE_PAGE;
  }

  static Calls calls_after(int number, int code) {
    return calls_of([&] { handle(number, code); });
  }

  static std::vector<int> installed() {
    std::vector<int> numbers;
    for (auto const &each : world.installed) {
      numbers.push_back(each.first);
    }
    return numbers;
  }
};

TEST_F(FatalSignals, AreThoseOfTheProcessorAndAbort) {
  rf_fatal_signals_init(check, false);
  EXPECT_EQ(installed(), (std::vector<int>{SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV}));
  EXPECT_TRUE(world.again) << "where a program asks for the default action";
  for (auto const &[number, action] : world.installed) {
    int const own_stack = number == SIGSEGV || number == SIGBUS ? SA_ONSTACK : 0;
    EXPECT_EQ(action.sa_flags, SA_SIGINFO | own_stack) << number;
    EXPECT_EQ(sigismember(&action.sa_mask, SIGTERM), 0);
    EXPECT_EQ(sigismember(&action.sa_mask, SIGALRM), 1) << "it may come again and again";
  }
  EXPECT_EQ(recorded, (Calls{"find the last words", "open faults"}));
  EXPECT_EQ(world.holds, rf_signals_hold);
  EXPECT_EQ(world.server, 0U) << "mode page has a handler of its own";
}

TEST_F(FatalSignals, ServeTheFewBlocksOnPagesInModeGuard) {
  rf_process.options.mode = RF_MODE_GUARD;
  rf_fatal_signals_init(check, false);
  EXPECT_EQ(world.server, reinterpret_cast<uintptr_t>(world.installed.at(SIGSEGV).sa_sigaction));
}

TEST_F(FatalSignals, AreAbortAloneWhereNothingElseIsToldOf) {
  rf_fatal_signals_init(check, true);
  EXPECT_EQ(installed(), (std::vector<int>{SIGABRT}));
  EXPECT_EQ(recorded, Calls{"find the last words"});
  EXPECT_EQ(world.holds, nullptr);
}

TEST_F(FatalSignals, AFaultIsReportedAndItsInstructionRunsAgain) {
  rf_fatal_signals_init(check, false);
  EXPECT_EQ(calls_after(SIGSEGV, SEGV_MAPERR),
            (Calls{"unwinder", "reserve stack", "settle", "unmapped", "fill", "crash 11", "check 11", "default 11"}));
  EXPECT_EQ(calls_after(SIGBUS, BUS_ADRERR),
            (Calls{"unwinder", "reserve stack", "settle", "crash " + std::to_string(SIGBUS),
                   "check " + std::to_string(SIGBUS), "default " + std::to_string(SIGBUS)}));
  EXPECT_EQ(calls_after(SIGFPE, FPE_INTDIV), (Calls{"unwinder", "reserve stack", "crash 8", "check 8", "default 8"}));
}

TEST_F(FatalSignals, AFaultThatABlockExplainsIsNoCrash) {
  rf_fatal_signals_init(check, false);
  world.explains = true;
  EXPECT_EQ(calls_after(SIGSEGV, SEGV_MAPERR),
            (Calls{"unwinder", "reserve stack", "settle", "unmapped", "fill", "check 11", "default 11"}));
}

TEST_F(FatalSignals, AFaultByWhichAbortEndsIsNoCrash) {
  rf_fatal_signals_init(check, false);
  world.aborts = true;
  EXPECT_EQ(calls_after(SIGSEGV, SEGV_MAPERR),
            (Calls{"unwinder", "reserve stack", "settle", "check 11", "default 11"}));
  EXPECT_EQ(calls_after(SIGFPE, FPE_INTDIV), (Calls{"unwinder", "reserve stack", "crash 8", "check 8", "default 8"}));
}

TEST_F(FatalSignals, AnAccessThatIsSettledEndsNothing) {
  rf_fatal_signals_init(check, false);
  world.settles = true;
  for (int const number : {SIGSEGV, SIGBUS}) {
    for (int const code : {static_cast<int>(SEGV_ACCERR), static_cast<int>(SI_USER)}) {
      EXPECT_EQ(calls_after(number, code), (Calls{"unwinder", "reserve stack", "settle"}));
    }
  }
}

// So does one for which the system tells no cause: it may be none of an instruction, which would run again.
TEST_F(FatalSignals, OneWithoutACauseIsSentAgain) {
  rf_fatal_signals_init(check, false);
  EXPECT_EQ(calls_after(SIGSEGV, SI_KERNEL), (Calls{"unwinder", "reserve stack", "settle", "unmapped", "fill",
                                                    "crash 11", "check 11", "default 11", "raise 11"}));
}

TEST_F(FatalSignals, ASignalThatWasSentIsSentAgainOnceAllIsChecked) {
  rf_fatal_signals_init(check, false);
  for (int const code : {static_cast<int>(SI_USER), static_cast<int>(SI_TKILL), static_cast<int>(SI_QUEUE)}) {
    EXPECT_EQ(calls_after(SIGSEGV, code),
              (Calls{"unwinder", "reserve stack", "settle", "check 11", "default 11", "raise 11"}))
        << code;
    EXPECT_EQ(calls_after(SIGABRT, code),
              (Calls{"unwinder", "reserve stack", "last words", "check 6", "default 6", "raise 6"}));
    EXPECT_EQ(calls_after(SIGILL, code), (Calls{"unwinder", "reserve stack", "check 4", "default 4", "raise 4"}));
  }
}

TEST_F(FatalSignals, AFaultOfTheReportItselfIsNotReported) {
  rf_fatal_signals_init(check, false);
  world.faults_again = true;
  EXPECT_EQ(calls_after(SIGFPE, FPE_INTDIV), (Calls{"unwinder", "reserve stack", "crash 8", "unwinder", "reserve stack",
                                                    "settle", "check 11", "default 11", "check 8", "default 8"}));
  EXPECT_EQ(calls_after(SIGFPE, FPE_INTDIV), (Calls{"unwinder", "reserve stack", "crash 8", "check 8", "default 8"}));
}

// The default action ends the process at once: with it in place, a fault of another thread would cut the check short.
TEST_F(FatalSignals, AFaultOfTheCheckEndsItWithoutAReport) {
  rf_fatal_signals_init(check, false);
  world.fault_of_check = SIGSEGV;
  EXPECT_EQ(calls_after(SIGSEGV, SEGV_MAPERR),
            (Calls{"unwinder", "reserve stack", "settle", "unmapped", "fill", "crash 11", "check 11", "unwinder",
                   "reserve stack", "settle", "default 11", "default 11"}));
  EXPECT_EQ(calls_after(SIGFPE, FPE_INTDIV), (Calls{"unwinder", "reserve stack", "crash 8", "check 8", "default 8"}));
}

TEST_F(FatalSignals, AnotherSignalDuringTheCheckIsReported) {
  rf_fatal_signals_init(check, false);
  world.fault_of_check = SIGFPE;
  EXPECT_EQ(calls_after(SIGSEGV, SI_USER),
            (Calls{"unwinder", "reserve stack", "settle", "check 11", "unwinder", "reserve stack", "crash 8", "check 8",
                   "default 8", "default 11", "raise 11"}));
}

// ---- Signals of those who want it to end ----

TEST_F(FatalSignals, ThatAreSentToEndAProcessHaveItCheckedShortly) {
  rf_terminating_signals_init(is_late, check);
  EXPECT_EQ(installed(),
            (std::vector<int>{SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU}));
  EXPECT_TRUE(world.again);
  for (auto const &[number, action] : world.installed) {
    EXPECT_EQ(action.sa_flags, SA_RESTART) << number;
    recorded.clear();
    errno = 5;
    action.sa_handler(number);
    std::string const which = " " + std::to_string(number);
    EXPECT_EQ(recorded, (Calls{"check" + which, "default" + which, "raise" + which}));
    EXPECT_EQ(errno, 5);
  }
}

TEST_F(FatalSignals, ThatComeTooLateDoNothing) {
  rf_terminating_signals_init(is_late, check);
  world.late = true;
  recorded.clear();
  world.installed.at(SIGTERM).sa_handler(SIGTERM);
  EXPECT_TRUE(recorded.empty());
}

TEST_F(FatalSignals, ThatAreBlockedFromTheBeginningStayAsTheyAre) {
  world.blocked = SIGTERM;
  rf_terminating_signals_init(is_late, check);
  EXPECT_EQ(world.installed.size(), 8U);
  EXPECT_EQ(world.installed.count(SIGTERM), 0U);
}

TEST_F(FatalSignals, EndNoFirstProcessOfAContainer) {
  world.process = 1;
  rf_terminating_signals_init(is_late, check);
  EXPECT_TRUE(world.installed.empty());
  world.process = 2;
  rf_terminating_signals_init(is_late, check);
  world.process = 1; // its child is
  recorded.clear();
  world.installed.at(SIGTERM).sa_handler(SIGTERM);
  EXPECT_TRUE(recorded.empty());
}

} // namespace
} // namespace ringfence_test
