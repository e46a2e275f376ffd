/* The last part of a path. */
#ifndef RINGFENCE_CHECKERS_BASE_NAME_H
#define RINGFENCE_CHECKERS_BASE_NAME_H

#include <string.h>

/* Lies in `path`, and is all of it where that has no slash. */
static inline const char *rf_base_name(const char *path) {
  const char *const slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

#endif /* RINGFENCE_CHECKERS_BASE_NAME_H */
