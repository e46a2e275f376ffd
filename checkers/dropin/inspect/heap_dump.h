/* A dump of the live heap on demand: by a call, or by a signal (option dump_signal) that the program does not handle.
 *
 * The heap as rf_dump prints it (a summary, a histogram of sizes, a map), then the call sites with the most live bytes.
 * Other threads are stopped at its border, and waited for briefly: where one died inside, that is said instead. A
 * signal that interrupts its own thread inside the heap is answered by the next thread that enters.
 */
#ifndef RINGFENCE_DROPIN_HEAP_DUMP_H
#define RINGFENCE_DROPIN_HEAP_DUMP_H

#include <ringfence/options.h>
#include <stdbool.h>

/* Installs the handler, where the option names a signal whose default action is in place. */
void rf_heap_dump_init(void);

/* The number of the signal; 0 for RF_DUMP_NONE. */
int rf_dump_signal_number(rf_dump_signal choice);

/* In the child of a fork: nothing was asked of it. */
void rf_heap_dump_forked(void);

/* True while a dump is being made. Any thread. */
bool rf_heap_dump_is_under_way(void);

#endif /* RINGFENCE_DROPIN_HEAP_DUMP_H */
