#include "tests/dropin/intercept_signal_world.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/os/libc.h"
}
#undef _Static_assert

#include <cerrno>
#include <cstdarg>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

namespace ringfence_test {

World world;

} // namespace ringfence_test

using namespace ringfence_test;

extern "C" {

rf_guarded_blocks_state rf_guarded_blocks;

long __real_syscall(long number, ...);

long __wrap_syscall(long number, ...) {
  long a[6];
  va_list list;
  va_start(list, number);
  for (long &each : a) {
    each = va_arg(list, long);
  }
  va_end(list);
  if (number == SYS_sigaltstack) {
    call("sigaltstack");
    stack_t const before = world.stack;
    if (world.error == 0 && a[0] != 0) {
      world.stack = *reinterpret_cast<const stack_t *>(a[0]);
    }
    if (world.error == 0 && a[1] != 0) {
      *reinterpret_cast<stack_t *>(a[1]) = before;
    }
    return world.error != 0 ? -1 : 0;
  }
  return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int rf_libc_sigaction(int number, const struct sigaction *action, struct sigaction *old) {
  if (world.error != 0) {
    errno = world.error;
    return -1;
  }
  struct sigaction const before = world.actions[number];
  if (action != nullptr) {
    world.actions[number] = *action;
  }
  if (old != nullptr) {
    *old = before;
  }
  return 0;
}

sighandler_t rf_libc_signal(int number, sighandler_t handler) {
  if (world.error != 0) {
    return SIG_ERR;
  }
  struct sigaction &now = world.actions[number];
  sighandler_t const before = now.sa_handler;
  now = {};
  now.sa_handler = handler;
  return before;
}

const rf_handler *rf_handler_of(int number) {
  return number == world.ours_for ? &world.ours : nullptr;
}

bool rf_signal_is_default(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == SIG_DFL;
}

rf_fault_set rf_signals_take_faults(sigset_t *set) {
  uint64_t const word = word_of(*set);
  set_word(set, word & ~kFaults);
  return word & kFaults;
}
void rf_signals_add_faults(sigset_t *set, rf_fault_set which) {
  set_word(set, word_of(*set) | which);
}
int rf_signals_mask(int how, const sigset_t *set, sigset_t *old, bool comes_to_us) {
  call("mask " + std::to_string(how));
  world.mask_asked = set != nullptr ? word_of(*set) : 0;
  if (old != nullptr) {
    set_word(old, world.mask_before);
  }
  world.comes_to_us = comes_to_us;
  return world.mask_error;
}
int rf_signals_mask_truly(int how, const sigset_t *, sigset_t *) {
  call("true mask " + std::to_string(how));
  return world.mask_error;
}
bool rf_signals_block_held() {
  call("block those held");
  return world.holds;
}
void rf_signals_open_held() {
  call("open those held");
}
bool rf_signals_stack_was_freed() {
  return world.freed;
}
void rf_signals_note_stack(uintptr_t start, uintptr_t end) {
  world.start = start;
  world.end = end;
}
void rf_signals_note_handler(int number, bool has_one) {
  if (has_one) {
    world.handled |= bit(number);
  } else {
    world.handled &= ~bit(number);
  }
}
void rf_signals_leave_small_stacks() {
  call("leave small stacks");
}

void rf_guarded_blocks_handlers_changed() {
  call("handlers changed");
}
void *__wrap_rf_page_given_stack(size_t *size) {
  *size = 4096;
  return world.given;
}
bool __wrap_rf_modules_is_go(uintptr_t address) {
  call("is it Go's");
  return address == reinterpret_cast<uintptr_t>(world.of_go);
}
void __wrap_rf_page_signals_changed() {
  call("signals changed");
}
void __wrap_rf_page_signals_use_stack(bool uses) {
  world.own_stacks.push_back(uses);
}
void __wrap_rf_page_unwrap(int, struct sigaction *action) {
  if (action->sa_handler == front) {
    action->sa_handler = program_handler;
  }
}
}
