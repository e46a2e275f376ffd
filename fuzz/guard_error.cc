#include "guard_error.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace ringfence::fuzz {
namespace {

const rf_site kSite = {"guard_error.cc", "fresh_victim", 1};

} // namespace

// Members are initialised in the order in which the input has them.
GuardError::GuardError(rf_guard &guard, FindingLog &log, Reader &reader, const rf_fuzz_target &target)
    : guard_(guard), allocator_(&guard.base), log_(log), target_(target) {
  kind_ = reader.u8();
  victim_choice_ = reader.u8();
  fresh_size_ = reader.length() % 2048;
  where_ = reader.u16();
  length_ = reader.u8();
  mask_ = static_cast<unsigned char>(reader.u8() | 1U);
  verb_ = reader.u8();
  churn_ = reader.u8();
  trigger_ = reader.u8();
}

// ---- The victim ----

const Block *GuardError::fresh_victim(Interpreter &program) {
  rf_origin const origin = {&kSite, reinterpret_cast<uintptr_t>(__builtin_return_address(0)),
                            __builtin_frame_address(0)};
  size_t const align = size_t{1} << verb_ % 8;
  bool const zeroed = verb_ % 2 == 0;
  void *const ptr = zeroed ? rf_guard_zalloc_from(&guard_, fresh_size_, align, RF_FAMILY_MALLOC, &origin)
                           : rf_guard_alloc_from(&guard_, fresh_size_, align, RF_FAMILY_MALLOC, &origin);
  victim_is_fresh_ = true;
  return program.adopt(ptr, fresh_size_, align, zeroed);
}

// A live block of the program, or a new one.
bool GuardError::choose_victim(Interpreter &program) {
  size_t const count = program.shadow().count();
  bool const has = count != 0 && victim_choice_ % 4 != 0;
  const Block *const block = has ? &program.shadow().nth(victim_choice_ % count) : fresh_victim(program);
  if (block == nullptr) {
    return false;
  }
  victim_ = *block;
  victim_block_ = reinterpret_cast<uintptr_t>(block->ptr);
  return true;
}

// The guard knows the victim, and no block at the addresses beside it.
bool GuardError::described(Verdict &verdict) {
  rf_guard_block block = {};
  bool const known = rf_guard_describe(&guard_, victim_.ptr, &block);
  if (!known || block.ptr != victim_.ptr || block.size != victim_.size || block.family != RF_FAMILY_MALLOC) {
    return verdict.fail("describe", "p%u is described as %zu bytes at %p, known: %d", victim_.id, block.size, block.ptr,
                        known);
  }
  if (victim_is_fresh_ && block.allocated.site != &kSite) {
    return verdict.fail("describe", "p%u is not described by the place of its allocation", victim_.id);
  }
  return !rf_guard_describe(&guard_, victim_.ptr + RF_ALIGN_DEFAULT, &block) || block.ptr != victim_.ptr ||
         verdict.fail("describe", "what is not the start of p%u is described as p%u", victim_.id, victim_.id);
}

// ---- Before and after ----

// The program continues for a while without noticing.
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

// At once, or in the shortest steps from the beginning to the end.
void GuardError::sweep() {
  if (trigger_ / 5 % 2 == 0) {
    rf_guard_sweep(&guard_);
    return;
  }
  do {
    rf_guard_sweep_step(&guard_, 0);
  } while (guard_.swept != nullptr);
}

// Makes the guard inspect blocks. True where the damage must have been found by then; otherwise the end of the program
// finds it.
bool GuardError::look(const Deed &deed) {
  bool const now = deed.notice == Notice::kNow;
  bool const usable = deed.notice == Notice::kLater && !deed.expected.freed;
  switch (trigger_ % 5) {
  case 0:
    sweep();
    return now || deed.notice == Notice::kLater;
  case 1:
    rf_guard_flush(&guard_, 0);
    return now || deed.expected.freed;
  case 2:
  case 3:
    if (usable) {
      void *const moved = rf_realloc(allocator_, victim_.ptr, 1 + length_);
      victim_.ptr = moved != nullptr ? static_cast<unsigned char *>(moved) : victim_.ptr;
    }
    return now || usable;
  default:
    if (usable) {
      (void)rf_resize(allocator_, victim_.ptr, 1 + length_);
    }
    return now || usable;
  }
}

void GuardError::wind_up(Shadow &shadow, const Deed &deed) {
  for (size_t i = 0; i < shadow.count(); i++) {
    const Block &block = shadow.nth(i);
    if (block.id != victim_.id) {
      rf_free(allocator_, block.ptr);
    }
  }
  if (deed.victim == Victim::kLive) {
    rf_free(allocator_, victim_.ptr);
  }
  rf_deinit(allocator_);
  rf_deinit(allocator_);
  if (deed.notice != Notice::kAfter) {
    return;
  }
  if (deed.expected.address == 0) {
    (void)rf_alloc(allocator_, length_);
  } else if (verb_ % 3 == 1) {
    rf_free(allocator_, victim_.ptr);
  } else {
    (void)rf_realloc(allocator_, victim_.ptr, 1 + length_);
  }
}

void GuardError::commit(Reader &reader) {
  size_t steps = reader.u8();
  Interpreter program(target_, reader, Conduct::kCorrect);
  if (program.start()) {
    while (steps-- != 0 && program.step()) {
    }
    commit_on(program);
  }
  judge(program.verdict());
  demand_ok(target_, program.verdict());
}

void GuardError::commit_on(Interpreter &program) {
  Verdict &verdict = program.verdict();
  if (!verdict.ok() || !program.settle_all(0)) {
    return;
  }
  if (!choose_victim(program)) {
    program.finish();
    return;
  }
  if (!described(verdict)) {
    return;
  }
  verdict.begin("%s: p%u, %zu bytes at %p", kind(kind_).name, victim_.id, victim_.size,
                static_cast<void *>(victim_.ptr));
  Deed const deed = (this->*kind(kind_).act)();
  size_t const now = deed.done && deed.notice == Notice::kNow ? 1 : 0;
  if (log_.count() != now) {
    verdict.fail("finding", "%zu findings after the error, not %zu", log_.count(), now);
    return;
  }
  if (!deed.done) {
    // The error may free the victim, which the shadow does not know.
    guard_.options.leaks_at_deinit = false;
    rf_deinit(allocator_);
    return;
  }
  go_on();
  bool const must_be_found = look(deed);
  if (must_be_found && (log_.count() == 0 || (log_.count() > 1 && !deed.with_others))) {
    verdict.fail("finding", "%zu findings when the guard had looked, not 1", log_.count());
    return;
  }
  wind_up(program.shadow(), deed);
  compare(verdict, deed);
}

// ---- Comparing ----

bool GuardError::compare(Verdict &verdict, const Deed &deed) const {
  const std::vector<rf_finding> &findings = log_.findings();
  const Expected &expected = deed.expected;
  if (deed.with_others) {
    bool const found = std::any_of(findings.begin(), findings.end(), [&expected](const rf_finding &f) {
      return f.bug == expected.bug && f.block == expected.block && f.address == expected.address;
    });
    return found ||
           verdict.fail("finding", "%s is not among the %zu findings; the first one is %s", rf_bug_name(expected.bug),
                        log_.count(), findings.empty() ? "none" : rf_bug_name(findings.front().bug));
  }
  if (log_.count() != 1) {
    return verdict.fail("finding", "%zu findings in the end, not 1; the last one is %s", log_.count(),
                        findings.empty() ? "none" : rf_bug_name(findings.back().bug));
  }
  return compare_kind(verdict, expected) && compare_place(verdict, expected) && compare_window(verdict, expected);
}

bool GuardError::compare_kind(Verdict &verdict, const Expected &expected) const {
  const rf_finding &f = log_.findings().front();
  unsigned const cwe = expected.cwe != 0 ? expected.cwe : rf_bug_cwe(expected.bug, expected.access);
  if (f.bug != expected.bug || f.cwe != cwe || f.access != expected.access || f.freed != expected.freed ||
      f.at_access != expected.at_access) {
    return verdict.fail(
        "finding", "%s (CWE %u, access %d, freed %d, at access %d), not %s (CWE %u, access %d, freed %d, at access %d)",
        rf_bug_name(f.bug), f.cwe, f.access, f.freed, f.at_access, rf_bug_name(expected.bug), cwe, expected.access,
        expected.freed, expected.at_access);
  }
  if (f.sequence != 1 || f.allocator == nullptr || strcmp(f.mode, mode()) != 0) {
    return verdict.fail("finding", "%s with sequence %zu, mode %s", rf_bug_name(f.bug), static_cast<size_t>(f.sequence),
                        f.mode);
  }
  return true;
}

bool GuardError::compare_place(Verdict &verdict, const Expected &expected) const {
  const rf_finding &f = log_.findings().front();
  uintptr_t const block = expected.block;
  // The damaged byte of a header cannot always be told.
  bool const header_alone = expected.bug == RF_BUG_METADATA && f.address == block - RF_GUARD_PREFIX;
  uintptr_t const address = header_alone ? f.address : expected.address;
  if (f.address != address || f.block != block) {
    return verdict.fail("finding", "%s at %#zx in block %#zx, not at %#zx in block %#zx", rf_bug_name(f.bug),
                        static_cast<size_t>(f.address), static_cast<size_t>(f.block), static_cast<size_t>(address),
                        static_cast<size_t>(block));
  }
  // With a damaged header, neither the size nor the place of the allocation is reliable.
  bool const header_known = expected.bug != RF_BUG_METADATA;
  if (header_known && (f.size != expected.size || f.access_size != expected.access_size)) {
    return verdict.fail("finding", "%s of %zu bytes, block of %zu, not of %zu bytes, block of %zu", rf_bug_name(f.bug),
                        f.access_size, f.size, expected.access_size, expected.size);
  }
  if (block != 0 && f.offset != static_cast<ptrdiff_t>(address - block)) {
    return verdict.fail("finding", "%s at offset %td, not %td", rf_bug_name(f.bug), f.offset,
                        static_cast<ptrdiff_t>(address - block));
  }
  bool const of_victim = victim_is_fresh_ && header_known && block == victim_block_;
  return !of_victim || f.allocated.site == &kSite ||
         verdict.fail("finding", "%s without the place of the allocation", rf_bug_name(f.bug));
}

// The bytes shown mark exactly those that were overwritten.
bool GuardError::compare_window(Verdict &verdict, const Expected &expected) const {
  const rf_finding &f = log_.findings().front();
  if (expected.access_size == 0) {
    return true;
  }
  if (expected.at_access) {
    return compare_untouched(verdict);
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

bool GuardError::compare_untouched(Verdict &verdict) const {
  const rf_finding &f = log_.findings().front();
  const unsigned char *const end = f.window_class + f.window_size;
  return std::find(f.window_class, end, RF_BYTE_BAD) == end ||
         verdict.fail("finding", "%s shows damage where nothing was written", rf_bug_name(f.bug));
}

} // namespace ringfence::fuzz
