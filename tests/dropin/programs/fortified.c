/* Writes that the C library stops, since they are longer than what the compiler knows of their destination, as
 * _FORTIFY_SOURCE has them called. As bugs.c; the good twin fills its destination to the end, and says "wrong" where
 * the call did not do what its plain form does. */
#define _GNU_SOURCE
#include "cases.h"
#include "marks.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wchar.h>

#define ROOM 16

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room);
void *__mempcpy_chk(void *to, const void *from, size_t n, size_t room);
void *__memmove_chk(void *to, const void *from, size_t n, size_t room);
void *__memset_chk(void *to, int byte, size_t n, size_t room);
void __explicit_bzero_chk(void *to, size_t n, size_t room);
char *__strcpy_chk(char *to, const char *from, size_t room);
char *__stpcpy_chk(char *to, const char *from, size_t room);
char *__strncpy_chk(char *to, const char *from, size_t n, size_t room);
char *__stpncpy_chk(char *to, const char *from, size_t n, size_t room);
char *__strcat_chk(char *to, const char *from, size_t room);
char *__strncat_chk(char *to, const char *from, size_t n, size_t room);
wchar_t *__wmemcpy_chk(wchar_t *to, const wchar_t *from, size_t n, size_t room);
wchar_t *__wmempcpy_chk(wchar_t *to, const wchar_t *from, size_t n, size_t room);
wchar_t *__wmemmove_chk(wchar_t *to, const wchar_t *from, size_t n, size_t room);
wchar_t *__wmemset_chk(wchar_t *to, wchar_t character, size_t n, size_t room);
wchar_t *__wcscpy_chk(wchar_t *to, const wchar_t *from, size_t room);
wchar_t *__wcpcpy_chk(wchar_t *to, const wchar_t *from, size_t room);
wchar_t *__wcsncpy_chk(wchar_t *to, const wchar_t *from, size_t n, size_t room);
wchar_t *__wcpncpy_chk(wchar_t *to, const wchar_t *from, size_t n, size_t room);
wchar_t *__wcscat_chk(wchar_t *to, const wchar_t *from, size_t room);
wchar_t *__wcsncat_chk(wchar_t *to, const wchar_t *from, size_t n, size_t room);
int __sprintf_chk(char *to, int flag, size_t room, const char *format, ...);
int __vsprintf_chk(char *to, int flag, size_t room, const char *format, va_list list);
int __snprintf_chk(char *to, size_t n, int flag, size_t room, const char *format, ...);
int __vsnprintf_chk(char *to, size_t n, int flag, size_t room, const char *format, va_list list);
int __swprintf_chk(wchar_t *to, size_t n, int flag, size_t room, const wchar_t *format, ...);
int __vswprintf_chk(wchar_t *to, size_t n, int flag, size_t room, const wchar_t *format, va_list list);
ssize_t __read_chk(int fd, void *to, size_t n, size_t room);
ssize_t __pread_chk(int fd, void *to, size_t n, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *to, size_t n, off64_t at, size_t room);
ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *to, size_t n, size_t room, int flags, struct sockaddr *from, socklen_t *length);
size_t __fread_chk(void *to, size_t room, size_t size, size_t n, FILE *stream);
size_t __fread_unlocked_chk(void *to, size_t room, size_t size, size_t n, FILE *stream);
char *__fgets_chk(char *to, size_t room, int n, FILE *stream);
char *__fgets_unlocked_chk(char *to, size_t room, int n, FILE *stream);
char *__getcwd_chk(char *to, size_t n, size_t room);
char *__realpath_chk(const char *path, char *to, size_t room);
ssize_t __readlink_chk(const char *path, char *to, size_t n, size_t room);
ssize_t __readlinkat_chk(int folder, const char *path, char *to, size_t n, size_t room);
int __gethostname_chk(char *to, size_t n, size_t room);
size_t __mbstowcs_chk(wchar_t *to, const char *from, size_t n, size_t room);
size_t __wcstombs_chk(char *to, const wchar_t *from, size_t n, size_t room);
int __poll_chk(struct pollfd *list, nfds_t n, int ms, size_t room);
void __stack_chk_fail(void);

static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
static const wchar_t wide_letters[] = L"abcdefghijklmnopqrstuvwxyz";

static void expect(int right) {
  if (!right) {
    puts("wrong");
  }
}

/* The first 15 letters fill a block to its end; 16 do not fit. */
static const char *text(void) {
  return letters + sizeof letters - 1 - (bad ? ROOM : ROOM - 1);
}

static const wchar_t *wide_text(void) {
  return wide_letters + sizeof letters - 1 - (bad ? ROOM : ROOM - 1);
}

static size_t count(void) {
  return bad ? ROOM + 3 : ROOM;
}

/* A call with the block `to` for 16 characters. */
#define STOP_OF(type, name, call, right)                                                                               \
  static void stopped_##name(void) {                                                                                   \
    type *const to = (type *)(void *)make(ROOM * sizeof(type));                                                        \
    size_t const n = count();                                                                                          \
    to[0] = 0;                                                                                                         \
    mark("found");                                                                                                     \
    long const result = (long)(call);                                                                                  \
    expect(right);                                                                                                     \
    (void)n;                                                                                                           \
    (void)result;                                                                                                      \
    free(to);                                                                                                          \
  }
#define STOP(name, call, right) STOP_OF(char, name, call, right)
#define STOP_WIDE(name, call, right) STOP_OF(wchar_t, name, call, right)

#define HAS(with, bytes) (memcmp(to, (with), (bytes)) == 0)
#define GIVES(offset) (result == (long)(to + (offset)))

STOP(memcpy, __memcpy_chk(to, letters, n, ROOM), HAS(letters, ROOM) && GIVES(0))
STOP(mempcpy, __mempcpy_chk(to, letters, n, ROOM), HAS(letters, ROOM) && GIVES(ROOM))
STOP(memmove, __memmove_chk(to, letters, n, ROOM), HAS(letters, ROOM) && GIVES(0))
STOP(memset, __memset_chk(to, 'a', n, ROOM), HAS("aaaaaaaaaaaaaaaa", ROOM) && GIVES(0))
STOP(explicit_bzero, (__explicit_bzero_chk(to, n, ROOM), 0), HAS("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ROOM))
STOP(strcpy, __strcpy_chk(to, text(), ROOM), HAS(text(), ROOM) && GIVES(0))
STOP(stpcpy, __stpcpy_chk(to, text(), ROOM), HAS(text(), ROOM) && GIVES(ROOM - 1))
STOP(strncpy, __strncpy_chk(to, letters, n, ROOM), HAS(letters, ROOM) && GIVES(0))
STOP(stpncpy, __stpncpy_chk(to, "ab", n, ROOM), HAS("ab\0\0\0\0\0\0\0\0\0\0\0\0\0", ROOM) && GIVES(2))
STOP(strcat, __strcat_chk(strcpy(to, "x"), text() + 1, ROOM), HAS("xmnopqrstuvwxyz", ROOM) && GIVES(0))
STOP(strncat, __strncat_chk(strcpy(to, "x"), letters, n - 2, ROOM), HAS("xabcdefghijklmn", ROOM) && GIVES(0))
STOP_WIDE(wmemcpy, __wmemcpy_chk(to, wide_letters, n, ROOM), HAS(wide_letters, sizeof(wchar_t) * ROOM) && GIVES(0))
STOP_WIDE(wmempcpy, __wmempcpy_chk(to, wide_letters, n, ROOM), HAS(wide_letters, sizeof(wchar_t) * ROOM) && GIVES(ROOM))
STOP_WIDE(wmemmove, __wmemmove_chk(to, wide_letters, n, ROOM), HAS(wide_letters, sizeof(wchar_t) * ROOM) && GIVES(0))
STOP_WIDE(wmemset, __wmemset_chk(to, L'a', n, ROOM), HAS(L"aaaaaaaaaaaaaaaa", sizeof(wchar_t) * ROOM) && GIVES(0))
STOP_WIDE(wcscpy, __wcscpy_chk(to, wide_text(), ROOM), HAS(wide_text(), sizeof(wchar_t) * ROOM) && GIVES(0))
STOP_WIDE(wcpcpy, __wcpcpy_chk(to, wide_text(), ROOM), HAS(wide_text(), sizeof(wchar_t) * ROOM) && GIVES(ROOM - 1))
STOP_WIDE(wcsncpy, __wcsncpy_chk(to, wide_letters, n, ROOM), HAS(wide_letters, sizeof(wchar_t) * ROOM) && GIVES(0))
STOP_WIDE(wcpncpy, __wcpncpy_chk(to, L"ab", n, ROOM), HAS(L"ab\0\0\0", sizeof(wchar_t) * 5) && GIVES(2))
STOP_WIDE(wcscat, __wcscat_chk(wcscpy(to, L"x"), wide_text() + 1, ROOM),
          wcscmp(to, L"xmnopqrstuvwxyz") == 0 && GIVES(0))
STOP_WIDE(wcsncat, __wcsncat_chk(wcscpy(to, L"x"), wide_letters, n - 2, ROOM),
          wcscmp(to, L"xabcdefghijklmn") == 0 && GIVES(0))

#define LISTED(name, type, call)                                                                                       \
  static int name(type *to, size_t n, const type *format, ...) {                                                       \
    va_list list;                                                                                                      \
    va_start(list, format);                                                                                            \
    mark("found");                                                                                                     \
    int const length = call;                                                                                           \
    va_end(list);                                                                                                      \
    (void)n;                                                                                                           \
    return length;                                                                                                     \
  }

LISTED(vsprintf_list, char, __vsprintf_chk(to, 1, ROOM, format, list))
LISTED(vsnprintf_list, char, __vsnprintf_chk(to, n, 1, ROOM, format, list))
LISTED(vswprintf_list, wchar_t, __vswprintf_chk(to, n, 1, ROOM, format, list))

STOP(sprintf, __sprintf_chk(to, 1, ROOM, "%s%d", text() + 1, 7), strcmp(to, "mnopqrstuvwxyz7") == 0 && result == 15)
STOP(vsprintf, vsprintf_list(to, n, "%s%d", text() + 1, 7), strcmp(to, "mnopqrstuvwxyz7") == 0 && result == 15)
STOP(snprintf, __snprintf_chk(to, n, 1, ROOM, "%s", text()), strcmp(to, "lmnopqrstuvwxyz") == 0 && result == 15)
STOP(vsnprintf, vsnprintf_list(to, n, "%s", letters), strcmp(to, "abcdefghijklmno") == 0 && result == 26)
STOP_WIDE(swprintf, __swprintf_chk(to, n, 1, ROOM, L"%ls", wide_text() + 1),
          wcscmp(to, L"mnopqrstuvwxyz") == 0 && result == 14)
STOP_WIDE(vswprintf, vswprintf_list(to, n, L"%ls", wide_text() + 1), wcscmp(to, L"mnopqrstuvwxyz") == 0 && result == 14)

/* A file of letters, in lines of `line` with their end. */
static FILE *file_of(size_t line) {
  FILE *const file = tmpfile();
  for (int i = 0; file != NULL && i < 3; i++) {
    fprintf(file, "%.*s\n", (int)line - 1, letters);
  }
  if (file != NULL) {
    rewind(file);
    (void)fflush(file);
  }
  return file;
}

static int letters_by_socket(void) {
  static int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || write(ends[1], letters, sizeof letters) < 0) {
    return -1;
  }
  return ends[0];
}

static int letters_by_file(void) {
  FILE *const file = file_of(20);
  return file == NULL ? -1 : fileno(file);
}

/* The descriptor comes before the mark, which is to be near the call. */
static int descriptor;

#define STOP_READ(name, from, call, result_)                                                                           \
  static void stopped_##name(void);                                                                                    \
  STOP(call_of_##name, call, HAS(letters + (result_), ROOM) && result == ROOM)                                         \
  static void stopped_##name(void) {                                                                                   \
    descriptor = from;                                                                                                 \
    stopped_call_of_##name();                                                                                          \
  }

STOP_READ(read, letters_by_file(), __read_chk(descriptor, to, n, ROOM), 0)
STOP_READ(pread, letters_by_file(), __pread_chk(descriptor, to, n, 1, ROOM), 1)
STOP_READ(pread64, letters_by_file(), __pread64_chk(descriptor, to, n, 1, ROOM), 1)
STOP_READ(recv, letters_by_socket(), __recv_chk(descriptor, to, n, ROOM, 0), 0)
STOP_READ(recvfrom, letters_by_socket(), __recvfrom_chk(descriptor, to, n, ROOM, 0, NULL, NULL), 0)
STOP(fread, __fread_chk(to, ROOM, 1, n, file_of(20)), HAS(letters, ROOM) && result == ROOM)
STOP(fread_unlocked, __fread_unlocked_chk(to, ROOM, 1, n, file_of(20)), HAS(letters, ROOM) && result == ROOM)
STOP(fgets, __fgets_chk(to, ROOM, (int)n, file_of(n - 1)), HAS("abcdefghijklmn\n", ROOM) && GIVES(0))
STOP(fgets_unlocked, __fgets_unlocked_chk(to, ROOM, (int)n, file_of(n - 1)), HAS("abcdefghijklmn\n", ROOM) && GIVES(0))
STOP(getcwd, chdir("/") == 0 ? (long)__getcwd_chk(to, n, ROOM) : 0, HAS("/", 2) && GIVES(0))
STOP(readlink, __readlink_chk("/proc/self", to, n, ROOM), atoi(to) == getpid())
STOP(readlinkat, __readlinkat_chk(-1, "/proc/self", to, n, ROOM), atoi(to) == getpid())
STOP(gethostname, __gethostname_chk(to, n, ROOM), 1)
STOP(wcstombs, __wcstombs_chk(to, wide_letters, n, ROOM), HAS(letters, ROOM) && result == ROOM)
STOP_WIDE(mbstowcs, __mbstowcs_chk(to, letters, n, ROOM), HAS(wide_letters, sizeof(wchar_t) * ROOM) && result == ROOM)

static void stopped_realpath(void) {
  char *const to = make(PATH_MAX);
  mark("found");
  expect(__realpath_chk("/", to, bad ? PATH_MAX - 1 : PATH_MAX) == to && strcmp(to, "/") == 0);
  free(to);
}

static void stopped_poll(void) {
  struct pollfd *const to = (struct pollfd *)(void *)make(2 * sizeof *to);
  to[0].fd = to[1].fd = -1;
  mark("found");
  expect(__poll_chk(to, bad ? 3 : 2, 0, 2 * sizeof *to) == 0);
  free(to);
}

/* ---- Other destinations ---- */

static void stopped_on_the_stack(void) {
  char to[ROOM];
  mark("found");
  expect(__memcpy_chk(to, letters, count(), ROOM) == to);
}

static void stopped_in_a_global(void) {
  static char to[ROOM];
  mark("found");
  expect(__memcpy_chk(to, letters, count(), ROOM) == to);
}

static void stopped_in_a_member(void) {
  char *const block = make(100);
  mark("found");
  expect(__memcpy_chk(block + 8, letters, count(), ROOM) == block + 8);
  free(block);
}

static void stopped_after_free(void) {
  char *const block = make(100);
  char *volatile to = block;
  mark("released");
  free(bad ? block : NULL);
  mark("found");
  expect(__memcpy_chk(to, letters, count(), ROOM) == to);
  free(bad ? NULL : block);
}

static void stopped_behind_a_member_at_the_end(void) {
  char *const block = make(100);
  mark("found");
  expect(__strcpy_chk(block + 84, text(), ROOM) == block + 84);
  free(block);
}

static void smashed_stack(void) {
  if (bad) {
    mark("found");
    __stack_chk_fail();
  }
}

/* ---- Larger bounds than the destination has, of which no use is made ---- */

static void lines_that_fit(void) {
  char *const to = make(ROOM);
  FILE *const lines = file_of(ROOM - 1);
  expect(__fgets_chk(to, ROOM, 100, lines) == to && strcmp(to, "abcdefghijklmn\n") == 0);
  expect(__fgets_unlocked_chk(to, ROOM, 100, lines) == to && strcmp(to, "abcdefghijklmn\n") == 0);
  expect(__fgets_chk(to, ROOM, 100, lines) == to);
  expect(__fgets_chk(to, ROOM, 100, lines) == NULL && feof(lines));
  rewind(lines);
  expect(__fgets_chk(to, ROOM, 5, lines) == to && strcmp(to, "abcd") == 0);
  expect(__sprintf_chk(to, 1, SIZE_MAX, "%d", 12) == 2 && strcmp(to, "12") == 0);
  fclose(lines);
  free(to);
}

int main(int argc, char **argv) {
  static const test_case cases[] = {
      CASE(stopped_memcpy),
      CASE(stopped_mempcpy),
      CASE(stopped_memmove),
      CASE(stopped_memset),
      CASE(stopped_explicit_bzero),
      CASE(stopped_strcpy),
      CASE(stopped_stpcpy),
      CASE(stopped_strncpy),
      CASE(stopped_stpncpy),
      CASE(stopped_strcat),
      CASE(stopped_strncat),
      CASE(stopped_wmemcpy),
      CASE(stopped_wmempcpy),
      CASE(stopped_wmemmove),
      CASE(stopped_wmemset),
      CASE(stopped_wcscpy),
      CASE(stopped_wcpcpy),
      CASE(stopped_wcsncpy),
      CASE(stopped_wcpncpy),
      CASE(stopped_wcscat),
      CASE(stopped_wcsncat),
      CASE(stopped_sprintf),
      CASE(stopped_vsprintf),
      CASE(stopped_snprintf),
      CASE(stopped_vsnprintf),
      CASE(stopped_swprintf),
      CASE(stopped_vswprintf),
      CASE(stopped_read),
      CASE(stopped_pread),
      CASE(stopped_pread64),
      CASE(stopped_recv),
      CASE(stopped_recvfrom),
      CASE(stopped_fread),
      CASE(stopped_fread_unlocked),
      CASE(stopped_fgets),
      CASE(stopped_fgets_unlocked),
      CASE(stopped_getcwd),
      CASE(stopped_readlink),
      CASE(stopped_readlinkat),
      CASE(stopped_gethostname),
      CASE(stopped_wcstombs),
      CASE(stopped_mbstowcs),
      CASE(stopped_realpath),
      CASE(stopped_poll),
      CASE(stopped_on_the_stack),
      CASE(stopped_in_a_global),
      CASE(stopped_in_a_member),
      CASE(stopped_after_free),
      CASE(stopped_behind_a_member_at_the_end),
      CASE(smashed_stack),
      CASE(lines_that_fit),
  };
  return run_case(cases, sizeof cases / sizeof cases[0], argc, argv);
}
