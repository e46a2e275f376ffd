// For tests that read or damage an allocator's own data, which tracking (lib/include/ringfence/track.h) would stop: no
// memory is poisoned while one of these lives.
#ifndef RINGFENCE_TESTS_CORE_UNWATCHED_H
#define RINGFENCE_TESTS_CORE_UNWATCHED_H

#include <ringfence/track.h>

class Unwatched {
public:
  Unwatched() { rf_track_pause(); }
  // And what is made already, in `size` bytes at `start`.
  Unwatched(const void *start, size_t size) : Unwatched() { rf_track_arena_end(start, size); }
  ~Unwatched() { rf_track_resume(); }
  Unwatched(const Unwatched &) = delete;
  Unwatched &operator=(const Unwatched &) = delete;
};

#endif // RINGFENCE_TESTS_CORE_UNWATCHED_H
