/* The choice of call sites whose blocks get pages more often than others: those near a finding, rare ones, and those
 * that were never watched. The countdown to the next look runs as often as the best of them wants it; at its end this
 * table decides, and may decline.
 *
 * A site is a path to malloc (rf_policy_site_key). Any thread, and signal handlers; neither allocates nor locks.
 */
#ifndef RINGFENCE_DROPIN_SITE_CHOICE_H
#define RINGFENCE_DROPIN_SITE_CHOICE_H

#include <ringfence/frames.h>
#include <ringfence/stack.h>
#include <stdbool.h>
#include <stdint.h>

/* Only calls of these programs and libraries may be watched: `length` bytes of NAME,NAME, copied, a star in a name
 * standing for any characters; NULL: all calls. Once, at the beginning. */
#define RF_SITE_MODULES 256U
void rf_site_limit_to(const char *modules, size_t length);

/* True where the site's call is of such a module. Looked up once for each site. */
bool rf_site_may_be_watched(uint32_t key, uintptr_t caller);

/* True where rf_site_limit_to has limited anything. */
bool rf_site_is_limited(void);

/* The key of the path that `origin` ends. */
uint32_t rf_site_key(const rf_origin *origin);

/* The site is near a finding from now on. Nothing happens where there are too many sites. */
void rf_site_set_near(uint32_t key);

/* The same for where the block of a finding was allocated. */
void rf_site_found_near(const rf_trace *allocated);

/* Counts a look at the site. True where its allocation is to be watched: where it is near a finding, rare (one look in
 * RF_SITE_RARE at most is at it), or was not watched before; else each `one_in`-th look. */
#define RF_SITE_RARE 256U
bool rf_site_wants(uint32_t key, uint32_t one_in);

#endif /* RINGFENCE_DROPIN_SITE_CHOICE_H */
