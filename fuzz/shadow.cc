#include <ringfence/fuzz/shadow.h>

#include <algorithm>
#include <cstring>
#include <iterator>

namespace ringfence::fuzz {
namespace {

constexpr size_t kMaxStale = 64;

// Contents: each block holds a piece of one long random sequence, from an offset that its tag chooses. Filling and
// comparing are one memcpy and one memcmp, and no two blocks look alike.
constexpr size_t kOffsets = 4096;
constexpr size_t kMaxFilled = 2 * RF_FUZZ_MAX_ARENA;

const unsigned char *pattern(unsigned tag) {
  static const std::vector<unsigned char> *const sequence = [] {
    auto *const bytes = new std::vector<unsigned char>(kMaxFilled + kOffsets);
    uint32_t x = 2463534242; // Marsaglia's xorshift32
    for (unsigned char &byte : *bytes) {
      x ^= x << 13;
      x ^= x >> 17;
      x ^= x << 5;
      byte = static_cast<unsigned char>(x >> 24);
    }
    return bytes;
  }();
  return sequence->data() + size_t{tag} * 61 % kOffsets;
}

size_t matching(const unsigned char *data, unsigned tag, size_t length) {
  if (length == 0 || memcmp(data, pattern(tag), length) == 0) {
    return length;
  }
  const unsigned char *const end = data + length;
  return static_cast<size_t>(std::mismatch(data, end, pattern(tag)).first - data);
}

bool collect(const rf_block *block, void *context) {
  static_cast<std::vector<rf_block> *>(context)->push_back(*block);
  return true;
}

uintptr_t address(const void *ptr) {
  return reinterpret_cast<uintptr_t>(ptr);
}

} // namespace

Shadow::Shadow(const rf_fuzz_target &target, const Memory &memory, Verdict &verdict)
    : target_(target), memory_(memory), verdict_(verdict) {
  constexpr size_t kUsual = 64; // blocks
  live_.reserve(kUsual);
  by_address_.reserve(kUsual);
  stale_.reserve(kMaxStale + 1);
  state_.blocks.reserve(kUsual);
}

// ---- Live blocks, in arrays sorted by id and by address ----

Shadow::Starts::const_iterator Shadow::start_at_or_after(uintptr_t address) const {
  return std::lower_bound(by_address_.begin(), by_address_.end(), address,
                          [](const Start &start, uintptr_t value) { return start.first < value; });
}

bool Shadow::is_start(Starts::const_iterator at, const void *ptr) const {
  return at != by_address_.end() && at->first == address(ptr);
}

bool Shadow::starts_block(const void *ptr) const {
  return is_start(start_at_or_after(address(ptr)), ptr);
}

void Shadow::insert_start(const Block &block) {
  by_address_.insert(start_at_or_after(address(block.ptr)), {address(block.ptr), block.id});
}

void Shadow::remove_start(const void *ptr) {
  auto const at = start_at_or_after(address(ptr));
  if (is_start(at, ptr)) {
    by_address_.erase(at);
  }
}

const Block &Shadow::by_id(unsigned id) const {
  return *std::lower_bound(live_.begin(), live_.end(), id,
                           [](const Block &block, unsigned value) { return block.id < value; });
}

// ---- Results of operations ----

bool Shadow::allocated(void *ptr, size_t size, size_t align, bool fill, bool zeroed) {
  Block block = {next_id_, static_cast<unsigned char *>(ptr), size, 0, 0};
  if (!place(block, align)) {
    return false;
  }
  if (zeroed && size != 0 && (block.ptr[0] != 0 || memcmp(block.ptr, block.ptr + 1, size - 1) != 0)) {
    return verdict_.fail("calloc", "the %zu bytes at %p are not all zero", size, ptr);
  }
  if (fill) {
    write(block, size);
  }
  next_id_++;
  insert_start(block);
  live_.push_back(block);
  revive(ptr);
  expected_.allocations++;
  count_live(expected_.used + size, expected_.blocks + 1);
  return true;
}

bool Shadow::resized(Block &block, void *ptr, size_t size, size_t align) {
  Block now = block;
  now.ptr = static_cast<unsigned char *>(ptr);
  now.size = size;
  remove_start(block.ptr);
  if (!place(now, align) || !holds(now, std::min(block.filled, size))) {
    return false;
  }
  if (ptr != block.ptr) {
    retire(block.ptr);
    revive(ptr);
    extra_.allocations++;
    extra_.peak = std::max({extra_.peak, expected_.peak, expected_.used + size});
    extra_.peak_blocks = std::max({extra_.peak_blocks, expected_.peak_blocks, expected_.blocks + 1});
  }
  count_live(expected_.used - block.size + size, expected_.blocks);
  write(now, size);
  block = now;
  insert_start(block);
  return true;
}

void Shadow::released(const Block &block) {
  expected_.used -= block.size;
  expected_.blocks--;
  retire(block.ptr);
  remove_start(block.ptr);
  live_.erase(live_.begin() + (&by_id(block.id) - live_.data())); // may end `block` itself
}

void Shadow::retire(void *ptr) {
  stale_.push_back(ptr);
  if (stale_.size() > kMaxStale) {
    stale_.erase(stale_.begin());
  }
}

void Shadow::revive(const void *ptr) {
  stale_.erase(std::remove(stale_.begin(), stale_.end(), ptr), stale_.end());
}

void Shadow::restarted() {
  live_.clear();
  by_address_.clear();
  stale_.clear();
  expected_ = {};
  extra_ = {};
  regions_changed();
  changed();
}

void Shadow::write(Block &block, size_t length) {
  block.filled = std::min(length, kMaxFilled);
  block.tag = next_tag_++;
  if (block.filled != 0) {
    memcpy(block.ptr, pattern(block.tag), block.filled);
  }
}

// A block's place is right: aligned, in memory that the allocator was given, apart from every other block.
bool Shadow::place(const Block &block, size_t align) const {
  if (!rf_is_aligned(block.ptr, align)) {
    return verdict_.fail("alignment", "p%u = %p is not a multiple of %zu", block.id, block.ptr, align);
  }
  if (target_.in_arena && !memory_.contains(block.ptr, block.size)) {
    return verdict_.fail("arena", "p%u = [%p, +%zu) is not inside the arena", block.id, block.ptr, block.size);
  }
  auto const after = start_at_or_after(address(block.ptr));
  if (after != by_address_.end()) {
    size_t const room = after->first - address(block.ptr);
    if (room < block.size || room == 0) {
      return verdict_.fail("overlap", "p%u = [%p, +%zu) overlaps p%u, %zu bytes on", block.id, block.ptr, block.size,
                           after->second, room);
    }
  }
  if (after != by_address_.begin()) {
    const Block &before = by_id(std::prev(after)->second);
    if (address(block.ptr) - address(before.ptr) < before.size) {
      return verdict_.fail("overlap", "p%u = [%p, +%zu) overlaps p%u = [%p, +%zu)", block.id, block.ptr, block.size,
                           before.id, before.ptr, before.size);
    }
  }
  return true;
}

void Shadow::count_live(size_t used, size_t blocks) {
  expected_.used = used;
  expected_.peak = std::max(expected_.peak, used);
  expected_.blocks = blocks;
  expected_.peak_blocks = std::max(expected_.peak_blocks, blocks);
}

// ---- Comparing ----

bool Shadow::verify(rf_allocator *allocator) {
  changed();
  (void)stats(allocator);
  fresh_ = verdict_.ok() && verify_surroundings(false) && verify_contents() && verify_counters() &&
           verify_counters_alone(allocator) && verify_amounts() && verify_walk(allocator) &&
           verify_integrity(allocator);
  return fresh_;
}

const rf_stats &Shadow::stats(rf_allocator *allocator) {
  if (!stats_fresh_) {
    memset(&state_.stats, 0xEE, sizeof state_.stats);
    rf_stats_get(allocator, &state_.stats);
    stats_fresh_ = true;
  }
  return state_.stats;
}

bool Shadow::verify_counters_alone(rf_allocator *allocator) {
  const rf_stats &s = state_.stats;
  rf_counters c;
  rf_counters_get(allocator, &c);
  return (c.used == s.used && c.peak == s.peak && c.blocks == s.blocks && c.peak_blocks == s.peak_blocks &&
          c.allocations == s.allocations && c.failures == s.failures) ||
         verdict_.fail("statistics", "the counters alone are others");
}

bool Shadow::verify_surroundings(bool anywhere) const {
  const unsigned char *const damage = memory_.damage(anywhere);
  return damage == nullptr || verdict_.fail("outside", "the byte at %p, outside of the arena, was written", damage);
}

bool Shadow::verify_contents() const {
  return std::all_of(live_.begin(), live_.end(), [this](const Block &block) { return holds(block, block.filled); });
}

bool Shadow::holds(const Block &block, size_t length) const {
  size_t const good = matching(block.ptr, block.tag, length);
  return good == length || verdict_.fail("contents", "byte %zu of p%u (%zu bytes at %p) was changed", good, block.id,
                                         block.size, block.ptr);
}

bool Shadow::verify_counters() {
  if (!target_.exact_counters) {
    return true;
  }
  const rf_stats &s = state_.stats;
  struct {
    const char *name;
    size_t is, least, most;
  } const fields[] = {
      {"used", s.used, expected_.used, expected_.used},
      {"blocks", s.blocks, expected_.blocks, expected_.blocks},
      {"failures", s.failures, expected_.failures, expected_.failures + extra_.failures},
      {"allocations", s.allocations, expected_.allocations, expected_.allocations + extra_.allocations},
      {"peak", s.peak, expected_.peak, std::max(expected_.peak, extra_.peak)},
      {"peak_blocks", s.peak_blocks, expected_.peak_blocks, std::max(expected_.peak_blocks, extra_.peak_blocks)},
  };
  for (const auto &field : fields) {
    if (field.is < field.least || field.is > field.most) {
      return verdict_.fail("statistics", "%s is %zu, not %zu", field.name, field.is, field.least);
    }
  }
  expected_.allocations = s.allocations;
  expected_.failures = s.failures;
  expected_.peak = s.peak;
  expected_.peak_blocks = s.peak_blocks;
  extra_ = {};
  return true;
}

bool Shadow::verify_amounts() {
  const rf_stats &s = state_.stats;
  if (!target_.accounts_capacity) {
    return true;
  }
  if (s.used + s.free_bytes + s.overhead != s.capacity) {
    return verdict_.fail("capacity", "used %zu + free %zu + overhead %zu is not the capacity %zu", s.used, s.free_bytes,
                         s.overhead, s.capacity);
  }
  if (s.largest_free > s.free_bytes) {
    return verdict_.fail("capacity", "largest_free %zu is more than all free bytes, %zu", s.largest_free, s.free_bytes);
  }
  if (capacity_ != kUnknown && s.capacity != capacity_) {
    return verdict_.fail("capacity", "the capacity changed from %zu to %zu", capacity_, s.capacity);
  }
  capacity_ = s.capacity;
  return true;
}

bool Shadow::verify_walk(rf_allocator *allocator) {
  state_.blocks.clear();
  rf_status const status = rf_walk(allocator, collect, &state_.blocks);
  state_.walkable = status == RF_OK;
  if (status == RF_ERR_UNSUPPORTED) {
    return true;
  }
  if (status != RF_OK) {
    return verdict_.fail("walk", "the walk answers \"%s\"", rf_status_name(status));
  }
  return verify_walk_order() && verify_walk_blocks() && verify_walk_sums();
}

// Blocks come region by region, in the order of addresses, and do not overlap.
bool Shadow::verify_walk_order() const {
  if (!target_.walks_in_order) {
    return true;
  }
  size_t const nowhere = memory_.regions().size();
  bool seen[Memory::kMaxRegions + 1] = {}; // the last one: outside of all
  size_t last = SIZE_MAX;
  for (size_t i = 0; i < state_.blocks.size(); i++) {
    const rf_block &block = state_.blocks[i];
    if (target_.in_arena && !memory_.contains(block.ptr, block.size)) {
      return verdict_.fail("walk", "block %zu of the walk, [%p, +%zu), is not inside the arena", i, block.ptr,
                           block.size);
    }
    size_t const region = memory_.region_of(block.ptr);
    if (last != region) {
      if (seen[region == nowhere ? Memory::kMaxRegions : region]) {
        return verdict_.fail("walk", "block %zu of the walk, %p, returns to a region", i, block.ptr);
      }
      seen[region == nowhere ? Memory::kMaxRegions : region] = true;
      last = region;
    } else {
      const rf_block &before = state_.blocks[i - 1];
      if (address(block.ptr) < address(before.ptr) + std::max<size_t>(before.size, 1)) {
        return verdict_.fail("walk", "block %zu of the walk, %p, is not behind the one before, [%p, +%zu)", i,
                             block.ptr, before.ptr, before.size);
      }
    }
  }
  return true;
}

// The used blocks are exactly the live ones; free blocks touch none.
bool Shadow::verify_walk_blocks() const {
  if (!target_.walks_sizes) {
    return true;
  }
  size_t used = 0;
  for (const rf_block &block : state_.blocks) {
    auto const at = start_at_or_after(address(block.ptr));
    bool const is_live = is_start(at, block.ptr);
    if (!block.used) {
      if (is_live || holder(at, block.ptr) != nullptr) {
        return verdict_.fail("walk", "the walk says that %p is free, but it is in use", block.ptr);
      }
      continue;
    }
    used++;
    if (!is_live) {
      return verdict_.fail("walk", "the walk says that %p is in use, but it is not", block.ptr);
    }
    size_t const size = by_id(at->second).size;
    if (block.size != size) {
      return verdict_.fail("walk", "the walk says that p%u has %zu bytes, but %zu were requested", at->second,
                           block.size, size);
    }
  }
  return used == live_.size() ||
         verdict_.fail("walk", "the walk shows %zu used blocks, but there are %zu", used, live_.size());
}

// Blocks and the bytes between them cover the arena: no byte is lost or counted twice.
bool Shadow::verify_walk_sums() {
  if (!target_.walk_adds_up) {
    return true;
  }
  size_t free_bytes = 0;
  size_t largest = 0;
  size_t covered = 0;
  size_t free_blocks = 0;
  for (const rf_block &block : state_.blocks) {
    covered += block.size + block.overhead;
    if (!block.used) {
      free_blocks++;
      free_bytes += block.size;
      largest = std::max(largest, block.size);
    }
  }
  const rf_stats &s = state_.stats;
  if (free_bytes != s.free_bytes) {
    return verdict_.fail("walk", "free blocks of the walk have %zu bytes, but free_bytes is %zu", free_bytes,
                         s.free_bytes);
  }
  // The allocator chooses which of several free blocks serves a request.
  bool const nameless = target_.names_run_out && s.largest_free == 0;
  bool const exact = target_.serves_largest && target_.largest_is_bound && free_blocks == 1 && !nameless;
  if (largest < s.largest_free || (exact && largest != s.largest_free)) {
    return verdict_.fail("walk", "the largest free block has %zu bytes, but largest_free is %zu", largest,
                         s.largest_free);
  }
  if (covered > s.capacity) {
    return verdict_.fail("walk", "the blocks cover %zu bytes, more than the capacity %zu", covered, s.capacity);
  }
  if (outside_blocks_ != kUnknown && s.capacity - covered != outside_blocks_) {
    return verdict_.fail("walk", "the blocks leave %zu bytes of the arena uncovered, not %zu as before",
                         s.capacity - covered, outside_blocks_);
  }
  outside_blocks_ = s.capacity - covered;
  return true;
}

bool Shadow::verify_integrity(rf_allocator *allocator) const {
  rf_fault where = {};
  rf_status const status = rf_check(allocator, &where);
  return status == RF_OK || verdict_.fail("check", "rf_check answers \"%s\": %s at %p", rf_status_name(status),
                                          where.what != nullptr ? where.what : "", where.ptr);
}

bool Shadow::verify_same_memory(const State &before, const char *rule, const char *when) const {
  const rf_stats &was = before.stats;
  const rf_stats &is = state_.stats;
  if (was.capacity != is.capacity || was.free_bytes != is.free_bytes || was.largest_free != is.largest_free ||
      was.overhead != is.overhead) {
    return verdict_.fail(rule, "%s, capacity %zu, free %zu, largest %zu, overhead %zu became %zu, %zu, %zu, %zu", when,
                         was.capacity, was.free_bytes, was.largest_free, was.overhead, is.capacity, is.free_bytes,
                         is.largest_free, is.overhead);
  }
  auto const equal = [](const rf_block &a, const rf_block &b) {
    return a.ptr == b.ptr && a.size == b.size && a.overhead == b.overhead && a.used == b.used;
  };
  if (std::equal(before.blocks.begin(), before.blocks.end(), state_.blocks.begin(), state_.blocks.end(), equal)) {
    return true;
  }
  auto const key = [](const rf_block &a, const rf_block &b) { return address(a.ptr) < address(b.ptr); };
  std::vector<rf_block> old_blocks = before.blocks;
  std::vector<rf_block> new_blocks = state_.blocks;
  std::sort(old_blocks.begin(), old_blocks.end(), key);
  std::sort(new_blocks.begin(), new_blocks.end(), key);
  return std::equal(old_blocks.begin(), old_blocks.end(), new_blocks.begin(), new_blocks.end(), equal) ||
         verdict_.fail(rule, "%s, the walk shows other blocks than before", when);
}

// ---- For choosing operations ----

Block &Shadow::nth(size_t index) {
  return live_[index];
}

const Block *Shadow::find(const void *ptr) const {
  return holder(start_at_or_after(address(ptr) + 1), ptr);
}

const Block *Shadow::holder(Starts::const_iterator after, const void *ptr) const {
  if (after == by_address_.begin()) {
    return nullptr;
  }
  const Block &block = by_id(std::prev(after)->second);
  return address(ptr) - address(block.ptr) < std::max<size_t>(block.size, 1) ? &block : nullptr;
}

} // namespace ringfence::fuzz
