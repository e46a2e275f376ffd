/* The part of the process's beginning that the first allocation needs. */
#ifndef RINGFENCE_DROPIN_INIT_H
#define RINGFENCE_DROPIN_INIT_H

#include <stdbool.h>

/* Makes allocating possible: once, by the first caller. */
void rf_process_init(void);

/* Before the first of that: ends a program that the drop-in must not be linked into. Defined by process/, and only
 * where it is linked in. */
__attribute__((weak)) void rf_process_refuse(void);

/* Reads the options where that could not be done yet; true where it was done now. */
bool rf_process_configure(void);

#endif /* RINGFENCE_DROPIN_INIT_H */
