#include <ringfence/handle.h>
#include <stdio.h>
#include <string.h>

static unsigned char arena[12500];

static void print_use(const char *when, rf_handles *h) {
  rf_handle_usage u;
  rf_handle_usage_get(h, &u);
  printf("%s: %zu bytes used, %zu free, at most %zu in one block\n", when, u.used_bytes, u.free_bytes, u.largest);
  (void)fflush(stdout);
}

int main(void) {
  rf_handle_heap heap;
  rf_handle windows[20];
  if (rf_handle_heap_init(&heap, arena, sizeof arena, NULL) != RF_OK) {
    return 1;
  }
  rf_handles *const h = &heap.base;
  for (int i = 0; i < 20; i++) {
    windows[i] = rf_handle_alloc(h, 400);
  }
  char *const title = rf_handle_lock(h, windows[11]); /* stays where it is until it is unlocked */
  strcpy(title, "settings");
  for (int i = 0; i < 20; i += 2) {
    rf_handle_free(h, windows[i]);
  }
  print_use("one window locked", h);
  rf_handle_unlock(h, windows[11]);
  print_use("none locked", h);
  rf_handle const image = rf_handle_alloc(h, 4000); /* the holes are slid together */
  printf("%s\n", (const char *)rf_handle_address(h, windows[11]));
  return image != RF_HANDLE_NULL && rf_handle_check(h, NULL) == RF_OK ? 0 : 1;
}
