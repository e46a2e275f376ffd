// System V's forms of signal and of masks, and BSD's masks, as a program under the library sees them
// (checkers/dropin/process/intercept_sysv_signal.c).
#include "tests/dropin/intercept_signal_world.h"

#include <cerrno>
#include <csignal>
#include <gtest/gtest.h>
#include <utility>

extern "C" {
sighandler_t sysv_signal(int sig, sighandler_t handler);
sighandler_t __sysv_signal(int sig, sighandler_t handler);
sighandler_t bsd_signal(int sig, sighandler_t handler);
sighandler_t set_signal(int sig, sighandler_t disposition) __asm__("sigset"); // deprecated by their own names
int ignore_signal(int sig) __asm__("sigignore");
int hold_signal(int sig) __asm__("sighold");
int release_signal(int sig) __asm__("sigrelse");
int block_signals(int mask) __asm__("sigblock");
int set_signals(int mask) __asm__("sigsetmask");
}

namespace ringfence_test {
namespace {

using Form = sighandler_t (*)(int sig, sighandler_t handler);

// The flags with which each sets a handler.
const std::pair<Form, unsigned> kForms[] = {{sysv_signal, SA_RESETHAND | SA_NODEFER},
                                            {__sysv_signal, SA_RESETHAND | SA_NODEFER},
                                            {set_signal, 0},
                                            {bsd_signal, 0}}; // those of the C library's signal, which the world keeps

TEST_F(InterceptSignal, SystemVsFormsSetHandlersAsSignalDoes) {
  for (const auto &[form, flags] : kForms) {
    be_ours(SIGTERM, true);
    EXPECT_EQ(form(SIGTERM, program_handler), SIG_DFL) << "ours is not seen";
    EXPECT_EQ(world.actions[SIGTERM].sa_handler, program_handler);
    EXPECT_EQ(static_cast<unsigned>(world.actions[SIGTERM].sa_flags), flags);
    EXPECT_EQ(word_of(world.actions[SIGTERM].sa_mask), 0U);
    EXPECT_EQ(world.handled, bit(SIGTERM));
    EXPECT_EQ(form(SIGTERM, SIG_DFL), program_handler);
    EXPECT_EQ(world.actions[SIGTERM].sa_sigaction, our_handler) << "again";
    EXPECT_EQ(world.handled, 0U);
    recorded.clear();
    EXPECT_EQ(form(SIGSEGV, SIG_DFL), SIG_DFL);
    EXPECT_EQ(recorded[0], "signals changed");
    world.error = EINVAL;
    EXPECT_EQ(form(SIGTERM, program_handler), SIG_ERR);
    world.error = 0;
  }
  errno = 0;
  EXPECT_EQ(sysv_signal(SIGTERM, SIG_ERR), SIG_ERR);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(InterceptSignal, SigsetOpensTheSignalOrHoldsIt) {
  (void)set_signal(SIGUSR1, program_handler);
  EXPECT_EQ(recorded, Calls{"mask " + std::to_string(SIG_UNBLOCK)});
  recorded.clear();
  EXPECT_EQ(set_signal(SIGUSR1, SIG_HOLD), program_handler);
  EXPECT_EQ(recorded, Calls{"mask " + std::to_string(SIG_BLOCK)});
  EXPECT_EQ(world.actions[SIGUSR1].sa_handler, program_handler) << "as it was";
  world.mask_before = bit(SIGUSR1);
  EXPECT_EQ(set_signal(SIGUSR1, SIG_HOLD), SIG_HOLD);
  EXPECT_EQ(set_signal(SIGUSR1, other_handler), SIG_HOLD);
  EXPECT_EQ(world.actions[SIGUSR1].sa_handler, other_handler);
  world.mask_before = bit(SIGUSR2);
  EXPECT_EQ(set_signal(SIGUSR1, program_handler), other_handler);
}

TEST_F(InterceptSignal, SigsetTellsOfErrors) {
  errno = 0;
  EXPECT_EQ(set_signal(0, program_handler), SIG_ERR);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_TRUE(recorded.empty());
  world.mask_error = EPERM;
  EXPECT_EQ(set_signal(SIGUSR1, program_handler), SIG_ERR);
  EXPECT_EQ(errno, EPERM);
  world.mask_error = 0;
  world.error = EINVAL;
  EXPECT_EQ(set_signal(SIGUSR1, SIG_HOLD), SIG_ERR);
}

TEST_F(InterceptSignal, SigignoreIgnores) {
  EXPECT_EQ(ignore_signal(SIGUSR1), 0);
  EXPECT_EQ(world.actions[SIGUSR1].sa_handler, SIG_IGN);
  world.error = EINVAL;
  EXPECT_EQ(ignore_signal(SIGUSR1), -1);
}

TEST_F(InterceptSignal, MasksOfOneSignalAreAsSigprocmasks) {
  EXPECT_EQ(hold_signal(SIGSEGV), 0);
  EXPECT_EQ(recorded, Calls{"mask " + std::to_string(SIG_BLOCK)}) << "not the true one";
  EXPECT_EQ(world.mask_asked, bit(SIGSEGV));
  recorded.clear();
  EXPECT_EQ(release_signal(SIGRTMAX), 0);
  EXPECT_EQ(recorded, Calls{"mask " + std::to_string(SIG_UNBLOCK)});
  EXPECT_EQ(world.mask_asked, bit(SIGRTMAX));
  for (auto *const form : {hold_signal, release_signal}) {
    recorded.clear();
    errno = 0;
    EXPECT_EQ(form(0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_TRUE(recorded.empty());
    world.mask_error = EPERM;
    EXPECT_EQ(form(SIGUSR1), -1);
    EXPECT_EQ(errno, EPERM);
    world.mask_error = 0;
  }
}

TEST_F(InterceptSignal, BsdsMasksAreOfTheFirst31Signals) {
  for (auto const &[form, how] : {std::pair(&block_signals, SIG_BLOCK), std::pair(&set_signals, SIG_SETMASK)}) {
    for (unsigned const mask : {0U, 1U, 1U << 31, 1U << (SIGSEGV - 1) | 1U << (SIGUSR1 - 1)}) {
      SCOPED_TRACE(mask);
      recorded.clear();
      world.mask_before = 0x12345678'C0000401U;
      EXPECT_EQ(form(static_cast<int>(mask)), 0x40000401) << "as the program believes";
      EXPECT_EQ(recorded, Calls{"mask " + std::to_string(how)});
      EXPECT_EQ(world.mask_asked, mask & 0x7FFFFFFFU) << "the 32nd is the C library's";
    }
    world.mask_error = EINVAL;
    EXPECT_EQ(form(0), -1);
    world.mask_error = 0;
  }
}

} // namespace
} // namespace ringfence_test
