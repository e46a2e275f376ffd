/* sigaction and signal, to which the drop-in's handlers are invisible, and the mask of a thread, in which SIGSEGV and
 * SIGBUS stay open (signals.h), and which a thread that it creates begins with. Only in the library: in a program that
 * is linked with the drop-in these are the C library's own. */
#define _GNU_SOURCE
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/os/host.h"
#include "checkers/os/modules.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/page/page_store.h"
#include "lib/core/compiler.h"

#include "intercept.h"
#include "intercept_signal.h"
#include "start.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The drop-in's own calls mean what they say: the library is linked with --wrap for these four, so that they come here.
 * A caller's address would not tell them apart, since the loader makes the calls where a library of LD_AUDIT wants to
 * see them return. */
int __wrap_sigaction(int sig, const struct sigaction *act, struct sigaction *oact);
int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_sigaltstack(const stack_t *restrict stack, stack_t *restrict old);

int __wrap_sigaction(int sig, const struct sigaction *act, struct sigaction *oact) {
  return rf_libc_sigaction(sig, act, oact);
}

int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
  return rf_signals_mask_truly(how, set, old);
}

static int with_errno(int error) {
  if (error != 0) {
    errno = error;
  }
  return error == 0 ? 0 : -1;
}

int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old) {
  return with_errno(rf_signals_mask_truly(how, set, old));
}

int __wrap_sigaltstack(const stack_t *restrict stack, stack_t *restrict old) {
  return (int)syscall(SYS_sigaltstack, stack, old);
}

static bool is_fault(int sig) {
  return sig == SIGSEGV || sig == SIGBUS;
}

/* A fault goes to a handler of ours, or to one that ours stands in front of. The program's own one is to be called when
 * it would be without us, and so not while its signal is blocked. */
static bool programs[2]; /* the program has a handler of its own for SIGSEGV, SIGBUS; accessed atomically */

static bool handles_faults(void) {
  return __atomic_load_n(&programs[0], __ATOMIC_RELAXED) || __atomic_load_n(&programs[1], __ATOMIC_RELAXED);
}

static bool comes_to_us(void) {
  return rf_guarded_blocks.store != NULL || !handles_faults();
}

static bool small_stack; /* the program has made a stack for handlers that is too small for ours; accessed atomically */

/* A small stack serves the program's own handler of faults, which is called by the store's, and else nobody. */
static void choose_stack(void) {
  if (__atomic_load_n(&small_stack, __ATOMIC_RELAXED) && !rf_signals_stack_was_freed()) {
    rf_page_signals_use_stack(handles_faults());
  }
}

/* The page store stands in front of the program's handlers of faults. */
static void note(int sig, sighandler_t handler) {
  rf_signals_note_handler(sig, handler != SIG_DFL && handler != SIG_IGN);
  if (is_fault(sig)) {
    __atomic_store_n(&programs[sig == SIGBUS], handler != SIG_DFL, __ATOMIC_RELAXED);
    choose_stack();
    rf_page_signals_changed();
    rf_guarded_blocks_handlers_changed();
  }
}

static rf_fault_set masked[NSIG]; /* by the program's handler while it runs, as the program believes; atomic */

/* ---- Handlers on a stack of their own ----
 *
 * A thread has one of the checkers' where the program has made none (rf_page_give_stack). The program's handlers for it
 * (SA_ONSTACK) would run there, on less room than on the thread's stack, and two at once on the same bytes where one
 * switches to another context. Until the program makes such a stack, they are installed without the flag. */

static bool has_made_stack;  /* any thread of the program; accessed atomically */
static bool for_stack[NSIG]; /* the program's handler asked for one, and is installed without; accessed atomically */

/* From now on as the program asked for. */
static void use_stack_of_program(void) {
  if (__atomic_exchange_n(&has_made_stack, true, __ATOMIC_ACQ_REL)) {
    return;
  }
  for (int sig = 1; sig < NSIG; sig++) {
    struct sigaction now;
    if (__atomic_exchange_n(&for_stack[sig], false, __ATOMIC_RELAXED) && rf_libc_sigaction(sig, NULL, &now) == 0) {
      now.sa_flags |= SA_ONSTACK;
      (void)rf_libc_sigaction(sig, &now, NULL);
    }
  }
}

typedef struct go_question {
  const struct sigaction *action;
  bool answer;
} go_question;

static void ask_for_go(void *context) {
  go_question *const q = (go_question *)context;
  q->answer = rf_modules_is_go((uintptr_t)q->action->sa_sigaction);
}

/* The runtime of Go makes alternate stacks by raw system calls, or uses the one that a thread already has, which may be
 * ours. Its handlers end the process if they run on any other stack. Reading the map takes much of a stack. */
static bool is_handler_of_go(const struct sigaction *action) {
  go_question q = {action, false};
  rf_on_reserve_stack(ask_for_go, &q);
  return q.answer;
}

/* True where the flag was taken. */
static bool keep_off_our_stack(struct sigaction *action) {
  if ((action->sa_flags & SA_ONSTACK) == 0 || rf_signal_is_default(action) ||
      __atomic_load_n(&has_made_stack, __ATOMIC_ACQUIRE)) {
    return false;
  }
  if (is_handler_of_go(action)) {
    use_stack_of_program();
    return false;
  }
  action->sa_flags &= ~SA_ONSTACK;
  return true;
}

/* As asked for, but for faults in the program's handler, which stay open, and for our stack. */
static int change_open(int sig, const struct sigaction *act, struct sigaction *oact, bool is_ours) {
  bool const known = sig > 0 && sig < NSIG && !is_fault(sig);
  rf_fault_set const before = known ? __atomic_load_n(&masked[sig], __ATOMIC_RELAXED) : 0;
  bool const was_for_stack = known && __atomic_load_n(&for_stack[sig], __ATOMIC_RELAXED);
  struct sigaction open;
  rf_fault_set taken = 0;
  bool is_for_stack = false;
  if (act != NULL) {
    open = *act;
    taken = known && comes_to_us() && !rf_signal_is_default(act) ? rf_signals_take_faults(&open.sa_mask) : 0;
    is_for_stack = known && !is_ours && keep_off_our_stack(&open);
  }
  int const result = rf_libc_sigaction(sig, act != NULL ? &open : NULL, oact);
  if (result == 0 && oact != NULL) {
    rf_signals_add_faults(&oact->sa_mask, before);
    oact->sa_flags |= was_for_stack ? SA_ONSTACK : 0;
  }
  if (result == 0 && act != NULL && known) {
    __atomic_store_n(&masked[sig], taken, __ATOMIC_RELAXED);
    __atomic_store_n(&for_stack[sig], is_for_stack, __ATOMIC_RELAXED);
  }
  return result;
}

static int change(const rf_handler *ours, int sig, const struct sigaction *act, struct sigaction *oact) {
  bool const again = ours != NULL && act != NULL && ours->again && rf_signal_is_default(act);
  int const result = change_open(sig, again ? &ours->action : act, oact, again);
  if (result == 0 && oact != NULL && is_fault(sig)) {
    rf_page_unwrap(sig, oact);
  }
  if (result == 0 && ours != NULL && oact != NULL && oact->sa_sigaction == ours->action.sa_sigaction) {
    memset(oact, 0, sizeof *oact);
    oact->sa_handler = SIG_DFL;
  }
  return result;
}

RF_COLD int rf_intercept_sigaction(int sig, const struct sigaction *act, struct sigaction *oact) {
  sighandler_t const handler = act != NULL ? act->sa_handler : SIG_DFL; /* *oact may be the same */
  int const result = change(rf_handler_of(sig), sig, act, oact);
  if (result == 0 && act != NULL) {
    note(sig, handler);
  }
  return result;
}

RF_COLD RF_EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *oact) {
  return rf_intercept_sigaction(sig, act, oact);
}

static sighandler_t unwrapped(int sig, sighandler_t handler) {
  struct sigaction action = {.sa_handler = handler};
  if (is_fault(sig) && handler != SIG_ERR) {
    rf_page_unwrap(sig, &action);
  }
  return action.sa_handler;
}

RF_COLD RF_EXPORT sighandler_t signal(int sig, sighandler_t handler) {
  const rf_handler *const ours = rf_handler_of(sig);
  sighandler_t const old = unwrapped(sig, rf_libc_signal(sig, handler));
  if (old != SIG_ERR) {
    __atomic_store_n(&masked[sig], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&for_stack[sig], false, __ATOMIC_RELAXED);
    note(sig, handler);
  }
  if (ours == NULL || old == SIG_ERR) {
    return old;
  }
  if (ours->again && handler == SIG_DFL) {
    (void)rf_libc_sigaction(sig, &ours->action, NULL);
  }
  return (uintptr_t)old == (uintptr_t)ours->action.sa_sigaction ? SIG_DFL : old;
}

/* ---- The mask ---- */

RF_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
  return rf_signals_mask(how, set, old, comes_to_us());
}

int rf_intercept_sigprocmask(int how, const sigset_t *set, sigset_t *old) {
  return with_errno(rf_signals_mask(how, set, old, comes_to_us()));
}

RF_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
  return rf_intercept_sigprocmask(how, set, old);
}

#define EACH(with) with(pthread_create)

THEIRS_BY(rf_intercept_signal_init, pthread_create)

RF_EXPORT int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                             void *(*function)(void *), void *restrict argument) {
  find_theirs();
  if (!rf_signals_block_held()) { /* then no frame of ours is on the stack where the C library allocates */
    return theirs.pthread_create(thread, attributes, function, argument);
  }
  int const error = theirs.pthread_create(thread, attributes, function, argument);
  rf_signals_open_held();
  return error;
}

/* ---- Stacks for handlers ---- */

#define STACK_FOR_OURS ((size_t)64 * 1024)

/* Ours is none to the program: it is not told of it, and has it again where it wants none. */
RF_COLD RF_EXPORT int sigaltstack(const stack_t *restrict stack, stack_t *restrict old) {
  stack_t ours = {0};
  if (stack != NULL && !rf_host_readable(stack, sizeof *stack)) {
    return (int)syscall(SYS_sigaltstack, stack, old); /* fails */
  }
  stack_t const wanted = stack != NULL ? *stack : ours; /* *old may be the same */
  ours.ss_sp = rf_page_given_stack(&ours.ss_size);
  bool const none = (wanted.ss_flags & SS_DISABLE) != 0;
  int const result = (int)syscall(SYS_sigaltstack, none && ours.ss_sp != NULL ? &ours : stack, old);
  if (result == 0 && old != NULL && old->ss_sp == ours.ss_sp) {
    *old = (stack_t){.ss_flags = SS_DISABLE};
  }
  if (result != 0 || stack == NULL) {
    return result;
  }
  if (!none) {
    use_stack_of_program();
  }
  uintptr_t const start = (uintptr_t)wanted.ss_sp;
  rf_signals_note_stack(start, none ? 0 : start + wanted.ss_size);
  if (!none && wanted.ss_size < STACK_FOR_OURS) {
    rf_signals_leave_small_stacks();
    __atomic_store_n(&small_stack, true, __ATOMIC_RELAXED);
    choose_stack();
  }
  return result;
}
