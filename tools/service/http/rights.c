#include "tools/service/http/rights.h"

#include "checkers/report/web_address.h"
#include "tools/ringfence/base/write_file.h"
#include "tools/service/http/secret.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Browsers leave it out of the Host and Origin that they send. */
enum { HTTP_PORT = 80 };

/* ---- Tokens ---- */

static bool fail(char *error, const char *path, const char *why) {
  (void)snprintf(error, RF_HTTP_ERROR, "%s: %s", path, why);
  return false;
}

static bool make_token(const char *path) {
  char text[RF_TOKEN_LENGTH + 2] = "";
  int const fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  bool made = fd >= 0 && rf_secret_random(text, RF_TOKEN_LENGTH);
  text[RF_TOKEN_LENGTH] = '\n';
  made = made && rf_write_all(fd, text, RF_TOKEN_LENGTH + 1) && fsync(fd) == 0;
  if (fd >= 0) {
    (void)close(fd);
  }
  if (!made && fd >= 0) {
    (void)unlink(path); /* half a token would stay for ever */
  }
  return made;
}

/* As rf_secret_read, with the message. */
static const char *read_private(rf_bump_arena *arena, const char *path, char *error) {
  const char *why = NULL;
  const char *const text = rf_secret_read(arena, path, &why);
  return text != NULL ? text : (fail(error, path, why), NULL);
}

/* 0 where a name is none of a right. */
static unsigned rights_of(const char *names, size_t length) {
  static const char *const all[] = {"read", "post", "triage", "steer"};
  unsigned rights = 0;
  for (size_t at = 0; at < length;) {
    size_t const name = strcspn(names + at, ", \t");
    unsigned right = 0;
    for (unsigned i = 0; i < 4; i++) {
      right |= strlen(all[i]) == name && strncmp(names + at, all[i], name) == 0 ? 1U << i : 0;
    }
    if (right == 0) {
      return 0;
    }
    rights |= right;
    at += name + 1;
  }
  return rights;
}

/* Headers carry it, and the file of sessions. */
static bool is_token(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (text[i] <= ' ' || text[i] > '~' || strchr("\",;\\", text[i]) != NULL) {
      return false;
    }
  }
  return length >= RF_TOKEN_LEAST && length <= RF_TOKEN_LENGTH;
}

static bool add_token(rf_rights *r, unsigned rights, const char *text, size_t length) {
  if (!is_token(text, length) || rights == 0 || r->token_count == RF_TOKENS) {
    return false;
  }
  rf_token *const t = &r->tokens[r->token_count++];
  t->rights = rights;
  memcpy(t->text, text, length);
  t->text[length] = '\0';
  return true;
}

/* Says which line of the file is wrong, why, and how lines must be. Returns false. */
static bool fail_line(char *error, const char *path, unsigned number, size_t length) {
  const char *const why =
      length != 0 && length < RF_TOKEN_LEAST ? "the token is too short" : "this is no RIGHTS TOKEN, or one too many";
  (void)snprintf(error, RF_HTTP_ERROR,
                 "%s: line %u: %s; each line must be RIGHTS TOKEN, as in \"read,post 0123456789abcdef\"; a token has %d"
                 " to %d characters, and no quotes, commas, semicolons or backslashes",
                 path, number, why, RF_TOKEN_LEAST, RF_TOKEN_LENGTH);
  return false;
}

static bool read_tokens(rf_rights *r, const char *path, const char *text, char *error) {
  unsigned number = 1;
  for (const char *line = text; *line != '\0'; number++) {
    size_t const length = strcspn(line, "\n");
    size_t const names = strcspn(line, " \t\n");
    size_t const gap = strspn(line + names, " \t");
    const char *const token = line + names + gap;
    size_t const characters = strcspn(token, " \t\r\n");
    if (length != 0 && line[0] != '#' && !add_token(r, rights_of(line, names), token, characters)) {
      return fail_line(error, path, number, characters);
    }
    line += length + (line[length] == '\n');
  }
  return true;
}

static bool is_loopback(const char *address) {
  struct in_addr v4;
  struct in6_addr v6;
  if (inet_pton(AF_INET, address, &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool rf_rights_init(rf_rights *rights, const rf_http_options *options, char error[RF_HTTP_ERROR]) {
  rf_bump_arena arena = {NULL};
  *rights = (rf_rights){.options = options, .loopback = is_loopback(options->address), .port = options->port};
  const char *const one = rf_bump_arena_print(&arena, "%s/token", options->directory);
  const char *const many = rf_bump_arena_print(&arena, "%s/tokens", options->directory);
  bool const made = access(one, F_OK) == 0 || make_token(one) || fail(error, one, strerror(errno));
  const char *const token = made ? read_private(&arena, one, error) : NULL;
  const char *const tokens = token == NULL ? NULL : read_private(&arena, many, error);
  unsigned const all = RF_RIGHT_READ | RF_RIGHT_POST | RF_RIGHT_TRIAGE | RF_RIGHT_STEER;
  bool fine = tokens != NULL;
  if (fine && !add_token(rights, all, token, strcspn(token, " \t\r\n"))) {
    fine = fail(error, one,
                "holds no token: 16 to 64 characters of ASCII, without quotes, commas, semicolons and backslashes; "
                "delete it to get a new one");
  }
  fine = fine && read_tokens(rights, many, tokens, error);
  rf_sessions_init(&rights->sessions, options->directory, rf_store_now());
  rf_bump_arena_free(&arena);
  return fine;
}

/* ---- Checks ---- */

/* True for "NAME:PORT", and for NAME alone if `bare`. */
static bool is_at(const char *host, size_t length, const char *name, unsigned port, bool bare) {
  char digits[16];
  size_t const size = strlen(name);
  size_t const more = (size_t)snprintf(digits, sizeof digits, ":%u", port);
  if (length < size || strncasecmp(host, name, size) != 0) {
    return false;
  }
  return length == size ? bare : length == size + more && memcmp(host + size, digits, more) == 0;
}

/* The address that we listen on is ours as well: no name of another site stands for a literal address. */
static bool is_host_of_ours(const rf_rights *r, const char *host, size_t length) {
  char bracketed[64];
  const char *const address = r->options->address;
  (void)snprintf(bracketed, sizeof bracketed, strchr(address, ':') != NULL ? "[%s]" : "%s", address);
  const char *const names[] = {"127.0.0.1", "localhost", "[::1]", bracketed};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (is_at(host, length, names[i], r->port, r->port == HTTP_PORT)) {
      return true;
    }
  }
  for (size_t i = 0; i < r->options->host_count; i++) {
    if (is_at(host, length, r->options->hosts[i], r->port, true)) {
      return true;
    }
  }
  return false;
}

static bool is_origin_of_ours(const rf_rights *r, const char *origin) {
  const char *const host = origin + rf_web_scheme(origin);
  return host != origin && is_host_of_ours(r, host, strlen(host));
}

/* libmicrohttpd 1.0 takes blanks off the end: an empty token is one all the same. */
static const char *bearer(const rf_sender *s) {
  const char *const a = s->authorization;
  if (a == NULL || strncasecmp(a, "Bearer", 6) != 0 || (a[6] != ' ' && a[6] != '\0')) {
    return NULL;
  }
  return a[6] != '\0' ? a + 7 : a + 6;
}

/* No page of a browser reaches a socket, so that a name without a port is enough there. */
static bool is_answered(const rf_rights *r, const rf_sender *s) {
  return s->host != NULL &&
         ((s->local && strcmp(s->host, "localhost") == 0) || is_host_of_ours(r, s->host, strlen(s->host)));
}

const char *rf_rights_refusal(const rf_rights *rights, const rf_sender *sender) {
  if (!is_answered(rights, sender)) {
    return "this service does not answer to this Host; add it with --host";
  }
  if (sender->origin != NULL && !is_origin_of_ours(rights, sender->origin)) {
    return "requests from pages of another origin are refused";
  }
  bool const elsewhere =
      sender->site != NULL && strcmp(sender->site, "same-origin") != 0 && strcmp(sender->site, "none") != 0;
  if (sender->writes && elsewhere) {
    return "requests from pages of another site are refused";
  }
  if (sender->writes && sender->cookie != NULL && bearer(sender) == NULL && sender->origin == NULL) {
    return "a browser's request to change something needs an Origin header";
  }
  return NULL;
}

static unsigned rights_of_token(const rf_rights *r, const char *token) {
  unsigned rights = 0;
  for (size_t i = 0; i < r->token_count && token != NULL; i++) {
    rights |= rf_secret_is_equal(token, r->tokens[i].text) ? r->tokens[i].rights : 0;
  }
  return rights;
}

unsigned rf_rights_granted(const rf_rights *rights, const rf_sender *sender) {
  unsigned const by_place = rights->loopback || sender->local ? RF_RIGHT_READ | RF_RIGHT_POST : 0;
  const char *const token = bearer(sender);
  if (token != NULL) {
    /* A reverse proxy lets requests with a token pass, for us to check: theirs is not the place of the proxy. */
    return rights_of_token(rights, token);
  }
  const char *const session =
      sender->cookie != NULL ? rf_sessions_token(&rights->sessions, sender->cookie, rf_store_now()) : NULL;
  return by_place | rights_of_token(rights, session);
}

const char *rf_rights_new_code(rf_rights *rights) {
  rights->code[0] = '\0';
  if (rf_secret_random(rights->code, 32)) {
    rights->code_until = rf_store_steady() + RF_CODE_LIFE_MS;
  }
  return rights->code;
}

const char *rf_rights_redeem(rf_rights *rights, const char *code) {
  bool const valid =
      rights->code[0] != '\0' && rf_store_steady() < rights->code_until && rf_secret_is_equal(code, rights->code);
  if (valid) {
    rights->code[0] = '\0';
  }
  return valid ? rights->tokens[0].text : NULL;
}

const char *rf_rights_token(const rf_rights *rights, const char *token) {
  for (size_t i = 0; i < rights->token_count; i++) {
    if (rf_secret_is_equal(token, rights->tokens[i].text)) {
      return rights->tokens[i].text;
    }
  }
  return NULL;
}
