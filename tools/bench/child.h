/* A program run as a child with a library preloaded, and measured from outside. */
#ifndef RINGFENCE_TOOLS_BENCH_CHILD_H
#define RINGFENCE_TOOLS_BENCH_CHILD_H

#include <stddef.h>
#include <time.h>

typedef struct child_usage {
  double processor; /* seconds */
  double wall;      /* seconds */
  long kibibytes;   /* peak of the memory that was resident */
} child_usage;

/* Prints `what` and the error of errno, and exits with 1. */
_Noreturn void die(const char *what);

double clock_seconds(clockid_t clock);

typedef struct named_load {
  const char *name;
  void (*run)(void);
} named_load;

/* The child's side: runs the load of that name and prints the processor time that it took, in seconds. Returns the
 * exit status: 2 where no load has that name. */
int run_named_load(const named_load *loads, size_t count, const char *name);

/* Runs arguments[0], looked up in PATH, with `library` preloaded unless it is NULL and RINGFENCE_OPTIONS set to
 * `options` unless that is NULL. Its output is put into `text`, ended by a NUL and cut off at `size`; if `text` is NULL
 * its output and errors are thrown away. Ends this program, naming `name`, if the child did not exit with 0. */
child_usage run_child(const char *name, const char *library, const char *options, const char *const *arguments,
                      char *text, size_t size);

#endif
