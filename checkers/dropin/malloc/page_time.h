/* The share of the processor time that pages of blocks may take in mode page (option `page_time`): how long it takes to
 * give blocks their pages and to close them is measured, and once it is more than the share of the time that the
 * process has had, further blocks wait until it is less again.
 *
 * The choice of blocks depends on the clock: two runs of a program do not watch the same ones.
 *
 * Any thread, and signal handlers.
 */
#ifndef RINGFENCE_DROPIN_PAGE_TIME_H
#define RINGFENCE_DROPIN_PAGE_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* `percent` from 1 on; 100 and more: no limit. Once, at the beginning. */
void rf_page_time_begin(unsigned percent);

/* True where there is a limit. The rest is of use only then. */
bool rf_page_time_is_limited(void);

/* True where a block may get pages now. */
bool rf_page_time_left(void);

/* Around the work for a block: what rf_page_time_enter returned. */
uint64_t rf_page_time_enter(void);
void rf_page_time_leave(uint64_t entered);

/* In the child of a fork, whose processor time begins anew. */
void rf_page_time_forked(void);

/* From now on the time that goes by stands for the processor time: the system is asked for that, and a program that has
 * restricted itself may be ended for it. */
void rf_page_time_settle(void);

#endif /* RINGFENCE_DROPIN_PAGE_TIME_H */
