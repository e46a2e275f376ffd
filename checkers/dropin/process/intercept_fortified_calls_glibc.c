/* Interception of further calls whose length the C library compares with what the compiler knows of their destination
 * (_FORTIFY_SOURCE), as intercept_fortify_glibc.c's are. Only in the library. Those that move data by way of the system
 * or a stream are intercept_glibc.c's, intercept_calls_glibc.c's and intercept_closed_glibc.c's.
 *
 * Complexity: a comparison. Threads and signal handlers: as the functions behind.
 */
#ifdef _FORTIFY_SOURCE
#undef _FORTIFY_SOURCE
#endif
#define _GNU_SOURCE
#include "intercept_files.h"
#include "intercept_fortify.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

int __vswprintf_chk(wchar_t *restrict to, size_t n, int flag, size_t room, const wchar_t *restrict format,
                    va_list list);
char *__fgets_unlocked_chk(char *restrict to, size_t room, int n, FILE *restrict stream);
char *__getcwd_chk(char *to, size_t n, size_t room);
char *__realpath_chk(const char *restrict path, char *restrict to, size_t room);
ssize_t __readlinkat_chk(int folder, const char *restrict path, char *restrict to, size_t n, size_t room);
int __gethostname_chk(char *to, size_t n, size_t room);
size_t __mbstowcs_chk(wchar_t *restrict to, const char *restrict from, size_t n, size_t room);
size_t __wcstombs_chk(char *restrict to, const wchar_t *restrict from, size_t n, size_t room);

#define EACH(with)                                                                                                     \
  with(__vswprintf_chk) with(__fgets_unlocked_chk) with(__getcwd_chk) with(__realpath_chk) with(__readlinkat_chk)      \
      with(__gethostname_chk) with(__mbstowcs_chk) with(__wcstombs_chk)

THEIRS_BY(rf_intercept_fortified_calls_init, __vswprintf_chk)

static int print_wide(wchar_t *to, size_t n, int flag, size_t room, const wchar_t *format, va_list list,
                      const rf_origin *origin) {
  find_theirs();
  if (RF_UNLIKELY(n > room)) {
    rf_fortify_stop(to, n, room, sizeof *to, origin);
  }
  return theirs.__vswprintf_chk(to, n, flag, room, format, list);
}

FORTIFIED_PRINTS(__swprintf_chk, __vswprintf_chk, print_wide, wchar_t,
                 (wchar_t *restrict to, size_t n, int flag, size_t room), (to, n, flag, room, format, list, &origin))

/* ---- Others, which the C library stops itself ---- */

#define FILLS(type, name, parameters, width, n, arguments)                                                             \
  RF_EXPORT type name parameters {                                                                                     \
    find_theirs();                                                                                                     \
    FIT(width, n)                                                                                                      \
    return theirs.name arguments;                                                                                      \
  }

FILLS(char *, __getcwd_chk, (char *to, size_t n, size_t room), 1, n, (to, n, room))
FILLS(char *, __realpath_chk, (const char *restrict path, char *restrict to, size_t room), 1, (size_t)PATH_MAX,
      (path, to, room))
FILLS(ssize_t, __readlinkat_chk, (int folder, const char *restrict path, char *restrict to, size_t n, size_t room), 1,
      n, (folder, path, to, n, room))
FILLS(int, __gethostname_chk, (char *to, size_t n, size_t room), 1, n, (to, n, room))
FILLS(size_t, __mbstowcs_chk, (wchar_t *restrict to, const char *restrict from, size_t n, size_t room), sizeof *to, n,
      (to, from, n, room))
FILLS(size_t, __wcstombs_chk, (char *restrict to, const wchar_t *restrict from, size_t n, size_t room), 1, n,
      (to, from, n, room))

/* ---- Lines: one may fit though the call has a larger bound ---- */

/* As the C library reads it, no more than the destination holds. */
static char *read_line(char *to, size_t room, FILE *stream, const rf_origin *origin) {
  size_t length = 0;
  int c = 0;
  while (length < room && c != '\n' && (c = getc_unlocked(stream)) != EOF) {
    to[length++] = (char)c;
  }
  if (length == room) {
    rf_fortify_stop(to, room + 1, room, 1, origin);
  }
  if (length == 0 || (ferror_unlocked(stream) && errno != EAGAIN)) {
    return NULL;
  }
  to[length] = '\0';
  return to;
}

RF_COLD char *rf_fortify_line(char *to, size_t room, FILE *stream, const rf_origin *origin) {
  flockfile(stream);
  char *const line = read_line(to, room, stream, origin);
  funlockfile(stream);
  return line;
}

RF_EXPORT char *__fgets_unlocked_chk(char *restrict to, size_t room, int n, FILE *restrict stream) {
  rf_origin const origin = RF_CALLER;
  find_theirs();
  return n > 0 && (size_t)n > room ? read_line(to, room, stream, &origin)
                                   : theirs.__fgets_unlocked_chk(to, room, n, stream);
}
