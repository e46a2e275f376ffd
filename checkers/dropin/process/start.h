/* The part of the process's beginning that differs between C libraries. */
#ifndef RINGFENCE_DROPIN_START_H
#define RINGFENCE_DROPIN_START_H

/* Has rf_process_end called when the process exits, after all that the program and its libraries have to do then, and
 * before stdio is flushed; finds the functions behind those that only this C library has. */
void rf_start_of_libc(void);

/* Finds the function behind the library's pthread_create. */
void rf_intercept_signal_init(void);

#endif /* RINGFENCE_DROPIN_START_H */
