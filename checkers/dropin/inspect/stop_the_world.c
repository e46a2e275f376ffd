#define _GNU_SOURCE
#include "stop_the_world.h"

#include "checkers/dropin/os/futex.h"
#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/os/procfs.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/os/held_signals.h"

#include <errno.h>
#include <linux/futex.h>
#include <ringfence/port.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* The signal by which the C library has all threads do a thing; its sigaction refuses it: hence the system call. */
#define STOP_SIGNAL RF_LIBC_STOP_SIGNAL

enum { ASKED, STOPPED, ENDED };

static struct {
  rf_stopped *current; /* NULL: nobody is to stop; accessed atomically */
  uint32_t stopping;   /* 1: stand still; futex */
  uint32_t stopped;    /* number of threads that do; futex */
  uint32_t never;      /* 0, for ever; futex */
} stop;

/* ---- The signal's action, as the kernel knows it ---- */

typedef struct kernel_action {
  void (*handler)(int, siginfo_t *, void *);
  unsigned long flags;
#if defined(SA_RESTORER) || defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || defined(__arm__)
  void (*restorer)(void);
#endif
  unsigned char mask[8];
} kernel_action;

#define KERNEL_SA_RESTORER 0x04000000UL

#if defined(__x86_64__)
/* The kernel of this architecture insists on being told how to return from a handler. */
void rf_stop_the_world_restorer(void) __attribute__((visibility("hidden")));
__asm__(".pushsection .text\n"
        ".hidden rf_stop_the_world_restorer\n"
        ".globl rf_stop_the_world_restorer\n"
        ".type rf_stop_the_world_restorer, @function\n"
        "rf_stop_the_world_restorer:\n"
        "  mov $15, %eax\n" /* rt_sigreturn */
        "  syscall\n"
        ".size rf_stop_the_world_restorer, . - rf_stop_the_world_restorer\n"
        ".popsection\n");
#endif

static long set_action(const kernel_action *action, kernel_action *old) {
  return syscall(SYS_rt_sigaction, STOP_SIGNAL, action, old, sizeof action->mask);
}

/* ---- In the threads that are to stop ---- */

static void futex_wait(uint32_t *word, uint32_t value, const struct timespec *limit) {
  (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, limit, NULL, 0);
}

static void futex_wake(uint32_t *word) {
  (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static rf_stopped_thread *find_thread(const rf_stopped *stopped, uint32_t id) {
  for (size_t i = 0; stopped != NULL && i < stopped->count; i++) {
    if (stopped->threads[i].id == id) {
      return &stopped->threads[i];
    }
  }
  return NULL;
}

/* Calls that wait for a while (nanosleep, poll) are not gone on with after a handler, but fail with EINTR. */
static bool was_waiting(const ucontext_t *context) {
#if defined(__x86_64__)
  return context->uc_mcontext.gregs[REG_RAX] == -EINTR;
#elif defined(__i386__)
  return context->uc_mcontext.gregs[REG_EAX] == -EINTR;
#elif defined(__aarch64__)
  return (int64_t)context->uc_mcontext.regs[0] == -EINTR;
#else
  (void)context;
  return false;
#endif
}

/* When the process ends, a thread that waits would see its wait cut short and go on for a moment in what is no longer
 * there. Only streams are flushed after that, whose locks nobody holds while it waits, but for a thread that waits for
 * a lock of ours, or for those inside the heap: in a fork it has their list. (Where the drop-in is linked in,
 * destructors come after it, and may want the thread to end.) */
static bool is_to_stay(const void *registers) {
  return rf_process.library && rf_process_has_ended() && !rf_futex_waits && was_waiting(registers);
}

static void suspend(int number, siginfo_t *info, void *registers) {
  int const saved = errno;
  bool stays = false;
  (void)number;
  (void)info;
  __atomic_fetch_add(&stop.stopped, 1, __ATOMIC_ACQ_REL);
  rf_stopped_thread *const place =
      find_thread(__atomic_load_n(&stop.current, __ATOMIC_ACQUIRE), (uint32_t)syscall(SYS_gettid));
  if (place != NULL) {
    place->sp = (uintptr_t)registers;
    place->own = (uintptr_t)&rf_current_thread;
    __atomic_store_n(&place->state, STOPPED, __ATOMIC_RELEASE);
    futex_wake(&stop.stopped);
    while (__atomic_load_n(&stop.stopping, __ATOMIC_ACQUIRE) != 0) {
      futex_wait(&stop.stopping, 1, NULL);
    }
    stays = is_to_stay(registers);
  }
  __atomic_fetch_sub(&stop.stopped, 1, __ATOMIC_ACQ_REL);
  while (stays && __atomic_load_n(&stop.never, __ATOMIC_RELAXED) == 0) {
    futex_wait(&stop.never, 0, NULL);
  }
  errno = saved;
}

/* ---- In the thread that stops them ---- */

typedef struct asking {
  rf_stopped *stopped;
  uint32_t self;
  bool added;
  const char *trouble; /* why they cannot all be stopped; NULL: they can */
} asking;

static void ask(uint32_t id, void *context) {
  asking *const a = context;
  rf_stopped *const s = a->stopped;
  if (id == a->self || find_thread(s, id) != NULL || rf_procfs_is_dead(id)) {
    return;
  }
  if (s->count == s->capacity) {
    a->trouble = "there are too many threads";
    return;
  }
  s->threads[s->count] = (rf_stopped_thread){.id = id, .state = ASKED};
  __atomic_store_n(&s->count, s->count + 1, __ATOMIC_RELEASE);
  a->added = true;
  if (syscall(SYS_tgkill, getpid(), id, STOP_SIGNAL) != 0) {
    s->threads[s->count - 1].state = ENDED;
    if (errno == EAGAIN) { /* it may be running */
      a->trouble = "the system has no room for the signal that stops a thread (ulimit -i)";
    }
  }
}

static bool all_stopped(rf_stopped *s) {
  bool all = true;
  for (size_t i = 0; i < s->count; i++) {
    rf_stopped_thread *const t = &s->threads[i];
    if (__atomic_load_n(&t->state, __ATOMIC_ACQUIRE) == ASKED) {
      if (rf_procfs_is_dead(t->id)) {
        t->state = ENDED;
      } else {
        all = false;
      }
    }
  }
  return all;
}

static bool wait_for_all(rf_stopped *s, uint64_t deadline) {
  struct timespec const moment = {0, 1000000};
  for (;;) {
    uint32_t const stopped = __atomic_load_n(&stop.stopped, __ATOMIC_ACQUIRE);
    if (all_stopped(s)) {
      return true;
    }
    if (rf_port_now_ns() >= deadline) {
      return false;
    }
    futex_wait(&stop.stopped, stopped, &moment);
  }
}

/* A thread that is not stopped yet may start another one: asks until nobody new appears. */
static const char *stop_all(rf_stopped *s, uint64_t deadline) {
  asking a = {s, (uint32_t)syscall(SYS_gettid), true, NULL};
  while (a.added) {
    a.added = false;
    if (!rf_procfs_each_thread(ask, &a)) {
      return "the list of threads cannot be read (/proc)";
    }
    if (a.trouble != NULL) {
      return a.trouble;
    }
    if (!wait_for_all(s, deadline)) {
      return "a thread could not be stopped";
    }
  }
  return NULL;
}

static kernel_action before;

/* A signal that is still on its way must find the handler, so in that case it stays until the next time. */
static void end(rf_stopped *s) {
  struct timespec const moment = {0, 1000000};
  bool late = false;
  for (size_t i = 0; i < s->count; i++) {
    late = late || __atomic_load_n(&s->threads[i].state, __ATOMIC_ACQUIRE) == ASKED;
  }
  __atomic_store_n(&stop.current, NULL, __ATOMIC_RELEASE);
  __atomic_store_n(&stop.stopping, 0, __ATOMIC_RELEASE);
  futex_wake(&stop.stopping);
  for (uint32_t n; (n = __atomic_load_n(&stop.stopped, __ATOMIC_ACQUIRE)) != 0;) {
    futex_wait(&stop.stopped, n, &moment);
  }
  if (!late) {
    (void)set_action(&before, NULL);
  }
}

/* A handler of the program's that interrupted a thread here, and allocates, would wait for whoever has stopped it, and
 * that one for the thread. Signals that the processor raises would end the process. */
static void hold_back_others(kernel_action *action) {
  static const int faults[] = {RF_FAULT_SIGNALS};
  memset(action->mask, 0xFF, sizeof action->mask);
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
    unsigned const bit = (unsigned)faults[i] - 1;
    action->mask[bit / 8] &= (unsigned char)~(1U << bit % 8);
  }
}

const char *rf_stop_the_world(rf_stopped *s, unsigned ms) {
  int const saved = errno;
  kernel_action action = {.handler = suspend, .flags = SA_SIGINFO | SA_RESTART};
  kernel_action found;
  hold_back_others(&action);
#if defined(__x86_64__)
  action.flags |= KERNEL_SA_RESTORER;
  action.restorer = rf_stop_the_world_restorer;
#endif
  s->count = 0;
  __atomic_store_n(&stop.stopping, 1, __ATOMIC_RELEASE);
  __atomic_store_n(&stop.current, s, __ATOMIC_RELEASE);
  const char *why = "the system refuses the signal that stops threads";
  if (set_action(&action, &found) == 0) {
    before = found.handler != suspend ? found : before;
    why = stop_all(s, rf_port_now_ns() + (uint64_t)ms * 1000000);
    if (why != NULL) {
      end(s);
    }
  }
  errno = saved;
  return why;
}

void rf_resume_the_world(rf_stopped *s) {
  int const saved = errno;
  end(s);
  errno = saved;
}
