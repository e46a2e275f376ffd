/* The page store: faults. The handler for SIGSEGV and SIGBUS, what it passes on, and the stack that it runs on. */
#define _GNU_SOURCE /* ucontext's registers, MAP_ANONYMOUS */
#include "page_impl.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "checkers/os/host.h"

/* ---- A fault as a finding ---- */

/* Where the address stands to the block, and whether the block's state makes it an error. */
static bool classify(const rf_slot *s, uintptr_t address, rf_bug *bug) {
  rf_slot_state const state = rf_slot_state_of(s);
  bool const freed = state == SLOT_FREED;
  bool const open = address >= rf_slot_open_start(s) && address < rf_slot_open_end(s);
  if (state != SLOT_LIVE && state != SLOT_FREED) {
    return false;
  }
  if (open && !freed) {
    return false; /* the page is open: another thread was faster, or it is the kernel that has nothing to give */
  }
  /* Of a freed block's pages, all is freed: vector instructions of strlen and its like begin before the block. */
  *bug = open ? RF_BUG_USE_AFTER_FREE : address < s->block ? RF_BUG_BUFFER_UNDERFLOW : RF_BUG_BUFFER_OVERFLOW;
  return true;
}

static void report(const rf_page_store *store, const rf_slot *s, rf_bug bug, uintptr_t address, rf_access access,
                   const rf_origin *origin) {
  rf_finding f;
  rf_page_finding(store, &f, bug, access, (const void *)address, origin);
  rf_page_finding_block(store, &f, s);
  f.at_access = true;
  f.detail = store->ended ? "the allocator was ended" : NULL;
  if (f.found.depth != 0) {
    f.found.frames[0]++; /* frames are return addresses: what names them looks one byte before */
  }
  rf_report(store->options.reporter, &f);
}

/* The page is opened, for the program to go on, and closed again by the next call on the store, or when there are too many.
 * A freed block shows its fill. */
static bool reopen(rf_page_store *store, const rf_slot *s, uintptr_t address) {
  uintptr_t const page = address & ~(uintptr_t)(rf_page_size() - 1);
  if (!rf_page_open((void *)page, rf_page_size())) {
    return false;
  }
  memset((void *)page, rf_slot_state_of(s) == SLOT_FREED ? RF_FILL_FREE : RF_FILL_GUARD, rf_page_size());
  uint32_t const index = __atomic_fetch_add(&store->reopened_count, 1, __ATOMIC_ACQ_REL);
  uintptr_t *const place = &store->reopened[index % RF_PAGE_REOPENED];
  uintptr_t const old = __atomic_exchange_n(place, page, __ATOMIC_ACQ_REL);
  if (index >= RF_PAGE_REOPENED && old != 0 && old != page) {
    rf_page_close((void *)old, rf_page_size());
  }
  return true;
}

bool rf_page_fault(uintptr_t address, rf_access access, uintptr_t pc, const void *frame) {
  rf_origin const origin = {NULL, pc, frame};
  for (rf_page_store *store = rf_page_stores(); store != NULL; store = store->other) {
    if (__atomic_load_n(&store->in_use, __ATOMIC_ACQUIRE) == 0 || rf_runs_space(store, address) == NULL) {
      continue;
    }
    rf_bug bug = RF_BUG_COUNT;
    const rf_slot *s = rf_runs_slot(store, address);
    s = s != NULL ? s : rf_runs_nearest(store, address);
    if (s == NULL || !classify(s, address, &bug)) {
      return false;
    }
    report(store, s, bug, address, access, &origin);
    return reopen(store, s, address);
  }
  return false;
}

/* ---- What the processor says ---- */

typedef struct machine {
  uintptr_t pc;
  uintptr_t frame;
  rf_access access;
} machine;

#if defined(__linux__) && (defined(__x86_64__) || defined(__i386__))
#define ERROR_WRITE 2
#if defined(__x86_64__)
#define PC REG_RIP
#define FRAME REG_RBP
#else
#define PC REG_EIP
#define FRAME REG_EBP
#endif
static machine machine_of(const ucontext_t *context) {
  const greg_t *const r = context->uc_mcontext.gregs;
  return (machine){(uintptr_t)r[PC], (uintptr_t)r[FRAME],
                   (r[REG_ERR] & ERROR_WRITE) != 0 ? RF_ACCESS_WRITE : RF_ACCESS_READ};
}
#elif defined(__linux__) && defined(__aarch64__)
static machine machine_of(const ucontext_t *context) {
  return (machine){(uintptr_t)context->uc_mcontext.pc, (uintptr_t)context->uc_mcontext.regs[29], RF_ACCESS_UNKNOWN};
}
#else
static machine machine_of(const ucontext_t *context) {
  (void)context;
  return (machine){0, 0, RF_ACCESS_UNKNOWN};
}
#endif

/* ---- The handler, and whom it passes on to ----
 *
 * A program that installs a handler of its own, keeps what was there before and puts it back later must find that with its
 * own predecessor, so each time that we come in front of another handler we do it through another door: a function of its
 * own, that knows whom it stands in front of. */

static const int watched[] = {SIGSEGV, SIGBUS};
#define WATCHED 2U
#define DOORS 8U

static struct sigaction previous[DOORS][WATCHED]; /* of the program, or of whoever came before */
static bool in_place[DOORS][WATCHED];             /* was ever */

static void on_fault(unsigned door, int number, siginfo_t *info, void *context);

#define DOOR(n)                                                                                                        \
  static void door_##n(int number, siginfo_t *info, void *context) {                                                   \
    on_fault(n, number, info, context);                                                                                \
  }
DOOR(0)
DOOR(1)
DOOR(2)
DOOR(3)
DOOR(4)
DOOR(5)
DOOR(6)
DOOR(7)

static void (*const doors[DOORS])(int, siginfo_t *, void *) = {door_0, door_1, door_2, door_3,
                                                               door_4, door_5, door_6, door_7};

static bool is_ours(const struct sigaction *action) {
  for (unsigned i = 0; (action->sa_flags & SA_SIGINFO) != 0 && i < DOORS; i++) {
    if (action->sa_sigaction == doors[i]) {
      return true;
    }
  }
  return false;
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
  if (info->si_code <= 0) {
    (void)raise(number);
  }
}

/* A handler that calls the one before it, which is ours if it was installed after ours, must not go round in circles. It is
 * the same signal if it has the same record, further down the stack. */
typedef struct passing {
  const siginfo_t *info;
  uintptr_t frame;
} passing;

static __thread passing passed __attribute__((tls_model("initial-exec")));
#define CIRCLE ((uintptr_t)64 * 1024)

static bool goes_in_circles(const siginfo_t *info) {
  uintptr_t const here = (uintptr_t)__builtin_frame_address(0);
  return passed.info == info && here < passed.frame && passed.frame - here < CIRCLE;
}

/* As the kernel would have called it. The mask that was in force comes back when our handler returns. */
static void call(struct sigaction *action, int number, siginfo_t *info, void *context) {
  struct sigaction const now = *action;
  sigset_t self;
  (void)pthread_sigmask(SIG_BLOCK, &now.sa_mask, NULL);
  if ((now.sa_flags & SA_NODEFER) != 0) {
    (void)sigemptyset(&self);
    (void)sigaddset(&self, number);
    (void)pthread_sigmask(SIG_UNBLOCK, &self, NULL);
  }
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

static void pass_on(unsigned door, int number, siginfo_t *info, void *context) {
  struct sigaction *const action = &previous[door][number == watched[0] ? 0 : 1];
  bool const sent = info->si_code <= 0;
  if (is_function(action) && !goes_in_circles(info)) {
    call(action, number, info, context);
  } else if (!sent || is_function(action) || action->sa_handler != SIG_IGN) {
    default_action(number, info);
  }
}

static void on_fault(unsigned door, int number, siginfo_t *info, void *context) {
  int const saved = errno;
  rf_host_unwind_fault();
  machine const m = machine_of((const ucontext_t *)context);
  bool const settled =
      info->si_code > 0 && rf_page_fault((uintptr_t)info->si_addr, m.access, m.pc, (const void *)m.frame);
  if (!settled) {
    pass_on(door, number, info, context);
  }
  errno = saved;
}

/* ---- In place ---- */

/* The door that stands in front of this handler, or the next one that was never used, or used longest ago. */
static unsigned choose_door(unsigned signal, const struct sigaction *now) {
  static unsigned next[WATCHED];
  for (unsigned i = 0; i < DOORS; i++) {
    if (in_place[i][signal] && is_same(&previous[i][signal], now)) {
      return i;
    }
  }
  return next[signal]++ % DOORS;
}

static void install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  (void)sigemptyset(&action.sa_mask);
  for (unsigned i = 0; i < WATCHED; i++) {
    struct sigaction now;
    if (sigaction(watched[i], NULL, &now) == 0 && !is_ours(&now)) {
      unsigned const door = choose_door(i, &now);
      previous[door][i] = now;
      in_place[door][i] = true;
      action.sa_sigaction = doors[door];
      (void)sigaction(watched[i], &action, NULL);
    }
  }
}

/* ---- A stack for it, lest it cannot run where the thread's own is at its end ---- */

#define STACK_BYTES ((size_t)128 * 1024)

typedef enum stack_state { STACK_UNKNOWN, STACK_OF_PROGRAM, STACK_OURS, STACK_GONE } stack_state;

static __thread stack_state own_stack __attribute__((tls_model("initial-exec")));
static pthread_key_t stack_key;
static bool has_key;

static void drop_stack(void *memory) {
  stack_t now;
  stack_t const none = {.ss_flags = SS_DISABLE, .ss_size = STACK_BYTES};
  own_stack = STACK_GONE;
  if (sigaltstack(NULL, &now) == 0 && now.ss_sp == memory) {
    (void)sigaltstack(&none, NULL);
  }
  (void)munmap(memory, STACK_BYTES);
}

static void make_key(void) {
  has_key = pthread_key_create(&stack_key, drop_stack) == 0;
}

/* Without the key the end of the thread would not be noticed, and its stack never given back. */
static void give_stack(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  stack_t now;
  own_stack = STACK_OF_PROGRAM; /* first: pthread_setspecific may allocate, and come back here */
  (void)pthread_once(&once, make_key);
  if (!has_key || sigaltstack(NULL, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0) {
    return;
  }
  stack_t const ours = {.ss_sp = rf_page_records(STACK_BYTES), .ss_size = STACK_BYTES};
  if (ours.ss_sp == NULL) {
    return;
  }
  if (pthread_setspecific(stack_key, ours.ss_sp) != 0 || sigaltstack(&ours, NULL) != 0) {
    (void)pthread_setspecific(stack_key, NULL);
    rf_page_release(ours.ss_sp, STACK_BYTES);
    return;
  }
  own_stack = STACK_OURS;
}

void rf_page_watch(void) {
  static rf_mutex installing;
  struct sigaction now;
  rf_page_mask mask;
  int const saved = errno;
  if (sigaction(SIGSEGV, NULL, &now) == 0 && !is_ours(&now)) {
    rf_page_lock(&installing, &mask);
    install();
    rf_page_unlock(&installing, &mask);
  }
  if (own_stack == STACK_UNKNOWN) {
    give_stack();
  }
  errno = saved;
}
