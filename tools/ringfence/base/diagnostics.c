#include "tools/ringfence/base/diagnostics.h"

#include "tools/ringfence/base/clean_sink.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void rf_diag(const char *format, ...) {
  /* On the stack: this also reports that memory ran out. */
  char line[2048];
  int at = snprintf(line, sizeof line, "ringfence: ");
  va_list arguments;
  va_start(arguments, format);
  int const length = vsnprintf(line + at, sizeof line - (size_t)at - 1, format, arguments);
  va_end(arguments);
  int const room = (int)sizeof line - at - 2;
  at += length < 0 ? 0 : (length < room ? length : room);
  line[at++] = '\n';
  /* Parts of the message come from files, arguments and servers. */
  char out[3 * sizeof line];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, out, sizeof out);
  rf_sink const clean = rf_clean_sink(&buffer.sink);
  rf_sink_mem(&clean, line, (size_t)at);
  /* A failure cannot be reported: this is where errors are reported. */
  (void)!write(STDERR_FILENO, out, buffer.length);
}
