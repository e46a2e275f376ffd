#include "tools/service/steering/rules.h"

#include "checkers/report/policy.h"

#include <inttypes.h>
#include <ringfence/options.h>
#include <ringfence/sink.h>
#include <stdio.h>
#include <string.h>

static bool refuse(char *message, const char *format, const char *word) {
  (void)snprintf(message, RF_STEER_MESSAGE, format, word);
  return false;
}

static const char *text_of(const char *text) {
  return text == NULL ? "" : text;
}

/* ---- Checks ---- */

static bool is_plain(const char *text) {
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text < ' ' || *text == 0x7F) {
      return false;
    }
  }
  return true;
}

static bool fits(const char *name, const char *text, size_t room, char *message) {
  if (strlen(text) >= room) {
    (void)snprintf(message, RF_STEER_MESSAGE, "%s is too long: %zu characters at most", name, room - 1);
    return false;
  }
  return is_plain(text) || refuse(message, "%s has control characters", name);
}

/* A process must know what a path is relative to, and findings must not go astray. */
static const char *path_named(const rf_options *o) {
#define RF_OPTION_PATH(name, help)                                                                                     \
  if (o->name != NULL) {                                                                                               \
    return #name;                                                                                                      \
  }
#include <ringfence/options.inc>
  return o->help ? "help" : NULL;
}

static bool check_options(const char *text, char *message) {
  static const char start[] = "ringfence: ";
  rf_options options;
  char warning[RF_STEER_MESSAGE - 100];
  rf_sink_buffer warnings;
  rf_sink_buffer_init(&warnings, warning, sizeof warning);
  rf_options_default(&options);
  if (text[strspn(text, ":")] == '\0') {
    return refuse(message, "give the options to set: %s", "--options KEY=VALUE:KEY=VALUE");
  }
  if (rf_options_parse(&options, text, "options", &warnings.sink) != 0) {
    size_t const length = strcspn(warning, "\n") - strlen(start);
    memmove(warning, warning + strlen(start), length);
    warning[length] = '\0';
    return refuse(message, "no option was set: %s", warning);
  }
  options.modules = NULL; /* names, which a process copies */
  const char *const path = path_named(&options);
  return path == NULL || refuse(message, "%s cannot be set by a rule: a process has its own", path);
}

static bool check_build(const char *build, char *message) {
  bool const short_id = build[0] != '\0' && strlen(build) < 7 && strspn(build, "0123456789abcdef") == strlen(build) &&
                        strchr(build, '.') == NULL && strpbrk(build, "abcdef") != NULL;
  return !short_id || refuse(message, "build %s: seven characters of a commit or build-id at least", build);
}

/* rf_policy_kind of a rule that the action sets, 0 for unset; ACTIONS: there is no such action. */
enum { ACTIONS = 4 };

static unsigned kind_of(const rf_steer_request *r) {
  static const char *const actions[ACTIONS] = {"unset", "set", "sweep", "snapshot"};
  unsigned kind = 0;
  while (kind < ACTIONS && strcmp(text_of(r->action), actions[kind]) != 0) {
    kind++;
  }
  return kind;
}

bool rf_steer_check(const rf_steer_request *r, char message[RF_STEER_MESSAGE]) {
  unsigned const kind = kind_of(r);
  if (kind == ACTIONS) {
    return refuse(message, "unknown action %s; use set, unset, sweep or snapshot", text_of(r->action));
  }
  const char *const because = text_of(r->because);
  if (because[strspn(because, " \t")] == '\0') {
    return refuse(message, "give a reason: %s", "--because TEXT");
  }
  return fits("the reason", because, RF_STEER_BECAUSE + 1, message) &&
         fits("the program", text_of(r->program), sizeof((rf_policy_rule *)NULL)->program, message) &&
         fits("the build", text_of(r->build), sizeof((rf_policy_rule *)NULL)->build, message) &&
         fits("the environment", text_of(r->environment), sizeof((rf_policy_rule *)NULL)->environment, message) &&
         fits("the list of options", text_of(r->options), sizeof((rf_policy_rule *)NULL)->options, message) &&
         check_build(text_of(r->build), message) &&
         (kind != RF_POLICY_OPTIONS || check_options(text_of(r->options), message));
}

/* ---- Steps ---- */

void rf_steer_note(rf_store *store, int64_t rule, int64_t finding, const char *done, const char *because) {
  rf_store_run(store, "INSERT INTO steer_step(time, rule, finding, done, because) VALUES(?,?,?,?,?)", "iiitt",
               rf_store_now(), rule, finding, done, because);
  rf_store_run(store, "DELETE FROM steer_step WHERE id <= (SELECT max(id) FROM steer_step) - ?", "i",
               (int64_t)RF_STEER_STEPS);
}

/* ---- Actions, within the transaction ---- */

static bool add(rf_store *store, const rf_steer_request *r, rf_policy_kind kind, char *message) {
  char done[RF_STEER_MESSAGE];
  if (rf_store_number(store, 0, "SELECT count(*) FROM steer WHERE ended = 0", "") >= RF_POLICY_RULES) {
    (void)snprintf(message, RF_STEER_MESSAGE, "there are %u rules already: end one with `ringfence steer unset RULE`",
                   RF_POLICY_RULES);
    return false;
  }
  rf_store_run(store,
               "INSERT INTO steer(time, kind, program, build, environment, options, because) VALUES(?,?,?,?,?,?,?)",
               "iittttt", rf_store_now(), (int64_t)kind, text_of(r->program), text_of(r->build),
               text_of(r->environment), kind == RF_POLICY_OPTIONS ? text_of(r->options) : "", r->because);
  int64_t const rule = sqlite3_last_insert_rowid(store->db);
  (void)snprintf(done, sizeof done, "%s%s%s", r->action, kind == RF_POLICY_OPTIONS ? " " : "",
                 kind == RF_POLICY_OPTIONS ? r->options : "");
  rf_steer_note(store, rule, 0, done, r->because);
  (void)snprintf(message, RF_STEER_MESSAGE, "rule %" PRId64 " is set", rule);
  return true;
}

static bool unset(rf_store *store, const rf_steer_request *r, char *message) {
  char number[32];
  (void)snprintf(number, sizeof number, "%" PRId64, r->rule);
  if (rf_store_number(store, 0, "SELECT 1 FROM steer WHERE id = ? AND ended = 0", "i", r->rule) == 0) {
    return refuse(message, "there is no rule %s, or it has ended; `ringfence steer list` has the others", number);
  }
  rf_store_run(store, "UPDATE steer SET ended = ?2 WHERE id = ?1", "ii", r->rule, rf_store_now());
  rf_steer_note(store, r->rule, 0, "unset", r->because);
  (void)snprintf(message, RF_STEER_MESSAGE, "rule %s has ended", number);
  return true;
}

/* Rules that hold once (all but those of options, kind 1) and that were set at ?1 or before. */
#define OVERDUE "ended = 0 AND kind <> 1 AND time <= ?1"

bool rf_steer_is_overdue(rf_store *store) {
  return rf_store_number(store, 0, "SELECT 1 FROM steer WHERE " OVERDUE " LIMIT 1", "i",
                         rf_store_now() - RF_STEER_ONCE_MS) != 0;
}

void rf_steer_expire(rf_store *store) {
  int64_t const now = rf_store_now();
  int64_t const before = now - RF_STEER_ONCE_MS;
  rf_store_run(store,
               "INSERT INTO steer_step(time, rule, finding, done, because) SELECT ?2, id, 0, 'unset', 'it was asked for"
               " ten minutes ago' FROM steer WHERE " OVERDUE,
               "ii", before, now);
  rf_store_run(store, "UPDATE steer SET ended = ?2 WHERE " OVERDUE, "ii", before, now);
}

rf_store_outcome rf_steer_apply(rf_store *store, const rf_steer_request *request, char message[RF_STEER_MESSAGE]) {
  unsigned const kind = kind_of(request);
  if (!rf_steer_check(request, message)) {
    return RF_STORE_REFUSED;
  }
  rf_store_begin(store);
  rf_steer_expire(store);
  bool const done = kind == 0 ? unset(store, request, message) : add(store, request, (rf_policy_kind)kind, message);
  if (!rf_store_commit(store)) {
    (void)refuse(message, "%s", store->error);
    return RF_STORE_FAILED;
  }
  return done ? RF_STORE_DONE : RF_STORE_REFUSED;
}
