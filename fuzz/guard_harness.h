// Shared by the harnesses of guard and of mode asan: a guard over several heaps, with options that the input
// chooses.
#ifndef RINGFENCE_FUZZ_GUARD_HARNESS_H
#define RINGFENCE_FUZZ_GUARD_HARNESS_H

#include "finding_log.h"

#include <ringfence/fuzz/reader.h>
#include <ringfence/fuzz/target.h>
#include <ringfence/guard.h>
#include <ringfence/simple.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>

namespace ringfence::fuzz {

class GuardHarness {
public:
  // Makes the guard: rf_guard_init or rf_asan_init.
  using Init = rf_status (*)(rf_guard *guard, rf_allocator *inner, const rf_guard_options *options);
  explicit GuardHarness(Init init) : init_(init) {}

  // Takes the heap and the options from the input.
  void set_up(Reader &reader);
  // The promises of the guard; after set_up. Valid as long as the harness.
  rf_fuzz_target target();

  rf_guard guard;
  rf_guard_options options;
  FindingLog log;

private:
  // The inner heap. kBare is simple with only the required operations and an arena's `owns`.
  enum Inner { kSimple, kTlsf, kStd, kBare, kInners };

  rf_allocator *make(void *arena, size_t size);
  rf_allocator *make_inner(void *arena, size_t size);
  rf_allocator *make_simple(void *arena, size_t size, bool bare);

  Init init_;
  Inner inner_ = kSimple;
  rf_simple simple_;
  rf_tlsf tlsf_;
  rf_std std_;
  rf_stack_depot depot_;
  alignas(8) unsigned char stacks_[4096]; // few, so that it fills up
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_GUARD_HARNESS_H
