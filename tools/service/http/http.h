/* The HTTP side of the collector.
 *
 * libmicrohttpd with epoll, run by the caller's loop: no thread. Listens on a loopback address unless told otherwise,
 * and on DIR/serve.sock, which only this user can reach.
 * Every request: Host must be one of ours, Origin ours or absent, the right that the route needs must be granted.
 * Sizes of requests, number and memory of connections are bounded; a connection that does not move is closed.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_HTTP_H
#define RINGFENCE_TOOLS_SERVICE_HTTP_H

#include "tools/service/intake/intake.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_HTTP_HOSTS = 8, RF_HTTP_ERROR = 600 };

typedef struct rf_http_options {
  const char *directory;            /* of the collector, for its tokens and its status */
  const char *address;              /* "127.0.0.1", "::1", ... */
  unsigned port;                    /* 0: any */
  const char *hosts[RF_HTTP_HOSTS]; /* further names that requests may use, of a reverse proxy */
  size_t host_count;
  const char *base;        /* where a reverse proxy has the page: rf_base_path_read gave it; "": at / */
  const char *source_root; /* lines of code are shown of files in it; NULL: none */
} rf_http_options;

typedef struct rf_http rf_http;

/* Starts to listen. `options`, `store` and `intake` must outlive it. NULL with a message in `error`. */
rf_http *rf_http_start(const rf_http_options *options, rf_store *store, rf_intake *intake, char error[RF_HTTP_ERROR]);
void rf_http_stop(rf_http *http);

/* Descriptors, one for each listener, that are readable when rf_http_run has something to do; it is also to be called
 * after `timeout` ms. -1: there is no such listener. */
enum { RF_HTTP_LISTENERS = 2 };
int rf_http_descriptor(const rf_http *http, size_t listener);
int rf_http_timeout(const rf_http *http);
void rf_http_run(rf_http *http);

/* Tells the pages that are open that the store has changed. To be called every second or so in any case. */
void rf_http_changed(rf_http *http, bool changed);

/* True for an address of IPv4 or IPv6, without brackets. */
bool rf_http_is_address(const char *text);

/* "http://127.0.0.1:PORT", and the base path. */
const char *rf_http_url(const rf_http *http);

/* The path of a page that signs a browser in, once, within two minutes. */
const char *rf_http_sign_in_path(rf_http *http);

#ifdef __cplusplus
}
#endif

#endif
