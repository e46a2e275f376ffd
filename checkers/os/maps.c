#define _GNU_SOURCE /* O_CLOEXEC */
#include "maps.h"

#include "uncancelled.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Long enough for the fields and a path of usual length; what is longer is cut. */
#define LINE_MAX_BYTES 1024

typedef struct reader {
  int fd;
  size_t at;
  size_t filled;
  size_t size;
  char *buffer;
} reader;

/* Moves what is left to the front and reads more. False at the end of the file. */
static bool refill(reader *r) {
  size_t const left = r->filled - r->at;
  memmove(r->buffer, r->buffer + r->at, left);
  r->at = 0;
  r->filled = left;
  for (;;) {
    ssize_t const got = read(r->fd, r->buffer + left, r->size - left);
    if (got > 0) {
      r->filled += (size_t)got;
      return true;
    }
    if (got == 0 || errno != EINTR) {
      return false;
    }
  }
}

static void skip_rest(reader *r) {
  for (;;) {
    const char *const end = (const char *)memchr(r->buffer + r->at, '\n', r->filled - r->at);
    if (end != NULL) {
      r->at = (size_t)(end - r->buffer) + 1;
      return;
    }
    r->at = r->filled;
    if (!refill(r)) {
      return;
    }
  }
}

/* The next line, without its end; false when there is none. Valid until the next call. */
static bool next_line(reader *r, const char **line, size_t *length) {
  for (;;) {
    char *const start = r->buffer + r->at;
    char *const end = (char *)memchr(start, '\n', r->filled - r->at);
    if (end != NULL) {
      *line = start;
      *length = (size_t)(end - start);
      *end = '\0';
      r->at += *length + 1;
      return true;
    }
    if (r->at == 0 && r->filled == r->size) {
      *line = r->buffer; /* too long: its beginning, the rest is dropped at the next call */
      *length = r->filled;
      r->buffer[r->filled] = '\0';
      r->at = r->filled;
      return true;
    }
    if (!refill(r)) {
      return false;
    }
  }
}

static uint64_t take_hex(const char **at, const char *end) {
  uint64_t value = 0;
  for (; *at < end; ++*at) {
    char const c = **at;
    if (c >= '0' && c <= '9') {
      value = value << 4 | (uint64_t)(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value << 4 | (uint64_t)(c - 'a' + 10);
    } else {
      break;
    }
  }
  return value;
}

static void skip_field(const char **at, const char *end) {
  while (*at < end && **at == ' ') {
    ++*at;
  }
  while (*at < end && **at != ' ') {
    ++*at;
  }
}

static void skip(const char **at, const char *end, size_t count) {
  *at = (size_t)(end - *at) < count ? end : *at + count;
}

/* "start-end rwxp offset device inode     name" */
static rf_map parse(const char *at, size_t length) {
  const char *const end = at + length;
  rf_map map = {.name = end};
  map.start = (uintptr_t)take_hex(&at, end);
  skip(&at, end, 1);
  map.end = (uintptr_t)take_hex(&at, end);
  skip(&at, end, 1);
  if (end - at >= 4) {
    map.readable = at[0] == 'r';
    map.writable = at[1] == 'w';
    map.executable = at[2] == 'x';
    map.shared = at[3] == 's';
  }
  skip(&at, end, 5);
  map.file_offset = take_hex(&at, end);
  skip_field(&at, end);
  skip_field(&at, end);
  while (at < end && *at == ' ') {
    at++;
  }
  map.name = at;
  map.name_length = (size_t)(end - at);
  return map;
}

static bool each(char *buffer, size_t size, bool (*visit)(const rf_map *map, void *context), void *context) {
  reader r = {-1, 0, 0, size - 1, buffer};
  const char *line;
  size_t length;
  bool more = true;
  r.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (r.fd == -1) {
    return false;
  }
  while (more && next_line(&r, &line, &length)) {
    rf_map const map = parse(line, length);
    more = visit(&map, context);
    if (more && length == r.size) {
      skip_rest(&r);
    }
  }
  (void)close(r.fd);
  return true;
}

bool rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context) {
  char buffer[LINE_MAX_BYTES];
  return rf_maps_each_in(buffer, sizeof buffer, visit, context);
}

bool rf_maps_each_in(char *buffer, size_t size, bool (*visit)(const rf_map *map, void *context), void *context) {
  int const saved_errno = errno;
  int const cancellation = rf_uncancelled_begin();
  bool const done = each(buffer, size, visit, context);
  rf_uncancelled_end(cancellation);
  errno = saved_errno;
  return done;
}
