#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/run/inspect.h"

#include <string.h>

/* What can be done about it, on a line of its own. */
static void advise(const rf_inspection *seen) {
  switch (seen->obstacle) {
  case RF_OBSTACLE_STATIC:
    rf_diag("link it dynamically, or link the checked malloc in: Bazel malloc = "
            "\"@ringfence//checkers/dropin:malloc\"");
    break;
  case RF_OBSTACLE_SETUID:
  case RF_OBSTACLE_CAPABILITIES:
    rf_diag("check it as the user that it becomes, or check a copy: `cp` drops the privileges");
    break;
  case RF_OBSTACLE_WIDTH:
    rf_diag("build the library for it (`./bazelw build %s//checkers/dropin:ringfence`) and name it with --library",
            seen->is64 ? "" : "--config=m32 ");
    break;
  case RF_OBSTACLE_LIBC:
    rf_diag("build it against glibc, or link the checked malloc in: Bazel malloc = "
            "\"@ringfence//checkers/dropin:malloc\"");
    break;
  case RF_OBSTACLE_SANITIZER:
    rf_diag("run it without the command: %s checks it already; or build it without %s", seen->detail, seen->detail);
    break;
  case RF_OBSTACLE_OWN_MALLOC:
    rf_diag("build it with the system's malloc, or with the checked one: Bazel malloc = "
            "\"@ringfence//checkers/dropin:malloc\"");
    break;
  case RF_OBSTACLE_NONE:
  case RF_OBSTACLE_MACHINE:
  case RF_OBSTACLE_NO_LOADER:
  case RF_OBSTACLE_NO_SHELL:
  case RF_OBSTACLE_NOT_PROGRAM:
    break;
  }
}

int rf_inspect_explain(const rf_inspection *seen, const char *program) {
  const char *const file = seen->file;
  if (strcmp(file, program) != 0) {
    rf_diag("%s is a script that %s runs", program, file);
  }
  switch (seen->obstacle) {
  case RF_OBSTACLE_NONE:
    break;
  case RF_OBSTACLE_STATIC:
    rf_diag("%s is statically linked: it has no dynamic loader, which would load libringfence.so", file);
    break;
  case RF_OBSTACLE_SETUID:
    rf_diag("%s is setuid or setgid: it runs with privileges that differ from yours, so the loader ignores LD_PRELOAD",
            file);
    break;
  case RF_OBSTACLE_CAPABILITIES:
    rf_diag("%s has file capabilities: it gains privileges, so the loader ignores LD_PRELOAD", file);
    break;
  case RF_OBSTACLE_WIDTH:
    rf_diag("%s is a %s-bit program, and libringfence.so is built for %s bits", file, seen->is64 ? "64" : "32",
            seen->is64 ? "32" : "64");
    break;
  case RF_OBSTACLE_MACHINE:
    rf_diag("%s is a program for %s", file, seen->detail);
    break;
  case RF_OBSTACLE_LIBC:
    rf_diag("%s is linked to a C library other than glibc (its loader is %s)", file, seen->detail);
    break;
  case RF_OBSTACLE_SANITIZER:
    rf_diag("%s is built with %s, which brings its own malloc", file, seen->detail);
    break;
  case RF_OBSTACLE_OWN_MALLOC:
    rf_diag("%s defines malloc itself, so it would not use the malloc of libringfence.so", file);
    break;
  case RF_OBSTACLE_NO_LOADER:
    rf_diag("%s needs the loader %s, which is not on this system", file, seen->detail);
    break;
  case RF_OBSTACLE_NO_SHELL:
    rf_diag("%s is a script that %s runs, which is not on this system", file, seen->detail);
    break;
  case RF_OBSTACLE_NOT_PROGRAM:
    rf_diag("%s is an ELF file but not a program", file);
    break;
  }
  advise(seen);
  bool const missing = seen->obstacle == RF_OBSTACLE_NO_LOADER || seen->obstacle == RF_OBSTACLE_NO_SHELL ||
                       seen->obstacle == RF_OBSTACLE_NOT_PROGRAM || seen->obstacle == RF_OBSTACLE_MACHINE;
  return missing ? RF_EXIT_CANNOT_RUN : RF_EXIT_USAGE;
}
