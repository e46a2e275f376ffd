/* Memory from the system: zeroed pages, and the drop-in's own records.
 *
 * Records (caches, descriptions of spans, tables, stacks) come from rf_record_alloc: they live as long as the process,
 * and the leak scan knows where they lie, so that an address noted in one never keeps a block alive.
 *
 * Everything here may be called from any thread and in signal handlers that interrupted it, waits for nobody, never
 * allocates, and leaves errno alone.
 */
#ifndef RINGFENCE_DROPIN_PAGES_H
#define RINGFENCE_DROPIN_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `size` zeroed bytes (whole pages are mapped) at a multiple of `align`, a power of two. `room` is how much free
 * address space to leave above, where that costs nothing, so that the mapping may grow in place. NULL where the system
 * refuses. */
void *rf_pages_map(size_t size, size_t align, size_t room);

/* Gives back whole pages. */
void rf_pages_unmap(void *start, size_t size);

/* Lets all pages from the one of `start` to that of `end` - 1 be read and written again, and children have what they
 * hold. False where the system refuses, as where there are none. */
bool rf_pages_open(uintptr_t start, uintptr_t end);

/* Gives pages to a range of mapped memory at once, from the page of `start` to that of `end` - 1, where the system can
 * (Linux 5.14): else each takes a fault when it is first written. Only where there are two pages or more. */
void rf_pages_populate(uintptr_t start, uintptr_t end);

/* Gives the pages of a range of whole ones back to the system; its bytes are zero then, also where they cannot be given
 * back: where the program has locked them (mlock) and the kernel is older than Linux 5.18, or the call is forbidden. */
void rf_pages_empty(uintptr_t start, uintptr_t end);

/* Grows a mapping where it is; false where something is in the way or the system refuses. */
bool rf_pages_extend(void *start, size_t old_size, size_t new_size);

/* Copies `size` bytes from memory of rf_pages_map, or of its kind, to other such memory. Pages of big blocks
 * are moved, not copied, so that pages never touched stay so: `from` then reads as zeroes, and is nobody else's at any
 * moment. */
void rf_pages_move(void *to, void *from, size_t size);

/* `n` rounded up to whole pages; 0 where that wraps. */
size_t rf_pages_round(size_t n);

/* `size` zeroed bytes aligned to 64 that stay mapped; NULL where the system refuses. */
void *rf_record_alloc(size_t size);

/* Gives the whole pages of a record that is not in use back to the system; they read as zeroes. */
void rf_record_empty(void *record, size_t size);

/* `give_back` is called where the system has refused `size` bytes, by whoever asked for them: true where it may have so
 * many now. NULL: nobody is. Once, before there are threads. */
void rf_pages_on_refusal(bool (*give_back)(size_t size));

/* A large table of which little may ever be touched: as rf_record_alloc, in a mapping of its own. */
void *rf_record_table(size_t size);

/* Gives back all whole pages of a table but its first `size` bytes. Nobody may touch them any more. */
void rf_record_table_cut(void *table, size_t size);

/* Sets *start and *end to the range of records number `index`, both to 0 where it is being made; false if there are not
 * so many ranges. */
bool rf_record_range(unsigned index, uintptr_t *start, uintptr_t *end);

#endif /* RINGFENCE_DROPIN_PAGES_H */
