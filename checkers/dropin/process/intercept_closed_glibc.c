/* Interception of calls with a stream that the program has closed. Only in the library.
 *
 * The memory of a closed stream is filled, and lies on pages of its own once a finding named it. Without a look at the
 * stream, fputs would take the fill for flags and return EOF, and nothing would be reported. Calls that take or give a
 * single byte are left alone, for their time, as are those that take no lock.
 *
 * Complexity: loads of the heap's map and of the block's state.
 * Threads and signal handlers: as the functions behind.
 */
#ifdef _FORTIFY_SOURCE
#undef _FORTIFY_SOURCE
#endif
#ifndef __NO_INLINE__
#define __NO_INLINE__ 1 /* the C library's header has a getline of its own where the compiler optimises */
#endif
#define _GNU_SOURCE
#include "intercept_closed.h"
#include "intercept_files.h"
#include "intercept_fortify.h"

#include <gnu/libc-version.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

char *__fgets_chk(char *restrict buf, size_t room, int n, FILE *restrict stream);
int __vfprintf_chk(FILE *restrict stream, int flag, const char *restrict format, va_list list);
int __fprintf_chk(FILE *restrict stream, int flag, const char *restrict format, ...);
int __isoc99_vfscanf(FILE *restrict stream, const char *restrict format, va_list list);
int __isoc99_fscanf(FILE *restrict stream, const char *restrict format, ...);
int __isoc23_vfscanf(FILE *restrict stream, const char *restrict format, va_list list);
int __isoc23_fscanf(FILE *restrict stream, const char *restrict format, ...);
ssize_t __getdelim(char **restrict line, size_t *restrict size, int end, FILE *restrict stream);

#define EACH(with)                                                                                                     \
  with(fgets) with(__fgets_chk) with(fputs) with(vfprintf) with(__vfprintf_chk) with(__isoc99_vfscanf) with(fseek)     \
      with(fseeko) with(fseeko64) with(ftell) with(ftello) with(ftello64) with(rewind) with(fgetpos) with(fgetpos64)   \
          with(fsetpos) with(fsetpos64) with(getline) with(getdelim) with(__getdelim) with(ungetc) with(setvbuf)       \
              with(setbuf) with(setbuffer) with(setlinebuf) with(feof) with(ferror) with(clearerr) with(fileno)

static void find_each(void);
THEIRS_BY(find_each, fgets)

/* Programs that are compiled with glibc 2.38 or newer call it as fscanf; it reads binary numbers as well. NULL: not
 * there, or nothing was looked for yet. */
static __typeof__(&__isoc23_vfscanf) vfscanf_of_2023;

/* The loader allocates its message where a name is not there: in a malloc of the program's that may not be ready. */
static bool has_scanf_of_2023(void) {
  return strverscmp(gnu_get_libc_version(), "2.38") >= 0;
}

void rf_intercept_closed_init(void) {
  find_each();
  rf_intercept_folders_init();
  bool const has_2023 = has_scanf_of_2023();
  vfscanf_of_2023 = has_2023 ? THEIRS(__isoc23_vfscanf) : NULL;
  rf_intercept_wide_init(has_2023);
}

static int scan_as_in_2023(FILE *restrict stream, const char *restrict format, va_list list) {
  return vfscanf_of_2023 != NULL ? vfscanf_of_2023(stream, format, list)
                                 : theirs.__isoc99_vfscanf(stream, format, list);
}

/* ---- Streams ---- */

READS(char *, NULL, fgets, (char *restrict buf, int n, FILE *restrict stream), (buf, n, stream))
RF_COLD RF_EXPORT char *__fgets_chk(char *restrict buf, size_t room, int n, FILE *restrict stream) {
  rf_origin const origin = RF_CALLER;
  find_theirs();
  if (!rf_process_uses(stream, &origin)) {
    return NULL;
  }
  if (n > 0 && (size_t)n > room) {
    return rf_fortify_line(buf, room, stream, &origin);
  }
  char *const result = theirs.__fgets_chk(buf, room, n, stream);
  rf_has_read(stream, &origin);
  return result;
}
READS(ssize_t, -1, getline, (char **restrict line, size_t *restrict size, FILE *restrict stream), (line, size, stream))
READS(ssize_t, -1, getdelim, (char **restrict line, size_t *restrict size, int end, FILE *restrict stream),
      (line, size, end, stream))
READS(ssize_t, -1, __getdelim, (char **restrict line, size_t *restrict size, int end, FILE *restrict stream),
      (line, size, end, stream))
USES(int, EOF, fputs, (const char *restrict text, FILE *restrict stream), (text, stream), stream)
USES(int, EOF, vfprintf, (FILE *restrict stream, const char *restrict format, va_list list), (stream, format, list),
     stream)
USES(int, EOF, __vfprintf_chk, (FILE *restrict stream, int flag, const char *restrict format, va_list list),
     (stream, flag, format, list), stream)
READS(int, EOF, __isoc99_vfscanf, (FILE *restrict stream, const char *restrict format, va_list list),
      (stream, format, list))
USES_LIST(fprintf, theirs.vfprintf, (FILE *restrict stream, const char *restrict format, ...), (stream, format, list))
USES_LIST(__fprintf_chk, theirs.__vfprintf_chk, (FILE *restrict stream, int flag, const char *restrict format, ...),
          (stream, flag, format, list))
READS_LIST(__isoc99_fscanf, theirs.__isoc99_vfscanf, (FILE *restrict stream, const char *restrict format, ...),
           (stream, format, list))
READS_LIST(__isoc23_fscanf, scan_as_in_2023, (FILE *restrict stream, const char *restrict format, ...),
           (stream, format, list))
RF_COLD RF_EXPORT int __isoc23_vfscanf(FILE *restrict stream, const char *restrict format, va_list list) {
  rf_origin const origin = RF_CALLER;
  find_theirs();
  if (!rf_process_uses(stream, &origin)) {
    return EOF;
  }
  int const result = scan_as_in_2023(stream, format, list);
  rf_has_read(stream, &origin);
  return result;
}
USES(int, -1, fseek, (FILE * stream, long offset, int from), (stream, offset, from), stream)
USES(int, -1, fseeko, (FILE * stream, off_t offset, int from), (stream, offset, from), stream)
USES(int, -1, fseeko64, (FILE * stream, off64_t offset, int from), (stream, offset, from), stream)
USES(long, -1, ftell, (FILE * stream), (stream), stream)
USES(off_t, -1, ftello, (FILE * stream), (stream), stream)
USES(off64_t, -1, ftello64, (FILE * stream), (stream), stream)
USES_ONLY(rewind, (FILE * stream), (stream), stream)
USES(int, -1, setvbuf, (FILE *restrict stream, char *restrict buf, int mode, size_t size), (stream, buf, mode, size),
     stream)
USES(int, -1, fgetpos, (FILE *restrict stream, fpos_t *restrict place), (stream, place), stream)
USES(int, -1, fgetpos64, (FILE *restrict stream, fpos64_t *restrict place), (stream, place), stream)
USES(int, -1, fsetpos, (FILE * stream, const fpos_t *place), (stream, place), stream)
USES(int, -1, fsetpos64, (FILE * stream, const fpos64_t *place), (stream, place), stream)
USES(int, EOF, ungetc, (int character, FILE *stream), (character, stream), stream)
USES_ONLY(setbuf, (FILE *restrict stream, char *restrict buf), (stream, buf), stream)
USES_ONLY(setbuffer, (FILE *restrict stream, char *restrict buf, size_t size), (stream, buf, size), stream)
USES_ONLY(setlinebuf, (FILE * stream), (stream), stream)
USES(int, 1, feof, (FILE * stream), (stream), stream) /* a loop to the end ends */
USES(int, 1, ferror, (FILE * stream), (stream), stream)
USES_ONLY(clearerr, (FILE * stream), (stream), stream)
USES(int, -1, fileno, (FILE * stream), (stream), stream)
