/* Counts the instructions of one call, exactly, by letting the processor trap after each (x86-64 Linux). */
#ifndef RINGFENCE_TOOLS_BENCH_STEPS_H
#define RINGFENCE_TOOLS_BENCH_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False where this machine cannot. Installs a handler for SIGTRAP. */
bool steps_init(void);

/* From here to steps_end, counts what is executed from the first instruction at `entry_point` to the return of that function,
 * both included. It must be called once, and not be inlined. */
void steps_begin(uintptr_t entry_point);
size_t steps_end(void);

#endif
