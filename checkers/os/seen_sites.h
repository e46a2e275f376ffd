/* The call sites that allocate, for the collector: which were seen, and which of them had blocks on pages of their own,
 * where reads past a block and after its end show. A site is where the call of an allocation function returns to.
 *
 * A site is added with the first stack that comes from it, or with its first block on pages: no request that is served
 * the usual way has one more instruction for it. Without a collector nothing is kept.
 *
 * Any thread, and signal handlers; neither allocates nor locks. Hosted systems. Internal to checkers/.
 */
#ifndef RINGFENCE_SEEN_SITES_H
#define RINGFENCE_SEEN_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_SEEN_SITES 3072U

typedef struct rf_seen_site {
  uintptr_t caller; /* 0: not a site yet, or a second entry of one; accessed atomically, as is the next */
  uint32_t watched; /* blocks on pages of their own that no record tells of */
  uint32_t told_by; /* the process whose record had the site; 0: none */
} rf_seen_site;

/* From now on sites are kept. Once. */
void rf_seen_sites_begin(void);

/* A stack whose innermost call returns to `caller` is new: rf_stack_depot's `added_call`. Calls that free are no
 * sites. */
void rf_seen_sites_add(uintptr_t caller, bool frees);

/* A block of the site has got pages of its own. */
void rf_seen_sites_watch(uintptr_t caller);

/* Copies the sites to `out`, which has room for RF_SEEN_SITES. Those that no record tells of are those from *first on,
 * and those before it that had blocks on pages. Sites before it that this process told of have its number in
 * `told_by`. Returns how many there are from 0 on; *dropped: how many there was no room for; *upto: for
 * rf_seen_sites_told. */
size_t rf_seen_sites_copy(rf_seen_site *out, size_t *first, size_t *upto, size_t *dropped);

/* A record of `process` has told of the sites as they were copied. Sites that came since are still to be told. */
void rf_seen_sites_told(const rf_seen_site *copy, size_t upto, uint32_t process);

/* All sites are the parent's to tell. */
void rf_seen_sites_forget(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SEEN_SITES_H */
