/* The bytes around the damage: privacy, and what was written. */
#ifndef RINGFENCE_TOOLS_SERVICE_WINDOW_H
#define RINGFENCE_TOOLS_SERVICE_WINDOW_H

#include "tools/ringfence/model/record.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The bytes of a window that are kept. */
typedef enum rf_window_rule { RF_WINDOW_WHOLE, RF_WINDOW_GUARDS, RF_WINDOW_NONE } rf_window_rule;

/* Overwrites the digits of bytes that the rule does not keep with "00", and their classes with '?', in the window of
 * the finding in a line, JSON of `length` bytes, in place. With GUARDS the guards, headers and overwritten guards stay.
 * A window of a form that is not understood becomes an empty one. */
void rf_window_hide(char *line, size_t length, rf_window_rule rule);

/* One byte that was overwritten. */
typedef struct rf_written {
  int32_t offset; /* from the end of the block on: 0 is the first byte behind it; negative within or before it */
  unsigned char expected;
  unsigned char value;
} rf_written;

enum { RF_WRITTEN_MOST = 16 };

/* The first overwritten bytes of a finding. Returns their number. */
unsigned rf_window_written(const rf_finding *f, rf_written out[RF_WRITTEN_MOST]);

/* True if all the damage is one bit: memory or a bus may have failed, rather than the program. */
bool rf_window_one_bit(const rf_finding *f);

/* One number for a written byte, for counters; and back. */
int64_t rf_written_pack(rf_written w);
rf_written rf_written_unpack(int64_t packed);

#ifdef __cplusplus
}
#endif

#endif
