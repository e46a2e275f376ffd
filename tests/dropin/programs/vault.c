/* A page of pointers to blocks that the program closes while it does not need it. `lost`: to all but one of them. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BLOCKS = 100, PAGE = 4096 };

static void **volatile vault;

int main(int argc, char **argv) {
  vault = aligned_alloc(PAGE, PAGE);
  memset(vault, 0, PAGE);
  for (int i = 0; i < BLOCKS; i++) {
    vault[i] = malloc((size_t)(30 + i));
  }
  if (strcmp(argv[argc - 1], "lost") == 0) {
    vault[BLOCKS / 2] = NULL;
  }
  return mprotect(vault, PAGE, PROT_NONE);
}
