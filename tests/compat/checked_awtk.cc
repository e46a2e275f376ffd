// Puts a checker around each heap of the program, as RINGFENCE_OPTIONS says.
#include <ringfence/awtk.h>

#include "checked_heaps.h"

namespace {

rf_allocator *check(rf_allocator *heap, void *) {
  return CheckedAsOptionsSay(heap);
}

bool const set = (rf_awtk_wrap_set(check, nullptr), true);

} // namespace
