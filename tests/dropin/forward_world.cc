#include "tests/dropin/forward_world.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/caller.h"
}
#undef _Static_assert

#include <cerrno>

namespace ringfence_test {

World world;
alignas(16) char behind[16];
alignas(16) char paged[16];

namespace {

void *a_malloc(size_t /*size*/) {
  world.mallocs++;
  return behind;
}

void *a_calloc(size_t /*count*/, size_t /*size*/) {
  return behind;
}

void *a_realloc(void * /*ptr*/, size_t /*size*/) {
  return behind;
}

void *a_memalign(size_t /*align*/, size_t size) {
  world.aligned_size = size;
  return behind;
}

} // namespace
} // namespace ringfence_test

using ringfence_test::behind;
using ringfence_test::paged;
using ringfence_test::world;

extern "C" {

rf_process_state rf_process;
rf_steering rf_steering_now;
rf_runtime rf_runtimes[RF_RUNTIMES];

void rf_signals_open_faults() {
  world.opened++;
}

const rf_origin *rf_caller_unwind(const rf_origin *origin, rf_caller_trace * /*called*/) {
  return origin;
}

bool rf_guarded_blocks_draw(int32_t *left) {
  world.draws++;
  *left = world.next;
  return world.due;
}

bool rf_guarded_blocks_want_site(const rf_origin * /*caller*/) {
  return world.wanted;
}

void *rf_guarded_blocks_alloc(const rf_page_request * /*request*/, const rf_origin * /*origin*/) {
  world.sampled++;
  errno = EAGAIN; // of a call on the way
  return paged;
}

bool rf_guarded_blocks_own(const void * /*ptr*/) {
  return world.owned;
}

void *rf_malloc_reject(rf_reject why, size_t size, size_t detail, int error, const rf_origin * /*origin*/) {
  world.rejects.emplace_back(why, size, detail, error);
  errno = error;
  return nullptr;
}

bool rf_next_malloc_find(rf_malloc_functions *next) {
  next->malloc = ringfence_test::a_malloc;
  next->calloc = ringfence_test::a_calloc;
  next->realloc = ringfence_test::a_realloc;
  next->memalign = ringfence_test::a_memalign;
  return true;
}

void rf_next_malloc_find_libc(const rf_malloc_functions *next, rf_malloc_functions *libc) {
  *libc = *next;
}

// The linker puts these in front of the port's and the C library's.
uint64_t __wrap_rf_port_now_ns(void);
void *__wrap_sbrk(intptr_t by);

uint64_t __wrap_rf_port_now_ns() {
  return world.now;
}

void *__wrap_sbrk(intptr_t by) {
  EXPECT_EQ(by, 0);
  return reinterpret_cast<void *>(world.end); // NOLINT(performance-no-int-to-ptr)
}
}

namespace ringfence_test {

void begin() {
  rf_options options = {};
  options.mode = RF_MODE_SAMPLE;
  options.heap = RF_HEAP_NEXT;
  rf_process.options.sample_rate = RF_SAMPLE_RATE_DEFAULT;
  rf_forward_begin(&options);
  rf_forward_begin_sampling();
  EXPECT_EQ(rf_forward.now, RF_FORWARD_ON);
}

} // namespace ringfence_test
