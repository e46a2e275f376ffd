#include <ringfence/fuzz/interpreter.h>

#include <ringfence/fuzz/bad_pointer.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>

namespace ringfence::fuzz {
namespace {

size_t wanted_interval = 0;

} // namespace

size_t comparison_interval(const Reader &reader) {
  static constexpr size_t kChoices[] = {1, 2, 4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 128, 128, 128, 128};
  bool const chosen = wanted_interval != 0 || trace_wanted();
  return chosen ? std::max<size_t>(wanted_interval, 1) : kChoices[reader.checksum() % std::size(kChoices)];
}

void compare_every(size_t operations) {
  wanted_interval = operations;
}

Interpreter::Interpreter(const rf_fuzz_target &target, Reader reader, Conduct conduct)
    : target_(target), reader_(reader), conduct_(conduct), verdict_(trace_wanted()), shadow_(target, memory_, verdict_),
      interval_(comparison_interval(reader)) {
  rf_fault_handler_set(record_fault, this);
}

Interpreter::~Interpreter() {
  rf_fault_handler_set(nullptr, nullptr);
  if (!verdict_.ok()) {
    memory_.forget_damage();
  }
}

void Interpreter::record_fault(const rf_fault *fault, void *context) {
  auto *const self = static_cast<Interpreter *>(context);
  self->faults_++;
  self->last_fault_ = fault->status;
  self->last_fault_ptr_ = fault->ptr;
}

size_t Interpreter::reports() const {
  return faults_ + (target_.reports != nullptr ? target_.reports(target_.context) : 0);
}

// ---- Life of an allocator ----

// One arena, and for allocators with regions up to three more, before and after it, near or touching.
void Interpreter::lay_out() {
  size_t const count = target_.add_region != nullptr ? 1 + reader_.below(Memory::kMaxRegions) : 1;
  main_region_ = reader_.below(count);
  for (size_t i = 0; i < count; i++) {
    size_t const kind = reader_.u8() % 8;
    size_t const small = reader_.length();
    size_t const size = kind == 0 ? small : kind < 6 ? small % 8192 + size_t{reader_.u8()} * 32 : small * 16;
    size_t const gap = reader_.below(Memory::kMaxGap + 1);
    memory_.add(std::min(size, std::min(target_.max_arena, RF_FUZZ_MAX_ARENA)), gap);
  }
  memory_.open(main_region_, reader_.u8());
}

ptrdiff_t Interpreter::offset_of(const void *ptr) const {
  return static_cast<const unsigned char *>(ptr) - memory_.regions()[main_region_].data;
}

// Impossible arenas: NULL, and one that wraps around the end of the address space.
bool Interpreter::refuses_bad_arenas() {
  unsigned char *const data = memory_.regions()[main_region_].data;
  size_t const endless = SIZE_MAX - reader_.u8();
  bool const refused = target_.init(target_.context, nullptr, target_.min_arena) == nullptr &&
                       target_.init(target_.context, data, endless) == nullptr &&
                       target_.init(target_.context, data, 0) == nullptr;
  return refused || verdict_.fail("init", "an arena at NULL, of %zu bytes or of none was accepted", endless);
}

bool Interpreter::make_allocator() {
  const Memory::Region &arena = memory_.regions()[main_region_];
  allocator_ = target_.init(target_.context, arena.data, arena.size);
  if (allocator_ == nullptr) {
    if (arena.size >= target_.min_arena) {
      return verdict_.fail("init", "an arena of %zu bytes at %p was refused", arena.size,
                           static_cast<void *>(arena.data));
    }
    shadow_.verify_surroundings();
    return false;
  }
  shadow_.restarted();
  bool const good = settle_all(0);
  walkable_ = shadow_.state().walkable;
  return good;
}

bool Interpreter::start() {
  lay_out();
  const Memory::Region &arena = memory_.regions()[main_region_];
  verdict_.outcome("%s over %zu bytes at 16n+%zu", target_.name, arena.size,
                   static_cast<size_t>(reinterpret_cast<uintptr_t>(arena.data) % 16));
  settled_reports_ = reports();
  if ((target_.in_arena && !refuses_bad_arenas()) || !make_allocator()) {
    return false;
  }
  pristine_ = shadow_.state();
  return true;
}

bool Interpreter::step() {
  if (!verdict_.ok() || reader_.empty() || verdict_.operations() >= kMaxOperations) {
    return false;
  }
  is_due_ = (verdict_.operations() + 1) % interval_ == 0;
  if (is_due_ && !shadow_.fresh() && !settle_all(0)) { // to compare with
    return false;
  }
  (this->*choose_operation())();
  return verdict_.ok();
}

bool Interpreter::end_allocator() {
  verdict_.begin("rf_deinit(a), twice");
  rf_deinit(allocator_);
  rf_deinit(allocator_);
  if (reports() != settled_reports_) {
    return verdict_.fail("report", "ending the allocator was reported as a misuse");
  }
  return shadow_.verify_surroundings();
}

// Frees every other block first, so that the second half of the frees has free neighbours on both sides.
bool Interpreter::free_all() {
  for (size_t i = 0; i < shadow_.count(); i++) {
    if (!release(shadow_.nth(i))) {
      return false;
    }
  }
  while (shadow_.count() != 0) {
    if (!release(shadow_.nth(0))) {
      return false;
    }
  }
  return true;
}

// With everything freed, memory is as after init and the same additions of regions.
bool Interpreter::expect_as_new() {
  if (!shadow_.fresh() && !settle_all(0)) {
    return false;
  }
  if (!target_.coalesces) {
    return true;
  }
  if (extra_regions_.empty()) {
    return shadow_.verify_same_memory(pristine_, "coalescing", "after everything was freed");
  }
  State freed = shadow_.state();
  if (!end_allocator() || !make_allocator()) {
    return verdict_.ok() && verdict_.fail("init", "the arena was accepted once, and is refused now");
  }
  for (size_t const index : extra_regions_) {
    const Memory::Region &region = memory_.regions()[index];
    if (target_.add_region(target_.context, allocator_, region.data, region.size) != RF_OK) {
      return verdict_.fail("region", "a region was accepted once, and is refused now");
    }
  }
  shadow_.regions_changed();
  if (!settle_all(0)) {
    return false;
  }
  // The choice among free blocks of a good fit may depend on the order in which they became free.
  freed.stats.largest_free = shadow_.state().stats.largest_free;
  return shadow_.verify_same_memory(freed, "coalescing", "compared with everything freed, made anew");
}

void Interpreter::finish() {
  if (!verdict_.ok() || (!shadow_.fresh() && !settle_all(0))) {
    return;
  }
  is_due_ = interval_ == 1;
  if (free_all() && expect_as_new()) {
    end_allocator();
  }
}

// ---- Judging results ----

// After a request failed: what is free now was free before, unless the failure itself may change that.
bool Interpreter::must_succeed(size_t size, size_t align) {
  if (target_.max_align != 0 && align > target_.max_align) {
    return false;
  }
  if (target_.always_serves != 0 && size <= target_.always_serves && align <= target_.default_align) {
    return true;
  }
  if (!target_.serves_largest || (!shadow_.stats_fresh() && !target_.quiet_failure)) {
    return false;
  }
  size_t const largest = shadow_.stats(allocator_).largest_free;
  if (largest == 0 || size > largest) {
    return false;
  }
  if (align <= target_.default_align) {
    return true;
  }
  size_t needed;
  return rf_mul(align, target_.align_factor, &needed) && rf_add(needed, target_.align_slack, &needed) &&
         rf_add(needed, size, &needed) && needed <= largest;
}

bool Interpreter::must_fail(size_t size, size_t align) const {
  return shadow_.stats_fresh() && target_.largest_is_bound && size > target_.always_serves &&
         align >= target_.default_align && size > shadow_.state().stats.largest_free;
}

bool Interpreter::settle(size_t expected_reports) {
  size_t const now = reports();
  if (now - settled_reports_ != expected_reports) {
    return verdict_.fail("report", "%zu misuses were reported, not %zu (the last fault was \"%s\")",
                         now - settled_reports_, expected_reports, rf_status_name(last_fault_));
  }
  settled_reports_ = now;
  shadow_.changed();
  return !is_due_ || shadow_.verify(allocator_);
}

bool Interpreter::settle_all(size_t expected_reports) {
  is_due_ = true;
  return settle(expected_reports);
}

bool Interpreter::settle_unchanged(size_t expected_reports, const char *when) {
  if (!is_due_ || !shadow_.fresh()) {
    return settle(expected_reports);
  }
  State const before = shadow_.state();
  return settle(expected_reports) && shadow_.verify_same_memory(before, "unchanged", when);
}

bool Interpreter::settle_failure(size_t expected_reports) {
  return target_.quiet_failure ? settle_unchanged(expected_reports, "although the operation failed")
                               : settle(expected_reports);
}

bool Interpreter::judge_allocation(void *ptr, size_t size, size_t align, bool zeroed) {
  bool const fill = reader_.u8() % 4 != 0;
  if (ptr == nullptr) {
    verdict_.outcome("NULL");
    if (must_succeed(size, align)) {
      return verdict_.fail("refused", "NULL for %zu bytes, with largest_free %zu", size,
                           shadow_.state().stats.largest_free);
    }
    shadow_.failed();
    return settle_failure(0);
  }
  verdict_.outcome("p%u = arena %+td", shadow_.next_id(), offset_of(ptr));
  if (must_fail(size, align)) {
    return verdict_.fail("bound", "%zu bytes were served, with largest_free %zu", size,
                         shadow_.state().stats.largest_free);
  }
  return shadow_.allocated(ptr, size, align, fill, zeroed) && settle(0);
}

bool Interpreter::judge_realloc(Block &block, void *ptr, size_t size, size_t align) {
  bool const shrinks = target_.shrinks && size <= block.size && rf_is_aligned(block.ptr, align);
  if (ptr == nullptr) {
    verdict_.outcome("NULL");
    if (must_succeed(size, align) || shrinks) {
      return verdict_.fail("refused", "NULL for %zu bytes, with largest_free %zu and a block of %zu", size,
                           shadow_.state().stats.largest_free, block.size);
    }
    shadow_.failed();
    return settle_failure(0);
  }
  verdict_.outcome(ptr == block.ptr ? "in place" : "p%u = arena %+td", block.id, offset_of(ptr));
  if (shrinks && target_.shrinks_in_place && ptr != block.ptr) {
    return verdict_.fail("moved", "a realloc from %zu to %zu bytes moved", block.size, size);
  }
  return shadow_.resized(block, ptr, size, align) && settle(0);
}

// A malformed request changes nothing, and counts as no failure.
bool Interpreter::judge_rejection(bool refused) {
  if (!refused) {
    return verdict_.fail("malformed", "a malformed request was served");
  }
  return settle_unchanged(target_.reports_rejects ? 1 : 0, "although the request was malformed");
}

// A bad pointer is reported once, with the right status and the pointer, and changes nothing.
bool Interpreter::judge_refusal(const BadPointer &bad, rf_status status) {
  verdict_.outcome("%s", rf_status_name(status));
  if (status != RF_ERR_BAD_POINTER && !(bad.may_be_start && status == RF_ERR_NOT_ALLOCATED)) {
    return verdict_.fail("refusal", "%p, a bad pointer, was answered with \"%s\"", bad.ptr, rf_status_name(status));
  }
  if (target_.reports == nullptr && last_fault_ != status) {
    return verdict_.fail("report", "\"%s\" was reported as \"%s\"", rf_status_name(status),
                         rf_status_name(last_fault_));
  }
  if (target_.reports == nullptr && faults_ != 0 && last_fault_ptr_ != bad.ptr) {
    return verdict_.fail("report", "%p was handed in, but %p is reported", bad.ptr, last_fault_ptr_);
  }
  return settle_unchanged(1, "although the pointer was refused");
}

// ---- For harnesses ----

const Block *Interpreter::adopt(void *ptr, size_t size, size_t align, bool zeroed) {
  verdict_.begin("p%u = …(%zu), aligned to %zu", shadow_.next_id(), size, align);
  size_t const count = shadow_.count();
  bool const good = judge_allocation(ptr, size, align, zeroed);
  return good && shadow_.count() > count ? &shadow_.nth(count) : nullptr;
}

bool Interpreter::release(Block block) {
  verdict_.begin("rf_free(a, p%u)", block.id);
  if (!shadow_.verify_contents_of(block)) {
    return false;
  }
  rf_status const status = rf_free(allocator_, block.ptr);
  if (status != RF_OK) {
    return verdict_.fail("free", "a free of p%u was answered with \"%s\"", block.id, rf_status_name(status));
  }
  shadow_.released(block);
  return settle(0);
}

bool trace_wanted() {
  static bool const wanted = getenv("RF_FUZZ_TRACE") != nullptr;
  return wanted;
}

namespace {

[[noreturn]] void abort_with(const rf_fuzz_target &target, const Violation &violation) {
  fprintf(stderr, "fuzz: %s: operation %zu, %s\n  %s: %s\n", target.name, violation.operation,
          violation.statement.c_str(), violation.rule.c_str(), violation.what.c_str());
  if (!trace_wanted()) {
    fprintf(stderr, "  RF_FUZZ_TRACE=1 prints the operations that led here\n");
  }
  abort();
}

} // namespace

void demand_ok(const rf_fuzz_target &target, const Verdict &verdict) {
  if (!verdict.ok()) {
    abort_with(target, verdict.violation());
  }
}

std::optional<Violation> run(const rf_fuzz_target &target, Reader input, Conduct conduct) {
  Interpreter interpreter(target, input, conduct);
  if (interpreter.start()) {
    while (interpreter.step()) {
    }
    interpreter.finish();
  }
  if (interpreter.verdict().ok()) {
    return std::nullopt;
  }
  return interpreter.verdict().violation();
}

void run_or_abort(const rf_fuzz_target &target, Reader input, Conduct conduct) {
  if (auto const violation = run(target, input, conduct)) {
    abort_with(target, *violation);
  }
}

} // namespace ringfence::fuzz

void rf_fuzz_run(const rf_fuzz_target *target, const uint8_t *data, size_t size) {
  ringfence::fuzz::run_or_abort(*target, {data, size});
}
