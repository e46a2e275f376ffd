/* Counts the instructions of one call, exactly, by letting the processor trap after each (x86-64 Linux). */
#ifndef RINGFENCE_TOOLS_BENCH_STEPS_H
#define RINGFENCE_TOOLS_BENCH_STEPS_H

#include <ringfence/allocator.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False where this machine cannot. Installs a handler for SIGTRAP. */
bool steps_init(void);

/* From here to steps_end, counts the instructions of the function at `entry_point`, from its first to its return. It
 * must be called once and must not be inlined. */
void steps_begin(uintptr_t entry_point);
size_t steps_end(void);

/* Instructions of one call of rf_alloc or rf_free, made as a program makes it. */
size_t steps_of_alloc(rf_allocator *a, size_t size, void **out);
size_t steps_of_free(rf_allocator *a, void *p);

#endif
