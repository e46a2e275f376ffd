// The errors of guard_error.h.
#include "guard_error.h"

#include <ringfence/simple.h>

#include <algorithm>
#include <iterator>

namespace ringfence::fuzz {
namespace {

constexpr size_t kHeader = RF_GUARD_PREFIX - RF_GUARD_FRONT;

// Not instrumented, like a library that was compiled without AddressSanitizer: its writes are found afterwards in each
// mode.
#define RF_UNWATCHED __attribute__((noinline, no_sanitize("address")))

RF_UNWATCHED void fill(volatile unsigned char *at, unsigned char byte, size_t count) {
  for (size_t i = 0; i < count; i++) {
    at[i] = byte;
  }
}

RF_UNWATCHED void copy(volatile unsigned char *to, const volatile unsigned char *from, size_t count) {
  for (size_t i = 0; i < count; i++) {
    to[i] = from[i];
  }
}

// Memory that belongs to no allocator.
struct Elsewhere {
  alignas(RF_ALIGN_DEFAULT) unsigned char before[RF_GUARD_PREFIX];
  alignas(RF_ALIGN_DEFAULT) unsigned char object[64];
};

} // namespace

const GuardError::Kind GuardError::kKinds[] = {
    {"overflow", &GuardError::overflow},
    {"underflow", &GuardError::underflow},
    {"write to the header", &GuardError::header},
    {"write after free", &GuardError::write_after_free},
    {"write around a freed block", &GuardError::write_around_freed},
    {"double free", &GuardError::double_free},
    {"interior free", &GuardError::interior_free},
    {"interior free behind a copied header", &GuardError::forged_interior_free},
    {"foreign free", &GuardError::foreign_free},
    {"foreign free behind a copied header", &GuardError::forged_foreign_free},
    {"free through another guard", &GuardError::other_guard},
    {"free of the inner allocator's block", &GuardError::behind_the_back},
    {"leak", &GuardError::leak},
    {"leak, on demand", &GuardError::leak_on_demand},
    {"size too big", &GuardError::too_big},
    {"calloc overflow", &GuardError::calloc_overflow},
    {"bad alignment", &GuardError::bad_alignment},
    {"free by another family", &GuardError::other_family},
    {"free with another size", &GuardError::other_size},
    {"use after deinit", &GuardError::use_after_deinit},
    {"overflow into the next block", &GuardError::long_overflow},
};

const GuardError::Kind &GuardError::kind(size_t choice) const {
  return kKinds[choice % std::size(kKinds)];
}

// ---- Writing out of bounds ----

// Changes each byte to another value.
RF_UNWATCHED void GuardError::scribble(unsigned char *at, size_t count) const {
  for (size_t i = 0; i < count; i++) {
    volatile unsigned char &byte = at[i];
    byte = byte ^ mask_;
  }
}

GuardError::Deed GuardError::damage(rf_bug bug, unsigned char *at, size_t count, bool freed) const {
  scribble(at, count);
  return {true,
          Notice::kLater,
          freed ? Victim::kFreed : Victim::kLive,
          {bug, RF_ACCESS_WRITE, number(at), number(victim_.ptr), victim_.size, count, freed, 0, false},
          false};
}

GuardError::Deed GuardError::overflow() {
  size_t const distance = where_ % RF_GUARD_BACK_MIN;
  size_t const count = 1 + length_ % (RF_GUARD_BACK_MIN - distance);
  return damage(RF_BUG_BUFFER_OVERFLOW, victim_.ptr + victim_.size + distance, count, false);
}

// From the first guard byte on, over the blocks behind.
GuardError::Deed GuardError::long_overflow() {
  unsigned char *const end = victim_.ptr + victim_.size;
  size_t count = 0;
  while (count < RF_GUARD_BACK_MIN + length_ && rf_owns(guard_.inner, end + count)) {
    count++;
  }
  if (!target_.survives_damage || count == 0) {
    return {};
  }
  if (guard_.inner->ops->walk == nullptr) {
    // The blocks behind may be both neighbours of the victim in the ring: then only a walk leads to it.
    count = std::min<size_t>(count, RF_GUARD_BACK_MIN);
  }
  // Writes one repeated byte, as a text or a fill has, other than the pattern of the guard. The same change to every
  // byte could keep the magic of a header valid: the checksum is linear.
  fill(end, mask_ != RF_PATTERN_REDZONE ? mask_ : static_cast<unsigned char>(~mask_), count);
  Deed deed = damage(RF_BUG_BUFFER_OVERFLOW, end, 0, false);
  deed.with_others = true;
  return deed;
}

GuardError::Deed GuardError::underflow() {
  size_t const distance = 1 + where_ % RF_GUARD_FRONT;
  size_t const count = 1 + length_ % distance;
  return damage(RF_BUG_BUFFER_UNDERFLOW, victim_.ptr - distance, count, false);
}

// Abandons the block, which over the C library would be a leak.
GuardError::Deed GuardError::header() {
  if (!target_.in_arena) {
    return {};
  }
  unsigned char *const at = victim_.ptr - RF_GUARD_PREFIX + where_ % kHeader;
  scribble(at, 1);
  return {true,
          Notice::kLater,
          Victim::kGivenUp,
          {RF_BUG_METADATA, RF_ACCESS_WRITE, number(at), number(victim_.ptr), 0, 0, false, 0, false},
          false};
}

// Frees the victim; false where it did not stay in quarantine.
bool GuardError::quarantine_victim() {
  rf_free(allocator_, victim_.ptr);
  return std::any_of(std::begin(guard_.queues), std::end(guard_.queues), [this](const rf_guard_queue &q) {
    return q.newest != nullptr && number(q.newest) + RF_GUARD_PREFIX == number(victim_.ptr);
  });
}

GuardError::Deed GuardError::write_after_free() {
  size_t const filled = std::min(victim_.size, guard_.options.fill_free);
  if (!quarantine_victim() || filled == 0) {
    return {};
  }
  size_t const offset = where_ % filled;
  return damage(RF_BUG_USE_AFTER_FREE, victim_.ptr + offset, 1 + length_ % (filled - offset), true);
}

GuardError::Deed GuardError::write_around_freed() {
  if (!quarantine_victim()) {
    return {};
  }
  Deed deed = verb_ % 2 == 0 ? overflow() : underflow();
  deed.victim = Victim::kFreed;
  deed.expected.freed = true;
  return deed;
}

// ---- Bad pointers ----

GuardError::Deed GuardError::misuse(rf_bug bug, rf_access access, const void *ptr) const {
  bool const in_victim = ptr != nullptr;
  return {
      true,
      Notice::kNow,
      Victim::kLive,
      {bug, access, number(ptr), in_victim ? number(victim_.ptr) : 0, in_victim ? victim_.size : 0, 0, false, 0, false},
      false};
}

// Hands the pointer to free, realloc or resize.
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
  Deed deed = misuse(RF_BUG_DOUBLE_FREE, RF_ACCESS_FREE, victim_.ptr);
  deed.victim = Victim::kFreed;
  deed.expected.freed = true;
  return deed;
}

GuardError::Deed GuardError::interior_free() {
  if (victim_.size < 2) {
    return {};
  }
  unsigned char *const ptr = victim_.ptr + 1 + where_ % (victim_.size - 1);
  hand_in(ptr);
  Deed deed = misuse(RF_BUG_BAD_FREE, RF_ACCESS_FREE, ptr);
  deed.expected.cwe = 761;
  return deed;
}

// A copy of the victim's own header precedes the pointer: it must not be valid there.
GuardError::Deed GuardError::forged_interior_free() {
  if (victim_.size <= RF_GUARD_PREFIX + RF_ALIGN_DEFAULT) {
    return {};
  }
  size_t const places = (victim_.size - 1 - RF_GUARD_PREFIX) / RF_ALIGN_DEFAULT;
  unsigned char *const ptr = victim_.ptr + RF_GUARD_PREFIX + where_ % places * RF_ALIGN_DEFAULT;
  copy(ptr - RF_GUARD_PREFIX, victim_.ptr - RF_GUARD_PREFIX, RF_GUARD_PREFIX);
  hand_in(ptr);
  Deed deed = misuse(RF_BUG_BAD_FREE, RF_ACCESS_FREE, ptr);
  deed.expected.cwe = 761;
  return deed;
}

GuardError::Deed GuardError::foreign_free() {
  static Elsewhere global;
  Elsewhere local;
  unsigned char *const ptr = (trigger_ % 2 == 0 ? global : local).object + where_ % sizeof local.object;
  hand_in(ptr);
  Deed deed = misuse(RF_BUG_BAD_FREE, RF_ACCESS_FREE, nullptr);
  deed.expected.address = number(ptr);
  return deed;
}

GuardError::Deed GuardError::forged_foreign_free() {
  static Elsewhere global;
  copy(global.before, victim_.ptr - RF_GUARD_PREFIX, RF_GUARD_PREFIX);
  hand_in(global.object);
  Deed deed = misuse(RF_BUG_BAD_FREE, RF_ACCESS_FREE, nullptr);
  deed.expected.address = number(global.object);
  return deed;
}

GuardError::Deed GuardError::other_guard() {
  alignas(RF_ALIGN_DEFAULT) static unsigned char arena[4096];
  static rf_simple other_heap;
  static rf_guard other;
  rf_simple_init(&other_heap, arena, sizeof arena);
  rf_guard_init(&other, &other_heap.base, &guard_.options);
  size_t const size = where_ % 1024;
  void *const ptr = rf_alloc(&other.base, size);
  hand_in(ptr);
  rf_free(&other.base, ptr);
  rf_deinit(&other.base);
  Deed deed = misuse(RF_BUG_DEALLOC_MISMATCH, RF_ACCESS_FREE, ptr);
  deed.expected.block = number(ptr);
  deed.expected.size = size;
  return deed;
}

// A heap without `owns` or without `usable_size` cannot tell.
GuardError::Deed GuardError::behind_the_back() {
  const rf_allocator_ops &ops = *guard_.inner->ops;
  void *const ptr =
      ops.owns != nullptr && ops.usable_size != nullptr ? rf_alloc(guard_.inner, 1 + where_ % 256) : nullptr;
  if (ptr == nullptr) {
    return {};
  }
  hand_in(ptr);
  rf_free(guard_.inner, ptr);
  Deed deed = misuse(RF_BUG_DEALLOC_MISMATCH, RF_ACCESS_FREE, nullptr);
  deed.expected.address = number(ptr);
  return deed;
}

GuardError::Deed GuardError::other_family() {
  rf_guard_free_from(&guard_, victim_.ptr, verb_ % 2 == 0 ? RF_FAMILY_NEW : RF_FAMILY_NEW_ARRAY, SIZE_MAX, nullptr);
  Deed deed = misuse(RF_BUG_DEALLOC_MISMATCH, RF_ACCESS_FREE, victim_.ptr);
  deed.victim = Victim::kFreed;
  return deed;
}

GuardError::Deed GuardError::other_size() {
  size_t const size = where_ != victim_.size ? where_ : where_ + 1;
  rf_guard_free_from(&guard_, victim_.ptr, RF_FAMILY_MALLOC, size, nullptr);
  Deed deed = misuse(RF_BUG_SIZE_MISMATCH, RF_ACCESS_FREE, victim_.ptr);
  deed.victim = Victim::kFreed;
  return deed;
}

// ---- Leaks ----

// Frees all other blocks.
GuardError::Deed GuardError::leak() {
  Deed deed = misuse(RF_BUG_LEAK, RF_ACCESS_UNKNOWN, victim_.ptr);
  deed.notice = Notice::kAtEnd;
  deed.victim = Victim::kGivenUp;
  return deed;
}

GuardError::Deed GuardError::leak_on_demand() {
  bool const reported = rf_guard_report_leak(&guard_, victim_.ptr, "as told by the fuzzer");
  return reported ? misuse(RF_BUG_LEAK, RF_ACCESS_UNKNOWN, victim_.ptr) : Deed{};
}

// ---- Malformed requests ----

GuardError::Deed GuardError::too_big() {
  size_t const size = SIZE_MAX - where_;
  (void)rf_alloc(allocator_, size);
  Deed deed = misuse(RF_BUG_SIZE_TOO_BIG, RF_ACCESS_UNKNOWN, nullptr);
  deed.expected.size = size;
  return deed;
}

GuardError::Deed GuardError::calloc_overflow() {
  size_t const size = SIZE_MAX / 2 + 1 + where_;
  (void)rf_calloc(allocator_, 2 + length_, size);
  Deed deed = misuse(RF_BUG_CALLOC_OVERFLOW, RF_ACCESS_UNKNOWN, nullptr);
  deed.expected.size = size;
  return deed;
}

GuardError::Deed GuardError::bad_alignment() {
  (void)rf_aligned_alloc(allocator_, 3 + 2 * where_, length_);
  Deed deed = misuse(RF_BUG_BAD_ALIGNMENT, RF_ACCESS_UNKNOWN, nullptr);
  deed.expected.size = length_;
  return deed;
}

// Committed after the program has ended.
GuardError::Deed GuardError::use_after_deinit() {
  Deed deed = misuse(RF_BUG_ENDED, RF_ACCESS_UNKNOWN, nullptr);
  deed.notice = Notice::kAfter;
  deed.expected.address = verb_ % 3 == 0 ? 0 : number(victim_.ptr);
  return deed;
}

} // namespace ringfence::fuzz
