/* Faults: misuse that an allocator refuses, and what happens then.
 *
 * Always on. A free of a foreign, interior or already free pointer, a damaged header met on the way: the operation is
 * refused, nothing is changed, and the fault goes to the one handler of the program. The default handler panics (abort
 * on a host); a program can log and go on, or install its own.
 */
#ifndef RINGFENCE_FAULT_H
#define RINGFENCE_FAULT_H

#include <ringfence/sink.h>
#include <ringfence/site.h>
#include <ringfence/status.h>
#include <ringfence/system.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether each thread has a variable of its own for its scopes. */
#if RF_HAS_SYSTEM && ((defined(__unix__) && __STDC_HOSTED__) || defined(__APPLE__))
#define RF_FAULT_THREAD_LOCAL 1
#define RF_FAULT_SCOPE_CALL static inline
#else
#define RF_FAULT_THREAD_LOCAL 0
#define RF_FAULT_SCOPE_CALL
#endif

struct rf_allocator;

typedef struct rf_fault {
  rf_status status;               /* RF_ERR_BAD_POINTER, RF_ERR_NOT_ALLOCATED, RF_ERR_CORRUPT, … */
  const char *what;               /* one short phrase for people, a static string */
  struct rf_allocator *allocator; /* who refused; NULL where the object is not an rf_allocator */
  const void *ptr;                /* the pointer handed in, or the address of the damage */
  const rf_site *site;            /* the call, where known */
} rf_fault;

/* Called with each fault; returning lets the program go on, the operation refused. Runs in the caller's thread, inside
 * the allocator (and inside its lock if there is one): it must not call that allocator. */
typedef void (*rf_fault_handler)(const rf_fault *fault, void *context);

/* Two handlers: panic with a line of text (the default), or log that line and go on. */
void rf_fault_abort(const rf_fault *fault, void *context);
void rf_fault_log(const rf_fault *fault, void *context);

/* Installs the program's handler; NULL restores rf_fault_abort. Call it at start-up or while no other thread is inside
 * an allocator: the pair is not swapped atomically. */
void rf_fault_handler_set(rf_fault_handler handler, void *context);

/* Redirects the faults of one thread: a checker opens a scope around its calls into the inner allocator, so that a
 * refusal becomes the checker's finding. The storage is the caller's. */
typedef struct rf_fault_scope {
  rf_fault_handler handler;
  void *context;
  struct rf_fault_scope *outer;
#if !RF_FAULT_THREAD_LOCAL
  uint32_t thread;
#endif
} rf_fault_scope;

/* Until the matching leave, faults raised by the calling thread go to `handler` instead of the program's. Scopes nest;
 * each thread leaves its own in reverse order. The same for tasks and interrupts without an operating system: they are
 * told apart by rf_port_thread_id, and an interrupt leaves what it entered before it returns. */
RF_FAULT_SCOPE_CALL void rf_fault_scope_enter(rf_fault_scope *scope, rf_fault_handler handler, void *context);
RF_FAULT_SCOPE_CALL void rf_fault_scope_leave(rf_fault_scope *scope);

/* For checkers whose calls must cost less than a scope: called with each fault outside of any scope, before the
 * program's handler. `filter` answers true where it has dealt with the fault. The storage is the caller's, for ever. */
typedef struct rf_fault_filter {
  bool (*filter)(const rf_fault *fault);
  struct rf_fault_filter *next;
} rf_fault_filter;

/* Adds `filter` before the present ones, for good; adding it again does nothing. Any
 * thread, not from interrupts. */
void rf_fault_filter_add(rf_fault_filter *filter);

/* Hands `fault` to the handler and returns fault->status, for `return rf_fault_raise(&f)`. */
rf_status rf_fault_raise(const rf_fault *fault);

/* The same from parts: what allocators call when they refuse. */
rf_status rf_fault_refuse(struct rf_allocator *allocator, rf_status status, const char *what, const void *ptr,
                          const rf_site *site);

/* Writes the fault as one line: "ringfence: tlsf: double free of 0x… at demo.c:6 in main". */
void rf_fault_print(const rf_fault *fault, const rf_sink *sink);

/* ---- Private: checkers open a scope around every call, so that must cost next to nothing where it can ---- */

#if RF_FAULT_THREAD_LOCAL

/* initial-exec: the first access in a thread must not allocate, since an allocator may be asking. */
#ifdef __APPLE__
extern __thread rf_fault_scope *rf_fault_innermost;
#else
extern __thread rf_fault_scope *rf_fault_innermost __attribute__((tls_model("initial-exec")));
#endif

static inline void rf_fault_scope_enter(rf_fault_scope *scope, rf_fault_handler handler, void *context) {
  scope->handler = handler;
  scope->context = context;
  scope->outer = rf_fault_innermost;
  rf_fault_innermost = scope;
}

static inline void rf_fault_scope_leave(rf_fault_scope *scope) {
  rf_fault_innermost = scope->outer;
}

#endif

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_FAULT_H */
