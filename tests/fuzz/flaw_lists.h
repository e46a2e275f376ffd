// The flaws of all_flaws, by subject. Each is an operation without captures, as the operations of an allocator are; it
// falls back on those of the correct heap.
#ifndef RINGFENCE_TESTS_FUZZ_FLAW_LISTS_H
#define RINGFENCE_TESTS_FUZZ_FLAW_LISTS_H

#include "tests/fuzz/flaws.h"

#include <vector>

namespace ringfence::fuzz {

using Target = rf_fuzz_target;
using Self = rf_allocator *;
using Site = const rf_site *;

inline ToyHeap &heap(Self self) {
  return ToyHeap::of(self);
}

inline void *fail(Self self) {
  heap(self).counters.failures++;
  return nullptr;
}

// True now and then, at the same calls of the same program.
inline bool sometimes(Self self) {
  return heap(self).counters.allocations % 3 == 2;
}

std::vector<Flaw> flaws_of_memory();

std::vector<Flaw> flaws_of_requests();

std::vector<Flaw> flaws_of_misuse();

std::vector<Flaw> flaws_of_figures();

std::vector<Flaw> flaws_of_life();

} // namespace ringfence::fuzz

#endif // RINGFENCE_TESTS_FUZZ_FLAW_LISTS_H
