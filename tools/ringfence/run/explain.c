#include "tools/ringfence/run/inspect.h"

#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/base/diagnostics.h"

#include <string.h>

/* The names of the checked malloc, to link. */
#define MALLOC_LABEL                                                                                                   \
  "`pkg-config --libs ringfence-malloc`, CMake's ringfence::malloc, Bazel's malloc = "                                 \
  "\"@ringfence//checkers/dropin:malloc\""

/* `reason` follows the file's name and has the inspection's detail for %s; `advice`, a line of its own, too. */
typedef struct explanation {
  const char *reason;
  const char *advice; /* NULL: none */
  int status;
} explanation;

static const explanation explanations[] = {
    [RF_OBSTACLE_STATIC] = {"is statically linked: it has no dynamic loader, which would load libringfence.so",
                            "link it dynamically, or link the checked malloc in: " MALLOC_LABEL, RF_EXIT_USAGE},
    [RF_OBSTACLE_SETUID] = {"is setuid or setgid: it runs with privileges that differ from yours, so the loader "
                            "ignores LD_PRELOAD",
                            "check it as the user that it becomes, or check a copy: `cp` drops the privileges",
                            RF_EXIT_USAGE},
    [RF_OBSTACLE_CAPABILITIES] = {"has file capabilities: it gains privileges, so the loader ignores LD_PRELOAD",
                                  "check it as the user that it becomes, or check a copy: `cp` drops the privileges",
                                  RF_EXIT_USAGE},
    [RF_OBSTACLE_MACHINE] = {"is a program for %s", NULL, RF_EXIT_CANNOT_RUN},
    [RF_OBSTACLE_LIBC] = {"is linked to another C library than libringfence.so (its loader is %s)",
                          "build it against glibc, or link the checked malloc in: " MALLOC_LABEL, RF_EXIT_USAGE},
    [RF_OBSTACLE_SANITIZER] = {"is built with %s, which brings its own malloc",
                               "run it without the command for what %s finds, or build it without the sanitizer",
                               RF_EXIT_USAGE},
    [RF_OBSTACLE_OWN_MALLOC] = {"defines malloc itself, so it would not use the malloc of libringfence.so",
                                "build it with the system's malloc, or with the checked one: " MALLOC_LABEL,
                                RF_EXIT_USAGE},
    [RF_OBSTACLE_NO_LOADER] = {"needs the loader %s, which is not on this system", NULL, RF_EXIT_CANNOT_RUN},
    [RF_OBSTACLE_NO_SHELL] = {"is a script that %s runs, which is not on this system", NULL, RF_EXIT_CANNOT_RUN},
    [RF_OBSTACLE_CARRIAGE_RETURN] = {"is a script whose first line ends with a carriage return, as on Windows: "
                                     "there is no program %s with one behind its name",
                                     "take it out of each line: sed -i 's/\\r$//' FILE", RF_EXIT_CANNOT_RUN},
    [RF_OBSTACLE_SHARED_LIBRARY] = {"is a shared library, not a program", "check a program that loads it",
                                    RF_EXIT_CANNOT_RUN},
    [RF_OBSTACLE_NOT_PROGRAM] = {"is an ELF file but not a program", NULL, RF_EXIT_CANNOT_RUN},
};

/* `text` with `detail` for its %s, if it has one. */
static const char *filled(rf_bump_arena *arena, const char *text, const char *detail) {
  const char *const hole = strstr(text, "%s");
  return hole == NULL ? text
                      : rf_bump_arena_print(arena, "%.*s%s%s", (int)(hole - text), text, detail, hole + strlen("%s"));
}

/* `config` is the option of the build that adds it. */
static void advise_library(const char *config) {
  rf_diag("install the library for it as well (`./bazelw run %s//tools:install`), or name one with --library", config);
}

static void explain_width(const rf_inspection *seen) {
  if (seen->kind == RF_LIBRARY_NONE) {
    rf_diag("%s is a 32-bit program of another ABI than i386 (x32, for one), for which there is no library",
            seen->file);
    rf_diag("build it for 64 bits");
    return;
  }
  rf_diag("%s is a %s-bit program, and libringfence.so is built for %s bits", seen->file, seen->is64 ? "64" : "32",
          seen->is64 ? "32" : "64");
  advise_library(seen->is64 ? "" : "--config=i386 ");
}

int rf_inspect_explain(const rf_inspection *seen, const char *program) {
  if (strcmp(seen->file, program) != 0) {
    rf_diag("%s is a script that %s runs", program, seen->file);
  }
  if (seen->obstacle == RF_OBSTACLE_WIDTH) {
    explain_width(seen);
    return RF_EXIT_USAGE;
  }
  rf_bump_arena arena = {NULL};
  const explanation *const e = &explanations[seen->obstacle];
  rf_diag("%s %s", seen->file, filled(&arena, e->reason, seen->detail));
  if (seen->obstacle == RF_OBSTACLE_LIBC && seen->kind != RF_LIBRARY_NONE) {
    advise_library(seen->kind == RF_LIBRARY_MUSL ? "--config=musl " : "");
  } else if (e->advice != NULL) {
    rf_diag("%s", filled(&arena, e->advice, seen->detail));
  }
  rf_bump_arena_free(&arena);
  return e->status;
}
