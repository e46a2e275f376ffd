// store: blocks on pages of their own, by the calls that page, sample and the drop-in make: with pages that move or are
// kept, few slots, little memory, backing blocks, sized and typed frees, several stores, calls that interrupt others,
// and handlers of the program for the same signals. Each block keeps its contents, a touch of what is closed is one
// finding of the right kind, and correct use none.
#include "store_session.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace ringfence::fuzz {
namespace {

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
  o.read_all = how % 4 == 2 ? "reads all" : nullptr;
  o.fallback = "blocks are under guard";
  o.owner = log;
  o.backing = o.slots != 0;
  return o;
}

} // namespace

StoreSession::StoreSession(Reader &in) : in_(in), options_(some_options(in, &log_)) {
  store_ = rf_page_store_open(&options_);
  RF_HOLDS(store_ != nullptr && rf_page_store_has_owner(&log_));
  RF_HOLDS(in.u8() % 4 != 1 || rf_page_store_reserve(store_));
}

void StoreSession::run() {
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

void StoreSession::step() {
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

void StoreSession::rare_step() {
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
void StoreSession::expect(rf_bug bug, const void *address) {
  RF_HOLDS(log_.count() == 1);
  RF_HOLDS(log_.findings()[0].bug == bug && log_.findings()[0].address == number(address));
  log_.clear();
}

// ---- Blocks ----

size_t StoreSession::a_size() {
  size_t const kind = in_.u8();
  return kind % 8 == 0 ? 0 : kind % 8 < 6 ? 1 + in_.below(kPage) : 1 + in_.length() % (40 * kPage);
}

bool StoreSession::alloc() {
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
size_t StoreSession::promised_align(const rf_page_request &request) const {
  if (request.align > RF_ALIGN_DEFAULT || options_.side < RF_PAGE_EXACT) {
    return request.align;
  }
  size_t const of_size = request.size & (0 - request.size);
  bool const exact = options_.side == RF_PAGE_EXACT && of_size != 0;
  return exact ? std::min(request.align, of_size) : 1;
}

const StoreSession::Block *StoreSession::owner_of(const void *backing) const {
  auto const found =
      std::find_if(blocks_.begin(), blocks_.end(), [backing](const Block &b) { return b.backing == backing; });
  return found == blocks_.end() ? nullptr : &*found;
}

StoreSession::Block StoreSession::take() {
  size_t const i = in_.below(blocks_.size());
  Block const b = blocks_[i];
  blocks_.erase(blocks_.begin() + static_cast<ptrdiff_t>(i));
  RF_HOLDS(is_whole(b));
  return b;
}

rf_status StoreSession::free_as(const Block &b, rf_family family, size_t size) {
  rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
  rf_page_block freed = {};
  rf_status const status = rf_page_store_free(store_, b.ptr, family, size, &origin, &freed);
  RF_HOLDS(status != RF_OK || (freed.ptr == b.ptr && freed.size == b.size && freed.backing == b.backing));
  return status;
}

void StoreSession::free_well() {
  if (!blocks_.empty()) {
    Block const b = take();
    RF_HOLDS(free_as(b, b.family, in_.u8() % 2 == 0 ? b.size : SIZE_MAX) == RF_OK);
    last_freed_ = b;
  }
}

// By another call, or with another size: freed all the same, and told.
void StoreSession::free_wrong() {
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

void StoreSession::free_again() {
  rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
  if (last_freed_.ptr != nullptr && options_.quarantine != 0) {
    rf_trace trace = {};
    RF_HOLDS(rf_page_store_is_freed(store_, last_freed_.ptr));
    RF_HOLDS(!rf_page_store_allocated(store_, last_freed_.ptr, &trace));
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

void StoreSession::resize() {
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

// ---- Others ----

void StoreSession::meet_other_store() {
  rf_page_store_options other_options = options_;
  other_options.allocator = "other";
  other_options.moves_pages = false;
  rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
  rf_page_store *const other = rf_page_store_open(&other_options);
  RF_HOLDS(other != nullptr);
  if (!blocks_.empty()) {
    Block const &b = blocks_[in_.below(blocks_.size())];
    RF_HOLDS(!rf_page_store_owns(other, b.ptr));
    RF_HOLDS(rf_page_store_refuse_others(store_, nullptr, b.ptr, &origin) == RF_OK);
    RF_HOLDS(rf_page_store_refuse_others(other, nullptr, b.ptr, &origin) == RF_ERR_BAD_POINTER);
    expect(RF_BUG_DEALLOC_MISMATCH, b.ptr);
  }
  rf_page_store_close(other);
}

void StoreSession::with_all_locks() {
  rf_page_lock_all();
  (void)alloc();
  free_well();
  rf_page_unlock_all();
  // A page that a finding opened stays open until the next call that takes the lock: here a new block may end at it.
  rf_page_figures figures;
  rf_page_store_figures(store_, &figures);
}

// A handler that interrupts this thread in the store gets no block; blocks that it frees come into quarantine later.
void StoreSession::interrupted() {
  rf_page_mask mask;
  RF_HOLDS(rf_page_enter(store_, &mask));
  bool const served = alloc();
  free_well();
  free_well();
  rf_page_leave(store_, &mask);
  RF_HOLDS(!served);
}

void StoreSession::change_backing() {
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

// ---- All of it ----

void StoreSession::check_all() {
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

bool StoreSession::note(const rf_page_block *block, void *context) {
  static_cast<std::vector<const void *> *>(context)->push_back(block->ptr);
  return true;
}

void StoreSession::check_block(const Block &b) {
  rf_page_block found = {};
  rf_trace trace = {};
  RF_HOLDS(is_whole(b) && rf_page_store_find(store_, b.ptr, &found));
  RF_HOLDS(found.ptr == b.ptr && found.size == b.size && found.family == b.family && found.backing == b.backing);
  RF_HOLDS(rf_page_store_allocated(store_, b.ptr, &trace));
  RF_HOLDS(!rf_page_store_is_freed(store_, b.ptr) && !rf_page_store_is_freed(store_, &b));
  RF_HOLDS(!rf_page_store_find(store_, b.ptr + 1, &found));
  if (b.backing != nullptr) {
    RF_HOLDS(rf_page_store_backed_by(store_, b.backing, &found) && found.ptr == b.ptr);
    RF_HOLDS(!rf_page_store_backed_by(store_, static_cast<char *>(b.backing) + 1, &found));
  }
  // A thread that met the pages before the block was there does its instruction again: no address twice running, which
  // the store would end.
  RF_HOLDS(b.size < 2 || (rf_page_fault(number(b.ptr), RF_ACCESS_READ, 0, nullptr) &&
                          rf_page_fault(number(b.ptr) + b.size - 1, RF_ACCESS_READ, 0, nullptr)));
  bool lies = false;
  uintptr_t start = 0;
  uintptr_t end = 0;
  for (unsigned i = 0; rf_page_store_space(store_, i, &start, &end); i++) {
    lies = lies || (number(b.ptr) >= start && number(b.ptr) < end);
  }
  RF_HOLDS(lies);
}

} // namespace ringfence::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  Reader in(data, size);
  StoreSession session(in);
  session.run();
  return 0;
}
