/* A harness whose traces have made-up addresses spends half of its time on opening the memory map for them, in which
 * they are not. With this library the linker puts what systems have that know no modules in its place. */
#include "checkers/os/modules.h"

void __wrap_rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count);

void __wrap_rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count) {
  (void)traces;
  (void)count;
  modules->count = 0;
  modules->used = 0;
}
