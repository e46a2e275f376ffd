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

static bool apply_chosen(void *context, size_t row, const char *argument) {
  const rf_cli_options *const o = (const rf_cli_options *)context;
  if (argument != NULL && argument[0] == '\0' && strcmp(o->rows[row].name, "dir") == 0) {
    rf_diag("--dir has an empty name; is a variable not set?");
    return false;
  }
  return o->apply(o->context, o->ids[row], argument);
}

#define MASK_BITS (sizeof(uint32_t) * CHAR_BIT)

int rf_cli_options_read(rf_cli_options *o, const rf_option *rows, uint32_t mask, int argc, char **argv) {
  size_t count = 0;
  for (size_t i = 0; i < MASK_BITS; i++) {
    if ((mask >> i & 1U) != 0) {
      o->rows[count] = rows[i];
      o->ids[count++] = i;
    }
  }
  o->table = (rf_option_table){argv[0], o->rows, count, false};
  return rf_option_table_read(&o->table, argc, argv, apply_chosen, o);
}

int rf_cli_words(rf_cli *cli, rf_cli_options *o, const rf_cli_usage *usage, int argc, char **argv) {
  int const first = rf_cli_options_read(o, usage->rows, usage->mask, argc, argv);
  if (first < 0) {
    return RF_EXIT_USAGE;
  }
  if (cli->help) {
    (void)printf("Usage: ringfence %s\n\n", usage->text);
    rf_option_table_help(&o->table);
    return 0;
  }
  if (argc - first < usage->least || argc - first > usage->most) {
    rf_diag("usage: ringfence %s", usage->text);
    return RF_EXIT_USAGE;
  }
  cli->words = argv + first;
  return -1;
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

const rf_json *rf_cli_answer(rf_cli *cli, bool fine, bool *printed) {
  *printed = false;
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
  if (cli->json) {
    (void)puts(cli->text.text);
    *printed = true;
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
