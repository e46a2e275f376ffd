/* Calls that have the system fill a stream's buffer, which the program has freed. As bugs.c; says "failed" where the
 * stream has an error afterwards. */
#define _GNU_SOURCE
#include "cases.h"
#include "marks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wchar.h>

#define SIZE 4096

/* Programs that are compiled with _FORTIFY_SOURCE call these. */
char *__fgets_chk(char *buf, size_t room, int n, FILE *stream);
size_t __fread_chk(void *buf, size_t room, size_t size, size_t n, FILE *stream);
ssize_t __getdelim(char **line, size_t *size, int end, FILE *stream);
wchar_t *__fgetws_chk(wchar_t *buf, size_t room, int n, FILE *stream);
int __isoc99_vfscanf(FILE *stream, const char *format, va_list list);
int __isoc99_vfwscanf(FILE *stream, const wchar_t *format, va_list list);

static char text[16];
static wchar_t wide[16];
static char *line;
static size_t room;

static FILE *open_lines(void) {
  static const char lines[] = "one two\nthree four\n";
  int const file = memfd_create("lines", 0);
  if (file < 0 || write(file, lines, sizeof lines - 1) != sizeof lines - 1 || lseek(file, 0, SEEK_SET) != 0) {
    exit(3);
  }
  return fdopen(file, "r");
}

/* `before` says where the call is made. */
#define REFILL_BY(name, before, call)                                                                                  \
  static void name(void) {                                                                                             \
    FILE *volatile stream = open_lines();                                                                              \
    char *const buffer = make(SIZE);                                                                                   \
    setvbuf(stream, buffer, _IOFBF, SIZE);                                                                             \
    if (bad) {                                                                                                         \
      mark("released");                                                                                                \
      free(buffer);                                                                                                    \
    }                                                                                                                  \
    before;                                                                                                            \
    (void)(call);                                                                                                      \
    puts(ferror(stream) ? "failed" : "read");                                                                          \
    fclose(stream);                                                                                                    \
    free(bad ? NULL : buffer);                                                                                         \
    free(line);                                                                                                        \
    line = NULL;                                                                                                       \
  }

#define REFILL(name, call) REFILL_BY(name, mark("found"), call)

static int scan(FILE *stream, const char *format, ...) {
  va_list list;
  va_start(list, format);
  mark("found");
  int const result = __isoc99_vfscanf(stream, format, list);
  va_end(list);
  return result;
}

static int scan_wide(FILE *stream, const wchar_t *format, ...) {
  va_list list;
  va_start(list, format);
  mark("found");
  int const result = __isoc99_vfwscanf(stream, format, list);
  va_end(list);
  return result;
}

REFILL(fgets_line, fgets(text, sizeof text, stream) != NULL)
REFILL(fgets_checked, __fgets_chk(text, sizeof text, sizeof text, stream) != NULL)
REFILL(getline_line, getline(&line, &room, stream))
REFILL(getdelim_line, getdelim(&line, &room, ' ', stream))
REFILL(getdelim_internal, __getdelim(&line, &room, ' ', stream))
REFILL(fscanf_word, fscanf(stream, "%15s", text))
REFILL_BY(vfscanf_word, (void)0, scan(stream, "%15s", text))
REFILL(fread_some, (fread)(text, 1, 8, stream))
REFILL(fread_checked, __fread_chk(text, sizeof text, 1, 8, stream))
REFILL(fread_without_lock, (fread_unlocked)(text, 1, 8, stream))
REFILL(fgetws_line, fgetws(wide, 16, stream) != NULL)
REFILL(fgetws_checked, __fgetws_chk(wide, 16, 16, stream) != NULL)
REFILL(fgetwc_one, fgetwc(stream))
REFILL(getwc_one, getwc(stream))
REFILL(fwscanf_word, fwscanf(stream, L"%15ls", wide))
REFILL_BY(vfwscanf_word, (void)0, scan_wide(stream, L"%15ls", wide))

int main(int argc, char **argv) {
  static const test_case cases[] = {
      CASE(fgets_line),        CASE(fgets_checked),      CASE(getline_line), CASE(getdelim_line),
      CASE(getdelim_internal), CASE(fscanf_word),        CASE(vfscanf_word), CASE(fread_some),
      CASE(fread_checked),     CASE(fread_without_lock), CASE(fgetws_line),  CASE(fgetws_checked),
      CASE(fgetwc_one),        CASE(getwc_one),          CASE(fwscanf_word), CASE(vfwscanf_word)};
  return run_case(cases, sizeof cases / sizeof cases[0], argc, argv);
}
