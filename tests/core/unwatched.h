// For tests that read or damage what belongs to the allocator, which the seam (lib/include/ringfence/seam.h) would stop. Everything that is
// made while one of these lives can be looked at.
#ifndef RINGFENCE_TESTS_CORE_UNWATCHED_H
#define RINGFENCE_TESTS_CORE_UNWATCHED_H

#include <ringfence/seam.h>

class Unwatched {
public:
  Unwatched() { rf_seam_pause(); }
  // And what is made already, in `size` bytes at `start`.
  Unwatched(const void *start, size_t size) : Unwatched() { rf_seam_arena_end(start, size); }
  ~Unwatched() { rf_seam_resume(); }
  Unwatched(const Unwatched &) = delete;
  Unwatched &operator=(const Unwatched &) = delete;
};

#endif // RINGFENCE_TESTS_CORE_UNWATCHED_H
