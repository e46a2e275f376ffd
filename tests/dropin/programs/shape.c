/* Libraries of the same size with the same code at the same places, but for the sizes of their frames. */
#include <stdlib.h>

void *shape_make(size_t size);

void *shape_make(size_t size) {
  char room[ROOM];
  __asm__ volatile("" : : "r"(room) : "memory");
  void *const p = malloc(size);
  __asm__ volatile("" : : "r"(room) : "memory");
  return p;
}
