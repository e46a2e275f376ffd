/* The system below the checkers, beyond lib/port: host_posix.c and host_stacks.c, or host_bare.c for targets without an
 * operating system. Internal to checkers/.
 *
 * No function here allocates, and all of them may be called from signal handlers.
 */
#ifndef RINGFENCE_HOST_H
#define RINGFENCE_HOST_H

#include <ringfence/system.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/compiler.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __cplusplus
#define RF_HOST_NORETURN [[noreturn]]
#else
#define RF_HOST_NORETURN _Noreturn
#endif

/* Ends the process at once with `code`; on bare targets panics. */
RF_HOST_NORETURN void rf_host_exit(int code);

#define RF_HOST_SIGABRT 6 /* SIGABRT, for code that boards compile as well */

/* Ends the process at once by SIGABRT, whatever its handler; on bare targets panics. */
RF_HOST_NORETURN void rf_host_abort(void);

/* The process id; 0 on bare targets. In a sandbox that forbids or refuses to tell it, the one that was kept. Keeps
 * errno. */
uint32_t rf_host_process(void);

/* rf_port_now_ns, or the time that was kept. */
#if RF_HAS_SYSTEM
uint64_t rf_host_now_ns(void);
#else
#define rf_host_now_ns rf_port_now_ns
#endif

/* Keeps both: the calling thread is about to enter a sandbox that may forbid to ask for them. Hosted systems only. */
void rf_host_keep(void);

/* The lock that keeps reports of several threads apart. True: the caller holds it and must unlock it. False: go on
 * without it, because this thread is reporting already, an interrupted one is (bare targets), or its holder kept it for
 * seconds. */
bool rf_host_report_lock(void);
void rf_host_report_unlock(void);

/* In the child of a fork, where the thread that held the lock does not exist. */
void rf_host_report_lock_reset(void);

/* Takes `*flag`, which only one may have at a time, and which its holder clears by an atomic store. Waits until it is
 * free or some `patience_ms` milliseconds have gone by: false then, since the holder may be a thread that this one
 * interrupted. Bare: does not wait. */
bool rf_host_claim(bool *flag, unsigned patience_ms);

/* True where `size` bytes at `p` can be read. Posix: asks the kernel. Bare: always true. */
bool rf_host_readable(const void *p, size_t size);

/* The bounds of the stack that `frame` lies on, for following frame pointers; false where they are not known. */
bool rf_host_stack(const void *frame, uintptr_t *low, uintptr_t *high);

/* 0: rf_host_stack knows none, so there are no stacks to follow. */
#if defined(__linux__) && __STDC_HOSTED__ && !defined(RF_PORT_BARE)
#define RF_HOST_STACKS 1
#else
#define RF_HOST_STACKS 0
#endif

#if RF_HOST_STACKS
typedef struct rf_host_bounds {
  uintptr_t low;
  uintptr_t high;
} rf_host_bounds;

/* The stack that this thread asked for last. */
extern RF_THREAD_LOCAL rf_host_bounds rf_host_last_stack;

/* The bytes from `frame` to the end of that stack; 0 where it lies on another. */
static inline uintptr_t rf_host_last_stack_above(const void *frame) {
  uintptr_t const at = (uintptr_t)frame;
  uintptr_t const high = rf_host_last_stack.high;
  return at >= rf_host_last_stack.low && at < high ? high - at : 0;
}

/* The bytes from `frame` to the end of its stack; 0 where that is not known. */
static inline uintptr_t rf_host_stack_above(const void *frame) {
  uintptr_t low;
  uintptr_t high;
  uintptr_t const room = rf_host_last_stack_above(frame);
  return room == 0 && rf_host_stack(frame, &low, &high) ? high - (uintptr_t)frame : room;
}
#else
static inline uintptr_t rf_host_stack_above(const void *frame) {
  (void)frame;
  return 0;
}
#endif

/* Return addresses by unwind tables, innermost first, at most `max`; 0 where there is no unwinder. */
unsigned rf_host_unwind(uintptr_t *frames, unsigned max);

/* A handler of SIGSEGV calls this first. Does not return where the fault is that of rf_host_unwind in this thread,
 * which then returns the frames that it has so far. */
void rf_host_unwind_fault(void);

/* A phrase on the kind of memory that `p` points to ("the pointer is to the stack"), valid until this thread's next
 * call; NULL where it is not known. */
const char *rf_host_describe_address(const void *p);

/* True where `p` points to memory that was mapped or taken from the break, neither of a file nor of a stack that is
 * known; false where that is not known. As slow as a look into the list of all mappings. */
bool rf_host_is_allocated_memory(const void *p);

/* `size` bytes of zeroed memory, aligned to a page, never returned; NULL where the system has none. */
void *rf_host_map(size_t size);

/* The value of RINGFENCE_OPTIONS, NULL where there is none or the program runs with another user's rights. */
const char *rf_host_environment(void);

/* Opens `path` for appending; -1 where that fails or there are no files. */
int rf_host_open(const char *path);

/* Writes all of `data`, in one write where the system takes it whole; -1 is standard error. True where it did. */
bool rf_host_write(int fd, const char *data, size_t size);

/* Closes `fd`; -1 does nothing. */
void rf_host_close(int fd);

/* Differs from file to file; 0: none is open under `fd`, there are no files, or that cannot be asked. */
uint64_t rf_host_file(int fd);

/* All of the file `path`, with a NUL behind it, in memory that is never returned; NULL where it cannot be read. */
const char *rf_host_read_file(const char *path, size_t *length);

/* The folder for files that a test leaves (Bazel's TEST_UNDECLARED_OUTPUTS_DIR); NULL: none. */
const char *rf_host_artifacts(void);

/* A number that neither an attacker nor a stray memcpy will hit upon. */
uintptr_t rf_host_secret(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_HOST_H */
