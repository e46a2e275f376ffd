/* Has a malloc and a free of its own around those behind it, which are looked for when they are first needed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long calls;

void *malloc(size_t size) {
  static void *(*behind)(size_t size);
  if (behind == NULL) {
    behind = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
  }
  calls++;
  return behind(size);
}

void free(void *ptr) {
  static void (*behind)(void *ptr);
  if (behind == NULL) {
    behind = (void (*)(void *))dlsym(RTLD_NEXT, "free");
  }
  calls++;
  behind(ptr);
}

int main(int argc, char **argv) {
  char *const block = malloc(10);
  block[argc > 1 ? 10 : 9] = 1;
  free(block);
  printf("%s\n", calls >= 2 ? "wrapped" : "not wrapped");
  return 0;
}
