#define _GNU_SOURCE
#include "signals.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "checkers/dropin/os/libc.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/page/page_store.h"
#include "lib/core/compiler.h"

static rf_handler handlers[NSIG];

bool rf_signal_is_default(const struct sigaction *action) {
  return action->sa_handler == SIG_DFL; /* whatever its flags: the system does not look at them */
}

void rf_signals_install(int number, const struct sigaction *action, bool again) {
  struct sigaction now;
  if (sigaction(number, NULL, &now) == 0 && rf_signal_is_default(&now) && sigaction(number, action, NULL) == 0) {
    handlers[number] = (rf_handler){*action, true, again};
  }
}

void rf_signals_leave_small_stacks(void) {
  for (int number = 1; number < NSIG; number++) {
    struct sigaction *const ours = &handlers[number].action;
    struct sigaction now;
    if (handlers[number].installed && (ours->sa_flags & SA_ONSTACK) != 0) {
      ours->sa_flags &= ~SA_ONSTACK;
      if (sigaction(number, NULL, &now) == 0 && now.sa_sigaction == ours->sa_sigaction) {
        (void)sigaction(number, ours, NULL);
      }
    }
  }
}

static RF_THREAD_LOCAL struct {
  uintptr_t start;
  uintptr_t end; /* 0: none */
} own_stack;

static bool stack_was_freed; /* accessed atomically */

void rf_signals_note_stack(uintptr_t start, uintptr_t end) {
  own_stack.start = start;
  own_stack.end = end;
  rf_page_signals_stack_freed(0);
}

void rf_signals_freed(uintptr_t block, size_t size) {
  if (own_stack.end != 0 && own_stack.start < block + size && block < own_stack.end) {
    rf_page_signals_stack_freed(own_stack.end);
    __atomic_store_n(&stack_was_freed, true, __ATOMIC_RELAXED);
    rf_signals_leave_small_stacks();
    rf_page_signals_use_stack(false);
  }
}

bool rf_signals_stack_was_freed(void) {
  return __atomic_load_n(&stack_was_freed, __ATOMIC_RELAXED);
}

const rf_handler *rf_handler_of(int number) {
  return number > 0 && number < NSIG && handlers[number].installed ? &handlers[number] : NULL;
}

/* ---- Faults stay open ---- */

#define BIT(number) ((rf_fault_set)1 << ((number)-1))
#define FAULTS (BIT(SIGSEGV) | BIT(SIGBUS))
#define FIRST_OF_LIBC 32 /* the C library's own signals: they cannot be blocked by a program */

static bool keeps_open;                   /* set before there are threads */
static RF_THREAD_LOCAL rf_fault_set held; /* those that the program believes to be blocked */
static RF_THREAD_LOCAL bool are_blocked;  /* in truth, for a while */

static uint64_t word_of(const sigset_t *set) {
  uint64_t word;
  memcpy(&word, set, sizeof word);
  return word;
}

rf_fault_set rf_signals_take_faults(sigset_t *set) {
  uint64_t const word = word_of(set);
  uint64_t const rest = word & ~FAULTS;
  memcpy(set, &rest, sizeof rest);
  return word & FAULTS;
}

void rf_signals_add_faults(sigset_t *set, rf_fault_set which) {
  uint64_t const word = word_of(set) | which;
  memcpy(set, &word, sizeof word);
}

/* The C library's functions of this name are ours. */
static int change_mask(int how, const uint64_t *set, sigset_t *old) {
  int const saved = errno;
  if (rf_is_forbidden(RF_CALL_SIGNAL_MASK)) {
    if (old != NULL) {
      (void)sigemptyset(old); /* who asks what waits asks for signals that were blocked */
    }
    return EPERM;
  }
  int const error = syscall(SYS_rt_sigprocmask, how, set, old, sizeof *set) == 0 ? 0 : errno;
  errno = saved;
  return error;
}

void rf_signals_open_faults(void) {
  sigset_t now;
  if (keeps_open && !are_blocked && change_mask(SIG_BLOCK, NULL, &now) == 0) {
    uint64_t const set = word_of(&now) & FAULTS;
    held |= set; /* first: what waits comes within the call */
    if (set != 0) {
      (void)change_mask(SIG_UNBLOCK, &set, NULL);
    }
  }
}

bool rf_signals_block_held(void) {
  uint64_t const set = held;
  are_blocked = set != 0 && change_mask(SIG_BLOCK, &set, NULL) == 0;
  return are_blocked;
}

void rf_signals_open_held(void) {
  if (are_blocked) {
    are_blocked = false;
    rf_signals_open_faults();
  }
}

void rf_signals_begin_thread(void) {
  rf_signals_open_faults();
  if (keeps_open) {
    rf_page_give_stack();
  }
}

void rf_signals_keep_faults_open(void) {
  keeps_open = true;
  rf_signals_begin_thread();
}

/* `wanted` is asked for; in truth it is left open, or not. */
static rf_fault_set held_after(int how, rf_fault_set wanted, bool open) {
  rf_fault_set const others = how == SIG_SETMASK ? 0 : held & ~wanted;
  return how != SIG_UNBLOCK && open ? others | wanted : others;
}

int rf_signals_mask_truly(int how, const sigset_t *set, sigset_t *old) {
  uint64_t const word = set != NULL ? word_of(set) : 0;
  return change_mask(how, set != NULL ? &word : NULL, old);
}

int rf_signals_mask(int how, const sigset_t *set, sigset_t *old, bool comes_to_us) {
  bool const open = keeps_open && comes_to_us;
  rf_fault_set const before = held;
  uint64_t word = set != NULL ? word_of(set) : 0;
  for (int own = FIRST_OF_LIBC; own <= RF_LIBC_STOP_SIGNAL; own++) {
    word &= ~BIT(own);
  }
  rf_fault_set const wanted = word & FAULTS;
  word &= open && how != SIG_UNBLOCK ? ~FAULTS : ~(uint64_t)0;
  if (set != NULL) {
    held = held_after(how, wanted, open); /* first: what waits comes within the call */
  }
  int const error = change_mask(how, set != NULL ? &word : NULL, old);
  if (error != 0) {
    held = before;
  }
  if (error == 0 && old != NULL) {
    rf_signals_add_faults(old, before);
  }
  return error;
}

bool rf_signals_hold(const void *info, void *context) {
  int const number = ((const siginfo_t *)info)->si_signo;
  if ((held & BIT(number)) == 0) {
    return false;
  }
  (void)sigaddset(&((ucontext_t *)context)->uc_sigmask, number);
  /* It is blocked until the handler returns, and from then on by the mask. */
  (void)(((const siginfo_t *)info)->si_code == SI_TKILL ? raise(number) : kill(getpid(), number));
  return true;
}

/* ---- At the end of the process ---- */

/* Those that come from the thread's own instructions, and from its own system calls where a sandbox answers them. */
#define OF_THE_THREAD (FAULTS | BIT(SIGILL) | BIT(SIGFPE) | BIT(SIGTRAP) | BIT(SIGABRT) | BIT(SIGSYS))

#define OF_REFUSED_WRITES (BIT(SIGPIPE) | BIT(SIGXFSZ))

static uint64_t handled; /* signal n is bit n - 1; accessed atomically */

void rf_signals_note_handler(int number, bool has_one) {
  if (number <= 0 || number >= NSIG || (BIT(number) & OF_THE_THREAD) != 0) {
    return;
  }
  if (has_one) {
    (void)__atomic_fetch_or(&handled, BIT(number), __ATOMIC_RELAXED);
  } else {
    (void)__atomic_fetch_and(&handled, ~BIT(number), __ATOMIC_RELAXED);
  }
}

bool rf_signals_block_handled(sigset_t *before) {
  uint64_t const set = __atomic_load_n(&handled, __ATOMIC_RELAXED);
  return set != 0 && change_mask(SIG_BLOCK, &set, before) == 0;
}

/* Takes one of `set` that waits; false where there is none. */
static bool take_waiting(uint64_t set) {
  struct timespec const none = {0, 0};
  return syscall(SYS_rt_sigtimedwait, &set, NULL, &none, sizeof set) > 0;
}

/* A signal that came with a refused write meanwhile and could not be taken stays blocked: it would end the process. */
void rf_signals_open_handled(const sigset_t *before, bool drop) {
  uint64_t const mask = word_of(before);
  uint64_t const set = __atomic_load_n(&handled, __ATOMIC_RELAXED) & ~mask;
  int const saved = errno;
  for (int i = 0; drop && i < NSIG && !rf_is_forbidden(RF_CALL_PENDING) && take_waiting(set); i++) {
  }
  errno = saved;
  uint64_t const open = ~mask & (set | ~OF_REFUSED_WRITES);
  (void)change_mask(SIG_UNBLOCK, &open, NULL);
}
