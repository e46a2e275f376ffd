/* A harness of what is said on standard error spends half of its time in the system: each line takes three calls, and a
 * file in the place of standard error eight more. With this library the linker puts memory in its place while the
 * harness says so (StandardError in captured.h). */
#include <ringfence/port.h>

#include <stdbool.h>

#include "memory_text.h"

void rf_memory_error_begin(void);
const char *rf_memory_error_end(size_t *size);
void __wrap_rf_port_log(const char *line, size_t size);
void __real_rf_port_log(const char *line, size_t size);

static bool takes;
static memory_text text;

void __wrap_rf_port_log(const char *line, size_t size) {
  if (!takes) {
    __real_rf_port_log(line, size);
    return;
  }
  memory_text_append(&text, line, size);
}

void rf_memory_error_begin(void) {
  takes = true;
  text.length = 0;
}

const char *rf_memory_error_end(size_t *size) {
  takes = false;
  *size = text.length;
  return text.bytes != NULL ? text.bytes : "";
}
