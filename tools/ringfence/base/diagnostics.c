#include "tools/ringfence/base/diagnostics.h"

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
  /* A failure cannot be reported: this is where errors are reported. */
  (void)!write(STDERR_FILENO, line, (size_t)at);
}
