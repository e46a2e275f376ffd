#include <ringfence/slab.h>
#include <stdio.h>

static _Alignas(4096) unsigned char memory[1024 * 1024];

typedef struct node {
  struct node *next;
  int value;
} node;

int main(void) {
  rf_slab heap;
  if (rf_slab_init(&heap, memory, sizeof memory) != RF_OK) {
    return 1;
  }
  rf_allocator *const a = &heap.base;

  /* Chunks of one class lie side by side, and what was freed last is used first. */
  node *const first = rf_alloc(a, sizeof(node));
  node *const second = rf_alloc(a, sizeof(node));
  printf("%zu bytes from one to the next\n", (size_t)((char *)second - (char *)first));
  rf_free(a, first);
  printf("again: %s\n", rf_alloc(a, sizeof(node)) == first ? "yes" : "no");

  /* Whole pages, of which a part is given back. */
  size_t const page = rf_slab_page_size(&heap);
  unsigned char *const pages = rf_slab_alloc_pages(&heap, 8, RF_HERE);
  rf_slab_free_pages(&heap, pages + 6 * page, 2, RF_HERE);
  printf("%zu pages of %zu bytes left\n", rf_usable_size(a, pages) / page, page);

  rf_free(a, pages);
  rf_free(a, first);
  rf_free(a, second);
  return rf_check(a, NULL) == RF_OK ? 0 : 1;
}
