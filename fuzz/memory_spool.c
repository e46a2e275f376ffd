/* A harness of what a process tells a collector spends half of its time on the spool's file: each record takes twenty
 * calls of the system. With this library the harness may take a record itself. */
#include "checkers/os/spool_file.h"

/* The harness's: true where it took the record. */
bool rf_fuzz_takes_record(const char *line, size_t size);

bool __wrap_rf_spool_file_append(rf_spool_file *spool, char *line, size_t size, bool ring);
bool __real_rf_spool_file_append(rf_spool_file *spool, char *line, size_t size, bool ring);

bool __wrap_rf_spool_file_append(rf_spool_file *spool, char *line, size_t size, bool ring) {
  if (!rf_fuzz_takes_record(line, size)) {
    return __real_rf_spool_file_append(spool, line, size, ring);
  }
  line[-1] = '\n'; /* as documented */
  spool->too_large = false;
  spool->arrived = size;
  return true;
}
