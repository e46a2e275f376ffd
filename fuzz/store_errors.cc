// Errors on blocks of a store: each is one finding, at its address.
#include "store_session.h"

#include <algorithm>

namespace ringfence::fuzz {

void StoreSession::touch_behind() {
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

void StoreSession::touch_freed() {
  if (last_freed_.ptr == nullptr || last_freed_.size == 0 || options_.quarantine == 0) {
    return;
  }
  volatile unsigned char *const at = last_freed_.ptr + in_.below(last_freed_.size);
  touch(at);
  expect(RF_BUG_USE_AFTER_FREE, const_cast<const unsigned char *>(at));
  last_freed_.ptr = nullptr;
}

// Bytes behind the block in its last page: told by a sweep, once.
void StoreSession::write_slack() {
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
void StoreSession::transfer() {
  if (blocks_.empty()) {
    return;
  }
  Block const &b = blocks_[in_.below(blocks_.size())];
  rf_origin const origin = RF_ORIGIN_HERE(RF_HERE);
  RF_HOLDS(!rf_page_store_report_transfer(store_, b.ptr, b.size, b.size, RF_ACCESS_WRITE, &origin));
  RF_HOLDS(!rf_page_store_report_transfer(store_, &b, b.size, b.size, RF_ACCESS_WRITE, &origin));
  if (b.size != 0 && !b.touched) {
    size_t const more = b.size + kPage;
    RF_HOLDS(rf_page_store_report_transfer(store_, b.ptr, more, more, RF_ACCESS_WRITE, &origin));
    expect(RF_BUG_BUFFER_OVERFLOW, reinterpret_cast<void *>(open_end(b)));
  }
}

void StoreSession::tell_leak() {
  RF_HOLDS(!rf_page_store_report_leak(store_, &in_, nullptr));
  if (!blocks_.empty()) {
    const Block &b = blocks_[in_.below(blocks_.size())];
    RF_HOLDS(rf_page_store_report_leak(store_, b.ptr, "lost"));
    expect(RF_BUG_LEAK, b.ptr);
  }
}

void StoreSession::touch_after_end() {
  if (blocks_.empty() || blocks_[0].size == 0) {
    return;
  }
  volatile unsigned char *const at = blocks_[0].ptr;
  touch(at);
  expect(RF_BUG_USE_AFTER_FREE, const_cast<const unsigned char *>(at));
}

} // namespace ringfence::fuzz
