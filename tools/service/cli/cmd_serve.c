/* serve: the collector, its check and its backup. */
#include "tools/ringfence/base/paths.h"
#include "tools/service/cli/common.h"
#include "tools/service/cli/loop.h"
#include "tools/service/cli/print.h"
#include "tools/service/exchange/curl.h"
#include "tools/service/http/base_path.h"
#include "tools/service/store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  DEFAULT_PORT = 7117,
  DEFAULT_DAYS = 90,
  DEFAULT_MIB = 4096,
  DEFAULT_BAUD = 115200,
  SYMBOL_MIB = 16384,
  FORWARD_MIB = 1024
};

typedef enum row_id {
  DIR,
  LISTEN,
  OPEN,
  HOST,
  BASE_PATH,
  SOURCE_ROOT,
  WEBHOOK,
  COMMAND,
  FORWARD,
  MAX_FORWARD,
  BYTES,
  KEEP_DAYS,
  MAX_SIZE,
  MAX_SYMBOLS,
  NO_SHARED,
  SERIAL,
  BAUD,
  IMAGE,
  ONCE,
  CHECK,
  BACKUP,
  ROWS
} row_id;

static const rf_option rows[ROWS] = {
    [DIR] = {"dir", '\0', "DIR", "the folder of findings (default: the one that processes find by themselves)", NULL},
    [LISTEN] = {"listen", '\0', "ADDRESS:PORT", "where the page is (default 127.0.0.1:7117; port 0: any)", NULL},
    [OPEN] = {"open", '\0', NULL, "open the page in a browser, signed in", NULL},
    [HOST] = {"host", '\0', "NAME",
              "a name under which a reverse proxy serves the page; as https://NAME, links of alerts lead there;\n"
              "may be repeated",
              NULL},
    [BASE_PATH] = {"base-path", '\0', "/PATH",
                   "the path below which a reverse proxy serves the page, as /ringfence: all links begin with it",
                   NULL},
    [SOURCE_ROOT] = {"source-root", '\0', "DIR",
                     "show lines of code of files in DIR, hidden ones left out (default: the current folder, unless\n"
                     "the home folder is in it); who may send records and read pages may read all of these files",
                     NULL},
    [WEBHOOK] = {"webhook", '\0', "URL", "post a JSON object on each new and reopened finding", NULL},
    [COMMAND] = {"alert-command", '\0', "COMMAND", "run COMMAND in a shell, with that object as standard input", NULL},
    [FORWARD] = {"forward", '\0', "URL",
                 "send what comes in from now on to the collector there as well; its token is taken from\n"
                 "RINGFENCE_TOKEN",
                 NULL},
    [MAX_FORWARD] = {"max-forward", '\0', "MIB",
                     "drop the records that wait longest for it above so many MiB (default 1024)", NULL},
    [BYTES] = {"bytes", '\0', "NAME=RULE",
               "keep of the bytes around the damage, of a mode or environment NAME (* any): whole, guards\n"
               "or none; the strictest counts (default sample=guards); may be repeated",
               NULL},
    [KEEP_DAYS] = {"keep-days", '\0', "N", "keep events between the first and the last for N days (default 90)", NULL},
    [MAX_SIZE] = {"max-size", '\0', "MIB", "drop the oldest of these above so many MiB (default 4096)", NULL},
    [MAX_SYMBOLS] = {"max-symbols", '\0', "MIB",
                     "drop the files of symbols that came in first above so many MiB (default 16384)", NULL},
    [NO_SHARED] = {"no-shared", '\0', NULL,
                   "look at DIR alone, not at /dev/shm/ringfence-UID and /tmp/ringfence-UID, where processes write\n"
                   "that cannot write to DIR, as in a build's sandbox; RINGFENCE_NO_SHARED=1 does the same",
                   NULL},
    [SERIAL] = {"serial", '\0', "SOURCE",
                "read findings in the serial form from a device, a pipe, or a file that grows; may be repeated", NULL},
    [BAUD] = {"baud", '\0', "N", "the speed of devices (default 115200)", NULL},
    [IMAGE] = {"image", '\0', "ELF", "the firmware that runs there: it names functions and lines", NULL},
    [ONCE] = {"once", '\0', NULL, "take what is in the spool, and in files of --serial, and exit: for CI", NULL},
    [CHECK] = {"check", '\0', NULL, "check the database, print its size and what waits, and exit", NULL},
    [BACKUP] = {"backup", '\0', "FILE", "write a copy of the database to FILE, also while it is in use, and exit",
                NULL},
};

typedef struct given {
  rf_cli cli;
  rf_serve_options serve;
  const char *backup;
  bool no_shared;
  bool check;
} given;

/* ---- Options ---- */

/* Digits alone: strtol would take blanks and a sign. */
static bool read_number(const char *text, long most, long *out) {
  *out = strtol(text, NULL, 10);
  return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' && *out <= most;
}

static bool set_number(const char *name, const char *text, long most, long *out) {
  if (!read_number(text, most, out)) {
    rf_diag("--%s %s: use a number from 0 to %ld", name, text, most);
    return false;
  }
  return true;
}

/* "127.0.0.1:7117", "[::1]:7117", "7117". */
static bool set_listen(given *g, const char *text) {
  const char *at = text;
  long port = 0;
  const char *const colon = strrchr(text, ':');
  size_t length = colon == NULL ? 0 : (size_t)(colon - text);
  bool const numbered = read_number(colon == NULL ? text : colon + 1, 65535, &port);
  if (length >= 2 && at[0] == '[' && at[length - 1] == ']') {
    at++;
    length -= 2;
  }
  g->serve.http.port = (unsigned)port;
  g->serve.http.address = length == 0 ? "127.0.0.1" : rf_bump_arena_text(&g->cli.arena, at, length);
  if (!numbered || !rf_http_is_address(g->serve.http.address)) {
    rf_diag("--listen %s: use an address and a port, as in 127.0.0.1:7117", text);
    return false;
  }
  return true;
}

static bool add_rule(given *g, const char *text) {
  static const char *const names[] = {"whole", "guards", "none"};
  const char *const equals = strrchr(text, '=');
  rf_intake_options *const o = &g->serve.intake;
  for (unsigned i = 0; i < 3 && equals != NULL && equals != text && o->rule_count < RF_INTAKE_RULES; i++) {
    if (strcmp(equals + 1, names[i]) == 0) {
      const char *const name = rf_bump_arena_text(&g->cli.arena, text, (size_t)(equals - text));
      o->rules[o->rule_count++] = (rf_intake_rule){name, (rf_window_rule)i};
      return true;
    }
  }
  rf_diag("--bytes %s: use NAME=whole, NAME=guards or NAME=none, at most %d times", text, RF_INTAKE_RULES);
  return false;
}

/* "NAME", "NAME:PORT", or either behind "https://": then it is also where links of alerts lead. */
static bool add_host(given *g, const char *text) {
  const char *const scheme = strstr(text, "://");
  const char *const name = scheme == NULL ? text : scheme + strlen("://");
  size_t const length = strcspn(name, "/");
  if (g->serve.http.host_count == RF_HTTP_HOSTS) {
    rf_diag("--host can be given at most %d times", RF_HTTP_HOSTS);
    return false;
  }
  if (length == 0 || name[length + (name[length] == '/')] != '\0' || (scheme != NULL && !rf_is_web_address(text))) {
    rf_diag("--host %s: use a name, or a name behind https://, without a path, which --base-path is for", text);
    return false;
  }
  const char *const host = rf_bump_arena_text(&g->cli.arena, name, length);
  g->serve.http.hosts[g->serve.http.host_count++] = host;
  if (scheme != NULL && g->serve.page_url == NULL) {
    g->serve.page_url = rf_bump_arena_text(&g->cli.arena, text, (size_t)(name - text) + length);
  }
  return true;
}

static bool set_base_path(given *g, const char *text) {
  const char *why = NULL;
  g->serve.http.base = rf_base_path_read(&g->cli.arena, text, &why);
  if (g->serve.http.base == NULL) {
    rf_diag("--base-path %s: %s", text, why);
  }
  return g->serve.http.base != NULL;
}

static bool add_serial(given *g, const char *path) {
  if (g->serve.serial_count == RF_SERIAL_SOURCES) {
    rf_diag("--serial can be given at most %d times", RF_SERIAL_SOURCES);
    return false;
  }
  g->serve.serial[g->serve.serial_count++] = path;
  return true;
}

static bool apply_more(given *g, size_t row, const char *argument) {
  long number = 0;
  switch ((row_id)row) {
  case LISTEN:
    return set_listen(g, argument);
  case HOST:
    return add_host(g, argument);
  case BASE_PATH:
    return set_base_path(g, argument);
  case BYTES:
    return add_rule(g, argument);
  case SERIAL:
    return add_serial(g, argument);
  case BAUD:
    if (!set_number(rows[row].name, argument, 4000000, &number)) {
      return false;
    }
    g->serve.baud = (unsigned)number;
    return true;
  case MAX_SYMBOLS:
    if (!set_number(rows[row].name, argument, 1 << 24, &number)) {
      return false;
    }
    g->serve.symbol_bytes = (int64_t)number << 20;
    return true;
  case MAX_FORWARD:
    if (!set_number(rows[row].name, argument, 1 << 24, &number)) {
      return false;
    }
    g->serve.forward_bytes = (int64_t)number << 20;
    return true;
  case KEEP_DAYS:
    if (!set_number(rows[row].name, argument, 36500, &number)) {
      return false;
    }
    g->serve.keep.days = number;
    return true;
  default:
    if (!set_number(rows[row].name, argument, 1 << 24, &number)) {
      return false;
    }
    g->serve.keep.bytes = (int64_t)number << 20;
    return true;
  }
}

static bool apply(void *context, size_t row, const char *argument) {
  given *const g = (given *)context;
  const char **const texts[ROWS] = {[DIR] = &g->cli.directory,     [SOURCE_ROOT] = &g->serve.http.source_root,
                                    [WEBHOOK] = &g->serve.webhook, [COMMAND] = &g->serve.command,
                                    [IMAGE] = &g->serve.image,     [BACKUP] = &g->backup,
                                    [FORWARD] = &g->serve.forward};
  bool *const flags[ROWS] = {
      [OPEN] = &g->serve.open, [NO_SHARED] = &g->no_shared, [ONCE] = &g->serve.once, [CHECK] = &g->check};
  if (texts[row] != NULL) {
    *texts[row] = argument;
  } else if (flags[row] != NULL) {
    *flags[row] = true;
  } else {
    return apply_more(g, row, argument);
  }
  return true;
}

/* ---- Check and backup ---- */

static bool is_sound(rf_store *store) {
  bool sound = true;
  sqlite3_stmt *const s = rf_store_select(store, "PRAGMA integrity_check(20)", "");
  while (rf_store_row(store, s)) {
    const char *const text = rf_store_text(s, 0);
    if (strcmp(text, "ok") != 0) {
      rf_diag("%s", text);
      sound = false;
    }
  }
  return sound && !store->failed;
}

static int check(rf_cli *cli) {
  int status = RF_EXIT_FAILED;
  if (rf_cli_open(cli, RF_STORE_READ_OLDER)) {
    bool const sound = is_sound(&cli->store);
    bool const older = rf_store_version(&cli->store) < rf_store_schema_version();
    bool const read =
        older || rf_cli_answer(cli, rf_query_status(&cli->query, cli->directory), rf_print_status) != NULL;
    if (older) {
      printf("  schema       %d of %d: the next `ringfence serve` migrates it, which cannot be undone\n",
             (int)rf_store_version(&cli->store), rf_store_schema_version());
    }
    (void)puts(sound ? "  integrity    ok" : "  integrity    DAMAGED: restore a backup");
    status = sound && read ? 0 : RF_EXIT_FAILED;
  }
  return status;
}

/* On the disk, not only in its cache: SQLite does not wait for that here. */
static bool is_on_disk(const char *path) {
  int const fd = open(path, O_RDONLY | O_CLOEXEC);
  bool const synced = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) {
    (void)close(fd);
  }
  return synced;
}

/* A file of the name that was given is a whole backup: it is written under another. */
static bool write_backup(rf_cli *cli, const char *path) {
  /* "file:…" would be an address of SQLite's. */
  const char *const part = rf_bump_arena_print(&cli->arena, "%s%s.part-%d", path[0] == '/' ? "" : "./", path, getpid());
  (void)unlink(part); /* of one that was killed, in another container */
  int const fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* SQLite would blame the database */
  if (fd < 0 || close(fd) != 0) {
    rf_diag("--backup %s: %s", path, strerror(errno));
    return false;
  }
  rf_store_run(&cli->store, "VACUUM INTO ?", "t", part);
  int const code = cli->store.code & 0xFF;
  if (cli->store.failed && (code == SQLITE_FULL || code == SQLITE_IOERR)) {
    rf_diag("--backup %s: its disk is full, or failed to write", path);
  } else if (cli->store.failed) {
    rf_diag("--backup %s: %s", path, cli->store.error);
  } else if (!is_on_disk(part) || rename(part, path) != 0) {
    rf_diag("--backup %s: %s", path, strerror(errno));
  } else {
    return true;
  }
  (void)unlink(part);
  return false;
}

static int back_up(given *g) {
  int status = RF_EXIT_FAILED;
  (void)umask(077);
  if (g->backup[0] == '\0') {
    rf_diag("--backup is empty: name a file");
    status = RF_EXIT_USAGE;
  } else if (access(g->backup, F_OK) == 0) {
    rf_diag("--backup %s: the file is there already", g->backup);
  } else if (rf_cli_open(&g->cli, RF_STORE_COPY)) {
    status = write_backup(&g->cli, g->backup) ? 0 : RF_EXIT_FAILED;
  }
  return status;
}

/* ---- The command ---- */

static bool addresses_are_right(const rf_serve_options *serve) {
  if (serve->webhook != NULL && serve->command != NULL) {
    rf_diag("use --webhook or --alert-command, not both");
  } else if (serve->webhook != NULL && !rf_is_web_address(serve->webhook)) {
    rf_diag("--webhook %s: use an address that begins with http:// or https://", serve->webhook);
  } else if (serve->command != NULL && serve->command[0] == '\0') {
    rf_diag("--alert-command is empty");
  } else {
    return serve->forward == NULL || rf_cli_is_collector("forward", serve->forward);
  }
  return false;
}

/* It may be that of another machine: paths are shown seen from there. */
static void warn_of_source_root(const char *path) {
  struct stat st;
  if (path != NULL && stat(path, &st) != 0) {
    rf_diag("--source-root %s: %s; no lines of code are shown", path, strerror(errno));
  } else if (path != NULL && !S_ISDIR(st.st_mode)) {
    rf_diag("--source-root %s: %s; no lines of code are shown", path, strerror(ENOTDIR));
  }
}

/* The current folder; NULL where the user's own files lie in it, as in the home folder, where supervisors start: a
 * record may name any file. */
static const char *current_project(rf_bump_arena *arena) {
  char current[PATH_MAX];
  char home[PATH_MAX];
  const char *const given_home = getenv("HOME");
  if (getcwd(current, sizeof current) == NULL) {
    return NULL;
  }
  bool const has_home = given_home != NULL && realpath(given_home, home) != NULL &&
                        (strcmp(home, current) == 0 || rf_path_behind(home, current) != NULL);
  return has_home ? NULL : rf_bump_arena_copy(arena, current);
}

static int serve_or_look(given *g) {
  if ((int)g->serve.once + (int)g->check + (int)(g->backup != NULL) > 1) {
    rf_diag("use --once, --check or --backup, one of them");
    return RF_EXIT_USAGE;
  }
  if (g->serve.open && (g->serve.once || g->check || g->backup != NULL)) {
    rf_diag("--open needs a server that stays: use it without --once, --check and --backup");
    return RF_EXIT_USAGE;
  }
  if (g->check) {
    return check(&g->cli);
  }
  if (g->backup != NULL) {
    return back_up(g);
  }
  if (!addresses_are_right(&g->serve)) {
    return RF_EXIT_USAGE;
  }
  g->serve.directory = rf_cli_directory(&g->cli.arena, g->cli.directory, true);
  if (g->serve.directory == NULL) {
    return RF_EXIT_FAILED;
  }
  warn_of_source_root(g->serve.http.source_root);
  if (g->serve.http.source_root == NULL) {
    g->serve.http.source_root = current_project(&g->cli.arena);
  }
  g->serve.shared = rf_cli_shares(g->no_shared);
  g->serve.http.directory = g->serve.directory;
  if (g->serve.page_url != NULL) {
    g->serve.page_url = rf_bump_arena_print(&g->cli.arena, "%s%s", g->serve.page_url, g->serve.http.base);
  }
  g->serve.intake.relay = g->serve.forward != NULL;
  g->serve.intake.alerts = g->serve.webhook != NULL || g->serve.command != NULL;
  return rf_serve(&g->serve);
}

int rf_service_serve(int argc, char **argv) {
  static const rf_cli_usage usage = {
      .text = "serve [OPTIONS]",
      .about =
          "Collects findings of checked processes (option collector=DIR, or RINGFENCE_COLLECTOR) in a database and\n"
          "shows them on a page. One serve for each folder; processes never wait for it.",
      .rows = rows,
      .mask = (1U << ROWS) - 1};
  given g = {.backup = NULL};
  g.serve.http.address = "127.0.0.1";
  g.serve.http.port = DEFAULT_PORT;
  g.serve.http.base = "";
  g.serve.baud = DEFAULT_BAUD;
  g.serve.forward_bytes = (int64_t)FORWARD_MIB << 20;
  g.serve.symbol_bytes = (int64_t)SYMBOL_MIB << 20;
  g.serve.keep = (rf_keep){DEFAULT_DAYS, (int64_t)DEFAULT_MIB << 20};
  g.serve.intake.rules[g.serve.intake.rule_count++] = (rf_intake_rule){"sample", RF_WINDOW_GUARDS};
  int status = rf_cli_read(&g.cli, &usage, apply, &g, argc, argv);
  if (status < 0) {
    status = serve_or_look(&g);
  }
  rf_cli_close(&g.cli);
  return status;
}
