/* A block on pages of its own is to grow to more than all pages may hold (page_memory), or to more than there is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUCH ((size_t)64 << 20)

int main(int argc, char **argv) {
  int const refused = argc > 1 && strcmp(argv[1], "refused") == 0;
  char *const block = malloc(100);
  if (block == NULL) {
    return 1;
  }
  strcpy(block, "text");
  char *const grown = realloc(block, refused ? PTRDIFF_MAX : MUCH);
  if ((grown == NULL) != refused || strcmp(refused ? block : grown, "text") != 0) {
    return 1;
  }
  free(refused ? block : grown);
  return 0;
}
