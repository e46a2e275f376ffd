#define _GNU_SOURCE
#include "load.h"

#include "tools/trace/read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

trace load_trace(const char *path, size_t most) {
  char problem[TRACE_PROBLEM_BYTES];
  trace t;
  const char *const slash = strrchr(path, '/');
  const char *const name = slash != NULL ? slash + 1 : path;
  if (!trace_read(&t, path, problem)) {
    (void)fprintf(stderr, "%s: %s\n", path, problem);
    exit(2);
  }
  trace_cut(&t, most);
  t.name = (const char *)trace_must(strndup(name, strcspn(name, ".")));
  return t;
}
