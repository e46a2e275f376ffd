/* Functions for a program that runs under the drop-in, by LD_PRELOAD or linked with //checkers/dropin:malloc.
 *
 * A program that also runs without declares them weak and looks first:
 *
 *     if (__ringfence_check_leaks != NULL) {
 *       __ringfence_check_leaks();
 *     }
 */
#ifndef RINGFENCE_DROPIN_H
#define RINGFENCE_DROPIN_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Looks for leaks now, as at exit, and reports them under the process's options. Returns how many were reported (leaks
 * of one origin are one). Other threads are stopped for the time of the search. Any thread, not from signal
 * handlers. */
size_t __ringfence_check_leaks(void) __attribute__((weak));

/* Checks every block now, live or freed and held back. Returns how many were found damaged. Any thread, not from signal
 * handlers. */
size_t __ringfence_sweep(void) __attribute__((weak));

/* Prints what is allocated now, where text findings go: of each arena a summary, a histogram of sizes and a map, then
 * the call sites with the most live bytes. The option dump_signal does the same on a signal. Any thread, and signal
 * handlers: from one that interrupted malloc, the dump comes with the next allocation or free. */
void __ringfence_dump(void) __attribute__((weak));

/* The same, under a name to type in a debugger: (gdb) call ringfence_dump() */
void ringfence_dump(void) __attribute__((weak));

/* Writes what is live now, by call site, where findings go; as text also what changed since the snapshot before, which
 * the command works out by itself. `name` (at most 63 bytes are kept) is what reports call it. Returns how many bytes
 * are live; 0 where that could not be told. Any thread, not from signal handlers; the option snapshot_signal is for
 * those. */
size_t __ringfence_snapshot(const char *name) __attribute__((weak));

/* From now on each finding of this process (not of its children) goes to `callback`, as text without a NUL, instead of
 * to the log; the process goes on after it, and its exit status is its own. NULL: as before. A leak that the callback
 * was told is not told again, by later checks or at exit. The callback may run in any thread, one at a time, in the
 * middle of an allocation, and on a stack that is not the thread's, with 100 KiB left: it must return, and must not
 * allocate. <ringfence/gtest.h> is built on it. */
void __ringfence_on_finding(void (*callback)(const char *text, size_t length, void *context), void *context)
    __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_DROPIN_H */
