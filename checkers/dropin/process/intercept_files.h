/* Interception of calls on files. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_FILES_H
#define RINGFENCE_DROPIN_INTERCEPT_FILES_H

#include <stdbool.h>
#include <stdio.h>

#include "checkers/shared/origin.h"

/* Finds the C library's functions. */
void rf_intercept_files_init(void);

/* Reports `stream`, which another file is about to take the place of, as rf_stream_buffer_look does. NULL: nothing. */
void rf_intercept_reopening(FILE *stream, const rf_origin *origin);

/* `stream`, after the program has put another file in its place: it may be standard error. */
FILE *rf_intercept_reopened(FILE *stream);

/* The same of those that read and write. _begin comes first, and also where the drop-in steps aside: from then on the
 * dynamic linker may be asked. */
void rf_intercept_transfer_begin(void);
void rf_intercept_transfer_init(void);

/* The same of those that glibc alone has. */
void rf_intercept_glibc_init(void);

/* The same of those that tell the system of memory by its address. */
void rf_intercept_calls_init(void);

/* The same of those that use a stream. */
void rf_intercept_closed_init(void);

/* The same for calls with a folder's stream, and of those for wide characters; the former calls them. */
void rf_intercept_folders_init(void);
void rf_intercept_wide_init(bool has_scanf_of_2023);

/* The same of those that the C library stops where they would write too much; it calls the second. */
void rf_intercept_fortify_init(void);
void rf_intercept_fortified_calls_init(void);

/* The same of those that lock and wait. */
void rf_intercept_sync_init(void);

/* The same of those that close descriptors. */
void rf_intercept_descriptors_init(void);

/* The same of those by which the program restricts itself. */
void rf_intercept_sandbox_init(void);

/* The same of those that unmap and map memory. */
void rf_intercept_mappings_init(void);

/* dlclose, in the child of a fork: another thread may have been noting modules. */
void rf_dlclose_forked(void);

/* The end of the process, after the destructors of all libraries: one that was preloaded behind ours may have functions
 * that need what it has given up. From now on the calls that the library makes itself go to the system. */
void rf_intercept_transfer_end(void);
void rf_intercept_glibc_end(void);
void rf_intercept_calls_end(void);
void rf_intercept_descriptors_end(void);

#endif /* RINGFENCE_DROPIN_INTERCEPT_FILES_H */
