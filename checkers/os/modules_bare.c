/* One image, no map of memory: addresses are named by the tools, from the image's own file. */
#include "modules.h"

void rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count) {
  (void)traces;
  (void)count;
  modules->count = 0;
  modules->used = 0;
}

static bool name(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  (void)context;
  (void)pc;
  (void)inlined;
  (void)out;
  return false;
}

rf_symbolizer rf_modules_symbolizer(rf_modules *modules, bool functions) {
  (void)functions;
  return (rf_symbolizer){name, modules};
}
