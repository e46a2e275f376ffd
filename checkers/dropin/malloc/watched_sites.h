/* The paths to malloc that had a block watched (on pages of its own) already, in this process and, by a file, in those
 * before it: so that mode guard, which watches few blocks, comes to every path in the course of some runs.
 *
 * A path is known by where in their pages its innermost four calls return to: that is the same in every run, wherever
 * the modules lie. The file is named by the build-id of the program and has a path per line.
 *
 * Any thread, and signal handlers; neither allocates nor locks.
 */
#ifndef RINGFENCE_DROPIN_WATCHED_SITES_H
#define RINGFENCE_DROPIN_WATCHED_SITES_H

#include <stdbool.h>
#include <stdint.h>

/* Reads the file in `folder`, an absolute or relative path; a folder that is none is said on standard error. Once, at
 * the start. */
void rf_watched_sites_begin(const char *folder);

/* True where the path with this key (rf_site_key) was not known yet; it is from now on. False also where there are too
 * many. */
bool rf_watched_sites_add(uint32_t key);

/* In a child of fork: what the parent has added is the parent's to write. */
void rf_watched_sites_inherit(void);

/* Appends what was added to the file. At the end of the process. */
void rf_watched_sites_end(void);

#endif /* RINGFENCE_DROPIN_WATCHED_SITES_H */
