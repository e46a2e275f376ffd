#include "tools/ringfence/run/environment.h"

#include "checkers/report/collector_identity.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/run/pools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

rf_options rf_environment_defaults(void) {
  rf_options options;
  rf_options_default(&options);
  options.mode = RF_MODE_GUARD;
  options.rejected = true;
  options.stack_depth = 12;
  options.quarantine = (size_t)4 << 20;
  options.watch = secure_getenv(RF_BAZEL_TEST) == NULL ? 2000 : 0;
  return options;
}

static rf_options parse(const char *text) {
  rf_sink const nobody = rf_null_sink();
  rf_options options = rf_environment_defaults();
  (void)rf_options_parse(&options, text, "RINGFENCE_OPTIONS", &nobody);
  return options;
}

/* The part of `text` that the library understands. The rest is warned of here, once, and not by each process. */
static const char *understood(rf_bump_arena *arena, const char *text) {
  rf_sink const warnings = rf_file_sink(stderr);
  size_t const size = strlen(text) + 1;
  rf_sink_buffer kept;
  rf_options unused;
  rf_options_default(&unused);
  rf_sink_buffer_init(&kept, (char *)rf_bump_arena_array(arena, size, 1), size);
  (void)rf_options_keep(&unused, text, "RINGFENCE_OPTIONS", &warnings, &kept.sink);
  return kept.data;
}

static const char *join(rf_bump_arena *arena, const char *a, const char *b) {
  return rf_bump_arena_print(arena, "%s%s%s", a, a[0] == '\0' || b[0] == '\0' ? "" : ":", b);
}

/* In the options of each program that the command starts, another `ringfence check` among them. */
#define COMMANDS_OWN "format=json:summary=1:help=0:log="

const char *rf_environment_options(rf_bump_arena *arena, const char *passed, const char *folder,
                                   rf_options *effective) {
  const char *const own = getenv("RINGFENCE_OPTIONS");
  const char *user = own == NULL ? "" : own;
  if (parse(user).log != NULL && strstr(user, COMMANDS_OWN) == NULL) {
    rf_diag("RINGFENCE_OPTIONS: log is ignored; --log prints to a file");
  }
  /* A request of impossible size is a bug to someone who checks a program; without the command, a program may make one
   * to see whether it is served. */
  const char *const ours = rf_bump_arena_print(arena, COMMANDS_OWN "%s/%%p", folder);
  /* An open quotation mark would take in the options after it. */
  if (!parse(join(arena, user, ours)).summary) {
    rf_diag("RINGFENCE_OPTIONS is ignored: a quotation mark in it is not closed");
    user = "";
  }
  user = understood(arena, user);
  const char *const asked = join(arena, join(arena, "rejected=1", user), passed);
  *effective = parse(join(arena, asked, ours));
  if (parse(join(arena, user, passed)).help) {
    rf_sink const to = rf_file_sink(stderr);
    rf_options_help(effective, &to);
  }
  /* A run that continues after findings leaves every exit status alone. */
  return rf_bump_arena_print(arena, "%s%s", join(arena, asked, ours), effective->halt ? "" : ":exitcode=0");
}

static const char *preloadable(rf_bump_arena *arena, const char *library, const char *folder) {
  if (strpbrk(library, " :$") == NULL) {
    return library;
  }
  const char *const link = rf_bump_arena_print(arena, "%s/libringfence.so", folder);
  return symlink(library, link) == 0 ? link : library;
}

static bool is_variable(const char *entry, const char *name) {
  size_t const length = strlen(name);
  return strncmp(entry, name, length) == 0 && entry[length] == '=';
}

/* Returns how many were added. */
static size_t turn_pools_off(char **to, rf_bump_arena *arena) {
  size_t added = 0;
  for (size_t i = 0; i < RF_POOL_VARIABLES; i++) {
    const rf_pool_variable *const v = &rf_pool_variables[i];
    if (getenv(v->name) == NULL) {
      to[added++] = rf_bump_arena_print(arena, "%s=%s", v->name, v->value);
    }
  }
  return added;
}

char **rf_environment_make(rf_bump_arena *arena, const char *library, const char *options, const char *folder,
                           bool pools) {
  const char *const preload = getenv("LD_PRELOAD");
  size_t count = 0;
  while (environ[count] != NULL) {
    count++;
  }
  char **const made = (char **)rf_bump_arena_array(arena, count + RF_POOL_VARIABLES + 3, sizeof *made);
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    bool const replaced =
        is_variable(environ[i], "RINGFENCE_OPTIONS") || (library != NULL && is_variable(environ[i], "LD_PRELOAD"));
    if (!replaced) {
      made[at++] = environ[i];
    }
  }
  at += pools ? 0 : turn_pools_off(made + at, arena);
  made[at++] = rf_bump_arena_print(arena, "RINGFENCE_OPTIONS=%s", options);
  if (library != NULL) {
    bool const others = preload != NULL && preload[0] != '\0';
    made[at] = rf_bump_arena_print(arena, "LD_PRELOAD=%s%s%s", preloadable(arena, library, folder), others ? ":" : "",
                                   others ? preload : "");
  }
  return made;
}
