/* The definition behind ours: the function that a name would mean without the drop-in. */
#ifndef RINGFENCE_DROPIN_REAL_H
#define RINGFENCE_DROPIN_REAL_H

#include <dlfcn.h>
#include <stddef.h>

/* A static program has nothing behind, and should not get a dynamic linker for asking. */
#pragma weak dlsym
#pragma weak dlerror

/* NULL where there is none. May allocate. The call is by a pointer: dlsym looks behind the module that calls it, and a
 * call by the PLT is the loader's own where a library of LD_AUDIT wants to see it return. */
static inline void *rf_real(const char *name) {
  void *(*const volatile find)(void *handle, const char *symbol) = dlsym;
  return find != NULL ? find(RTLD_NEXT, name) : NULL;
}

/* The program's next dlerror does not tell of a name that was not found. */
static inline void rf_real_forget_errors(void) {
  if (dlerror != NULL) {
    (void)dlerror();
  }
}

#endif /* RINGFENCE_DROPIN_REAL_H */
