#include "tools/service/cli/loop.h"

#include "checkers/os/same_file.h"
#include "checkers/os/spool_file.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/streams.h"
#include "tools/service/cli/common.h"
#include "tools/service/cli/serial.h"
#include "tools/service/exchange/relay.h"
#include "tools/service/exchange/symbol_files.h"
#include "tools/service/life/rekey.h"
#include "tools/service/life/symbols.h"
#include "tools/service/steering/writer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Records wait this long for others to share a transaction with. */
enum {
  GROUP_MS = 200,
  TICK_MS = 1000,
  KEEP_TICKS = 30,
  RETRY_MS = 2000,
  COMPLAIN_MS = 30000,
  FILES = 3,
  STEER_MS = 100, /* between policies, where many findings come */
  HELD_MS = 100,  /* between looks at a database that another program holds */
  HELD_LONG_MS = 3000,
  LOCK_MS = 500, /* for a lock that was free a moment ago: nobody is served meanwhile */
  SHARED = RF_SPOOL_SHARED_PLACES
};

typedef struct server {
  rf_serve_options *options;
  rf_store store;
  rf_intake intake;
  rf_spool spool;
  rf_spool shared[SHARED]; /* where processes write that cannot write to the folder: a build's sandbox */
  rf_alerts alerts;
  rf_symbol_worker symbols;
  rf_serial_lines serial;
  rf_policy_writer policy;
  rf_relay relay;
  rf_http *http;
  int signals;
  struct stat files[FILES]; /* the database, its log and the log's index, as they were first seen */
  bool gone;                /* one of them lies no longer where processes write */
  int64_t next_take;
  int64_t next_tick;
  int64_t next_steer;
  int64_t complained;
  int64_t held;      /* since when another program has held the database; 0: it does not */
  int64_t held_look; /* when it is looked at again */
  int64_t version;   /* of the data, as SQLite counts commits of others */
  int64_t written;   /* rows, by this process */
  uint64_t events;
  uint64_t relayed; /* records, when the relay was last looked after */
  unsigned ticks;
  bool steers; /* rules or findings may have changed */
  bool rung;
  bool more;
} server;

/* ---- Steps ---- */

static void complain(server *s, int64_t now) {
  if (s->complained == 0 || now - s->complained > COMPLAIN_MS) {
    rf_diag("%s; findings wait in the spool", s->store.error);
    s->complained = now;
  }
}

/* While another program is within a transaction nothing is written, so that nobody has to wait for it. */
static bool is_held(server *s, int64_t now) {
  if (s->held != 0 && now < s->held_look) {
    return true;
  }
  bool const held = rf_store_is_held(&s->store, 0);
  if (held && s->held == 0) {
    s->held = now;
  } else if (held && now - s->held >= HELD_LONG_MS && s->complained == 0) {
    rf_diag("another program holds the database's lock; findings wait in the spool");
    s->complained = now;
  }
  s->held = held ? s->held : 0;
  s->held_look = now + HELD_MS;
  return held;
}

static void take(server *s, int64_t now) {
  if (is_held(s, now)) {
    s->next_take = now + HELD_MS;
    return;
  }
  s->rung = false;
  bool fine = rf_spool_take(&s->spool, &s->intake, true, &s->more);
  for (size_t i = 0; i < SHARED && fine; i++) {
    bool more = false;
    fine = rf_spool_take(&s->shared[i], &s->intake, true, &more);
    s->more = s->more || more;
  }
  if (!fine) {
    rf_intake_rollback(&s->intake);
    complain(s, now);
    s->store.failed = false;
    s->more = true;
  } else if (s->complained != 0) {
    rf_diag("the store can be written again");
    s->complained = 0;
  }
  s->next_take = now + (!fine ? RETRY_MS : s->more ? 0 : GROUP_MS);
}

static bool has_changed(server *s) {
  int64_t const version = rf_store_number(&s->store, 0, "PRAGMA data_version", "");
  int64_t const written = s->store.db == NULL ? 0 : sqlite3_total_changes(s->store.db);
  bool const changed = version != s->version || written != s->written || s->events != s->intake.events;
  s->version = version;
  s->written = written;
  s->events = s->intake.events;
  return changed;
}

/* They may come into being at any time. */
static void open_shared(server *s) {
  static const char *const starts[SHARED] = RF_SPOOL_SHARED_STARTS;
  for (size_t i = 0; i < SHARED && s->options->shared; i++) {
    if (s->shared[i].folder < 0) {
      char path[48];
      (void)snprintf(path, sizeof path, "%s%u", starts[i], (unsigned)geteuid());
      rf_spool_open_shared(&s->shared[i], path);
    }
  }
}

static void thin(server *s, int64_t now) {
  rf_bump_arena arena = {NULL};
  while (rf_keep_step(&s->store, &s->options->keep) > 0 && rf_store_steady() - now < GROUP_MS) {
  }
  rf_symbol_thin(&s->store, &arena, s->options->directory, s->options->symbol_bytes);
  rf_relay_thin(&s->relay, &s->intake);
  if (!s->more) {
    (void)rf_intake_expire(&s->intake);
  }
  rf_bump_arena_free(&arena);
}

/* An open database stays readable and writable when its folder is removed or another file takes its place; checked
 * processes and commands no longer find it. */
static void look_for_database(server *s) {
  static const char *const ends[FILES] = {"", "-wal", "-shm"};
  for (size_t i = 0; i < FILES && !s->gone; i++) {
    char path[4096];
    struct stat now;
    struct stat *const then = &s->files[i];
    (void)snprintf(path, sizeof path, "%s/ringfence.db%s", s->options->directory, ends[i]);
    bool const there = stat(path, &now) == 0;
    if (then->st_ino == 0) {
      *then = there ? now : *then;
      continue;
    }
    s->gone = there ? !rf_is_same_file(&now, then) : errno == ENOENT || errno == ENOTDIR;
    if (s->gone) {
      rf_diag("%s was %s while serve ran: serve ends; start it anew", path, there ? "replaced" : "removed");
    }
  }
}

static void relay(server *s) {
  s->relayed = s->intake.relayed;
  rf_relay_step(&s->relay, &s->store);
  s->store.failed = false;
}

static void tick(server *s, int64_t now) {
  s->next_tick = now + TICK_MS;
  s->rung = true;
  look_for_database(s);
  if (is_held(s, now)) {
    rf_http_changed(s->http, false);
    return;
  }
  open_shared(s);
  rf_serial_lines_tick(&s->serial, &s->intake, now);
  bool const named = rf_symbol_worker_step(&s->symbols, &s->store);
  rf_alerts_step(&s->alerts, &s->store);
  rf_http_changed(s->http, has_changed(s) || named);
  if (s->ticks++ % KEEP_TICKS == 0) {
    thin(s, now);
  }
  s->store.failed = false;
  relay(s);
}

static void steer(server *s, int64_t now) {
  if (is_held(s, now)) {
    s->next_steer = now + HELD_MS;
    return;
  }
  s->steers = false;
  s->next_steer = now + (s->more ? TICK_MS : STEER_MS); /* what was seen last is not there while much waits */
  (void)rf_policy_writer_step(&s->policy, &s->store);
  s->store.failed = false;
}

/* Milliseconds until something is due. */
static int until_due(const server *s, int64_t now) {
  int64_t due = s->next_tick;
  if ((s->rung || s->more) && s->next_take < due) {
    due = s->next_take;
  }
  if (s->steers && s->next_steer < due) {
    due = s->next_steer;
  }
  int const http = rf_http_timeout(s->http);
  int const left = due <= now ? 0 : (int)(due - now);
  return http >= 0 && http < left ? http : left;
}

enum { FIXED = 5 };

static void run(server *s) {
  struct pollfd fds[FIXED + RF_SERIAL_SOURCES] = {{s->signals, POLLIN, 0},
                                                  {rf_http_descriptor(s->http, 0), POLLIN, 0},
                                                  {rf_http_descriptor(s->http, 1), POLLIN, 0},
                                                  {s->spool.doorbell, POLLIN, 0}};
  while ((fds[0].revents & POLLIN) == 0 && !s->gone) {
    int64_t now = rf_store_steady();
    rf_serial_lines_poll(&s->serial, fds + FIXED);
    fds[4] = (struct pollfd){s->held != 0 ? -1 : rf_relay_descriptor(&s->relay), POLLIN, 0};
    (void)poll(fds, FIXED + RF_SERIAL_SOURCES, until_due(s, now));
    now = rf_store_steady();
    rf_serial_lines_read(&s->serial, fds + FIXED, now);
    if ((fds[3].revents & POLLIN) != 0) {
      rf_spool_drain_doorbell(&s->spool);
      s->rung = true;
      s->steers = true;
    }
    if ((fds[1].revents & POLLIN) != 0 || (fds[2].revents & POLLIN) != 0) {
      s->steers = true;
    }
    rf_http_run(s->http);
    if ((s->rung || s->more) && now >= s->next_take) {
      take(s, now);
    }
    if (s->intake.lines == 0 && s->held == 0 && (fds[4].revents != 0 || s->relayed != s->intake.relayed)) {
      relay(s);
    }
    if (now >= s->next_tick) {
      tick(s, now);
      s->steers = true;
    }
    if (s->steers && now >= s->next_steer) {
      steer(s, now);
    }
  }
}

/* ---- Start and end ---- */

static void open_browser(server *s) {
  char url[512];
  (void)snprintf(url, sizeof url, "%s%s", rf_http_url(s->http), rf_http_sign_in_path(s->http));
  rf_diag("sign in, once, within two minutes: %s", url);
  pid_t const child = fork();
  if (child == 0) {
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    rf_streams_give_back();
    if (fork() == 0) {
      (void)setsid();
      (void)execlp("xdg-open", "xdg-open", url, (char *)NULL);
    }
    _exit(0);
  }
  (void)waitpid(child, NULL, 0);
}

static int hold_signals(void) {
  sigset_t set;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGTERM);
  (void)sigaddset(&set, SIGINT);
  (void)sigaddset(&set, SIGHUP);
  (void)sigprocmask(SIG_BLOCK, &set, NULL);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool start(server *s) {
  char error[RF_HTTP_ERROR] = "";
  char path[4096];
  (void)snprintf(path, sizeof path, "%s/ringfence.db", s->options->directory);
  (void)umask(077);
  if (!rf_spool_open(&s->spool, s->options->directory, error, sizeof error)) {
    rf_diag("%s", error);
    return false;
  }
  bool const opened = rf_store_open(&s->store, path, RF_STORE_CREATE);
  if (opened) {
    rf_rekey_older(&s->store);
  }
  if (!opened || !rf_intake_init(&s->intake, &s->store, &s->options->intake)) {
    rf_diag("%s: %s", path, s->store.error);
    return false;
  }
  if (stat(path, &s->files[0]) != 0) {
    rf_diag("%s: %s", path, strerror(errno));
    return false;
  }
  if (!rf_serial_lines_open(&s->serial, s->options, &s->store)) {
    return false;
  }
  s->alerts = (rf_alerts){.webhook = s->options->webhook, .command = s->options->command, .url = s->options->page_url};
  if (s->options->once) {
    return true;
  }
  s->http = rf_http_start(&s->options->http, &s->store, &s->intake, error);
  if (s->http == NULL) {
    rf_diag("%s", error);
    return false;
  }
  rf_policy_writer_open(&s->policy, s->options->directory);
  steer(s, 0);
  s->alerts.url = s->alerts.url != NULL ? s->alerts.url : rf_http_url(s->http);
  rf_diag("collecting findings in %s, page at %s", s->options->directory, rf_http_url(s->http));
  if (s->spool.doorbell < 0) {
    rf_diag("cannot create a socket in %s that announces findings: they are looked for every second",
            s->options->directory);
  }
  return true;
}

static int take_once(server *s) {
  bool more = false;
  open_shared(s);
  bool const counted = rf_serial_lines_finish(&s->serial, &s->intake);
  bool fine = counted && rf_spool_take(&s->spool, &s->intake, false, &more);
  size_t held = s->spool.held;
  for (size_t i = 0; i < SHARED && fine; i++) {
    fine = rf_spool_take(&s->shared[i], &s->intake, false, &more);
    held += s->shared[i].held;
  }
  fine = fine && rf_intake_expire(&s->intake);
  if (!fine) {
    rf_diag("%s; findings wait in the spool", s->store.error);
    return RF_EXIT_FAILED;
  }
  if (held != 0) {
    rf_diag("a process is still writing: some findings were left for the next time");
  }
  rf_symbol_worker_finish(&s->symbols, &s->store);
  bool const sent = rf_relay_finish(&s->relay, &s->store);
  return rf_alerts_finish(&s->alerts, &s->store) && sent ? 0 : RF_EXIT_FAILED;
}

int rf_serve(rf_serve_options *options) {
  server s = {.options = options, .rung = true};
  s.symbols = (rf_symbol_worker){.directory = options->directory, .servers = getenv("DEBUGINFOD_URLS")};
  s.relay = (rf_relay){.url = options->forward, .token = getenv("RINGFENCE_TOKEN"), .most = options->forward_bytes};
  s.spool.directory = s.spool.folder = s.spool.doorbell = -1;
  for (size_t i = 0; i < SHARED; i++) {
    s.shared[i].directory = s.shared[i].folder = s.shared[i].doorbell = -1;
  }
  int status = RF_EXIT_FAILED;
  if (start(&s)) {
    (void)signal(SIGPIPE, SIG_IGN);
    if (options->once) {
      status = take_once(&s); /* a signal ends it, be it in the middle of a wait for somebody else */
    } else {
      s.signals = hold_signals();
      if (options->open) {
        open_browser(&s);
      }
      rf_store_wait(&s.store, LOCK_MS);
      run(&s);
      rf_serial_lines_end(&s.serial, &s.intake);
      status = s.gone ? RF_EXIT_FAILED : 0;
    }
  }
  rf_serial_lines_close(&s.serial);
  rf_policy_writer_close(&s.policy);
  rf_alerts_end(&s.alerts);
  rf_relay_end(&s.relay);
  rf_symbol_worker_end(&s.symbols);
  rf_http_stop(s.http);
  if (s.store.db != NULL) {
    rf_intake_deinit(&s.intake);
    rf_store_close(&s.store);
  }
  rf_spool_close(&s.spool);
  for (size_t i = 0; i < SHARED; i++) {
    rf_spool_close(&s.shared[i]);
  }
  return status;
}
