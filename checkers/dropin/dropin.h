/* What a program may call when it runs under the drop-in, by LD_PRELOAD or linked with //checkers/dropin:malloc.
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

/* Looks for leaks now, as at exit, and reports them under the process's options. Returns how many were reported (leaks of
 * one origin are one). Other threads are stopped for the time of the search. Any thread, not from signal handlers. */
size_t __ringfence_check_leaks(void) __attribute__((weak));

/* Checks every block now, live or freed and held back. Returns how many were found damaged. Any thread, not from signal
 * handlers. */
size_t __ringfence_sweep(void) __attribute__((weak));

/* Prints what is allocated now, where text findings go: of each arena a summary, a histogram of sizes and a map, then the call
 * sites with the most live bytes. What the option dump_signal does on a signal. Any thread, and signal handlers: from one that
 * interrupted malloc, the dump comes with the next allocation or free. */
void __ringfence_dump(void) __attribute__((weak));

/* The same, under a name to type in a debugger: (gdb) call ringfence_dump() */
void ringfence_dump(void) __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_DROPIN_H */
