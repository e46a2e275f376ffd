// The operations of the interpreter that no program should make: malformed requests, use after the end, damage, bad
// pointers. Each must be refused as the interface says.
#include <ringfence/fuzz/interpreter.h>

#include <ringfence/fuzz/bad_pointer.h>

#include <algorithm>

namespace ringfence::fuzz {

// ---- Malformed requests ----

void Interpreter::op_malformed_alloc() {
  bool const bad_size = reader_.below(2) != 0;
  size_t const size = bad_size ? choose_bad_size() : choose_size();
  size_t const align = bad_size ? choose_align() : choose_bad_align();
  verdict_.begin("rf_aligned_alloc(a, %zu, %zu)", align, size);
  judge_rejection(rf_aligned_alloc(allocator_, align, size) == nullptr);
}

void Interpreter::op_malformed_calloc() {
  size_t const count = 2 + reader_.u8();
  size_t const size = SIZE_MAX / count + 1 + reader_.u8();
  verdict_.begin("rf_calloc(a, %zu, %zu)", count, size);
  judge_rejection(rf_calloc(allocator_, count, size) == nullptr);
}

void Interpreter::op_malformed_realloc() {
  if (shadow_.count() == 0) {
    return;
  }
  const Block &block = choose_block();
  bool const bad_size = reader_.below(2) != 0;
  size_t const size = bad_size ? choose_bad_size() : std::max<size_t>(choose_size(), 1);
  size_t const align = bad_size ? choose_align() : choose_bad_align();
  verdict_.begin("rf_realloc_at(a, p%u, %zu, %zu, RF_HERE)", block.id, size, align);
  judge_rejection(rf_realloc_at(allocator_, block.ptr, size, align, RF_HERE) == nullptr);
}

void Interpreter::op_malformed_resize() {
  if (shadow_.count() == 0) {
    return;
  }
  const Block &block = choose_block();
  size_t const size = choose_bad_size();
  verdict_.begin("rf_resize(a, p%u, %zu)", block.id, size);
  judge_rejection(rf_resize(allocator_, block.ptr, size) == RF_ERR_INVALID);
}

// A region that the heap has already, or never had; not an empty one, which lies where the next one does.
void Interpreter::op_malformed_region() {
  size_t const index = reader_.below(memory_.regions().size());
  const Memory::Region &region = memory_.regions()[index];
  ptrdiff_t const place = offset_of(region.data);
  rf_status status = RF_ERR_INVALID;
  if (region.open && target_.add_region != nullptr) {
    verdict_.begin("add_region(a, arena %+td, %zu) /* again */", place, region.size);
    status = target_.add_region(target_.context, allocator_, region.data, region.size);
  } else if (!region.open && region.size != 0 && target_.remove_region != nullptr) {
    verdict_.begin("remove_region(a, arena %+td) /* was not added */", place);
    status = target_.remove_region(target_.context, allocator_, region.data);
  }
  if (status != RF_ERR_INVALID) {
    verdict_.fail("region", "a region that cannot be was answered with \"%s\"", rf_status_name(status));
    return;
  }
  settle_unchanged(0, "although the region cannot be");
}

// ---- After the end ----

void Interpreter::op_use_ended() {
  size_t const verb = reader_.below(5);
  if (!target_.refuses_ended || (!target_.in_arena && !free_all())) {
    return;
  }
  void *const ptr = shadow_.count() != 0 ? choose_block().ptr : memory_.regions()[main_region_].data;
  if (!end_allocator()) {
    return;
  }
  static const char *const kVerbs[] = {"rf_alloc", "rf_free", "rf_realloc", "rf_resize", "rf_usable_size"};
  verdict_.begin("%s(a, …) after deinit", kVerbs[verb]);
  if (serves(verb, ptr)) {
    verdict_.fail("ended", "an allocator that was ended served a request");
    return;
  }
  settled_reports_ = reports();
  begin_again();
}

// ---- Damage ----

// True where the request succeeded: the heap has changed.
bool Interpreter::serves(size_t verb, void *ptr) {
  switch (verb) {
  case 0:
    return rf_alloc(allocator_, choose_size()) != nullptr;
  case 1:
    return rf_free(allocator_, ptr) == RF_OK;
  case 2:
    return rf_realloc(allocator_, ptr, std::max<size_t>(choose_size(), 1)) != nullptr;
  case 3:
    return rf_resize(allocator_, ptr, std::max<size_t>(choose_size(), 1)) == RF_OK;
  default:
    (void)rf_usable_size(allocator_, ptr);
    return false;
  }
}

// A byte that the allocator keeps for itself or does not use; nullptr where the chosen place has none.
unsigned char *Interpreter::choose_damage() {
  const Memory::Region &region = memory_.regions()[reader_.below(memory_.regions().size())];
  size_t const place = reader_.u16() | static_cast<size_t>(reader_.u8()) << 16;
  if (!region.open || region.size == 0) {
    return nullptr;
  }
  unsigned char *const at = region.data + place % region.size;
  for (size_t i = 0; i < shadow_.count(); i++) {
    const Block &block = shadow_.nth(i);
    if (at >= block.ptr && at < block.ptr + std::max(block.size, block.filled)) {
      return nullptr;
    }
  }
  return at;
}

// A stray write: check survives it, whether it sees it or not. Every operation survives it where the target says so;
// one that is not refused may have spread the damage, which ends this heap. A refused one may have written the byte
// anew, as where it first made free memory of what was kept back: the heap must then be sound without a repair.
void Interpreter::op_damage() {
  unsigned char *const at = target_.in_arena ? choose_damage() : nullptr;
  auto const mask = static_cast<unsigned char>(reader_.u8() | 1U);
  size_t const verb = reader_.below(7);
  if (at == nullptr) {
    return;
  }
  verdict_.begin("((char *)arena)[%td] ^= 0x%02x", offset_of(at), mask);
  *at ^= mask;
  unsigned char const damaged = *at;
  if (!check_damaged()) {
    return;
  }
  if (target_.survives_damage && !in_region_record(at)) {
    void *const ptr = shadow_.count() != 0 ? choose_block().ptr : at;
    verdict_.outcome("then operation %zu on arena %+td", verb, offset_of(ptr));
    if (verb == 5) {
      if (!walk_damaged()) {
        return;
      }
    } else if (serves(verb, ptr) || (target_.gives_up_damaged && verb < 5)) {
      rf_deinit(allocator_);
      settled_reports_ = reports();
      begin_again();
      return;
    }
    shadow_.may_have_failed();
  }
  if (*at == damaged) {
    *at ^= mask;
  }
  settled_reports_ = reports();
  settle_unchanged(0, "although the damage was repaired");
}

bool Interpreter::in_region_record(const unsigned char *at) const {
  size_t const index = memory_.region_of(at);
  return index != main_region_ && static_cast<size_t>(at - memory_.regions()[index].data) < target_.region_record;
}

bool Interpreter::walk_damaged() {
  rf_stats any;
  rf_stats_get(allocator_, &any);
  rf_status const status = rf_walk(
      allocator_, [](const rf_block *, void *) { return true; }, nullptr);
  if (status != RF_OK && status != RF_ERR_CORRUPT && status != RF_ERR_UNSUPPORTED) {
    return verdict_.fail("walk", "a walk over damage answers \"%s\"", rf_status_name(status));
  }
  return reports() == settled_reports_ || verdict_.fail("report", "a walk reports by itself");
}

bool Interpreter::check_damaged() {
  rf_fault where = {};
  rf_status const status = rf_check(allocator_, &where);
  verdict_.outcome("rf_check: %s", status == RF_OK ? "ok" : where.what);
  if (status != RF_OK && (status != RF_ERR_CORRUPT || where.status != status || where.what == nullptr)) {
    return verdict_.fail("check", "rf_check answers \"%s\" without saying what", rf_status_name(status));
  }
  if (reports() != settled_reports_) {
    return verdict_.fail("report", "rf_check reports by itself");
  }
  return true;
}

// ---- Bad pointers ----

void Interpreter::op_bad_free() {
  if (auto const bad = choose_bad_pointer(reader_, target_, shadow_, memory_)) {
    verdict_.begin("rf_free(a, " RF_FUZZ_BAD_POINTER ")", RF_FUZZ_BAD_POINTER_PARTS(*bad));
    judge_refusal(*bad, rf_free(allocator_, bad->ptr));
  }
}

void Interpreter::op_bad_realloc() {
  auto const bad = choose_bad_pointer(reader_, target_, shadow_, memory_);
  if (!bad) {
    return;
  }
  size_t const size = choose_size(); // 0, too
  verdict_.begin("rf_realloc(a, " RF_FUZZ_BAD_POINTER ", %zu)", RF_FUZZ_BAD_POINTER_PARTS(*bad), size);
  last_fault_ = RF_ERR_BAD_POINTER; // reported elsewhere, where no status is visible
  if (rf_realloc(allocator_, bad->ptr, size) != nullptr) {
    verdict_.fail("refusal", "a realloc of %p, a bad pointer, was obeyed", bad->ptr);
    return;
  }
  judge_refusal(*bad, last_fault_);
}

void Interpreter::op_bad_resize() {
  auto const bad = resizes_ ? choose_bad_pointer(reader_, target_, shadow_, memory_) : std::nullopt;
  if (!bad) {
    return;
  }
  size_t const size = std::max<size_t>(choose_size(), 1);
  verdict_.begin("rf_resize(a, " RF_FUZZ_BAD_POINTER ", %zu)", RF_FUZZ_BAD_POINTER_PARTS(*bad), size);
  rf_status const status = rf_resize(allocator_, bad->ptr, size);
  if (status == RF_ERR_UNSUPPORTED) {
    resizes_ = false;
    settle_unchanged(0, "although resize is not supported");
    return;
  }
  judge_refusal(*bad, status);
}

// A query about a bad pointer is no misuse: it is answered, and not reported.
void Interpreter::op_bad_query() {
  auto const bad = choose_bad_pointer(reader_, target_, shadow_, memory_);
  if (!bad) {
    return;
  }
  verdict_.begin("rf_usable_size(a, " RF_FUZZ_BAD_POINTER ")", RF_FUZZ_BAD_POINTER_PARTS(*bad));
  size_t const usable = rf_usable_size(allocator_, bad->ptr);
  if (usable != 0) {
    verdict_.fail("usable", "usable_size is %zu for %p, a bad pointer", usable, bad->ptr);
    return;
  }
  settle_unchanged(0, "although only a question was asked");
}

} // namespace ringfence::fuzz
