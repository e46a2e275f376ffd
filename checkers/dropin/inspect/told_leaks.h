/* Leaks that the program's callback was told: a later check, and the one at exit, does not tell them again.
 *
 * Overhead: 1 MiB of address space from the first note on; only touched pages cost memory. Notes beyond 49,152 are
 * dropped, and these leaks are told again. Threads: callers hold the threads' lock. */
#ifndef RINGFENCE_DROPIN_TOLD_LEAKS_H
#define RINGFENCE_DROPIN_TOLD_LEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True where the leak of the block at `start` was noted before. `origin` is a hash of its kind and its allocation, so
 * that another block at the same address is another leak. With `note` it is noted now. */
bool rf_told_leaks_has(uintptr_t start, size_t origin, bool note);

#endif /* RINGFENCE_DROPIN_TOLD_LEAKS_H */
