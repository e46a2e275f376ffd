/* Tells, before a program is run, whether the library can be loaded into it.
 *
 * The dynamic loader loads the library (LD_PRELOAD). A static program has no loader; for a program that gains
 * privileges (setuid) the loader ignores LD_PRELOAD; a program with a malloc of its own would not use the library's.
 */
#ifndef RINGFENCE_TOOLS_RUN_INSPECT_H
#define RINGFENCE_TOOLS_RUN_INSPECT_H

#include "checkers/os/library_kind.h"
#include "tools/ringfence/base/arena.h"

#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_obstacle {
  RF_OBSTACLE_NONE,
  RF_OBSTACLE_STATIC,          /* no loader */
  RF_OBSTACLE_SETUID,          /* runs as another user or group */
  RF_OBSTACLE_CAPABILITIES,    /* has file capabilities */
  RF_OBSTACLE_WIDTH,           /* 32 bit where the library is 64, or the other way round */
  RF_OBSTACLE_MACHINE,         /* for another processor */
  RF_OBSTACLE_LIBC,            /* another C library than the one that libringfence.so is for */
  RF_OBSTACLE_SANITIZER,       /* has a sanitizer's malloc */
  RF_OBSTACLE_OWN_MALLOC,      /* defines malloc itself */
  RF_OBSTACLE_NO_LOADER,       /* names a loader that this system lacks */
  RF_OBSTACLE_NO_SHELL,        /* a script whose interpreter this system lacks */
  RF_OBSTACLE_CARRIAGE_RETURN, /* a script whose interpreter's name ends with a carriage return */
  RF_OBSTACLE_SHARED_LIBRARY,  /* has no loader, and no first instruction */
  RF_OBSTACLE_NOT_PROGRAM      /* an ELF file, but an object file, a core dump, or damaged */
} rf_obstacle;

/* The identity that the program will run with. */
typedef struct rf_identity {
  uid_t user;
  gid_t group;
  bool no_new_privileges; /* setuid has no effect */
} rf_identity;

typedef struct rf_inspection {
  rf_obstacle obstacle;
  const char *file;     /* the file that has it: the program, or the interpreter of the script that it is */
  const char *detail;   /* the loader, machine or sanitizer, where the obstacle has one */
  bool is64;            /* width of `file` */
  rf_library_kind kind; /* the library that `file` needs, where the obstacle is its width or C library */
  bool linked_in;       /* the checked malloc is linked in: no library is needed */
} rf_inspection;

/* The identity of this process. */
rf_identity rf_identity_own(void);

/* Inspects `program` (a path) or, where it is a script, its interpreter. `library` is the path of libringfence.so. A
 * file that cannot be read counts as without obstacle: running it will show. */
rf_inspection rf_inspect(rf_bump_arena *arena, const char *program, const char *library, rf_identity identity);

/* Tells the user about the obstacle and the remedy. Returns the exit status. */
int rf_inspect_explain(const rf_inspection *seen, const char *program);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RUN_INSPECT_H */
