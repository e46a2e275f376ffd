#include <ringfence/checked.h>
#include <ringfence/tlsf.h>

static unsigned char arena[64 * 1024];

int main(void) {
  rf_tlsf heap;
  rf_checked checked;
  rf_tlsf_init(&heap, arena, sizeof arena);
  rf_allocator *a = rf_checked_init(&checked, &heap.base, NULL);
  char *p = rf_alloc(a, 13);
  p[13] = 0; /* one byte too far */
  rf_free(a, p);
  rf_checked_deinit(&checked);
  return 0;
}
