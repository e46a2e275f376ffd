#include "tools/service/intake/serial_parts.h"

#include "checkers/os/clock.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <ringfence/report_serial.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* A finding is some twenty lines: more without an end come of a line that is lost in noise. */
enum { SILENCE_MS = 3000, PENDING_MOST = 2000, READ_MOST = 1 << 16 };

/* More characters than a mark with all its digits, and a beginning of the next mark, can have. */
enum { LONGEST = RF_SERIAL_LINE + 8 };

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
  if (s->file && s->fd >= 0) {
    rf_serial_file_recall(s);
  }
  return s->fd >= 0;
}

/* ---- Lines ---- */

static void start_reader(rf_serial_source *s) {
  s->serial.arena = &s->arena;
  s->serial.finding = rf_serial_take_finding;
  s->serial.text = rf_serial_take_text;
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
  if (rf_serial_line(&s->serial, s->line, s->used)) {
    s->last_ms = now;
    if (++s->pending > PENDING_MOST) {
      hand_out(s);
    }
  }
  forget(s);
}

/* The start of the last mark, behind which more may have to come, or of what might become one. */
static size_t last_mark(const rf_serial_source *s) {
  size_t const mark = strlen(RF_SERIAL_MARK);
  for (size_t at = s->used - mark; at > s->used - LONGEST; at--) {
    if (memcmp(s->line + at, RF_SERIAL_MARK, mark) == 0) {
      return at;
    }
  }
  return s->used - mark + 1;
}

/* The line is longer than the buffer, by noise: what is whole in it is read, and a mark at its end stays. */
static void make_room(rf_serial_source *s, int64_t now) {
  size_t const all = s->used;
  size_t const at = last_mark(s);
  s->used = at;
  take_line(s, now);
  memmove(s->line, s->line + at, all - at);
  s->used = all - at;
}

static void take_bytes(rf_serial_source *s, const char *bytes, size_t size, int64_t now) {
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] == '\n' || bytes[i] == '\r') {
      take_line(s, now);
      s->used = 0;
    } else {
      if (s->used == sizeof s->line) {
        make_room(s, now);
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
  if (s->file && rf_serial_file_is_truncated(s) && lseek(s->fd, 0, SEEK_SET) == 0) {
    rf_diag("%s was truncated: reading it from its beginning", s->path);
    rf_serial_file_begin(s, s->generation + 1);
  }
  ssize_t const got = read(s->fd, buffer, sizeof buffer);
  if (got > 0) {
    rf_serial_file_note(s, buffer, (size_t)got);
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
  bool const replaced = s->file && s->fd >= 0 && rf_serial_file_is_replaced(s);
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
