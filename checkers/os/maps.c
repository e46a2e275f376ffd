#define _GNU_SOURCE /* O_CLOEXEC */
#include "maps.h"

#include "chars.h"
#include "forbidden_calls.h"
#include "proc_self.h"
#include "uncancelled.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Long enough for the fields and a path of usual length; what is longer is cut. */
#define LINE_MAX_BYTES 1024

uint64_t rf_maps_take_hex(const char **at) {
  uint64_t value = 0;
  for (;; ++*at) {
    char const c = **at;
    if (c >= '0' && c <= '9') {
      value = value << 4 | (uint64_t)(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value << 4 | (uint64_t)(c - 'a' + 10);
    } else {
      return value;
    }
  }
}

static const char *skip_field(const char *at) {
  at += rf_chars_in(at, " ");
  return at + rf_chars_not_in(at, " ");
}

/* "start-end rwxp offset device inode     name" */
static rf_map parse(const char *at) {
  rf_map map = {.start = (uintptr_t)rf_maps_take_hex(&at)};
  at += *at == '-' ? 1 : 0;
  map.end = (uintptr_t)rf_maps_take_hex(&at);
  at += *at == ' ' ? 1 : 0;
  if (rf_chars_not_in(at, " ") == 4) {
    map.readable = at[0] == 'r';
    map.writable = at[1] == 'w';
    map.executable = at[2] == 'x';
    map.shared = at[3] == 's';
  }
  at = skip_field(at);
  at += rf_chars_in(at, " ");
  map.file_offset = rf_maps_take_hex(&at);
  at = skip_field(skip_field(at));
  map.name = at + rf_chars_in(at, " ");
  map.name_length = strlen(map.name);
  return map;
}

typedef struct reader {
  char *buffer;
  size_t size;
  size_t filled;
  bool in_cut_line; /* the buffer begins with the rest of a line that did not fit */
  bool (*visit)(const rf_map *map, void *context);
  void *context;
} reader;

/* False: the visitor wants no more. */
static bool visit_line(reader *r, const char *line) {
  rf_map const map = parse(line);
  bool const more = r->in_cut_line || r->visit(&map, r->context);
  r->in_cut_line = false;
  return more;
}

/* Visits the lines of the buffer and moves the rest to its front. A line that fills the buffer is cut. */
static bool visit_lines(reader *r) {
  char *line = r->buffer;
  r->buffer[r->filled] = '\0';
  for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    *end = '\0';
    if (!visit_line(r, line)) {
      return false;
    }
  }
  r->filled -= (size_t)(line - r->buffer);
  memmove(r->buffer, line, r->filled);
  if (r->filled + 1 < r->size) {
    return true;
  }
  bool const more = visit_line(r, r->buffer);
  r->in_cut_line = true;
  r->filled = 0;
  return more;
}

/* False also where it is not read to its end, and where it is empty: that of no process at work is. */
static bool each(reader *r) {
  ssize_t got;
  bool any = false;
  int const fd = open(RF_PROC_PATH("maps"), O_RDONLY | O_CLOEXEC);
  if (fd == -1) {
    return false;
  }
  do {
    got = read(fd, r->buffer + r->filled, r->size - 1 - r->filled);
    r->filled += got > 0 ? (size_t)got : 0;
    any = any || got > 0;
  } while (got > 0 ? visit_lines(r) : got != 0 && errno == EINTR);
  (void)close(fd);
  return any && got >= 0;
}

bool rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context) {
  char buffer[LINE_MAX_BYTES];
  return rf_maps_each_in(buffer, sizeof buffer, visit, context);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to */
bool rf_maps_each_in(char *buffer, size_t size, bool (*visit)(const rf_map *map, void *context), void *context) {
  if (rf_is_forbidden(RF_CALL_OPEN)) {
    return false;
  }
  int const saved_errno = errno;
  int const cancellation = rf_uncancelled_begin();
  reader r = {buffer, size, 0, false, visit, context};
  bool const done = each(&r);
  rf_uncancelled_end(cancellation);
  errno = saved_errno;
  return done;
}
