#include "tools/ringfence/cli/command.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/suggest.h"
#include "tools/ringfence/cli/service_commands.h"

#include <string.h>

#define SERVICE(name, summary) &(const rf_command){#name, summary, rf_service_run, NULL},

static const rf_command *const commands[] = {&rf_command_check,  &rf_command_report,  &rf_command_help,
                                             &rf_command_replay, &rf_command_tune,    &rf_command_version,
                                             &rf_command_import, &rf_command_monitor, RF_SERVICE_COMMANDS(SERVICE)};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

const rf_command *const *rf_commands(size_t *count) {
  *count = COMMANDS;
  return commands;
}

static bool is_program(const char *name) {
  rf_bump_arena arena = {NULL};
  bool const found = strchr(name, '/') != NULL || (name[0] != '\0' && rf_paths_in_path(&arena, name) != NULL);
  rf_bump_arena_free(&arena);
  return found;
}

const rf_command *rf_command_find(const char *name) {
  const char *names[COMMANDS];
  for (size_t i = 0; i < COMMANDS; i++) {
    names[i] = commands[i]->name;
    if (strcmp(name, names[i]) == 0) {
      return commands[i];
    }
  }
  const char *const nearest = rf_suggest(name, names, COMMANDS);
  if (is_program(name)) {
    rf_diag("unknown command %s; a program is checked by `ringfence check -- %s`", name, name);
  } else if (nearest != NULL) {
    rf_diag("unknown command %s; did you mean %s?", name, nearest);
  } else {
    rf_diag("unknown command %s; `ringfence help` lists them", name);
  }
  return NULL;
}
