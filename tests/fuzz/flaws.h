// Ways in which an allocator can be wrong, each as a change to a ToyHeap that is correct otherwise.
#ifndef RINGFENCE_TESTS_FUZZ_FLAWS_H
#define RINGFENCE_TESTS_FUZZ_FLAWS_H

#include "tests/fuzz/toy_heap.h"

#include <ringfence/fuzz/target.h>

#include <ostream>
#include <vector>

namespace ringfence::fuzz {

struct Flaw {
  const char *name;
  const char *rules; // one of these is what the shadow model must report first
  void (*plant)(ToyHeap &toy, rf_fuzz_target &target);
};

// The name of a parameter in the output of GoogleTest.
inline void PrintTo(const Flaw &flaw, std::ostream *out) {
  *out << flaw.name;
}

std::vector<Flaw> all_flaws();

} // namespace ringfence::fuzz

#endif // RINGFENCE_TESTS_FUZZ_FLAWS_H
