// GuardError in mode asan: what guard finds is found as it finds it, and accesses, reads among them, at the instruction.
#ifndef RINGFENCE_FUZZ_ASAN_ERROR_H
#define RINGFENCE_FUZZ_ASAN_ERROR_H

#include "guard_error.h"

#include <cstddef>

namespace ringfence::fuzz {

class AsanError : public GuardError {
public:
  AsanError(rf_guard &guard, FindingLog &log, Reader &reader, const rf_fuzz_target &target);

private:
  const char *mode() const override { return "asan"; }
  const Kind &kind(size_t choice) const override;
  void judge(Verdict &verdict) override;

  Deed touch_behind();
  Deed touch_before();
  Deed touch_freed();
  Deed touch_behind_freed();
  Deed touch_before_freed();

  Deed behind(bool freed);
  Deed before(bool freed);
  // Touches `byte`: in a whole of a machine's width or, by the C library, from `more_before` bytes before it on and as far as
  // `more_behind` bytes behind it.
  Deed touch(unsigned char *byte, size_t more_before, size_t more_behind, bool freed);

  size_t expected_stops_ = 0;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_ASAN_ERROR_H
