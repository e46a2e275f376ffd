/* Sockets that the collector listens on. */
#ifndef RINGFENCE_TOOLS_SERVICE_LISTEN_H
#define RINGFENCE_TOOLS_SERVICE_LISTEN_H

#include "tools/service/http/request.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The name of the socket in the collector's folder. */
#define RF_LISTEN_SOCKET "serve.sock"

/* Listens on the address and port of http->options; http->rights.port is the port then. The descriptor; -1, and why in
 * error[RF_HTTP_ERROR]. */
int rf_listen_on(rf_http *http, char *error);

/* Makes up the address of the page and the name of the cookie, once the port is known. */
void rf_listen_name(rf_http *http);

/* Listens on DIR/serve.sock, by way of the folder's descriptor: names of sockets are short. The one of a collector that
 * was killed is replaced: this collector has the folder's lock. The descriptor; -1, and a message to the user. */
int rf_listen_in(const char *directory);

#ifdef __cplusplus
}
#endif

#endif
