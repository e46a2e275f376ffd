#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/version.h"
#include "tools/ringfence/cli/command.h"

#include <stdio.h>
#include <string.h>

static void help(void) {
  (void)puts("Usage: ringfence version\n"
             "\n"
             "Prints the version of Ringfence on standard output.");
}

static int run(int argc, char **argv) {
  if (argc > 1 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
    help();
    return 0;
  }
  if (argc > 1) {
    rf_diag("version takes no arguments, but got %s", argv[1]);
    return RF_EXIT_USAGE;
  }
  (void)puts("ringfence " RF_VERSION);
  return 0;
}

const rf_command rf_command_version = {"version", "print the version", run, help};
