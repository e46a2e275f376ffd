/* A harness whose traces have made-up addresses spends half of its time on opening the memory map for them, in which
 * they are not. With this library the linker puts what systems have that know no modules in its place, but where a
 * harness says by rf_fuzz_loads_modules that it asks for names of its own functions. */
#include "checkers/os/modules.h"

extern bool rf_fuzz_loads_modules __attribute__((weak));

void __wrap_rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count);
void __real_rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count);

void __wrap_rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count) {
  if (&rf_fuzz_loads_modules != NULL && rf_fuzz_loads_modules) {
    __real_rf_modules_load(modules, traces, count);
    return;
  }
  modules->count = 0;
  modules->used = 0;
}
