// One error on a guarded heap of handles, and the finding that must follow.
#include "handle_program.h"

#include <algorithm>
#include <cstring>

namespace ringfence::fuzz {
namespace {

__attribute__((no_sanitize_address)) void stray(unsigned char *p) {
  *const_cast<volatile unsigned char *>(p) ^= 0x41;
}

// Words of a header behind the first ten: its handle, the handle of the block that was here, the link in the
// quarantine, the count of locks, and the state, which is 3 for a block that has moved away.
bool is_left_by(const unsigned char *block, rf_handle a) {
  rf_handle subject;
  std::memcpy(&subject, block + 10 * sizeof(uintptr_t) + sizeof subject, sizeof subject);
  return subject == a && block[10 * sizeof(uintptr_t) + 3 * sizeof subject + 2] == 3;
}

rf_handle next_of(const unsigned char *block) {
  rf_handle next;
  std::memcpy(&next, block + 10 * sizeof(uintptr_t) + 2 * sizeof next, sizeof next);
  return next;
}

} // namespace

// Exactly this finding, at this distance from this block.
void HandleProgram::expect(rf_bug bug, rf_handle a, bool with_block, ptrdiff_t offset, size_t size) {
  RF_HOLDS(log_.count() == 1);
  const rf_finding &f = log_.findings()[0];
  RF_HOLDS(f.bug == bug && f.argument == a);
  RF_HOLDS(!with_block || (f.offset == offset && f.size == size && f.blocks == 1));
  log_.clear();
}

void HandleProgram::commit_an_error() {
  auto it = live_.begin();
  if (live_.empty()) {
    return;
  }
  std::advance(it, which_ % live_.size());
  rf_handle const a = it->first;
  Block const b = it->second;
  size_t const size = b.bytes.size();
  auto const past = static_cast<ptrdiff_t>(detail_ % 16);
  size_t const inside = detail_ % size;
  switch (error_ % 12) {
  case 0:
    stray(at(a) + size + past);
    RF_HOLDS(rf_handle_check(h_, nullptr) == RF_ERR_CORRUPT && rf_handle_guard_sweep(&guard_) == 1);
    return expect(RF_BUG_BUFFER_OVERFLOW, a, true, static_cast<ptrdiff_t>(size) + past, size);
  case 1:
    stray(at(a) - 1 - past);
    RF_HOLDS(rf_handle_check(h_, nullptr) == RF_ERR_CORRUPT && rf_handle_guard_sweep(&guard_) == 1);
    return expect(RF_BUG_BUFFER_UNDERFLOW, a, true, -1 - past, size);
  case 2:
    RF_HOLDS(b.locks != 0 || rf_handle_unlock(h_, a) == RF_ERR_INVALID);
    return b.locks != 0 ? void() : expect(RF_BUG_UNLOCK, a, true, 0, size);
  case 3:
    RF_HOLDS(b.locks == 0 || rf_handle_free(h_, a) == RF_ERR_BUSY);
    return b.locks == 0 ? void() : expect(RF_BUG_FREE_LOCKED, a, true, 0, size);
  case 4:
    return stale(a, b, inside);
  case 5:
    return keep_address(a, b, inside);
  case 6:
    stray(at(a) - guard_.prefix + detail_ % 60);
    RF_HOLDS(rf_handle_check(h_, nullptr) == RF_ERR_CORRUPT && rf_handle_guard_sweep(&guard_) == 1);
    expect(RF_BUG_METADATA, a, false, 0, 0);
    live_.erase(a);
    return end_condemned();
  case 8:
    RF_HOLDS(rf_handle_alloc(h_, SIZE_MAX - detail_) == RF_HANDLE_NULL);
    return expect(RF_BUG_SIZE_TOO_BIG, 0, false, 0, 0);
  case 9:
    return write_to_free_memory();
  case 10:
    while (live_[a].locks < RF_HANDLE_MOST_LOCKS) {
      live_[a].address = static_cast<const unsigned char *>(rf_handle_lock(h_, a));
      live_[a].locks++;
    }
    RF_HOLDS(rf_handle_lock(h_, a) == nullptr);
    return expect(RF_BUG_BAD_HANDLE, a, true, 0, size);
  case 7:
    RF_HOLDS(rf_handle_address(h_, 0x7FFE0001U) == nullptr);
    return expect(RF_BUG_BAD_HANDLE, 0x7FFE0001U, false, 0, 0);
  default:
    RF_HOLDS(rf_handle_guard_report_live(&guard_) == live_.size() && log_.count() == live_.size());
    RF_HOLDS(log_.findings()[0].bug == RF_BUG_LEAK);
    log_.clear();
  }
}

void HandleProgram::stale(rf_handle a, const Block &b, size_t inside) {
  unsigned char *const raw = at(a);
  if (b.locks != 0) {
    return;
  }
  RF_HOLDS(rf_handle_free(h_, a) == RF_OK);
  live_.erase(a);
  bool const waits = guard_.quarantined != 0;
  bool const again = detail_ % 2 != 0;
  RF_HOLDS(again ? rf_handle_free(h_, a) == RF_ERR_NOT_ALLOCATED : rf_handle_lock(h_, a) == nullptr);
  expect(again ? RF_BUG_DOUBLE_FREE : RF_BUG_STALE_HANDLE, a, waits, 0, b.bytes.size());
  if (waits) {
    stray(raw + inside);
    rf_handle_guard_flush(&guard_, 0);
    expect(RF_BUG_USE_AFTER_FREE, a, true, static_cast<ptrdiff_t>(inside), b.bytes.size());
  }
}

void HandleProgram::write_to_free_memory() {
  for (const Stretch &s : walk(&heap_.base)) {
    if (s.handle == RF_HANDLE_NULL) {
      stray(const_cast<unsigned char *>(s.ptr) + detail_ % s.size);
      RF_HOLDS(rf_handle_check(h_, nullptr) == RF_ERR_CORRUPT && rf_handle_guard_sweep(&guard_) == 1);
      return expect(RF_BUG_USE_AFTER_FREE, 0, false, 0, 0);
    }
  }
}

void HandleProgram::keep_address(rf_handle a, const Block &b, size_t inside) {
  unsigned char *const raw = at(a);
  rf_handle_free(h_, rf_handle_alloc(h_, 1));
  if (b.locks != 0 || at(a) == raw || guard_.quarantined == 0) {
    return; // no place to move to, or no quarantine
  }
  bool kept = false;
  for (rf_handle q = guard_.oldest; q != RF_HANDLE_NULL;) {
    auto *const block = static_cast<unsigned char *>(rf_handle_address(&heap_.base, q));
    kept = kept || (block + guard_.prefix == raw && is_left_by(block, a));
    q = next_of(block);
  }
  if (kept) {
    stray(raw + inside);
    RF_HOLDS(rf_handle_guard_sweep(&guard_) == 1);
    expect(RF_BUG_USE_AFTER_MOVE, a, true, static_cast<ptrdiff_t>(inside), b.bytes.size());
  }
}

// A condemned block stays in place, since its damage may spread.
void HandleProgram::end_condemned() {
  rf_handle_guard_flush(&guard_, 0);
  for (auto &one : live_) {
    for (; one.second.locks != 0; one.second.locks--) {
      RF_HOLDS(rf_handle_unlock(h_, one.first) == RF_OK);
    }
    RF_HOLDS(rf_handle_free(h_, one.first) == RF_OK);
  }
  live_.clear();
  guard_.base.ops->deinit(&guard_.base);
  RF_HOLDS(log_.count() == 0);
  RF_HOLDS(rf_handle_guard_init(&guard_, &heap_.base, &guard_.options) == RF_OK);
  rf_handle_usage u;
  rf_handle_usage_get(&heap_.base, &u);
  RF_HOLDS(u.used_blocks == 0);
}

} // namespace ringfence::fuzz
