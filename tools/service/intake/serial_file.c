#include "tools/service/intake/serial_parts.h"

#include "checkers/os/same_file.h"
#include "checkers/report/fnv.h"

#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 16 };

static rf_serial_losses all_losses(const rf_serial_source *s) {
  return (rf_serial_losses){s->serial.damaged, s->serial.incomplete, s->serial.missing};
}

static rf_serial_losses sum_of(rf_serial_losses a, rf_serial_losses b) {
  return (rf_serial_losses){a.damaged + b.damaged, a.incomplete + b.incomplete, a.missing + b.missing};
}

static size_t at_most(size_t told, size_t all) {
  return told < all ? told : all;
}

void rf_serial_file_begin(rf_serial_source *s, uint64_t generation) {
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
  static char buffer[PIECE];
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

void rf_serial_file_recall(rf_serial_source *s) {
  rf_serial_mark const known = s->known(s->known_context, s->start);
  bool const same = begins_with(s->fd, &known);
  rf_serial_file_begin(s, known.generation + !same);
  if (same) {
    s->told = sum_of(s->told, known.losses);
  }
}

void rf_serial_file_note(rf_serial_source *s, const char *bytes, size_t size) {
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

bool rf_serial_file_is_truncated(const rf_serial_source *s) {
  char now[RF_SERIAL_TAIL];
  ssize_t const got = pread(s->fd, now, s->tail_used, (off_t)(s->bytes - s->tail_used));
  return got >= 0 && ((size_t)got != s->tail_used || memcmp(now, s->tail, s->tail_used) != 0);
}

bool rf_serial_file_is_replaced(const rf_serial_source *s) {
  struct stat mine;
  struct stat named;
  return fstat(s->fd, &mine) == 0 && stat(s->path, &named) == 0 && S_ISREG(named.st_mode) && named.st_size != 0 &&
         !rf_is_same_file(&mine, &named);
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
  rf_serial_losses const all = sum_of(s->told, rf_serial_source_losses(s));
  rf_serial_losses const own = {all.damaged - s->before.damaged, all.incomplete - s->before.incomplete,
                                all.missing - s->before.missing};
  return (rf_serial_mark){s->generation, s->bytes, s->sum, own};
}

void rf_serial_source_told(rf_serial_source *s) {
  s->told = sum_of(s->told, rf_serial_source_losses(s));
  s->moved = false;
}
