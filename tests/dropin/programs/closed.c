/* Calls with a stream that was closed. As bugs.c; says "refused" where the call fails with EBADF. */
#define _GNU_SOURCE
#include "cases.h"
#include "marks.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* readdir_r */

/* Programs that are compiled with _FORTIFY_SOURCE call these. */
char *__fgets_chk(char *buf, size_t room, int n, FILE *stream);
int __fprintf_chk(FILE *stream, int flag, const char *format, ...);
int __vfprintf_chk(FILE *stream, int flag, const char *format, va_list list);
ssize_t __getdelim(char **line, size_t *size, int end, FILE *stream);
int __isoc99_fscanf(FILE *stream, const char *format, ...);
int __isoc99_vfscanf(FILE *stream, const char *format, va_list list);
wchar_t *__fgetws_chk(wchar_t *buf, size_t room, int n, FILE *stream);
int __fwprintf_chk(FILE *stream, int flag, const wchar_t *format, ...);
int __vfwprintf_chk(FILE *stream, int flag, const wchar_t *format, va_list list);
int __isoc99_fwscanf(FILE *stream, const wchar_t *format, ...);
int __isoc99_vfwscanf(FILE *stream, const wchar_t *format, va_list list);

static void say(int failed) {
  if (bad && failed && errno == EBADF) {
    puts("refused");
  }
}

static char text[16];
static wchar_t wide[16];
static fpos_t place;
static fpos64_t place64;
static char *line;
static size_t room;
static struct dirent entry;
static struct dirent *next;
static struct dirent64 entry64;
static struct dirent64 *next64;

#define USE(name, failed)                                                                                              \
  static void name##_of_a_closed_stream(void) {                                                                        \
    FILE *volatile stream = fopen("/dev/null", "r+");                                                                  \
    if (bad) {                                                                                                         \
      fclose(stream);                                                                                                  \
    }                                                                                                                  \
    errno = 0;                                                                                                         \
    mark("found");                                                                                                     \
    say(failed);                                                                                                       \
    if (!bad) {                                                                                                        \
      fclose(stream);                                                                                                  \
    }                                                                                                                  \
    free(line);                                                                                                        \
    line = NULL;                                                                                                       \
  }

#define USE_FOLDER(name, failed)                                                                                       \
  static void name##_of_a_closed_folder(void) {                                                                        \
    DIR *volatile folder = opendir("/");                                                                               \
    if (bad) {                                                                                                         \
      closedir(folder);                                                                                                \
    }                                                                                                                  \
    errno = 0;                                                                                                         \
    mark("found");                                                                                                     \
    say(failed);                                                                                                       \
    if (!bad) {                                                                                                        \
      closedir(folder);                                                                                                \
    }                                                                                                                  \
  }

/* Calls that take the arguments behind the format as a list. */
static int list_to(int (*call)(FILE *stream, const char *format, va_list list), FILE *stream, const char *format, ...) {
  va_list list;
  va_start(list, format);
  mark("found");
  int const result = call(stream, format, list);
  va_end(list);
  return result;
}

static int vfprintf_checked(FILE *stream, const char *format, va_list list) {
  mark("found");
  return __vfprintf_chk(stream, 1, format, list);
}

static int wide_list_to(int (*call)(FILE *stream, const wchar_t *format, va_list list), FILE *stream,
                        const wchar_t *format, ...) {
  va_list list;
  va_start(list, format);
  mark("found");
  int const result = call(stream, format, list);
  va_end(list);
  return result;
}

static int vfwprintf_checked(FILE *stream, const wchar_t *format, va_list list) {
  mark("found");
  return __vfwprintf_chk(stream, 1, format, list);
}

USE(fgets, fgets(text, sizeof text, stream) == NULL)
USE(fgets_chk, __fgets_chk(text, sizeof text, sizeof text, stream) == NULL)
USE(getline, getline(&line, &room, stream) == -1)
USE(getdelim, getdelim(&line, &room, ';', stream) == -1)
USE(getdelim_own, __getdelim(&line, &room, ';', stream) == -1)
USE(fputs, fputs("text", stream) == EOF)
USE(fprintf, fprintf(stream, "%d %s", 1, text) == EOF)
USE(fprintf_chk, __fprintf_chk(stream, 1, "%d %s", 1, text) == EOF)
USE(vfprintf, list_to(vfprintf, stream, "%s", text) == EOF)
USE(vfprintf_chk, list_to(vfprintf_checked, stream, "%s", text) == EOF)
USE(fscanf, __isoc99_fscanf(stream, "%15s", text) == EOF)
USE(vfscanf, list_to(__isoc99_vfscanf, stream, "%15s", text) == EOF)
/* Programs that are compiled with glibc 2.38 call this one, which the C library here may not have. */
typedef int (*scan)(FILE *stream, const char *format, ...);
typedef int (*wide_scan)(FILE *stream, const wchar_t *format, ...);

static scan newer_fscanf(void) {
  void *const ours = dlsym(RTLD_DEFAULT, "__isoc23_fscanf");
  scan function = __isoc99_fscanf;
  if (ours != NULL) {
    memcpy(&function, &ours, sizeof function);
  }
  return function;
}

static wide_scan newer_fwscanf(void) {
  void *const ours = dlsym(RTLD_DEFAULT, "__isoc23_fwscanf");
  wide_scan function = __isoc99_fwscanf;
  if (ours != NULL) {
    memcpy(&function, &ours, sizeof function);
  }
  return function;
}

USE(fscanf_of_2023, newer_fscanf()(stream, "%15s", text) == EOF)
USE(fread, fread(text, 1, sizeof text, stream) == 0)
USE(fwrite, fwrite(text, 1, sizeof text, stream) == 0)
USE(fseek, fseek(stream, 0, SEEK_SET) == -1)
USE(fseeko, fseeko(stream, 0, SEEK_SET) == -1)
USE(fseeko64, fseeko64(stream, 0, SEEK_SET) == -1)
USE(ftell, ftell(stream) == -1)
USE(ftello, ftello(stream) == -1)
USE(ftello64, ftello64(stream) == -1)
USE(rewind, (rewind(stream), 1))
USE(setvbuf, setvbuf(stream, NULL, _IONBF, 0) != 0)
USE(fgetpos, fgetpos(stream, &place) != 0)
USE(fgetpos64, fgetpos64(stream, &place64) != 0)
USE(fsetpos, fsetpos(stream, &place) != 0)
USE(fsetpos64, fsetpos64(stream, &place64) != 0)
USE(ungetc, ungetc('c', stream) == EOF)
USE(setbuf, (setbuf(stream, NULL), 1))
USE(setbuffer, (setbuffer(stream, NULL, 0), 1))
USE(setlinebuf, (setlinebuf(stream), 1))
USE(feof, feof(stream) != 0)
USE(ferror, ferror(stream) != 0)
USE(clearerr, (clearerr(stream), 1))
USE(fileno, fileno(stream) == -1)
USE(fgetws, fgetws(wide, sizeof wide / sizeof *wide, stream) == NULL)
USE(fgetws_chk, __fgetws_chk(wide, sizeof wide / sizeof *wide, sizeof wide / sizeof *wide, stream) == NULL)
USE(fputws, fputws(L"text", stream) == -1)
USE(fgetwc, fgetwc(stream) == WEOF)
USE(getwc, getwc(stream) == WEOF)
USE(fputwc, fputwc(L'c', stream) == WEOF)
USE(putwc, putwc(L'c', stream) == WEOF)
USE(ungetwc, ungetwc(L'c', stream) == WEOF)
USE(fwide, fwide(stream, 0) == 0)
USE(fwprintf, fwprintf(stream, L"%d", 1) == -1)
USE(fwprintf_chk, __fwprintf_chk(stream, 1, L"%d", 1) == -1)
USE(vfwprintf, wide_list_to(vfwprintf, stream, L"%d", 1) == -1)
USE(vfwprintf_chk, wide_list_to(vfwprintf_checked, stream, L"%d", 1) == -1)
USE(fwscanf, __isoc99_fwscanf(stream, L"%15ls", wide) == EOF)
USE(vfwscanf, wide_list_to(__isoc99_vfwscanf, stream, L"%15ls", wide) == EOF)
USE(fwscanf_of_2023, newer_fwscanf()(stream, L"%15ls", wide) == EOF)
USE_FOLDER(readdir, readdir(folder) == NULL)
USE_FOLDER(readdir64, readdir64(folder) == NULL)
USE_FOLDER(readdir_r, (errno = readdir_r(folder, &entry, &next)) != 0)
USE_FOLDER(readdir64_r, (errno = readdir64_r(folder, &entry64, &next64)) != 0)
USE_FOLDER(rewinddir, (rewinddir(folder), 1))
USE_FOLDER(telldir, telldir(folder) == -1)
USE_FOLDER(seekdir, (seekdir(folder, 0), 1))
USE_FOLDER(closedir, bad &&closedir(folder) == -1)
USE_FOLDER(dirfd, dirfd(folder) == -1)

/* Not closed: the C library has it in its list. */
static void stream_that_is_freed(void) {
  FILE *const stream = fopen("/dev/null", "r+");
  if (bad) {
    mark("released");
    free(stream);
  } else {
    fclose(stream);
  }
}

static void stream_that_is_freed_before_all_are_flushed(void) {
  stream_that_is_freed();
  mark("found");
  fflush(NULL);
}

int main(int argc, char **argv) {
  static const test_case cases[] = {
      CASE(stream_that_is_freed),
      CASE(stream_that_is_freed_before_all_are_flushed),
      CASE(fgets_of_a_closed_stream),
      CASE(fgets_chk_of_a_closed_stream),
      CASE(getline_of_a_closed_stream),
      CASE(getdelim_of_a_closed_stream),
      CASE(getdelim_own_of_a_closed_stream),
      CASE(fputs_of_a_closed_stream),
      CASE(fprintf_of_a_closed_stream),
      CASE(fprintf_chk_of_a_closed_stream),
      CASE(vfprintf_of_a_closed_stream),
      CASE(vfprintf_chk_of_a_closed_stream),
      CASE(fscanf_of_a_closed_stream),
      CASE(vfscanf_of_a_closed_stream),
      CASE(fscanf_of_2023_of_a_closed_stream),
      CASE(fread_of_a_closed_stream),
      CASE(fwrite_of_a_closed_stream),
      CASE(fseek_of_a_closed_stream),
      CASE(fseeko_of_a_closed_stream),
      CASE(fseeko64_of_a_closed_stream),
      CASE(ftell_of_a_closed_stream),
      CASE(ftello_of_a_closed_stream),
      CASE(ftello64_of_a_closed_stream),
      CASE(rewind_of_a_closed_stream),
      CASE(setvbuf_of_a_closed_stream),
      CASE(readdir_of_a_closed_folder),
      CASE(readdir64_of_a_closed_folder),
      CASE(rewinddir_of_a_closed_folder),
      CASE(telldir_of_a_closed_folder),
      CASE(seekdir_of_a_closed_folder),
      CASE(closedir_of_a_closed_folder),
      CASE(dirfd_of_a_closed_folder),
      CASE(readdir_r_of_a_closed_folder),
      CASE(readdir64_r_of_a_closed_folder),
      CASE(fgetpos_of_a_closed_stream),
      CASE(fgetpos64_of_a_closed_stream),
      CASE(fsetpos_of_a_closed_stream),
      CASE(fsetpos64_of_a_closed_stream),
      CASE(ungetc_of_a_closed_stream),
      CASE(setbuf_of_a_closed_stream),
      CASE(setbuffer_of_a_closed_stream),
      CASE(setlinebuf_of_a_closed_stream),
      CASE(feof_of_a_closed_stream),
      CASE(ferror_of_a_closed_stream),
      CASE(clearerr_of_a_closed_stream),
      CASE(fileno_of_a_closed_stream),
      CASE(fgetws_of_a_closed_stream),
      CASE(fgetws_chk_of_a_closed_stream),
      CASE(fputws_of_a_closed_stream),
      CASE(fgetwc_of_a_closed_stream),
      CASE(getwc_of_a_closed_stream),
      CASE(fputwc_of_a_closed_stream),
      CASE(putwc_of_a_closed_stream),
      CASE(ungetwc_of_a_closed_stream),
      CASE(fwide_of_a_closed_stream),
      CASE(fwprintf_of_a_closed_stream),
      CASE(fwprintf_chk_of_a_closed_stream),
      CASE(vfwprintf_of_a_closed_stream),
      CASE(vfwprintf_chk_of_a_closed_stream),
      CASE(fwscanf_of_a_closed_stream),
      CASE(vfwscanf_of_a_closed_stream),
      CASE(fwscanf_of_2023_of_a_closed_stream),
  };
  return run_case(cases, sizeof cases / sizeof cases[0], argc, argv);
}
