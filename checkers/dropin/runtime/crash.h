/* A fault of the processor that no other finding explains: a finding of its own kind (SEGV, BUS, ILL, FPE). */
#ifndef RINGFENCE_DROPIN_CRASH_H
#define RINGFENCE_DROPIN_CRASH_H

/* Reports the fault that signal `number` tells of; the process goes on to die of it, whatever the options say. Does
 * nothing for other signals, and in a child of vfork. `info`: the siginfo_t, `context`: the ucontext_t of the signal.
 * Async-signal-safe. */
void rf_crash_report(int number, const void *info, const void *context);

#endif /* RINGFENCE_DROPIN_CRASH_H */
