/* Paths of options: %p stands for the process id. Internal to checkers/. */
#ifndef RINGFENCE_PID_PATH_H
#define RINGFENCE_PID_PATH_H

#include <ringfence/sink.h>

#include "checkers/os/host.h"

/* Adds the path `text` to *path, with the process id for %p. False where it does not fit. */
static inline bool rf_pid_path(const char *text, size_t length, rf_sink_buffer *path) {
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '%' && i + 1 < length && text[i + 1] == 'p') {
      rf_sink_uint(&path->sink, rf_host_process());
      i++;
    } else {
      rf_sink_char(&path->sink, text[i]);
    }
  }
  return path->length + 1 < path->capacity;
}

#endif /* RINGFENCE_PID_PATH_H */
