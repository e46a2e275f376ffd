/* Programs built with a sanitizer, whose own malloc must serve them. */
#ifndef RINGFENCE_DROPIN_SANITIZER_CHECK_H
#define RINGFENCE_DROPIN_SANITIZER_CHECK_H

#include <stdbool.h>

/* The sanitizer that the process was built with ("AddressSanitizer"), NULL: none. */
const char *rf_sanitizer_name(void);

/* The same; where there is one, a line on standard error says so. Once, at the process's start. */
const char *rf_sanitizer_check(void);

/* True where the process must not begin at all: it carries a sanitizer's runtime that may not be called yet. Starts
 * the program anew without the library where that is possible, and says so. Before anything else. */
bool rf_sanitizer_leave(void);

#endif /* RINGFENCE_DROPIN_SANITIZER_CHECK_H */
