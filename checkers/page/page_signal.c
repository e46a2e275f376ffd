/* The page store: the handler for SIGSEGV and SIGBUS, and the handlers behind it. */
#define _GNU_SOURCE /* ucontext's registers */
#include "page_impl.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "checkers/os/host.h"
#include "checkers/os/machine_context.h"
#include "checkers/os/memory_tags.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/os/signal_cause.h"
#include "checkers/os/timer_signals.h"
#include "lib/core/compiler.h"

/* ---- The handler, and whom it passes on to ----
 *
 * A program that installs a handler of its own, keeps what was there before and puts it back later must find that with
 * its own predecessor, so each time that we come in front of another handler we do it through another trampoline: a
 * function of its own, that knows whom it stands in front of. */

static const int watched[] = {SIGSEGV, SIGBUS};
#define WATCHED 2U
#define TRAMPOLINES 8U

static struct sigaction previous[TRAMPOLINES][WATCHED]; /* of the program, or of whoever came before */
static bool in_place[TRAMPOLINES][WATCHED];             /* was ever */

static void on_fault(unsigned trampoline, int number, siginfo_t *info, void *context);

#define TRAMPOLINE(n)                                                                                                  \
  static void trampoline_##n(int number, siginfo_t *info, void *context) {                                             \
    on_fault(n, number, info, context);                                                                                \
  }
TRAMPOLINE(0)
TRAMPOLINE(1)
TRAMPOLINE(2)
TRAMPOLINE(3)
TRAMPOLINE(4)
TRAMPOLINE(5)
TRAMPOLINE(6)
TRAMPOLINE(7)

static void (*const trampolines[TRAMPOLINES])(int, siginfo_t *, void *) = {
    trampoline_0, trampoline_1, trampoline_2, trampoline_3, trampoline_4, trampoline_5, trampoline_6, trampoline_7};

static uintptr_t server; /* a handler that asks rf_page_settle, or 0 */

void rf_page_served_by(uintptr_t handler) {
  server = handler;
}

static bool (*held)(const void *info, void *context);

void rf_page_held_by(bool (*hold)(const void *info, void *context)) {
  held = hold;
}

static bool is_server(const struct sigaction *action) {
  return server != 0 && (action->sa_flags & SA_SIGINFO) != 0 && (uintptr_t)action->sa_sigaction == server;
}

/* TRAMPOLINES: none. */
static unsigned trampoline_of(const struct sigaction *action) {
  unsigned i = 0;
  while (i < TRAMPOLINES && action->sa_sigaction != trampolines[i]) {
    i++;
  }
  return i;
}

static bool is_ours(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) != 0 && trampoline_of(action) != TRAMPOLINES;
}

void rf_page_unwrap(int signal, void *action) {
  struct sigaction *const a = (struct sigaction *)action;
  unsigned const trampoline = trampoline_of(a);
  if (trampoline != TRAMPOLINES) {
    *a = previous[trampoline][signal == watched[0] ? 0 : 1];
  }
}

static bool is_function(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) != 0 || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static bool is_same(const struct sigaction *a, const struct sigaction *b) {
  return a->sa_flags == b->sa_flags && a->sa_sigaction == b->sa_sigaction;
}

/* As without us: the instruction runs again and ends the process, or the signal that was sent comes again. */
static void default_action(int number, const siginfo_t *info) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  (void)sigaction(number, &action, NULL);
  if (rf_signal_comes_once(number, info)) {
    (void)raise(number);
  }
}

/* A handler that calls the one before it, which is ours if it was installed after ours, must not go round in circles.
 * It is the same signal if it has the same record, further down the stack. */
typedef struct passing {
  const siginfo_t *info;
  uintptr_t frame;
} passing;

static RF_THREAD_LOCAL passing passed;
#define CIRCLE ((uintptr_t)64 * 1024)

static bool goes_in_circles(const siginfo_t *info) {
  uintptr_t const here = (uintptr_t)__builtin_frame_address(0);
  return passed.info == info && here < passed.frame && passed.frame - here < CIRCLE;
}

/* The signals that are blocked in our handler and would not be in the program's. */
static sigset_t opened_for(const struct sigaction *action, int number, const sigset_t *before) {
  sigset_t open;
  (void)sigemptyset(&open);
  if ((action->sa_flags & SA_NODEFER) != 0 && sigismember(&action->sa_mask, number) == 0) {
    (void)sigaddset(&open, number);
  }
  for (size_t i = 0; i < RF_TIMER_SIGNALS; i++) {
    if (sigismember(before, rf_timer_signals[i]) == 0 && sigismember(&action->sa_mask, rf_timer_signals[i]) == 0) {
      (void)sigaddset(&open, rf_timer_signals[i]);
    }
  }
  return open;
}

/* As the kernel would have called it. The mask that was in force comes back when our handler returns. */
static void call(struct sigaction *action, int number, siginfo_t *info, void *context) {
  struct sigaction const now = *action;
  sigset_t const open = opened_for(&now, number, &((const ucontext_t *)context)->uc_sigmask);
  if (rf_memory_tags_on() && (now.sa_flags & rf_memory_tags_signal_flag()) == 0) {
    info->si_addr = (void *)rf_tag_remove((uintptr_t)info->si_addr);
  }
  (void)pthread_sigmask(SIG_BLOCK, &now.sa_mask, NULL);
  (void)pthread_sigmask(SIG_UNBLOCK, &open, NULL);
  if ((now.sa_flags & (int)SA_RESETHAND) != 0) {
    action->sa_handler = SIG_DFL;
    action->sa_flags &= ~SA_SIGINFO;
  }
  passing const before = passed;
  passed = (passing){info, (uintptr_t)__builtin_frame_address(0)};
  if ((now.sa_flags & SA_SIGINFO) != 0) {
    now.sa_sigaction(number, info, context);
  } else {
    now.sa_handler(number);
  }
  passed = before;
}

static void pass_on(unsigned trampoline, int number, siginfo_t *info, void *context) {
  struct sigaction *const action = &previous[trampoline][number == watched[0] ? 0 : 1];
  bool const sent = info->si_code <= 0;
  if (is_function(action) && !goes_in_circles(info)) {
    call(action, number, info, context);
  } else if (!sent || is_function(action) || action->sa_handler != SIG_IGN) {
    default_action(number, info);
  }
}

static bool (*settle_also)(const void *info, void *context); /* accessed atomically */

void rf_page_settle_also(bool (*settle)(const void *info, void *context)) {
  __atomic_store_n(&settle_also, settle, __ATOMIC_RELEASE);
  rf_page_watch(false);
}

static bool is_settled_otherwise(const siginfo_t *info, void *context) {
  bool (*const settle)(const void *, void *) = __atomic_load_n(&settle_also, __ATOMIC_ACQUIRE);
  return settle != NULL && settle(info, context);
}

static RF_THREAD_LOCAL uintptr_t freed_stack; /* the end of the thread's stack for handlers, which was freed; or 0 */

void rf_page_signals_stack_freed(uintptr_t end) {
  freed_stack = end;
}

/* The system had no stack for the handler of another signal: this one comes in its place, without an address. */
static bool is_for_freed_stack(const siginfo_t *info, const rf_machine_context *m) {
  rf_origin const origin = {NULL, m->pc, (const void *)m->frame};
  bool told = false;
  if (info->si_code != SI_KERNEL || freed_stack == 0) {
    return false;
  }
  for (rf_page_store *store = rf_page_stores(); store != NULL && !told; store = store->other) {
    told = rf_page_store_in_use(store) &&
           rf_page_store_report_transfer(store, (const void *)(freed_stack - 1), 1, 0, RF_ACCESS_WRITE, &origin);
  }
  return told;
}

static bool settle_fault(const siginfo_t *info, void *context) {
  rf_machine_context const m = rf_machine_context_of((const ucontext_t *)context);
  return is_settled_otherwise(info, context) ||
         rf_page_fault((uintptr_t)info->si_addr, (rf_access)m.access, m.pc, (const void *)m.frame) ||
         is_for_freed_stack(info, &m);
}

RF_COLD bool rf_page_settle(const void *siginfo, void *context) {
  int const saved = errno;
  const siginfo_t *const info = (const siginfo_t *)siginfo;
  bool const settled = info->si_code > 0 ? settle_fault(info, context) : held != NULL && held(info, context);
  errno = saved;
  return settled;
}

typedef struct settling {
  const siginfo_t *info;
  void *context;
  bool settled;
} settling;

static void settle(void *argument) {
  settling *const s = (settling *)argument;
  s->settled = rf_page_settle(s->info, s->context);
}

static void on_fault(unsigned trampoline, int number, siginfo_t *info, void *context) {
  int const saved = errno;
  settling s = {info, context, false};
  rf_host_unwind_fault();
  rf_on_reserve_stack(settle, &s);
  errno = saved; /* the program's handler finds it, and may leave another */
  if (!s.settled) {
    pass_on(trampoline, number, info, context);
  }
}

/* ---- In place ---- */

/* The trampoline that stands in front of this handler, or the next one that was never used, or used longest ago. */
static unsigned choose_trampoline(unsigned signal, const struct sigaction *now) {
  static unsigned next[WATCHED];
  for (unsigned i = 0; i < TRAMPOLINES; i++) {
    if (in_place[i][signal] && is_same(&previous[i][signal], now)) {
      return i;
    }
  }
  return next[signal]++ % TRAMPOLINES;
}

static bool off_stack; /* accessed atomically */

/* A program's handler runs where it would without us: a collector of garbage looks for pointers from its stack pointer
 * up, and finds another end of the stack than the thread's. */
static int stack_flag(const struct sigaction *behind) {
  bool const off = __atomic_load_n(&off_stack, __ATOMIC_RELAXED);
  return off || (is_function(behind) && (behind->sa_flags & SA_ONSTACK) == 0) ? 0 : SA_ONSTACK;
}

static bool stands_behind(const struct sigaction *action) {
  return !is_ours(action) && !is_server(action);
}

/* A closed page raises either signal, by the way that it was closed. */
static bool stands_behind_any(void) {
  bool behind = false;
  for (unsigned i = 0; i < WATCHED && !behind; i++) {
    struct sigaction now;
    behind = sigaction(watched[i], NULL, &now) == 0 && stands_behind(&now);
  }
  return behind;
}

/* At the end of a stack: who serves it has seen to a stack for its handler. */
static bool overflow_is_served(void) {
  struct sigaction now;
  return sigaction(SIGSEGV, NULL, &now) == 0 && is_server(&now);
}

static void install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  (void)sigemptyset(&action.sa_mask);
  rf_timer_signals_add(&action.sa_mask);
  for (unsigned i = 0; i < WATCHED; i++) {
    struct sigaction now;
    if (sigaction(watched[i], NULL, &now) == 0 && stands_behind(&now)) {
      unsigned const trampoline = choose_trampoline(i, &now);
      previous[trampoline][i] = now;
      in_place[trampoline][i] = true;
      action.sa_flags = SA_SIGINFO | stack_flag(&now) | rf_memory_tags_signal_flag();
      action.sa_sigaction = trampolines[trampoline];
      (void)sigaction(watched[i], &action, NULL);
    }
  }
}

/* ---- As it changes ---- */

static bool ignoring; /* rf_page_signals_ignore is in force, and is to stay; accessed atomically */

#define SELDOM 64U

static uint32_t changes;

void rf_page_signals_changed(void) {
  __atomic_fetch_add(&changes, 1, __ATOMIC_RELAXED);
}

/* True where this thread need not look again yet. */
static bool looked_lately(void) {
  static RF_THREAD_LOCAL uint32_t seen;
  static RF_THREAD_LOCAL unsigned since;
  uint32_t const now = __atomic_load_n(&changes, __ATOMIC_RELAXED);
  if (seen == now && rf_page_stack_is_settled() && ++since < SELDOM) {
    return true;
  }
  seen = now;
  since = 0;
  return false;
}

/* One thread at a time. */
static void install_alone(void) {
  static rf_mutex installing;
  rf_page_mask mask;
  rf_page_lock(&installing, &mask);
  install();
  rf_page_unlock(&installing, &mask);
}

void rf_page_watch(bool seldom) {
  if (rf_page_signals_are_kept() || __atomic_load_n(&ignoring, __ATOMIC_RELAXED) || (seldom && looked_lately())) {
    return;
  }
  int const saved = errno;
  if (stands_behind_any()) {
    install_alone();
  }
  if (!rf_page_stack_is_settled() && !overflow_is_served()) {
    rf_page_give_stack();
  }
  errno = saved;
}

/* ---- Ignored signals, for a program that comes by exec ---- */

/* True where our handler stands in front of no handler but of SIG_IGN, which is then in *behind. */
static bool stands_before_ignoring(unsigned i, struct sigaction *behind) {
  struct sigaction now;
  if (rf_page_signals_are_kept() || sigaction(watched[i], NULL, &now) != 0 || !is_ours(&now)) {
    return false;
  }
  *behind = previous[trampoline_of(&now)][i];
  return !is_function(behind) && behind->sa_handler == SIG_IGN;
}

bool rf_page_signals_stand_before_ignoring(void) {
  struct sigaction behind;
  return stands_before_ignoring(0, &behind) || stands_before_ignoring(1, &behind);
}

RF_COLD bool rf_page_signals_ignore(bool stay) {
  bool any = false;
  for (unsigned i = 0; i < WATCHED; i++) {
    struct sigaction behind;
    if (stands_before_ignoring(i, &behind)) {
      any |= sigaction(watched[i], &behind, NULL) == 0;
    }
  }
  if (any && stay) {
    __atomic_store_n(&ignoring, true, __ATOMIC_RELAXED);
  }
  return any;
}

void rf_page_signals_ignored(void) {
  int const saved = errno;
  __atomic_store_n(&ignoring, false, __ATOMIC_RELAXED);
  install_alone();
  errno = saved;
}

void rf_page_signals_keep(bool keep) {
  if (keep && rf_page_stores() != NULL) {
    rf_page_watch(false);
  }
  rf_page_signals_set_kept(keep);
}

void rf_page_signals_use_stack(bool use) {
  struct sigaction now;
  __atomic_store_n(&off_stack, !use, __ATOMIC_RELAXED);
  for (unsigned i = 0; i < WATCHED && !rf_page_signals_are_kept(); i++) {
    if (sigaction(watched[i], NULL, &now) == 0 && is_ours(&now)) {
      now.sa_flags = (now.sa_flags & ~SA_ONSTACK) | stack_flag(&previous[trampoline_of(&now)][i]);
      (void)sigaction(watched[i], &now, NULL);
    }
  }
}
