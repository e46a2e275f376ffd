/* The identity of a file: the same under all its names, and another one's once a name is another file's. */
#ifndef RINGFENCE_CHECKERS_SAME_FILE_H
#define RINGFENCE_CHECKERS_SAME_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

static inline bool rf_is_same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

#endif /* RINGFENCE_CHECKERS_SAME_FILE_H */
