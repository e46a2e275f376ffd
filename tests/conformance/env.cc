#include "tests/conformance/env.h"

#include <ringfence/port.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>

namespace ringfence::conformance {

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kMargin = 64; // watched bytes on either side of the arena
constexpr unsigned char kMarginByte = 0xA7;
constexpr unsigned char kArenaByte = 0x5E; // an arena need not be zeroed

// The handler of the running check.
std::atomic<size_t> the_faults{0};
// How many of them were asked for.
size_t the_expected_faults = 0;
rf_mutex the_mutex; // zeroed: initialised
std::string the_last_fault;

void on_fault(const rf_fault *fault, void *) {
  char text[256];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, text, sizeof text);
  rf_fault_print(fault, &buffer.sink);
  rf_mutex_lock(&the_mutex);
  the_last_fault = text;
  rf_mutex_unlock(&the_mutex);
  ++the_faults;
}

std::string last_fault() {
  rf_mutex_lock(&the_mutex);
  std::string const text = the_last_fault;
  rf_mutex_unlock(&the_mutex);
  return text;
}

unsigned char content(uint64_t seed, size_t i) {
  return static_cast<unsigned char>((seed * 0x9E3779B97F4A7C15U >> (i % 8 * 8)) + i * 0x9D);
}

bool collect(const rf_block *block, void *context) {
  static_cast<std::vector<rf_block> *>(context)->push_back(*block);
  return true;
}

std::vector<rf_block> walk(rf_allocator *a) {
  std::vector<rf_block> blocks;
  rf_status const status = rf_walk(a, collect, &blocks);
  RF_REQUIRE(status == RF_OK, "walk gives " << rf_status_name(status));
  return blocks;
}

std::string text_of(const rf_stats &s) {
  Text out;
  out << "capacity " << s.capacity << " used " << s.used << " peak " << s.peak << " blocks " << s.blocks
      << " peak_blocks " << s.peak_blocks << " free_bytes " << s.free_bytes << " largest_free " << s.largest_free
      << " allocations " << s.allocations << " failures " << s.failures << " overhead " << s.overhead;
  return out.str();
}

bool same(const rf_stats &a, const rf_stats &b) {
  return std::memcmp(&a, &b, sizeof a) == 0; // it has no padding
}

std::string text_of(const rf_block &b) {
  Text out;
  out << (b.used ? "used " : "free ") << b.ptr << " size " << b.size << " overhead " << b.overhead;
  return out.str();
}

bool same(const rf_block &a, const rf_block &b) {
  return a.ptr == b.ptr && a.size == b.size && a.overhead == b.overhead && a.used == b.used;
}

} // namespace

Text &Text::operator<<(const void *pointer) {
  char text[32];
  std::snprintf(text, sizeof text, "%p", pointer);
  return add(text);
}

const Note *Note::the_note = nullptr;

std::string failure_text(const char *file, int line, const std::string &text) {
  std::string whole = std::string(file) + ":" + std::to_string(line) + ": " + text;
  for (const Note *note = Note::the_note; note != nullptr; note = note->outer_) {
    whole += " (" + note->text_() + ")";
  }
  return whole;
}

uint64_t Random::next() {
  // SplitMix64.
  uint64_t z = state_ += 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

size_t fault_count() {
  return the_faults;
}

void begin_counting_faults() {
  the_faults = 0;
  the_expected_faults = 0;
  rf_fault_handler_set(on_fault, nullptr);
}

void end_counting_faults() {
  rf_fault_handler_set(nullptr, nullptr);
}

bool applies(const Check &check, const Subject &subject) {
  return (subject.traits & check.needs) == check.needs;
}

// ---- Making and ending ----

Env::Env(const Subject &subject, size_t arena_size, size_t skew, Quiet)
    : subject_(subject), arena_size_(arena_size), memory_(new unsigned char[arena_size + skew + 2 * kPage + kMargin]),
      state_(new std::max_align_t[subject.state_size / sizeof(std::max_align_t) + 1]) {
  unsigned char *const page = memory_.get() + rf_align_gap(memory_.get() + kMargin, kPage) + kMargin;
  arena_ = page + skew;
  std::memset(memory_.get(), kMarginByte, arena_size + skew + 2 * kPage + kMargin);
  std::memset(arena_, kArenaByte, arena_size);
  make();
}

Env::Env(const Subject &subject, size_t arena_size, size_t skew) : Env(subject, arena_size, skew, Quiet()) {
  RF_REQUIRE(made(), "arena of " << arena_size << " bytes");
}

std::unique_ptr<Env> Env::try_make(const Subject &subject, size_t arena_size, size_t skew) {
  return std::unique_ptr<Env>(new Env(subject, arena_size, skew, Quiet()));
}

Env::~Env() {
  if (made() && !ended_) {
    end();
  }
}

void Env::make() {
  std::memset(static_cast<void *>(state_.get()), kArenaByte, subject_.state_size);
  live_.clear();
  expected_ = Expected();
  expected_reports_ = 0;
  ended_ = false;
  allocator_ = subject_.make(state_.get(), arena_, arena_size_);
}

void Env::end() {
  // Memory of the system must go back to it; an arena may end with blocks live.
  if (!ended_ && !has(RF_SUBJECT_ARENA)) {
    for (const auto &[ptr, block] : live_) {
      (void)rf_free(allocator_, ptr);
    }
  }
  ended_ = true;
  rf_deinit(allocator_);
}

void Env::again() {
  make();
  RF_REQUIRE(made(), "again over the same arena");
}

// ---- The model ----

rf_stats Env::stats() const {
  rf_stats s;
  // A field that stats leaves unset is seen as nonsense.
  std::memset(&s, kArenaByte, sizeof s);
  rf_stats_get(allocator_, &s);
  return s;
}

size_t Env::reports() const {
  return subject_.reports != nullptr ? subject_.reports(state_.get()) : 0;
}

void Env::count_live(size_t size) {
  expected_.used += size;
  expected_.blocks++;
  expected_.peak = std::max(expected_.peak, expected_.used);
  expected_.peak_blocks = std::max(expected_.peak_blocks, expected_.blocks);
}

void Env::check_place(unsigned char *ptr, size_t usable, size_t align) const {
  size_t const extent = std::max<size_t>(usable, 1);
  RF_REQUIRE(rf_is_aligned(ptr, align), static_cast<void *>(ptr) << " for an alignment of " << align);
  if (has(RF_SUBJECT_ARENA)) {
    size_t const at = address_of(ptr) - address_of(arena_);
    RF_REQUIRE(usable <= arena_size_ && at <= arena_size_ - usable,
               "block of " << usable << " bytes at " << at << " in an arena of " << arena_size_);
  }
  auto const after = live_.lower_bound(ptr);
  RF_REQUIRE(after == live_.end() || address_of(ptr + extent) <= address_of(after->first),
             "block of " << usable << " bytes reaches into the next, " << address_of(after->first) - address_of(ptr)
                         << " bytes on");
  if (after != live_.begin()) {
    auto const before = std::prev(after);
    size_t const on = address_of(ptr) - address_of(before->first);
    RF_REQUIRE(std::max<size_t>(before->second.usable, 1) <= on,
               "block begins " << on << " bytes into one of " << before->second.usable);
  }
}

void Env::fill(unsigned char *ptr) {
  Live &block = live_.at(ptr);
  block.seed = next_seed_++;
  for (size_t i = 0; i < block.usable; i++) {
    ptr[i] = content(block.seed, i);
  }
}

void Env::adopt(unsigned char *ptr, size_t size, size_t align) {
  size_t const told = rf_usable_size(allocator_, ptr);
  RF_REQUIRE(allocator_->ops->usable_size == nullptr || told >= size, "usable " << told << " of a block of " << size);
  size_t const usable = std::max(told, size);
  check_place(ptr, usable, align);
  live_[ptr] = {size, usable, 0};
  fill(ptr);
}

void Env::check_prefix(const unsigned char *ptr, uint64_t seed, size_t count, const char *when) const {
  for (size_t i = 0; i < count; i++) {
    RF_REQUIRE(ptr[i] == content(seed, i), "byte " << i << " of " << count << ", " << when);
  }
}

// ---- Checked calls ----

unsigned char *Env::alloc(size_t size, size_t align) {
  return alloc_by(size, align, [&] { return rf_aligned_alloc(allocator_, align, size); });
}

unsigned char *Env::alloc_by(size_t size, size_t align, const std::function<void *()> &call) {
  auto *const ptr = static_cast<unsigned char *>(call());
  if (ptr == nullptr) {
    expected_.failures++;
    return nullptr;
  }
  count_live(size);
  expected_.allocations++;
  expected_.peak_most = std::max(expected_.peak_most, expected_.peak);
  expected_.peak_blocks_most = std::max(expected_.peak_blocks_most, expected_.peak_blocks);
  adopt(ptr, size, align);
  return ptr;
}

unsigned char *Env::must_alloc(size_t size, size_t align) {
  unsigned char *const ptr = alloc(size, align);
  RF_REQUIRE(ptr != nullptr, "size " << size << ", alignment " << align << "; " << text_of(stats()));
  return ptr;
}

void Env::free(void *ptr) {
  auto *const at = static_cast<unsigned char *>(ptr);
  Live const block = live_.at(at);
  check_prefix(at, block.seed, block.usable, "before its free");
  rf_status const status = rf_free(allocator_, ptr);
  RF_REQUIRE(status == RF_OK, "free of a block of " << block.size << ": " << rf_status_name(status));
  expected_.used -= block.size;
  expected_.blocks--;
  live_.erase(at);
}

void Env::free_all() {
  while (!live_.empty()) {
    free(live_.begin()->first);
  }
}

unsigned char *Env::realloc(void *ptr, size_t size, size_t align) {
  auto *const old = static_cast<unsigned char *>(ptr);
  Live const block = live_.at(old);
  check_prefix(old, block.seed, block.usable, "before its realloc");
  auto *const now = static_cast<unsigned char *>(rf_realloc_at(allocator_, ptr, size, align, RF_HERE));
  if (now == nullptr) {
    expected_.failures++;
    check_prefix(old, block.seed, block.usable, "after a realloc that failed");
    return nullptr;
  }
  live_.erase(old);
  if (now != old) {
    expected_.moves++;
    expected_.peak_most = std::max(expected_.peak_most, expected_.used + size);
    expected_.peak_blocks_most = std::max(expected_.peak_blocks_most, expected_.blocks + 1);
  }
  expected_.used -= block.size;
  expected_.blocks--;
  count_live(size);
  expected_.peak_most = std::max(expected_.peak_most, expected_.peak);
  check_prefix(now, block.seed, std::min(block.usable, size), "after realloc");
  adopt(now, size, align);
  return now;
}

rf_status Env::resize(void *ptr, size_t size) {
  auto *const at = static_cast<unsigned char *>(ptr);
  Live const block = live_.at(at);
  rf_status const status = rf_resize(allocator_, ptr, size);
  check_prefix(at, block.seed, status == RF_OK ? std::min(block.usable, size) : block.usable, "after resize");
  if (status == RF_OK) {
    live_.erase(at);
    expected_.used -= block.size;
    expected_.blocks--;
    count_live(size);
    expected_.peak_most = std::max(expected_.peak_most, expected_.peak);
    adopt(at, size, 1);
  } else {
    RF_REQUIRE(status == RF_ERR_NO_MEMORY || status == RF_ERR_UNSUPPORTED, rf_status_name(status));
    size_t const usable = rf_usable_size(allocator_, ptr);
    RF_REQUIRE(allocator_->ops->usable_size == nullptr || usable == block.usable, "after a resize that failed");
  }
  return status;
}

Env::Picture Env::picture() const {
  return {stats(), has(RF_SUBJECT_WALKS) ? walk(allocator_) : std::vector<rf_block>()};
}

void Env::unchanged(const char *what, size_t expected_reports, const std::function<void()> &call) {
  Picture const before = picture();
  size_t const faults_before = fault_count();
  size_t const reports_before = reports();
  call();
  size_t const faults = fault_count() - faults_before;
  size_t const made = faults + reports() - reports_before;
  the_expected_faults += faults;
  expected_reports_ += made - faults;
  RF_REQUIRE(made == expected_reports || expected_reports == kAnyReports,
             what << ": " << made << " reports instead of " << expected_reports);
  Picture const after = picture();
  RF_REQUIRE(same(before.stats, after.stats),
             what << " changed the statistics: " << text_of(before.stats) << " became " << text_of(after.stats));
  RF_REQUIRE(before.blocks.size() == after.blocks.size(), what << " changed the number of blocks");
  for (size_t i = 0; i < before.blocks.size(); i++) {
    RF_REQUIRE(same(before.blocks[i], after.blocks[i]),
               what << " changed a block: " << text_of(before.blocks[i]) << " became " << text_of(after.blocks[i]));
  }
}

void Env::failing(const char *what, const std::function<void()> &call) {
  rf_stats const before = stats();
  call();
  expected_.failures++;
  size_t const failures = stats().failures - before.failures;
  RF_REQUIRE(failures == 1, what << " counted as " << failures << " failures");
  verify();
}

void Env::refuse_free(void *ptr, std::initializer_list<rf_status> allowed, const char *what) {
  unchanged(what, 1, [&] {
    rf_status const status = rf_free(allocator_, ptr);
    RF_REQUIRE(std::find(allowed.begin(), allowed.end(), status) != allowed.end(),
               "free of " << what << " answered: " << rf_status_name(status));
  });
}

void Env::refuse_realloc(void *ptr, size_t size, const char *what) {
  unchanged(what, 1, [&] { RF_REQUIRE(rf_realloc(allocator_, ptr, size) == nullptr, "realloc of " << what); });
}

// ---- Invariants ----

void Env::verify() {
  rf_fault where = {RF_OK, nullptr, nullptr, nullptr, nullptr};
  rf_status const status = rf_check(allocator_, &where);
  RF_REQUIRE(status == RF_OK, "integrity: " << rf_status_name(status) << ", "
                                            << (where.what != nullptr ? where.what : "which is not said"));
  RF_REQUIRE(fault_count() == the_expected_faults, "a report of what was no misuse: " << last_fault());
  RF_REQUIRE(reports() == expected_reports_, "a report of what was no misuse");
  verify_stats();
  if (has(RF_SUBJECT_WALKS)) {
    verify_walk();
  }
  verify_surroundings();
}

void Env::verify_stats() const {
  rf_stats const s = stats();
  const Expected &e = expected_;
  RF_REQUIRE(s.used == e.used, "expected " << e.used << "; " << text_of(s));
  RF_REQUIRE(s.blocks == e.blocks, "expected " << e.blocks << "; " << text_of(s));
  RF_REQUIRE(s.peak >= e.peak && s.peak <= e.peak_most, "expected " << e.peak << "; " << text_of(s));
  RF_REQUIRE(s.peak_blocks >= e.peak_blocks && s.peak_blocks <= e.peak_blocks_most,
             "expected " << e.peak_blocks << "; " << text_of(s));
  RF_REQUIRE(s.allocations >= e.allocations && s.allocations <= e.allocations + e.moves,
             "expected " << e.allocations << "; " << text_of(s));
  RF_REQUIRE(s.failures == e.failures, "expected " << e.failures << "; " << text_of(s));
  RF_REQUIRE(s.largest_free <= s.free_bytes, text_of(s));
  if (has(RF_SUBJECT_ARENA)) {
    RF_REQUIRE(s.capacity != 0 && s.capacity <= arena_size_, "arena " << arena_size_ << "; " << text_of(s));
  }
  RF_REQUIRE(s.capacity == 0 || s.capacity == s.used + s.free_bytes + s.overhead, text_of(s));
  rf_counters c;
  rf_counters_get(allocator_, &c);
  RF_REQUIRE(c.used == s.used && c.peak == s.peak && c.blocks == s.blocks && c.peak_blocks == s.peak_blocks &&
                 c.allocations == s.allocations && c.failures == s.failures,
             "counters differ from the statistics; " << text_of(s));
}

void Env::verify_walk() const {
  rf_stats const s = stats();
  size_t extent = 0;
  size_t free_bytes = 0;
  size_t largest = 0;
  uintptr_t end_of_last = 0;
  auto expected = live_.begin();
  for (const rf_block &b : walk(allocator_)) {
    uintptr_t const start = address_of(b.ptr);
    RF_REQUIRE(start >= end_of_last, "walk goes back to " << b.ptr);
    end_of_last = start + b.size;
    extent += b.size + b.overhead;
    if (b.used) {
      RF_REQUIRE(expected != live_.end() && expected->first == b.ptr && expected->second.size == b.size,
                 "walk meets a used block of " << b.size << " bytes at " << b.ptr);
      ++expected;
    } else {
      free_bytes += b.size;
      largest = std::max(largest, b.size);
    }
  }
  RF_REQUIRE(expected == live_.end(), "walk misses the block of " << expected->second.size << " bytes at "
                                                                  << static_cast<void *>(expected->first));
  RF_REQUIRE(free_bytes == s.free_bytes, "walk meets " << free_bytes << "; " << text_of(s));
  RF_REQUIRE(s.largest_free <= largest, "walk meets " << largest << "; " << text_of(s));
  RF_REQUIRE(extent <= s.capacity, "walk meets " << extent << "; " << text_of(s));
}

void Env::verify_surroundings() const {
  for (size_t i = 1; i <= kMargin; i++) {
    RF_REQUIRE(*(arena_ - i) == kMarginByte, "byte " << i << " before the arena");
    RF_REQUIRE(arena_[arena_size_ + i - 1] == kMarginByte, "byte " << i << " after the arena");
  }
}

void Env::verify_contents() {
  for (const auto &[ptr, block] : live_) {
    check_prefix(ptr, block.seed, block.usable, "while live");
  }
}

// ---- Inputs ----

size_t served(const Subject &subject, size_t size) {
  return subject.max_size == 0 ? size : std::min(size, subject.max_size);
}

std::vector<size_t> sizes_to_try(const Subject &subject) {
  std::vector<size_t> sizes;
  for (size_t size = 0; size <= 130; size++) {
    sizes.push_back(size);
  }
  for (size_t power = 256; power <= kArena / 8; power *= 2) {
    sizes.insert(sizes.end(), {power - 1, power, power + 1, power + power / 2});
  }
  sizes.erase(std::remove_if(sizes.begin(), sizes.end(), [&](size_t n) { return n != served(subject, n); }),
              sizes.end());
  return sizes;
}

std::vector<size_t> unservable_sizes(const Subject &subject) {
  std::vector<size_t> sizes;
  for (size_t const less : {0, 1, 3, 7, 8, 15, 16, 31, 63, 64, 4095, 4096}) {
    if (less <= 8 || (subject.traits & RF_SUBJECT_ARENA) != 0) {
      sizes.push_back(RF_SIZE_LIMIT - less);
    }
  }
  return sizes;
}

std::vector<size_t> aligns_to_try(const Subject &subject) {
  std::vector<size_t> aligns;
  for (size_t align = 1; align <= 4096; align *= 2) {
    if (subject.max_align == 0 || align <= subject.max_align) {
      aligns.push_back(align);
    }
  }
  return aligns;
}

} // namespace ringfence::conformance
