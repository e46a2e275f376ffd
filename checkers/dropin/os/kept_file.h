/* A file that the drop-in keeps open. The program may close its descriptor, and open another file in its place. */
#ifndef RINGFENCE_DROPIN_KEPT_FILE_H
#define RINGFENCE_DROPIN_KEPT_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

typedef struct rf_kept_file {
  int descriptor; /* 0 or less: none */
  struct stat identity;
} rf_kept_file;

/* Keeps `file` open under a high number: programs number their own files from below. The caller still closes `file`. */
void rf_kept_file_keep(rf_kept_file *kept, int file);

/* True where the descriptor is still that file's. */
bool rf_kept_file_is_there(const rf_kept_file *kept);

#endif /* RINGFENCE_DROPIN_KEPT_FILE_H */
