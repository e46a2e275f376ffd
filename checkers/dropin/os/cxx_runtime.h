/* Modules that bring their own operator new and delete, hidden from all others: linked with a static C++ runtime. To
 * all others their new is malloc and their delete is free. Such a module may exchange objects with one that uses ours
 * without a mismatch. */
#ifndef RINGFENCE_DROPIN_CXX_RUNTIME_H
#define RINGFENCE_DROPIN_CXX_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

/* True where the code at `address` is in such a module. Reads the module's constants the first time it is asked; takes
 * no lock of the loader's, so that it may be called inside the heap. */
bool rf_cxx_runtime_is_private(uintptr_t address);

#endif /* RINGFENCE_DROPIN_CXX_RUNTIME_H */
