#include "tools/service/intake/serial_source.h"

#include "checkers/os/clock.h"
#include "checkers/report/fnv.h"
#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/elf.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/words.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <ringfence/report_json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* A finding is some twenty lines: more without an end come of a line that is lost in noise. */
enum { SILENCE_MS = 3000, PENDING_MOST = 2000, READ_MOST = 1 << 16 };

/* ---- The image ---- */

bool rf_serial_image_read(rf_serial_image *image, rf_bump_arena *arena, const char *path, char error[RF_SERIAL_ERROR]) {
  char whole[4096];
  rf_elf elf;
  rf_elf_status const status = rf_elf_open(&elf, path, arena);
  if (status == RF_ELF_UNREADABLE || realpath(path, whole) == NULL) {
    (void)snprintf(error, RF_SERIAL_ERROR, "--image %s: %s", path, strerror(errno));
    return false;
  }
  if (status != RF_ELF_OK) {
    (void)snprintf(error, RF_SERIAL_ERROR, "--image %s: use the ELF file that the firmware was made of", path);
    return false;
  }
  const char *const id = rf_elf_build_id(&elf);
  image->path = rf_bump_arena_copy(arena, whole);
  image->build_id = id == NULL ? "" : id;
  rf_elf_close(&elf);
  return true;
}

/* ---- Opening ---- */

static speed_t speed_of(unsigned baud) {
  static const struct {
    unsigned baud;
    speed_t speed;
  } known[] = {{9600, B9600},     {19200, B19200},   {38400, B38400},   {57600, B57600},    {115200, B115200},
               {230400, B230400}, {460800, B460800}, {921600, B921600}, {1000000, B1000000}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (known[i].baud == baud) {
      return known[i].speed;
    }
  }
  return B0;
}

static bool set_raw(int fd, unsigned baud) {
  struct termios t;
  speed_t const speed = speed_of(baud);
  if (tcgetattr(fd, &t) != 0 || speed == B0) {
    return speed != B0;
  }
  cfmakeraw(&t);
  t.c_cflag |= CLOCAL | CREAD;
  return cfsetispeed(&t, speed) == 0 && cfsetospeed(&t, speed) == 0 && tcsetattr(fd, TCSANOW, &t) == 0;
}

static rf_serial_losses all_losses(const rf_serial_source *s) {
  return (rf_serial_losses){s->serial.damaged, s->serial.incomplete, s->serial.missing};
}

static size_t at_most(size_t told, size_t all) {
  return told < all ? told : all;
}

/* The next byte is the first of a file, or of one that was truncated. What its reader keeps is left: a line or a
 * finding may go on there. */
static void begin_file(rf_serial_source *s, uint64_t generation) {
  rf_serial_losses const all = all_losses(s);
  s->told = (rf_serial_losses){at_most(s->told.damaged, all.damaged), at_most(s->told.incomplete, all.incomplete),
                               at_most(s->told.missing, all.missing)};
  s->before = all;
  s->serial.finished = 0;
  s->generation = generation;
  s->bytes = 0;
  s->sum = RF_FNV_START;
  s->tail_used = 0;
  s->starts = 0;
  s->last = 0;
  s->moved = true;
}

static bool begins_with(int fd, const rf_serial_mark *known) {
  static char buffer[READ_MOST];
  uint64_t sum = RF_FNV_START;
  for (uint64_t at = 0; at < known->bytes;) {
    uint64_t const left = known->bytes - at;
    ssize_t const got = pread(fd, buffer, left < sizeof buffer ? (size_t)left : sizeof buffer, (off_t)at);
    if (got <= 0) {
      return false;
    }
    sum = rf_fnv_bytes(sum, buffer, (size_t)got);
    at += (uint64_t)got;
  }
  return known->bytes == 0 || sum == known->sum;
}

/* The file may be one that was read before, at least so far. */
static void recall_file(rf_serial_source *s) {
  rf_serial_mark const known = s->known(s->known_context, s->start);
  bool const same = begins_with(s->fd, &known);
  begin_file(s, known.generation + !same);
  if (same) {
    s->told.damaged += known.losses.damaged;
    s->told.incomplete += known.losses.incomplete;
    s->told.missing += known.losses.missing;
  }
}

/* A pipe is opened for writing, too: then it does not end with its writer. */
static bool open_source(rf_serial_source *s) {
  struct stat st;
  if (stat(s->path, &st) != 0) {
    return false;
  }
  bool const fifo = S_ISFIFO(st.st_mode);
  s->file = S_ISREG(st.st_mode);
  if (!fifo && !s->file && !S_ISCHR(st.st_mode)) {
    errno = EINVAL;
    return false;
  }
  s->fd = open(s->path, (fifo ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (s->fd >= 0 && S_ISCHR(st.st_mode) && !set_raw(s->fd, s->baud)) {
    (void)close(s->fd);
    s->fd = -1;
    errno = EINVAL;
  }
  s->start = s->file ? (uint64_t)st.st_dev << 48 ^ (uint64_t)st.st_ino : rf_clock_ns(CLOCK_REALTIME);
  s->number = 0;
  if (s->file && s->fd >= 0) {
    recall_file(s);
  }
  return s->fd >= 0;
}

/* ---- Records ---- */

static void put_label(rf_json_writer *w, const char *name, const char *value) {
  if (value[0] != '\0') {
    rf_json_put_text(w, name, value);
  }
}

/* Ids of a file are made of its contents: read again after a restart, its findings count once. */
static const char *id_of(rf_serial_source *s, const char *json, size_t length) {
  uint64_t const number = s->file ? rf_fnv_bytes(RF_FNV_START, json, length) : ++s->number;
  const char *const again = s->generation == 0 ? "" : rf_bump_arena_print(&s->arena, ".%" PRIu64, s->generation);
  return rf_bump_arena_print(&s->arena, "serial-%016" PRIx64 "%s-%" PRIu32 "-%" PRIx64, s->start, again, s->starts,
                             number);
}

static const char *time_now(rf_bump_arena *arena) {
  const char *const text =
      rf_time_text(arena, (int64_t)(rf_clock_ns(CLOCK_REALTIME) / 1000000000U), "%Y-%m-%dT%H:%M:%S.000000Z");
  return text == NULL ? "1970-01-01T00:00:00.000000Z" : text;
}

static void put_envelope(rf_serial_source *s, rf_json_writer *w, const char *mode, const char *id) {
  const char *const build_id = s->build_id[0] != '\0' ? s->build_id : s->image->build_id;
  rf_json_put_text(w, "record", "finding");
  rf_json_put_number(w, "version", 1);
  rf_json_put_text(w, "id", id);
  rf_json_put_text(w, "time", time_now(&s->arena));
  rf_json_put_number(w, "pid", 0);
  rf_json_put_text(w, "host", s->device[0] != '\0' ? s->device : s->path);
  rf_json_put_text(w, "program", s->image->path != NULL ? s->image->path : "");
  rf_json_put_text(w, "mode", mode == NULL ? "guard" : mode);
  rf_json_put_text(w, "environment", rf_env_or("RINGFENCE_ENVIRONMENT", "development"));
  rf_json_open(w, "build", "{");
  put_label(w, "version", rf_env_or("RINGFENCE_VERSION", ""));
  put_label(w, "commit", rf_env_or("RINGFENCE_COMMIT", ""));
  put_label(w, "build_id", build_id);
  rf_json_close(w, "}");
  rf_json_open(w, "labels", "{");
  put_label(w, "device", s->device);
  put_label(w, "boot", s->boot);
  put_label(w, "reset", s->reset);
  rf_json_close(w, "}");
  rf_json_put_number(w, "count", 1);
  rf_json_put_number(w, "dropped", 0);
}

/* `json`: of the finding, without a line feed. */
static void send(rf_serial_source *s, const char *mode, const char *id, const char *json, size_t length) {
  rf_text_sink line;
  rf_text_sink_init(&line, &s->arena);
  rf_sink_char(&line.sink, '\n'); /* the spool's own byte */
  rf_json_writer w = {.sink = &line.sink};
  rf_json_open(&w, NULL, "{");
  put_envelope(s, &w, mode, id);
  rf_sink_str(&line.sink, ",\"finding\":");
  rf_sink_mem(&line.sink, json, length);
  rf_sink_str(&line.sink, "}\n");
  bool const written = rf_spool_file_append(s->spool, line.text + 1, line.length - 1, true);
  if (!written && !s->failed) {
    rf_diag("%s: a finding cannot be written to the spool", s->path);
  }
  s->failed = !written;
}

/* A board knows addresses; the image is what they lie in. */
static void place_frames(const rf_serial_source *s, rf_stack *stack, const char *build_id) {
  for (unsigned i = 0; i < stack->count && s->image->path != NULL; i++) {
    rf_frame *const f = &stack->frames[i];
    if ((f->module == NULL || f->module == s->image->path) && f->address != 0) {
      f->module = s->image->path;
      f->build_id = build_id;
      f->offset = f->address;
    }
  }
}

static rf_text_sink json_of(rf_serial_source *s, rf_record *record, const char *build_id) {
  rf_text_sink t;
  rf_text_sink_init(&t, &s->arena);
  place_frames(s, &record->found, build_id);
  place_frames(s, &record->allocated, build_id);
  place_frames(s, &record->released, build_id);
  rf_symbolizer const symbolizer = rf_record_symbolizer(record);
  rf_report_json(&record->finding, &symbolizer, &t.sink);
  return t;
}

/* The id is made without the build-id that the board told of: that may have been in a file before this one. */
static void take_finding(void *context, rf_record *record) {
  rf_serial_source *const s = (rf_serial_source *)context;
  s->starts += record->finding.sequence <= s->last;
  s->last = (uint32_t)record->finding.sequence;
  rf_text_sink json = json_of(s, record, s->image->build_id);
  const char *const id = id_of(s, json.text, json.length - 1);
  if (s->build_id[0] != '\0') {
    json = json_of(s, record, s->build_id);
  }
  send(s, record->finding.mode, id, json.text, json.length - 1);
}

static void keep_text(char out[RF_SERIAL_NAME], const rf_json *object, const char *name) {
  const char *const text = rf_json_text(object, name, NULL);
  const rf_json *const value = rf_json_member(object, name);
  const char *const shown = text != NULL ? text : value != NULL && value->text != NULL ? value->text : "";
  (void)snprintf(out, RF_SERIAL_NAME, "%s", shown);
}

/* A JSON line in the serial form: of the device itself, or a finding. */
static void take_text(void *context, const char *line, size_t length) {
  rf_serial_source *const s = (rf_serial_source *)context;
  const rf_json *const root = rf_json_parse(&s->arena, line, length);
  const char *const type = rf_json_text(root, "type", "");
  if (strcmp(type, "device") == 0) {
    keep_text(s->device, root, "device");
    keep_text(s->boot, root, "boot");
    keep_text(s->reset, root, "reset");
    keep_text(s->build_id, root, "build_id");
  } else if (strcmp(type, "finding") == 0 && memchr(line, '\n', length) == NULL) {
    send(s, rf_json_text(root, "mode", NULL), id_of(s, line, length), line, length);
  }
}

/* ---- Lines ---- */

static void start_reader(rf_serial_source *s) {
  s->serial.arena = &s->arena;
  s->serial.finding = take_finding;
  s->serial.text = take_text;
  s->serial.context = s;
}

static void forget(rf_serial_source *s) {
  if (s->serial.open == NULL) {
    rf_bump_arena_free(&s->arena);
    s->pending = 0;
  }
}

static void hand_out(rf_serial_source *s) {
  rf_serial_end(&s->serial);
  forget(s);
}

static void take_line(rf_serial_source *s, int64_t now) {
  if (rf_serial_is(s->line, s->used)) {
    rf_serial_line(&s->serial, s->line, s->used);
    s->last_ms = now;
    if (++s->pending > PENDING_MOST) {
      hand_out(s);
    }
  }
  forget(s);
}

static void note_bytes(rf_serial_source *s, const char *bytes, size_t size) {
  size_t const add = size < RF_SERIAL_TAIL ? size : RF_SERIAL_TAIL;
  size_t const room = RF_SERIAL_TAIL - add;
  size_t const keep = s->tail_used < room ? s->tail_used : room;
  memmove(s->tail, s->tail + s->tail_used - keep, keep);
  memcpy(s->tail + keep, bytes + size - add, add);
  s->tail_used = keep + add;
  s->sum = rf_fnv_bytes(s->sum, bytes, size);
  s->bytes += size;
  s->moved = true;
}

/* The file does not have what was read last: it was truncated, and may be longer again. */
static bool is_truncated(const rf_serial_source *s) {
  char now[RF_SERIAL_TAIL];
  ssize_t const got = pread(s->fd, now, s->tail_used, (off_t)(s->bytes - s->tail_used));
  return got >= 0 && ((size_t)got != s->tail_used || memcmp(now, s->tail, s->tail_used) != 0);
}

/* Another file has its name, and something in it. */
static bool is_replaced(const rf_serial_source *s) {
  struct stat mine;
  struct stat named;
  return fstat(s->fd, &mine) == 0 && stat(s->path, &named) == 0 && S_ISREG(named.st_mode) && named.st_size != 0 &&
         (mine.st_ino != named.st_ino || mine.st_dev != named.st_dev);
}

/* A line that is longer than the buffer has its mark at the end, or none: noise came before. */
static void take_bytes(rf_serial_source *s, const char *bytes, size_t size, int64_t now) {
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] == '\n' || bytes[i] == '\r') {
      take_line(s, now);
      s->used = 0;
    } else {
      if (s->used == sizeof s->line) {
        memmove(s->line, s->line + sizeof s->line / 2, sizeof s->line / 2);
        s->used = sizeof s->line / 2;
      }
      s->line[s->used++] = bytes[i];
    }
  }
}

bool rf_serial_source_read(rf_serial_source *s, int64_t now) {
  static char buffer[READ_MOST];
  if (s->fd < 0) {
    return false;
  }
  if (s->file && is_truncated(s) && lseek(s->fd, 0, SEEK_SET) == 0) {
    rf_diag("%s was truncated: reading it from its beginning", s->path);
    begin_file(s, s->generation + 1);
  }
  ssize_t const got = read(s->fd, buffer, sizeof buffer);
  if (got > 0) {
    note_bytes(s, buffer, (size_t)got);
    take_bytes(s, buffer, (size_t)got, now);
  } else if (!s->file && (got == 0 || (errno != EAGAIN && errno != EINTR))) {
    rf_diag("%s was disconnected: waiting for it", s->path);
    (void)close(s->fd);
    s->fd = -1;
  }
  return got > 0;
}

static void read_file(rf_serial_source *s, int64_t now) {
  while (s->file && rf_serial_source_read(s, now)) {
  }
}

void rf_serial_source_tick(rf_serial_source *s, int64_t now) {
  if (s->fd < 0 && open_source(s)) {
    rf_diag("%s is connected again", s->path);
  }
  bool const replaced = s->file && s->fd >= 0 && is_replaced(s);
  read_file(s, now);
  if (replaced) {
    (void)close(s->fd);
    s->fd = -1;
    rf_diag(open_source(s) ? "%s is another file now: reading that one"
                           : "%s is another file now, which cannot be read",
            s->path);
    read_file(s, now);
  }
  if (s->serial.open != NULL && now - s->last_ms > SILENCE_MS) {
    hand_out(s);
  }
}

void rf_serial_source_finish(rf_serial_source *s) {
  take_line(s, 0);
  s->used = 0;
  hand_out(s);
}

static size_t beyond(size_t all, size_t told) {
  return all > told ? all - told : 0;
}

/* More may have been told than there is: of a file that is read again, a finding may have been open at its end. */
rf_serial_losses rf_serial_source_losses(const rf_serial_source *s) {
  rf_serial_losses const all = all_losses(s);
  return (rf_serial_losses){beyond(all.damaged, s->told.damaged), beyond(all.incomplete, s->told.incomplete),
                            beyond(all.missing, s->told.missing)};
}

rf_serial_mark rf_serial_source_mark(const rf_serial_source *s) {
  rf_serial_losses const more = rf_serial_source_losses(s);
  return (rf_serial_mark){s->generation,
                          s->bytes,
                          s->sum,
                          {s->told.damaged + more.damaged - s->before.damaged,
                           s->told.incomplete + more.incomplete - s->before.incomplete,
                           s->told.missing + more.missing - s->before.missing}};
}

void rf_serial_source_told(rf_serial_source *s) {
  rf_serial_losses const more = rf_serial_source_losses(s);
  s->told = (rf_serial_losses){s->told.damaged + more.damaged, s->told.incomplete + more.incomplete,
                               s->told.missing + more.missing};
  s->moved = false;
}

bool rf_serial_source_open(rf_serial_source *s, char error[RF_SERIAL_ERROR]) {
  s->fd = -1;
  start_reader(s);
  if (speed_of(s->baud) == B0) {
    (void)snprintf(error, RF_SERIAL_ERROR, "--baud %u: use one of 9600, 19200, 38400, 57600, 115200 … 1000000",
                   s->baud);
    return false;
  }
  if (!open_source(s)) {
    (void)snprintf(error, RF_SERIAL_ERROR, "--serial %s: %s", s->path,
                   errno == EINVAL ? "use a device, a pipe or a file" : strerror(errno));
    return false;
  }
  return true;
}

void rf_serial_source_close(rf_serial_source *s) {
  if (s->fd >= 0) {
    (void)close(s->fd);
  }
  s->fd = -1;
  rf_bump_arena_free(&s->arena);
}
