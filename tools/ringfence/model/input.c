#include "tools/ringfence/model/input.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/model/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct input {
  rf_run *run;
  rf_bump_arena *arena;
  rf_serial serial;
  rf_input_form form;
  size_t recognised; /* lines */
  size_t others;
} input;

static void take_finding(void *context, rf_record *record) {
  const input *const in = (const input *)context;
  record->input = in->run->input;
  rf_run_add_record(in->run, in->arena, record);
}

static void take_json(void *context, const char *line, size_t length) {
  const input *const in = (const input *)context;
  rf_run_add_line(in->run, in->arena, line, length);
}

static const char *skip_blanks(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t')) {
    at++;
  }
  return at;
}

/* The start of the library's object in the line, or NULL. A log's prefix before it is skipped. Tools that rewrite JSON
 * add blanks and change the order of members: a line that is an object from its start counts, too. */
static const char *find_object(const char *line, size_t length) {
  static const char member[] = "\"type\"";
  const char *const end = line + length;
  const char *const object = rf_run_find_object(line, length);
  const char *const first = skip_blanks(line, end);
  if (object != NULL) {
    return object;
  }
  bool const whole =
      first < end && *first == '{' && memmem(first, (size_t)(end - first), member, strlen(member)) != NULL;
  return whole ? first : NULL;
}

static size_t without_blanks(const char *line, size_t length) {
  while (length != 0 && (line[length - 1] == '\r' || line[length - 1] == ' ' || line[length - 1] == '\t')) {
    length--;
  }
  return length;
}

static void read_json_line(input *in, const char *line, size_t length) {
  const char *const object = find_object(line, length);
  if (object != NULL) {
    in->recognised++;
    rf_run_add_line(in->run, in->arena, object, without_blanks(object, (size_t)(line + length - object)));
  } else if (without_blanks(line, length) != 0) {
    in->others++;
    in->run->damaged += in->form == RF_INPUT_JSON;
  }
}

static void read_spooled_line(input *in, const char *line, size_t length) {
  in->recognised++;
  rf_run_add_spooled(in->run, in->arena, line, without_blanks(line, length));
}

static void read_line(input *in, const char *line, size_t length) {
  if (in->form != RF_INPUT_JSON && rf_serial_line(&in->serial, line, length)) {
    in->recognised++;
  } else if (in->form == RF_INPUT_SERIAL) {
    in->others += without_blanks(line, length) != 0;
  } else if (rf_run_is_spooled(line, length)) {
    read_spooled_line(in, line, length);
  } else {
    read_json_line(in, line, length);
  }
}

static void read_lines(input *in, const char *at, size_t length) {
  const char *const end = at + length;
  while (at < end) {
    const char *const feed = (const char *)memchr(at, '\n', (size_t)(end - at));
    const char *const stop = feed == NULL ? end : feed;
    read_line(in, at, (size_t)(stop - at));
    at = stop + 1;
  }
}

static bool is_standard_input(const char *path) {
  return strcmp(path, "-") == 0;
}

/* Reads the lines of `fd` piece by piece: a log may be larger than memory, and one line is no smaller than it is. */
static bool read_pieces(input *in, int fd) {
  enum { PIECE = 256 * 1024 };
  rf_bump_arena own = {NULL};
  size_t room = PIECE;
  size_t length = 0;
  char *text = (char *)rf_bump_arena_alloc(&own, room + 1);
  ssize_t n = 1;
  while (n > 0) {
    n = read(fd, text + length, room - length);
    if (n < 0 && errno == EINTR) {
      n = 1;
      continue;
    }
    length += n > 0 ? (size_t)n : 0;
    const char *const feed = n == 0 ? text + length : (const char *)memrchr(text, '\n', length);
    size_t const whole = feed == NULL || n < 0 ? 0 : (size_t)(feed - text) + (n != 0);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the arena gives memory or ends the program */
    text[length] = '\0';
    read_lines(in, text, whole);
    length -= whole;
    memmove(text, text + whole, length);
    if (length == room) {
      char *const larger = (char *)rf_bump_arena_alloc(&own, 2 * room + 1);
      memcpy(larger, text, length);
      text = larger;
      room *= 2;
    }
  }
  int const error = errno;
  rf_bump_arena_free(&own);
  errno = error;
  return n == 0;
}

static bool read_path(input *in, const char *path) {
  if (is_standard_input(path)) {
    bool const closed = rf_streams_was_closed(STDIN_FILENO);
    errno = closed ? EBADF : errno;
    return !closed && read_pieces(in, STDIN_FILENO);
  }
  int const fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  bool const done = fd >= 0 && read_pieces(in, fd);
  int const error = errno;
  if (fd >= 0) {
    (void)close(fd);
  }
  errno = error;
  return done;
}

/* Findings know only the time since boot: the file's own time is the nearest to theirs. */
static void note_time(rf_run *run, const char *path) {
  struct stat file;
  int const failed = is_standard_input(path) ? fstat(STDIN_FILENO, &file) : stat(path, &file);
  if (failed == 0 && S_ISREG(file.st_mode) && file.st_mtime > run->written) {
    run->written = file.st_mtime;
  }
}

static void begin(input *in, const char *name) {
  in->run->input = name;
  in->serial = (rf_serial){.arena = in->arena, .finding = take_finding, .text = take_json, .context = in};
}

static bool end(input *in, rf_input_losses *losses) {
  rf_serial_end(&in->serial);
  losses->damaged += in->serial.damaged;
  losses->incomplete += in->serial.incomplete;
  losses->missing += in->serial.missing;
  return in->recognised != 0 || in->others == 0;
}

bool rf_input_parse(rf_run *run, rf_input_losses *losses, rf_bump_arena *arena, const char *name, rf_input_form form,
                    const char *text, size_t length) {
  input in = {.run = run, .arena = arena, .form = form};
  begin(&in, name);
  read_lines(&in, text, length);
  return end(&in, losses);
}

bool rf_input_read(rf_run *run, rf_input_losses *losses, rf_bump_arena *arena, const char *path, rf_input_form form) {
  input in = {.run = run, .arena = arena, .form = form};
  begin(&in, is_standard_input(path) ? "stdin" : path);
  if (!read_path(&in, path)) {
    rf_diag("cannot read %s: %s", is_standard_input(path) ? "standard input" : path, strerror(errno));
    return false;
  }
  note_time(run, path);
  if (!end(&in, losses)) {
    rf_diag("%s: no findings in it: neither JSON lines nor #RF: lines", path);
    return false;
  }
  return true;
}
