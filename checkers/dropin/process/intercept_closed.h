/* A call that fails, and is a finding, where the stream that it is made with was closed. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_CLOSED_H
#define RINGFENCE_DROPIN_INTERCEPT_CLOSED_H

#include "checkers/dropin/malloc/guarded_blocks.h"
#include "intercept.h"
#include "intercept_freed.h"
#include "lib/core/compiler.h"
#include "lifecycle.h"
#include "stream_buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* Tells of it. */
static inline bool rf_was_closed(const void *stream, const rf_origin *origin) {
  return rf_may_be_freed(stream) && !rf_process_uses(stream, origin);
}

#define USES(type, failed, name, parameters, arguments, stream)                                                        \
  UNLESS_FREED(type, failed, name, parameters, arguments, stream, rf_was_closed(stream, &origin))

/* After a call that reads: its stream's buffer may be closed memory, which the system refuses to fill. */
static inline void rf_has_read(FILE *stream, const rf_origin *origin) {
  if (RF_UNLIKELY(errno == EFAULT) && rf_guarded_blocks.store != NULL) {
    rf_stream_buffer_refused(stream, origin);
  }
}

/* A function that reads from `stream`, and gives `failed` where it cannot. Where no block has pages of its own, the
 * common way is that of USES; elsewhere it compares what the function gives. */
#define READS(type, failed, name, parameters, arguments)                                                               \
  RF_COLD static type look_in_##name parameters {                                                                      \
    rf_origin const origin = RF_CALLER;                                                                                \
    find_theirs();                                                                                                     \
    if (rf_was_closed(stream, &origin)) {                                                                              \
      return (failed);                                                                                                 \
    }                                                                                                                  \
    type const result = theirs.name arguments;                                                                         \
    rf_has_read(stream, &origin);                                                                                      \
    return result;                                                                                                     \
  }                                                                                                                    \
  static type watch_##name parameters {                                                                                \
    type const result = theirs.name arguments;                                                                         \
    if (RF_UNLIKELY(result == (failed))) {                                                                             \
      rf_origin const origin = RF_CALLER;                                                                              \
      rf_has_read(stream, &origin);                                                                                    \
    }                                                                                                                  \
    return result;                                                                                                     \
  }                                                                                                                    \
  NO_FRAME RF_EXPORT type name parameters {                                                                            \
    if (RF_UNLIKELY(theirs.name == NULL || rf_may_be_freed(stream))) {                                                 \
      return look_in_##name arguments;                                                                                 \
    }                                                                                                                  \
    return rf_guarded_blocks.store != NULL ? watch_##name arguments : theirs.name arguments;                           \
  }

/* A function that gives nothing. */
#define USES_ONLY(name, parameters, arguments, stream)                                                                 \
  DONE_UNLESS_FREED(name, parameters, arguments, rf_was_closed(stream, &origin))

/* A function with arguments behind the format, by the one that takes them as a list; `then` comes after it. */
#define WITH_LIST(name, by, parameters, arguments, then)                                                               \
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
    then;                                                                                                              \
    return result;                                                                                                     \
  }
#define USES_LIST(name, by, parameters, arguments) WITH_LIST(name, by, parameters, arguments, (void)0)
#define READS_LIST(name, by, parameters, arguments)                                                                    \
  WITH_LIST(name, by, parameters, arguments, rf_has_read(stream, &origin))

#endif /* RINGFENCE_DROPIN_INTERCEPT_CLOSED_H */
