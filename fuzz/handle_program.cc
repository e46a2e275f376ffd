#include "handle_program.h"

#include <algorithm>
#include <cstring>

namespace ringfence::fuzz {

HandleProgram::HandleProgram(Reader &in, bool guarded)
    : in_(in), guarded_(guarded), error_(in.u8()), detail_(in.u8()), which_(in.u8()) {
  rf_handle_options options = {};
  options.align = size_t{1} << in.below(7);
  options.max_blocks = in.u8() % 4 == 0 ? 1 + in.below(guarded ? 60 : 300) : 0;
  size_t const wanted = guarded ? kGuardedArena : 500 + in.u16() % (kMaxArena - 500);
  bool const apart = in.u8() % 2 != 0;
  // Each check looks at every place of the table: no more than 100 guarded blocks find room, with their headers.
  size_t const fewest = guarded ? 32 : 1;
  options.average_block = in.u8() % 4 == 0 ? fewest + in.u8() : guarded ? 192 : 0;
  if (apart) {
    options.table = table_;
    options.table_size = in.u8() % 4 == 0 ? 30 + in.u8() : sizeof table_;
  }
  // Free memory is 0xCC from the beginning, so that any other byte in it is an error. A guard fills it itself.
  std::memset(arena_, 0xCC, guarded ? 0 : kMaxArena + 8);
  if (rf_handle_heap_init(&heap_, arena_ + in.below(8), wanted, &options) != RF_OK) {
    options.max_blocks = 20;
    options.table_size = 0;
    options.table = nullptr;
    RF_HOLDS(rf_handle_heap_init(&heap_, arena_, guarded ? kGuardedArena : kMaxArena, &options) == RF_OK);
  }
  if (guarded) {
    rf_handle_guard_options o;
    rf_handle_guard_options_default(&o);
    o.quarantine = in.u8() * size_t{50};
    o.move = in.u8() % 8 != 0;
    o.reporter = log_.reporter();
    RF_HOLDS(rf_handle_guard_init(&guard_, &heap_.base, &o) == RF_OK);
    h_ = &guard_.base;
  } else {
    h_ = &heap_.base;
    rf_handle_heap_on_short(&heap_, give, this);
  }
  rf_handle_usage_get(h_, &fresh_);
}

void HandleProgram::run() {
  for (the_step = 1; !in_.empty() && the_step < 200; count_step()) {
    step();
    if (the_step % (guarded_ ? std::max<size_t>(interval_, 8) : interval_) == 0) {
      verify();
    }
    RF_HOLDS(log_.count() == 0);
  }
  verify();
  if (guarded_) {
    commit_an_error();
  }
  finish();
}

void HandleProgram::step() {
  switch (in_.u8() % 12) {
  case 0:
  case 1:
  case 2:
    return alloc();
  case 3:
  case 4:
    return free_one();
  case 5:
    return resize();
  case 6:
    return lock();
  case 7:
    return unlock();
  case 8:
    return compact();
  case 9:
    return write();
  case 10:
    return swap();
  default:
    return guarded_ ? write() : misuse();
  }
}

// ---- The model ----

std::vector<HandleProgram::Stretch> HandleProgram::walk(rf_handles *h) const {
  std::vector<Stretch> all;
  all.reserve(2 * live_.size() + 1);
  RF_HOLDS(rf_handle_walk(
               h,
               [](const rf_handle_block *b, void *out) {
                 static_cast<std::vector<Stretch> *>(out)->push_back(
                     {b->handle, static_cast<const unsigned char *>(b->ptr), b->size, b->size + b->overhead, b->locks});
                 return true;
               },
               &all) == RF_OK);
  return all;
}

rf_handle HandleProgram::some() {
  auto it = live_.begin();
  std::advance(it, live_.empty() ? 0 : in_.below(live_.size()));
  return live_.empty() ? RF_HANDLE_NULL : it->first;
}

size_t HandleProgram::some_size() {
  size_t const n = in_.u8();
  return n < 200 ? n : n < 250 ? (n - 199) * 20 : in_.u16();
}

rf_handle_usage HandleProgram::usage() {
  rf_handle_usage u;
  rf_handle_usage_get(h_, &u);
  return u;
}

size_t HandleProgram::lowest_free() const {
  size_t i = 1;
  while (std::any_of(live_.begin(), live_.end(), [i](auto const &b) { return (b.first & 0xFFFF) == i; })) {
    i++;
  }
  return i;
}

// The largest possible block: all free bytes of a segment between locked blocks.
size_t HandleProgram::largest(const std::vector<Stretch> &map) const {
  size_t best = 0;
  size_t sum = 0;
  for (const Stretch &s : map) {
    sum = s.handle == RF_HANDLE_NULL ? sum + s.size : s.locks != 0 ? 0 : sum;
    best = std::max(best, sum);
  }
  return live_.size() < heap_.blocks ? best : 0;
}

unsigned char *HandleProgram::at(rf_handle a) {
  auto *const p = static_cast<unsigned char *>(rf_handle_address(h_, a));
  RF_HOLDS(p != nullptr);
  return p;
}

// ---- Operations ----

void HandleProgram::alloc() {
  size_t const size = some_size();
  unsigned const flags = in_.u8() % 8;
  // The model does not foretell what a guard has room for.
  std::vector<Stretch> const before = guarded_ ? std::vector<Stretch>() : walk(h_);
  size_t const place = guarded_ ? 0 : lowest_free();
  size_t const most = guarded_ ? 0 : usage().largest;
  asked_ = 0;
  rf_handle const a = rf_handle_alloc_at(h_, size, flags, nullptr);
  if (size == 0) {
    RF_HOLDS(a == RF_HANDLE_NULL);
    return;
  }
  if (!guarded_) {
    bool const quiet = (flags & RF_HANDLE_TRY) != 0;
    auto const hole = std::find_if(before.begin(), before.end(), [&](const Stretch &s) {
      return s.handle == RF_HANDLE_NULL && s.size >= extent(size);
    });
    bool const named = place <= heap_.blocks;
    bool const fits = named && ((flags & RF_HANDLE_STAY) != 0 ? hole != before.end() : size <= most);
    RF_HOLDS((a != RF_HANDLE_NULL) == fits);
    RF_HOLDS(asked_ == (fits || quiet || size > heap_.size ? 0U : 1U));
    failures_ += fits || quiet ? 0 : 1;
    if (fits) {
      RF_HOLDS((a & 0xFFFF) == place);
    }
    if (fits && hole != before.end()) {
      RF_HOLDS(at(a) == hole->ptr);
      RF_HOLDS(usage().moved_bytes == moved_);
    }
    moved_ = usage().moved_bytes;
  }
  if (a == RF_HANDLE_NULL) {
    return;
  }
  RF_HOLDS(live_.count(a) == 0);
  Block &b = live_[a];
  b.bytes.assign(size, 0);
  if ((flags & RF_HANDLE_NO_ZERO) != 0) {
    fill(a);
  }
  peak_ = std::max(peak_, live_.size());
}

void HandleProgram::fill(rf_handle a) {
  unsigned char *const p = at(a);
  unsigned char const seed = in_.u8();
  std::vector<unsigned char> &bytes = live_[a].bytes;
  write_ramp(bytes.data(), bytes.size(), seed);
  write_ramp(p, bytes.size(), seed);
}

void HandleProgram::write() {
  rf_handle const a = some();
  if (a != RF_HANDLE_NULL) {
    fill(a);
  }
}

void HandleProgram::free_one() {
  rf_handle a = some();
  if (a == RF_HANDLE_NULL) {
    return;
  }
  if (live_[a].locks != 0) {
    if (!guarded_) {
      RF_HOLDS(rf_handle_free_ptr(h_, &a) == RF_ERR_BUSY && a != RF_HANDLE_NULL && faults_.take() == 1);
    }
    return;
  }
  stale_ = a;
  live_.erase(a);
  RF_HOLDS(rf_handle_free_ptr(h_, &a) == RF_OK && a == RF_HANDLE_NULL);
}

void HandleProgram::resize() {
  rf_handle const a = some();
  size_t const size = some_size();
  if (a == RF_HANDLE_NULL) {
    return;
  }
  Block &b = live_[a];
  size_t const old = b.bytes.size();
  const unsigned char *const where = at(a);
  std::vector<Stretch> const before = guarded_ ? std::vector<Stretch>() : walk(h_);
  rf_status const status = rf_handle_realloc(h_, a, size);
  if (size == 0) {
    RF_HOLDS(status == RF_ERR_INVALID);
    return;
  }
  if (size <= old) {
    RF_HOLDS(status == RF_OK);
    RF_HOLDS(guarded_ || at(a) == where);
  }
  if (!guarded_) {
    expect_resize(a, size, status, before);
    moved_ = usage().moved_bytes;
  }
  RF_HOLDS(b.locks == 0 || at(a) == b.address);
  if (status == RF_OK) {
    b.bytes.resize(size, 0);
  } else {
    RF_HOLDS(status == (b.locks != 0 ? RF_ERR_BUSY : RF_ERR_NO_MEMORY) || guarded_);
  }
}

// A movable block grows iff a segment has room for it; its own segment includes its present bytes.
void HandleProgram::expect_resize(rf_handle a, size_t size, rf_status status, const std::vector<Stretch> &before) {
  size_t own = 0;
  size_t sum = 0;
  size_t best = 0;
  bool mine = false;
  for (const Stretch &s : before) {
    if (s.handle != RF_HANDLE_NULL && s.locks != 0) {
      own = mine ? std::max(own, sum) : own;
      best = std::max(best, sum);
      sum = 0;
      mine = false;
    }
    sum += s.handle == RF_HANDLE_NULL ? s.size : s.handle == a && s.locks == 0 ? s.extent : 0;
    mine = mine || s.handle == a;
    best = std::max(best, s.handle == a ? best : sum);
  }
  best = std::max(best, sum);
  if (live_[a].locks == 0) {
    RF_HOLDS((status == RF_OK) == (extent(size) <= best));
  }
}

void HandleProgram::lock() {
  rf_handle const a = some();
  if (a == RF_HANDLE_NULL || live_[a].locks == 5) {
    return;
  }
  Block &b = live_[a];
  auto *const p = static_cast<const unsigned char *>(rf_handle_lock(h_, a));
  RF_HOLDS(p != nullptr && (b.locks == 0 || p == b.address));
  RF_HOLDS(rf_handle_find(h_, p) == a);
  b.address = p;
  b.locks++;
}

void HandleProgram::unlock() {
  rf_handle const a = some();
  if (a == RF_HANDLE_NULL) {
    return;
  }
  Block &b = live_[a];
  if (b.locks == 0) {
    if (!guarded_) {
      RF_HOLDS(rf_handle_unlock(h_, a) == RF_ERR_INVALID && faults_.take() == 1);
    }
    return;
  }
  RF_HOLDS(at(a) == b.address);
  b.locks--;
  RF_HOLDS(rf_handle_unlock(h_, a) == RF_OK);
}

void HandleProgram::compact() {
  size_t const most = in_.u8() % 4 == 0 ? SIZE_MAX : in_.u8();
  size_t const before = usage().largest;
  size_t const moved = rf_handle_compact(h_, most);
  if (guarded_) {
    return;
  }
  RF_HOLDS(moved <= most && usage().moved_bytes == moved_ + moved && usage().largest == before);
  moved_ += moved;
  if (most != SIZE_MAX) {
    return;
  }
  RF_HOLDS(rf_handle_compact(h_, SIZE_MAX) == 0);
  std::vector<Stretch> const map = walk(h_);
  for (size_t i = 0; i + 1 < map.size(); i++) {
    RF_HOLDS(map[i].handle != RF_HANDLE_NULL || map[i + 1].locks != 0);
  }
}

void HandleProgram::swap() {
  rf_handle const a = some();
  rf_handle const b = some();
  if (a == RF_HANDLE_NULL) {
    return;
  }
  RF_HOLDS(rf_handle_swap(h_, a, b) == RF_OK);
  std::swap(live_[a], live_[b]);
}

void HandleProgram::misuse() {
  rf_handle const bad[] = {stale_, 0x7FFF0001U, 0xFFFFU, 0x80000001U, static_cast<rf_handle>(heap_.blocks + 1)};
  size_t const which = in_.below(5);
  rf_handle const a = bad[which];
  if (a == RF_HANDLE_NULL) {
    return;
  }
  rf_status const expected = which == 0 ? RF_ERR_NOT_ALLOCATED : RF_ERR_INVALID;
  RF_HOLDS(rf_handle_free(h_, a) == expected && rf_handle_unlock(h_, a) == expected);
  RF_HOLDS(rf_handle_realloc(h_, a, 5) == expected && rf_handle_swap(h_, a, a) == expected);
  RF_HOLDS(rf_handle_address(h_, a) == nullptr && rf_handle_lock(h_, a) == nullptr && rf_handle_size(h_, a) == 0);
  RF_HOLDS(faults_.take() == 7);
  RF_HOLDS(rf_handle_find(h_, this) == RF_HANDLE_NULL);
  RF_HOLDS(rf_handle_alloc(h_, SIZE_MAX - in_.u8()) == RF_HANDLE_NULL);
  rf_handle const good = some();
  if (good != RF_HANDLE_NULL && live_[good].locks == 0) {
    for (unsigned i = 0; i <= RF_HANDLE_MOST_LOCKS; i++) {
      RF_HOLDS((rf_handle_lock(h_, good) != nullptr) == (i < RF_HANDLE_MOST_LOCKS));
    }
    for (unsigned i = 0; i < RF_HANDLE_MOST_LOCKS; i++) {
      RF_HOLDS(rf_handle_unlock(h_, good) == RF_OK);
    }
    RF_HOLDS(faults_.take() == 1);
    RF_HOLDS(rf_handle_realloc(h_, good, SIZE_MAX) == RF_ERR_INVALID);
  }
}

bool HandleProgram::give(void *self, unsigned, size_t) {
  auto *const harness = static_cast<HandleProgram *>(self);
  harness->asked_++;
  return false;
}

// ---- After each operation ----

void HandleProgram::verify() {
  std::vector<Stretch> const map = walk(h_);
  const unsigned char *end = heap_.data;
  size_t used = 0;
  size_t occupied = 0;
  size_t free = 0;
  size_t locked = 0;
  size_t seen = 0;
  for (const Stretch &s : map) {
    RF_HOLDS(guarded_ ? s.ptr >= end : s.ptr == end);
    end = s.ptr + (guarded_ ? s.size : s.extent);
    if (s.handle == RF_HANDLE_NULL) {
      free += s.size;
      RF_HOLDS(*s.ptr == 0xCC && std::memcmp(s.ptr, s.ptr + 1, s.size - 1) == 0);
      continue;
    }
    auto const it = live_.find(s.handle);
    RF_HOLDS(it != live_.end());
    const Block &b = it->second;
    RF_HOLDS(s.size == b.bytes.size() && s.locks == b.locks && rf_handle_size(h_, s.handle) == s.size);
    RF_HOLDS(rf_is_aligned(s.ptr, heap_.align) && (b.locks == 0 || s.ptr == b.address));
    RF_HOLDS(std::memcmp(s.ptr, b.bytes.data(), s.size) == 0);
    used += s.size;
    occupied += s.extent;
    locked += b.locks != 0 ? 1 : 0;
    seen++;
  }
  rf_handle_usage const u = usage();
  RF_HOLDS(seen == live_.size() && u.used_blocks == seen && u.stats.blocks == seen && u.stats.used == used);
  RF_HOLDS(u.stats.used + u.stats.free_bytes + u.stats.overhead == u.stats.capacity);
  RF_HOLDS(rf_handle_check(h_, nullptr) == RF_OK);
  RF_HOLDS(faults_.take() == 0 && log_.count() == 0);
  if (guarded_) {
    return;
  }
  RF_HOLDS(end == heap_.data + heap_.size);
  RF_HOLDS(u.used_bytes == occupied && u.locked == locked && u.largest == largest(map));
  RF_HOLDS(u.free_bytes == (seen < heap_.blocks ? free : 0) && u.free_blocks == heap_.blocks - seen);
  RF_HOLDS(u.min_free_blocks == heap_.blocks - peak_ && u.peak_bytes >= occupied);
  RF_HOLDS(u.min_free_bytes == heap_.size - u.peak_bytes && u.stats.failures == failures_);
}

void HandleProgram::finish() {
  for (auto &one : live_) {
    for (; one.second.locks != 0; one.second.locks--) {
      RF_HOLDS(rf_handle_unlock(h_, one.first) == RF_OK);
    }
    RF_HOLDS(rf_handle_free(h_, one.first) == RF_OK);
  }
  live_.clear();
  if (guarded_) {
    rf_handle_guard_flush(&guard_, 0);
  }
  verify();
  rf_handle_usage const u = usage();
  RF_HOLDS(u.largest == fresh_.largest && u.free_bytes == fresh_.free_bytes);
  rf_handle_deinit(h_);
  rf_handle_deinit(h_);
  RF_HOLDS(log_.count() == 0);
  RF_HOLDS(rf_handle_alloc(&heap_.base, 1) == RF_HANDLE_NULL);
  RF_HOLDS(rf_handle_compact(&heap_.base, 1) == 0);
  faults_.take();
}

} // namespace ringfence::fuzz
