#include "tools/service/cli/serial.h"

#include "tools/ringfence/base/diagnostics.h"

#include <string.h>

/* Files of which is remembered how far they were read; pieces that are read of a line at the end: one that is written
 * to all the time must not hold the end up. */
enum { FILES = 256, LAST_PIECES = 64 };

static rf_serial_mark mark_of(void *context, uint64_t number) {
  rf_store *const store = (rf_store *)context;
  rf_serial_mark out = {.bytes = 0};
  sqlite3_stmt *const s = rf_store_select(
      store, "SELECT generation, bytes, sum, damaged, incomplete, missing FROM serial_file WHERE number = ?", "i",
      (int64_t)number);
  if (rf_store_row(store, s)) {
    out = (rf_serial_mark){
        (uint64_t)sqlite3_column_int64(s, 0),
        (uint64_t)sqlite3_column_int64(s, 1),
        (uint64_t)sqlite3_column_int64(s, 2),
        {(size_t)sqlite3_column_int64(s, 3), (size_t)sqlite3_column_int64(s, 4), (size_t)sqlite3_column_int64(s, 5)}};
    rf_store_done(s);
  }
  return out;
}

static void remember(rf_store *store, uint64_t number, const rf_serial_mark *m) {
  rf_store_run(store,
               "INSERT OR REPLACE INTO serial_file(number, time, generation, bytes, sum, damaged, incomplete, missing)"
               " VALUES(?,?,?,?,?,?,?,?)",
               "iiiiiiii", (int64_t)number, rf_store_now(), (int64_t)m->generation, (int64_t)m->bytes, (int64_t)m->sum,
               (int64_t)m->losses.damaged, (int64_t)m->losses.incomplete, (int64_t)m->losses.missing);
  rf_store_run(store,
               "DELETE FROM serial_file WHERE number IN (SELECT number FROM serial_file ORDER BY time DESC, number"
               " LIMIT -1 OFFSET ?)",
               "i", (int64_t)FILES);
}

bool rf_serial_lines_open(rf_serial_lines *lines, const rf_serve_options *options, rf_store *store) {
  char error[RF_SERIAL_ERROR] = "";
  *lines = (rf_serial_lines){.image = {NULL, ""}};
  if (options->image != NULL && !rf_serial_image_read(&lines->image, &lines->arena, options->image, error)) {
    rf_diag("%s", error);
    return false;
  }
  rf_spool_file_init(&lines->spool, options->directory, strlen(options->directory));
  lines->list = (rf_serial_source *)rf_bump_arena_array(&lines->arena, RF_SERIAL_SOURCES, sizeof *lines->list);
  for (size_t i = 0; i < options->serial_count; i++) {
    lines->list[i] = (rf_serial_source){.path = options->serial[i],
                                        .baud = options->baud,
                                        .image = &lines->image,
                                        .spool = &lines->spool,
                                        .known = mark_of,
                                        .known_context = store};
    if (!rf_serial_source_open(&lines->list[i], error)) {
      rf_diag("%s", error);
      return false;
    }
    lines->count = i + 1;
  }
  return true;
}

void rf_serial_lines_close(rf_serial_lines *lines) {
  for (size_t i = 0; i < lines->count; i++) {
    rf_serial_source_close(&lines->list[i]);
  }
  rf_bump_arena_free(&lines->arena);
}

/* A file is always readable: it is looked at every second. */
void rf_serial_lines_poll(const rf_serial_lines *lines, struct pollfd fds[RF_SERIAL_SOURCES]) {
  for (size_t i = 0; i < RF_SERIAL_SOURCES; i++) {
    bool const waits = i < lines->count && !lines->list[i].file;
    fds[i] = (struct pollfd){waits ? lines->list[i].fd : -1, POLLIN, 0};
  }
}

void rf_serial_lines_read(rf_serial_lines *lines, const struct pollfd fds[RF_SERIAL_SOURCES], int64_t now) {
  for (size_t i = 0; i < lines->count; i++) {
    if (fds[i].revents != 0) {
      (void)rf_serial_source_read(&lines->list[i], now);
    }
  }
}

/* Notes losses of the line, and how far its file was read. */
static void note_losses(const rf_serial_source *s, rf_intake *intake) {
  rf_serial_losses const lost = rf_serial_source_losses(s);
  const struct {
    const char *reason;
    size_t count;
  } all[] = {{"damaged serial lines", lost.damaged},
             {"findings of which serial lines did not arrive", lost.incomplete},
             {"findings of a serial line that did not arrive at all", lost.missing}};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    if (all[i].count != 0) {
      rf_intake_loss(intake, all[i].reason, (int64_t)all[i].count);
    }
  }
  if (s->file && s->moved) {
    rf_serial_mark const mark = rf_serial_source_mark(s);
    remember(intake->store, s->start, &mark);
  }
}

/* The next transaction counts losses that a failed one did not. */
static bool commit(rf_serial_lines *lines, rf_intake *intake) {
  for (size_t i = 0; i < lines->count; i++) {
    note_losses(&lines->list[i], intake);
  }
  bool const done = rf_intake_commit(intake);
  for (size_t i = 0; i < lines->count && done; i++) {
    rf_serial_source_told(&lines->list[i]);
  }
  return done;
}

void rf_serial_lines_tick(rf_serial_lines *lines, rf_intake *intake, int64_t now) {
  for (size_t i = 0; i < lines->count; i++) {
    rf_serial_source_tick(&lines->list[i], now);
  }
  (void)commit(lines, intake);
}

static void finish(rf_serial_source *s, size_t pieces) {
  while (pieces != 0 && rf_serial_source_read(s, 0)) {
    pieces--;
  }
  rf_serial_source_finish(s);
}

bool rf_serial_lines_finish(rf_serial_lines *lines, rf_intake *intake) {
  for (size_t i = 0; i < lines->count; i++) {
    finish(&lines->list[i], SIZE_MAX);
  }
  return commit(lines, intake);
}

void rf_serial_lines_end(rf_serial_lines *lines, rf_intake *intake) {
  for (size_t i = 0; i < lines->count; i++) {
    if (!lines->list[i].file) {
      finish(&lines->list[i], LAST_PIECES);
    }
  }
  (void)commit(lines, intake);
}
