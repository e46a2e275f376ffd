// Functions as virtual threads (fuzz/threads.h).
#ifndef RINGFENCE_TESTS_FUZZ_THREADS_RUN_H
#define RINGFENCE_TESTS_FUZZ_THREADS_RUN_H

#include "fuzz/threads.h"

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace ringfence::fuzz {

using Body = std::function<void()>;

struct RunOf {
  std::vector<Body> bodies;
  std::vector<uint8_t> schedule; // at its end threads run one after the other
  std::function<bool()> stuck;
};

// `prepare` comes between the making of the threads and their run.
inline void run_as_threads(RunOf run, const std::function<void(Threads &)> &prepare = nullptr) {
  Threads threads({run.schedule.data(), run.schedule.size()});
  if (prepare) {
    prepare(threads);
  }
  threads.run(
      static_cast<unsigned>(run.bodies.size()),
      [](void *context, unsigned thread) { static_cast<RunOf *>(context)->bodies[thread](); },
      [](void *context) {
        auto *const self = static_cast<RunOf *>(context);
        return self->stuck && self->stuck();
      },
      &run);
}

inline void run_as_threads(std::vector<Body> bodies, std::vector<uint8_t> schedule = {}) {
  run_as_threads({std::move(bodies), std::move(schedule), nullptr});
}

} // namespace ringfence::fuzz

#endif // RINGFENCE_TESTS_FUZZ_THREADS_RUN_H
