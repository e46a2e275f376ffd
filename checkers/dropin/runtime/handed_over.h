/* Pointers that the program gave the system and that the system gives back later, but tells nobody: values of signals
 * that were sent (sigqueue) or are to come (mq_notify), and messages in queues. The last ones are remembered, for the
 * search for leaks. */
#ifndef RINGFENCE_DROPIN_HANDED_OVER_H
#define RINGFENCE_DROPIN_HANDED_OVER_H

#include <stddef.h>
#include <stdint.h>

#define RF_HANDED_OVER_MOST 256U

/* The program has handed over `value`. Any thread, signal handlers; lock-free. */
void rf_handed_over(uintptr_t value);

/* The same of all words that begin in the `size` bytes at `bytes`, at any of them, as far as they may be addresses. */
void rf_handed_over_bytes(const void *bytes, size_t size);

/* Hands the last RF_HANDED_OVER_MOST of them to `visit`. */
void rf_handed_over_visit(void (*visit)(const uintptr_t *words, size_t count, void *context), void *context);

#endif /* RINGFENCE_DROPIN_HANDED_OVER_H */
