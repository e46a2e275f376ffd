// Handlers of the program for the signals by which the store notices errors, and faults that are the program's own.
#include "store_session.h"

#include <csignal>
#include <sys/mman.h>
#include <thread>

namespace ringfence::fuzz {
namespace {

// A page of the program's own, which its handlers open.
unsigned char *own_page() {
  static void *const page = mmap(nullptr, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return static_cast<unsigned char *>(page);
}

volatile std::sig_atomic_t handled = 0;

void open_own_page(int) {
  handled = handled + 1;
  (void)mprotect(own_page(), kPage, PROT_READ | PROT_WRITE);
}

void open_at(int number_of_signal, siginfo_t *info, void *) {
  if (info->si_addr == own_page()) {
    open_own_page(number_of_signal);
  }
}

bool settles(const void *info, void *) {
  bool const own = static_cast<const siginfo_t *>(info)->si_addr == own_page();
  if (own) {
    open_own_page(0);
  }
  return own;
}

void open_page(int, siginfo_t *info, void *) {
  handled = handled + 1;
  (void)mprotect(reinterpret_cast<void *>(number(info->si_addr) & ~(kPage - 1)), kPage, PROT_READ | PROT_WRITE);
}

void serve(int, siginfo_t *info, void *context) {
  handled = handled + (rf_page_settle(info, context) ? 0 : 1);
}

bool holds(const void *, void *) {
  return true;
}

struct sigaction a_handler(unsigned how) {
  static const int flags[] = {SA_SIGINFO, SA_SIGINFO | SA_NODEFER, SA_SIGINFO | static_cast<int>(SA_RESETHAND), 0};
  struct sigaction action = {};
  action.sa_flags = flags[how % 4];
  (void)sigemptyset(&action.sa_mask);
  if (how % 4 == 3) {
    action.sa_handler = open_own_page;
  } else {
    action.sa_sigaction = open_at;
  }
  return action;
}

} // namespace

// The program's handler is called for its own faults, and for no others.
void StoreSession::with_own_handler() {
  struct sigaction before;
  struct sigaction now;
  struct sigaction const own = a_handler(in_.u8());
  handled = 0;
  RF_HOLDS(mprotect(own_page(), kPage, PROT_NONE) == 0);
  RF_HOLDS(sigaction(SIGSEGV, &own, &before) == 0);
  rf_page_signals_changed();
  rf_page_store_watch(store_);
  rf_page_signals_keep(in_.u8() % 2 == 0);
  RF_HOLDS(sigaction(SIGSEGV, nullptr, &now) == 0);
  rf_page_unwrap(SIGSEGV, &now);
  RF_HOLDS((now.sa_flags & own.sa_flags) == own.sa_flags && now.sa_sigaction == own.sa_sigaction);
  touch(own_page());
  RF_HOLDS(handled == 1 && log_.count() == 0);
  touch_behind();
  (void)alloc();
  rf_page_signals_keep(false);
  RF_HOLDS(handled == 1 && sigaction(SIGSEGV, &before, nullptr) == 0);
  rf_page_signals_changed();
}

// Faults that somebody else settles are no findings.
void StoreSession::settle_otherwise() {
  handled = 0;
  RF_HOLDS(mprotect(own_page(), kPage, PROT_NONE) == 0);
  rf_page_settle_also(settles);
  touch(own_page());
  touch_behind();
  rf_page_settle_also(nullptr);
  RF_HOLDS(handled == 1);
}

// The program takes rights from a block's pages: it is left alone, and has them back when it is freed or resized.
void StoreSession::restrict_rights() {
  if (blocks_.empty()) {
    return;
  }
  unsigned const how = in_.u8();
  size_t const i = in_.below(blocks_.size());
  Block const b = blocks_[i];
  rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
  auto *const page = reinterpret_cast<void *>(number(b.ptr) & ~(kPage - 1));
  size_t const size = open_end(b) - number(page);
  RF_HOLDS(mprotect(page, size, how % 2 == 0 ? PROT_NONE : PROT_READ) == 0);
  rf_page_store_restricted(store_, how % 4 < 2 ? page : b.ptr, how % 8 < 4 ? size : 0);
  rf_fault where = {};
  RF_HOLDS(rf_page_store_sweep(store_, 0, &origin) == 0 && !rf_page_store_damaged(store_, &where));
  if (how % 16 < 8) {
    blocks_.erase(blocks_.begin() + static_cast<ptrdiff_t>(i));
    RF_HOLDS(free_as(b, b.family, SIZE_MAX) == RF_OK);
    last_freed_ = b;
    return;
  }
  if (how % 32 >= 24 && how % 2 == 0 && b.size != 0) {
    touch_restricted(b);
  }
  rf_page_store_return_rights(store_, b.ptr);
  rf_page_store_return_rights(store_, this);
  if (last_freed_.ptr != nullptr) {
    rf_page_store_restricted(store_, last_freed_.ptr, 1);
  }
  RF_HOLDS(is_whole(b));
  fill(b);
}

// The fault is the program's, whose handler gives itself the rights.
void StoreSession::touch_restricted(const Block &b) {
  struct sigaction before;
  struct sigaction own = {};
  own.sa_flags = SA_SIGINFO;
  own.sa_sigaction = open_page;
  (void)sigemptyset(&own.sa_mask);
  handled = 0;
  RF_HOLDS(sigaction(SIGSEGV, &own, &before) == 0);
  rf_page_signals_changed();
  rf_page_store_watch(store_);
  touch(b.ptr);
  RF_HOLDS(handled == 1 && sigaction(SIGSEGV, &before, nullptr) == 0);
  rf_page_signals_changed();
}

// Faults are noticed on the thread's own stack, too.
void StoreSession::change_stack() {
  rf_page_signals_use_stack(in_.u8() % 2 == 0);
  touch_behind();
  rf_page_signals_use_stack(true);
}

// A thread that was given no block yet. It gets a stack for its handlers, which is gone when it ends.
void StoreSession::touch_in_thread() {
  unsigned const how = in_.u8();
  std::thread([this, how] {
    if (how % 2 == 0) {
      rf_page_give_stack();
    }
    touch_behind();
    (void)alloc();
    free_well();
  }).join();
}

// The process's own handler is in place, and asks.
void StoreSession::serve_otherwise() {
  struct sigaction before;
  struct sigaction own = {};
  own.sa_flags = SA_SIGINFO | SA_ONSTACK;
  own.sa_sigaction = serve;
  (void)sigemptyset(&own.sa_mask);
  handled = 0;
  rf_page_served_by(reinterpret_cast<uintptr_t>(serve));
  RF_HOLDS(sigaction(SIGSEGV, &own, &before) == 0);
  rf_page_signals_changed();
  rf_page_store_watch(store_);
  touch_behind();
  RF_HOLDS(raise(SIGSEGV) == 0 && handled == 1);
  rf_page_held_by(holds);
  RF_HOLDS(raise(SIGSEGV) == 0 && handled == 1);
  rf_page_held_by(nullptr);
  RF_HOLDS(sigaction(SIGSEGV, &before, nullptr) == 0);
  rf_page_served_by(0);
  rf_page_signals_changed();
  rf_page_store_watch(store_);
}

} // namespace ringfence::fuzz
