/* Calls of the C library with an object that the program may have freed: a look at its block comes first, and takes
 * next to nothing. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_FREED_H
#define RINGFENCE_DROPIN_INTERCEPT_FREED_H

#include "checkers/dropin/heap/span.h"
#include "checkers/dropin/runtime/state.h"
#include "intercept.h"
#include "lib/core/compiler.h"

#include <stdbool.h>
#include <stdint.h>

#include "checkers/page/page_store.h"

/* True of all in freed blocks of the heap, and of all in blocks on pages. Loads of the heap's map, of a span's and of a
 * slot's description; any thread, signal handlers. */
static inline bool rf_may_be_freed(const void *object) {
  uintptr_t const address = (uintptr_t)object;
  if (!rf_process.checked) {
    return false;
  }
  const rf_span *const span = rf_span_holding(address);
  if (span == NULL) {
    return rf_page_may_be(object);
  }
  unsigned const index = rf_span_slot_at(span, address);
  return index != span->count && rf_slot_state_of(&span->slots[index]) == RF_SLOT_FREED;
}

#if defined(__clang__)
#define NO_FRAME
#else
#define NO_FRAME __attribute__((optimize("omit-frame-pointer")))
#endif

/* A function that gives `failed` where `freed`, an expression with `origin`, says that `object` was freed and that this
 * is told of. The common way ends in a jump, without a frame of its own; the other one is jumped to, and so has the
 * same caller. */
#define UNLESS_FREED(type, failed, name, parameters, arguments, object, freed)                                         \
  RF_COLD static type look_in_##name parameters {                                                                      \
    rf_origin const origin = RF_CALLER;                                                                                \
    find_theirs();                                                                                                     \
    return (freed) ? (failed) : theirs.name arguments;                                                                 \
  }                                                                                                                    \
  NO_FRAME RF_EXPORT type OURS(name) parameters {                                                                      \
    if (RF_UNLIKELY(theirs.name == NULL || rf_may_be_freed((const void *)(uintptr_t)(object)))) {                      \
      return look_in_##name arguments;                                                                                 \
    }                                                                                                                  \
    return theirs.name arguments;                                                                                      \
  }

/* A function that gives nothing. */
#define DONE_UNLESS_FREED(name, parameters, arguments, freed)                                                          \
  RF_COLD RF_EXPORT void OURS(name) parameters {                                                                       \
    rf_origin const origin = RF_CALLER;                                                                                \
    find_theirs();                                                                                                     \
    if (!(freed)) {                                                                                                    \
      theirs.name arguments;                                                                                           \
    }                                                                                                                  \
  }

#endif /* RINGFENCE_DROPIN_INTERCEPT_FREED_H */
