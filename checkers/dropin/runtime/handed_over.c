#include "handed_over.h"

#include "checkers/dropin/heap/span.h"
#include "checkers/page/page_store.h"

#include <string.h>

static uintptr_t values[RF_HANDED_OVER_MOST]; /* accessed atomically, as is the next */
static uint32_t count;

static bool may_be_block(uintptr_t value) {
  return rf_span_of(value) != NULL || rf_page_may_be((const void *)value);
}

void rf_handed_over(uintptr_t value) {
  if (may_be_block(value)) {
    uint32_t const place = __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED) % RF_HANDED_OVER_MOST;
    __atomic_store_n(&values[place], value, __ATOMIC_RELAXED);
  }
}

void rf_handed_over_bytes(const void *bytes, size_t size) {
  for (size_t at = 0; at + sizeof(uintptr_t) <= size; at++) {
    uintptr_t word;
    memcpy(&word, (const unsigned char *)bytes + at, sizeof word);
    rf_handed_over(word);
  }
}

void rf_handed_over_visit(void (*visit)(const uintptr_t *words, size_t count, void *context), void *context) {
  for (size_t i = 0; i < RF_HANDED_OVER_MOST; i++) {
    uintptr_t const value = __atomic_load_n(&values[i], __ATOMIC_RELAXED);
    visit(&value, 1, context);
  }
}
