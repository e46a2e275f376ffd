/* Two leaks through one wrapper of malloc, or with an argument only the first. Optimised, without frame pointers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APART __attribute__((noinline))

APART static void *xmalloc(size_t size) {
  void *const p = malloc(size);
  if (p == NULL) {
    puts("no memory");
    exit(1);
  }
  return p;
}

APART static char *copy_name(const char *name) {
  char *const copy = xmalloc(32);
  return strcpy(copy, name);
}

APART static char *copy_title(const char *title) {
  char *const copy = xmalloc(32);
  return strcat(strcpy(copy, "The "), title);
}

int main(int argc, char **argv) {
  (void)argv;
  printf("%d\n", copy_name("name")[0]);
  if (argc == 1) {
    printf("%d\n", copy_title("title")[0]);
  }
  return 0;
}
