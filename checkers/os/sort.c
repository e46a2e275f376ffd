#include "sort.h"

typedef struct items {
  unsigned char *list;
  size_t size;
  bool (*before)(const void *a, const void *b);
} items;

static void swap(const items *all, size_t i, size_t j) {
  unsigned char *const a = all->list + i * all->size;
  unsigned char *const b = all->list + j * all->size;
  for (size_t at = 0; at < all->size; at++) {
    unsigned char const byte = a[at];
    a[at] = b[at];
    b[at] = byte;
  }
}

static bool is_before(const items *all, size_t i, size_t j) {
  return all->before(all->list + i * all->size, all->list + j * all->size);
}

static void sift_down(const items *all, size_t at, size_t count) {
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && is_before(all, child, child + 1)) {
      child++;
    }
    if (!is_before(all, at, child)) {
      return;
    }
    swap(all, at, child);
  }
}

void rf_sort(void *list, size_t count, size_t size, bool (*before)(const void *a, const void *b)) {
  items const all = {list, size, before};
  for (size_t i = count / 2; i-- > 0;) {
    sift_down(&all, i, count);
  }
  for (size_t i = count; i-- > 1;) {
    swap(&all, 0, i);
    sift_down(&all, 0, i);
  }
}
