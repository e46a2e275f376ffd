/* The collector at work: spool, HTTP, alerts and limits in one loop. */
#ifndef RINGFENCE_TOOLS_SERVICE_LOOP_H
#define RINGFENCE_TOOLS_SERVICE_LOOP_H

#include "tools/service/http/http.h"
#include "tools/service/intake/serial_source.h"
#include "tools/service/intake/spool.h"
#include "tools/service/life/alerts.h"
#include "tools/service/life/keep.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_serve_options {
  const char *directory;
  rf_http_options http;
  rf_intake_options intake;
  rf_keep keep;
  int64_t symbol_bytes;                  /* of files of symbols at most; 0: no limit */
  const char *serial[RF_SERIAL_SOURCES]; /* devices, pipes or files */
  size_t serial_count;
  unsigned baud;
  const char *image; /* the program that runs there; NULL: none */
  const char *webhook;
  const char *command;
  const char *page_url;  /* where others find the page; NULL: where it listens */
  const char *forward;   /* another collector, which gets all records; NULL: none */
  int64_t forward_bytes; /* that may wait for it; 0: any */
  bool shared;           /* look at /dev/shm/ringfence-UID and /tmp/ringfence-UID as well */
  bool open;             /* a browser */
  bool once;             /* take what is there and end, without HTTP */
} rf_serve_options;

/* Runs until SIGTERM or SIGINT. Returns the exit status. */
int rf_serve(rf_serve_options *options);

#ifdef __cplusplus
}
#endif

#endif
