/* A sink takes text by a callback: stdio is one (see port.h for the log), a UART another, a fixed buffer a third. */
#ifndef RINGFENCE_SINK_H
#define RINGFENCE_SINK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_sink {
  /* Takes `len` bytes of text, not terminated by a NUL, a line at a time or less. Must not call the allocator whose
   * output it takes. */
  void (*write)(void *context, const char *text, size_t len);
  void *context;
} rf_sink;

/* A sink that fills a caller's buffer: always NUL-terminated, what does not fit is dropped, `length` counts what was
 * kept. */
typedef struct rf_sink_buffer {
  rf_sink sink;
  char *data;
  size_t capacity;
  size_t length;
} rf_sink_buffer;

/* Makes `b` write into `data`, `capacity` bytes (at least 1) owned by the caller; b->sink is then the sink. */
void rf_sink_buffer_init(rf_sink_buffer *b, char *data, size_t capacity);

/* These put one value on the sink, without allocating and without stdio; safe from interrupts and signal handlers as
 * far as the sink itself is. A NULL string is written as "(null)". */
void rf_sink_mem(const rf_sink *sink, const char *text, size_t len);
void rf_sink_str(const rf_sink *sink, const char *text);
void rf_sink_char(const rf_sink *sink, char c);
void rf_sink_uint(const rf_sink *sink, uint64_t value);
void rf_sink_int(const rf_sink *sink, int64_t value);
/* Hexadecimal with 0x and at least `digits` digits, of which more than 16 count as 16. */
void rf_sink_hex(const rf_sink *sink, uint64_t value, unsigned digits);
/* An address, 0x and as many digits as pointers of this target have. */
void rf_sink_ptr(const rf_sink *sink, const void *p);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SINK_H */
