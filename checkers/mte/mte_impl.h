/* Between the operations of mode mte and its faults. Internal to mte*.c. */
#ifndef RINGFENCE_MTE_IMPL_H
#define RINGFENCE_MTE_IMPL_H

#include <ringfence/mte.h>

#include "checkers/guard/guard_impl.h"

#if RF_MEMORY_TAGS

/* mte_fault.c. False where the process cannot have the mode. */
bool rf_mte_begin(void);

/* What is read and written between the two may have any tag. A thread that went on after a finding is
 * checked again from its next call on. */
uint64_t rf_mte_enter(void);

static inline void rf_mte_leave(uint64_t before) {
  rf_memory_tags_resume(before);
}

#endif

#endif /* RINGFENCE_MTE_IMPL_H */
