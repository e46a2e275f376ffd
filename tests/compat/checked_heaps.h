// Checkers for as many heaps as a test makes.
#ifndef RINGFENCE_TESTS_COMPAT_CHECKED_HEAPS_H
#define RINGFENCE_TESTS_COMPAT_CHECKED_HEAPS_H

#include <ringfence/checked.h>

#include <deque>

// Each heap keeps its own record, also once it has ended.
inline rf_allocator *CheckedAsOptionsSay(rf_allocator *heap) {
  static auto *const records = new std::deque<rf_checked>;
  records->emplace_back();
  return rf_checked_init(&records->back(), heap, nullptr);
}

#endif // RINGFENCE_TESTS_COMPAT_CHECKED_HEAPS_H
