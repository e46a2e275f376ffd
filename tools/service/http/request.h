/* One request on its way, and its answer. */
#ifndef RINGFENCE_TOOLS_SERVICE_REQUEST_H
#define RINGFENCE_TOOLS_SERVICE_REQUEST_H

#include "tools/service/http/answers.h"
#include "tools/service/http/base_path.h"
#include "tools/service/http/connections.h"
#include "tools/service/http/rights.h"
#include "tools/service/http/stream.h"
#include "tools/service/http/turns.h"

#include "tools/ringfence/base/arena.h"

#include <microhttpd.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_REQUEST_TOO_MANY "too much is being sent at once: try again"

enum { RF_BODY_MOST = 4 << 20, RF_FORM_MOST = 8192, RF_COOKIE_NAME = 32 };

/* A place that connections come to: an address, or the socket in the collector's folder. */
typedef struct rf_listener {
  rf_http *http;
  struct MHD_Daemon *daemon; /* NULL: none */
  bool local;                /* the socket */
  int epoll;
  rf_connections connections;
} rf_listener;

struct rf_http {
  const rf_http_options *options;
  rf_store *store;
  rf_intake *intake;
  rf_rights rights;
  rf_streams streams;
  rf_turns turns;
  rf_answers answers;
  int64_t held; /* when the database was last seen to be held by another program; 0: it was not */
  rf_listener listeners[RF_HTTP_LISTENERS];
  char url[96 + RF_BASE_PATH_MOST];
  char path[64];
  char cookie[RF_COOKIE_NAME]; /* its name has the port: cookies of one host are shared by its ports */
};

/* From the first call for a request to its end. */
typedef struct rf_request {
  rf_http *http;
  rf_connections *connections; /* of its listener */
  rf_connection *entry;        /* among them */
  struct MHD_Connection *connection;
  const char *method;
  const char *path;
  rf_sender sender;
  unsigned granted;
  char *body;
  size_t length;
  size_t room;
  bool too_large;
  const char *refused; /* why its body is not wanted; NULL: it is */
  unsigned refusal;    /* the status that says so */
  int file;            /* an upload goes there and not to `body`; -1: none */
  const char *file_path;
  bool its_turn;                /* it has waited, or need not */
  struct rf_request *next_turn; /* among those that wait */
  const char *question;         /* its answer is kept for others who ask the same; NULL: it is not */
  rf_bump_arena arena;
} rf_request;

/* A value of the query string; NULL where it is absent. */
const char *rf_request_argument(const rf_request *r, const char *name);

/* A field of a form that was posted, decoded, in the arena; NULL where it is absent. */
const char *rf_request_field(rf_request *r, const char *name);

/* The path and the query string. */
const char *rf_request_target(rf_request *r);

/* Everything that the answer to a GET depends on beside the store. */
const char *rf_request_question(rf_request *r);

/* Answers. `text` is copied. */
enum MHD_Result rf_reply(const rf_request *r, unsigned status, const char *type, const char *text, size_t length);
enum MHD_Result rf_reply_json(const rf_request *r, unsigned status, const char *text);

/* {"error": "..."}, or for a browser a page that says so. */
enum MHD_Result rf_reply_error(rf_request *r, unsigned status, const char *message);

/* The same where a call of the store failed: 507 where the disk is full, 503 where another process has the lock, else
 * `otherwise`. */
enum MHD_Result rf_reply_store_error(rf_request *r, unsigned otherwise, const char *message);

/* Sends a browser on to `path`, behind the base path, with a cookie that signs it in where `session`, a secret, is not
 * NULL, and that it forgets where that is empty. */
enum MHD_Result rf_reply_redirect(rf_request *r, const char *path, const char *session);

/* Adds the headers that every answer has. */
void rf_reply_headers(struct MHD_Response *response);

/* The callbacks of libmicrohttpd, in arrival.c: with a request's target as it was sent, for each piece of the request,
 * and at its end. */
void *rf_request_is_named(void *context, const char *target, struct MHD_Connection *connection);
enum MHD_Result rf_request_arrives(void *listener, struct MHD_Connection *connection, const char *path,
                                   const char *method, const char *version, const char *data, size_t *size,
                                   void **state);
void rf_request_ends(void *context, struct MHD_Connection *connection, void **state,
                     enum MHD_RequestTerminationCode code);

/* Finds the route of a request whose body is there, and answers. In routes.c. */
enum MHD_Result rf_route(rf_request *r);

/* An upload of symbols, POST /api/v1/symbols?name=NAME: opens the file for the body, and takes it in when it is whole.
 * GET /buildid/ID/debuginfo and /executable, as debuginfod has them. In buildid.c. */
void rf_upload_begin(rf_request *r);
enum MHD_Result rf_upload_end(rf_request *r);
enum MHD_Result rf_reply_buildid(rf_request *r);

/* Whether a request has to wait for its turn. In routes.c. */
rf_turn_kind rf_route_turn(const rf_request *r);

/* The right that a request needs: known before its body is. In routes.c. */
rf_right rf_route_right(const char *method, const char *path);

#ifdef __cplusplus
}
#endif

#endif
