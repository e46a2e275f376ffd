#include "log_lines.h"

#include <ringfence/port.h>
#include <string.h>

#include "lib/core/compiler.h"

RF_COLD static void gather(void *context, const char *text, size_t size) {
  rf_log_lines *const lines = (rf_log_lines *)context;
  while (size != 0) {
    size_t const room = sizeof lines->line - lines->length;
    size_t const part = size < room ? size : room;
    memcpy(lines->line + lines->length, text, part);
    lines->length += part;
    text += part;
    size -= part;
    if (lines->length == sizeof lines->line || (size == 0 && text[-1] == '\n')) {
      rf_port_log(lines->line, lines->length);
      lines->length = 0;
    }
  }
}

const rf_sink *rf_log_lines_init(rf_log_lines *lines) {
  lines->sink = (rf_sink){gather, lines};
  lines->length = 0;
  return &lines->sink;
}
