/* forward: spools and folders of JSON lines go to a collector elsewhere. */
#include "checkers/os/spool_file.h"
#include "tools/ringfence/base/words.h"
#include "tools/service/cli/common.h"
#include "tools/service/exchange/forward.h"
#include "tools/service/intake/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOURCES = 32, ONCE_TRIES = 4, GRACE_S = 3 };

typedef enum row_id { TO, ONCE, NO_SHARED, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [TO] = {"to", '\0', "URL",
            "the collector, as in https://findings.example.org; its token is taken from RINGFENCE_TOKEN", NULL},
    [ONCE] = {"once", '\0', NULL, "send what is there, and exit", NULL},
    [NO_SHARED] = {"no-shared", '\0', NULL, "leave out /dev/shm/ringfence-UID and /tmp/ringfence-UID", NULL},
};

typedef struct source {
  const char *path;
  int directory; /* -1: not there */
  bool shared;
  char *unnoted; /* of rf_forward_folder */
} source;

typedef struct asked {
  rf_cli cli;
  const char *to;
  bool once;
  bool no_shared;
  source sources[SOURCES];
  size_t count;
} asked;

static volatile sig_atomic_t stopped;

/* A batch that is being sent at that moment waits on, and is sent again; each record has an id. */
static void end(int number) {
  (void)number;
  _exit(0);
}

static void stop(int number) {
  (void)number;
  stopped = 1;
  (void)alarm(GRACE_S);
}

static bool apply(void *context, size_t row, const char *argument) {
  asked *const a = (asked *)context;
  a->to = row == TO ? argument : a->to;
  a->once = a->once || row == ONCE;
  a->no_shared = a->no_shared || row == NO_SHARED;
  return true;
}

/* ---- Sources ---- */

/* Shared folders may come into being at any time, and may be another user's trap. */
static void open_source(source *s) {
  if (s->directory < 0) {
    s->directory = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (s->shared ? O_NOFOLLOW : 0));
  }
  if (s->shared && s->directory >= 0 &&
      (!rf_spool_is_own(s->directory) || flock(s->directory, LOCK_EX | LOCK_NB) != 0)) {
    (void)close(s->directory);
    s->directory = -1;
  }
}

static bool open_given(source *s) {
  open_source(s);
  if (s->directory < 0) {
    rf_diag("cannot open %s: %s", s->path, strerror(errno));
    return false;
  }
  if (!rf_spool_lock(s->directory)) {
    rf_diag(
        "another `ringfence serve` or `forward` runs on %s; `ringfence serve --forward URL` sends on what it takes in",
        s->path);
    return false;
  }
  return true;
}

static bool add_sources(asked *a, char **words, int count) {
  static const char *const starts[RF_SPOOL_SHARED_PLACES] = RF_SPOOL_SHARED_STARTS;
  const char *const own = count != 0 ? NULL : rf_cli_directory(&a->cli.arena, NULL, false);
  if (count == 0 && own == NULL) {
    return false;
  }
  for (int i = 0; i < count; i++) {
    a->sources[a->count++] = (source){words[i], -1, false, NULL};
  }
  if (own != NULL) {
    a->sources[a->count++] = (source){own, -1, false, NULL};
  }
  for (size_t i = 0; i < a->count; i++) {
    if (!open_given(&a->sources[i])) {
      return false;
    }
  }
  for (size_t i = 0; i < RF_SPOOL_SHARED_PLACES && own != NULL && rf_cli_shares(a->no_shared); i++) {
    a->sources[a->count++] =
        (source){rf_bump_arena_print(&a->cli.arena, "%s%u", starts[i], (unsigned)geteuid()), -1, true, NULL};
  }
  return true;
}

/* A collector's folder has a spool; any other has files of lines. */
static bool send_source(rf_forward *f, source *s) {
  struct stat st;
  open_source(s);
  if (s->directory < 0) {
    return true;
  }
  bool const spool = fstatat(s->directory, "spool", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
  return spool ? rf_forward_spool(f, s->directory) : rf_forward_folder(f, s->directory, &s->unnoted);
}

static bool send_all(rf_forward *f, asked *a) {
  bool fine = true;
  for (size_t i = 0; i < a->count && fine && stopped == 0; i++) {
    fine = send_source(f, &a->sources[i]);
  }
  return fine;
}

/* ---- The command ---- */

static int forward(asked *a, char **words, int count) {
  rf_forward f = {
      .url = a->to, .token = getenv("RINGFENCE_TOKEN"), .tries = a->once ? ONCE_TRIES : 0, .stop = &stopped};
  struct sigaction const action = {.sa_handler = stop};
  struct sigaction const late = {.sa_handler = end};
  if (!add_sources(a, words, count)) {
    return RF_EXIT_FAILED;
  }
  (void)sigaction(SIGTERM, &action, NULL);
  (void)sigaction(SIGINT, &action, NULL);
  (void)sigaction(SIGALRM, &late, NULL);
  rf_forward_init(&f);
  bool fine = send_all(&f, a);
  while (!a->once && stopped == 0) {
    (void)sleep(1);
    fine = send_all(&f, a);
  }
  rf_forward_deinit(&f);
  for (size_t i = 0; i < a->count; i++) {
    free(a->sources[i].unnoted);
  }
  (void)printf("%s forwarded; the collector had %" PRIu64 " of them\n", rf_counted(&a->cli.arena, f.sent, "record"),
               f.twice);
  if (f.lost != 0) {
    rf_diag("%s left out", rf_counted(&a->cli.arena, f.lost, "half-written or unreadable line"));
  }
  return fine || stopped != 0 ? 0 : RF_EXIT_FAILED;
}

int rf_service_forward(int argc, char **argv) {
  static const rf_cli_usage usage = {
      .text = "forward --to URL [OPTIONS] [FOLDER...]",
      .about =
          "Sends the records in collectors' folders (default: the one that processes find by themselves), and\n"
          "findings in folders of JSON lines, to a collector elsewhere. Records that have arrived leave the spool;\n"
          "files of JSON lines stay. If the collector does not answer, records wait, and are sent later.",
      .rows = rows,
      .mask = (1U << ROWS) - 1,
      .most = INT_MAX};
  asked a = {.to = NULL};
  int status = rf_cli_read(&a.cli, &usage, apply, &a, argc, argv);
  if (status < 0) {
    status = RF_EXIT_USAGE;
    if (a.to == NULL) {
      rf_diag("give a destination: --to URL");
    } else if (a.cli.word_count > SOURCES / 2) {
      rf_diag("forward takes up to %d folders", SOURCES / 2);
    } else if (rf_cli_is_collector("to", a.to)) {
      status = forward(&a, a.cli.words, a.cli.word_count);
    }
  }
  rf_cli_close(&a.cli);
  return status;
}
