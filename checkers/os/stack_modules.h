/* The module of an address of code, and whether what was learnt of a module still holds. Internal to checkers/.
 *
 * Nothing here allocates, waits or holds a lock that another caller waits for: all of it may be called inside malloc,
 * in signal handlers, and from several threads at once.
 */
#ifndef RINGFENCE_STACK_MODULES_H
#define RINGFENCE_STACK_MODULES_H

#include "eh_frame.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__linux__) && __STDC_HOSTED__ && !defined(RF_PORT_BARE) && (defined(__x86_64__) || defined(__i386__))
#define RF_STACK_RULES 1
#else
#define RF_STACK_RULES 0
#endif

#if RF_STACK_RULES

/* The module that is mapped at `pc`; false where it is of none. */
bool rf_stack_module_of(uintptr_t pc, rf_eh_module *m);

typedef enum rf_module_note {
  RF_MODULE_BUSY,     /* another thread is noting one: nothing that is learnt of this one may be kept */
  RF_MODULE_KNOWN,    /* it may be kept, as may what was learnt before */
  RF_MODULE_REPLACES, /* it may be kept; another module was there, and what was learnt before is to be forgotten */
} rf_module_note;

/* Notes that something is learnt of `m`. A module is known by its place and by parts of its tables. */
rf_module_note rf_stack_module_note(const rf_eh_module *m);

/* Forgets them all: a module was unloaded. Does nothing while another thread notes one. */
void rf_stack_modules_forget(void);

/* In the child of a fork, where another thread may have been noting one. */
void rf_stack_modules_reset(void);

#else

static inline void rf_stack_modules_reset(void) {}

#endif

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_STACK_MODULES_H */
