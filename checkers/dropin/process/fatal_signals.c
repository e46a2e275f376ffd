/* Signals that end the process by default, from its own fault or because somebody asks for its end. Its own faults:
 * an access to closed pages of a block that guard watches is reported, and the program goes on. One to a big block
 * whose memory was unmapped is reported, as is one by a pointer that was read from freed memory, and else the fault
 * itself. Then all blocks are checked, for damage to the heap is a likely cause. The process dies of the same signal,
 * with the same status and core as without. A program that handles such a signal replaces this handler; it may call
 * this one as its predecessor. */
#define _GNU_SOURCE
#include "fatal_signals.h"

#include "checkers/dropin/runtime/crash.h"
#include "checkers/dropin/runtime/libc_abort.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/unmapped.h"
#include "checkers/os/host.h"
#include "checkers/os/memory_tags.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/os/signal_cause.h"
#include "checkers/os/timer_signals.h"
#include "checkers/page/page_store.h"
#include "lib/core/compiler.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static void (*check_all)(int number);
static void (*check_shortly)(int number);
static bool (*ends_anyway)(void);

static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
static const int terminating[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};

#define FIRST_PROCESS 1

/* With the default action in place, a fault in here, or the faulting instruction run again, ends the process.
 * SA_RESETHAND would not do: a handler of the program's that calls this one is still in place. */
static void restore_default(int number) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  (void)sigemptyset(&action.sa_mask);
  (void)sigaction(number, &action, NULL);
}

static void report(int number, const siginfo_t *info, const void *context) {
  uint64_t const before = rf_process.findings;
  if (number == SIGSEGV && rf_libc_abort_is_its_fault(context)) {
    return;
  }
  if (number == SIGSEGV) {
    rf_unmapped_report(info->si_addr, context);
    rf_unmapped_report_fill(info, context);
  }
  if (rf_process.findings == before) {
    rf_crash_report(number, info, context);
  }
}

typedef struct fault {
  int number;
  siginfo_t *info;
  void *context;
  bool settled; /* out: the program goes on */
} fault;

/* The default action comes last: with it in place a fault of another thread would end the process at once, before all
 * is checked and written. That thread waits in its own check instead. A fault of the check itself ends the process. */
static void report_and_check(const fault *f) {
  static RF_THREAD_LOCAL bool reporting;
  static RF_THREAD_LOCAL int checking; /* for this signal */
  if (rf_memory_tags_on() && f->info->si_code > 0) {
    f->info->si_addr = (void *)rf_tag_remove((uintptr_t)f->info->si_addr);
  }
  if (f->number != checking) {
    int const before = checking;
    if (f->info->si_code > 0 && !reporting) {
      reporting = true;
      report(f->number, f->info, f->context);
      reporting = false;
    }
    if (f->number == SIGABRT) {
      rf_libc_abort_report(f->context);
    }
    checking = f->number;
    check_all(f->number);
    checking = before;
  }
  restore_default(f->number);
}

static void settle_or_end(void *context) {
  fault *const f = context;
  f->settled = (f->number == SIGSEGV || f->number == SIGBUS) && rf_page_settle(f->info, f->context);
  if (!f->settled) {
    report_and_check(f);
  }
}

/* A signal that does not come again by itself is sent again. A fault of the unwinder, which reads a stack that may be
 * damaged, comes here while the handler is still in place; a second one of the report's ends the process. */
RF_COLD static void die(int number, siginfo_t *info, void *context) {
  fault f = {number, info, context, false};
  rf_host_unwind_fault();
  rf_on_reserve_stack(settle_or_end, &f);
  if (!f.settled && rf_signal_comes_once(number, info)) {
    (void)raise(number);
  }
}

void rf_fatal_signals_init(void (*check)(int number), bool abort_only) {
  struct sigaction action = {.sa_sigaction = die, .sa_flags = SA_SIGINFO | rf_memory_tags_signal_flag()};
  check_all = check;
  rf_libc_abort_init();
  (void)sigemptyset(&action.sa_mask);
  rf_timer_signals_add(&action.sa_mask);
  if (rf_process.options.mode == RF_MODE_GUARD || rf_memory_tags_on()) {
    rf_page_served_by((uintptr_t)die);
  }
  for (size_t i = 0; i < (abort_only ? 1 : sizeof fatal / sizeof fatal[0]); i++) {
    bool const has_stack = fatal[i] == SIGSEGV || fatal[i] == SIGBUS; /* the thread's own may be at its end */
    struct sigaction each = action;
    each.sa_flags |= has_stack ? SA_ONSTACK : 0;
    rf_signals_install(fatal[i], &each, true);
  }
  if (!abort_only) {
    rf_signals_keep_faults_open();
    rf_page_held_by(rf_signals_hold);
  }
}

/* A child may be the first process of a container though its parent is not. It goes on, as it would without a handler.
 * So does a process that is ending already, which would be gone by now without our checks: they are not cut short by a
 * second signal, which another thread may get. */
static void end(int number) {
  int const saved = errno;
  if (getpid() != FIRST_PROCESS && !ends_anyway()) {
    check_shortly(number);
    restore_default(number);
    (void)raise(number); /* it is blocked until this handler returns */
  }
  errno = saved;
}

void rf_terminating_signals_init(bool (*is_late)(void), void (*check)(int number)) {
  struct sigaction action = {.sa_handler = end, .sa_flags = SA_RESTART};
  sigset_t blocked;
  check_shortly = check;
  ends_anyway = is_late;
  (void)sigemptyset(&action.sa_mask);
  if (getpid() == FIRST_PROCESS || sigprocmask(SIG_BLOCK, NULL, &blocked) != 0) {
    return;
  }
  for (size_t i = 0; i < sizeof terminating / sizeof terminating[0]; i++) {
    if (sigismember(&blocked, terminating[i]) == 0) {
      rf_signals_install(terminating[i], &action, true);
    }
  }
}
