/* Access control: rights, tokens, and the checks of Host and Origin. */
#ifndef RINGFENCE_TOOLS_SERVICE_RIGHTS_H
#define RINGFENCE_TOOLS_SERVICE_RIGHTS_H

#include "tools/service/http/http.h"
#include "tools/service/http/sessions.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bits. */
typedef enum rf_right { RF_RIGHT_READ = 1, RF_RIGHT_POST = 2, RF_RIGHT_TRIAGE = 4, RF_RIGHT_STEER = 8 } rf_right;

enum { RF_TOKENS = 64, RF_TOKEN_LEAST = 16, RF_CODE_LIFE_MS = 120000 };

typedef struct rf_token {
  unsigned rights;
  char text[RF_TOKEN_LENGTH + 1];
} rf_token;

typedef struct rf_rights {
  bool loopback; /* the listener's address is one of this machine alone */
  unsigned port;
  const rf_http_options *options;
  rf_token tokens[RF_TOKENS]; /* the first is DIR/token's, with all rights */
  size_t token_count;
  rf_sessions sessions;
  char code[33]; /* signs a browser in, once; "" when used */
  int64_t code_until;
} rf_rights;

/* The headers that describe a request's sender; NULL where absent. */
typedef struct rf_sender {
  const char *host;
  const char *origin;
  const char *authorization;
  const char *cookie; /* the value of ours: a session's secret */
  const char *site;   /* Sec-Fetch-Site */
  bool writes;        /* not GET or HEAD */
  bool local;         /* by the socket in the collector's folder: a process of this user */
} rf_sender;

/* Reads DIR/token, made where it is missing, and DIR/tokens: lines of "read,post,triage,steer TOKEN". False with a
 * message. */
bool rf_rights_init(rf_rights *rights, const rf_http_options *options, char error[RF_HTTP_ERROR]);

/* NULL if a request of this sender is one that we answer, else why not. */
const char *rf_rights_refusal(const rf_rights *rights, const rf_sender *sender);

/* The rights of the sender, as bits. */
unsigned rf_rights_granted(const rf_rights *rights, const rf_sender *sender);

/* A fresh code for one browser; and the token that a browser with this code or token gets, or NULL. */
const char *rf_rights_new_code(rf_rights *rights);
const char *rf_rights_redeem(rf_rights *rights, const char *code);
const char *rf_rights_token(const rf_rights *rights, const char *token);

#ifdef __cplusplus
}
#endif

#endif
