/* Heap sort: the C library's qsort may allocate. */
#ifndef RINGFENCE_SORT_H
#define RINGFENCE_SORT_H

#include <stdbool.h>
#include <stddef.h>

/* Sorts `count` items of `size` bytes each in place. */
void rf_sort(void *list, size_t count, size_t size, bool (*before)(const void *a, const void *b));

#endif /* RINGFENCE_SORT_H */
