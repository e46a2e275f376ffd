/* Writes that reach far: KIND (o before its free, u before it, a after it, e after it and over the end of the block
 * behind it) and NEIGHBOURS (l live, f freed), the bytes of a block, the bytes that are written in it or beside it. */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  if (argc < 4) {
    return 2;
  }
  char const kind = argv[1][0];
  size_t const size = (size_t)atol(argv[2]);
  size_t const reach = (size_t)atol(argv[3]);
  char *const before = malloc(size);
  char *volatile p = malloc(size);
  char *const behind = malloc(size);
  if (argv[1][1] == 'f') {
    free(before);
    free(behind);
  }
  if (kind == 'e') {
    free(p);
    memset(p + size - reach, 'A', (size_t)(behind + size + 1 - (p + size - reach)));
    return 0;
  }
  if (kind == 'a') {
    free(p);
    memset(p, 'A', reach);
    return 0;
  }
  memset(kind == 'o' ? p + size : p - reach, 'A', reach);
  free(p);
  return 0;
}
