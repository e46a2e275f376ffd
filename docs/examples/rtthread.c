#include <ringfence/checked.h>
#include <rtthread.h>

/* The board's code, as it was. */
static void on_message(const char *text) {
  char *const copy = rt_malloc(rt_strlen(text));
  rt_memcpy(copy, text, rt_strlen(text) + 1);
  rt_kprintf("%s\n", copy);
  rt_free(copy);
}

/* Added by its test on a host: each heap is checked as RINGFENCE_OPTIONS says. */
static rf_allocator *check(rf_allocator *heap, const char *name, void *context) {
  static rf_checked checked;
  (void)name;
  (void)context;
  return rf_checked_init(&checked, heap, NULL);
}

int main(void) {
  static rt_uint8_t memory[64 * 1024];
  rf_rt_wrap_set(check, NULL);
  rt_system_heap_init(memory, memory + sizeof memory);
  on_message("hello");
  rt_system_heap_init(RT_NULL, RT_NULL);
  return 0;
}
