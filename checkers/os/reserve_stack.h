/* A stack in reserve, for work that takes more than the caller may have left: a signal handler runs on 8 KiB, and
 * coroutines on little more. One for the process, for one thread at a time. */
#ifndef RINGFENCE_CHECKERS_RESERVE_STACK_H
#define RINGFENCE_CHECKERS_RESERVE_STACK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_RESERVE_STACK_BYTES ((size_t)128 * 1024)

typedef void (*rf_reserve_work)(void *argument);

/* Takes RF_RESERVE_STACK_BYTES at `memory`, which stay; NULL: there is no reserve. Before there are threads. */
void rf_reserve_stack_init(void *memory);

/* In a child of fork, whose parent's other threads are not there. */
void rf_reserve_stack_forked(void);

/* Calls work(argument), which must return: on the stack in reserve, or on the caller's where there is none, where
 * another thread has it, or where the caller runs on it. A signal that comes meanwhile, and is to have the thread's
 * stack for handlers, leaves that alone if the caller is on it. Takes 300 bytes of the caller's stack. Any thread,
 * signal handlers; not in a child of vfork. */
void rf_on_reserve_stack(rf_reserve_work work, void *argument);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_CHECKERS_RESERVE_STACK_H */
