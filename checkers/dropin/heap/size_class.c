#include "size_class.h"

#include "span.h"

#define BATCH_BYTES 4096U
#define BATCH_MOST 32U
#define HELD_BYTES 8192U
#define HELD_MOST 128U

rf_size_class rf_size_classes[RF_CLASSES];

static uint32_t size_of(unsigned number) {
  if (number < RF_CLASS_FINE) {
    return (uint32_t)(RF_SLOT_LEAST + (size_t)16 * number);
  }
  unsigned const base = (unsigned)RF_CLASS_FINE_MOST << (number - RF_CLASS_FINE) / 8;
  return base + ((number - RF_CLASS_FINE) % 8 + 1) * (base / 8);
}

/* Large slots have large spans, so that there are at least fifteen in one. */
static uint32_t units_for(uint32_t size) {
  return size <= 2048 ? 1 : size <= 4096 ? 2 : size <= 8192 ? 4 : 8;
}

void rf_size_classes_init(void) {
  for (unsigned i = 0; i < RF_CLASSES; i++) {
    rf_size_class *const c = &rf_size_classes[i];
    uint32_t const size = size_of(i);
    uint32_t const batch = BATCH_BYTES / size;
    c->size = size;
    c->units = units_for(size);
    c->magic = (((uint64_t)1 << RF_SPAN_MAGIC) + size - 1) / size;
    c->count = (uint32_t)((c->units * RF_UNIT - RF_SPAN_FRONT) / size);
    c->batch = (uint16_t)(batch < 1 ? 1 : batch > BATCH_MOST ? BATCH_MOST : batch);
    uint32_t const held = HELD_BYTES / size < HELD_MOST ? HELD_BYTES / size : HELD_MOST;
    c->most = (uint16_t)(held > 2U * c->batch ? held : 2U * c->batch);
  }
}
