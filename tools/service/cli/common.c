#include "tools/service/cli/common.h"

#include "checkers/os/spool_file.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/words.h"
#include "tools/service/exchange/curl.h"
#include "tools/service/intake/spool.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Options ---- */

enum { DIR, JSON, HELP, COMMON_ROWS, MASK_BITS = sizeof(uint32_t) * CHAR_BIT };

static const rf_option common_rows[COMMON_ROWS] = {
    [DIR] = {"dir", '\0', "DIR", "the collector's folder", NULL},
    [JSON] = {"json", '\0', NULL, "print JSON", NULL},
    [HELP] = {"help", 'h', NULL, "print this and exit", NULL},
};

_Static_assert(RF_CLI_DIR == 1 << DIR && RF_CLI_JSON == 1 << JSON, "RF_CLI_... choose rows by their bits");

typedef struct reading {
  rf_option rows[RF_OPTIONS_MOST]; /* of the command alone, then common ones */
  size_t ids[RF_OPTIONS_MOST];     /* their rows in the tables that they are of */
  size_t count;
  size_t own; /* how many are the command's */
  rf_cli *cli;
  bool help;
  rf_cli_apply *apply;
  void *context;
} reading;

static bool apply_row(void *context, size_t row, const char *argument) {
  reading *const r = (reading *)context;
  if (argument != NULL && argument[0] == '\0' && strcmp(r->rows[row].name, "dir") == 0) {
    rf_diag("--dir has an empty name; is a variable not set?");
    return false;
  }
  if (row < r->own) {
    return r->apply(r->context, r->ids[row], argument);
  }
  if (r->ids[row] == DIR) {
    r->cli->directory = argument;
  } else {
    *(r->ids[row] == JSON ? &r->cli->json : &r->help) = true;
  }
  return true;
}

static void add_rows(reading *r, const rf_option *rows, uint32_t mask) {
  for (size_t i = 0; i < MASK_BITS; i++) {
    if ((mask >> i & 1U) != 0) {
      r->ids[r->count] = i;
      r->rows[r->count++] = rows[i];
    }
  }
}

static void print_manual(const rf_cli_usage *usage, const rf_option_table *table) {
  (void)printf("Usage: ringfence %s\n\n%s\n\n", usage->text, usage->about);
  rf_option_table_help(table);
  (void)printf("\nExit status: %s\n",
               usage->exits != NULL ? usage->exits : "0; 1 if it failed; 2 if the command line is wrong.");
}

int rf_cli_read(rf_cli *cli, const rf_cli_usage *usage, rf_cli_apply *apply, void *context, int argc, char **argv) {
  reading r = {.cli = cli, .apply = apply, .context = context};
  add_rows(&r, usage->rows, usage->mask);
  r.own = r.count;
  add_rows(&r, common_rows, usage->common | 1U << HELP);
  rf_option_table const table = {argv[0], r.rows, r.count, false};
  int const first = rf_option_table_read(&table, argc, argv, apply_row, &r);
  if (first < 0) {
    return RF_EXIT_USAGE;
  }
  if (r.help) {
    print_manual(usage, &table);
    return 0;
  }
  cli->words = argv + first;
  cli->word_count = argc - first;
  if (usage->most == 0 && cli->word_count != 0) {
    rf_diag("%s takes options only, but got %s", argv[0], argv[first]);
  } else if (cli->word_count < usage->least || cli->word_count > usage->most) {
    rf_diag("usage: ringfence %.*s", (int)strcspn(usage->text, "\n"), usage->text);
  } else {
    return -1;
  }
  return RF_EXIT_USAGE;
}

/* ---- The folder ---- */

static bool is_writable(const char *path) {
  return access(path, W_OK | X_OK) == 0;
}

/* A folder that exists must be a folder of this user alone: /tmp and /dev/shm are everybody's. */
static bool is_ours(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

static bool parent_is_writable(rf_bump_arena *arena, const char *path) {
  char *const parent = rf_bump_arena_copy(arena, path);
  for (char *slash = strrchr(parent, '/'); slash != NULL && slash != parent; slash = strrchr(parent, '/')) {
    *slash = '\0';
    if (access(parent, F_OK) == 0) {
      return is_writable(parent);
    }
  }
  return false;
}

enum { OWN_PLACES = 2, PLACES = OWN_PLACES + RF_SPOOL_SHARED_PLACES };

static size_t list_places(rf_bump_arena *arena, const char *places[PLACES]) {
  static const char *const shared[RF_SPOOL_SHARED_PLACES] = RF_SPOOL_SHARED_STARTS;
  const char *const state = getenv("XDG_STATE_HOME");
  const char *const home = getenv("HOME");
  size_t count = 0;
  if (state != NULL && state[0] == '/') {
    places[count++] = rf_bump_arena_print(arena, "%s/ringfence", state);
  }
  if (home != NULL && home[0] == '/') {
    places[count++] = rf_bump_arena_print(arena, "%s/.local/state/ringfence", home);
  }
  for (size_t i = 0; i < RF_SPOOL_SHARED_PLACES; i++) {
    places[count++] = rf_bump_arena_print(arena, "%s%u", shared[i], (unsigned)geteuid());
  }
  return count;
}

const char *rf_cli_directory(rf_bump_arena *arena, const char *given, bool create) {
  const char *const variable = getenv("RINGFENCE_COLLECTOR");
  const char *places[PLACES];
  if (given != NULL) {
    return given;
  }
  if (variable != NULL && variable[0] != '\0' && !rf_is_word_of(variable, "auto none")) {
    return rf_collector_is_folder("RINGFENCE_COLLECTOR", variable, strlen(variable)) ? variable : NULL;
  }
  size_t const count = list_places(arena, places);
  for (size_t i = 0; i < count; i++) {
    bool const exists = access(places[i], F_OK) == 0;
    if (exists ? is_ours(places[i]) && is_writable(places[i]) : create && parent_is_writable(arena, places[i])) {
      return places[i];
    }
  }
  rf_diag(create ? "cannot create a folder for findings; name one with --dir"
                 : "there is no folder of findings yet: start `ringfence serve`, or name one with --dir");
  return NULL;
}

bool rf_cli_is_collector(const char *option, const char *url) {
  if (!rf_is_web_address(url)) {
    rf_diag("--%s %s: use the address of a collector, as in https://HOST", option, url);
    return false;
  }
  if (url[strcspn(url, "?#")] != '\0') {
    rf_diag("--%s %s: use an address without ? and #: paths of the collector follow it", option, url);
    return false;
  }
  return true;
}

bool rf_cli_shares(bool no_shared) {
  const char *const variable = getenv("RINGFENCE_NO_SHARED");
  return !no_shared && (variable == NULL || variable[0] == '\0');
}

/* ---- The store ---- */

/* As `serve` makes it. */
static bool make_folder(const char *path) {
  char error[4200] = "";
  int fd = -1;
  (void)umask(077);
  bool const made = rf_spool_open_directory(path, &fd, error, sizeof error);
  if (fd >= 0) {
    (void)close(fd);
  }
  if (!made) {
    rf_diag("%s", error);
  }
  return made;
}

bool rf_cli_open(rf_cli *cli, rf_store_access access_wanted) {
  bool const create = access_wanted == RF_STORE_CREATE;
  rf_text_sink_init(&cli->text, &cli->arena);
  cli->query = (rf_query){&cli->store, &cli->arena, {.sink = &cli->text.sink}};
  cli->directory = rf_cli_directory(&cli->arena, cli->directory, create);
  if (cli->directory == NULL) {
    return false;
  }
  const char *const path = rf_bump_arena_print(&cli->arena, "%s/ringfence.db", cli->directory);
  bool const exists = access(path, F_OK) == 0;
  if (create && !exists && errno == ENOENT) {
    if (!make_folder(cli->directory)) {
      return false;
    }
  } else if (!exists) {
    if (errno == ENOENT || errno == ENOTDIR) {
      rf_diag("there are no findings in %s yet: start `ringfence serve`, or name another folder with --dir",
              cli->directory);
    } else {
      rf_diag("%s: %s", path, strerror(errno));
    }
    return false;
  }
  if (!rf_store_open(&cli->store, path, create && exists ? RF_STORE_WRITE : access_wanted)) {
    rf_diag("%s: %s", path, cli->store.error);
    return false;
  }
  return true;
}

void rf_cli_close(rf_cli *cli) {
  if (cli->store.db != NULL) {
    rf_store_close(&cli->store);
  }
  rf_bump_arena_free(&cli->arena);
}

const rf_json *rf_cli_answer(rf_cli *cli, bool fine, rf_cli_print *print) {
  if (!fine) {
    rf_diag("%s", cli->store.error);
    return NULL;
  }
  const rf_json *const root = rf_json_parse(&cli->arena, cli->text.text, cli->text.length);
  const char *const error = rf_json_text(root, "error", NULL);
  if (root == NULL || error != NULL) {
    rf_diag("%s", error != NULL ? error : "the store holds a record that cannot be read");
    return NULL;
  }
  if (print != NULL && cli->json) {
    (void)puts(cli->text.text);
  } else if (print != NULL) {
    print(cli, root);
  }
  return root;
}

/* From 1 on; -1 where `text` is no such number. */
static int64_t number_of(const char *text) {
  char *end = NULL;
  errno = 0;
  long long const number = text[0] >= '0' && text[0] <= '9' ? strtoll(text, &end, 10) : 0;
  return number <= 0 || *end != '\0' || errno != 0 ? -1 : number;
}

int64_t rf_cli_id_of(const char *word, const char *thing, const char *list) {
  int64_t const id = number_of(word[0] == '#' ? word + 1 : word);
  if (id < 0) {
    rf_diag("%s is not the number of a %s; `ringfence %s` lists them", word, thing, list);
  }
  return id;
}

int64_t rf_cli_id(const char *word) {
  return rf_cli_id_of(word, "finding", "findings");
}

int64_t rf_cli_number(const char *option, const char *argument) {
  int64_t const number = number_of(argument);
  if (number < 0) {
    rf_diag("--%s %s: give a number from 1 on", option, argument);
  }
  return number;
}
