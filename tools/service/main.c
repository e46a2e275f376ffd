/* ringfence-serve: the commands of `ringfence` that need the store of findings. `ringfence` executes it. */
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/base/suggest.h"
#include "tools/ringfence/base/version.h"
#include "tools/service/cli/common.h"

#include <stdio.h>
#include <string.h>

typedef struct command {
  const char *name;
  const char *summary;
  int (*run)(int argc, char **argv);
} command;

#define COMMAND(name, summary) {#name, summary, rf_service_##name},

static const command commands[] = {RF_SERVICE_COMMANDS(COMMAND)};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void overview(void) {
  (void)puts("Usage: ringfence-serve COMMAND [ARGUMENTS]\n\nCommands, which `ringfence` has too:");
  for (size_t i = 0; i < COMMANDS; i++) {
    (void)printf("  %-10s %s\n", commands[i].name, commands[i].summary);
  }
  (void)puts("\n`ringfence-serve help COMMAND` says more, --version which one it is.");
}

/* NULL: there is none of that name, and the message says so. */
static const command *find(const char *name) {
  const char *names[COMMANDS];
  for (size_t i = 0; i < COMMANDS; i++) {
    names[i] = commands[i].name;
    if (strcmp(name, names[i]) == 0) {
      return &commands[i];
    }
  }
  const char *const nearest = rf_suggest(name, names, COMMANDS);
  rf_diag(nearest != NULL ? "unknown command %s; did you mean %s?" : "unknown command %s; try `ringfence-serve help`",
          name, nearest);
  return NULL;
}

static bool is_one_of(const char *word, const char *name, const char *option, const char *letter) {
  return strcmp(word, name) == 0 || strcmp(word, option) == 0 || strcmp(word, letter) == 0;
}

static int run(int argc, char **argv) {
  if (argc < 1) {
    overview();
    return RF_EXIT_USAGE;
  }
  bool const help = is_one_of(argv[0], "help", "--help", "-h");
  if (help && argc == 1) {
    overview();
    return 0;
  }
  if (is_one_of(argv[0], "version", "--version", "-V")) {
    (void)puts("ringfence-serve " RF_VERSION);
    return 0;
  }
  const command *const found = find(argv[help ? 1 : 0]);
  if (found == NULL) {
    return RF_EXIT_USAGE;
  }
  if (help) {
    char option[] = "--help";
    char *words[] = {argv[1], option, NULL};
    return found->run(2, words);
  }
  return found->run(argc, argv);
}

int main(int argc, char **argv) {
  rf_streams_hold();
  rf_paths_enter();
  int const status = run(argc - 1, argv + 1);
  bool const written = fflush(stdout) == 0 && ferror(stdout) == 0;
  if (status == 0 && !written) {
    rf_diag("cannot write all to standard output");
    return RF_EXIT_FAILED;
  }
  return status;
}
