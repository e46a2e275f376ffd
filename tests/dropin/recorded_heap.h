// A cache of the drop-in's heap, with a reporter that records.
#ifndef RINGFENCE_TESTS_DROPIN_RECORDED_HEAP_H
#define RINGFENCE_TESTS_DROPIN_RECORDED_HEAP_H

#include "tests/checkers/recorder.h"
#include "tests/dropin/heap_alone.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/check.h"
#include "checkers/dropin/heap/threads.h"
}
#undef _Static_assert

namespace ringfence_test {

inline rf_origin const no_origin = {};

struct Heap {
  Heap() { rf_heap_options_now.reporter = recorder.reporter(); }
  unsigned char *make(size_t size) const {
    return static_cast<unsigned char *>(rf_cache_malloc(cache, size, RF_FAMILY_MALLOC, &no_origin));
  }
  bool free(void *p) const { return rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &no_origin); }
  rf_view view(const void *p) const {
    rf_view v = {};
    EXPECT_TRUE(rf_view_at(reinterpret_cast<uintptr_t>(p), &v));
    return v;
  }

  ringfence::Recorder recorder;
  rf_cache *cache = rf_cache_take(0);
};

inline void with_heap(const std::function<void(Heap &)> &test) {
  heap_alone([&] {
    Heap heap;
    test(heap);
    EXPECT_FALSE(rf_stopped_by_me()) << "others would wait for ever";
  });
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_RECORDED_HEAP_H
