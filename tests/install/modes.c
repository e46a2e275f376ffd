/* A test of rf_checked_test: each runs in the mode that its name ends in. */
#include <ringfence/checked.h>
#include <ringfence/tlsf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#define HAS_ASAN __has_feature(address_sanitizer)
#else
#define HAS_ASAN 0
#endif

int main(int argc, char **argv) {
  static unsigned char arena[1 << 16];
  static rf_tlsf heap;
  static rf_checked checked;
  const char *const target = getenv("TEST_TARGET");
  const char *const expected = target == NULL ? "" : strrchr(target, '_') + 1;
  rf_tlsf_init(&heap, arena, sizeof arena);
  rf_allocator *const a = rf_checked_init(&checked, &heap.base, NULL);
  rf_free(a, rf_alloc(a, 20));
  const char *const mode = rf_mode_name(checked.mode);
  const char *const word = getenv("MODES_TEST");
  rf_checked_deinit(&checked);
  printf("mode %s, AddressSanitizer %d, target %s, %d arguments\n", mode, HAS_ASAN, target, argc - 1);
  bool const right = strcmp(mode, expected) == 0 && (HAS_ASAN || checked.mode != RF_MODE_ASAN);
  return right && argc == 2 && strcmp(argv[1], "word") == 0 && word != NULL && strcmp(word, "1") == 0 ? 0 : 1;
}
