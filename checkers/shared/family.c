#include "family.h"

#include <ringfence/sink.h>

static const char *allocation_by(rf_family family) {
  static const char *const names[] = {"malloc", "operator new",
                                      "operator new[]", [RF_FAMILY_NEW_ALIGNED] = "operator new(std::align_val_t)",
                                      "operator new[](std::align_val_t)"};
  return names[family];
}

static const char *deallocation_by(rf_family family) {
  static const char *const names[] = {"free",
                                      "operator delete",
                                      "operator delete[]",
                                      "realloc",
                                      [RF_FAMILY_NEW_ALIGNED] = "operator delete(std::align_val_t)",
                                      "operator delete[](std::align_val_t)"};
  return names[family];
}

void rf_finding_families(rf_finding *f, rf_family family, rf_family freed_as, size_t freed_size) {
  f->allocation = allocation_by(family);
  f->deallocation = deallocation_by(freed_as);
  f->argument = f->bug == RF_BUG_SIZE_MISMATCH ? freed_size : 0;
}

const char *rf_alignments_text(char text[RF_ALIGNMENTS_TEXT], size_t align, size_t freed_align) {
  rf_sink_buffer detail;
  rf_sink_buffer_init(&detail, text, RF_ALIGNMENTS_TEXT);
  rf_sink_str(&detail.sink, "alignment of the allocated object: ");
  rf_sink_uint(&detail.sink, align);
  rf_sink_str(&detail.sink, "; alignment given to the deallocation: ");
  rf_sink_uint(&detail.sink, freed_align);
  return text;
}
