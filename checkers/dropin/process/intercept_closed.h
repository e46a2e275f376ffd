/* A call that fails, and is a finding, where the stream that it is made with was closed. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_CLOSED_H
#define RINGFENCE_DROPIN_INTERCEPT_CLOSED_H

#include "intercept.h"
#include "intercept_freed.h"
#include "lib/core/compiler.h"
#include "lifecycle.h"

#include <stdarg.h>
#include <stdio.h>

#define USES(type, failed, name, parameters, arguments, stream)                                                        \
  RF_COLD static type look_in_##name parameters {                                                                      \
    rf_origin const origin = RF_CALLER;                                                                                \
    find_theirs();                                                                                                     \
    return rf_process_uses(stream, &origin) ? theirs.name arguments : (failed);                                        \
  }                                                                                                                    \
  NO_FRAME RF_EXPORT type OURS(name) parameters {                                                                      \
    if (RF_UNLIKELY(theirs.name == NULL || rf_may_be_freed(stream))) {                                                 \
      return look_in_##name arguments;                                                                                 \
    }                                                                                                                  \
    return theirs.name arguments;                                                                                      \
  }

/* A function that gives nothing. */
#define USES_ONLY(name, parameters, arguments, stream)                                                                 \
  RF_COLD RF_EXPORT void OURS(name) parameters {                                                                       \
    rf_origin const origin = RF_CALLER;                                                                                \
    find_theirs();                                                                                                     \
    if (!rf_may_be_freed(stream) || rf_process_uses(stream, &origin)) {                                                \
      theirs.name arguments;                                                                                           \
    }                                                                                                                  \
  }

/* A function with arguments behind the format, by the one that takes them as a list. */
#define USES_LIST(name, by, parameters, arguments)                                                                     \
  RF_COLD RF_EXPORT int name parameters {                                                                              \
    rf_origin const origin = RF_CALLER;                                                                                \
    va_list list;                                                                                                      \
    find_theirs();                                                                                                     \
    if (rf_may_be_freed(stream) && !rf_process_uses(stream, &origin)) {                                                \
      return EOF;                                                                                                      \
    }                                                                                                                  \
    va_start(list, format);                                                                                            \
    int const result = by arguments;                                                                                   \
    va_end(list);                                                                                                      \
    return result;                                                                                                     \
  }

#endif /* RINGFENCE_DROPIN_INTERCEPT_CLOSED_H */
