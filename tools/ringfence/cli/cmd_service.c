/* The commands of the checking service. They need its store, so a program beside this one has them: ringfence-serve,
 * which `ringfence` executes and does not depend on. */
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/cli/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "ringfence-serve"

/* Relative to the folder of this command: side by side, installed under a prefix, in Bazel's tree. */
static const char *const places[] = {PROGRAM, "../libexec/" PROGRAM, "../service/" PROGRAM};

static const char *find_program(rf_bump_arena *arena) {
  const char *const variable = getenv("RINGFENCE_SERVE");
  if (variable != NULL && variable[0] != '\0') {
    return variable;
  }
  const char *const self = rf_paths_self(arena);
  for (size_t i = 0; self != NULL && i < sizeof places / sizeof places[0]; i++) {
    const char *const path = rf_bump_arena_print(arena, "%s/%s", self, places[i]);
    if (access(path, X_OK) == 0) {
      return path;
    }
  }
  return rf_paths_in_path(arena, PROGRAM);
}

/* Does not return where the program runs. */
static int execute(char **argv) {
  rf_bump_arena arena = {NULL};
  const char *const program = find_program(&arena);
  if (program == NULL) {
    rf_diag("cannot find " PROGRAM ", which has this command: install its package, or build it from the sources, by "
            "CMake with -DRINGFENCE_SERVICE=ON, or by `./bazelw build //tools/service:" PROGRAM "`, and name it in "
            "RINGFENCE_SERVE");
    rf_bump_arena_free(&arena);
    return RF_EXIT_NOT_FOUND;
  }
  rf_streams_give_back();
  (void)execv(program, argv);
  rf_diag("cannot run %s: %s", program, strerror(errno));
  rf_bump_arena_free(&arena);
  return RF_EXIT_CANNOT_RUN;
}

int rf_service_run(int argc, char **argv) {
  char *words[RF_SERVICE_WORDS + 2] = {(char[]){PROGRAM}};
  if (argc > RF_SERVICE_WORDS) {
    rf_diag("%s takes at most %d arguments", argv[0], RF_SERVICE_WORDS);
    return RF_EXIT_USAGE;
  }
  memcpy((void *)&words[1], (const void *)argv, (size_t)argc * sizeof *argv);
  return execute(words);
}
