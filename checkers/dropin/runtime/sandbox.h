/* Filters of system calls that the program sets by prctl(PR_SET_SECCOMP): calls of the checkers that a filter does not
 * allow end the process.
 *
 * The filter is a program for a small machine (classic BPF) that gets the number of a call and its arguments. It is run
 * here for the calls in question, with arguments of 0; a filter that has other instructions than such filters mostly
 * have is taken for one that allows them. Filters that came before the program (of a container) end nothing that is
 * usual, and are not known here, nor are those that were set by syscall(SYS_seccomp, …).
 */
#ifndef RINGFENCE_DROPIN_SANDBOX_H
#define RINGFENCE_DROPIN_SANDBOX_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The program has set a filter: prctl's second and third argument. Any thread; not undone. */
void rf_sandbox_entered(unsigned long mode, const void *filter);

/* False where a process in it gets no more memory. For before it is entered, with the same arguments: the filter may
 * lie anywhere. Any thread. */
bool rf_sandbox_gives_memory(unsigned long mode, const void *filter);

/* True where the search for leaks would end the process. Any thread, and signal handlers. */
bool rf_sandbox_forbids_search(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_DROPIN_SANDBOX_H */
