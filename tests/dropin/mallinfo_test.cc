// Figures that the heap tells of itself (checkers/dropin/malloc/mallinfo_glibc.c): the sums, of figures that are this
// test's, and the functions behind, which the dynamic linker of this test finds or does not. Each test has a process of
// its own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/cache.h"
#include "checkers/dropin/heap/walk.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/mallinfo.h"
}
#undef _Static_assert

#include "tests/dropin/alone.h"
#include "tests/dropin/calls.h"

#include <dlfcn.h>
#include <malloc.h>
#include <string>

using ringfence_test::alone;
using ringfence_test::call;
using ringfence_test::Calls;
using ringfence_test::calls_of;

namespace {

struct World {
  rf_heap_bytes heap = {1000, 300, 40};
  rf_cache_figures caches = {};
  rf_page_figures paged = {};
  bool finds = false;
};

World world;

struct mallinfo2 their_mallinfo2() {
  struct mallinfo2 m = {};
  m.arena = 77;
  return m;
}

} // namespace

extern "C" {
char *__wrap_dlerror(void);
void *__wrap_dlsym(void *handle, const char *name);
rf_heap_bytes __wrap_rf_heap_bytes_now(void);
void __wrap_rf_cache_figures_of_all(rf_cache_figures *out);

rf_forward_state rf_forward;

char *__wrap_dlerror() {
  call("dlerror");
  return nullptr;
}

void *__wrap_dlsym(void *handle, const char *name) {
  EXPECT_EQ(handle, RTLD_NEXT);
  call(name);
  bool const is_theirs = world.finds && std::string(name) == "mallinfo2";
  return is_theirs ? reinterpret_cast<void *>(&their_mallinfo2) : nullptr;
}

rf_heap_bytes __wrap_rf_heap_bytes_now() {
  return world.heap;
}

void __wrap_rf_cache_figures_of_all(rf_cache_figures *out) {
  *out = world.caches;
}

void rf_guarded_blocks_figures(rf_page_figures *out) {
  *out = world.paged;
}

} // extern "C"

namespace {

void give_figures() {
  world.caches.counters.used = 500;
  world.caches.waiting = 60;
  world.paged.counters.used = 90000;
  world.paged.open_bytes = 98304;
}

TEST(Mallinfo, CountsBlocksOnPagesToo) {
  give_figures();
  struct mallinfo2 const m = mallinfo2();
  EXPECT_EQ(m.uordblks, 90500U);
  EXPECT_EQ(m.hblkhd, 300U);
  EXPECT_EQ(m.arena, 700U + 98304U);
  EXPECT_LE(m.uordblks, m.arena + m.hblkhd);
  EXPECT_EQ(m.fordblks, 1000U + 98304U - 90500U - 100U);
}

TEST(Mallinfo, NothingIsFreeWhereMoreIsInUseThanIsKnownOf) {
  give_figures();
  world.paged.open_bytes = 0;
  EXPECT_EQ(mallinfo2().fordblks, 0U);
}

// In the order of their definition; the errors of those that were not found are forgotten at last.
const Calls kLookedFor = {"mallinfo2", "mallinfo", "mallopt", "malloc_trim", "malloc_stats", "malloc_info", "dlerror"};

TEST(Mallinfo, LooksForTheFunctionsBehindAndForgetsTheErrors) {
  alone([] {
    rf_forward.now = RF_FORWARD_ON;
    EXPECT_EQ(calls_of(rf_mallinfo_begin), kLookedFor);
    EXPECT_EQ(mallinfo2().arena, 700U) << "none is there: it answers itself";
    world.finds = true;
    EXPECT_EQ(calls_of(rf_mallinfo_begin), kLookedFor);
    EXPECT_EQ(mallinfo2().arena, 77U);
  });
}

TEST(Mallinfo, LooksForNothingWhereNoRequestIsHandedOn) {
  alone([] {
    world.finds = true;
    EXPECT_EQ(calls_of(rf_mallinfo_begin), Calls());
    EXPECT_EQ(mallinfo2().arena, 700U);
  });
}

} // namespace
