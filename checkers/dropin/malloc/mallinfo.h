/* The functions of <malloc.h> that ask the heap about itself or tune it (mallinfo_glibc.c). */
#ifndef RINGFENCE_DROPIN_MALLINFO_H
#define RINGFENCE_DROPIN_MALLINFO_H

#include <features.h> /* __GLIBC__ */

/* Finds those that these calls are handed on to, once, at the beginning: a search later would take the error from the
 * program's dlerror, and free its text between two calls that the program compares. */
#if defined(__GLIBC__)
void rf_mallinfo_begin(void);
#else
static inline void rf_mallinfo_begin(void) {}
#endif

#endif /* RINGFENCE_DROPIN_MALLINFO_H */
