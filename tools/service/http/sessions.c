#include "tools/service/http/sessions.h"

#include "tools/ringfence/base/write_file.h"
#include "tools/service/http/secret.h"
#include "tools/service/store/store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MOST = RF_SESSION_DIGITS + RF_TOKEN_LENGTH + 32 };

#define LIFE_MS ((int64_t)RF_DAY_MS * RF_SESSION_DAYS)

static void drop_ended(rf_sessions *s, int64_t now) {
  size_t kept = 0;
  for (size_t i = 0; i < s->count; i++) {
    if (s->all[i].until > now) {
      s->all[kept++] = s->all[i];
    }
  }
  s->count = kept;
}

/* ---- The file: lines of UNTIL SECRET TOKEN ---- */

static void read_lines(rf_sessions *s, const char *text) {
  for (const char *line = text; *line != '\0' && s->count < RF_SESSIONS;) {
    size_t const length = strcspn(line, "\n");
    char copy[LINE_MOST + 1] = "";
    rf_session one = {.until = 0};
    (void)snprintf(copy, sizeof copy, "%.*s", length < LINE_MOST ? (int)length : LINE_MOST, line);
    char *behind = NULL;
    one.until = strtoll(copy, &behind, 10);
    if (behind != copy && sscanf(behind, " %32[0-9a-f] %64s", one.secret, one.token) == 2 &&
        strlen(one.secret) == RF_SESSION_DIGITS) {
      s->all[s->count++] = one;
    }
    line += length + (line[length] == '\n');
  }
}

/* Under another name first: a file that is cut off would end sessions. */
static void write_lines(const rf_sessions *s) {
  char part[sizeof s->path + 8];
  char line[LINE_MOST + 1];
  (void)snprintf(part, sizeof part, "%s.part", s->path);
  (void)unlink(part);
  int const fd = s->path[0] != '\0' ? open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
  bool written = fd >= 0;
  for (size_t i = 0; i < s->count && written; i++) {
    const rf_session *const one = &s->all[i];
    int const length = snprintf(line, sizeof line, "%" PRId64 " %s %s\n", one->until, one->secret, one->token);
    written = rf_write_all(fd, line, (size_t)length);
  }
  written = fd >= 0 && close(fd) == 0 && written && rename(part, s->path) == 0;
  if (fd >= 0 && !written) {
    (void)unlink(part);
  }
}

/* ---- Sessions ---- */

void rf_sessions_init(rf_sessions *sessions, const char *directory, int64_t now) {
  rf_bump_arena arena = {NULL};
  const char *error = NULL;
  sessions->count = 0;
  int const length = snprintf(sessions->path, sizeof sessions->path, "%s/sessions", directory);
  if (length < 0 || (size_t)length >= sizeof sessions->path) {
    sessions->path[0] = '\0';
    return;
  }
  const char *const text = rf_secret_read(&arena, sessions->path, &error);
  read_lines(sessions, text != NULL ? text : "");
  drop_ended(sessions, now);
  rf_bump_arena_free(&arena);
}

const char *rf_sessions_begin(rf_sessions *sessions, const char *token, int64_t now) {
  rf_session one = {.until = now + LIFE_MS};
  if (!rf_secret_random(one.secret, RF_SESSION_DIGITS)) {
    return NULL;
  }
  (void)snprintf(one.token, sizeof one.token, "%s", token);
  drop_ended(sessions, now);
  if (sessions->count == RF_SESSIONS) {
    memmove(&sessions->all[0], &sessions->all[1], (RF_SESSIONS - 1) * sizeof sessions->all[0]);
    sessions->count--;
  }
  sessions->all[sessions->count++] = one;
  write_lines(sessions);
  return sessions->all[sessions->count - 1].secret;
}

void rf_sessions_end(rf_sessions *sessions, const char *secret, int64_t now) {
  bool ended = false;
  for (size_t i = 0; i < sessions->count; i++) {
    rf_session *const one = &sessions->all[i];
    if (rf_secret_is_equal(secret, one->secret)) {
      one->until = now;
      ended = true;
    }
  }
  if (ended) {
    drop_ended(sessions, now);
    write_lines(sessions);
  }
}

const char *rf_sessions_token(const rf_sessions *sessions, const char *secret, int64_t now) {
  const char *token = NULL;
  for (size_t i = 0; i < sessions->count; i++) {
    const rf_session *const one = &sessions->all[i];
    token = rf_secret_is_equal(secret, one->secret) && one->until > now ? one->token : token;
  }
  return token;
}
