/* A small address space: malloc gives what there is, then NULL and ENOMEM, and goes on after memory was freed. */
#include "expect.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

enum { MOST = 100000 };

static void *blocks[MOST];

static size_t fill_up(size_t size) {
  size_t count = 0;
  errno = 0;
  while (count < MOST && (blocks[count] = malloc(size)) != NULL) {
    memset(blocks[count], 1, size);
    count++;
  }
  EXPECT(count == MOST || errno == ENOMEM);
  return count;
}

static void empty(size_t count) {
  while (count > 0) {
    free(blocks[--count]);
  }
}

/* A hundred blocks at once, and one that no 64-bit machine has. On 32 bit the largest may well be served. */
static int once(void) {
  for (size_t i = 0; i < 100; i++) {
    blocks[i] = malloc(1000);
    EXPECT(blocks[i] != NULL);
  }
  empty(100);
  if (sizeof(void *) == 8) {
    void *const none = malloc(PTRDIFF_MAX / 2);
    EXPECT(none == NULL);
  }
  return expect_done();
}

/* Frees what another thread allocated, and then has more to count: a realloc. */
static void *empty_elsewhere(void *unused) {
  (void)unused;
  empty(100);
  free(realloc(malloc(1000), 2000));
  return NULL;
}

static int once_elsewhere(void) {
  pthread_t other;
  for (size_t i = 0; i < 100; i++) {
    blocks[i] = malloc(1000);
  }
  EXPECT(pthread_create(&other, NULL, empty_elsewhere, NULL) == 0);
  EXPECT(pthread_join(other, NULL) == 0);
  return expect_done();
}

/* Twelve megabytes, of which malloc itself needs no page for each. */
static int small_ones(void) {
  size_t const count = 4000;
  for (size_t i = 0; i < count; i++) {
    blocks[i] = malloc(3000);
    EXPECT(blocks[i] != NULL);
  }
  empty(count);
  return expect_done();
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "small_ones") == 0) {
    return small_ones();
  }
  if (argc == 2 && strcmp(argv[1], "once") == 0) {
    return once();
  }
  if (argc == 2 && strcmp(argv[1], "once_elsewhere") == 0) {
    return once_elsewhere();
  }
  static const size_t sizes[] = {1000, 100000, 1000000, 5000000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    size_t const first = fill_up(sizes[i]);
    empty(first);
    size_t const second = fill_up(sizes[i]);
    empty(second);
    printf("%zu blocks of %zu bytes, then %zu\n", first, sizes[i], second);
    EXPECT(first * sizes[i] >= (size_t)5 << 20);
    EXPECT(second >= first / 2);
  }
  EXPECT(malloc((size_t)1 << 30) == NULL && errno == ENOMEM);
  EXPECT(calloc(1, (size_t)1 << 30) == NULL && errno == ENOMEM);
  char *p = malloc(1000);
  strcpy(p, "kept");
  EXPECT(realloc(p, (size_t)1 << 30) == NULL && errno == ENOMEM && strcmp(p, "kept") == 0);
  free(p);
  return expect_done();
}
