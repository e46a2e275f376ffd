#include "tools/service/life/alerts.h"

#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/base/subprocess.h"
#include "tools/service/exchange/curl.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  LIFE_MS = 30000,
  CURL_SECONDS = 20,
  MINUTE_MS = 60000,
  MOST_FAILURES = 5,
  MOST_IN_A_ROW = 3,
  LONGEST_PAUSE = 4, /* the number of the pause of 8 minutes */
  SENT = 2,
  GIVEN_UP = 3,
  DELAY_MS = 3000,
  INPUT_FD = 3,
  FAILED = 1,        /* an exit status */
  DESCRIPTORS = 4096 /* at most, where the system cannot close a range */
};

/* ---- Failures ---- */

/* The place of the alert; NULL: it has not failed. Activity 0: a free place. */
static rf_alert_failed *find_failed(rf_alerts *alerts, int64_t activity) {
  for (size_t i = 0; i < RF_ALERTS_FAILED; i++) {
    if (alerts->failed[i].activity == activity) {
      return &alerts->failed[i];
    }
  }
  return NULL;
}

/* A place for one more: where there is none, that of the one that could be tried longest, which counts from 0 again. */
static rf_alert_failed *place_of(rf_alerts *alerts, int64_t activity) {
  rf_alert_failed *place = find_failed(alerts, activity);
  if (place != NULL) {
    return place;
  }
  place = find_failed(alerts, 0);
  for (size_t i = 0; i < RF_ALERTS_FAILED && (place == NULL || place->activity != 0); i++) {
    if (place == NULL || alerts->failed[i].next_try < place->next_try) {
      place = &alerts->failed[i];
    }
  }
  *place = (rf_alert_failed){.activity = activity};
  return place;
}

static int64_t pause_ms(int number) {
  return (int64_t)MINUTE_MS << ((number < LONGEST_PAUSE ? number : LONGEST_PAUSE) - 1);
}

/* Returns true where the alert is given up. */
static bool note_failure(rf_alerts *alerts) {
  rf_alert_failed *const f = place_of(alerts, alerts->activity);
  f->failures++;
  f->next_try = rf_store_steady() + pause_ms(f->failures);
  alerts->in_a_row++;
  alerts->next_try =
      alerts->in_a_row < MOST_IN_A_ROW ? 0 : rf_store_steady() + pause_ms(alerts->in_a_row - MOST_IN_A_ROW + 1);
  return f->failures >= MOST_FAILURES;
}

static void forget_failures(rf_alerts *alerts) {
  rf_alert_failed *const f = find_failed(alerts, alerts->activity);
  if (f != NULL) {
    *f = (rf_alert_failed){.activity = 0};
  }
}

/* ---- The message ---- */

/* Steps to the first alert that may be tried now. */
static bool first_due(rf_alerts *alerts, rf_store *store, sqlite3_stmt *s) {
  while (rf_store_row(store, s)) {
    const rf_alert_failed *const f = find_failed(alerts, sqlite3_column_int64(s, 0));
    if (f == NULL || f->next_try <= rf_store_steady()) {
      return true;
    }
  }
  return false;
}

/* Names of functions that come in soon may show that a finding is not new: alerts wait for them a little. A time in the
 * future is that of a clock that was set back. */
static const char *compose(rf_bump_arena *arena, rf_alerts *alerts, rf_store *store) {
  sqlite3_stmt *const s = rf_store_select(
      store,
      "SELECT a.id, a.kind, a.environment, a.finding, f.bug, f.title, f.place FROM activity a JOIN finding f ON f.id"
      " = a.finding WHERE a.alert = 1 AND (a.time < ?1 - ?2 OR a.time > ?1) AND f.merged_into IS NULL ORDER BY a.id",
      "ii", rf_store_now(), (int64_t)(alerts->at_once ? -1 : DELAY_MS));
  if (!first_due(alerts, store, s)) {
    return NULL;
  }
  rf_text_sink t;
  rf_text_sink_init(&t, arena);
  rf_json_writer w = {.sink = &t.sink};
  alerts->activity = sqlite3_column_int64(s, 0);
  int64_t const finding = sqlite3_column_int64(s, 3);
  rf_json_open(&w, NULL, "{");
  rf_json_put_text(&w, "text",
                   rf_bump_arena_print(arena, "Ringfence: %s in %s: %s, %s, at %s", rf_store_text(s, 1),
                                       rf_store_text(s, 2), rf_store_text(s, 4), rf_store_text(s, 5),
                                       rf_store_text(s, 6)));
  rf_json_put_text(&w, "kind", rf_store_text(s, 1));
  rf_json_put_text(&w, "environment", rf_store_text(s, 2));
  rf_json_put_number(&w, "finding", finding);
  rf_json_put_text(&w, "bug", rf_store_text(s, 4));
  rf_json_put_text(&w, "title", rf_store_text(s, 5));
  rf_json_put_text(&w, "place", rf_store_text(s, 6));
  if (alerts->url != NULL) {
    rf_json_put_text(&w, "url", rf_bump_arena_print(arena, "%s/finding/%" PRId64, alerts->url, finding));
  }
  rf_json_close(&w, "}");
  rf_store_done(s);
  return t.text;
}

static const char *curl_configuration(rf_bump_arena *arena, const char *url, const char *json) {
  rf_curl const request = {.url = url,
                           .body = json,
                           .type = "application/json",
                           .output = "/dev/null",
                           .seconds = CURL_SECONDS,
                           .unattended = true};
  return rf_curl_configuration(arena, &request);
}

/* ---- The command ---- */

static void become(const rf_alerts *alerts, int input) {
  sigset_t none;
  (void)sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  (void)signal(SIGPIPE, SIG_DFL); /* which the collector ignores: what is ignored stays so in a new program */
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  rf_streams_give_back();
  (void)setpgid(0, 0);
  (void)dup2(input, STDIN_FILENO);
  if (alerts->webhook != NULL) {
    (void)execlp("curl", "curl", "-q", "-K", "-", (char *)NULL);
  } else {
    (void)execl("/bin/sh", "sh", "-c", alerts->command, (char *)NULL);
  }
  _exit(127);
}

/* ---- The child that watches over it ---- */

/* The collector's locks and sockets are not its own: another collector may begin before it has ended. */
static void keep_only(int input) {
  (void)dup2(input, INPUT_FD);
  (void)fcntl(INPUT_FD, F_SETFD, FD_CLOEXEC);
#ifdef SYS_close_range
  if (syscall(SYS_close_range, INPUT_FD + 1, ~0U, 0) == 0) {
    return;
  }
#endif
  for (int fd = INPUT_FD + 1; fd < DESCRIPTORS; fd++) {
    (void)close(fd);
  }
}

/* Returns the exit status of the command, which it ends with all of its group on SIGTERM and when its time is over. */
static int watch_over(pid_t command, const sigset_t *signals) {
  struct timespec const life = {LIFE_MS / 1000, 0};
  int64_t const start = rf_store_steady();
  int status = 0;
  (void)setpgid(command, command); /* whoever comes first */
  while (waitpid(command, &status, WNOHANG) == 0) {
    int const got = sigtimedwait(signals, NULL, &life);
    if (got == SIGTERM || rf_store_steady() - start >= LIFE_MS) {
      (void)kill(-command, SIGKILL);
      return FAILED;
    }
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
}

static _Noreturn void watch(const rf_alerts *alerts, pid_t collector, int input) {
  sigset_t signals;
  (void)signal(SIGCHLD, SIG_DFL);
  (void)signal(SIGTERM, SIG_DFL);
  (void)sigfillset(&signals);
  (void)sigprocmask(SIG_SETMASK, &signals, NULL);
  (void)sigemptyset(&signals);
  (void)sigaddset(&signals, SIGCHLD);
  (void)sigaddset(&signals, SIGTERM);
  (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != collector) {
    _exit(1);
  }
  keep_only(input);
  pid_t const command = fork();
  if (command == 0) {
    become(alerts, INPUT_FD);
  }
  _exit(command < 0 ? 1 : watch_over(command, &signals));
}

static bool start(rf_alerts *alerts, const char *input) {
  int const fd = rf_subprocess_input(input, strlen(input));
  if (fd < 0) {
    return false;
  }
  pid_t const collector = getpid();
  pid_t const child = fork();
  if (child == 0) {
    watch(alerts, collector, fd);
  }
  (void)close(fd);
  alerts->child = child > 0 ? child : 0;
  return child > 0;
}

/* Whether the store has the outcome of the last alert: one that was told would be told again. */
static bool is_noted(rf_alerts *alerts, rf_store *store) {
  if (alerts->outcome != 0) {
    rf_store_begin(store);
    rf_store_run(store, "UPDATE activity SET alert = ? WHERE id = ?", "ii", alerts->outcome, alerts->activity);
    alerts->outcome = rf_store_commit(store) ? 0 : alerts->outcome;
  }
  return alerts->outcome == 0;
}

/* The part that failed, by the exit status: that of a command is its own. */
static const char *failed_part(const rf_alerts *alerts, int status) {
  if (alerts->webhook == NULL) {
    return "the command";
  }
  switch (status) {
  case RF_CURL_REDIRECTED:
    return "the webhook leads to another address: give that one";
  case RF_CURL_HTTP_ERROR:
    return "the webhook answers with an error";
  case RF_CURL_MISSING:
    return "curl not found, which is needed for HTTP: install the package curl";
  default:
    return "the webhook does not answer";
  }
}

/* `status` 0: it was sent. */
static void settle(rf_alerts *alerts, rf_store *store, int status) {
  bool const sent = status == 0;
  bool const over = !sent && note_failure(alerts);
  alerts->in_a_row = sent ? 0 : alerts->in_a_row;
  if (sent || over) {
    forget_failures(alerts);
    alerts->outcome = sent ? SENT : GIVEN_UP;
    (void)is_noted(alerts, store);
  }
  if (!sent) {
    rf_diag("an alert failed%s: %s", over ? " for the last time" : "", failed_part(alerts, status));
  }
}

static void look_after(rf_alerts *alerts, rf_store *store, int options) {
  int status = 0;
  pid_t const ended = waitpid(alerts->child, &status, options);
  if (ended == alerts->child) {
    alerts->child = 0;
    settle(alerts, store, WIFEXITED(status) ? WEXITSTATUS(status) : FAILED);
  }
}

void rf_alerts_step(rf_alerts *alerts, rf_store *store) {
  if (alerts->child != 0) {
    look_after(alerts, store, WNOHANG);
  }
  if (alerts->child != 0 || (alerts->webhook == NULL && alerts->command == NULL) ||
      rf_store_steady() < alerts->next_try || !is_noted(alerts, store)) {
    return;
  }
  rf_bump_arena arena = {NULL};
  const char *const json = compose(&arena, alerts, store);
  if (json != NULL &&
      !start(alerts, alerts->webhook != NULL ? curl_configuration(&arena, alerts->webhook, json) : json)) {
    settle(alerts, store, FAILED);
  }
  rf_bump_arena_free(&arena);
}

static bool have_failed(const rf_alerts *alerts) {
  for (size_t i = 0; i < RF_ALERTS_FAILED; i++) {
    if (alerts->failed[i].activity != 0) {
      return true;
    }
  }
  return alerts->outcome != 0;
}

bool rf_alerts_finish(rf_alerts *alerts, rf_store *store) {
  struct timespec const pause = {1, 0};
  alerts->at_once = true;
  rf_alerts_step(alerts, store);
  while (alerts->child != 0) {
    look_after(alerts, store, 0);
    if (rf_store_number(store, 0, "SELECT 1 FROM activity WHERE alert = 1 LIMIT 1", "") != 0) {
      (void)nanosleep(&pause, NULL);
    }
    rf_alerts_step(alerts, store);
  }
  return !have_failed(alerts);
}

void rf_alerts_end(rf_alerts *alerts) {
  if (alerts->child != 0) {
    (void)kill(alerts->child, SIGTERM);
    (void)waitpid(alerts->child, NULL, 0);
    alerts->child = 0;
  }
}
