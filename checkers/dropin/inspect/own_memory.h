/* The drop-in's own memory: blocks and what it knows of them, but for what is linked into the program. */
#ifndef RINGFENCE_DROPIN_OWN_MEMORY_H
#define RINGFENCE_DROPIN_OWN_MEMORY_H

#include "roots.h"

/* How many ranges there are, and some more, for such as are made meanwhile. */
size_t rf_own_memory_count(void);

/* Adds all of them, in no order. False where there is no room. Both with the heap and the pages locked
 * (rf_lock_blocks). */
bool rf_own_memory_add(rf_ranges *out);

#endif /* RINGFENCE_DROPIN_OWN_MEMORY_H */
