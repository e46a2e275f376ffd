/* System calls that end the process, since the program has forbidden itself to make them (a sandbox): the checkers do
 * without. */
#ifndef RINGFENCE_CHECKERS_FORBIDDEN_CALLS_H
#define RINGFENCE_CHECKERS_FORBIDDEN_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_system_call {
  RF_CALL_MADVISE = 1,
  RF_CALL_MPROTECT = 2,
  RF_CALL_MREMAP = 4,
  RF_CALL_MUNMAP = 8,
  RF_CALL_MEMBARRIER = 16,
  RF_CALL_NANOSLEEP = 32,
  RF_CALL_SIGNAL_MASK = 64,
  RF_CALL_GETPID = 128,
  RF_CALL_GETTID = 256,
  RF_CALL_OPEN = 512, /* or another one that the log takes: fcntl, fstat, close */
  RF_CALL_MMAP = 1024,
  RF_CALL_CLOCK = 2048,  /* reading the time, which takes no call: strict mode forbids the processor's counter */
  RF_CALL_PEEK = 4096,   /* one of those that look at bytes in pipes and sockets */
  RF_CALL_OTHERS = 8192, /* one of those that only the search for leaks makes, or the end of a thread */
  RF_CALL_IOCTL = 16384,
  RF_CALL_PENDING = 32768,   /* which signals wait, or taking one of these */
  RF_CALL_SPOOL = 65536,     /* one of those that a collector's folder takes, besides those of RF_CALL_OPEN */
  RF_CALL_LIMIT = 131072,    /* asking for a limit, or raising one */
  RF_CALL_MARK = 262144,     /* making an empty file, which tells that a finding has no record */
  RF_CALL_KEY = 524288,      /* giving pages another key of protection */
  RF_CALL_RESIDENT = 1048576 /* asking which pages have memory */
} rf_system_call;

/* Those that blocks on pages of their own take. */
#define RF_CALLS_OF_PAGES (RF_CALL_MADVISE | RF_CALL_MPROTECT | RF_CALL_MMAP | RF_CALL_MUNMAP | RF_CALL_CLOCK)

/* An or of rf_system_call; accessed atomically. */
extern uint32_t rf_forbidden_calls;

/* True where the call, or one of several, would end the process. Any thread, signal handlers. */
static inline bool rf_is_forbidden(uint32_t calls) {
  return __builtin_expect((__atomic_load_n(&rf_forbidden_calls, __ATOMIC_RELAXED) & calls) != 0, 0);
}

/* From now on they do; not undone. Any thread. */
void rf_forbid(uint32_t calls);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_CHECKERS_FORBIDDEN_CALLS_H */
