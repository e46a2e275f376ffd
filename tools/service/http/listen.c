/* The places on which the collector listens: an address and a port, and a socket in its folder. */
#include "tools/service/http/listen.h"

#include "tools/ringfence/base/diagnostics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

typedef union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} address;

/* 0: `text` is none. */
static socklen_t read_address(const char *text, unsigned port, address *out) {
  *out = (address){.v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
  if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
    return sizeof out->v4;
  }
  *out = (address){.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)}};
  return inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1 ? sizeof out->v6 : 0;
}

bool rf_http_is_address(const char *text) {
  address unused;
  return read_address(text, 0, &unused) != 0;
}

int rf_listen_on(rf_http *http, char *error) {
  address a;
  socklen_t length = read_address(http->options->address, http->options->port, &a);
  int const one = 1;
  int const fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 || bind(fd, &a.any, length) != 0 ||
      listen(fd, BACKLOG) != 0 || getsockname(fd, &a.any, &length) != 0) {
    (void)snprintf(error, RF_HTTP_ERROR, "cannot listen on %s:%u: %s%s", http->options->address, http->options->port,
                   strerror(errno), errno == EADDRINUSE ? "; choose another with --listen" : "");
    if (fd >= 0) {
      (void)close(fd);
    }
    return -1;
  }
  http->rights.port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
  return fd;
}

/* An address that stands for all of the machine's is none that a browser goes to. */
static const char *page_address(const char *listened) {
  struct in_addr v4;
  struct in6_addr v6;
  if (inet_pton(AF_INET, listened, &v4) == 1) {
    return v4.s_addr == htonl(INADDR_ANY) ? "127.0.0.1" : listened;
  }
  return inet_pton(AF_INET6, listened, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6) ? "::1" : listened;
}

void rf_listen_name(rf_http *http) {
  const char *const host = page_address(http->options->address);
  bool const v6 = strchr(host, ':') != NULL;
  (void)snprintf(http->url, sizeof http->url, v6 ? "http://[%s]:%u%s" : "http://%s:%u%s", host, http->rights.port,
                 http->options->base);
  (void)snprintf(http->cookie, sizeof http->cookie, "ringfence-%u", http->rights.port);
}

int rf_listen_in(const char *directory) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  int const folder = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  (void)snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/" RF_LISTEN_SOCKET, folder);
  int const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  (void)unlinkat(folder, RF_LISTEN_SOCKET, 0);
  mode_t const mask = umask(0177);
  bool const bound =
      folder >= 0 && fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a) == 0 && listen(fd, BACKLOG) == 0;
  (void)umask(mask);
  if (!bound) {
    rf_diag("cannot create " RF_LISTEN_SOCKET " in %s: %s; use the address of the page instead", directory,
            strerror(errno));
  }
  if (folder >= 0) {
    (void)close(folder);
  }
  if (!bound && fd >= 0) {
    (void)close(fd);
  }
  return bound ? fd : -1;
}
