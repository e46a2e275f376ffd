#include <ringfence/checked_handles.h>
#include <ringfence/handle.h>

static unsigned char arena[64 * 1024];

int main(void) {
  rf_handle_heap heap;
  rf_checked_handles checked;
  rf_checked_options options;
  rf_handle_heap_init(&heap, arena, sizeof arena, NULL);
  rf_options_default(&options.settings);
  options.settings.mode = RF_MODE_GUARD;
  options.reporter = NULL;
  rf_handles *const h = rf_checked_handles_init(&checked, &heap.base, &options);
  rf_handle const window = rf_handle_alloc(h, 40);
  char *const p = rf_handle_address(h, window);
  rf_handle_alloc(h, 100); /* may move the window */
  p[8] = 'x';
  rf_checked_handles_deinit(&checked);
  return 0;
}
