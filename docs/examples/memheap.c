#include <ringfence/memheap.h>
#include <stdio.h>

static unsigned char fast[2 * 1024];
static unsigned char large[64 * 1024];
static rf_memheap heap;
static rf_memheap_region sram;
static rf_memheap_region sdram;

static void say(const char *what, const void *p) {
  const rf_memheap_region *const region = rf_memheap_region_of(&heap, p);
  printf("%s: %s\n", what, region != NULL ? rf_memheap_region_name(region) : "nowhere");
}

int main(void) {
  rf_allocator *const a = &heap.base;
  rf_stats stats;
  if (rf_memheap_init(&heap) != RF_OK || rf_memheap_add(&heap, &sram, "sram", fast, sizeof fast) != RF_OK ||
      rf_memheap_add(&heap, &sdram, "sdram", large, sizeof large) != RF_OK) {
    return 1;
  }
  void *list = rf_alloc(a, 500);
  say("500 bytes", list);
  void *const image = rf_alloc(a, 10000);
  say("10000 bytes", image);
  list = rf_realloc(a, list, 4000);
  say("the 500 bytes, grown to 4000", list);
  rf_memheap_region_stats(&sdram, &stats);
  printf("sdram: %zu bytes in %zu blocks\n", stats.used, stats.blocks);
  printf("may sdram go? %s\n", rf_status_name(rf_memheap_remove(&heap, &sdram)));
  rf_free(a, image);
  rf_free(a, list);
  printf("and now? %s\n", rf_status_name(rf_memheap_remove(&heap, &sdram)));
  return rf_check(a, NULL) == RF_OK ? 0 : 1;
}
