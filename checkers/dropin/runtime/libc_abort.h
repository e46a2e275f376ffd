/* The C library ends the process by abort where it sees that its malloc's data, a freed pointer or a stream cannot be
 * right. Modes off and sample hand requests on to that malloc, and streams are the C library's in each mode, so that is
 * to be a finding. */
#ifndef RINGFENCE_DROPIN_LIBC_ABORT_H
#define RINGFENCE_DROPIN_LIBC_ABORT_H

/* Once, at the start: finds the C library's last words. */
void rf_libc_abort_init(void);

/* In a handler of SIGABRT, `context` being the ucontext_t: reports what the C library has said before. Does nothing
 * where the process aborts for any other reason. Async-signal-safe: any lock may be held, that malloc's above all. */
void rf_libc_abort_report(const void *context);

#endif /* RINGFENCE_DROPIN_LIBC_ABORT_H */
