/* Real programs with something to do: what tools/bench/programs.c runs bare and checked. */
#ifndef RINGFENCE_BENCH_WORKLOADS_H
#define RINGFENCE_BENCH_WORKLOADS_H

#include <stddef.h>

typedef struct workload {
  const char *name;
  const char *program; /* in PATH, or in the folder of data */
  const char *argv[8]; /* run in the folder of data, NULL-terminated */
  const char *input;   /* file for standard input, or NULL */
} workload;

/* All workloads; *count is how many. */
const workload *workloads(size_t *count);

/* Writes the data that they read into the current folder. 0, or -1 with errno. */
int workloads_prepare(void);

#endif /* RINGFENCE_BENCH_WORKLOADS_H */
