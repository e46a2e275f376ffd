/* Checks blocks in the background: a thread that wakes up now and then and looks at some, so that damage is found soon
 * after it was done, and not only when the block is freed. */
#ifndef RINGFENCE_DROPIN_BACKGROUND_CHECK_H
#define RINGFENCE_DROPIN_BACKGROUND_CHECK_H

/* Starts the thread: every `every_ms` milliseconds it looks at blocks for about `budget_us` microseconds, in turn.
 * Nothing where `every_ms` is 0, or no thread can be had. Ends with the process, which it ends itself once all other
 * threads have ended; a forked child has none. */
void rf_background_check_begin(unsigned every_ms, unsigned budget_us);

#endif /* RINGFENCE_DROPIN_BACKGROUND_CHECK_H */
