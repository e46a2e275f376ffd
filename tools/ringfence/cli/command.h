/* The commands of `ringfence`. Each takes the words after its name and returns the exit status. */
#ifndef RINGFENCE_TOOLS_CLI_COMMAND_H
#define RINGFENCE_TOOLS_CLI_COMMAND_H

#include <stddef.h>

typedef struct rf_command {
  const char *name;
  const char *summary; /* for the list of commands */
  /* argv[0] is the command's own name. */
  int (*run)(int argc, char **argv);
  /* Writes the command's manual to standard output; NULL: it prints that itself where argv[1] is --help. */
  void (*help)(void);
} rf_command;

extern const rf_command rf_command_check;
extern const rf_command rf_command_help;
extern const rf_command rf_command_import;
extern const rf_command rf_command_monitor;
extern const rf_command rf_command_replay;
extern const rf_command rf_command_report;
extern const rf_command rf_command_tune;
extern const rf_command rf_command_version;

enum { RF_SERVICE_WORDS = 256 };

/* Runs the command argv[0] of the checking service (RF_SERVICE_COMMANDS) with at most RF_SERVICE_WORDS words. */
int rf_service_run(int argc, char **argv);

/* All of them, in the order of the list. */
const rf_command *const *rf_commands(size_t *count);

/* The command called `name`; NULL after a message that suggests the nearest. */
const rf_command *rf_command_find(const char *name);

#endif /* RINGFENCE_TOOLS_CLI_COMMAND_H */
