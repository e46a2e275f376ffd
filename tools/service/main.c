/* ringfence-serve: the commands of `ringfence` that need the store of findings. `ringfence` executes it. */
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/base/suggest.h"
#include "tools/service/cli/common.h"

#include <stdio.h>
#include <string.h>

static const rf_service_command *const commands[] = {
    &rf_service_serve,  &rf_service_findings,  &rf_service_show,   &rf_service_fix,     &rf_service_ignore,
    &rf_service_reopen, &rf_service_merge,     &rf_service_split,  &rf_service_why,     &rf_service_builds,
    &rf_service_gate,   &rf_service_watch,     &rf_service_status, &rf_service_symbols, &rf_service_forward,
    &rf_service_export, &rf_service_processes, &rf_service_steer,  &rf_service_coverage};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void overview(void) {
  (void)puts("Usage: ringfence-serve COMMAND [ARGUMENTS]\n\nCommands, which `ringfence` has too:");
  for (size_t i = 0; i < COMMANDS; i++) {
    (void)printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
  }
}

static int run(int argc, char **argv) {
  if (argc < 1 || strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
    overview();
    return argc < 1 ? RF_EXIT_USAGE : 0;
  }
  const char *names[COMMANDS];
  for (size_t i = 0; i < COMMANDS; i++) {
    names[i] = commands[i]->name;
    if (strcmp(argv[0], names[i]) == 0) {
      return commands[i]->run(argc, argv);
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
