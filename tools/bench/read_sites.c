/* A program of 48 functions, each of which reads one byte behind a block that it has allocated: from once in a run to
 * 2048 times, as n % 12 has it for function n, among allocations that are used well. Says nothing and returns 0. */
#include <stdlib.h>

enum { ROUNDS = 2048, SIZE = 32 };

static volatile char sink;
static volatile size_t behind = SIZE; /* so that no compiler sees it */

static void use(char *block, size_t last) {
  if (block != NULL) {
    block[0] = 1;
    sink = block[last];
  }
  free(block);
}

#define SITE(n)                                                                                                        \
  __attribute__((noinline)) static void site_##n(void) {                                                               \
    char *const block = (char *)malloc(SIZE);                                                                          \
    sink = block != NULL ? block[behind] : 0;                                                                          \
    free(block);                                                                                                       \
    sink = n;                                                                                                          \
  }
/* clang-format off */
#define SITES(F) \
  F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15) F(16) F(17) F(18) F(19) \
  F(20) F(21) F(22) F(23) F(24) F(25) F(26) F(27) F(28) F(29) F(30) F(31) F(32) F(33) F(34) F(35) F(36) F(37) \
  F(38) F(39) F(40) F(41) F(42) F(43) F(44) F(45) F(46) F(47)
/* clang-format on */
SITES(SITE)

#define NAME(n) site_##n,
static void (*const sites[])(void) = {SITES(NAME)};

int main(void) {
  for (unsigned round = 1; round <= ROUNDS; round++) {
    for (unsigned n = 0; n < sizeof sites / sizeof sites[0]; n++) {
      if (round % (ROUNDS >> n % 12) == 0) {
        sites[n]();
      }
    }
    for (size_t size = 1; size <= 32; size++) {
      use((char *)malloc(size), size - 1);
    }
  }
  return 0;
}
