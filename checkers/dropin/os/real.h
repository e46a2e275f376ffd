/* The definition behind ours: what a name would mean without the drop-in. */
#ifndef RINGFENCE_DROPIN_REAL_H
#define RINGFENCE_DROPIN_REAL_H

#include <dlfcn.h>
#include <stddef.h>

/* A static program has nothing behind, and should not get a dynamic linker for asking. */
#if !RF_DROPIN_LIBRARY
#pragma weak dlsym
#endif

/* NULL where there is none. May allocate. */
static inline void *rf_next(const char *name) {
#if !RF_DROPIN_LIBRARY
  if (dlsym == NULL) {
    return NULL;
  }
#endif
  return dlsym(RTLD_NEXT, name);
}

#endif /* RINGFENCE_DROPIN_REAL_H */
