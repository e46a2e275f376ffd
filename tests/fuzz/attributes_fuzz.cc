// A test of rf_fuzz_test: attributes that cc_test has come where they belong.
#include <ringfence/fuzz/target.h>
#include <ringfence/simple.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#if !defined(BY_COPTS) || !defined(BY_DEFINES) || !defined(BY_LOCAL_DEFINES)
#error "an attribute of the compiler did not come"
#endif

// Does not link without them.
extern "C" char by_linkopts[];
extern "C" int by_malloc();

namespace {

rf_simple heap;

rf_allocator *init(void *, void *arena, size_t size) {
  const char *const path = getenv("DATA");
  FILE *const file = path == nullptr ? nullptr : fopen(path, "r");
  if (file == nullptr) {
    abort();
  }
  printf("%p, %d\n", static_cast<void *>(by_linkopts), by_malloc());
  (void)fclose(file);
  return rf_simple_init(&heap, arena, size) == RF_OK ? &heap.base : nullptr;
}

} // namespace

RF_FUZZ_TARGET(rf_fuzz_target_default("simple", init))
