#include "tools/ringfence/base/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void rf_diag(const char *format, ...) {
  /* Not the arena: this is also how running out of memory is told. */
  char line[2048];
  int at = snprintf(line, sizeof line, "ringfence: ");
  va_list arguments;
  va_start(arguments, format);
  int const length = vsnprintf(line + at, sizeof line - (size_t)at - 1, format, arguments);
  va_end(arguments);
  int const room = (int)sizeof line - at - 2;
  at += length < 0 ? 0 : (length < room ? length : room);
  line[at++] = '\n';
  /* There is nobody left to tell when this fails. */
  (void)!write(STDERR_FILENO, line, (size_t)at);
}
