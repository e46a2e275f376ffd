/* Ends by an access through a freed block's pointer, beside a large block, or where there is none any more. */
#define _GNU_SOURCE
#include "process.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCKS = 16, LARGE = 3000000, HOLE = 0x10000 };

/* True where nothing can be read in HOLE bytes from there. */
static int is_hole(char *at) {
  void *const hole = mmap(at, HOLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  int ends[2];
  return hole == at || (pipe(ends) == 0 && write(ends[1], at, 1) < 0 && write(ends[1], at + HOLE - 1, 1) < 0);
}

#define FAR (60 * 1024)

/* A place where nothing is, FAR before or behind a large block, *of, or as far as its rounded ends are. */
static char *hole_beside(int behind, char **of) {
  for (int i = 0; i < BLOCKS; i++) {
    char *const block = malloc(LARGE);
    uintptr_t const end = ((uintptr_t)block + LARGE + HOLE) & ~(uintptr_t)(HOLE - 1);
    uintptr_t const at = behind ? end : ((uintptr_t)block & ~(uintptr_t)(HOLE - 1)) - HOLE;
    if (is_hole((char *)at)) {
      char *const nearest = (char *)at + (behind ? 8 : HOLE - 8);
      char *const far = behind ? block + LARGE + FAR : block - FAR;
      *of = block;
      return behind == (far > nearest) ? far : nearest;
    }
    (void)mmap(NULL, 4 * HOLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* apart from the next one */
  }
  return NULL;
}

static int beside_a_large_block(char **argv) {
  char *block = NULL;
  volatile char *const at = hole_beside(strstr(argv[1], "behind") != NULL, &block);
  if (strstr(argv[1], "freed") != NULL) {
    free(block);
  }
  return at != NULL ? *at : 1;
}

static int by_a_stale_pointer(char **argv) {
  char ***const list = malloc(4 * sizeof *list);
  char ***volatile const same = list;
  free(list);
  same[1][2] = NULL;
  return 2;
}

static int by_an_unset_pointer(char **argv) {
  char ***volatile const list = malloc(4 * sizeof *list);
  list[1][2] = NULL;
  free(list);
  return 2;
}

static int by_a_pointer_behind_a_list(char **argv) {
  char ***volatile const list = malloc(4 * sizeof *list);
  list[4][2] = NULL;
  free(list);
  return 2;
}

/* Takes the first page of a block that is freed ("unmap_freed", "map_freed", "move_freed", "replace_freed"), or live
 * and used then. */
static int by_unmapping(char **argv) {
  enum { PAGE = 4096 };
  char *const block = aligned_alloc(PAGE, 2 * PAGE);
  char *volatile const same = block;
  int const is_freed = strstr(argv[1], "freed") != NULL;
  if (is_freed) {
    free(block);
  }
  void *const own = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (strncmp(argv[1], "move", 4) == 0) {
    (void)mremap(same, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, own);
  } else if (strncmp(argv[1], "replace", 7) == 0) {
    (void)mremap(own, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, same);
  } else if (strncmp(argv[1], "map", 3) == 0) {
    (void)mmap(same, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  } else {
    (void)munmap(same, PAGE);
  }
  if (!is_freed) {
    same[8] = 1;
  }
  return 2;
}

/* Writes behind a block whose pages stayed: one mremap fails, and the other one changes nothing. */
static int behind_unmoved_pages(char **argv) {
  enum { PAGE = 4096 };
  char *const block = aligned_alloc(PAGE, 20 * PAGE);
  char *volatile const same = block;
  (void)argv;
  if (mremap(same, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, same + 1) != MAP_FAILED ||
      mremap(same, PAGE, PAGE, MREMAP_MAYMOVE) != same) {
    return 3;
  }
  same[20 * PAGE] = 1;
  free(block);
  return 0;
}

const way process_wild_accesses[] = {
    {"stale_pointer", by_a_stale_pointer},
    {"unset_pointer", by_an_unset_pointer},
    {"guard_pointer", by_a_pointer_behind_a_list},
    {"map_*", by_unmapping},
    {"move_*", by_unmapping},
    {"unmoved", behind_unmoved_pages},
    {"replace_*", by_unmapping},
    {"unmap_*", by_unmapping},
    {"wild_be*", beside_a_large_block},
    {NULL, NULL},
};
