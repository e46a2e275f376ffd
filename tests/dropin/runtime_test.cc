// The drop-in's state of a process by its parts: which call sites are watched, handlers of signals that the program
// does not see, and blocks whose memory has gone back to the system.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/sandbox.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/site_choice.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/unmapped.h"
#include "checkers/os/forbidden_calls.h"
}
#undef _Static_assert

#include "tests/checkers/recorder.h"
#include "tests/checkers/single_step.h"
#include "tests/dropin/alone.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <gtest/gtest.h>
#include <initializer_list>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string>
#include <sys/syscall.h>
#include <ucontext.h>
#include <vector>

namespace ringfence {
namespace {

using ringfence_test::alone;

// ---- Which call sites are watched ----

constexpr uint32_t kSites = 4096;

TEST(DropinSiteChoice, ANewSiteIsWatchedAndThenEachNthLook) {
  alone([] {
    std::string watched;
    for (int look = 0; look < 10; look++) {
      watched += rf_site_wants(77, 4) ? 'x' : '-';
    }
    EXPECT_EQ(watched, "x---x---x-");
    EXPECT_TRUE(rf_site_wants(78, 4));
    EXPECT_FALSE(rf_site_wants(78, 4));
    EXPECT_TRUE(rf_site_wants(77 + kSites, 4)); // in the same place
    EXPECT_FALSE(rf_site_wants(77 + kSites, 4));
  });
}

TEST(DropinSiteChoice, ASiteNearAFindingIsWatchedAlways) {
  alone([] {
    EXPECT_TRUE(rf_site_wants(5, 1000));
    EXPECT_FALSE(rf_site_wants(5, 1000));
    rf_site_set_near(5);
    EXPECT_TRUE(rf_site_wants(5, 1000));
    EXPECT_TRUE(rf_site_wants(5, 1000));
    EXPECT_TRUE(rf_site_wants(6, 1000));
    EXPECT_FALSE(rf_site_wants(6, 1000));
  });
}

TEST(DropinSiteChoice, ARareSiteIsWatchedMoreOften) {
  alone([] {
    EXPECT_TRUE(rf_site_wants(9, 1000000));
    EXPECT_FALSE(rf_site_wants(9, 1000000));
    for (int i = 0; i < 3 * 256; i++) {
      (void)rf_site_wants(1, 1000000);
    }
    EXPECT_TRUE(rf_site_wants(9, 1000000)); // the third of 770 looks: fewer than one in 256
    EXPECT_FALSE(rf_site_wants(9, 1000000));
  });
}

TEST(DropinSiteChoice, AFullTableWatchesOneLookInN) {
  alone([] {
    for (uint32_t key = 1; key <= kSites / 4 * 3; key++) {
      EXPECT_TRUE(rf_site_wants(key, 1000)) << key;
    }
    std::string watched; // looks 3073 and on
    for (uint32_t i = 1; i <= 8; i++) {
      watched += rf_site_wants(100000 + i, 4) ? 'x' : '-';
    }
    EXPECT_EQ(watched, "---x---x");
    rf_site_set_near(200000); // nothing happens
    EXPECT_FALSE(rf_site_wants(200000, 1000));
  });
}

#ifdef RF_CAN_STEP

// While a site is looked at for the first time another thread looks at one in the same place, and a finding is near.
TEST(DropinSiteChoice, TwoLooksAtOnceLoseNothing) {
  auto const look = [] { (void)rf_site_wants(1, 1000); };
  auto const of_others = [] {
    (void)rf_site_wants(1 + kSites, 1000);
    rf_site_set_near(1);
  };
  for (unsigned after = 1, both = 1; both != 0; after++) {
    int both_ran[2];
    ASSERT_EQ(pipe(both_ran), 0);
    alone([&] {
      char const ran = ringfence_test::run_with_other_after(after, look, of_others) ? 1 : 0;
      EXPECT_EQ(write(both_ran[1], &ran, 1), 1);
      if (ran != 0) {
        EXPECT_TRUE(rf_site_wants(1, 1000)) << "after " << after << " instructions";
        EXPECT_FALSE(rf_site_wants(1 + kSites, 1000)) << "after " << after << " instructions";
      }
    });
    char ran = 0;
    EXPECT_EQ(read(both_ran[0], &ran, 1), 1);
    both = static_cast<unsigned>(ran);
    close(both_ran[0]);
    close(both_ran[1]);
  }
}

#endif

__attribute__((noinline)) uintptr_t here() {
  return reinterpret_cast<uintptr_t>(__builtin_return_address(0));
}

struct Limit {
  const char *modules;
  size_t length;
  bool own; // code of this program may be watched
  bool c_library;
};

#ifdef RF_CAN_STEP

// While the module of a site is noted, at the end of looking it up, a finding is near.
TEST(DropinSiteChoice, AModuleThatIsNotedAtOnceWithAFindingLosesNothing) {
  alone([] {
    constexpr unsigned kMost = 1000000;
    uint32_t key = 1;
    auto const look_up = [&] { (void)rf_site_may_be_watched(key, here()); };
    auto const find_near = [&] { rf_site_set_near(key); };
    rf_site_limit_to("runtime_test", 12);
    look_up(); // the first one takes longer
    key++;
    EXPECT_FALSE(ringfence_test::run_with_other_after(kMost, look_up, find_near));
    unsigned const length = kMost - ringfence_test::interruption.left;
    for (unsigned after = length - 40; after <= length; after++) {
      key++;
      if (ringfence_test::run_with_other_after(after, look_up, find_near)) {
        (void)rf_site_wants(key, 1000);
        EXPECT_TRUE(rf_site_wants(key, 1000)) << "after " << after << " of " << length << " instructions";
      }
    }
  });
}

#endif

TEST(DropinSiteChoice, MayBeLimitedToModules) {
  const Limit kLimits[] = {
      {nullptr, 0, true, true},
      {"runtime_test", 12, true, false},
      {"runtime_tes", 11, false, false},
      {"untime_test", 11, false, false},
      {"libc.so.*", 9, false, true},
      {"a,runtime_test", 14, true, false},
      {"a,runtime_test", 13, false, false}, // no more than the length
      {"runtime_*,,libc.*", 17, true, true},
      {",", 1, false, false},
  };
  for (const Limit &limit : kLimits) {
    SCOPED_TRACE(limit.modules == nullptr ? "none" : limit.modules);
    alone([&] {
      auto const of_c_library = reinterpret_cast<uintptr_t>(&strtol) + 1;
      rf_site_limit_to(limit.modules, limit.length);
      EXPECT_EQ(rf_site_is_limited(), limit.modules != nullptr);
      for (int time = 0; time < 2; time++) { // the second time it is known
        EXPECT_EQ(rf_site_may_be_watched(1, here()), limit.own);
        EXPECT_EQ(rf_site_may_be_watched(2, of_c_library), limit.c_library);
      }
      // A site is looked up once.
      EXPECT_EQ(rf_site_may_be_watched(2, here()), limit.modules == nullptr || limit.c_library);
    });
  }
}

TEST(DropinSiteChoice, ASiteThatThereIsNoRoomForIsLookedUpEachTime) {
  alone([] {
    auto const of_c_library = reinterpret_cast<uintptr_t>(&strtol) + 1;
    uint32_t const key = 1000000;
    rf_site_limit_to("libc.so.*", 9);
    for (uint32_t other = 1; other <= 4096; other++) {
      rf_site_set_near(other);
    }
    EXPECT_FALSE(rf_site_may_be_watched(key, here()));
    EXPECT_TRUE(rf_site_may_be_watched(key, of_c_library));
    EXPECT_FALSE(rf_site_may_be_watched(key, here()));
  });
}

// A list beyond the room counts up to its last byte of room.
TEST(DropinSiteChoice, ALongListOfModulesIsCutAtItsRoom) {
  std::string const name = "runtime_test";
  std::string const list = std::string(RF_SITE_MODULES - name.size() - 1, 'x') + "," + name + "y";
  ASSERT_EQ(list.size(), RF_SITE_MODULES + 1U);
  alone([&] {
    rf_site_limit_to(list.c_str(), list.size());
    EXPECT_TRUE(rf_site_may_be_watched(1, here()));
  });
}

TEST(DropinSiteChoice, OurOwnFrameBelowMainIsInNoKey) {
  alone([] {
    rf_process.entry_start = 1000;
    rf_process.entry_end = 2000;
    auto const key = [](uintptr_t caller) {
      rf_origin const origin = {nullptr, caller, nullptr};
      return rf_site_key(&origin);
    };
    uint32_t const of_none = key(1500);
    EXPECT_EQ(key(1001), of_none);
    EXPECT_EQ(key(2000), of_none);
    EXPECT_NE(key(1000), of_none);
    EXPECT_NE(key(2001), of_none);
  });
}

// ---- Handlers of signals ----

void nothing(int) {}
void something(int, siginfo_t *, void *) {}

TEST(DropinSignals, AreInstalledWhereTheDefaultIsInPlace) {
  alone([] {
    struct sigaction action {};
    struct sigaction now {};
    action.sa_handler = nothing;
    EXPECT_EQ(rf_handler_of(SIGUSR1), nullptr);
    rf_signals_install(SIGUSR1, &action, true);
    ASSERT_NE(rf_handler_of(SIGUSR1), nullptr);
    EXPECT_TRUE(rf_handler_of(SIGUSR1)->again);
    EXPECT_EQ(rf_handler_of(SIGUSR1)->action.sa_handler, &nothing);
    EXPECT_EQ(sigaction(SIGUSR1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, &nothing);
    rf_signals_install(1, &action, false); // the lowest number
    ASSERT_NE(rf_handler_of(1), nullptr);
    EXPECT_FALSE(rf_handler_of(1)->again);

    struct sigaction own {};
    own.sa_handler = SIG_IGN;
    EXPECT_EQ(sigaction(SIGUSR2, &own, nullptr), 0);
    rf_signals_install(SIGUSR2, &action, true);
    EXPECT_EQ(rf_handler_of(SIGUSR2), nullptr);
    EXPECT_EQ(sigaction(SIGUSR2, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, SIG_IGN);
    rf_signals_install(SIGKILL, &action, true); // the system refuses
    for (int const number : {-1, 0, static_cast<int>(SIGKILL), NSIG, NSIG + 1000}) {
      EXPECT_EQ(rf_handler_of(number), nullptr) << number;
    }
  });
}

TEST(DropinSignals, KnowTheDefaultAction) {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  EXPECT_TRUE(rf_signal_is_default(&action));
  action.sa_handler = SIG_IGN;
  EXPECT_FALSE(rf_signal_is_default(&action));
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = something;
  EXPECT_FALSE(rf_signal_is_default(&action));
  action.sa_flags = SA_RESTART;
  action.sa_handler = SIG_DFL;
  EXPECT_TRUE(rf_signal_is_default(&action));
}

// The system looks at the handler alone.
TEST(DropinSignals, AHandlerOfThreeArgumentsThatIsNoneIsTheDefaultAction) {
  pid_t const child = fork();
  if (child == 0) {
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = nullptr;
    bool const known = rf_signal_is_default(&action);
    (void)sigaction(SIGUSR1, &action, nullptr);
    (void)raise(known ? SIGUSR1 : SIGKILL);
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGUSR1);
}

// A block that is freed takes the stack with it where the two have a byte in common.
TEST(DropinSignals, KnowThatTheirStackWasFreed) {
  struct Freed {
    uintptr_t start, end;
    bool is_stack;
  };
  const Freed kFreed[] = {{1000, 2000, true}, {900, 2100, true},  {1100, 1200, true},  {900, 1001, true},
                          {1999, 2100, true}, {900, 1000, false}, {2000, 2100, false}, {1000, 1000, false}};
  for (const Freed &freed : kFreed) {
    alone([&] {
      rf_signals_freed(freed.start, freed.end - freed.start);
      EXPECT_FALSE(rf_signals_stack_was_freed()) << "it has none";
      rf_signals_note_stack(1000, 2000);
      rf_signals_freed(freed.start, freed.end - freed.start);
      EXPECT_EQ(rf_signals_stack_was_freed(), freed.is_stack) << freed.start << "-" << freed.end;
    });
  }
}

sigset_t set_of(std::initializer_list<int> numbers) {
  sigset_t set;
  (void)sigemptyset(&set);
  for (int const number : numbers) {
    (void)sigaddset(&set, number);
  }
  return set;
}

// As the program believes it to be.
std::string mask() {
  sigset_t now;
  EXPECT_EQ(rf_signals_mask(SIG_BLOCK, nullptr, &now, true), 0);
  return std::string(sigismember(&now, SIGSEGV) == 1 ? "segv " : "") + (sigismember(&now, SIGBUS) == 1 ? "bus " : "") +
         (sigismember(&now, SIGUSR1) == 1 ? "usr1 " : "");
}

std::string true_mask() {
  sigset_t now;
  EXPECT_EQ(rf_signals_mask_truly(SIG_BLOCK, nullptr, &now), 0);
  return std::string(sigismember(&now, SIGSEGV) == 1 ? "segv " : "") + (sigismember(&now, SIGBUS) == 1 ? "bus " : "") +
         (sigismember(&now, SIGUSR1) == 1 ? "usr1 " : "");
}

TEST(DropinSignals, FaultsThatTheProgramBlocksStayOpen) {
  alone([] {
    sigset_t const all = set_of({SIGSEGV, SIGBUS, SIGUSR1});
    sigset_t const segv = set_of({SIGSEGV});
    sigset_t const bus = set_of({SIGBUS});
    sigset_t old;
    rf_signals_keep_faults_open();
    EXPECT_EQ(mask(), "");
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &segv, nullptr, true), 0);
    EXPECT_EQ(mask(), "segv ");
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &all, &old, true), 0);
    EXPECT_EQ(sigismember(&old, SIGSEGV), 1);
    EXPECT_EQ(sigismember(&old, SIGBUS), 0);
    EXPECT_EQ(mask(), "segv bus usr1 ");
    EXPECT_EQ(true_mask(), "usr1 ");
    EXPECT_EQ(rf_signals_mask(SIG_UNBLOCK, &segv, nullptr, true), 0);
    EXPECT_EQ(mask(), "bus usr1 ");
    EXPECT_EQ(rf_signals_mask(77, &all, &old, true), EINVAL);
    EXPECT_EQ(mask(), "bus usr1 ") << "a call that fails changes nothing";
    EXPECT_EQ(rf_signals_mask(SIG_SETMASK, &segv, nullptr, true), 0);
    EXPECT_EQ(mask(), "segv ");
    EXPECT_EQ(true_mask(), "");
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &bus, nullptr, false), 0);
    EXPECT_EQ(mask(), "segv bus ");
    EXPECT_EQ(true_mask(), "bus ") << "faults that are not ours to tell are the program's to block";
    EXPECT_EQ(rf_signals_mask(SIG_UNBLOCK, &all, nullptr, true), 0);
    EXPECT_EQ(mask(), "");
    EXPECT_EQ(true_mask(), "");
  });
}

TEST(DropinSignals, FaultsThatWereBlockedBeforeAreOpened) {
  alone([] {
    sigset_t const both = set_of({SIGSEGV, SIGUSR1});
    EXPECT_EQ(rf_signals_mask_truly(SIG_SETMASK, &both, nullptr), 0);
    rf_signals_keep_faults_open();
    EXPECT_EQ(mask(), "segv usr1 ");
    EXPECT_EQ(true_mask(), "usr1 ");
  });
}

// The C library's own signals, which its function would leave out of the set.
TEST(DropinSignals, ThoseOfTheCLibraryStayOpen) {
  alone([] {
    uint64_t word = uint64_t{0xF} << 30; // 31 to 34
    sigset_t set = set_of({});
    memcpy(&set, &word, sizeof word);
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &set, nullptr, true), 0);
    EXPECT_EQ(syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &word, sizeof word), 0);
    EXPECT_EQ(word, uint64_t{9} << 30);
  });
}

TEST(DropinSignals, FaultsAreTakenOutOfASetAndPutBack) {
  sigset_t set = set_of({SIGSEGV, SIGUSR1});
  rf_fault_set const taken = rf_signals_take_faults(&set);
  EXPECT_EQ(taken, rf_fault_set{1} << (SIGSEGV - 1));
  EXPECT_EQ(sigismember(&set, SIGSEGV), 0);
  EXPECT_EQ(sigismember(&set, SIGUSR1), 1);
  rf_signals_add_faults(&set, taken);
  EXPECT_EQ(sigismember(&set, SIGSEGV), 1);
  EXPECT_EQ(sigismember(&set, SIGBUS), 0);
}

// A fault that was sent while the program blocks it comes when it no longer does.
TEST(DropinSignals, AFaultThatWasSentIsHeldWhereTheProgramBlocksIt) {
  alone([] {
    siginfo_t info{};
    ucontext_t context;
    sigset_t pending;
    sigset_t const segv = set_of({SIGSEGV});
    rf_signals_keep_faults_open();
    info.si_signo = SIGSEGV;
    ASSERT_EQ(getcontext(&context), 0);
    EXPECT_FALSE(rf_signals_hold(&info, &context));
    EXPECT_EQ(sigismember(&context.uc_sigmask, SIGSEGV), 0);
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &segv, nullptr, true), 0);
    EXPECT_EQ(rf_signals_mask_truly(SIG_BLOCK, &segv, nullptr), 0); // as while the handler runs
    EXPECT_TRUE(rf_signals_hold(&info, &context));
    EXPECT_EQ(sigismember(&context.uc_sigmask, SIGSEGV), 1);
    EXPECT_EQ(sigpending(&pending), 0);
    EXPECT_EQ(sigismember(&pending, SIGSEGV), 1);
  });
}

TEST(DropinSignals, LeaveAStackThatWasFreed) {
  alone([] {
    struct sigaction action {};
    struct sigaction now {};
    action.sa_handler = nothing;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    rf_signals_install(SIGUSR1, &action, true);
    rf_signals_install(SIGUSR2, &action, true);
    rf_signals_install(1, &action, true); // the lowest number
    struct sigaction own = action;
    own.sa_flags = SA_SIGINFO | SA_ONSTACK;
    own.sa_sigaction = something;
    EXPECT_EQ(sigaction(SIGUSR2, &own, nullptr), 0); // the program's, since
    rf_signals_note_stack(1000, 2000);
    rf_signals_freed(1000, 1000);
    EXPECT_EQ(sigaction(SIGUSR1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_flags & (SA_ONSTACK | SA_RESTART), SA_RESTART);
    EXPECT_EQ(now.sa_handler, &nothing);
    EXPECT_EQ(sigaction(1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_flags & (SA_ONSTACK | SA_RESTART), SA_RESTART);
    EXPECT_EQ(sigaction(SIGUSR2, nullptr, &now), 0);
    EXPECT_NE(now.sa_flags & SA_ONSTACK, 0);
    EXPECT_EQ(now.sa_sigaction, &something);
  });
}

// ---- Blocks whose memory has gone back ----

constexpr uintptr_t kStart = uintptr_t{0x4567} << 16;

class Unmapped {
public:
  Unmapped() {
    rf_process.guard_options.reporter = recorder_.reporter();
    rf_process.checked = true;
  }
  void note(uintptr_t start, size_t size) {
    rf_slot slots[2] = {};
    rf_span span{};
    span.base = start + RF_SPAN_FRONT;
    span.slots = slots;
    span.large = true;
    span.count = 1;
    span.bytes = 2 << 20;
    span.size = size;
    slots[0].allocated = allocated;
    slots[0].released = released;
    slots[0].traits = rf_traits(RF_SLOT_FREED, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
    rf_unmapped_note(&span);
  }
  std::vector<rf_finding> take() { return recorder_.take(); }

  uint32_t allocated = 0; // stacks of the next block
  uint32_t released = 0;

private:
  Recorder recorder_;
};

const void *pointer(uintptr_t address) {
  return reinterpret_cast<const void *>(address);
}

TEST(DropinUnmapped, AFreeOfTheBlockAgainIsADoubleFree) {
  alone([] {
    Unmapped unmapped;
    rf_origin const origin = {nullptr, here(), nullptr};
    uintptr_t const block = kStart + RF_SPAN_FRONT;
    EXPECT_FALSE(rf_unmapped_bad_free(pointer(block), &origin));
    unmapped.note(kStart, 1000000);
    EXPECT_FALSE(rf_unmapped_bad_free(pointer(block + 1), &origin));
    EXPECT_FALSE(rf_unmapped_bad_free(pointer(kStart - 1), &origin));
    EXPECT_FALSE(rf_unmapped_bad_free(pointer(kStart + (2 << 20)), &origin));
    EXPECT_TRUE(unmapped.take().empty());
    EXPECT_TRUE(rf_unmapped_bad_free(pointer(block), &origin));
    std::vector<rf_finding> const found = unmapped.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].bug, RF_BUG_DOUBLE_FREE);
    EXPECT_EQ(found[0].access, RF_ACCESS_FREE);
    EXPECT_STREQ(found[0].allocator, "malloc");
    EXPECT_STREQ(found[0].mode, "guard");
    EXPECT_EQ(found[0].block, block);
    EXPECT_EQ(found[0].size, 1000000U);
    EXPECT_EQ(found[0].blocks, 1U);
    EXPECT_TRUE(found[0].freed);
    EXPECT_EQ(found[0].offset, 0);
    EXPECT_STREQ(found[0].detail, "the memory of the block has gone back to the system");
    EXPECT_EQ(found[0].found.depth == 0 ? origin.caller : found[0].found.frames[0], origin.caller);
  });
}

TEST(DropinUnmapped, ItsStacksAreThoseOfTheBlock) {
  alone([] {
    Unmapped unmapped;
    static rf_stack_depot depot;
    alignas(8) static unsigned char memory[8192];
    rf_origin const origin = {nullptr, here(), nullptr};
    uintptr_t const allocation[] = {11, 12};
    uintptr_t const release[] = {21, 22, 23};
    ASSERT_EQ(rf_stack_depot_init(&depot, memory, sizeof memory), RF_OK);
    rf_heap_options_now.depot = &depot;
    unmapped.allocated = rf_stack_depot_put(&depot, allocation, 2);
    unmapped.released = rf_stack_depot_put(&depot, release, 3);
    unmapped.note(kStart, 1000000);
    EXPECT_TRUE(rf_unmapped_bad_free(pointer(kStart + RF_SPAN_FRONT), &origin));
    std::vector<rf_finding> const found = unmapped.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].allocated.depth, 2U);
    EXPECT_EQ(found[0].allocated.frames[1], 12U);
    EXPECT_EQ(found[0].released.depth, 3U);
    EXPECT_EQ(found[0].released.frames[2], 23U);
  });
}

// All of it went back: what lies around the block, too.
TEST(DropinUnmapped, AnAccessBehindTheBlockIsOneInItsMemory) {
  alone([] {
    Unmapped unmapped;
    ucontext_t context;
    ASSERT_EQ(getcontext(&context), 0);
    unmapped.note(kStart, 1000);
    rf_unmapped_report(pointer(kStart + (2 << 20)), &context);
    EXPECT_TRUE(unmapped.take().empty());
    for (uintptr_t const offset : {size_t{0}, (size_t{2} << 20) - 1}) {
      rf_unmapped_report(pointer(kStart + offset), &context);
      EXPECT_EQ(unmapped.take().size(), 1U) << offset;
    }
  });
}

// Not where the memory serves the program again.
TEST(DropinUnmapped, AnAccessThereIsAUseAfterFree) {
  alone([] {
    Unmapped unmapped;
    ucontext_t context;
    ASSERT_EQ(getcontext(&context), 0);
    unmapped.note(kStart, 1000000);
    rf_unmapped_report(pointer(kStart - 1), &context);
    EXPECT_TRUE(unmapped.take().empty()) << "never ours";
    rf_span again{};
    again.base = kStart + RF_SPAN_FRONT;
    again.bytes = RF_UNIT;
    ASSERT_TRUE(rf_span_enter(kStart, RF_UNIT, &again));
    rf_unmapped_report(pointer(kStart + 1000), &context);
    EXPECT_TRUE(unmapped.take().empty()) << "ours again";
    ASSERT_TRUE(rf_span_enter(kStart, RF_UNIT, nullptr));
    rf_unmapped_report(pointer(kStart + 1000), &context);
    std::vector<rf_finding> const found = unmapped.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].bug, RF_BUG_USE_AFTER_FREE);
    EXPECT_EQ(found[0].block, kStart + RF_SPAN_FRONT);
    EXPECT_EQ(found[0].offset, ptrdiff_t{1000} - static_cast<ptrdiff_t>(RF_SPAN_FRONT));
#if defined(__x86_64__)
    ASSERT_NE(found[0].found.depth, 0U); // a return address would be one behind the instruction
    EXPECT_EQ(found[0].found.frames[0], static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RIP]) + 1);
#endif
  });
}

// A member or an index, which may be negative, lies up to 64 KiB from the pointer that was read.
TEST(DropinUnmapped, AnAccessNearTheFillIsByAPointerOutOfAFreedBlock) {
  alone([] {
    Unmapped unmapped;
    ucontext_t context;
    ASSERT_EQ(getcontext(&context), 0);
    constexpr uintptr_t kFill = UINTPTR_MAX / 0xff * 0xcc;
    constexpr uintptr_t kReach = 0x10000;
    for (uintptr_t const address : {kFill - kReach, kFill - 8, kFill, kFill + kReach - 1}) {
      siginfo_t info{};
      info.si_code = SEGV_MAPERR;
      info.si_addr = const_cast<void *>(pointer(address));
      rf_unmapped_report_fill(&info, &context);
      std::vector<rf_finding> const found = unmapped.take();
      ASSERT_EQ(found.size(), 1U) << address;
      EXPECT_EQ(found[0].bug, RF_BUG_USE_AFTER_FREE);
      EXPECT_EQ(found[0].address, address);
#if defined(__x86_64__)
      ASSERT_NE(found[0].found.depth, 0U);
      EXPECT_EQ(found[0].found.frames[0], static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RIP]) + 1);
#endif
      EXPECT_STREQ(found[0].detail, "the pointer was read from freed memory, whose bytes are 0xcc");
    }
    for (uintptr_t const address : {kFill - kReach - 1, kFill + kReach, uintptr_t{8}}) {
      siginfo_t info{};
      info.si_code = SEGV_MAPERR;
      info.si_addr = const_cast<void *>(pointer(address));
      rf_unmapped_report_fill(&info, &context);
      EXPECT_TRUE(unmapped.take().empty()) << address;
    }
  });
}

TEST(DropinUnmapped, TheLastSixtyFourAreRemembered) {
  alone([] {
    Unmapped unmapped;
    rf_origin const origin = {nullptr, here(), nullptr};
    auto const start_of = [](uintptr_t i) { return kStart + (i << 22); };
    for (uintptr_t i = 0; i < 65; i++) {
      unmapped.note(start_of(i), 100 + i);
    }
    unmapped.note(start_of(64), 4711); // again there
    for (uintptr_t i = 0; i < 65; i++) {
      EXPECT_EQ(rf_unmapped_bad_free(pointer(start_of(i) + RF_SPAN_FRONT), &origin), i >= 2) << i;
    }
    std::vector<rf_finding> const found = unmapped.take();
    ASSERT_EQ(found.size(), 63U);
    EXPECT_EQ(found.front().size, 102U);
    EXPECT_EQ(found.back().size, 4711U); // the last one there
  });
}

// ---- Filters of system calls ----

constexpr sock_filter kLoadNumber = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
constexpr sock_filter kLoadMachine = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
constexpr sock_filter kAllow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
constexpr sock_filter kKill = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
constexpr sock_filter kKillThread = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD);
constexpr sock_filter kTrap = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
constexpr sock_filter kRefuse = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 13);

// The second statement where the condition holds, else the third.
std::vector<sock_filter> where(int condition, uint32_t value, const sock_filter &yes, const sock_filter &no) {
  return {kLoadNumber, BPF_JUMP(BPF_JMP | static_cast<uint16_t>(condition) | BPF_K, value, 0, 1), yes, no};
}

void expect_search(bool allowed, std::vector<sock_filter> code) {
  alone([&] {
    sock_fprog const program = {static_cast<unsigned short>(code.size()), code.data()};
    EXPECT_FALSE(rf_sandbox_forbids_search());
    rf_sandbox_entered(SECCOMP_MODE_FILTER, &program);
    EXPECT_EQ(rf_sandbox_forbids_search(), !allowed);
  });
}

TEST(DropinSandbox, ForbidsTheSearchForLeaksWhereACallThatItMakesEndsTheProcess) {
  for (long const call : {SYS_rt_sigaction, SYS_openat, SYS_read, SYS_close, SYS_getdents64, SYS_process_vm_readv}) {
    auto const number = static_cast<uint32_t>(call);
    expect_search(false, where(BPF_JEQ, number, kKill, kAllow));
    expect_search(false, where(BPF_JEQ, number, kKillThread, kAllow));
    expect_search(false, where(BPF_JEQ, number, kTrap, kAllow));
    expect_search(true, where(BPF_JEQ, number, kRefuse, kAllow));
  }
  expect_search(false, where(BPF_JEQ, SYS_write, kAllow, kKill));
}

TEST(DropinSandbox, FollowsTheInstructionsOfFilters) {
  expect_search(true, {kAllow});
  expect_search(false, {kKill});
  expect_search(true, where(BPF_JEQ, SYS_execve, kKill, kAllow));
  expect_search(true, where(BPF_JGT, 0xFFFF, kKill, kAllow));
  expect_search(false, where(BPF_JGT, SYS_rt_sigaction - 1, kKill, kAllow));
  expect_search(true, where(BPF_JGE, 0x10000, kKill, kAllow));
  expect_search(false, where(BPF_JGE, SYS_process_vm_readv, kKill, kAllow));
  expect_search(true, where(BPF_JSET, 0x40000000, kKill, kAllow));
  expect_search(false, where(BPF_JSET, SYS_rt_sigaction, kKill, kAllow));
  expect_search(true, {BPF_STMT(BPF_JMP | BPF_JA, 1), kKill, kAllow});
  expect_search(true, {kLoadNumber, BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0),
                       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), kKill, kAllow});
  expect_search(false, {kLoadNumber, BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0), BPF_STMT(BPF_RET | BPF_A, 0)});
  expect_search(true, {BPF_STMT(BPF_LD | BPF_IMM, 5), kKill});
}

// The checkers do without a part of what they do where one of the calls that it takes would end the process.
TEST(DropinSandbox, ForbidsEachPartByTheCallsThatItTakes) {
  struct Part {
    long call;
    uint32_t uses;
  };
  const Part kParts[] = {{SYS_madvise, RF_CALL_MADVISE | RF_CALL_OTHERS},
                         {SYS_mprotect, RF_CALL_MPROTECT},
                         {SYS_mremap, RF_CALL_MREMAP},
                         {SYS_munmap, RF_CALL_MUNMAP},
                         {SYS_membarrier, RF_CALL_MEMBARRIER},
                         {SYS_clock_nanosleep, RF_CALL_NANOSLEEP},
                         {SYS_nanosleep, RF_CALL_NANOSLEEP},
                         {SYS_rt_sigprocmask, RF_CALL_SIGNAL_MASK | RF_CALL_OPEN | RF_CALL_OTHERS},
                         {SYS_getpid, RF_CALL_GETPID | RF_CALL_OTHERS},
                         {SYS_gettid, RF_CALL_GETTID | RF_CALL_OTHERS},
                         {SYS_openat, RF_CALL_OPEN | RF_CALL_OTHERS},
                         {SYS_close, RF_CALL_OPEN | RF_CALL_OTHERS},
                         {SYS_fcntl, RF_CALL_OPEN},
                         {SYS_rt_sigaction, RF_CALL_OTHERS},
                         {SYS_read, RF_CALL_OTHERS},
                         {SYS_getdents64, RF_CALL_OTHERS},
                         {SYS_sigaltstack, RF_CALL_OTHERS},
                         {SYS_process_vm_readv, RF_CALL_OTHERS},
                         {SYS_process_vm_writev, RF_CALL_OTHERS},
                         {SYS_pread64, RF_CALL_SPOOL | RF_CALL_OTHERS},
                         {SYS_tee, RF_CALL_PEEK},
                         {SYS_pipe2, RF_CALL_PEEK},
                         {SYS_recvfrom, RF_CALL_PEEK},
                         {SYS_getsockopt, RF_CALL_PEEK},
                         {SYS_ioctl, RF_CALL_IOCTL},
                         {SYS_flock, RF_CALL_SPOOL},
                         {SYS_linkat, RF_CALL_SPOOL},
                         {SYS_unlinkat, RF_CALL_SPOOL},
                         {SYS_mkdirat, RF_CALL_SPOOL},
                         {SYS_fchmod, RF_CALL_SPOOL},
                         {SYS_socket, RF_CALL_SPOOL},
                         {SYS_sendto, RF_CALL_SPOOL},
                         {SYS_rt_sigpending, RF_CALL_PENDING},
                         {SYS_rt_sigtimedwait, RF_CALL_PENDING},
                         {SYS_prlimit64, RF_CALL_LIMIT},
                         {SYS_execve, 0}};
  for (const Part &part : kParts) {
    alone([&] {
      std::vector<sock_filter> code = where(BPF_JEQ, static_cast<uint32_t>(part.call), kKill, kAllow);
      sock_fprog const program = {static_cast<unsigned short>(code.size()), code.data()};
      rf_sandbox_entered(SECCOMP_MODE_FILTER, &program);
      EXPECT_EQ(rf_forbidden_calls, part.uses) << part.call;
    });
  }
}

#if defined(__x86_64__)
TEST(DropinSandbox, TellsTheFilterWhichMachineItIs) {
  expect_search(true, {kLoadMachine, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), kKill, kAllow});
}
#elif defined(__i386__)
TEST(DropinSandbox, TellsTheFilterWhichMachineItIs) {
  expect_search(true, {kLoadMachine, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 1, 0), kKill, kAllow});
}
#endif

TEST(DropinSandbox, ForbidsTheSearchWhereHardlyAnythingIsAllowed) {
  alone([] {
    rf_sandbox_entered(SECCOMP_MODE_STRICT, nullptr);
    EXPECT_TRUE(rf_sandbox_forbids_search());
  });
}

} // namespace
} // namespace ringfence
