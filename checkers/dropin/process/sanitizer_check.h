/* Programs built with a sanitizer, whose own malloc must serve them. */
#ifndef RINGFENCE_DROPIN_SANITIZER_CHECK_H
#define RINGFENCE_DROPIN_SANITIZER_CHECK_H

/* The sanitizer that the process was built with ("AddressSanitizer"), NULL: none. Says so on standard error. */
const char *rf_sanitizer_check(void);

#endif /* RINGFENCE_DROPIN_SANITIZER_CHECK_H */
