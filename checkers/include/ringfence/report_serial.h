/* A finding for a serial line: short lines of hexadecimal, each with a checksum, which `ringfence report` reads out of
 * whatever else a console shows. A line that is lost or garbled costs what stood in it, not the finding.
 *
 *     #RF:0104010002801404746c7366150567756172649aa9388b
 *
 * Each line is "#RF:" and these bytes, two digits each, at most RF_SERIAL_LINE characters in all:
 *
 *     | version 1 | type | record, 2 | index, 2 | data, 0 to RF_SERIAL_DATA | CRC-32 of all before, 4 |
 *
 *     type     0: text, a JSON line cut into pieces; 1 + rf_bug: a finding of that kind
 *     record   its number, counted up: the sequence of a finding
 *     index    of the line in its record, from 0; the highest bit is set in the last line
 *     data     of a finding: fields, each whole in its line: | tag | length | value |
 *
 * Numbers have their low byte first; those of fields leave out high bytes that are 0, and a field that is 0 is left
 * out. A text that is longer than a line is several fields of one tag. Tools know fields by tag and pass over those
 * they do not.
 *
 * Freestanding, without allocation, RF_SERIAL_LINE bytes of stack and little more; safe in signal and interrupt
 * handlers as far as the sink is.
 */
#ifndef RINGFENCE_REPORT_SERIAL_H
#define RINGFENCE_REPORT_SERIAL_H

#include <ringfence/finding.h>
#include <ringfence/frames.h>
#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_SERIAL_VERSION 1
#define RF_SERIAL_MARK "#RF:"
#define RF_SERIAL_HEAD 6
#define RF_SERIAL_DATA 25
#define RF_SERIAL_CRC 4
#define RF_SERIAL_LINE (4 + 2 * (RF_SERIAL_HEAD + RF_SERIAL_DATA + RF_SERIAL_CRC) + 1) /* with the line feed */
#define RF_SERIAL_LAST 0x8000U

/* Tags. */
enum {
  RF_SERIAL_CWE = 1,
  RF_SERIAL_ACCESS, /* rf_access */
  RF_SERIAL_ACCESS_SIZE,
  RF_SERIAL_ADDRESS,
  RF_SERIAL_BLOCK,
  RF_SERIAL_SIZE,
  RF_SERIAL_BLOCKS,
  RF_SERIAL_FREED,
  RF_SERIAL_OFFSET, /* two's complement, 64 bits */
  RF_SERIAL_ARGUMENT,
  RF_SERIAL_PROCESS,
  RF_SERIAL_TIME,
  RF_SERIAL_AT_ACCESS,
  RF_SERIAL_ALLOCATOR = 20, /* texts */
  RF_SERIAL_MODE,
  RF_SERIAL_DETAIL,
  RF_SERIAL_ALLOCATION,
  RF_SERIAL_DEALLOCATION,
  RF_SERIAL_WINDOW_ADDRESS = 30,
  RF_SERIAL_WINDOW,      /* index of the first, bytes */
  RF_SERIAL_EXPECTED,    /* the same */
  RF_SERIAL_CLASSES,     /* the same, as letters */
  RF_SERIAL_MODULE = 40, /* number of the module, text */
  RF_SERIAL_BUILD_ID,    /* the same */
  /* Traces: found at RF_SERIAL_TRACE, allocated and released RF_SERIAL_TRACE_STEP further on each. */
  RF_SERIAL_TRACE = 64,
  RF_SERIAL_TRACE_STEP = 16,
  RF_SERIAL_THREAD = 0,
  RF_SERIAL_SITE_FILE,     /* text */
  RF_SERIAL_SITE_FUNCTION, /* text */
  RF_SERIAL_SITE_LINE,
  RF_SERIAL_PC,          /* number of the frame, return address */
  RF_SERIAL_PC_MODULE,   /* number of the frame, number of its module, offset in it */
  RF_SERIAL_PC_FUNCTION, /* number of the frame, text */
  RF_SERIAL_SITE_RECORD, /* address of the rf_site, for a host that has the program */
};

/* Writes `f`, a line at a time. `symbolizer` as for rf_report_json. */
void rf_report_serial(const rf_finding *f, const rf_symbolizer *symbolizer, const rf_sink *sink);

/* A sink that frames other JSON lines (snapshots): what is written to `sink` goes out as records of type text, one for
 * each line feed. */
typedef struct rf_serial_text {
  rf_sink sink;
  const rf_sink *out;
  uint16_t record;
  uint16_t index;
  unsigned used;
  unsigned char data[RF_SERIAL_DATA];
} rf_serial_text;

/* Makes `s` write to `out`, its first record numbered `record`; &s->sink is then the sink. */
void rf_serial_text_init(rf_serial_text *s, const rf_sink *out, uint16_t record);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_REPORT_SERIAL_H */
