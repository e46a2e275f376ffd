/* A destination whose size the compiler knows (_FORTIFY_SOURCE), in a call that the C library stops where that is too
 * small. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_FORTIFY_H
#define RINGFENCE_DROPIN_INTERCEPT_FORTIFY_H

#include "checkers/dropin/malloc/address_findings.h"
#include "checkers/dropin/os/export.h"
#include "intercept.h"
#include "lib/core/compiler.h"

#include <ringfence/layout.h>
#include <stdio.h>

/* `n` pieces of `size`; SIZE_MAX where no memory is as large. */
static inline size_t rf_fortify_size(size_t size, size_t n) {
  size_t all;
  return rf_mul(size, n, &all) ? all : SIZE_MAX;
}

/* `to`; a write of `size` bytes to it that has only `room` is reported first. */
static inline void *rf_fortify_look(void *to, size_t size, size_t room, const rf_origin *origin) {
  if (RF_UNLIKELY(size > room)) {
    rf_report_stopped_write(to, size, room, origin);
  }
  return to;
}

/* The same in an exported function, as an argument of the C library's, which stops the write. */
#define FITTING(to, size, room) rf_fortify_look((to), (size), (room), &(rf_origin)RF_CALLER)

/* Reports a write of `size` characters of `width` bytes to `to`, which has room for `room` of them, and has the C
 * library abort. */
void rf_fortify_stop(const void *to, size_t size, size_t room, size_t width, const rf_origin *origin)
    __attribute__((noreturn));

/* In an exported function with the parameters `to` and `room`: `size` is set to `length`, and a write of so many
 * characters that do not fit is stopped. */
#define FIT(width, length)                                                                                             \
  size_t const size = (length);                                                                                        \
  if (RF_UNLIKELY(size > room)) {                                                                                      \
    rf_origin const origin = RF_CALLER;                                                                                \
    rf_fortify_stop(to, size, room, (width), &origin);                                                                 \
  }

/* The two forms of a function for formatted output: with its arguments, and with a list of them. */
#define FORTIFIED_PRINTS(name, listed, by, character, head, arguments)                                                 \
  int name(HEAD_OF head, const character *restrict format, ...);                                                       \
  __typeof__(name) OURS(name);                                                                                         \
  __typeof__(listed) OURS(listed);                                                                                     \
  RF_EXPORT int OURS(name)(HEAD_OF head, const character *restrict format, ...) {                                      \
    rf_origin const origin = RF_CALLER;                                                                                \
    va_list list;                                                                                                      \
    va_start(list, format);                                                                                            \
    int const length = by arguments;                                                                                   \
    va_end(list);                                                                                                      \
    return length;                                                                                                     \
  }                                                                                                                    \
  RF_EXPORT int OURS(listed)(HEAD_OF head, const character *restrict format, va_list list) {                           \
    rf_origin const origin = RF_CALLER;                                                                                \
    return by arguments;                                                                                               \
  }
#define HEAD_OF(...) __VA_ARGS__

/* fgets with a bound of more than `room`: a line that fits is read, a longer one reported and stopped. */
char *rf_fortify_line(char *to, size_t room, FILE *stream, const rf_origin *origin);

#endif /* RINGFENCE_DROPIN_INTERCEPT_FORTIFY_H */
