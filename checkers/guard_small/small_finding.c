/* Findings by numbers, in the serial form: fields of report_serial.h that are no texts, and the addresses of sites. */
#include <ringfence/guard_small.h>
#include <ringfence/port.h>
#include <ringfence/report_serial.h>
#include <string.h>

#include "checkers/report/crc32.h"

typedef struct writer {
  const rf_sink *sink;
  unsigned char type;
  unsigned record;
  unsigned index;
  unsigned used;
  unsigned char line[RF_SERIAL_HEAD + RF_SERIAL_DATA + RF_SERIAL_CRC];
} writer;

static void put(unsigned char *at, uint32_t value, unsigned bytes) {
  for (; bytes != 0; bytes--, value >>= 8) {
    *at++ = (unsigned char)value;
  }
}

static void flush(writer *w, unsigned last) {
  char text[RF_SERIAL_LINE] = RF_SERIAL_MARK;
  char *out = text + 4;
  w->line[0] = RF_SERIAL_VERSION;
  w->line[1] = w->type;
  put(w->line + 2, w->record, 2);
  put(w->line + 4, w->index++ | last, 2);
  unsigned const size = RF_SERIAL_HEAD + w->used;
  put(w->line + size, rf_crc32(0, w->line, size), RF_SERIAL_CRC);
  for (unsigned i = 0; i < size + RF_SERIAL_CRC; i++) {
    *out++ = "0123456789abcdef"[w->line[i] >> 4];
    *out++ = "0123456789abcdef"[w->line[i] & 15];
  }
  *out++ = '\n';
  rf_sink_mem(w->sink, text, (size_t)(out - text));
  w->used = 0;
}

static void number(writer *w, unsigned tag, uintptr_t value) {
  unsigned char *at = w->line + RF_SERIAL_HEAD + w->used;
  unsigned size = 0;
  if (w->used + 2 + sizeof value > RF_SERIAL_DATA) {
    flush(w, 0);
    at = w->line + RF_SERIAL_HEAD;
  }
  for (; value != 0; value >>= 8) {
    at[2 + size++] = (unsigned char)value;
  }
  if (size != 0) {
    at[0] = (unsigned char)tag;
    at[1] = (unsigned char)size;
    w->used += 2 + size;
  }
}

void rf_small_finding_write(const rf_small_finding *f, unsigned record, const rf_sink *sink) {
  writer w = {.sink = sink, .type = (unsigned char)(1 + f->bug), .record = record};
  const rf_site *const sites[] = {f->found, f->allocated, f->released};
  number(&w, RF_SERIAL_ADDRESS, f->address);
  number(&w, RF_SERIAL_BLOCK, f->block);
  number(&w, RF_SERIAL_SIZE, f->size);
  for (unsigned i = 0; i < sizeof sites / sizeof sites[0]; i++) {
    number(&w, RF_SERIAL_TRACE + i * RF_SERIAL_TRACE_STEP + RF_SERIAL_SITE_RECORD, (uintptr_t)sites[i]);
  }
  flush(&w, RF_SERIAL_LAST);
}

static void log_write(void *context, const char *text, size_t size) {
  (void)context;
  rf_port_log(text, size);
}

void rf_guard_small_print(rf_guard_small *self, const rf_small_finding *finding) {
  static const rf_sink console = {log_write, NULL};
  rf_small_finding_write(finding, self->findings, &console);
}
