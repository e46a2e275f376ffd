/* The system under the library: a mutex, an event to wait on, a clock, the thread's id, a log and a way to stop.
 * posix.c implements it over POSIX threads, bare.c for one core without an OS. Port to an RTOS by writing a third file
 * with these functions.
 */
#ifndef RINGFENCE_PORT_H
#define RINGFENCE_PORT_H

#include <ringfence/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_PORT_MUTEX_WORDS 8
#define RF_PORT_EVENT_WORDS 16

/* Storage is the caller's; the contents belong to the port. */
typedef struct rf_mutex {
  uint64_t opaque[RF_PORT_MUTEX_WORDS];
} rf_mutex;

typedef struct rf_event {
  uint64_t opaque[RF_PORT_EVENT_WORDS];
} rf_event;

/* Wait for ever. */
#define RF_WAIT_FOREVER UINT32_MAX

/* A mutex that is not recursive. init: RF_OK, or RF_ERR_NO_MEMORY where the system refuses. deinit of an unlocked
 * mutex. lock waits for other threads; locking twice from one thread is an error of the caller. In bare.c a lock masks
 * interrupts, so that locked sections may be entered from them. Zeroed static storage is an initialised mutex in both
 * ports, and should be in others, for objects that are ready before anything runs. */
rf_status rf_mutex_init(rf_mutex *mutex);
void rf_mutex_deinit(rf_mutex *mutex);
void rf_mutex_lock(rf_mutex *mutex);
void rf_mutex_unlock(rf_mutex *mutex);

/* A binary event: set once by rf_event_set (from any thread, and from an interrupt in bare.c), consumed by the one
 * thread that waits. `timeout_ms` 0 polls, RF_WAIT_FOREVER never gives up. RF_OK, or RF_ERR_TIMEOUT when the event was
 * not set in time, or at once where it is not set and nothing can be waited for: in an interrupt, or with a bounded
 * timeout but no clock. */
rf_status rf_event_init(rf_event *event);
void rf_event_deinit(rf_event *event);
void rf_event_set(rf_event *event);
rf_status rf_event_wait(rf_event *event, uint32_t timeout_ms);

/* A clock that only goes forward, in nanoseconds from an arbitrary start; 0 always on a target without one. */
uint64_t rf_port_now_ns(void);

/* A number for the calling thread, not 0 (posix: the kernel's thread id; bare: 1, or the active exception + 1). */
uint32_t rf_port_thread_id(void);

/* Private to posix.c on Linux and to callers that cannot afford a function call: the number once it is known, 0
 * before. */
#if defined(__linux__) && __STDC_HOSTED__ && !defined(RF_PORT_BARE)
#define RF_PORT_KNOWN_ID 1
extern __thread uint32_t rf_port_known_id __attribute__((tls_model("initial-exec")));

/* Has the numbers of threads known anew in children of fork. posix.c does so before main by itself; who calls it before
 * decides where the memory comes from that the C library may need for it. Again: without effect. */
void rf_port_watch_forks(void);

/* From now on rf_port_log neither asks which signals wait nor takes one, which a sandbox forbids the process: a signal
 * that comes with a refused write stays blocked in its thread. Not undone. Any thread. */
void rf_port_log_spares_signals(void);
#else
#define RF_PORT_KNOWN_ID 0
#endif

/* True in an interrupt handler, where nothing may wait. Always false in posix.c. */
bool rf_port_in_interrupt(void);

/* Puts text on the system's log: standard error, or the board's console. Async-signal-safe in posix.c. */
void rf_port_log(const char *text, size_t len);

/* Stops the program for good: abort(), or an endless loop with interrupts masked (a debugger finds it there). */
__attribute__((noreturn)) void rf_port_panic(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_PORT_H */
