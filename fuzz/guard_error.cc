#include "guard_error.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace ringfence::fuzz {
namespace {

constexpr size_t kHeader = RF_GUARD_PREFIX - RF_GUARD_FRONT;

uintptr_t number(const void *ptr) {
  return reinterpret_cast<uintptr_t>(ptr);
}

// Memory that is no allocator's.
struct Elsewhere {
  alignas(RF_ALIGN_DEFAULT) unsigned char before[RF_GUARD_PREFIX];
  alignas(RF_ALIGN_DEFAULT) unsigned char object[64];
};

} // namespace

GuardError::GuardError(rf_guard &guard, FindingLog &log, Reader &reader)
    : guard_(guard), allocator_(&guard.base), log_(log), kind_(reader.u8()), victim_choice_(reader.u8()),
      fresh_size_(reader.length()), where_(reader.u16()), length_(reader.u8()),
      mask_(static_cast<unsigned char>(reader.u8() | 1U)), verb_(reader.u8()), churn_(reader.u8()),
      trigger_(reader.u8()) {}

// ---- The errors ----

const GuardError::Act GuardError::kActs[] = {
    &GuardError::overflow,
    &GuardError::underflow,
    &GuardError::header,
    &GuardError::write_after_free,
    &GuardError::write_around_freed,
    &GuardError::double_free,
    &GuardError::interior_free,
    &GuardError::forged_interior_free,
    &GuardError::foreign_free,
    &GuardError::forged_foreign_free,
    &GuardError::leak,
    &GuardError::too_big,
    &GuardError::calloc_overflow,
    &GuardError::bad_alignment,
    &GuardError::other_family,
    &GuardError::other_size,
};

GuardError::Deed GuardError::act() {
  return (this->*kActs[kind_ % std::size(kActs)])();
}

// Changes each of the bytes, so that none is what it was.
void GuardError::scribble(unsigned char *at, size_t count) const {
  for (size_t i = 0; i < count; i++) {
    at[i] ^= mask_;
  }
}

GuardError::Expected GuardError::written(rf_bug bug, unsigned char *at, size_t count, bool freed) const {
  return {bug, RF_ACCESS_WRITE, number(at), number(victim_.ptr), victim_.size, count, freed, 0};
}

GuardError::Deed GuardError::overflow() {
  size_t const distance = where_ % RF_GUARD_BACK_MIN;
  size_t const count = 1 + length_ % (RF_GUARD_BACK_MIN - distance);
  unsigned char *const at = victim_.ptr + victim_.size + distance;
  scribble(at, count);
  return {true, false, false, written(RF_BUG_BUFFER_OVERFLOW, at, count, false)};
}

GuardError::Deed GuardError::underflow() {
  size_t const distance = 1 + where_ % RF_GUARD_FRONT;
  size_t const count = 1 + length_ % distance;
  unsigned char *const at = victim_.ptr - distance;
  scribble(at, count);
  return {true, false, false, written(RF_BUG_BUFFER_UNDERFLOW, at, count, false)};
}

GuardError::Deed GuardError::header() {
  unsigned char *const start = victim_.ptr - RF_GUARD_PREFIX;
  scribble(start + where_ % kHeader, 1);
  return {true, false, true, {RF_BUG_METADATA, RF_ACCESS_WRITE, number(start), number(victim_.ptr), 0, 0, false, 0}};
}

// Frees the victim; false where it did not stay in quarantine.
bool GuardError::quarantine_victim() {
  size_t const before = guard_.quarantined;
  rf_free(allocator_, victim_.ptr);
  return guard_.newest != nullptr && guard_.quarantined != 0 &&
         reinterpret_cast<unsigned char *>(guard_.newest) + RF_GUARD_PREFIX == victim_.ptr &&
         (before == 0 || guard_.quarantined <= guard_.options.quarantine);
}

GuardError::Deed GuardError::write_after_free() {
  size_t const filled = std::min(victim_.size, guard_.options.fill_free);
  if (filled == 0 || !quarantine_victim()) {
    return {};
  }
  size_t const offset = where_ % filled;
  size_t const count = 1 + length_ % (filled - offset);
  scribble(victim_.ptr + offset, count);
  return {true, false, true, written(RF_BUG_USE_AFTER_FREE, victim_.ptr + offset, count, true)};
}

GuardError::Deed GuardError::write_around_freed() {
  if (!quarantine_victim()) {
    return {};
  }
  Deed deed = where_ % 2 == 0 ? overflow() : underflow();
  deed.victim_is_gone = true;
  deed.expected.freed = true;
  return deed;
}

// Hands a bad pointer in, one way or another.
void GuardError::hand_in(void *ptr) {
  if (verb_ % 3 == 0) {
    rf_free(allocator_, ptr);
  } else if (verb_ % 3 == 1) {
    (void)rf_realloc(allocator_, ptr, length_);
  } else {
    (void)rf_resize(allocator_, ptr, length_ + 1);
  }
}

GuardError::Deed GuardError::double_free() {
  if (!quarantine_victim()) {
    return {};
  }
  hand_in(victim_.ptr);
  return {true,
          true,
          true,
          {RF_BUG_DOUBLE_FREE, RF_ACCESS_FREE, number(victim_.ptr), number(victim_.ptr), victim_.size, 0, true, 0}};
}

GuardError::Deed GuardError::interior_free() {
  if (victim_.size < 2) {
    return {};
  }
  unsigned char *const ptr = victim_.ptr + 1 + where_ % (victim_.size - 1);
  hand_in(ptr);
  return {true,
          true,
          false,
          {RF_BUG_BAD_FREE, RF_ACCESS_FREE, number(ptr), number(victim_.ptr), victim_.size, 0, false, 761}};
}

// A copy of the victim's own header stands before the pointer: it must not pass elsewhere.
GuardError::Deed GuardError::forged_interior_free() {
  size_t const step = RF_ALIGN_DEFAULT;
  if (victim_.size <= RF_GUARD_PREFIX + step) {
    return {};
  }
  size_t const places = (victim_.size - 1 - RF_GUARD_PREFIX) / step;
  unsigned char *const ptr = victim_.ptr + RF_GUARD_PREFIX + where_ % places * step;
  memcpy(ptr - RF_GUARD_PREFIX, victim_.ptr - RF_GUARD_PREFIX, RF_GUARD_PREFIX);
  hand_in(ptr);
  return {true,
          true,
          false,
          {RF_BUG_BAD_FREE, RF_ACCESS_FREE, number(ptr), number(victim_.ptr), victim_.size, 0, false, 761}};
}

GuardError::Deed GuardError::foreign_free() {
  static Elsewhere global;
  Elsewhere local;
  unsigned char *const ptr = (trigger_ % 2 == 0 ? global : local).object + where_ % sizeof local.object;
  hand_in(ptr);
  return {true, true, false, {RF_BUG_BAD_FREE, RF_ACCESS_FREE, number(ptr), 0, 0, 0, false, 590}};
}

GuardError::Deed GuardError::forged_foreign_free() {
  static Elsewhere global;
  unsigned char *const ptr = global.object;
  memcpy(ptr - RF_GUARD_PREFIX, victim_.ptr - RF_GUARD_PREFIX, RF_GUARD_PREFIX);
  hand_in(ptr);
  return {true, true, false, {RF_BUG_BAD_FREE, RF_ACCESS_FREE, number(ptr), 0, 0, 0, false, 590}};
}

// Everything else is freed; it is noticed at the end.
GuardError::Deed GuardError::leak() {
  return {true,
          false,
          true,
          {RF_BUG_LEAK, RF_ACCESS_UNKNOWN, number(victim_.ptr), number(victim_.ptr), victim_.size, 0, false, 0}};
}

GuardError::Deed GuardError::too_big() {
  size_t const size = SIZE_MAX - where_;
  (void)rf_alloc(allocator_, size);
  return {true, true, false, {RF_BUG_SIZE_TOO_BIG, RF_ACCESS_UNKNOWN, 0, 0, size, 0, false, 0}};
}

GuardError::Deed GuardError::calloc_overflow() {
  size_t const size = SIZE_MAX / 2 + 1 + where_;
  (void)rf_calloc(allocator_, 2 + length_, size);
  return {true, true, false, {RF_BUG_CALLOC_OVERFLOW, RF_ACCESS_UNKNOWN, 0, 0, size, 0, false, 0}};
}

GuardError::Deed GuardError::bad_alignment() {
  size_t const align = 3 + 2 * where_;
  (void)rf_aligned_alloc(allocator_, align, length_);
  return {true, true, false, {RF_BUG_BAD_ALIGNMENT, RF_ACCESS_UNKNOWN, 0, 0, length_, 0, false, 0}};
}

GuardError::Deed GuardError::other_family() {
  rf_guard_free_from(&guard_, victim_.ptr, verb_ % 2 == 0 ? RF_FAMILY_NEW : RF_FAMILY_NEW_ARRAY, SIZE_MAX, nullptr);
  return {
      true,
      true,
      true,
      {RF_BUG_DEALLOC_MISMATCH, RF_ACCESS_FREE, number(victim_.ptr), number(victim_.ptr), victim_.size, 0, false, 0}};
}

GuardError::Deed GuardError::other_size() {
  size_t const size = where_ != victim_.size ? where_ : where_ + 1;
  rf_guard_free_from(&guard_, victim_.ptr, RF_FAMILY_MALLOC, size, nullptr);
  return {true,
          true,
          true,
          {RF_BUG_SIZE_MISMATCH, RF_ACCESS_FREE, number(victim_.ptr), number(victim_.ptr), victim_.size, 0, false, 0}};
}

// ---- Before and after ----

// A block that the program has, or a new one.
bool GuardError::choose_victim(Interpreter &program) {
  size_t const count = program.shadow().count();
  if (count != 0 && victim_choice_ % 4 != 0) {
    victim_ = program.shadow().nth(victim_choice_ % count);
    return true;
  }
  const Block *const fresh = program.allocate(fresh_size_ % 2048, size_t{1} << victim_choice_ / 4 % 8);
  if (fresh == nullptr) {
    return false;
  }
  victim_ = *fresh;
  return true;
}

// The program goes on for a while without noticing.
void GuardError::go_on() {
  void *blocks[4] = {};
  for (size_t i = 0; i < churn_ % 16; i++) {
    void *&slot = blocks[i % std::size(blocks)];
    rf_free(allocator_, slot);
    slot = rf_alloc(allocator_, (churn_ * i) % 256);
  }
  for (void *const slot : blocks) {
    rf_free(allocator_, slot);
  }
}

// Makes the guard look at the damage. True where it must have been found by then; else the end of the program finds it.
bool GuardError::notice(const Deed &deed) {
  bool const leaked = deed.expected.bug == RF_BUG_LEAK;
  bool const live = !deed.noticed && !deed.expected.freed && !leaked;
  switch (trigger_ % 5) {
  case 0:
    rf_guard_sweep(&guard_);
    return !leaked;
  case 1:
    rf_guard_flush(&guard_, 0);
    return deed.noticed || deed.expected.freed;
  case 2:
  case 3:
    if (live) {
      void *const moved = rf_realloc(allocator_, victim_.ptr, 1 + length_);
      victim_.ptr = moved != nullptr ? static_cast<unsigned char *>(moved) : victim_.ptr;
    }
    return live;
  default:
    if (live) {
      (void)rf_resize(allocator_, victim_.ptr, 1 + length_);
    }
    return live;
  }
}

void GuardError::wind_up(Interpreter &program, const Deed &deed) {
  Shadow &shadow = program.shadow();
  for (size_t i = 0; i < shadow.count(); i++) {
    const Block &block = shadow.nth(i);
    if (block.id != victim_.id) {
      rf_free(allocator_, block.ptr);
    }
  }
  if (!deed.victim_is_gone) {
    rf_free(allocator_, victim_.ptr);
  }
  rf_deinit(allocator_);
  rf_deinit(allocator_);
}

void GuardError::commit(Interpreter &program) {
  Verdict &verdict = program.verdict();
  if (!verdict.ok() || !choose_victim(program)) {
    if (verdict.ok()) {
      program.finish();
    }
    return;
  }
  verdict.begin("error %zu on p%u, %zu bytes at %p", kind_ % std::size(kActs), victim_.id, victim_.size,
                static_cast<void *>(victim_.ptr));
  Deed const deed = act();
  if (log_.count() != (deed.noticed ? 1 : 0)) {
    verdict.fail("finding", "%zu findings after the error, not %d", log_.count(), deed.noticed ? 1 : 0);
    return;
  }
  if (!deed.done) {
    // The victim may be freed already, which the shadow does not know: only end.
    rf_guard_flush(&guard_, 0);
    guard_.options.leaks_at_deinit = false;
    rf_deinit(allocator_);
    return;
  }
  go_on();
  if (notice(deed) && log_.count() != 1) {
    verdict.fail("finding", "%zu findings when the damage was looked at, not 1", log_.count());
    return;
  }
  wind_up(program, deed);
  compare(verdict, deed.expected);
}

// ---- Comparing ----

bool GuardError::compare(Verdict &verdict, const Expected &expected) const {
  if (log_.count() != 1) {
    return verdict.fail("finding", "%zu findings in the end, not 1; the last one is %s", log_.count(),
                        log_.count() != 0 ? rf_bug_name(log_.last().bug) : "none");
  }
  const rf_finding &f = log_.last();
  unsigned const cwe = expected.cwe != 0 ? expected.cwe : rf_bug_cwe(expected.bug, expected.access);
  if (f.bug != expected.bug || f.cwe != cwe || f.access != expected.access || f.freed != expected.freed) {
    return verdict.fail("finding", "%s (CWE %u, access %d, freed %d), not %s (CWE %u, access %d, freed %d)",
                        rf_bug_name(f.bug), f.cwe, f.access, f.freed, rf_bug_name(expected.bug), cwe, expected.access,
                        expected.freed);
  }
  uintptr_t const address = expected.address;
  uintptr_t const block = expected.block;
  if (f.address != address || f.block != block) {
    return verdict.fail("finding", "%s at %#zx in block %#zx, not at %#zx in block %#zx", rf_bug_name(f.bug),
                        static_cast<size_t>(f.address), static_cast<size_t>(f.block), static_cast<size_t>(address),
                        static_cast<size_t>(block));
  }
  // The size in a damaged header may be what was damaged.
  bool const size_known = expected.bug != RF_BUG_METADATA;
  if (size_known && (f.size != expected.size || f.access_size != expected.access_size)) {
    return verdict.fail("finding", "%s of %zu bytes, block of %zu, not of %zu bytes, block of %zu", rf_bug_name(f.bug),
                        f.access_size, f.size, expected.access_size, expected.size);
  }
  if (block != 0 && f.offset != static_cast<ptrdiff_t>(address - block)) {
    return verdict.fail("finding", "%s at offset %td, not %td", rf_bug_name(f.bug), f.offset,
                        static_cast<ptrdiff_t>(address - block));
  }
  if (f.sequence != 1 || f.allocator == nullptr || strcmp(f.mode, "guard") != 0) {
    return verdict.fail("finding", "%s with sequence %zu, mode %s", rf_bug_name(f.bug), static_cast<size_t>(f.sequence),
                        f.mode);
  }
  return compare_window(verdict, expected);
}

// The bytes shown mark exactly those that were written.
bool GuardError::compare_window(Verdict &verdict, const Expected &expected) const {
  const rf_finding &f = log_.last();
  if (expected.access_size == 0) {
    return true;
  }
  uintptr_t const first = expected.address;
  for (unsigned i = 0; i < f.window_size; i++) {
    uintptr_t const at = f.window_address + i;
    bool const bad = at >= first && at - first < expected.access_size;
    bool const wrong_class = (f.window_class[i] == RF_BYTE_BAD) != bad;
    bool const wrong_byte = bad && (f.window[i] ^ mask_) != f.expected[i];
    if (wrong_class || wrong_byte) {
      return verdict.fail("finding", "%s shows byte %u of its window as %02x of class %u, %s", rf_bug_name(f.bug), i,
                          f.window[i], f.window_class[i], bad ? "although it was overwritten" : "although it was not");
    }
  }
  bool const shown = f.window_address <= first && first < f.window_address + f.window_size;
  return shown || verdict.fail("finding", "%s does not show the byte that was written", rf_bug_name(f.bug));
}

} // namespace ringfence::fuzz
