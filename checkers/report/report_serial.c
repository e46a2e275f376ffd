#include <ringfence/report_serial.h>

#include <string.h>

#include "crc32.h"
#include "lib/core/compiler.h"

_Static_assert(RF_SERIAL_LINE <= 80, "fits a terminal's line");

/* ---- Lines ---- */

static void put_low_first(unsigned char *out, uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++) {
    out[i] = (unsigned char)(value >> (8 * i));
  }
}

/* In one write, so that other output comes between lines if the sink keeps writes whole. */
RF_COLD static void put_line(const rf_sink *sink, unsigned char type, uint16_t record, uint16_t index,
                             const unsigned char *data, unsigned used) {
  unsigned char bytes[RF_SERIAL_HEAD + RF_SERIAL_DATA + RF_SERIAL_CRC];
  char line[RF_SERIAL_LINE] = RF_SERIAL_MARK;
  unsigned const size = RF_SERIAL_HEAD + used + RF_SERIAL_CRC;
  bytes[0] = RF_SERIAL_VERSION;
  bytes[1] = type;
  put_low_first(bytes + 2, record, 2);
  put_low_first(bytes + 4, index, 2);
  memcpy(bytes + RF_SERIAL_HEAD, data, used);
  put_low_first(bytes + RF_SERIAL_HEAD + used, rf_crc32(0, bytes, RF_SERIAL_HEAD + used), RF_SERIAL_CRC);
  for (unsigned i = 0; i < size; i++) {
    line[4 + 2 * i] = "0123456789abcdef"[bytes[i] >> 4];
    line[5 + 2 * i] = "0123456789abcdef"[bytes[i] & 15];
  }
  line[4 + 2 * size] = '\n';
  rf_sink_mem(sink, line, 5 + 2 * size);
}

/* ---- Fields ---- */

/* Modules that a finding names by number: one for each frame at most. */
#define TRACES 3U
#define MODULES (TRACES * RF_TRACE_DEPTH)
_Static_assert(MODULES <= UINT8_MAX, "RF_TRACE_DEPTH is at most 85: the number of a module is one byte");

typedef struct writer {
  const rf_sink *sink;
  const rf_symbolizer *symbolizer;
  unsigned char type;
  uint16_t record;
  uint16_t index;
  unsigned used;
  unsigned char data[RF_SERIAL_DATA];
  unsigned modules;
  uint32_t module_sums[MODULES]; /* of their paths, whose strings last for one call of the symbolizer */
} writer;

static void flush(writer *w, bool last) {
  put_line(w->sink, w->type, w->record, (uint16_t)(w->index | (last ? RF_SERIAL_LAST : 0)), w->data, w->used);
  w->index++;
  w->used = 0;
}

/* A field of `head` and `value` together. */
static void field(writer *w, unsigned tag, const unsigned char *head, unsigned head_size, const unsigned char *value,
                  unsigned size) {
  if (w->used + 2 + head_size + size > RF_SERIAL_DATA) {
    flush(w, false);
  }
  w->data[w->used++] = (unsigned char)tag;
  w->data[w->used++] = (unsigned char)(head_size + size);
  memcpy(w->data + w->used, head, head_size);
  w->used += head_size;
  memcpy(w->data + w->used, value, size);
  w->used += size;
}

static unsigned number_bytes(unsigned char out[8], uint64_t value) {
  unsigned size = 8;
  put_low_first(out, value, 8);
  while (size != 0 && out[size - 1] == 0) {
    size--;
  }
  return size;
}

static void number(writer *w, unsigned tag, uint64_t value) {
  unsigned char bytes[8];
  unsigned const size = number_bytes(bytes, value);
  if (size != 0) {
    field(w, tag, bytes, 0, bytes, size);
  }
}

/* Writes `text` as several fields: each fills the rest of its line, with `head` before each piece. */
static void text_with(writer *w, unsigned tag, const unsigned char *head, unsigned head_size, const char *text) {
  size_t left = text != NULL ? strlen(text) : 0;
  while (left != 0) {
    if (w->used + 2 + head_size + 4 > RF_SERIAL_DATA) {
      flush(w, false); /* a piece below four characters is not worth its head */
    }
    size_t const room = RF_SERIAL_DATA - w->used - 2 - head_size;
    size_t const piece = left < room ? left : room;
    field(w, tag, head, head_size, (const unsigned char *)text, (unsigned)piece);
    text += piece;
    left -= piece;
  }
}

static void text(writer *w, unsigned tag, const char *value) {
  text_with(w, tag, w->data, 0, value);
}

/* Bytes with the index of the first. */
static void bytes(writer *w, unsigned tag, const unsigned char *data, unsigned size) {
  for (unsigned at = 0; at < size;) {
    if (w->used + 2 + 1 + 4 > RF_SERIAL_DATA) {
      flush(w, false);
    }
    unsigned const room = RF_SERIAL_DATA - w->used - 3;
    unsigned const piece = size - at < room ? size - at : room;
    unsigned char const head = (unsigned char)at;
    field(w, tag, &head, 1, data + at, piece);
    at += piece;
  }
}

/* ---- Traces ---- */

/* The number of the module, which its first frame describes. */
static unsigned module_number(writer *w, const rf_frame_name *name) {
  uint32_t const sum = rf_crc32(0, name->module, strlen(name->module));
  for (unsigned i = 0; i < w->modules; i++) {
    if (w->module_sums[i] == sum) {
      return i;
    }
  }
  unsigned char const head = (unsigned char)w->modules;
  w->module_sums[w->modules++] = sum;
  text_with(w, RF_SERIAL_MODULE, &head, 1, name->module);
  text_with(w, RF_SERIAL_BUILD_ID, &head, 1, name->build_id);
  return head;
}

static void frame(writer *w, unsigned base, unsigned index, uintptr_t pc) {
  rf_frame_name name = {0};
  unsigned char value[8];
  unsigned char head[2] = {(unsigned char)index, 0};
  field(w, base + RF_SERIAL_PC, head, 1, value, number_bytes(value, pc));
  if (w->symbolizer == NULL || !w->symbolizer->name(w->symbolizer->context, pc, 0, &name)) {
    return;
  }
  text_with(w, base + RF_SERIAL_PC_FUNCTION, head, 1, name.function);
  if (name.module != NULL) {
    head[1] = (unsigned char)module_number(w, &name);
    field(w, base + RF_SERIAL_PC_MODULE, head, 2, value, number_bytes(value, name.offset));
  }
}

static void trace(writer *w, unsigned which, const rf_trace *t) {
  unsigned const base = RF_SERIAL_TRACE + which * RF_SERIAL_TRACE_STEP;
  number(w, base + RF_SERIAL_THREAD, t->thread);
  if (t->site != NULL) {
    number(w, base + RF_SERIAL_SITE_LINE, t->site->line);
    text(w, base + RF_SERIAL_SITE_FUNCTION, t->site->function);
    text(w, base + RF_SERIAL_SITE_FILE, t->site->file);
  }
  for (unsigned i = 0; i < t->depth; i++) {
    frame(w, base, i, t->frames[i]);
  }
}

/* ---- The finding ---- */

static void window(writer *w, const rf_finding *f) {
  unsigned char letters[RF_WINDOW];
  for (unsigned i = 0; i < f->window_size; i++) {
    letters[i] = (unsigned char)rf_byte_letter(f->window_class[i]);
  }
  number(w, RF_SERIAL_WINDOW_ADDRESS, f->window_address);
  bytes(w, RF_SERIAL_WINDOW, f->window, f->window_size);
  bytes(w, RF_SERIAL_CLASSES, letters, f->window_size);
  bytes(w, RF_SERIAL_EXPECTED, f->expected, f->window_size);
}

/* The most telling fields come first: the line may go dead. */
RF_COLD void rf_report_serial(const rf_finding *f, const rf_symbolizer *symbolizer, const rf_sink *sink) {
  writer w;
  memset(&w, 0, sizeof w);
  w.sink = sink;
  w.symbolizer = symbolizer;
  w.type = (unsigned char)(1 + f->bug);
  w.record = (uint16_t)f->sequence;
  number(&w, RF_SERIAL_ADDRESS, f->address);
  number(&w, RF_SERIAL_BLOCK, f->block);
  number(&w, RF_SERIAL_SIZE, f->size);
  number(&w, RF_SERIAL_OFFSET, (uint64_t)(int64_t)f->offset);
  number(&w, RF_SERIAL_ACCESS, f->access);
  number(&w, RF_SERIAL_ACCESS_SIZE, f->access_size);
  number(&w, RF_SERIAL_BLOCKS, f->blocks);
  number(&w, RF_SERIAL_FREED, f->freed);
  number(&w, RF_SERIAL_CWE, f->cwe);
  number(&w, RF_SERIAL_ARGUMENT, f->argument);
  trace(&w, 0, &f->found);
  trace(&w, 1, &f->allocated);
  trace(&w, 2, &f->released);
  text(&w, RF_SERIAL_ALLOCATION, f->allocation);
  text(&w, RF_SERIAL_DEALLOCATION, f->deallocation);
  text(&w, RF_SERIAL_DETAIL, f->detail);
  text(&w, RF_SERIAL_ALLOCATOR, f->allocator);
  text(&w, RF_SERIAL_MODE, f->mode);
  window(&w, f);
  number(&w, RF_SERIAL_PROCESS, f->process);
  number(&w, RF_SERIAL_TIME, f->time_ns);
  number(&w, RF_SERIAL_AT_ACCESS, f->at_access);
  flush(&w, true);
}

/* ---- Text ---- */

static void text_flush(rf_serial_text *s, bool last) {
  put_line(s->out, 0, s->record, (uint16_t)(s->index | (last ? RF_SERIAL_LAST : 0)), s->data, s->used);
  s->index = last ? 0 : (uint16_t)(s->index + 1);
  s->record = (uint16_t)(s->record + last);
  s->used = 0;
}

RF_COLD static void text_write(void *context, const char *bytes_in, size_t size) {
  rf_serial_text *const s = (rf_serial_text *)context;
  for (size_t i = 0; i < size; i++) {
    if (bytes_in[i] == '\n') {
      text_flush(s, true);
      continue;
    }
    if (s->used == RF_SERIAL_DATA) {
      text_flush(s, false);
    }
    s->data[s->used++] = (unsigned char)bytes_in[i];
  }
}

RF_COLD void rf_serial_text_init(rf_serial_text *s, const rf_sink *out, uint16_t record) {
  memset(s, 0, sizeof *s);
  s->sink.write = text_write;
  s->sink.context = s;
  s->out = out;
  s->record = record;
}
