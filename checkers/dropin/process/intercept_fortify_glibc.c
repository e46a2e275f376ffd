/* Interception of copies and of formatted output whose length the C library compares with what the compiler knows of
 * their destination (_FORTIFY_SOURCE), in the library and in programs that the drop-in is linked into.
 *
 * The C library ends the process by SIGABRT before such a write is done, and does not tell whose memory it was. So the
 * length is looked at first, and the write is reported with the block that it would have left.
 *
 * Complexity: a comparison; strings are measured and copied, as the C library does. Threads and signal handlers: as the
 * functions behind.
 */
#ifdef _FORTIFY_SOURCE
#undef _FORTIFY_SOURCE
#endif
#define _GNU_SOURCE
#include "intercept_files.h"
#include "intercept_fortify.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

void __chk_fail(void) __attribute__((noreturn));
int __vsprintf_chk(char *restrict to, int flag, size_t room, const char *restrict format, va_list list);
int __vsnprintf_chk(char *restrict to, size_t n, int flag, size_t room, const char *restrict format, va_list list);

#define EACH(with) with(__vsprintf_chk) with(__vsnprintf_chk)

#if RF_DROPIN_LIBRARY
#define ABORT __chk_fail
#else
#define ABORT __real___chk_fail
#endif

EACH(DECLARE_LINKED)

static void find_each(void);
THEIRS_BY(find_each, __vsprintf_chk)

void rf_intercept_fortify_init(void) {
  find_each();
#if RF_DROPIN_LIBRARY
  rf_intercept_fortified_calls_init();
#endif
}

#if !RF_DROPIN_LIBRARY
/* ---- The ends of other calls, and of functions whose stack was overwritten: a static program's C library leaves no
 * message ---- */

#define ENDS(name, bug)                                                                                                \
  void __real_##name(void) __attribute__((noreturn));                                                                  \
  void __wrap_##name(void);                                                                                            \
  RF_COLD void __wrap_##name(void) {                                                                                   \
    rf_origin const origin = RF_CALLER;                                                                                \
    rf_report_stopped((bug), &origin);                                                                                 \
    __real_##name();                                                                                                   \
  }

ENDS(__chk_fail, RF_BUG_STOPPED_OVERFLOW)
ENDS(__stack_chk_fail, RF_BUG_STACK_OVERFLOW)
#endif

RF_COLD void rf_fortify_stop(const void *to, size_t size, size_t room, size_t width, const rf_origin *origin) {
  rf_report_stopped_write(to, rf_fortify_size(width, size), room * width, origin);
  ABORT();
}

/* ---- Memory and strings ----
 *
 * Done here where they fit: the C library's own would compare once more. */

#define COPIES(type, name, parameters, width, length, done)                                                            \
  type name parameters;                                                                                                \
  __typeof__(name) OURS(name);                                                                                         \
  RF_EXPORT type OURS(name) parameters {                                                                               \
    FIT((width), (length))                                                                                             \
    return done;                                                                                                       \
  }

#define BYTES(name, parameters, length, done) COPIES(char *, name, parameters, 1, length, done)
#define WIDE(name, parameters, length, done) COPIES(wchar_t *, name, parameters, sizeof(wchar_t), length, done)

#define MEMORY (void *restrict to, const void *restrict from, size_t n, size_t room)
#define STRING (char *restrict to, const char *restrict from, size_t room)
#define STRING_OF (char *restrict to, const char *restrict from, size_t n, size_t room)
#define WIDE_STRING (wchar_t *restrict to, const wchar_t *restrict from, size_t room)
#define WIDE_OF (wchar_t *restrict to, const wchar_t *restrict from, size_t n, size_t room)

COPIES(void *, __memcpy_chk, MEMORY, 1, n, memcpy(to, from, n))
COPIES(void *, __mempcpy_chk, MEMORY, 1, n, mempcpy(to, from, n))
COPIES(void *, __memmove_chk, (void *to, const void *from, size_t n, size_t room), 1, n, memmove(to, from, n))
COPIES(void *, __memset_chk, (void *to, int byte, size_t n, size_t room), 1, n, memset(to, byte, n))

BYTES(__strcpy_chk, STRING, strlen(from) + 1, (char *)memcpy(to, from, size))
BYTES(__stpcpy_chk, STRING, strlen(from) + 1, (char *)mempcpy(to, from, size) - 1)
BYTES(__strncpy_chk, STRING_OF, n, strncpy(to, from, n))
BYTES(__stpncpy_chk, STRING_OF, n, stpncpy(to, from, n))
BYTES(__strcat_chk, STRING, strnlen(to, room) + strlen(from) + 1, strcat(to, from))
BYTES(__strncat_chk, STRING_OF, strnlen(to, room) + strnlen(from, n) + 1, strncat(to, from, n))

WIDE(__wmemcpy_chk, WIDE_OF, n, wmemcpy(to, from, n))
WIDE(__wmempcpy_chk, WIDE_OF, n, wmempcpy(to, from, n))
WIDE(__wmemmove_chk, (wchar_t * to, const wchar_t *from, size_t n, size_t room), n, wmemmove(to, from, n))
WIDE(__wmemset_chk, (wchar_t * to, wchar_t character, size_t n, size_t room), n, wmemset(to, character, n))
WIDE(__wcscpy_chk, WIDE_STRING, wcslen(from) + 1, wmemcpy(to, from, size))
WIDE(__wcpcpy_chk, WIDE_STRING, wcslen(from) + 1, wmempcpy(to, from, size) - 1)
WIDE(__wcsncpy_chk, WIDE_OF, n, wcsncpy(to, from, n))
WIDE(__wcpncpy_chk, WIDE_OF, n, wcpncpy(to, from, n))
WIDE(__wcscat_chk, WIDE_STRING, wcsnlen(to, room) + wcslen(from) + 1, wcscat(to, from))
WIDE(__wcsncat_chk, WIDE_OF, wcsnlen(to, room) + wcsnlen(from, n) + 1, wcsncat(to, from, n))

void __explicit_bzero_chk(void *to, size_t n, size_t room);
__typeof__(__explicit_bzero_chk) OURS(__explicit_bzero_chk);
RF_EXPORT void OURS(__explicit_bzero_chk)(void *to, size_t n, size_t room) {
  FIT(1, n)
  explicit_bzero(to, size);
}

/* ---- Formatted output ---- */

/* As many bytes as fit are written, by which the length is known: what the C library does, too, before it aborts. */
static int print(char *to, int flag, size_t room, const char *format, va_list list, const rf_origin *origin) {
  find_theirs();
  if (room > INT_MAX) {
    return theirs.__vsprintf_chk(to, flag, room, format, list);
  }
  int const length = theirs.__vsnprintf_chk(to, room, flag, room, format, list);
  if (RF_UNLIKELY(length >= 0 && (size_t)length >= room)) {
    rf_fortify_stop(to, (size_t)length + 1, room, 1, origin);
  }
  return length;
}

static int print_of(char *to, size_t n, int flag, size_t room, const char *format, va_list list,
                    const rf_origin *origin) {
  find_theirs();
  if (RF_UNLIKELY(n > room)) {
    rf_fortify_stop(to, n, room, 1, origin);
  }
  return theirs.__vsnprintf_chk(to, n, flag, room, format, list);
}

FORTIFIED_PRINTS(__sprintf_chk, __vsprintf_chk, print, char, (char *restrict to, int flag, size_t room),
                 (to, flag, room, format, list, &origin))
FORTIFIED_PRINTS(__snprintf_chk, __vsnprintf_chk, print_of, char, (char *restrict to, size_t n, int flag, size_t room),
                 (to, n, flag, room, format, list, &origin))
