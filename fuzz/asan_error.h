// GuardError in mode asan: the errors of guard with guard's findings, and bad accesses, found at the instruction.
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
  // Accesses `byte`, together with at most `more_before` bytes before it and `more_behind` behind it: by one
  // instruction, or by a function of the C library.
  Deed touch(unsigned char *byte, size_t more_before, size_t more_behind, bool freed);

  size_t expected_stops_ = 0;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_ASAN_ERROR_H
