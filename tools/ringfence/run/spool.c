#include "tools/ringfence/run/spool.h"

#include "checkers/os/same_file.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/read_file.h"
#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/base/write_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STREAMS = 3, BUFFER = 65536 };

static const char *const names[STREAMS] = {"stdin", "stdout", "stderr"};
static const char *const titles[STREAMS] = {"standard input", "standard output", "standard error"};

static const char *path_of(rf_bump_arena *arena, const char *folder, int stream) {
  return rf_bump_arena_print(arena, "%s/%s", folder, names[stream]);
}

/* Bytes copied; negative, with errno, where that failed. EFBIG: there are more than `most`. */
static int64_t copy(int from, int to, int64_t most) {
  static char buffer[BUFFER];
  int64_t total = 0;
  for (;;) {
    ssize_t const n = read(from, buffer, sizeof buffer);
    if (n == 0) {
      return total;
    }
    if (n < 0 && errno == EINTR) {
      continue;
    }
    total += n;
    if (total > most) {
      errno = EFBIG;
    }
    if (n < 0 || total > most || !rf_write_all(to, buffer, (size_t)n)) {
      return -1;
    }
  }
}

/* ---- Before the runs ---- */

static bool outputs_are_one_file(void) {
  struct stat out;
  struct stat err;
  return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 && rf_is_same_file(&out, &err);
}

bool rf_spool_begin(rf_spool *spool, rf_bump_arena *arena, const char *folder) {
  *spool = (rf_spool){.began = -1, .joined = outputs_are_one_file()};
  if (rf_streams_was_closed(STDIN_FILENO)) {
    return true;
  }
  if (isatty(STDIN_FILENO)) {
    rf_diag("--hunt runs the program several times with the same input: give it a file, or </dev/null");
    return false;
  }
  spool->input = path_of(arena, folder, STDIN_FILENO);
  spool->began = lseek(STDIN_FILENO, 0, SEEK_CUR);
  int const file = open(spool->input, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  bool const copied = file >= 0 && copy(STDIN_FILENO, file, RF_SPOOL_MOST) >= 0;
  if (!copied) {
    rf_diag("cannot keep a copy of the input: %s", strerror(errno));
  }
  if (file >= 0) {
    (void)close(file);
  }
  return copied;
}

/* ---- A run ---- */

static int open_stream(const rf_spool *spool, rf_bump_arena *arena, const char *folder, int stream) {
  if (stream == STDIN_FILENO) {
    return open(spool->input, O_RDONLY | O_CLOEXEC);
  }
  int const named = stream == STDERR_FILENO && spool->joined ? STDOUT_FILENO : stream;
  return open(path_of(arena, folder, named), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

bool rf_spool_open(const rf_spool *spool, rf_bump_arena *arena, const char *folder, int streams[3]) {
  bool fine = true;
  for (int i = 0; i < STREAMS; i++) {
    bool const closed = rf_streams_was_closed(i);
    streams[i] = closed ? -1 : open_stream(spool, arena, folder, i);
    fine = fine && (closed || streams[i] >= 0);
  }
  if (!fine) {
    rf_diag("cannot make files for the program's output: %s", strerror(errno));
    rf_spool_close(streams);
  }
  return fine;
}

void rf_spool_close(int streams[3]) {
  for (int i = 0; i < STREAMS; i++) {
    if (streams[i] >= 0) {
      (void)close(streams[i]);
    }
  }
}

/* ---- After a run ---- */

void rf_spool_emit(const rf_spool *spool, rf_bump_arena *arena, const char *folder, const int streams[3]) {
  off_t const read_so_far = streams[STDIN_FILENO] >= 0 ? lseek(streams[STDIN_FILENO], 0, SEEK_CUR) : -1;
  if (spool->began >= 0 && read_so_far >= 0) {
    (void)lseek(STDIN_FILENO, spool->began + read_so_far, SEEK_SET);
  }
  (void)fflush(NULL);
  for (int i = STDOUT_FILENO; i < STREAMS; i++) {
    bool const other = streams[i] < 0 || (i == STDERR_FILENO && spool->joined);
    int const file = other ? -1 : open(path_of(arena, folder, i), O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
      (void)copy(file, i, INT64_MAX);
      (void)close(file);
    }
  }
}

/* The line with byte `at`, or the part around it that a line of a message holds. */
static const char *line_around(rf_bump_arena *arena, const char *text, size_t length, size_t at) {
  enum { SHOWN = 120, BEFORE = 80 };
  size_t start = at;
  size_t end = at;
  while (start > 0 && text[start - 1] != '\n' && at - start < BEFORE) {
    start--;
  }
  while (end < length && text[end] != '\n' && end - start < SHOWN) {
    end++;
  }
  char *const line = rf_bump_arena_text(arena, text + start, end > start ? end - start : 0);
  for (char *c = line; *c != '\0'; c++) {
    if ((unsigned char)*c < 0x20 || *c == 0x7F) {
      *c = '?';
    }
  }
  return line;
}

const char *rf_spool_difference(const rf_spool *spool, rf_bump_arena *arena, const char *a, const char *b) {
  for (int i = STDOUT_FILENO; i < STREAMS - (spool->joined ? 1 : 0); i++) {
    size_t first_length = 0;
    size_t second_length = 0;
    const char *const first = rf_read_file(arena, path_of(arena, a, i), &first_length);
    const char *const second = rf_read_file(arena, path_of(arena, b, i), &second_length);
    size_t at = 0;
    while (at < first_length && at < second_length && first[at] == second[at]) {
      at++;
    }
    if (first != NULL && second != NULL && (at != first_length || at != second_length)) {
      return rf_bump_arena_print(arena, "%s differs from byte %zu on: \"%s\" instead of \"%s\"", titles[i], at,
                                 line_around(arena, second, second_length, at),
                                 line_around(arena, first, first_length, at));
    }
  }
  return NULL;
}
