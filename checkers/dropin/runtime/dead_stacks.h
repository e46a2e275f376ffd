/* The stacks of ended threads, which the C library keeps for new threads, with all that lay on them: addresses that
 * would make lost blocks look reachable.
 *
 * A stack is taken for dead only where that is certain: the thread's descriptor, which the C library keeps at its upper
 * end, still is where it was and says that the stack is the same one, of the library's own making, and the number of
 * the thread, which the kernel clears at its very end, is gone. This needs the descriptor of glibc on x86, and finds
 * its fields by what they hold; elsewhere no stack is taken for dead.
 */
#ifndef RINGFENCE_DROPIN_DEAD_STACKS_H
#define RINGFENCE_DROPIN_DEAD_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The calling thread is about to end. With the threads' lock (thread.h), as all below. Returns the lowest address of
 * its stack; 0 where that is not known, as where the program has made it, or no closed page is below it. */
uintptr_t rf_dead_stacks_note(uint32_t id);

/* Looks for a stack in the memory from `start` to `end`, below which nothing can be accessed and on which no thread
 * stands: a thread that never called the heap is not noted. `id` is the calling thread's number. */
void rf_dead_stacks_look(uintptr_t start, uintptr_t end, uint32_t id);

/* Looks for the stacks in the C library's own lists, which glibc has side by side since 2.34. Since 2.42 it closes the
 * end of a stack in a way that the memory map does not show, and one line of the map may have many stacks. `id` is the
 * calling thread's number. Where no thread changes these lists. */
void rf_dead_stacks_list(uint32_t id);

/* Calls `visit` for the memory of each dead stack, thread-local storage included, and for the descriptor above it where
 * the thread's result was fetched, or nobody can ask for it. A stack that a thread stands on is not dead: that is for
 * the caller to see. False where a call said so. */
bool rf_dead_stacks_each(bool (*visit)(uintptr_t start, uintptr_t end, void *context), void *context);

/* The lowest address of the stack of a thread that runs, where it is of the C library's making; 0: not known. `own` is
 * where that thread has what the calling one has at `callers`, in its thread-local storage of the initial-exec model.
 * Any thread. */
uintptr_t rf_stack_start(uintptr_t own, uintptr_t callers);

#endif /* RINGFENCE_DROPIN_DEAD_STACKS_H */
