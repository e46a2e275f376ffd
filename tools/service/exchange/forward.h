/* Records on their way to another collector: batches over HTTP, sent again until they have arrived.
 *
 * No loss: the caller removes what it read after rf_forward_flush said that all is there. No doubling: each record has
 * an id, and the collector knows the last 262,144.
 * Back-off: 1 s, doubled up to a minute. Threads: one.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_FORWARD_H
#define RINGFENCE_TOOLS_SERVICE_FORWARD_H

#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/base/json.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/service/exchange/curl.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_FORWARD_BATCH = 1 << 20 }; /* bytes of one request, but for a longer line */

/* The request that posts the records in `body_file` to the collector at `url`. `token` NULL: none. */
rf_curl rf_forward_request(rf_bump_arena *arena, const char *url, const char *token, const char *body_file);

/* Why a request was not taken: the answer is not that of a collector that did what it was asked for. */
const char *rf_forward_refusal(rf_bump_arena *arena, const rf_curl_answer *answer);

/* The collector's answer where it has taken them; else NULL, and *why is a sentence. */
const rf_json *rf_forward_taken(rf_bump_arena *arena, const rf_curl_answer *answer, const char **why);

typedef struct rf_forward {
  const char *url;   /* of the collector */
  const char *token; /* NULL: none */
  unsigned tries;    /* of one batch; 0: until it arrives */
  const volatile sig_atomic_t *stop;
  rf_bump_arena arena;
  rf_text_sink batch;
  uint64_t records; /* in the batch */
  uint64_t sent;    /* records, as the next */
  uint64_t twice;   /* of them, those that the collector had already */
  uint64_t lost;    /* lines that are no records */
  bool complained;
} rf_forward;

void rf_forward_init(rf_forward *f);
void rf_forward_deinit(rf_forward *f);

/* Adds a line, without its line feed. False where a full batch could not be sent: it was stopped, or all tries
 * failed. */
bool rf_forward_line(rf_forward *f, const char *line, size_t length);

/* Sends what was added. False as above; nothing that was added since the last success counts as sent then. */
bool rf_forward_flush(rf_forward *f);

/* Sends the spool in the open folder `directory` (DIR, not DIR/spool) and removes what was sent. */
bool rf_forward_spool(rf_forward *f, int directory);

/* Sends the lines of the files *.jsonl and *.json in the open folder that were not sent before: records, and findings
 * as programs and `ringfence check` write them. The file .ringfence-forwarded in it holds how far; where it cannot be
 * written, *unnoted does, which begins as NULL and is the caller's to free. */
bool rf_forward_folder(rf_forward *f, int directory, char **unnoted);

#ifdef __cplusplus
}
#endif

#endif
