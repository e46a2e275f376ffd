// Tests of the drop-in's heap each in a process of its own, since what it has stays for ever.
#ifndef RINGFENCE_TESTS_DROPIN_HEAP_ALONE_H
#define RINGFENCE_TESTS_DROPIN_HEAP_ALONE_H

#include "tests/dropin/alone.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/cache.h"
}
#undef _Static_assert

#include <functional>
#include <thread>

namespace ringfence_test {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kQuarantine = 64 * kMiB;

// Runs it in a child that has a checked heap.
inline void heap_alone(const std::function<void()> &test) {
  alone([&test] {
    rf_guard_options o;
    rf_guard_options_default(&o);
    o.quarantine = kQuarantine;
    rf_heap_options const options = rf_heap_options_of(&o);
    rf_heap_init(1);
    rf_heap_configure(&options);
    test();
  });
}

// Runs it to its end in another thread.
inline void in_a_thread(const std::function<void()> &work) {
  std::thread(work).join();
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_HEAP_ALONE_H
