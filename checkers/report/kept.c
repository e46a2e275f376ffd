#include <ringfence/kept.h>

#include <string.h>

#include "crc32.h"

#define SALT UINT32_C(0x52464B31) /* so that memory of zeros is none of ours */

static uint32_t checksum(const rf_kept *kept) {
  uint32_t const counts[] = {kept->used, kept->lost};
  return rf_crc32(rf_crc32(SALT, counts, sizeof counts), kept->text, kept->used);
}

/* The text is in place before it counts. */
static void append(void *context, const char *text, size_t size) {
  rf_kept *const kept = (rf_kept *)context;
  if (size > sizeof kept->text - kept->used) {
    kept->lost++;
  } else {
    memcpy(kept->text + kept->used, text, size);
    kept->used += (uint32_t)size;
  }
  kept->checksum = checksum(kept);
}

bool rf_kept_begin(rf_kept *kept, const rf_sink *out) {
  bool const whole = kept->used <= sizeof kept->text && kept->checksum == checksum(kept);
  bool const any = whole && (kept->used != 0 || kept->lost != 0);
  if (any && out != NULL) {
    rf_sink_mem(out, kept->text, kept->used);
    if (kept->lost != 0) {
      rf_sink_uint(out, kept->lost);
      rf_sink_str(out, " pieces of text before the reset did not fit\n");
    }
  }
  kept->sink = (rf_sink){append, kept};
  kept->used = 0;
  kept->lost = 0;
  kept->checksum = checksum(kept);
  return any;
}
