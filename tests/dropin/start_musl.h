/* Declarations of musl's part of the headers, for checkers/dropin/process/start_musl.c over another C library.
 * Comes before the source. */
#ifndef RINGFENCE_TESTS_DROPIN_START_MUSL_H
#define RINGFENCE_TESTS_DROPIN_START_MUSL_H

#ifdef __cplusplus
extern "C"
#endif
    void
    rf_libc_init(void);

#endif /* RINGFENCE_TESTS_DROPIN_START_MUSL_H */
