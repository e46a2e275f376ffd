/* What the checkers need of the system below them, beyond lib/port: host_posix.c, or host_bare.c for targets without an
 * operating system. Internal to checkers/.
 *
 * Nothing here allocates, and all of it may be called from signal handlers.
 */
#ifndef RINGFENCE_HOST_H
#define RINGFENCE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Ends the process at once with `code`; on bare targets panics. */
#ifdef __cplusplus
[[noreturn]]
#else
_Noreturn
#endif
void rf_host_exit(int code);

/* The process id; 0 on bare targets. */
uint32_t rf_host_process(void);

/* One report at a time. True: the caller has the turn and must end it. False: go on without, because this thread is
 * reporting already, or (bare targets) an interrupted one is, or nobody gave up the turn for seconds. */
bool rf_host_turn_begin(void);
void rf_host_turn_end(void);

/* In the child of a fork: who had the turn is not there any more. */
void rf_host_turn_forget(void);

/* True where `size` bytes at `p` can be read. Posix: asks the kernel. Bare: always true. */
bool rf_host_readable(const void *p, size_t size);

/* The bounds of the stack that `frame` lies on, for following frame pointers; false where they cannot be had. */
bool rf_host_stack(const void *frame, uintptr_t *low, uintptr_t *high);

/* Return addresses by unwind tables, innermost first, at most `max`; 0 where there is no unwinder. */
unsigned rf_host_unwind(uintptr_t *frames, unsigned max);

/* For a handler of SIGSEGV to call first: does not return where the fault is that of rf_host_unwind in this thread, which then
 * gives the frames that it has so far. */
void rf_host_unwind_fault(void);

/* A phrase on what kind of memory `p` is ("it is on the stack"), a static string; NULL where that is not known. */
const char *rf_host_whereabouts(const void *p);

/* `size` bytes of zeroed memory, aligned to a page, kept for ever; NULL where there are none. */
void *rf_host_map(size_t size);

/* The value of RINGFENCE_OPTIONS, NULL where there is none or the program runs with another user's rights. */
const char *rf_host_environment(void);

/* Opens `path` for appending; -1 where that fails or there are no files. rf_host_write puts all of `data` there in one
 * write if the system takes it whole (standard error for -1), and answers whether it did. rf_host_close takes -1, too. */
int rf_host_open(const char *path);
bool rf_host_write(int fd, const char *data, size_t size);
void rf_host_close(int fd);

/* All of the file `path`, in memory that is kept for ever, with a NUL behind it; NULL where it cannot be read. */
const char *rf_host_read_file(const char *path, size_t *length);

/* The folder in which a test leaves files for whoever runs it (Bazel's TEST_UNDECLARED_OUTPUTS_DIR); NULL: none. */
const char *rf_host_artifacts(void);

/* A number that an attacker or a stray memcpy will not hit upon. */
uintptr_t rf_host_secret(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_HOST_H */
