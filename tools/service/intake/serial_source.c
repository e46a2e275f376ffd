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
  s->bytes = 0;
  s->sum = RF_FNV_START;
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
  return rf_bump_arena_print(&s->arena, "serial-%016" PRIx64 "-%" PRIu32 "-%" PRIx64, s->start, s->starts, number);
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
static void send(rf_serial_source *s, const char *mode, const char *json, size_t length) {
  rf_text_sink line;
  rf_text_sink_init(&line, &s->arena);
  rf_sink_char(&line.sink, '\n'); /* the spool's own byte */
  rf_json_writer w = {.sink = &line.sink};
  rf_json_open(&w, NULL, "{");
  put_envelope(s, &w, mode, id_of(s, json, length));
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
static void place_frames(const rf_serial_source *s, rf_stack *stack) {
  for (unsigned i = 0; i < stack->count && s->image->path != NULL; i++) {
    rf_frame *const f = &stack->frames[i];
    if (f->module == NULL && f->address != 0) {
      f->module = s->image->path;
      f->build_id = s->build_id[0] != '\0' ? s->build_id : s->image->build_id;
      f->offset = f->address;
    }
  }
}

static void take_finding(void *context, rf_record *record) {
  rf_serial_source *const s = (rf_serial_source *)context;
  rf_text_sink t;
  rf_text_sink_init(&t, &s->arena);
  place_frames(s, &record->found);
  place_frames(s, &record->allocated);
  place_frames(s, &record->released);
  s->starts += record->finding.sequence <= s->last;
  s->last = (uint32_t)record->finding.sequence;
  rf_symbolizer const symbolizer = rf_record_symbolizer(record);
  rf_report_json(&record->finding, &symbolizer, &t.sink);
  send(s, record->finding.mode, t.text, t.length - 1);
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
    send(s, rf_json_text(root, "mode", NULL), line, length);
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

/* The file may be the one that was read before, at least so far. */
static void note_bytes(rf_serial_source *s, const char *bytes, size_t size) {
  uint64_t const left = s->known.bytes - s->bytes;
  bool const comes_by = s->bytes < s->known.bytes && left <= size;
  if (comes_by && rf_fnv_bytes(s->sum, bytes, (size_t)left) == s->known.sum) {
    s->told = s->known.losses;
  }
  s->sum = rf_fnv_bytes(s->sum, bytes, size);
  s->bytes += size;
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

void rf_serial_source_tick(rf_serial_source *s, int64_t now) {
  if (s->fd < 0 && open_source(s)) {
    rf_diag("%s is connected again", s->path);
  }
  while (s->file && rf_serial_source_read(s, now)) {
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

static rf_serial_losses all_losses(const rf_serial_source *s) {
  return (rf_serial_losses){s->serial.damaged, s->serial.incomplete, s->serial.missing};
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
  return (rf_serial_mark){
      s->bytes,
      s->sum,
      {s->told.damaged + more.damaged, s->told.incomplete + more.incomplete, s->told.missing + more.missing}};
}

void rf_serial_source_told(rf_serial_source *s) {
  s->told = rf_serial_source_mark(s).losses;
}

bool rf_serial_source_open(rf_serial_source *s, const char *path, unsigned baud, const rf_serial_image *image,
                           rf_spool_file *spool, char error[RF_SERIAL_ERROR]) {
  *s = (rf_serial_source){.path = path, .image = image, .spool = spool, .baud = baud, .fd = -1};
  start_reader(s);
  if (speed_of(baud) == B0) {
    (void)snprintf(error, RF_SERIAL_ERROR, "--baud %u: use one of 9600, 19200, 38400, 57600, 115200 … 1000000", baud);
    return false;
  }
  if (!open_source(s)) {
    (void)snprintf(error, RF_SERIAL_ERROR, "--serial %s: %s", path,
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
