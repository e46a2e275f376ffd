/* A call that fails, and is a finding, where the stream that it is made with was closed. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_CLOSED_H
#define RINGFENCE_DROPIN_INTERCEPT_CLOSED_H

#include "intercept.h"
#include "intercept_freed.h"
#include "lib/core/compiler.h"
#include "lifecycle.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* Tells of it. */
static inline bool rf_was_closed(const void *stream, const rf_origin *origin) {
  return rf_may_be_freed(stream) && !rf_process_uses(stream, origin);
}

#define USES(type, failed, name, parameters, arguments, stream)                                                        \
  UNLESS_FREED(type, failed, name, parameters, arguments, stream, rf_was_closed(stream, &origin))

/* A function that gives nothing. */
#define USES_ONLY(name, parameters, arguments, stream)                                                                 \
  DONE_UNLESS_FREED(name, parameters, arguments, rf_was_closed(stream, &origin))

/* A function with arguments behind the format, by the one that takes them as a list. */
#define USES_LIST(name, by, parameters, arguments)                                                                     \
  RF_COLD RF_EXPORT int name parameters {                                                                              \
    rf_origin const origin = RF_CALLER;                                                                                \
    va_list list;                                                                                                      \
    find_theirs();                                                                                                     \
    if (rf_was_closed(stream, &origin)) {                                                                              \
      return EOF;                                                                                                      \
    }                                                                                                                  \
    va_start(list, format);                                                                                            \
    int const result = by arguments;                                                                                   \
    va_end(list);                                                                                                      \
    return result;                                                                                                     \
  }

#endif /* RINGFENCE_DROPIN_INTERCEPT_CLOSED_H */
