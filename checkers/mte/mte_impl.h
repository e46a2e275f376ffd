/* Between the operations of mode mte and its faults. Internal to mte*.c. */
#ifndef RINGFENCE_MTE_IMPL_H
#define RINGFENCE_MTE_IMPL_H

#include <ringfence/mte.h>

#include "checkers/guard/guard_impl.h"

#if RF_MEMORY_TAGS

/* mte_fault.c. False where the process cannot have the mode. */
bool rf_mte_begin(void);

/* Pauses the thread's tag checks, for operations that touch memory under any tag, and returns their state for
 * rf_mte_leave. Re-arms the checks of a thread that went on after a finding. */
uint64_t rf_mte_enter(void);

static inline void rf_mte_leave(uint64_t before) {
  rf_memory_tags_resume(before);
}

#endif

#endif /* RINGFENCE_MTE_IMPL_H */
