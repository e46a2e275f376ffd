/* malloc's contract, function by function: what C, POSIX and glibc's manual promise. */
#define _GNU_SOURCE
#include "expect.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *reallocarray(void *ptr, size_t count, size_t size);

/* Keeps the compiler from knowing sizes, and from leaving out what is never used. */
static volatile size_t zero;
static void *volatile kept;

static size_t opaque(size_t n) {
  return n + zero;
}

static bool aligned(const void *p, size_t align) {
  return ((uintptr_t)p & (align - 1)) == 0;
}

static bool filled(const unsigned char *p, int value, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (p[i] != (unsigned char)value) {
      return false;
    }
  }
  return true;
}

static const size_t sizes[] = {0,     1,      2,      7,      8,      15,     16,      17,      24,      31,      63,
                               64,    100,    255,    256,    1000,   1024,   4095,    4096,    4097,    10000,   65535,
                               65536, 100000, 262144, 524287, 524288, 524289, 1000000, 1048576, 3000000, 10000000};
#define SIZES (sizeof sizes / sizeof sizes[0])

/* ---- malloc ---- */

static void malloc_gives_all_sizes_whole_aligned_and_apart(void) {
  unsigned char *blocks[SIZES];
  for (size_t i = 0; i < SIZES; i++) {
    blocks[i] = malloc(opaque(sizes[i]));
    EXPECT(blocks[i] != NULL);
    EXPECT(aligned(blocks[i], _Alignof(max_align_t)));
    EXPECT(malloc_usable_size(blocks[i]) >= sizes[i]);
    memset(blocks[i], (int)i + 1, malloc_usable_size(blocks[i]));
  }
  for (size_t i = 0; i < SIZES; i++) {
    EXPECT(filled(blocks[i], (int)i + 1, sizes[i]));
    free(blocks[i]);
  }
}

static int by_address(const void *a, const void *b) {
  const char *const x = *(char *const *)a;
  const char *const y = *(char *const *)b;
  return (x > y) - (x < y);
}

static void blocks_never_overlap(void) {
  enum { COUNT = 3000 };
  static char *blocks[COUNT];
  unsigned seed = 12345;
  for (unsigned round = 0; round < 4; round++) {
    for (size_t i = 0; i < COUNT; i++) {
      seed = seed * 1103515245U + 12345U;
      if (blocks[i] == NULL || seed % 3 == 0) {
        free(blocks[i]);
        blocks[i] = malloc((seed >> 8) % 2000);
      }
    }
    qsort(blocks, COUNT, sizeof blocks[0], by_address);
    for (size_t i = 1; i < COUNT; i++) {
      EXPECT(blocks[i - 1] + malloc_usable_size(blocks[i - 1]) <= blocks[i]);
      EXPECT(blocks[i - 1] != blocks[i]);
    }
  }
  for (size_t i = 0; i < COUNT; i++) {
    free(blocks[i]);
    blocks[i] = NULL;
  }
}

static void malloc_of_nothing_is_a_block_of_its_own(void) {
  void *const a = malloc(opaque(0));
  void *const b = malloc(opaque(0));
  EXPECT(a != NULL && b != NULL && a != b);
  free(a);
  free(b);
}

static void malloc_refuses_what_no_object_can_be(void) {
  static const size_t huge[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 4096, SIZE_MAX / 2 + 1, PTRDIFF_MAX};
  for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
    errno = 0;
    kept = malloc(opaque(huge[i]));
    EXPECT(kept == NULL);
    EXPECT(errno == ENOMEM);
  }
}

/* ---- calloc ---- */

static void calloc_zeroes_fresh_and_used_memory(void) {
  for (unsigned round = 0; round < 3; round++) {
    for (size_t i = 0; i < SIZES; i++) {
      unsigned char *const p = calloc(1, opaque(sizes[i]));
      EXPECT(p != NULL && filled(p, 0, sizes[i]));
      memset(p, 0xA5, sizes[i]);
      free(p);
    }
  }
  unsigned char *const many = calloc(opaque(1000), 24);
  EXPECT(many != NULL && malloc_usable_size(many) >= 24000 && filled(many, 0, 24000));
  free(many);
}

static void calloc_refuses_a_product_that_wraps(void) {
  errno = 0;
  kept = calloc(opaque(SIZE_MAX / 2 + 1), 2);
  EXPECT(kept == NULL && errno == ENOMEM);
  errno = 0;
  kept = calloc(opaque((size_t)1 << (sizeof(size_t) * CHAR_BIT / 2)), (size_t)1 << (sizeof(size_t) * CHAR_BIT / 2));
  EXPECT(kept == NULL && errno == ENOMEM);
  errno = 0;
  kept = calloc(opaque(SIZE_MAX), 1);
  EXPECT(kept == NULL && errno == ENOMEM);
  void *const none = calloc(0, opaque(SIZE_MAX));
  EXPECT(none != NULL);
  free(none);
}

/* ---- realloc ---- */

static void realloc_keeps_contents_over_all_changes_of_size(void) {
  for (size_t i = 0; i < SIZES; i++) {
    for (size_t j = 0; j < SIZES; j += 3) {
      size_t const common = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
      if (sizes[j] == 0) {
        continue;
      }
      unsigned char *const p = malloc(opaque(sizes[i]));
      memset(p, 0x5A, sizes[i]);
      unsigned char *const q = realloc(p, sizes[j]);
      EXPECT(q != NULL && filled(q, 0x5A, common) && malloc_usable_size(q) >= sizes[j]);
      EXPECT(aligned(q, _Alignof(max_align_t)));
      free(q);
    }
  }
}

static void realloc_at_its_edges(void) {
  char *p = realloc(NULL, opaque(10));
  EXPECT(p != NULL);
  strcpy(p, "contents");
  errno = 0;
  kept = realloc(p, opaque(PTRDIFF_MAX));
  EXPECT(kept == NULL && errno == ENOMEM);
  errno = 0;
  kept = reallocarray(p, opaque(SIZE_MAX / 4), 8);
  EXPECT(kept == NULL && errno == ENOMEM);
  EXPECT(strcmp(p, "contents") == 0);
  p = reallocarray(p, opaque(10), 20);
  EXPECT(p != NULL && malloc_usable_size(p) >= 200 && strcmp(p, "contents") == 0);
  kept = realloc(p, opaque(0));
  EXPECT(kept == NULL);
}

static void growing_step_by_step_does_not_copy_each_time(void) {
  enum { STEP = 64 * 1024, STEPS = 1000 };
  unsigned moves = 0;
  char *p = malloc(STEP);
  for (size_t i = 2; i <= STEPS; i++) {
    uintptr_t const before = (uintptr_t)p;
    p = realloc(p, opaque(i * STEP));
    EXPECT(p != NULL);
    p[i * STEP - 1] = (char)i;
    moves += (uintptr_t)p != before ? 1 : 0;
  }
  for (size_t i = 2; i <= STEPS; i++) {
    EXPECT(p[i * STEP - 1] == (char)i);
  }
  EXPECT(moves < 60);
  free(p);
}

/* ---- alignment ---- */

static void check_aligned(void *p, size_t align, size_t size) {
  EXPECT(p != NULL);
  EXPECT(aligned(p, align));
  EXPECT(malloc_usable_size(p) >= size);
  memset(p, 0x77, size);
}

static void every_alignment_works_for_every_size(void) {
  for (size_t align = 1; align <= (size_t)4 << 20; align *= 2) {
    for (size_t i = 0; i < SIZES; i += 2) {
      void *p = aligned_alloc(opaque(align), opaque(sizes[i]));
      check_aligned(p, align, sizes[i]);
      free(p);
      p = memalign(opaque(align), opaque(sizes[i]));
      check_aligned(p, align, sizes[i]);
      p = realloc(p, sizes[i] + 1);
      EXPECT(p != NULL && filled(p, 0x77, sizes[i]));
      free(p);
      if (align >= sizeof(void *)) {
        p = NULL;
        EXPECT(posix_memalign(&p, opaque(align), opaque(sizes[i])) == 0);
        check_aligned(p, align, sizes[i]);
        free(p);
      }
    }
  }
}

static void bad_alignments_are_refused(void) {
  static const size_t bad[] = {0, 3, 6, 24, 48, SIZE_MAX, SIZE_MAX / 2};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    errno = 0;
    kept = aligned_alloc(opaque(bad[i]), 64);
    EXPECT(kept == NULL && errno == EINVAL);
    void *out = &out;
    errno = 0;
    EXPECT(posix_memalign(&out, opaque(bad[i]), 64) == EINVAL);
    EXPECT(out == &out && errno == 0);
  }
  void *out = &out;
  EXPECT(posix_memalign(&out, opaque(sizeof(void *) / 2), 64) == EINVAL);
  errno = 0;
  EXPECT(posix_memalign(&out, 64, opaque(SIZE_MAX - 64)) == ENOMEM);
  EXPECT(out == &out && errno == ENOMEM); /* as glibc has it */
  errno = 0;
  size_t const half = (size_t)1 << (sizeof(size_t) * CHAR_BIT - 1);
  kept = aligned_alloc(opaque(half), 64); /* there is one such place where addresses have 32 bits */
  EXPECT(kept == NULL ? errno == ENOMEM : (uintptr_t)kept == half);
  free(kept);
  errno = 0;
  kept = memalign(opaque(SIZE_MAX), 64);
  EXPECT(kept == NULL && errno == EINVAL);
  void *const rounded = memalign(opaque(48), 100); /* glibc rounds up */
  EXPECT(rounded != NULL && aligned(rounded, 64));
  free(rounded);
}

static void valloc_and_pvalloc_give_pages(void) {
  size_t const page = (size_t)sysconf(_SC_PAGESIZE);
  void *p = valloc(opaque(10));
  check_aligned(p, page, 10);
  free(p);
  p = pvalloc(opaque(10));
  check_aligned(p, page, page);
  free(p);
  p = pvalloc(opaque(page + 1));
  check_aligned(p, page, 2 * page);
  free(p);
  p = pvalloc(opaque(0));
  EXPECT(p != NULL && aligned(p, page));
  free(p);
  errno = 0;
  kept = pvalloc(opaque(SIZE_MAX - 10));
  EXPECT(kept == NULL && errno == ENOMEM);
  errno = 0;
  kept = valloc(opaque(SIZE_MAX - 10));
  EXPECT(kept == NULL && errno == ENOMEM);
}

/* ---- free ---- */

static void free_leaves_errno_alone(void) {
  for (size_t i = 0; i < SIZES; i++) {
    void *const p = malloc(opaque(sizes[i]));
    errno = 1234;
    free(p);
    EXPECT(errno == 1234);
  }
  enum { BLOCKS = 40 };
  void *blocks[BLOCKS];
  for (size_t i = 0; i < BLOCKS; i++) {
    blocks[i] = malloc(opaque((size_t)2 << 20));
  }
  errno = 1234;
  for (size_t i = 0; i < BLOCKS; i++) {
    free(blocks[i]);
  }
  free(NULL);
  EXPECT(errno == 1234);
}

static size_t mapped_bytes(void) {
  size_t pages = 0;
  FILE *const f = fopen("/proc/self/statm", "r");
  if (f != NULL) {
    EXPECT(fscanf(f, "%zu", &pages) == 1);
    fclose(f);
  }
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void big_blocks_go_back_to_the_system(void) {
  size_t const before = mapped_bytes();
  for (unsigned i = 0; i < 100; i++) {
    char *const p = malloc(opaque((size_t)100 << 20));
    EXPECT(p != NULL);
    p[i] = 1;
    free(p);
  }
  EXPECT(mapped_bytes() < before + ((size_t)150 << 20));
}

static void many_small_blocks_go_back_to_the_system(void) {
  enum { COUNT = 500000 };
  size_t const before = mapped_bytes();
  char **const blocks = malloc(COUNT * sizeof *blocks);
  for (size_t i = 0; i < COUNT; i++) {
    blocks[i] = malloc(100);
  }
  size_t const peak = mapped_bytes();
  for (size_t i = 0; i < COUNT; i++) {
    free(blocks[i]);
  }
  free(blocks);
  EXPECT(mapped_bytes() - before < (peak - before) * 3 / 4);
}

/* ---- the rest of malloc.h, and functions that allocate ---- */

static void the_heap_tells_about_itself(void) {
  EXPECT(malloc_usable_size(NULL) == 0);
  struct mallinfo2 const before = mallinfo2();
  char *const p = malloc(opaque(100000));
  struct mallinfo2 const after = mallinfo2();
  EXPECT(after.uordblks >= before.uordblks + 100000);
  EXPECT(after.arena + after.hblkhd >= after.uordblks);
  free(p);
  /* Also where each of them has pages of its own. */
  enum { LARGE = 64 };
  char *large[LARGE];
  for (size_t i = 0; i < LARGE; i++) {
    large[i] = malloc(opaque((size_t)1 << 20));
  }
  struct mallinfo2 const full = mallinfo2();
  EXPECT(full.uordblks >= before.uordblks + ((size_t)LARGE << 20));
  EXPECT(full.uordblks < before.uordblks + ((size_t)LARGE << 20) + 100000);
  EXPECT(full.arena + full.hblkhd >= full.uordblks);
  for (size_t i = 0; i < LARGE; i++) {
    free(large[i]);
  }
  EXPECT(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1);
  char *const big = malloc(opaque((size_t)8 << 20));
  free(big);
  (void)malloc_trim(0);
  EXPECT(malloc_trim(0) == 0);
  FILE *const out = fopen("/dev/null", "w");
  EXPECT(malloc_info(0, out) == 0);
  errno = 0;
  EXPECT(malloc_info(1, out) == EINVAL);
  fclose(out);
}

/* The old form of the same figures, whose type is too narrow for large ones. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void mallinfo_says_what_mallinfo2_does(void) {
  char *const large = malloc(opaque((size_t)20 << 20));
  char *const small = malloc(opaque(1000));
  struct mallinfo const narrow = mallinfo();
  struct mallinfo2 const wide = mallinfo2();
  EXPECT(narrow.arena == (int)wide.arena && narrow.hblkhd == (int)wide.hblkhd);
  EXPECT(narrow.uordblks == (int)wide.uordblks && narrow.fordblks == (int)wide.fordblks);
  free(small);
  free(large);
}
#pragma GCC diagnostic pop

/* Behind the bytes that are copied none may be read. */
static void strndup_reads_no_further_than_it_copies(void) {
  size_t const page = (size_t)sysconf(_SC_PAGESIZE);
  char *const pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
  char *const text = pages + page - 3;
  memcpy(text, "end", 3);
  char *const copy = strndup(text, opaque(3));
  EXPECT(copy != NULL && strcmp(copy, "end") == 0);
  free(copy);
  munmap(pages, 2 * page);
}

static void functions_that_allocate_work(void) {
  char *const copy = strdup("text");
  char *const part = strndup("text", 2);
  char *const whole = strndup("text", 100);
  EXPECT(strcmp(copy, "text") == 0 && strcmp(part, "te") == 0 && strcmp(whole, "text") == 0);
  free(copy);
  free(part);
  free(whole);
  char *printed = NULL;
  EXPECT(asprintf(&printed, "%d-%s", 5, "x") == 3 && strcmp(printed, "5-x") == 0);
  free(printed);
  char *const path = realpath("/proc/../tmp", NULL);
  EXPECT(path != NULL);
  free(path);
  char *text = NULL;
  size_t size = 0;
  FILE *const memory = open_memstream(&text, &size);
  for (int i = 0; i < 1000; i++) {
    fprintf(memory, "%d,", i);
  }
  fclose(memory);
  EXPECT(size > 3000 && strlen(text) == size);
  free(text);
}

/* Freed blocks that wait are neither in use nor to be had. */
static void freed_blocks_are_held_back(void) {
  enum { BLOCKS = 20, SIZE = 1000 };
  char *blocks[BLOCKS];
  for (size_t i = 0; i < BLOCKS; i++) {
    blocks[i] = malloc(opaque(SIZE));
  }
  struct mallinfo2 const before = mallinfo2();
  for (size_t i = 0; i < BLOCKS; i++) {
    free(blocks[i]);
  }
  struct mallinfo2 const after = mallinfo2();
  EXPECT(after.uordblks == before.uordblks - (size_t)BLOCKS * SIZE);
  EXPECT(after.fordblks <= before.fordblks);
}

/* With an argument: only what the heap tells about itself. */
int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "held_back") == 0) {
    freed_blocks_are_held_back();
    return expect_done();
  }
  if (argc > 1) {
    the_heap_tells_about_itself();
    mallinfo_says_what_mallinfo2_does();
    return expect_done();
  }
  malloc_gives_all_sizes_whole_aligned_and_apart();
  blocks_never_overlap();
  malloc_of_nothing_is_a_block_of_its_own();
  malloc_refuses_what_no_object_can_be();
  calloc_zeroes_fresh_and_used_memory();
  calloc_refuses_a_product_that_wraps();
  realloc_keeps_contents_over_all_changes_of_size();
  realloc_at_its_edges();
  growing_step_by_step_does_not_copy_each_time();
  every_alignment_works_for_every_size();
  bad_alignments_are_refused();
  valloc_and_pvalloc_give_pages();
  free_leaves_errno_alone();
  big_blocks_go_back_to_the_system();
  many_small_blocks_go_back_to_the_system();
  the_heap_tells_about_itself();
  mallinfo_says_what_mallinfo2_does();
  strndup_reads_no_further_than_it_copies();
  functions_that_allocate_work();
  return expect_done();
}
