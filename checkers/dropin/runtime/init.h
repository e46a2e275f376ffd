/* The part of the process's beginning that the first allocation needs. */
#ifndef RINGFENCE_DROPIN_INIT_H
#define RINGFENCE_DROPIN_INIT_H

#include <stdbool.h>

/* Makes allocating possible: once, by the first caller. */
void rf_process_init(void);

/* Reads the options where that could not be done yet; true where it was done now. */
bool rf_process_configure(void);

#endif /* RINGFENCE_DROPIN_INIT_H */
