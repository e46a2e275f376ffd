/* Size classes of slots: steps of 16 bytes up to 256, then eight to a doubling, up to 32 KiB. */
#ifndef RINGFENCE_DROPIN_SIZE_CLASS_H
#define RINGFENCE_DROPIN_SIZE_CLASS_H

#include <stddef.h>
#include <stdint.h>

#define RF_CLASSES 71U
#define RF_SLOT_LEAST ((size_t)32)
#define RF_SLOT_MOST ((size_t)32768)
#define RF_CLASS_FINE 15U      /* classes in steps of 16 bytes */
#define RF_CLASS_FINE_MOST 256 /* bytes of the last of them */

typedef struct rf_size_class {
  uint32_t size;  /* of a slot, a multiple of 16 */
  uint32_t units; /* of a span */
  uint64_t magic; /* offset * magic >> 40 is offset / size, for offsets in a span */
  uint32_t count; /* slots in a span */
  uint16_t batch; /* slots that a cache takes at once */
  uint16_t most;  /* that it holds on to though nobody asked for them */
} rf_size_class;

extern rf_size_class rf_size_classes[RF_CLASSES] __attribute__((visibility("hidden")));

/* Fills the table: before anything else here, once. */
void rf_size_classes_init(void);

/* The class of slots for `need` bytes, from 1 to RF_SLOT_MOST. */
static inline unsigned rf_class_for(size_t need) {
  if (__builtin_expect(need <= RF_CLASS_FINE_MOST, 1)) {
    return need <= RF_SLOT_LEAST ? 0 : (unsigned)(need + 15) / 16 - 2;
  }
  unsigned const last = (unsigned)need - 1;
  unsigned const log = 31U - (unsigned)__builtin_clz(last);
  return RF_CLASS_FINE + (log - 8) * 8 + ((last - (1U << log)) >> (log - 3));
}

#endif /* RINGFENCE_DROPIN_SIZE_CLASS_H */
