/* Browsers that are signed in. Each has a secret of its own, which is its cookie: cookies know no ports, so that other
 * servers of the same address are sent it, too, and a token would be theirs for good. A session has the rights of the
 * token that it began with, as long as that is one, and ends after 30 days. */
#ifndef RINGFENCE_TOOLS_SERVICE_SESSIONS_H
#define RINGFENCE_TOOLS_SERVICE_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_SESSIONS = 64, RF_SESSION_DIGITS = 32, RF_SESSION_DAYS = 30, RF_TOKEN_LENGTH = 64 };

typedef struct rf_session {
  char secret[RF_SESSION_DIGITS + 1];
  char token[RF_TOKEN_LENGTH + 1];
  int64_t until; /* ms since 1970 */
} rf_session;

typedef struct rf_sessions {
  rf_session all[RF_SESSIONS]; /* the oldest first */
  size_t count;
  char path[4096]; /* of their file, which only its owner may read; "": they end with the process */
} rf_sessions;

/* Reads those of DIRECTORY/sessions that have not ended. A file that is damaged, or that others may read, has none. */
void rf_sessions_init(rf_sessions *sessions, const char *directory, int64_t now);

/* A session of the token. Where there are RF_SESSIONS, the oldest ends. Returns its secret; NULL where the system has
 * no random bytes. Where the file cannot be written, the session ends with the process. */
const char *rf_sessions_begin(rf_sessions *sessions, const char *token, int64_t now);

/* Ends the session with that secret, if there is one. */
void rf_sessions_end(rf_sessions *sessions, const char *secret, int64_t now);

/* The token of the session with that secret, or NULL. */
const char *rf_sessions_token(const rf_sessions *sessions, const char *secret, int64_t now);

#ifdef __cplusplus
}
#endif

#endif
