/* Interception of calls on files. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_FILES_H
#define RINGFENCE_DROPIN_INTERCEPT_FILES_H

/* Finds the C library's functions. */
void rf_intercept_files_init(void);

#endif /* RINGFENCE_DROPIN_INTERCEPT_FILES_H */
