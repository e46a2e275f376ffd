// Puts a checker around the heap of the program, as RINGFENCE_OPTIONS says.
#include <ringfence/checked_handles.h>
#include <ringfence/ucgui.h>

namespace {

rf_handles *check(rf_handles *heap, void *) {
  static rf_checked_handles checked;
  return rf_checked_handles_init(&checked, heap, nullptr);
}

bool const set = (rf_ucgui_wrap_set(check, nullptr), true);

} // namespace
