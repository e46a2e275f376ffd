/* One bug each, and beside each the same code without it: argv[1] chooses. Says on standard output where in its module
 * the calls stand that findings should name. */
#define _GNU_SOURCE
#include "cases.h"
#include "marks.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

NOINLINE static void drop(void *p) {
  mark("freed");
  free(p);
}

static char a_global[64];
static volatile size_t kept_size;

/* ---- Writes outside the block ---- */

static void overflow_by_one(void) {
  char *const p = make(13);
  p[12 + bad] = 'x';
  drop(p);
}

static void overflow_in_a_block_never_freed(void) {
  static char *p;
  p = make(13);
  p[12 + bad] = 'x';
}

static void overflow_of_a_big_block(void) {
  char *const p = make(3000000);
  p[2999999 + bad] = 'x';
  drop(p);
}

/* Sizes that are no multiples of a page, before and after. */
static void overflow_of_a_big_block_that_grew(void) {
  char *const p = realloc(make(200000), 300001);
  p[300000 + bad] = 'x';
  drop(p);
}

static void overflow_of_a_big_block_that_shrank(void) {
  char *const p = realloc(make(300000), 200001);
  p[200000 + bad] = 'x';
  drop(p);
}

static void overflow_of_an_aligned_block(void) {
  mark("allocated");
  char *const p = aligned_alloc(4096, 100);
  memset(p, 1, 100);
  p[99 + 3 * bad] = 'x';
  drop(p);
}

static void overflow_of_no_bytes(void) {
  char *const p = make(0);
  if (bad) {
    p[0] = 'x';
  }
  drop(p);
}

static void overflow_found_by_realloc(void) {
  char *const p = make(24);
  p[23 + bad] = 'x';
  mark("found");
  drop(realloc(p, 100));
}

static void underflow_by_one(void) {
  char *const p = make(13);
  p[0 - bad] = 'x';
  drop(p);
}

/* Beyond the guard bytes, into the block before. */
static void underflow_by_many(void) {
  char *const p = make(13);
  for (int i = 1; i <= 22 * bad; i++) {
    p[-i] = 'x';
  }
  drop(p);
}

static void underflow_in_a_block_never_freed(void) {
  static char *p;
  p = make(13);
  p[0 - 2 * bad] = 'x';
}

/* ---- After the end of the block's life ---- */

static void write_after_free(void) {
  char *const p = make(40);
  drop(p);
  if (bad) {
    p[5] = 'x';
  }
}

static void write_after_free_of_a_big_block(void) {
  char *const p = make(2000000);
  drop(p);
  if (bad) {
    p[100] = 'x';
  }
}

/* So big that its memory goes back to the system at once. */
static void write_after_free_of_a_block_given_back(void) {
  char *const p = make(64000000);
  drop(p);
  if (bad) {
    p[100] = 'x';
  }
}

static void double_free_of_a_block_given_back(void) {
  char *const p = make(64000000);
  drop(p);
  if (bad) {
    mark("found");
    free(p);
  }
}

/* Its neighbours are in the way. */
static void write_after_realloc_of_a_big_block(void) {
  char *const above = make(1 << 20);
  char *const p = make(1 << 20);
  char *const below = make(1 << 20);
  mark("freed");
  char *const moved = realloc(p, 8 << 20);
  if (bad) {
    p[100] = 'x';
  }
  free(moved);
  free(below);
  free(above);
}

static void write_after_realloc_moved(void) {
  char *const p = make(40);
  mark("freed");
  char *const q = realloc(p, 400);
  (bad ? p : q)[7] = 'x';
  free(q);
}

static void double_free(void) {
  char *const p = make(13);
  drop(p);
  if (bad) {
    mark("found");
    free(p);
  }
}

static void double_free_of_a_big_block(void) {
  char *const p = make(3000000);
  drop(p);
  if (bad) {
    mark("found");
    free(p);
  }
}

static void close_of_a_closed_stream(void) {
  FILE *volatile stream = fopen("/dev/null", "w");
  (void)fclose(stream);
  if (bad && (errno = 0, fclose(stream)) == EOF && errno == EBADF) {
    puts("refused");
  }
}

static void write_to_a_closed_stream(void) {
  FILE *volatile stream = fopen("/dev/null", "w");
  (void)setvbuf(stream, NULL, _IONBF, 0);
  (void)fclose(stream);
  if (bad) {
    (void)fputc('x', stream);
  }
}

static void realloc_of_a_freed_block(void) {
  char *const p = make(13);
  drop(p);
  mark("found");
  free(realloc(bad ? p : NULL, 20));
}

/* ---- Pointers that are no blocks ---- */

static void free_inside_a_block(void) {
  char *const p = make(100);
  mark("found");
  free(p + 4 * bad);
}

static void free_inside_a_big_block(void) {
  char *const p = make(3000000);
  mark("found");
  free(p + 1048576 * bad);
}

static void free_of_the_stack(void) {
  char local[100];
  char *const p = make(10);
  mark("found");
  free(bad ? local : p);
}

static void size_of(void *wrong) {
  char *const p = make(10);
  mark("found");
  kept_size = malloc_usable_size(bad ? wrong : p);
  free(p);
}

static void usable_size_of_a_freed_block(void) {
  char *const p = make(20);
  drop(p);
  size_of(p);
}

static void usable_size_inside_a_block(void) {
  char *const p = make(20);
  size_of(p + 4);
  free(p);
}

static void usable_size_of_the_stack(void) {
  char local[100];
  size_of(local);
}

static void free_of_a_global(void) {
  char *const p = make(10);
  mark("found");
  free(bad ? a_global + 16 : p);
}

static void free_of_mapped_memory(void) {
  char *const mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *const p = make(10);
  mark("found");
  free(bad ? mapped + 4096 : p);
}

static void free_of_no_memory(void) {
  char *const p = make(10);
  mark("found");
  free(bad ? (char *)(uintptr_t)0x12345670 : p);
}

/* The highest address of all. */
static void free_of_map_failed(void) {
  char *const p = make(10);
  mark("found");
  free(bad ? MAP_FAILED : p);
}

/* The pointer is a member of a block that was freed, or of a new one that was never written. */
static void free_of_a_member(bool freed) {
  char *const p = make(10);
  mark("allocated");
  char **const owner = malloc(40);
  if (!bad) {
    owner[1] = p;
  }
  if (bad && freed) {
    mark("freed");
    free(owner);
  }
  mark("found");
  free(owner[1]);
  if (!bad || !freed) {
    free(owner);
  }
}

static void free_of_a_freed_member(void) {
  free_of_a_member(true);
}

static void free_of_an_unset_member(void) {
  free_of_a_member(false);
}

/* The node that a freed one links to, by the member of that one. */
static void free_of_a_freed_node(void) {
  struct node {
    long value;
    char *link;
  };
  struct node *const n = malloc(sizeof *n);
  struct node *const next = malloc(sizeof *next);
  n->link = (char *)&next->link;
  if (bad) {
    free(n);
  }
  mark("found");
  free(n->link - offsetof(struct node, link));
  if (!bad) {
    free(n);
  }
}

static void realloc_of_map_failed(void) {
  char *const p = make(10);
  mark("found");
  free(realloc(bad ? MAP_FAILED : p, 20));
}

static void usable_size_of_map_failed(void) {
  char *const p = make(10);
  mark("found");
  kept_size = malloc_usable_size(bad ? MAP_FAILED : p);
  free(p);
}

/* The heap has memory in store there. */
static void free_where_no_block_was(void) {
  char *const p = make(10);
  mark("found");
  free(bad ? p + 4096 : p);
}

static void realloc_of_a_global(void) {
  char *const p = make(10);
  mark("found");
  free(realloc(bad ? a_global : p, 20));
}

/* ---- Leaks ---- */

static void leak(void) {
  char *volatile p = make(33);
  if (!bad) {
    free(p);
  }
  p = NULL;
}

static const test_case cases[] = {
    CASE(overflow_by_one),
    CASE(overflow_in_a_block_never_freed),
    CASE(overflow_of_a_big_block),
    CASE(overflow_of_a_big_block_that_grew),
    CASE(overflow_of_a_big_block_that_shrank),
    CASE(overflow_of_an_aligned_block),
    CASE(overflow_of_no_bytes),
    CASE(overflow_found_by_realloc),
    CASE(underflow_by_one),
    CASE(underflow_by_many),
    CASE(underflow_in_a_block_never_freed),
    CASE(write_after_free),
    CASE(write_after_free_of_a_big_block),
    CASE(write_after_free_of_a_block_given_back),
    CASE(double_free_of_a_block_given_back),
    CASE(write_after_realloc_of_a_big_block),
    CASE(write_after_realloc_moved),
    CASE(double_free),
    CASE(double_free_of_a_big_block),
    CASE(close_of_a_closed_stream),
    CASE(write_to_a_closed_stream),
    CASE(realloc_of_a_freed_block),
    CASE(free_inside_a_block),
    CASE(free_inside_a_big_block),
    CASE(free_of_the_stack),
    CASE(free_of_a_global),
    CASE(free_of_mapped_memory),
    CASE(free_of_no_memory),
    CASE(free_of_map_failed),
    CASE(free_of_a_freed_member),
    CASE(free_of_an_unset_member),
    CASE(free_of_a_freed_node),
    CASE(free_where_no_block_was),
    CASE(realloc_of_a_global),
    CASE(realloc_of_map_failed),
    CASE(usable_size_of_a_freed_block),
    CASE(usable_size_inside_a_block),
    CASE(usable_size_of_the_stack),
    CASE(usable_size_of_map_failed),
    CASE(leak),
};

int main(int argc, char **argv) {
  return run_case(cases, sizeof cases / sizeof cases[0], argc, argv);
}
