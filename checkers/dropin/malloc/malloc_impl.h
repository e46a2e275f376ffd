/* The requests of a program, whatever function they came by: finds the cache, checks the arguments, sets errno.
 *
 * Any thread, and signal handlers (own_cache.h says how). errno is ENOMEM after NULL and otherwise untouched.
 */
#ifndef RINGFENCE_DROPIN_MALLOC_IMPL_H
#define RINGFENCE_DROPIN_MALLOC_IMPL_H

#include <ringfence/guard.h>

/* Once the options hold, and it is known what is recorded, sampled and handed on: small requests go the shortest way
 * where nothing is. */
void rf_malloc_choose_way(void);

/* `size` bytes at a multiple of `align` (a power of two), or NULL. */
void *rf_malloc_impl_alloc(size_t size, size_t align, rf_family family, const rf_origin *origin);

/* `count` * `size` zeroed bytes, or NULL. Pages that come fresh from the system are not touched. */
void *rf_malloc_impl_zalloc(size_t count, size_t size, const rf_origin *origin);

/* As realloc: NULL allocates, size 0 frees and gives NULL. */
void *rf_malloc_impl_realloc(void *ptr, size_t size, const rf_origin *origin);

/* Frees `ptr`, or reports why it cannot be. `size` is what a sized delete was told, else SIZE_MAX. */
void rf_malloc_impl_free(void *ptr, rf_family family, size_t size, const rf_origin *origin);

/* Reports a live block of the heap's of this family, an aligned one, whose alignment is not `align`, as C++ asks of an
 * aligned delete. Those below RF_ALIGN_DEFAULT count as that. Not where blocks have tags, or pages of their own. */
void rf_malloc_impl_expect_align(const void *ptr, rf_family family, size_t align, const rf_origin *origin);

/* True where the program, or a library before ours, has a malloc of its own, or a tool answers for ours: functions that
 * the C or C++ library builds on malloc must go by that one. */
bool rf_malloc_is_replaced(void);

/* True where a tool that rewrites the program as it runs (Valgrind) serves those who call our malloc. Once, before
 * there are other threads, and before requests are handed on. */
bool rf_malloc_find_interception(void);

/* True where `ptr` is the start of a block that was freed, whose memory serves no other yet. False of NULL, and of the
 * heap's blocks where these are not checked or have tags. */
bool rf_malloc_impl_is_freed(const void *ptr);

/* Reports an access to `size` bytes at `start` that is about to be made, if it begins in a freed block, or among blocks
 * on pages touches closed memory. True where it was reported. Not where blocks have tags: these see to it. */
bool rf_malloc_impl_report_stale(const void *start, size_t size, rf_access access, const rf_origin *origin);

/* Requested bytes of the block; 0 for NULL and for a pointer that is no live block, which is reported where blocks are
 * checked. */
size_t rf_malloc_impl_usable_size(void *ptr, const rf_origin *origin);

#endif /* RINGFENCE_DROPIN_MALLOC_IMPL_H */
