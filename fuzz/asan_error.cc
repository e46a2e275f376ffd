#include "asan_error.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <iterator>

extern "C" {
void __sanitizer_set_report_fd(void *fd);
void __asan_on_error();
}

namespace ringfence::fuzz {
namespace {

size_t stops; // how often AddressSanitizer stopped the process

// Silences AddressSanitizer while it lives: its reports are wanted here.
class Unread {
public:
  Unread() {
    static int const nowhere = open("/dev/null", O_WRONLY);
    __sanitizer_set_report_fd(as_handle(nowhere));
  }
  ~Unread() { __sanitizer_set_report_fd(as_handle(2)); }
  Unread(const Unread &) = delete;
  Unread &operator=(const Unread &) = delete;

private:
  static void *as_handle(int fd) { return reinterpret_cast<void *>(static_cast<intptr_t>(fd)); }
};

// ---- Accesses: at the wrong place, but with the bytes that are there already, so that nothing is damaged ----

template <typename Word> __attribute__((noinline, no_sanitize("address"))) Word see(const unsigned char *at) {
  return *reinterpret_cast<const volatile Word *>(at);
}

template <typename Word> __attribute__((noinline)) void touch_word(unsigned char *at, bool write) {
  auto *const word = reinterpret_cast<volatile Word *>(at);
  if (write) {
    Word const there = see<Word>(at);
    *word = there;
  } else {
    (void)*word;
  }
}

using TouchWord = void (*)(unsigned char *at, bool write);
const TouchWord kTouchWord[] = {touch_word<uint8_t>, touch_word<uint16_t>, touch_word<uint32_t>, touch_word<uint64_t>};

// Functions of the C library whose calls AddressSanitizer intercepts.
__attribute__((noinline)) void touch_bytes(unsigned char *at, size_t count, bool write) {
  unsigned char copy[256];
  for (size_t i = 0; i < count; i++) {
    copy[i] = see<unsigned char>(at + i);
  }
  if (write) {
    memcpy(at, copy, count);
  } else {
    memcpy(copy, at, count);
    asm volatile("" : : "r"(copy) : "memory"); // keeps the copy
  }
}

} // namespace

AsanError::AsanError(rf_guard &guard, FindingLog &log, Reader &reader, const rf_fuzz_target &target)
    : GuardError(guard, log, reader, target) {
  stops = 0;
}

const GuardError::Kind &AsanError::kind(size_t choice) const {
  static const Kind kTouches[] = {
      {"touch behind a block", static_cast<Act>(&AsanError::touch_behind)},
      {"touch before a block", static_cast<Act>(&AsanError::touch_before)},
      {"touch of a freed block", static_cast<Act>(&AsanError::touch_freed)},
      {"touch behind a freed block", static_cast<Act>(&AsanError::touch_behind_freed)},
      {"touch before a freed block", static_cast<Act>(&AsanError::touch_before_freed)},
  };
  return choice % 2 == 0 ? GuardError::kind(choice / 2) : kTouches[choice / 2 % std::size(kTouches)];
}

GuardError::Deed AsanError::touch(unsigned char *byte, size_t more_before, size_t more_behind, bool freed) {
  static constexpr size_t kWidths = std::size(kTouchWord);
  bool const write = verb_ % 2 != 0;
  size_t const choice = verb_ / 2 % (kWidths + 2); // the C library for two choices more
  unsigned char *at = byte - more_before;
  size_t count = more_before + 1 + more_behind;
  expected_stops_ = 1;
  {
    Unread const unread;
    if (choice < kWidths) {
      count = size_t{1} << choice;
      at = reinterpret_cast<unsigned char *>(number(byte) & ~(count - 1));
      kTouchWord[choice](at, write);
    } else {
      touch_bytes(at, count, write);
    }
  }
  // A live block's own bytes may be accessed, those behind them may not.
  unsigned char *const end = victim_.ptr + victim_.size;
  unsigned char *const first = !freed && at >= victim_.ptr ? std::max(at, end) : at;
  rf_bug const bug = first < victim_.ptr ? RF_BUG_BUFFER_UNDERFLOW
                     : first < end       ? RF_BUG_USE_AFTER_FREE
                                         : RF_BUG_BUFFER_OVERFLOW;
  rf_access const access = write ? RF_ACCESS_WRITE : RF_ACCESS_READ;
  return {true,
          Notice::kNow,
          freed ? Victim::kFreed : Victim::kLive,
          {bug, access, number(first), number(victim_.ptr), victim_.size, count, freed, 0, true},
          false};
}

GuardError::Deed AsanError::behind(bool freed) {
  size_t const distance = where_ % RF_GUARD_BACK_MIN;
  size_t const more_before = std::min<size_t>(victim_.size + distance, length_ % 64);
  return touch(victim_.ptr + victim_.size + distance, more_before, RF_GUARD_BACK_MIN - 1 - distance, freed);
}

// The farthest that is nearest to this block: into the header, but not to its beginning.
GuardError::Deed AsanError::before(bool freed) {
  size_t const distance = 1 + where_ % ((RF_GUARD_PREFIX + RF_GUARD_BACK_MIN) / 2 - 8);
  return touch(victim_.ptr - distance, 0, length_ % (distance + victim_.size) % 128, freed);
}

GuardError::Deed AsanError::touch_behind() {
  return behind(false);
}

GuardError::Deed AsanError::touch_before() {
  return before(false);
}

GuardError::Deed AsanError::touch_freed() {
  if (!quarantine_victim() || victim_.size == 0) {
    return {};
  }
  size_t const offset = where_ % victim_.size;
  return touch(victim_.ptr + offset, 0, length_ % (victim_.size - offset) % 128, true);
}

GuardError::Deed AsanError::touch_behind_freed() {
  return quarantine_victim() ? behind(true) : Deed{};
}

GuardError::Deed AsanError::touch_before_freed() {
  return quarantine_victim() ? before(true) : Deed{};
}

void AsanError::judge(Verdict &verdict) {
  if (verdict.ok() && stops != expected_stops_) {
    verdict.fail("bounds", "AddressSanitizer stopped the program %zu times, not %zu", stops, expected_stops_);
  }
}

} // namespace ringfence::fuzz

void __asan_on_error() {
  ringfence::fuzz::stops++;
}
