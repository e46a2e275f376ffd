/* Interception of calls on files. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_FILES_H
#define RINGFENCE_DROPIN_INTERCEPT_FILES_H

/* Finds the C library's functions. */
void rf_intercept_files_init(void);

/* The same of those that read and write. _begin comes first, and also where the drop-in steps aside: from then on the
 * dynamic linker may be asked. */
void rf_intercept_transfer_begin(void);
void rf_intercept_transfer_init(void);

/* The same of those that close descriptors and set limits. */
void rf_intercept_limits_init(void);

#endif /* RINGFENCE_DROPIN_INTERCEPT_FILES_H */
