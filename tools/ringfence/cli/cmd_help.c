#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/cli/command.h"

#include <stdio.h>
#include <string.h>

static void overview(void) {
  (void)puts(
      "Ringfence finds memory bugs: writes outside heap blocks, writes after free, double and bad frees, leaks.\n"
      "\n"
      "Usage: ringfence COMMAND [ARGUMENTS]\n"
      "\n"
      "Commands:");
  size_t count = 0;
  const rf_command *const *const commands = rf_commands(&count);
  for (size_t i = 0; i < count; i++) {
    (void)printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
  }
  (void)puts("\n"
             "`ringfence help COMMAND` or `ringfence COMMAND --help` says more.\n"
             "\n"
             "Example:\n"
             "  ringfence check -- ./program arguments");
}

static void help(void) {
  (void)puts("Usage: ringfence help [COMMAND]\n"
             "\n"
             "Prints the list of commands, or the manual of one, on standard output.");
}

static int run(int argc, char **argv) {
  if (argc > 2) {
    rf_diag("help takes one command, but also got %s", argv[2]);
    return RF_EXIT_USAGE;
  }
  if (argc < 2) {
    overview();
    return 0;
  }
  if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
    help();
    return 0;
  }
  const rf_command *const command = rf_command_find(argv[1]);
  if (command == NULL) {
    return RF_EXIT_USAGE;
  }
  if (command->help == NULL) {
    return command->run(2, (char *[]){argv[1], (char[]){"--help"}, NULL});
  }
  command->help();
  return 0;
}

const rf_command rf_command_help = {"help", "say what a command does and takes", run, help};
