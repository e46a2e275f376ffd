/* The C library below the drop-in, glibc or musl: names, types and numbers that differ. Sources that one of them alone
 * needs end in _glibc.c or _musl.c. */
#ifndef RINGFENCE_DROPIN_LIBC_H
#define RINGFENCE_DROPIN_LIBC_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GLIBC__)
#define RF_LIBC_STOP_SIGNAL 33 /* SIGSETXID */
#define RF_LIBC_SOCKADDR __SOCKADDR_ARG
#define RF_LIBC_CONST_SOCKADDR __CONST_SOCKADDR_ARG
#define RF_LIBC_SOCKADDR_AT(argument) ((argument).__sockaddr__)
#else
#define RF_LIBC_STOP_SIGNAL 34 /* SIGSYNCCALL */
#define RF_LIBC_SOCKADDR struct sockaddr *restrict
#define RF_LIBC_CONST_SOCKADDR const struct sockaddr *
#define RF_LIBC_SOCKADDR_AT(argument) (argument)

/* Finds the functions behind ours, at the beginning: in a child of fork, the loader may be locked by a thread that is
 * not there. */
void rf_libc_init(void);

/* The C library's fflush, behind ours. */
int rf_libc_fflush(FILE *stream);
#endif

/* The C library's sigaction and signal, behind ours. */
int rf_libc_sigaction(int number, const struct sigaction *action, struct sigaction *old);
sighandler_t rf_libc_signal(int number, sighandler_t handler);

/* The symbol `name` among those that glibc exports for its own libraries and for debuggers; NULL if there is none. NULL
 * with another C library, which is not searched: a failed search leaves an error for dlerror, where the program would
 * find it. May allocate. */
void *rf_libc_private(const char *name);

/* True where a function's address is not that of its definition, but of a jump to it in the program: one that is linked
 * for fixed addresses has such a jump for each function of a library whose address it takes, and all that ask for the
 * address get the jump's. Not known with musl: false. Any thread; takes the loader's lock. */
bool rf_libc_is_jump(uintptr_t function);

#endif /* RINGFENCE_DROPIN_LIBC_H */
