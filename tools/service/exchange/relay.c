#include "tools/service/exchange/relay.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/base/subprocess.h"
#include "tools/service/exchange/forward.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DELAY_MS = 1000, DELAY_MOST_MS = 60000, TRIES = 4, BODY_FD = 3 };

/* ---- A batch ---- */

/* The oldest records, each with a line feed. Sets relay->last; returns "" where none wait. */
static const rf_text_sink *gather(rf_relay *relay, rf_store *store, rf_text_sink *out, rf_bump_arena *arena) {
  rf_text_sink_init(out, arena);
  sqlite3_stmt *const s = rf_store_select(store, "SELECT id, text FROM outgoing ORDER BY id", "");
  bool more = rf_store_row(store, s);
  while (more) {
    const char *const text = rf_store_text(s, 1);
    size_t const length = strlen(text);
    if (out->length != 0 && out->length + length + 1 > RF_FORWARD_BATCH) {
      rf_store_done(s);
      break;
    }
    rf_sink_mem(&out->sink, text, length);
    rf_sink_char(&out->sink, '\n');
    relay->last = sqlite3_column_int64(s, 0);
    more = rf_store_row(store, s);
  }
  return out;
}

/* ---- The child ---- */

static void become(pid_t parent, int configuration, int body, int output) {
  sigset_t none;
  (void)sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(127);
  }
  rf_streams_give_back();
  /* Out of the way of the numbers that they get. */
  int const from[] = {fcntl(configuration, F_DUPFD_CLOEXEC, BODY_FD + 1), fcntl(output, F_DUPFD_CLOEXEC, BODY_FD + 1),
                      fcntl(body, F_DUPFD_CLOEXEC, BODY_FD + 1)};
  (void)dup2(from[0], STDIN_FILENO);
  (void)dup2(from[1], STDOUT_FILENO);
  (void)dup2(from[2], BODY_FD);
  (void)unsetenv("LD_PRELOAD");
  (void)execlp("curl", "curl", "-q", "-K", "-", (char *)NULL);
  _exit(127);
}

static const char *configuration_of(rf_bump_arena *arena, const rf_relay *relay) {
  rf_curl const request = rf_forward_request(arena, relay->url, relay->token, "/proc/self/fd/3");
  return rf_curl_configuration(arena, &request);
}

static bool start(rf_relay *relay, rf_bump_arena *arena, const rf_text_sink *batch) {
  const char *const text = configuration_of(arena, relay);
  int const configuration = rf_subprocess_input(text, strlen(text));
  int const body = rf_subprocess_input(batch->text, batch->length);
  int answer[2] = {-1, -1};
  pid_t const parent = getpid();
  pid_t child = -1;
  if (configuration >= 0 && body >= 0 && pipe2(answer, O_CLOEXEC) == 0) {
    child = fork();
    if (child == 0) {
      become(parent, configuration, body, answer[1]);
    }
    (void)close(answer[1]);
    (void)fcntl(answer[0], F_SETFL, O_NONBLOCK);
  }
  if (configuration >= 0) {
    (void)close(configuration);
  }
  if (body >= 0) {
    (void)close(body);
  }
  if (child < 0 && answer[0] >= 0) {
    (void)close(answer[0]);
  }
  relay->child = child > 0 ? child : 0;
  relay->answer = answer[0];
  relay->length = 0;
  return child > 0;
}

/* ---- Its answer ---- */

/* True at the end of the answer. Only the end of a long one is kept, which is none of a collector. */
static bool read_answer(rf_relay *relay) {
  enum { HALF = RF_RELAY_ANSWER / 2 };
  for (;;) {
    if (relay->length == sizeof relay->text - 1) {
      memmove(relay->text, relay->text + HALF, relay->length - HALF);
      relay->length -= HALF;
    }
    ssize_t const n = read(relay->answer, relay->text + relay->length, sizeof relay->text - 1 - relay->length);
    if (n <= 0) {
      return n == 0 || (errno != EAGAIN && errno != EINTR);
    }
    relay->length += (size_t)n;
  }
}

static bool has_arrived(rf_relay *relay, rf_bump_arena *arena, int ended, const char **why) {
  relay->text[relay->length] = '\0';
  rf_curl_answer const answer = rf_curl_answer_of(arena, relay->text);
  bool const arrived = rf_forward_taken(arena, &answer, why) != NULL;
  if (WIFEXITED(ended) && WEXITSTATUS(ended) == 127) {
    *why = "curl not found, which is needed for HTTP: install the package curl";
  }
  return arrived;
}

static void settle(rf_relay *relay, rf_store *store, bool arrived, const char *why) {
  if (arrived) {
    rf_store_begin(store);
    rf_store_run(store, "DELETE FROM outgoing WHERE id <= ?", "i", relay->last);
    arrived = rf_store_commit(store);
    why = "what has arrived there cannot be removed here";
  }
  if (!arrived) {
    int64_t const delay = relay->failures < 6 ? (int64_t)DELAY_MS << relay->failures : DELAY_MOST_MS;
    relay->next_try = rf_store_steady() + delay;
    relay->failures++;
    if (!relay->complained) {
      rf_diag("%s: %s; records wait here", relay->url, why);
    }
  } else if (relay->complained) {
    rf_diag("%s accepts records again", relay->url);
  }
  relay->complained = !arrived;
  relay->failures = arrived ? 0 : relay->failures;
}

static void look_after(rf_relay *relay, rf_store *store) {
  rf_bump_arena arena = {NULL};
  if (read_answer(relay)) {
    int ended = 0;
    const char *why = "";
    (void)close(relay->answer);
    (void)kill(relay->child, SIGKILL); /* it has said all that it had to say */
    (void)waitpid(relay->child, &ended, 0);
    relay->child = 0;
    bool const arrived = has_arrived(relay, &arena, ended, &why);
    settle(relay, store, arrived, why);
  }
  rf_bump_arena_free(&arena);
}

/* ---- Steps ---- */

void rf_relay_step(rf_relay *relay, rf_store *store) {
  if (relay->url == NULL) {
    return;
  }
  if (relay->child != 0) {
    look_after(relay, store);
  }
  if (relay->child != 0 || rf_store_steady() < relay->next_try) {
    return;
  }
  rf_bump_arena arena = {NULL};
  rf_text_sink batch;
  if (gather(relay, store, &batch, &arena)->length != 0 && !store->failed && !start(relay, &arena, &batch)) {
    settle(relay, store, false, "no process can be started");
  }
  rf_bump_arena_free(&arena);
}

int rf_relay_descriptor(const rf_relay *relay) {
  return relay->child != 0 ? relay->answer : -1;
}

void rf_relay_thin(const rf_relay *relay, rf_intake *intake) {
  rf_store *const store = intake->store;
  if (relay->url == NULL || relay->most == 0) {
    return;
  }
  int64_t excess = rf_store_number(store, 0, "SELECT sum(bytes) FROM outgoing", "") - relay->most;
  int64_t upto = 0;
  int64_t dropped = 0;
  sqlite3_stmt *const s = excess > 0 ? rf_store_select(store, "SELECT id, bytes FROM outgoing ORDER BY id", "") : NULL;
  bool more = rf_store_row(store, s);
  while (more) {
    upto = sqlite3_column_int64(s, 0);
    excess -= sqlite3_column_int64(s, 1);
    dropped++;
    more = excess > 0 && rf_store_row(store, s);
  }
  if (dropped != 0) {
    rf_store_done(s);
    rf_intake_loss(intake, "records that waited too long to be sent on", dropped);
    rf_store_run(store, "DELETE FROM outgoing WHERE id <= ?", "i", upto);
    (void)rf_intake_commit(intake);
  }
}

bool rf_relay_finish(rf_relay *relay, rf_store *store) {
  while (relay->url != NULL && relay->failures < TRIES && !store->failed) {
    rf_relay_step(relay, store);
    if (relay->child == 0 && relay->failures == 0) {
      return true;
    }
    int64_t const left = relay->next_try - rf_store_steady();
    struct pollfd fd = {rf_relay_descriptor(relay), POLLIN, 0};
    (void)poll(&fd, 1, relay->child != 0 ? -1 : left > 0 ? (int)left : 0);
  }
  return relay->url == NULL;
}

void rf_relay_end(rf_relay *relay) {
  if (relay->child != 0) {
    (void)kill(relay->child, SIGKILL);
    (void)waitpid(relay->child, NULL, 0);
    (void)close(relay->answer);
    relay->child = 0;
  }
}
