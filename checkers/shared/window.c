#include "window.h"

#define ROW 16U

void rf_finding_window(rf_finding *f, uintptr_t low, uintptr_t high, uintptr_t at, rf_classify_byte classify,
                       const void *context) {
  uintptr_t const row = at & ~(uintptr_t)(ROW - 1);
  uintptr_t const start = at - low < ROW + (at - row) ? low : row - ROW; /* `low` may lie behind `row` */
  f->window_address = start;
  f->window_size = high - start < RF_WINDOW ? (unsigned)(high - start) : RF_WINDOW;
  for (unsigned i = 0; i < f->window_size; i++) {
    int expected = -1;
    rf_byte_class const usual = classify(context, start + i, &expected);
    /* Volatile: a compiler would call memcpy, which AddressSanitizer replaces by one that refuses redzones. */
    unsigned char const byte = *(const volatile unsigned char *)(start + i);
    bool const bad = expected >= 0 && byte != expected;
    f->window[i] = byte;
    f->expected[i] = bad ? (unsigned char)expected : byte;
    f->window_class[i] = (unsigned char)(bad ? RF_BYTE_BAD : usual);
  }
}
