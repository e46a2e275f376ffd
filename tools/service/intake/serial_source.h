/* A serial line of a board: findings in the serial form (report_serial.h) become records of the collector's spool.
 *
 * SOURCE is a device, which is set to raw mode; a pipe, which stays open when a writer goes; or a file, which is
 * followed as it grows, and by its name where it is rotated: renamed and made anew, or truncated in place. A device
 * that goes away is waited for. Other text is passed over.
 * Threads: one.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_SERIAL_SOURCE_H
#define RINGFENCE_TOOLS_SERVICE_SERIAL_SOURCE_H

#include "checkers/os/spool_file.h"
#include "tools/ringfence/model/serial.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  RF_SERIAL_SOURCES = 8,
  RF_SERIAL_BUFFER = 4096,
  RF_SERIAL_NAME = 64,
  RF_SERIAL_ERROR = 300,
  RF_SERIAL_TAIL = 256
};

/* Losses of a line since it was last asked. */
typedef struct rf_serial_losses {
  size_t damaged;    /* lines with a wrong checksum */
  size_t incomplete; /* findings of which lines did not arrive */
  size_t missing;    /* findings of which no line arrived */
} rf_serial_losses;

/* How far a file had been read when its losses were counted last. */
typedef struct rf_serial_mark {
  uint64_t generation; /* how many times it had been truncated, and begun anew */
  uint64_t bytes;
  uint64_t sum; /* of these bytes (fnv.h) */
  rf_serial_losses losses;
} rf_serial_mark;

/* The program that runs on the boards; its strings live as long as the sources. */
typedef struct rf_serial_image {
  const char *path;     /* absolute; NULL: none */
  const char *build_id; /* "" where it has none */
} rf_serial_image;

/* The state of the file of this number (rf_serial_source.start); all zero if none is known. */
typedef rf_serial_mark rf_serial_known(void *context, uint64_t number);

typedef struct rf_serial_source {
  const char *path;
  rf_serial_known *known;
  void *known_context;
  const rf_serial_image *image;
  rf_spool_file *spool;
  unsigned baud;
  int fd; /* -1: it is not there */
  bool file;
  bool failed; /* a record could not be written */
  char line[RF_SERIAL_BUFFER];
  size_t used;
  uint64_t start;   /* of ids: a file's own number, else the time */
  uint64_t number;  /* of the last record */
  uint32_t last;    /* sequence of the last finding */
  uint32_t starts;  /* of the board: its sequence began anew */
  int64_t last_ms;  /* when a line came */
  unsigned pending; /* lines since nothing was open */
  rf_bump_arena arena;
  rf_serial serial;
  rf_serial_losses told;
  rf_serial_losses before;   /* when the file began, which may have been preceded by others */
  uint64_t generation;       /* of the file, as the next two */
  uint64_t bytes;            /* read */
  uint64_t sum;              /* of these bytes */
  char tail[RF_SERIAL_TAIL]; /* the last of these bytes */
  size_t tail_used;
  bool moved;                  /* since rf_serial_source_told */
  char device[RF_SERIAL_NAME]; /* as its last line of type "device" said, as the next */
  char boot[RF_SERIAL_NAME];
  char reset[RF_SERIAL_NAME];
  char build_id[RF_SERIAL_NAME];
} rf_serial_source;

/* Reads the build-id of the image. False with a message. `arena` holds what it says. */
bool rf_serial_image_read(rf_serial_image *image, rf_bump_arena *arena, const char *path, char error[RF_SERIAL_ERROR]);

/* Prepares *s, which must not move, and opens the source. The caller has set `path`, `baud`, `image`, `spool`, `known`
 * and `known_context`, which must outlive it; the rest is zero. False with a message where it cannot be opened, or is
 * nothing that is read. */
bool rf_serial_source_open(rf_serial_source *s, char error[RF_SERIAL_ERROR]);
void rf_serial_source_close(rf_serial_source *s);

/* Reads some of what there is; false where that is nothing. `now` in ms of a steady clock. */
bool rf_serial_source_read(rf_serial_source *s, int64_t now);

/* To be called every second: hands out findings whose last lines do not come, looks for a device that went,
 * and for a file that came in the place of the one that is read. That one is read to its end first, and kept while the
 * other is empty: its writer may not know yet. */
void rf_serial_source_tick(rf_serial_source *s, int64_t now);

/* Hands out what is open; the source is at its end. */
void rf_serial_source_finish(rf_serial_source *s);

/* The losses since rf_serial_source_told, which says that they have been counted. A file that begins with the bytes of
 * which s->known says so has told their losses. */
rf_serial_losses rf_serial_source_losses(const rf_serial_source *s);
void rf_serial_source_told(rf_serial_source *s);

/* As the next rf_serial_source_told will leave it: for s->known at a later reading of the file numbered s->start. */
rf_serial_mark rf_serial_source_mark(const rf_serial_source *s);

#ifdef __cplusplus
}
#endif

#endif
