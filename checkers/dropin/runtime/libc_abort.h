/* The C library ends the process by abort where it sees that its malloc's data, a freed pointer or a stream cannot be
 * right, that a write would be longer than its destination (_FORTIFY_SOURCE), or that one was longer than an object on
 * the stack (-fstack-protector). Modes off and sample hand requests on to that malloc, and the rest is the C library's
 * in each mode, so that is to be a finding. */
#ifndef RINGFENCE_DROPIN_LIBC_ABORT_H
#define RINGFENCE_DROPIN_LIBC_ABORT_H

#include <stdbool.h>

/* Once, at the start: finds the C library's last words. */
void rf_libc_abort_init(void);

/* In a handler of SIGABRT, `context` being the ucontext_t: reports what the C library has said before. Does nothing
 * where the process aborts for any other reason. Async-signal-safe: any lock may be held, that malloc's above all. */
void rf_libc_abort_report(const void *context);

/* A write that was stopped, or an object on the stack that was overwritten, was reported, and the C library is about to
 * abort over it: no finding is made of that once more. Any thread. */
void rf_libc_abort_is_told(void);

/* In a handler of SIGSEGV: whether abort made this fault itself, as it does where SIGABRT ends nothing: in process 1 of
 * a system or container. Async-signal-safe. */
bool rf_libc_abort_is_its_fault(const void *context);

#endif /* RINGFENCE_DROPIN_LIBC_ABORT_H */
