/* Interception of calls for wide characters with a stream that the program has closed. Only in the library.
 *
 * As those for bytes (intercept_closed_glibc.c). Single characters are looked at as well: their conversion takes more
 * time than the look.
 */
#ifdef _FORTIFY_SOURCE
#undef _FORTIFY_SOURCE
#endif
#define _GNU_SOURCE
#include "intercept_closed.h"
#include "intercept_files.h"

#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

wchar_t *__fgetws_chk(wchar_t *restrict buf, size_t room, int n, FILE *restrict stream);
int __vfwprintf_chk(FILE *restrict stream, int flag, const wchar_t *restrict format, va_list list);
int __fwprintf_chk(FILE *restrict stream, int flag, const wchar_t *restrict format, ...);
int __isoc99_vfwscanf(FILE *restrict stream, const wchar_t *restrict format, va_list list);
int __isoc99_fwscanf(FILE *restrict stream, const wchar_t *restrict format, ...);
int __isoc23_vfwscanf(FILE *restrict stream, const wchar_t *restrict format, va_list list);
int __isoc23_fwscanf(FILE *restrict stream, const wchar_t *restrict format, ...);

#define EACH(with)                                                                                                     \
  with(fgetws) with(__fgetws_chk) with(fputws) with(fgetwc) with(getwc) with(fputwc) with(putwc) with(ungetwc)         \
      with(fwide) with(vfwprintf) with(__vfwprintf_chk) with(__isoc99_vfwscanf)

static void find_each(void);
THEIRS_BY(find_each, fgetws)

/* As of those for bytes. */
static __typeof__(&__isoc23_vfwscanf) vfwscanf_of_2023;

void rf_intercept_wide_init(bool has_scanf_of_2023) {
  find_each();
  vfwscanf_of_2023 = has_scanf_of_2023 ? THEIRS(__isoc23_vfwscanf) : NULL;
}

static int scan_as_in_2023(FILE *restrict stream, const wchar_t *restrict format, va_list list) {
  return vfwscanf_of_2023 != NULL ? vfwscanf_of_2023(stream, format, list)
                                  : theirs.__isoc99_vfwscanf(stream, format, list);
}

READS(wchar_t *, NULL, fgetws, (wchar_t *restrict buf, int n, FILE *restrict stream), (buf, n, stream))
READS(wchar_t *, NULL, __fgetws_chk, (wchar_t *restrict buf, size_t room, int n, FILE *restrict stream),
      (buf, room, n, stream))
USES(int, -1, fputws, (const wchar_t *restrict text, FILE *restrict stream), (text, stream), stream)
READS(wint_t, WEOF, fgetwc, (FILE * stream), (stream))
READS(wint_t, WEOF, getwc, (FILE * stream), (stream))
USES(wint_t, WEOF, fputwc, (wchar_t character, FILE *stream), (character, stream), stream)
USES(wint_t, WEOF, putwc, (wchar_t character, FILE *stream), (character, stream), stream)
USES(wint_t, WEOF, ungetwc, (wint_t character, FILE *stream), (character, stream), stream)
USES(int, 0, fwide, (FILE * stream, int mode), (stream, mode), stream)
USES(int, -1, vfwprintf, (FILE *restrict stream, const wchar_t *restrict format, va_list list), (stream, format, list),
     stream)
USES(int, -1, __vfwprintf_chk, (FILE *restrict stream, int flag, const wchar_t *restrict format, va_list list),
     (stream, flag, format, list), stream)
READS(int, EOF, __isoc99_vfwscanf, (FILE *restrict stream, const wchar_t *restrict format, va_list list),
      (stream, format, list))
USES_LIST(fwprintf, theirs.vfwprintf, (FILE *restrict stream, const wchar_t *restrict format, ...),
          (stream, format, list))
USES_LIST(__fwprintf_chk, theirs.__vfwprintf_chk,
          (FILE *restrict stream, int flag, const wchar_t *restrict format, ...), (stream, flag, format, list))
READS_LIST(__isoc99_fwscanf, theirs.__isoc99_vfwscanf, (FILE *restrict stream, const wchar_t *restrict format, ...),
           (stream, format, list))
READS_LIST(__isoc23_fwscanf, scan_as_in_2023, (FILE *restrict stream, const wchar_t *restrict format, ...),
           (stream, format, list))
RF_COLD RF_EXPORT int __isoc23_vfwscanf(FILE *restrict stream, const wchar_t *restrict format, va_list list) {
  rf_origin const origin = RF_CALLER;
  find_theirs();
  if (!rf_process_uses(stream, &origin)) {
    return EOF;
  }
  int const result = scan_as_in_2023(stream, format, list);
  rf_has_read(stream, &origin);
  return result;
}
