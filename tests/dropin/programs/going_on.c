/* Twenty bugs in one process, for findings that do not end it. The heap has to work after each, and its memory must not
 * grow without bound at the end. Prints one line for each bug, then "ok". */
#define _GNU_SOURCE
#include "expect.h"

#include <fcntl.h>
#include <ringfence/dropin.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static char a_global[64];

NOINLINE static char *make(size_t size) {
  char *const p = malloc(size);
  memset(p, 1, size);
  return p;
}

NOINLINE static void overflow(size_t size, size_t by) {
  char *const p = make(size);
  memset(p + size, 2, by);
  free(p);
}

NOINLINE static void underflow(size_t by) {
  char *const p = make(100);
  memset(p - by, 3, by);
  free(p);
}

static void overflow_by_1(void) {
  overflow(64, 1);
}

static void overflow_by_28(void) {
  overflow(64, 28);
}

static void overflow_by_29(void) {
  overflow(64, 29);
}

static void overflow_by_48(void) {
  overflow(64, 48);
}

static void overflow_by_400(void) {
  overflow(64, 400);
}

static void overflow_of_no_bytes(void) {
  overflow(0, 1);
}

static void overflow_of_a_middle_block(void) {
  overflow(50000, 60);
}

static void overflow_of_a_big_block(void) {
  overflow(3000000, 1);
}

static void overflow_of_an_aligned_block(void) {
  char *const p = aligned_alloc(4096, 100);
  memset(p + 100, 2, 3);
  free(p);
}

static void overflow_found_by_realloc(void) {
  char *const p = make(24);
  p[24] = 2;
  free(realloc(p, 100));
}

static void overflow_into_a_live_block(void) {
  char *const p = make(200);
  char *const q = make(200);
  char *const lower = p < q ? p : q;
  memset(lower + 200, 2, 60);
  free(lower);
  free(p < q ? q : p);
}

static void underflow_by_1(void) {
  underflow(1);
}

static void underflow_by_22(void) {
  underflow(22);
}

static void write_after_free(void) {
  char *const p = make(40);
  free(p);
  p[5] = 4;
}

static void write_after_free_of_a_big_block(void) {
  char *const p = make(2000000);
  free(p);
  p[100] = 4;
}

static void double_free(void) {
  char *const p = make(13);
  free(p);
  free(p);
}

static void realloc_of_a_freed_block(void) {
  char *const p = make(13);
  free(p);
  (void)realloc(p, 20);
}

static void free_inside_a_block(void) {
  char *const p = make(100);
  free(p + 4);
  free(p);
}

static void free_of_the_stack(void) {
  char here[64];
  free(here + 16);
}

static void free_of_a_global(void) {
  free(a_global);
}

static void free_of_mapped_memory(void) {
  void *const p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  free(p);
}

#define BUG(name)                                                                                                      \
  { #name, name }

static const struct {
  const char *name;
  void (*run)(void);
} bugs[] = {
    BUG(overflow_by_1),
    BUG(overflow_by_28),
    BUG(overflow_by_29),
    BUG(overflow_by_48),
    BUG(overflow_by_400),
    BUG(overflow_of_no_bytes),
    BUG(overflow_of_a_middle_block),
    BUG(overflow_of_a_big_block),
    BUG(overflow_of_an_aligned_block),
    BUG(overflow_found_by_realloc),
    BUG(overflow_into_a_live_block),
    BUG(underflow_by_1),
    BUG(underflow_by_22),
    BUG(write_after_free),
    BUG(write_after_free_of_a_big_block),
    BUG(double_free),
    BUG(realloc_of_a_freed_block),
    BUG(free_inside_a_block),
    BUG(free_of_the_stack),
    BUG(free_of_a_global),
    BUG(free_of_mapped_memory),
};

/* ---- The heap ---- */

static void use_heap(void) {
  static const size_t sizes[] = {0, 1, 8, 24, 64, 100, 200, 1000, 5000, 50000, 700000, 3000000};
  enum { SIZES = sizeof sizes / sizeof sizes[0] };
  char *blocks[SIZES];
  for (size_t i = 0; i < SIZES; i++) {
    blocks[i] = i % 2 == 0 ? malloc(sizes[i]) : calloc(1, sizes[i]);
    EXPECT(blocks[i] != NULL);
    memset(blocks[i], (int)i, sizes[i]);
  }
  for (size_t i = 0; i < SIZES; i++) {
    blocks[i] = realloc(blocks[i], sizes[i] + 10);
    EXPECT(blocks[i] != NULL);
    for (size_t at = 0; at < sizes[i]; at += 7) {
      EXPECT(blocks[i][at] == (char)i);
    }
  }
  for (size_t i = 0; i < SIZES; i++) {
    free(blocks[i]);
  }
}

/* A field of /proc/self/statm, in bytes: 0 is address space, 1 what is resident. */
static size_t memory(int field) {
  char text[200];
  int const fd = open("/proc/self/statm", O_RDONLY);
  ssize_t const length = read(fd, text, sizeof text - 1);
  close(fd);
  text[length > 0 ? length : 0] = '\0';
  char *at = text;
  size_t value = strtoul(at, &at, 10);
  for (int i = 0; i < field; i++) {
    value = strtoul(at, &at, 10);
  }
  return value * (size_t)sysconf(_SC_PAGESIZE);
}

static void expect_bounded_memory(void) {
  size_t const space = memory(0);
  size_t const resident = memory(1);
  for (int i = 0; i < 2000; i++) {
    char *const p = malloc(8);
    EXPECT(p != NULL);
    free(p);
  }
  EXPECT(memory(0) - space < (size_t)512 << 20);
  EXPECT(memory(1) - resident < (size_t)8 << 20);
  EXPECT(memory(1) < (size_t)200 << 20);
}

/* One bug of the list by its number, or all. */
int main(int argc, char **argv) {
  static char output[1 << 16];
  setvbuf(stdout, output, _IOFBF, sizeof output);
  for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++) {
    if (argc > 1 && strcmp(argv[1], bugs[i].name) != 0) {
      continue;
    }
    bugs[i].run();
    if (__ringfence_sweep != NULL) {
      (void)__ringfence_sweep();
    }
    puts(bugs[i].name);
    use_heap();
  }
  expect_bounded_memory();
  return expect_done();
}
