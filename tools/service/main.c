/* ringfence-serve: the commands of `ringfence` that need the store of findings. `ringfence` executes it. */
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/base/suggest.h"
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
}

static int run(int argc, char **argv) {
  if (argc < 1 || strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
    overview();
    return argc < 1 ? RF_EXIT_USAGE : 0;
  }
  const char *names[COMMANDS];
  for (size_t i = 0; i < COMMANDS; i++) {
    names[i] = commands[i].name;
    if (strcmp(argv[0], names[i]) == 0) {
      return commands[i].run(argc, argv);
    }
  }
  const char *const nearest = rf_suggest(argv[0], names, COMMANDS);
  rf_diag(nearest != NULL ? "unknown command %s; did you mean %s?" : "unknown command %s", argv[0], nearest);
  return RF_EXIT_USAGE;
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
