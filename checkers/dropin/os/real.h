/* The definition behind ours: the function that a name would mean without the drop-in. */
#ifndef RINGFENCE_DROPIN_REAL_H
#define RINGFENCE_DROPIN_REAL_H

#include <dlfcn.h>
#include <stddef.h>

/* A static program has nothing behind, and should not get a dynamic linker for asking. */
#pragma weak dlsym

/* NULL where there is none. May allocate. */
static inline void *rf_real(const char *name) {
  return dlsym != NULL ? dlsym(RTLD_NEXT, name) : NULL;
}

#endif /* RINGFENCE_DROPIN_REAL_H */
