#include <ringfence/sink.h>

#include <string.h>

static void buffer_write(void *context, const char *text, size_t len) {
  rf_sink_buffer *const b = (rf_sink_buffer *)context;
  size_t const room = b->capacity - 1 - b->length;
  size_t const kept = len < room ? len : room;
  memcpy(b->data + b->length, text, kept);
  b->length += kept;
  b->data[b->length] = '\0';
}

void rf_sink_buffer_init(rf_sink_buffer *b, char *data, size_t capacity) {
  b->sink.write = buffer_write;
  b->sink.context = b;
  b->data = data;
  b->capacity = capacity;
  b->length = 0;
  data[0] = '\0';
}

void rf_sink_mem(const rf_sink *sink, const char *text, size_t len) {
  if (len != 0) {
    sink->write(sink->context, text, len);
  }
}

void rf_sink_str(const rf_sink *sink, const char *text) {
  if (text == NULL) {
    text = "(null)";
  }
  rf_sink_mem(sink, text, strlen(text));
}

void rf_sink_char(const rf_sink *sink, char c) {
  rf_sink_mem(sink, &c, 1);
}

void rf_sink_uint(const rf_sink *sink, uint64_t value) {
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + (int)(value % 10));
    value /= 10;
  } while (value != 0);
  rf_sink_mem(sink, digits + at, sizeof digits - at);
}

void rf_sink_int(const rf_sink *sink, int64_t value) {
  if (value < 0) {
    rf_sink_char(sink, '-');
    rf_sink_uint(sink, 0 - (uint64_t)value);
  } else {
    rf_sink_uint(sink, (uint64_t)value);
  }
}

void rf_sink_hex(const rf_sink *sink, uint64_t value, unsigned digits) {
  char text[18];
  size_t at = sizeof text;
  if (digits > 16) {
    digits = 16;
  }
  while (value != 0 || sizeof text - at < digits || at == sizeof text) {
    text[--at] = "0123456789abcdef"[value & 0xF];
    value >>= 4;
  }
  text[--at] = 'x';
  text[--at] = '0';
  rf_sink_mem(sink, text + at, sizeof text - at);
}

void rf_sink_ptr(const rf_sink *sink, const void *p) {
  rf_sink_hex(sink, (uintptr_t)p, (unsigned)(2 * sizeof p));
}
