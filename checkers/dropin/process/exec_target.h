/* Looks at a program before it is executed: whether the dynamic loader will load the library into it, or the one for
 * programs of another width or C library that is installed beside it (checkers/os/library_kind.h). Needs no memory and
 * writes to none but the caller's, as in a child of vfork. */
#ifndef RINGFENCE_DROPIN_EXEC_TARGET_H
#define RINGFENCE_DROPIN_EXEC_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rf_exec_target {
  const char *unchecked; /* why the library will not be in it, or cannot record what it finds, as one word or few; NULL:
                            it will, or nothing is known */
  bool other_preload;    /* its loader would refuse the library, and perhaps the program: LD_PRELOAD needs a change */
  uint64_t time_ns;    /* before it starts: a later line of the library's own in its process says that it was loaded */
  char file[PATH_MAX]; /* the program; of a script, the interpreter */
  char library[PATH_MAX]; /* in LD_PRELOAD in place of ours; "": none */
} rf_exec_target;

/* At the beginning of the process. */
void rf_exec_target_init(void);

/* False for NULL, too. */
bool rf_exec_target_can_read(const char *file);

/* `search`: in PATH, where `file` has no slash. Nothing is known where `file` or `envp` cannot be read. */
void rf_exec_target_find(const char *file, bool search, char *const envp[], rf_exec_target *out);

/* The sizes of what rf_exec_target_environment fills in. */
size_t rf_exec_target_entries(char *const envp[]);
size_t rf_exec_target_preload_size(const rf_exec_target *target, char *const envp[]);

/* `envp` with the library of LD_PRELOAD replaced, or taken out: the entries in `out`, that one in `preload`. */
void rf_exec_target_environment(const rf_exec_target *target, char *const envp[], char **out, char *preload);

#endif /* RINGFENCE_DROPIN_EXEC_TARGET_H */
