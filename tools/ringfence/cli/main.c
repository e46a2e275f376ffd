/* ringfence: runs programs under the checked malloc and reports what it finds. */
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/cli/command.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The usual options of command line tools, as commands. */
static const char *command_name(const char *word) {
  if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
    return "help";
  }
  return strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0 ? "version" : word;
}

int main(int argc, char **argv) {
  rf_streams_hold();
  rf_paths_enter();
  if (argc < 2) {
    rf_diag("no command given; try `ringfence check -- program`, or `ringfence help`");
    return RF_EXIT_USAGE;
  }
  const char *const name = command_name(argv[1]);
  if (name[0] == '-') {
    rf_diag("unknown option %s before the command; try `ringfence help`", name);
    return RF_EXIT_USAGE;
  }
  const rf_command *const command = rf_command_find(name);
  int const status = command == NULL ? RF_EXIT_USAGE : command->run(argc - 1, argv + 1);
  bool const written = fflush(stdout) == 0 && ferror(stdout) == 0;
  if (!written && status != RF_EXIT_USAGE) {
    rf_diag("cannot write all to standard output");
    return RF_EXIT_USAGE;
  }
  return status;
}
