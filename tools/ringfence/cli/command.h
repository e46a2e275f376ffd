/* The commands of `ringfence`. Each takes the words after its name and returns the exit status. */
#ifndef RINGFENCE_TOOLS_CLI_COMMAND_H
#define RINGFENCE_TOOLS_CLI_COMMAND_H

#include <stddef.h>

typedef struct rf_command {
  const char *name;
  const char *summary; /* for the list of commands */
  /* argv[0] is the command's own name. */
  int (*run)(int argc, char **argv);
  /* Writes the command's manual to standard output. */
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

/* Commands of the checking service. More words than the limit are refused. */
enum { RF_SERVICE_WORDS = 256 };

extern const rf_command rf_command_serve;
extern const rf_command rf_command_findings;
extern const rf_command rf_command_show;
extern const rf_command rf_command_fix;
extern const rf_command rf_command_ignore;
extern const rf_command rf_command_reopen;
extern const rf_command rf_command_merge;
extern const rf_command rf_command_split;
extern const rf_command rf_command_why;
extern const rf_command rf_command_builds;
extern const rf_command rf_command_gate;
extern const rf_command rf_command_watch;
extern const rf_command rf_command_processes;
extern const rf_command rf_command_status;
extern const rf_command rf_command_symbols;
extern const rf_command rf_command_forward;
extern const rf_command rf_command_export;
extern const rf_command rf_command_steer;
extern const rf_command rf_command_coverage;

/* All of them, in the order of the list. */
const rf_command *const *rf_commands(size_t *count);

/* The command called `name`; NULL after a message that suggests the nearest. */
const rf_command *rf_command_find(const char *name);

#endif /* RINGFENCE_TOOLS_CLI_COMMAND_H */
