#include "tkc/mem.h"
#include <ringfence/checked.h>

/* The application's code, as it was. */
static char *clone_name(const char *name) {
  uint32_t const length = (uint32_t)strlen(name);
  char *const copy = TKMEM_ALLOC(length);
  return_value_if_fail(copy != NULL, NULL);
  memcpy(copy, name, length + 1);
  return copy;
}

/* Added by its test on a host: the heap is checked as RINGFENCE_OPTIONS says. */
static rf_allocator *check(rf_allocator *heap, void *context) {
  static rf_checked checked;
  (void)context;
  return rf_checked_init(&checked, heap, NULL);
}

int main(void) {
  static uint8_t memory[64 * 1024];
  rf_awtk_wrap_set(check, NULL);
  tk_mem_init(memory, sizeof(memory));
  tk_mem_init_stage2();
  char *name = clone_name("hello");
  TKMEM_FREE(name);
  rf_awtk_mem_deinit();
  return 0;
}
