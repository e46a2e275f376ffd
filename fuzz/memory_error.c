/* A harness of what is said on standard error spends half of its time in the system: each line takes three calls, and a
 * file in the place of standard error eight more. With this library the linker puts memory in its place while the
 * harness says so (StandardError in captured.h). */
#include <ringfence/port.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void rf_memory_error_begin(void);
const char *rf_memory_error_end(size_t *size);
void __wrap_rf_port_log(const char *line, size_t size);
void __real_rf_port_log(const char *line, size_t size);

static bool takes;
static char *text;
static size_t length;
static size_t room;

void __wrap_rf_port_log(const char *line, size_t size) {
  if (!takes) {
    __real_rf_port_log(line, size);
    return;
  }
  if (size > room - length) {
    room = 2 * (length + size);
    text = (char *)realloc(text, room);
    if (text == NULL) {
      abort();
    }
  }
  memcpy(text + length, line, size);
  length += size;
}

void rf_memory_error_begin(void) {
  takes = true;
  length = 0;
}

const char *rf_memory_error_end(size_t *size) {
  takes = false;
  *size = length;
  return text != NULL ? text : "";
}
