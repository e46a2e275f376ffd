// handle: valid and invalid allocations, resizes, locks, moves and frees by handle, against a model of the bytes, the
// holes and the largest possible block. The first byte of the input chooses between the bare heap; a guard, which must
// be silent until exactly one error is committed; the adapter to rf_allocator; and damage to the table and the record.
#include <ringfence/fuzz/interpreter.h>
#include <ringfence/fuzz/target.h>
#include <ringfence/handle_allocator.h>
#include <ringfence/handle_guard.h>

#include "blocks_model.h"
#include "finding_log.h"
#include "record_damage.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace {

using namespace ringfence::fuzz;

constexpr size_t kMaxArena = 6000;

// One entry of a walk.
struct Stretch {
  rf_handle handle; // RF_HANDLE_NULL: a hole
  const unsigned char *ptr;
  size_t size;
  size_t extent;
  unsigned locks;
};

std::vector<Stretch> walk(rf_handles *h) {
  std::vector<Stretch> all;
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

struct Block {
  std::vector<unsigned char> bytes;
  unsigned locks = 0;
  const unsigned char *address = nullptr; // where it is locked
};

class Harness {
public:
  Harness(Reader &in, bool guarded) : in_(in), guarded_(guarded), error_(in.u8()), detail_(in.u8()), which_(in.u8()) {
    rf_handle_options options = {};
    options.align = size_t{1} << in.below(7);
    options.max_blocks = in.u8() % 4 == 0 ? 1 + in.below(guarded ? 60 : 300) : 0;
    size_t const wanted = guarded ? 20000 : 500 + in.u16() % (kMaxArena - 500);
    bool const apart = in.u8() % 2 != 0;
    options.average_block = in.u8() % 4 == 0 ? 1 + in.u8() : 0;
    if (apart) {
      options.table = table_;
      options.table_size = in.u8() % 4 == 0 ? 30 + in.u8() : sizeof table_;
    }
    // Free memory is 0xCC from the beginning, so that any other byte in it is an error.
    std::memset(arena_, 0xCC, sizeof arena_);
    if (rf_handle_heap_init(&heap_, arena_ + in.below(8), wanted, &options) != RF_OK) {
      options.max_blocks = 20;
      options.table_size = 0;
      options.table = nullptr;
      RF_HOLDS(rf_handle_heap_init(&heap_, arena_, guarded ? 20000 : kMaxArena, &options) == RF_OK);
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

  void run() {
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

private:
  void step() {
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

  size_t extent(size_t size) const { return std::max(heap_.align, (size + heap_.align - 1) & ~(heap_.align - 1)); }

  rf_handle some() {
    auto it = live_.begin();
    std::advance(it, live_.empty() ? 0 : in_.below(live_.size()));
    return live_.empty() ? RF_HANDLE_NULL : it->first;
  }

  size_t some_size() {
    size_t const n = in_.u8();
    return n < 200 ? n : n < 250 ? (n - 199) * 20 : in_.u16();
  }

  rf_handle_usage usage() {
    rf_handle_usage u;
    rf_handle_usage_get(h_, &u);
    return u;
  }

  size_t lowest_free() const {
    size_t i = 1;
    while (std::any_of(live_.begin(), live_.end(), [i](auto const &b) { return (b.first & 0xFFFF) == i; })) {
      i++;
    }
    return i;
  }

  // The largest possible block: all free bytes of a segment between locked blocks.
  size_t largest(const std::vector<Stretch> &map) const {
    size_t best = 0;
    size_t sum = 0;
    for (const Stretch &s : map) {
      sum = s.handle == RF_HANDLE_NULL ? sum + s.size : s.locks != 0 ? 0 : sum;
      best = std::max(best, sum);
    }
    return live_.size() < heap_.blocks ? best : 0;
  }

  unsigned char *at(rf_handle a) {
    auto *const p = static_cast<unsigned char *>(rf_handle_address(h_, a));
    RF_HOLDS(p != nullptr);
    return p;
  }

  // ---- Operations ----

  void alloc() {
    size_t const size = some_size();
    unsigned const flags = in_.u8() % 8;
    std::vector<Stretch> const before = walk(h_);
    size_t const place = lowest_free();
    size_t const most = usage().largest;
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

  void fill(rf_handle a) {
    unsigned char *const p = at(a);
    unsigned char const seed = in_.u8();
    std::vector<unsigned char> &bytes = live_[a].bytes;
    write_ramp(bytes.data(), bytes.size(), seed);
    write_ramp(p, bytes.size(), seed);
  }

  void write() {
    rf_handle const a = some();
    if (a != RF_HANDLE_NULL) {
      fill(a);
    }
  }

  void free_one() {
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

  void resize() {
    rf_handle const a = some();
    size_t const size = some_size();
    if (a == RF_HANDLE_NULL) {
      return;
    }
    Block &b = live_[a];
    size_t const old = b.bytes.size();
    const unsigned char *const where = at(a);
    std::vector<Stretch> const before = walk(h_);
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
  void expect_resize(rf_handle a, size_t size, rf_status status, const std::vector<Stretch> &before) {
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

  void lock() {
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

  void unlock() {
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

  void compact() {
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

  void swap() {
    rf_handle const a = some();
    rf_handle const b = some();
    if (a == RF_HANDLE_NULL) {
      return;
    }
    RF_HOLDS(rf_handle_swap(h_, a, b) == RF_OK);
    std::swap(live_[a], live_[b]);
  }

  void misuse() {
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

  static bool give(void *self, unsigned, size_t) {
    auto *const harness = static_cast<Harness *>(self);
    harness->asked_++;
    return false;
  }

  // ---- After each operation ----

  void verify() {
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

  void finish() {
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

  // ---- One error ----

  __attribute__((no_sanitize_address)) static void stray(unsigned char *p) {
    *const_cast<volatile unsigned char *>(p) ^= 0x41;
  }

  // Exactly this finding, at this distance from this block.
  void expect(rf_bug bug, rf_handle a, bool with_block, ptrdiff_t offset, size_t size) {
    RF_HOLDS(log_.count() == 1);
    const rf_finding &f = log_.findings()[0];
    RF_HOLDS(f.bug == bug && f.argument == a);
    RF_HOLDS(!with_block || (f.offset == offset && f.size == size && f.blocks == 1));
    log_.clear();
  }

  void commit_an_error() {
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

  void stale(rf_handle a, const Block &b, size_t inside) {
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

  void write_to_free_memory() {
    for (const Stretch &s : walk(&heap_.base)) {
      if (s.handle == RF_HANDLE_NULL) {
        stray(const_cast<unsigned char *>(s.ptr) + detail_ % s.size);
        RF_HOLDS(rf_handle_check(h_, nullptr) == RF_ERR_CORRUPT && rf_handle_guard_sweep(&guard_) == 1);
        return expect(RF_BUG_USE_AFTER_FREE, 0, false, 0, 0);
      }
    }
  }

  void keep_address(rf_handle a, const Block &b, size_t inside) {
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

  // Words of a header behind the first ten: its handle, the handle of the block that was here, the link in the
  // quarantine, the count of locks, and the state, which is 3 for a block that has moved away.
  static bool is_left_by(const unsigned char *block, rf_handle a) {
    rf_handle subject;
    std::memcpy(&subject, block + 10 * sizeof(uintptr_t) + sizeof subject, sizeof subject);
    return subject == a && block[10 * sizeof(uintptr_t) + 3 * sizeof subject + 2] == 3;
  }
  static rf_handle next_of(const unsigned char *block) {
    rf_handle next;
    std::memcpy(&next, block + 10 * sizeof(uintptr_t) + 2 * sizeof next, sizeof next);
    return next;
  }

  // A condemned block stays in place, since its damage may spread.
  void end_condemned() {
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

  Reader &in_;
  size_t interval_ = comparison_interval(in_);
  bool guarded_;
  unsigned error_; // of the guarded program: which, how far, in which block
  size_t detail_;
  size_t which_;
  alignas(64) unsigned char arena_[20064];
  unsigned char table_[16 * 301];
  rf_handle_heap heap_;
  rf_handle_guard guard_;
  rf_handles *h_;
  FindingLog log_;
  FaultCount faults_;
  std::map<rf_handle, Block> live_;
  rf_handle stale_ = RF_HANDLE_NULL;
  rf_handle_usage fresh_;
  size_t peak_ = 0;
  size_t failures_ = 0;
  size_t moved_ = 0;
  unsigned asked_ = 0;
};

// ---- The adapter, by the interpreter ----

rf_handle_heap adapter_heap;
rf_handle_allocator adapter;

rf_allocator *init(void *, void *arena, size_t size) {
  rf_handle_options options = {};
  options.align = size % 3 == 0 ? 64 : RF_ALIGN_DEFAULT;
  bool const made = rf_handle_heap_init(&adapter_heap, arena, size, &options) == RF_OK &&
                    rf_handle_allocator_init(&adapter, &adapter_heap) == RF_OK;
  return made ? &adapter.base : nullptr;
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("handle", init);
  t.min_arena = 256;
  t.max_arena = 8192; // every call walks the list of blocks
  t.names_run_out = true;
  t.survives_damage = true;
  t.refuses_ended = true;
  return t;
}

// ---- Damage ----

void use_everything(rf_handles *h, const rf_handle *a, size_t rounds, Reader &in) {
  rf_handle_usage u;
  size_t const interval = std::min<size_t>(comparison_interval(in), 8);
  for (size_t i = 0; i < rounds; i++) {
    rf_handle const handle = a[in.below(8)];
    rf_handle_usage_get(h, &u);
    rf_handle_find(h, rf_handle_lock(h, handle));
    rf_handle_realloc(h, handle, 1 + in.u8());
    rf_handle_swap(h, handle, a[i % 8]);
    rf_handle_unlock(h, handle);
    rf_handle_address(h, handle);
    rf_handle_size(h, handle);
    rf_handle_compact(h, in.u16());
    rf_handle_free(h, handle);
    rf_handle_alloc(h, 1 + in.u8());
    if (i % interval == 0) {
      (void)rf_handle_check(h, nullptr);
    }
    (void)rf_handle_walk(
        h, [](const rf_handle_block *, void *) { return true; }, nullptr);
  }
}

void use_pointers(rf_allocator *a, void *p, rf_handle_heap *heap, rf_handle handle) {
  rf_stats stats;
  rf_fault where;
  rf_stats_get(a, &stats);
  (void)rf_check(a, &where);
  (void)rf_usable_size(a, p);
  (void)rf_free(a, static_cast<char *>(p) + 64);
  (void)rf_free(a, rf_handle_address(&heap->base, handle));
  (void)rf_alloc(a, 40);
  (void)rf_aligned_alloc(a, 256, 40);
  (void)rf_resize(a, p, 90);
  (void)rf_realloc(a, p, 150);
  (void)rf_free(a, p);
  (void)rf_walk(
      a, [](const rf_block *, void *) { return true; }, nullptr);
}

// Changes bytes of the table or the record. Check reports the first; no call crashes, hangs or leaves the arena.
void change_bytes(rf_handle_heap *heap, Reader &in) {
  size_t const stride = 2 * heap->offset_width + 2 * heap->index_width + 4;
  size_t const count = 1 + in.u8() % 6;
  for (size_t i = 0; i < count; i++) {
    bool const record = in.u8() % 8 == 0;
    auto *const bytes = record ? reinterpret_cast<unsigned char *>(heap) + sizeof heap->base : heap->table;
    size_t const at = in.below(record ? sizeof *heap - sizeof heap->base : std::min<size_t>(heap->blocks, 12) * stride);
    bytes[at] ^= static_cast<unsigned char>(in.u8() | 1U);
    RF_HOLDS(i != 0 || rf_handle_check(&heap->base, nullptr) == RF_ERR_CORRUPT);
    if (record) {
      break; // the table pointer itself was hit
    }
  }
}

// A stray write, also to bytes that the guard has poisoned.
__attribute__((no_sanitize("address"))) void change(unsigned char *at, unsigned char by) {
  *at = static_cast<unsigned char>(*at ^ by);
}

void damage(Reader &in) {
  alignas(8) static unsigned char arena[70000];
  rf_handle_heap heap;
  rf_handle_allocator pointers;
  rf_handle_options options = {};
  FaultCount faults;
  FindingLog log;
  unsigned const shape = in.u8();
  options.max_blocks = shape % 2 == 0 ? 20 : shape % 4 == 1 ? 300 : 0;
  RF_HOLDS(rf_handle_heap_init(&heap, arena, shape % 8 < 4 ? 8000 : sizeof arena, &options) == RF_OK);
  RF_HOLDS(rf_handle_allocator_init(&pointers, nullptr) == RF_ERR_INVALID);
  RF_HOLDS(rf_handle_allocator_init(&pointers, &heap) == RF_OK);
  rf_handle_guard guard;
  bool const guarded = shape % 16 >= 8;
  RF_HOLDS(rf_handle_guard_init(&guard, nullptr, nullptr) == RF_ERR_INVALID);
  if (guarded) {
    rf_handle_guard_options o = {shape % 32 < 16 ? 4000U : 0U, true, log.reporter(), true, true};
    RF_HOLDS(rf_handle_guard_init(&guard, &heap.base, &o) == RF_OK);
  }
  rf_handles *const h = guarded ? &guard.base : &heap.base;
  rf_handle a[8];
  for (rf_handle &handle : a) {
    handle = rf_handle_alloc(h, 1 + in.below(100));
  }
  void *const p = guarded ? nullptr : rf_alloc(&pointers.base, in.below(100));
  (void)rf_handle_address(h, a[in.below(8)]);
  rf_handle_lock(h, a[in.below(8)]);
  rf_handle_free(h, a[in.below(8)]);
  rf_handle_free(h, a[in.below(8)]);
  faults.take();
  RF_HOLDS(rf_handle_check(h, nullptr) == RF_OK && rf_handle_align(h) == 4);
  if (guarded && in.u8() % 2 == 0) {
    // Damages headers instead, on which the guard relies.
    for (size_t n = 1 + in.u8() % 4; n != 0; n--) {
      size_t const at = in.below(900);
      change(heap.data + at, static_cast<unsigned char>(in.u8() | 1U));
    }
  } else {
    change_bytes(&heap, in);
  }
  if (!guarded && in.u8() % 2 == 0) {
    use_pointers(&pointers.base, p, &heap, a[in.below(8)]);
  }
  use_everything(h, a, 16, in);
  rf_handle_heap_on_short(&heap, nullptr, nullptr);
  if (guarded) {
    rf_handle_guard_sweep(&guard);
    rf_handle_guard_report_live(&guard);
    guard.base.ops->deinit(&guard.base);
    use_everything(h, a, 2, in); // each call is a finding
    rf_handle_guard_flush(&guard, 0);
  }
  rf_handle_deinit(&heap.base);
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  size_t const kind = in.u8();
  the_step = 0;
  if (kind % 8 == 0) {
    rf_fuzz_target const t = target();
    rf_fuzz_run(&t, data + 1, size > 1 ? size - 1 : 0);
  } else if (kind % 8 == 1) {
    damage(in);
  } else if (kind % 8 == 2) {
    alignas(16) static unsigned char arena[2048];
    if (init(nullptr, arena, sizeof arena) == nullptr) {
      std::abort();
    }
    bool const of_heap = in.u8() % 2 == 0;
    damage_record(&adapter.base, of_heap ? static_cast<void *>(&adapter_heap) : &adapter,
                  of_heap ? sizeof adapter_heap : sizeof adapter, in);
  } else {
    Harness(in, kind % 8 >= 6).run();
  }
  return 0;
}
