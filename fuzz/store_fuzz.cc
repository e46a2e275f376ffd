// store: blocks on pages of their own, by the calls that page, sample and the drop-in make: with pages that move or are
// kept, few slots, little memory, backing blocks, sized and typed frees, several stores, calls that interrupt others,
// and handlers of the program for the same signals. Each block keeps its contents, a touch of what is closed is one
// finding of the right kind, and correct use none.
#include "blocks_model.h"
#include "finding_log.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

extern "C" {
#include "checkers/page/page_impl.h"
}

namespace {

using namespace ringfence::fuzz;

constexpr size_t kPage = 4096;

struct Block {
  unsigned char *ptr;
  size_t size;
  rf_family family;
  unsigned char seed;
  void *backing;
  bool touched; // beside it
};

uintptr_t number(const void *ptr) {
  return reinterpret_cast<uintptr_t>(ptr);
}

// The finding is made by a signal handler, which changes memory behind the compiler's back.
void touch(const volatile unsigned char *at) {
  (void)*at;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

uintptr_t open_end(const Block &b) {
  return (number(b.ptr) + std::max<size_t>(b.size, 1) + kPage - 1) & ~(kPage - 1);
}

// ---- A page of the program's own, which its handlers open ----

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

rf_page_store_options some_options(Reader &in, FindingLog *log) {
  static const size_t quarantines[] = {size_t{1} << 28, size_t{1} << 18, 0, size_t{1} << 20};
  static const unsigned slots[] = {0, 0, 6, 64};
  rf_page_store_options o = {};
  unsigned const how = in.u8();
  o.allocator = "store";
  o.mode = "page";
  o.reporter = log->reporter();
  o.side = static_cast<rf_page_side>(in.below(RF_PAGE_UNALIGNED + 1));
  o.quarantine = quarantines[in.below(4)];
  o.fill_alloc = how % 4 == 1 ? 0 : 4096;
  o.slots = slots[in.below(4)];
  o.largest = how % 16 == 2 ? 2 * kPage : 0;
  o.memory = how % 16 == 3 ? size_t{1} << 17 : 0;
  o.seed = how % 8 < 4 ? 0 : how;
  o.moves_pages = in.u8() % 2 == 1;
  o.keeps_pages = in.u8() % 4 == 1;
  o.watches_seldom = how % 16 == 6;
  o.note = how % 32 == 5 ? "a note" : nullptr;
  o.fallback = "blocks are under guard";
  o.owner = log;
  o.backing = o.slots != 0;
  return o;
}

class Session {
public:
  explicit Session(Reader &in) : in_(in), options_(some_options(in, &log_)) {
    store_ = rf_page_store_open(&options_);
    RF_HOLDS(store_ != nullptr && rf_page_store_has_owner(&log_));
    RF_HOLDS(in.u8() % 4 != 1 || rf_page_store_reserve(store_));
  }

  void run() {
    for (size_t left = in_.below(48); left != 0; left--) {
      count_step();
      step();
      RF_HOLDS(log_.count() == 0);
    }
    check_all();
    bool const frees_all = in_.u8() % 2 == 1;
    for (size_t left = in_.below(8); left != 0; left--) {
      rare_step();
      RF_HOLDS(log_.count() == 0);
    }
    if (frees_all) {
      while (!blocks_.empty()) {
        free_well();
      }
    }
    rf_page_store_close(store_);
    RF_HOLDS(log_.count() == 0);
    touch_after_end();
  }

private:
  void step() {
    switch (in_.below(22)) {
    case 20:
      with_own_handler();
      break;
    case 21:
      settle_otherwise();
      break;
    case 0:
      free_wrong();
      break;
    case 1:
      free_again();
      break;
    case 2:
      resize();
      break;
    case 3:
      touch_behind();
      break;
    case 4:
      touch_freed();
      break;
    case 5:
      write_slack();
      break;
    case 6:
      transfer();
      break;
    case 7:
      check_all();
      break;
    case 8:
      tell_leak();
      break;
    case 9:
      meet_other_store();
      break;
    case 10:
      with_all_locks();
      break;
    case 11:
      interrupted();
      break;
    case 12:
      change_backing();
      break;
    case 13:
    case 14:
    case 15:
      free_well();
      break;
    default:
      (void)alloc();
      break;
    }
  }

  void rare_step() {
    switch (in_.below(5)) {
    case 0:
      restrict_rights();
      break;
    case 1:
      change_stack();
      break;
    case 2:
      touch_in_thread();
      break;
    case 3:
      serve_otherwise();
      break;
    default:
      step();
      break;
    }
  }

  // The only finding since the last step, which must be of this kind.
  void expect(rf_bug bug, const void *address) {
    RF_HOLDS(log_.count() == 1);
    RF_HOLDS(log_.findings()[0].bug == bug && log_.findings()[0].address == number(address));
    log_.clear();
  }

  // ---- Blocks ----

  size_t a_size() {
    size_t const kind = in_.u8();
    return kind % 8 == 0 ? 0 : kind % 8 < 6 ? 1 + in_.below(kPage) : 1 + in_.length() % (40 * kPage);
  }

  bool alloc() {
    static const rf_family families[] = {RF_FAMILY_MALLOC, RF_FAMILY_NEW, RF_FAMILY_NEW_ARRAY};
    rf_page_request request = {};
    unsigned const how = in_.u8();
    last_freed_.ptr = nullptr; // its place may be in use again, also where the request fails
    request.size = a_size();
    request.align = how % 4 == 1 ? size_t{1} << in_.below(15) : 1;
    request.room = how % 8 == 2 ? in_.below(60000) : 0;
    request.family = families[in_.below(3)];
    request.zeroed = how % 16 >= 12;
    request.backing = options_.backing ? reinterpret_cast<void *>(uintptr_t{0x10000} + 16 * in_.below(512)) : nullptr;
    if (request.backing != nullptr && owner_of(request.backing) != nullptr) {
      request.backing = nullptr;
    }
    const Block *const like = how % 8 == 3 && !blocks_.empty() ? &blocks_[in_.below(blocks_.size())] : nullptr;
    request.like = like != nullptr ? like->ptr : nullptr;
    request.align = like != nullptr ? 1 : request.align;
    rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
    auto *const p = static_cast<unsigned char *>(rf_page_store_alloc(store_, &request, &origin));
    if (p == nullptr) {
      return false;
    }
    RF_HOLDS(rf_page_may_be(p) && rf_page_store_owns(store_, p));
    RF_HOLDS(like != nullptr || number(p) % promised_align(request) == 0);
    RF_HOLDS(like == nullptr || ((number(p) ^ number(like->ptr)) & (kPage - 1)) == 0);
    size_t const filled = std::min(request.size, options_.fill_alloc);
    unsigned char const first = request.zeroed ? 0 : RF_PATTERN_NEW;
    RF_HOLDS(all_bytes_are(p, request.zeroed ? request.size : filled, first));
    Block const b = {p, request.size, request.family, in_.u8(), request.backing, false};
    fill(b);
    blocks_.push_back(b);
    return true;
  }

  // Blocks that end with their page are aligned as their size, or not at all.
  size_t promised_align(const rf_page_request &request) const {
    if (request.align > RF_ALIGN_DEFAULT || options_.side < RF_PAGE_EXACT) {
      return request.align;
    }
    size_t const of_size = request.size & (0 - request.size);
    bool const exact = options_.side == RF_PAGE_EXACT && of_size != 0;
    return exact ? std::min(request.align, of_size) : 1;
  }

  static void fill(const Block &b) { std::memset(b.ptr, b.seed, b.size); }

  static bool is_whole(const Block &b) { return all_bytes_are(b.ptr, b.size, b.seed); }

  const Block *owner_of(const void *backing) const {
    auto const found =
        std::find_if(blocks_.begin(), blocks_.end(), [backing](const Block &b) { return b.backing == backing; });
    return found == blocks_.end() ? nullptr : &*found;
  }

  Block take() {
    size_t const i = in_.below(blocks_.size());
    Block const b = blocks_[i];
    blocks_.erase(blocks_.begin() + static_cast<ptrdiff_t>(i));
    RF_HOLDS(is_whole(b));
    return b;
  }

  rf_status free_as(const Block &b, rf_family family, size_t size) {
    rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
    rf_page_block freed = {};
    rf_status const status = rf_page_store_free(store_, b.ptr, family, size, &origin, &freed);
    RF_HOLDS(status != RF_OK || (freed.ptr == b.ptr && freed.size == b.size && freed.backing == b.backing));
    return status;
  }

  void free_well() {
    if (!blocks_.empty()) {
      Block const b = take();
      RF_HOLDS(free_as(b, b.family, in_.u8() % 2 == 0 ? b.size : SIZE_MAX) == RF_OK);
      last_freed_ = b;
    }
  }

  // By another call, or with another size: freed all the same, and told.
  void free_wrong() {
    if (blocks_.empty()) {
      return;
    }
    bool const sized = in_.u8() % 2 == 0;
    Block const b = take();
    rf_family const other = b.family == RF_FAMILY_NEW ? RF_FAMILY_MALLOC : RF_FAMILY_NEW;
    RF_HOLDS(free_as(b, sized ? b.family : other, sized ? b.size + 1 : SIZE_MAX) == RF_OK);
    expect(sized ? RF_BUG_SIZE_MISMATCH : RF_BUG_DEALLOC_MISMATCH, b.ptr);
    last_freed_ = b;
  }

  void free_again() {
    rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
    if (last_freed_.ptr != nullptr && options_.quarantine != 0) {
      RF_HOLDS(free_as(last_freed_, RF_FAMILY_MALLOC, SIZE_MAX) != RF_OK);
      expect(RF_BUG_DOUBLE_FREE, last_freed_.ptr);
    } else if (!blocks_.empty()) {
      Block const &b = blocks_[in_.below(blocks_.size())];
      if (b.size > 1) {
        RF_HOLDS(rf_page_store_refuse(store_, b.ptr + 1, &origin) == RF_ERR_BAD_POINTER);
        expect(RF_BUG_BAD_FREE, b.ptr + 1);
      }
    }
  }

  void resize() {
    if (blocks_.empty()) {
      return;
    }
    Block &b = blocks_[in_.below(blocks_.size())];
    rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
    size_t const size = a_size();
    RF_HOLDS(is_whole(b));
    rf_status const status = rf_page_store_resize(store_, b.ptr, size, &origin);
    RF_HOLDS(status == RF_OK || status == RF_ERR_NO_MEMORY);
    if (status == RF_OK) {
      b.size = std::min(b.size, size);
      RF_HOLDS(is_whole(b));
      b.size = size;
      fill(b);
    }
    (void)rf_page_store_ends_as_well(store_, b.size, size);
  }

  // ---- Errors ----

  void touch_behind() {
    if (blocks_.empty() || sizeof(void *) < 8) {
      return;
    }
    Block &b = blocks_[in_.below(blocks_.size())];
    if (b.touched || b.size == 0) {
      return;
    }
    auto *const at = reinterpret_cast<volatile unsigned char *>(open_end(b));
    touch(at);
    expect(RF_BUG_BUFFER_OVERFLOW, const_cast<const unsigned char *>(at));
    b.touched = true; // open from now on
  }

  void touch_freed() {
    if (last_freed_.ptr == nullptr || last_freed_.size == 0 || options_.quarantine == 0) {
      return;
    }
    volatile unsigned char *const at = last_freed_.ptr + in_.below(last_freed_.size);
    touch(at);
    expect(RF_BUG_USE_AFTER_FREE, const_cast<const unsigned char *>(at));
    last_freed_.ptr = nullptr;
  }

  // Bytes behind the block in its last page: told by a sweep, once.
  void write_slack() {
    if (blocks_.empty()) {
      return;
    }
    Block const &b = blocks_[in_.below(blocks_.size())];
    size_t const slack = open_end(b) - number(b.ptr) - b.size;
    if (b.size == 0 || slack == 0) {
      return;
    }
    size_t const at = in_.below(std::min<size_t>(slack, 128));
    rf_fault where = {};
    RF_HOLDS(!rf_page_store_damaged(store_, &where));
    *const_cast<volatile unsigned char *>(b.ptr + b.size + at) ^= 0x11;
    RF_HOLDS(rf_page_store_damaged(store_, &where) && where.ptr == b.ptr + b.size + at);
    rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
    RF_HOLDS(rf_page_store_sweep(store_, 0, &origin) == 1);
    expect(RF_BUG_BUFFER_OVERFLOW, b.ptr + b.size + at);
  }

  // The system was to fill more than the block.
  void transfer() {
    if (blocks_.empty()) {
      return;
    }
    Block const &b = blocks_[in_.below(blocks_.size())];
    rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
    RF_HOLDS(!rf_page_store_report_transfer(store_, b.ptr, b.size, RF_ACCESS_WRITE, &origin));
    RF_HOLDS(!rf_page_store_report_transfer(store_, &b, b.size, RF_ACCESS_WRITE, &origin));
    if (b.size != 0 && !b.touched) {
      RF_HOLDS(rf_page_store_report_transfer(store_, b.ptr, b.size + kPage, RF_ACCESS_WRITE, &origin));
      expect(RF_BUG_BUFFER_OVERFLOW, reinterpret_cast<void *>(open_end(b)));
    }
  }

  void tell_leak() {
    RF_HOLDS(!rf_page_store_report_leak(store_, &in_, nullptr));
    if (!blocks_.empty()) {
      const Block &b = blocks_[in_.below(blocks_.size())];
      RF_HOLDS(rf_page_store_report_leak(store_, b.ptr, "lost"));
      expect(RF_BUG_LEAK, b.ptr);
    }
  }

  void touch_after_end() {
    if (blocks_.empty() || blocks_[0].size == 0) {
      return;
    }
    volatile unsigned char *const at = blocks_[0].ptr;
    touch(at);
    expect(RF_BUG_USE_AFTER_FREE, const_cast<const unsigned char *>(at));
  }

  // ---- Others ----

  void meet_other_store() {
    rf_page_store_options other_options = options_;
    other_options.allocator = "other";
    other_options.moves_pages = false;
    rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
    rf_page_store *const other = rf_page_store_open(&other_options);
    RF_HOLDS(other != nullptr);
    if (!blocks_.empty()) {
      Block const &b = blocks_[in_.below(blocks_.size())];
      RF_HOLDS(!rf_page_store_owns(other, b.ptr));
      RF_HOLDS(rf_page_store_refuse_others(store_, b.ptr, &origin) == RF_OK);
      RF_HOLDS(rf_page_store_refuse_others(other, b.ptr, &origin) == RF_ERR_BAD_POINTER);
      expect(RF_BUG_DEALLOC_MISMATCH, b.ptr);
    }
    rf_page_store_close(other);
  }

  void with_all_locks() {
    rf_page_lock_all();
    (void)alloc();
    free_well();
    rf_page_unlock_all();
    // A page that a finding opened stays open until the next call that takes the lock: here a new block may end at it.
    rf_page_figures figures;
    rf_page_store_figures(store_, &figures);
  }

  // A handler that interrupts this thread in the store gets no block; blocks that it frees come into quarantine later.
  void interrupted() {
    rf_page_mask mask;
    RF_HOLDS(rf_page_enter(store_, &mask));
    bool const served = alloc();
    free_well();
    free_well();
    rf_page_leave(store_, &mask);
    RF_HOLDS(!served);
  }

  void change_backing() {
    if (blocks_.empty() || !options_.backing) {
      return;
    }
    Block &b = blocks_[in_.below(blocks_.size())];
    auto *const backing = reinterpret_cast<void *>(uintptr_t{0x10000} + 16 * (512 + in_.below(64)));
    if (owner_of(backing) == nullptr) {
      b.backing = backing;
      rf_page_store_set_backing(store_, b.ptr, backing);
    }
  }

  // The program's handler is called for its own faults, and for no others.
  void with_own_handler() {
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
  void settle_otherwise() {
    handled = 0;
    RF_HOLDS(mprotect(own_page(), kPage, PROT_NONE) == 0);
    rf_page_settle_also(settles);
    touch(own_page());
    touch_behind();
    rf_page_settle_also(nullptr);
    RF_HOLDS(handled == 1);
  }

  // The program takes rights from a block's pages: it is left alone, and has them back when it is freed or resized.
  void restrict_rights() {
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
  void touch_restricted(const Block &b) {
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
  void change_stack() {
    rf_page_signals_use_stack(in_.u8() % 2 == 0);
    touch_behind();
    rf_page_signals_use_stack(true);
  }

  // A thread that was given no block yet. It gets a stack for its handlers, which is gone when it ends.
  void touch_in_thread() {
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
  void serve_otherwise() {
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

  // ---- All of it ----

  void check_all() {
    rf_page_figures figures;
    rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
    rf_page_store_figures(store_, &figures);
    size_t used = 0;
    for (const Block &b : blocks_) {
      used += b.size;
    }
    RF_HOLDS(figures.counters.blocks == blocks_.size() && figures.counters.used == used);
    std::vector<const void *> seen;
    rf_page_store_each(store_, note, &seen);
    RF_HOLDS(seen.size() == blocks_.size() && std::is_sorted(seen.begin(), seen.end()));
    RF_HOLDS(rf_page_store_sweep(store_, in_.u8() % 2 == 0 ? 0 : 1000, &origin) == 0);
    for (const Block &b : blocks_) {
      check_block(b);
    }
    uintptr_t start = 0;
    uintptr_t end = 0;
    RF_HOLDS(rf_page_store_own_memory(store_, 0, &start, &end) && start < end);
    RF_HOLDS(!rf_page_store_own_memory(store_, 1000, &start, &end));
  }

  static bool note(const rf_page_block *block, void *context) {
    static_cast<std::vector<const void *> *>(context)->push_back(block->ptr);
    return true;
  }

  void check_block(const Block &b) {
    rf_page_block found = {};
    rf_trace trace = {};
    RF_HOLDS(is_whole(b) && rf_page_store_find(store_, b.ptr, &found));
    RF_HOLDS(found.ptr == b.ptr && found.size == b.size && found.family == b.family && found.backing == b.backing);
    RF_HOLDS(rf_page_store_allocated(store_, b.ptr, &trace));
    RF_HOLDS(!rf_page_store_find(store_, b.ptr + 1, &found));
    if (b.backing != nullptr) {
      RF_HOLDS(rf_page_store_backed_by(store_, b.backing, &found) && found.ptr == b.ptr);
      RF_HOLDS(!rf_page_store_backed_by(store_, static_cast<char *>(b.backing) + 1, &found));
    }
    bool lies = false;
    uintptr_t start = 0;
    uintptr_t end = 0;
    for (unsigned i = 0; rf_page_store_space(store_, i, &start, &end); i++) {
      lies = lies || (number(b.ptr) >= start && number(b.ptr) < end);
    }
    RF_HOLDS(lies);
  }

  Reader &in_;
  FindingLog log_;
  rf_page_store_options options_;
  rf_page_store *store_ = nullptr;
  std::vector<Block> blocks_;
  Block last_freed_ = {};
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  Session session(in);
  session.run();
  return 0;
}
