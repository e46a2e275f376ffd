/* Blocks of which little is touched: to grow them must not touch the rest, and must keep what was written. */
#include "expect.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define STEPS 12

static size_t resident(void) {
  FILE *const file = fopen("/proc/self/statm", "r");
  size_t all = 0;
  size_t pages = 0;
  EXPECT(file != NULL && fscanf(file, "%zu %zu", &all, &pages) == 2);
  fclose(file);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int is_kept(const unsigned char *p, size_t size) {
  return p[0] == 1 && p[size / 2] == 2 && p[size - 1] == 3 && p[size / 3] == 0;
}

static unsigned char *make(size_t size) {
  unsigned char *const p = calloc(1, size);
  if (p != NULL) {
    p[0] = 1;
    p[size / 2] = 2;
    p[size - 1] = 3;
  }
  return p;
}

static void grow_once(size_t size, size_t larger, size_t bound) {
  size_t const before = resident();
  unsigned char *const p = make(size);
  void *const above = malloc(size);
  unsigned char *const moved = realloc(p, larger);
  EXPECT(moved != NULL && is_kept(moved, size));
  EXPECT(resident() < before + bound);
  free(moved);
  free(above);
}

/* Blocks in the way make each step a move, of what earlier moves have left in several mappings. */
static void grow_often(void) {
  size_t const first = 3000001;
  size_t size = first;
  void *in_the_way[STEPS];
  unsigned char *p = make(size);
  for (int i = 0; i < STEPS; i++) {
    in_the_way[i] = malloc(1 << 20);
    size_t const larger = size + size / 2;
    p = realloc(p, larger);
    EXPECT(p != NULL && is_kept(p, first));
    EXPECT(i == 0 || p[size - 1] == (unsigned char)i);
    p[larger - 1] = (unsigned char)(i + 1);
    size = larger;
  }
  p = realloc(p, first);
  EXPECT(p != NULL && is_kept(p, first));
  free(p);
  for (int i = 0; i < STEPS; i++) {
    free(in_the_way[i]);
  }
}

int main(void) {
  grow_often();
  grow_once(40000000, 60000001, 4 << 20); /* mode page has 64 MiB at a time on 32 bit */
  grow_once(40000001, 60000000, 4 << 20);
  if (sizeof(size_t) > 4) {
    grow_once((size_t)4 << 30, (size_t)5 << 30, 32 << 20);
  }
  return expect_done();
}
