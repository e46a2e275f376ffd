#include "subjects.h"

#include <ringfence/tlsf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rf_allocator *make_tlsf(void *arena, size_t size) {
  static rf_tlsf heap;
  return rf_tlsf_init(&heap, arena, size) == RF_OK ? &heap.base : NULL;
}

const subject subjects[] = {
    {"tlsf", make_tlsf},
};

const size_t subject_count = sizeof subjects / sizeof subjects[0];

const subject *subject_named(const char *name) {
  for (size_t i = 0; i < subject_count; i++) {
    if (strcmp(subjects[i].name, name) == 0) {
      return &subjects[i];
    }
  }
  (void)fprintf(stderr, "no such allocator: %s\n", name);
  exit(2);
}
