/* The serial lines that `serve` reads. */
#ifndef RINGFENCE_TOOLS_SERVICE_CLI_SERIAL_H
#define RINGFENCE_TOOLS_SERVICE_CLI_SERIAL_H

#include "tools/service/cli/loop.h"

#include <poll.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_serial_lines {
  rf_bump_arena arena;
  rf_serial_image image;
  rf_spool_file spool;
  rf_serial_source *list;
  size_t count;
} rf_serial_lines;

/* Opens all of them; `store` knows files that were read before. False after a message. */
bool rf_serial_lines_open(rf_serial_lines *lines, const rf_serve_options *options, rf_store *store);
void rf_serial_lines_close(rf_serial_lines *lines);

/* Sets one entry of `fds` for each; reads those that have something. */
void rf_serial_lines_poll(const rf_serial_lines *lines, struct pollfd fds[RF_SERIAL_SOURCES]);
void rf_serial_lines_read(rf_serial_lines *lines, const struct pollfd fds[RF_SERIAL_SOURCES], int64_t now);

/* To be called every second; notes what was lost, in transactions of the intake. */
void rf_serial_lines_tick(rf_serial_lines *lines, rf_intake *intake, int64_t now);

/* Reads all that is there, to the end of files. False, with the store's error set, where losses were not noted. */
bool rf_serial_lines_finish(rf_serial_lines *lines, rf_intake *intake);

/* At the end of `serve`: hands out what lines told of and no file has, also a finding whose end has not come. */
void rf_serial_lines_end(rf_serial_lines *lines, rf_intake *intake);

#ifdef __cplusplus
}
#endif

#endif
