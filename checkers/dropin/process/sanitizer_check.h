/* Stepping aside for a program that is built with a sanitizer: it has a malloc of its own, which must be the one. */
#ifndef RINGFENCE_DROPIN_SANITIZER_CHECK_H
#define RINGFENCE_DROPIN_SANITIZER_CHECK_H

/* The sanitizer that the process carries ("AddressSanitizer"), NULL: none. Says so on standard error. */
const char *rf_sanitizer_check(void);

#endif /* RINGFENCE_DROPIN_SANITIZER_CHECK_H */
