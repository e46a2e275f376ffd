/* HTTP as a client: `curl` as a child. All that it is told goes through its standard input: URLs and tokens are no part
 * of a command line that others can read. */
#ifndef RINGFENCE_TOOLS_SERVICE_CURL_H
#define RINGFENCE_TOOLS_SERVICE_CURL_H

#include "tools/ringfence/base/arena.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_curl {
  const char *url;       /* http or https */
  const char *body_file; /* posted; NULL: a GET, or `body` */
  bool streamed;         /* the file is too large for memory; the address has no slash at its end */
  const char *body;      /* posted in its place, without a line feed; NULL: none */
  const char *type;      /* of the body; NULL: application/octet-stream */
  const char *header;    /* a further one, "Authorization: Bearer …"; NULL: none */
  const char *output;    /* file for the answer; NULL: it is returned */
  unsigned seconds; /* for all of it; 0: an hour, but a minute at most in which nothing moves: the line may be slow */
  uint64_t most_bytes; /* of the answer; 0: any */
  bool unattended;     /* prints nothing, and ends with one of the statuses below where HTTP does not answer 2xx */
} rf_curl;

/* The exit status of an unattended one. */
enum { RF_CURL_HTTP_ERROR = 22, RF_CURL_REDIRECTED = 47, RF_CURL_MISSING = 127 };

typedef struct rf_curl_answer {
  int status;       /* of HTTP; 0: there was no answer */
  const char *text; /* "" where it went to a file */
} rf_curl_answer;

/* True for an address that begins with http:// or https:// and has a host. */
bool rf_is_web_address(const char *text);

/* The address of `path`, which begins with a slash, below `url`, which may end with one. */
const char *rf_web_below(rf_bump_arena *arena, const char *url, const char *path);

/* The standard input for `curl -q -K -`, for callers that start it themselves and do not wait. */
const char *rf_curl_configuration(rf_bump_arena *arena, const rf_curl *c);

/* Reads the output of such a child, whose last line is the status of HTTP. Not of an `unattended` one. */
rf_curl_answer rf_curl_answer_of(rf_bump_arena *arena, const char *output);

/* Runs it and waits. False, after a message, only where there is no curl. */
bool rf_curl_run(rf_bump_arena *arena, const rf_curl *request, rf_curl_answer *answer);

#ifdef __cplusplus
}
#endif

#endif
