/* Measured values in order: the median is the one in the middle. */
#ifndef RINGFENCE_TOOLS_BENCH_MEDIAN_H
#define RINGFENCE_TOOLS_BENCH_MEDIAN_H

#include <stddef.h>
#include <stdlib.h>

static inline int compare_values(const void *a, const void *b) {
  double const x = *(const double *)a;
  double const y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Sorts them, and returns the median. */
static inline double median(double *values, size_t count) {
  qsort(values, count, sizeof *values, compare_values);
  return values[count / 2];
}

#endif
