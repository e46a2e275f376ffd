/* Takes access rights from pages of a block, empties them, or keeps them from its children, and has it freed, resized
 * or kept: glibc does not look at its bytes then, where the block is a mapping of its own. argv: the block's size,
 * "none", "read", "child", "wiped" for pages that children find empty, "emptied", "later" for pages that are emptied
 * when the system needs them, "closed" for emptied ones without rights, "guarded", "unmapped", "mapped" for a mapping
 * of its own in their place, "moved" where they are moved away, "moved_in" where a mapping of its own is moved to their
 * place, or "shrunk" where all but the first of them are cut off; what becomes of it (in a child, too), and the first
 * page and the number of pages that are meant (0: all that the block touches). */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define ROUNDS 3

static char *watched;
static size_t watched_size;
static volatile int faults;

static void allow(int number) {
  (void)number;
  faults++;
  if (mprotect(watched, watched_size, PROT_READ | PROT_WRITE) != 0) {
    _Exit(4);
  }
}

/* The program writes to its own page, and its own handler opens it. */
static void write_again(char *block) {
  struct sigaction action = {.sa_handler = allow};
  sigaction(SIGSEGV, &action, NULL);
  block[0] = 1;
  puts(faults == 1 ? "own fault" : "?");
  faults = 0;
  free(block);
}

static void dispose(const char *how, char *block, size_t size) {
  static char *kept[ROUNDS];
  static int count;
  if (strcmp(how, "keep") == 0) {
    kept[count++] = block;
  } else if (strcmp(how, "grow") == 0) {
    free(realloc(block, 2 * size));
  } else if (strcmp(how, "shrink") == 0) {
    free(realloc(block, size / 3));
  } else if (strcmp(how, "fault") == 0) {
    write_again(block);
  } else {
    free(block);
  }
}

/* Blocks that get the same memory. */
static void use_again(size_t size) {
  for (int i = 0; i < 40; i++) {
    char *const block = malloc(size);
    memset(block, i, size);
    free(block);
  }
  char *const zeroes = calloc(2, size);
  memset(zeroes, 1, 2 * size);
  free(zeroes);
}

/* True where the program ends with it, in the child. */
static int is_child(const char *how, char *block, size_t size) {
  fflush(stdout);
  pid_t const child = fork();
  if (child == 0) {
    dispose(how, block, size);
    use_again(size);
    puts("child");
    return 1;
  }
  int status = -1;
  printf("%d", waitpid(child, &status, 0) == child ? status : -1);
  return 0;
}

/* A child has the blocks that got the memory of one whose pages were empty there. True in the child. */
static int is_child_with_all(size_t size) {
  enum { BLOCKS = 8 };
  char *blocks[BLOCKS];
  int status = -1;
  for (int i = 0; i < BLOCKS; i++) {
    blocks[i] = memalign(PAGE, size);
    memset(blocks[i], 7, size);
  }
  fflush(stdout);
  pid_t const child = fork();
  for (int i = 0; i < BLOCKS; i++) {
    for (size_t at = 0; at < size; at++) {
      if (blocks[i][at] != 7) {
        _Exit(5);
      }
    }
    free(blocks[i]);
  }
  if (child != 0) {
    printf("%d", waitpid(child, &status, 0) == child ? status : -1);
  }
  return child == 0;
}

#define GUARD_INSTALL 102 /* MADV_GUARD_INSTALL */

static int advise(int advice) {
  return madvise(watched, watched_size, advice);
}

/* Emptied pages read as zero at once. */
static int empty(void) {
  int const result = advise(MADV_DONTNEED);
  for (size_t i = 0; i < watched_size && result == 0; i++) {
    if (watched[i] != 0) {
      _Exit(6);
    }
  }
  return result;
}

/* An older system knows nothing of guards. */
static int guard(void) {
  return advise(GUARD_INSTALL) != 0 && errno == EINVAL ? 0 : errno;
}

/* In whole pages. */
static int map_own(void) {
  void *const mapped =
      mmap(watched, watched_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  return mapped == watched ? 0 : -1;
}

static int move_out(void) {
  char *const place = mmap(NULL, watched_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mremap(watched, watched_size, watched_size, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place ? 0 : -1;
}

static int move_in(void) {
  char *const own = mmap(NULL, watched_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mremap(own, watched_size, watched_size, MREMAP_MAYMOVE | MREMAP_FIXED, watched) == watched ? 0 : -1;
}

static int restrict_as(const char *what) {
  if (strcmp(what, "none") == 0 || strcmp(what, "read") == 0) {
    return mprotect(watched, watched_size, strcmp(what, "read") == 0 ? PROT_READ : PROT_NONE);
  }
  if (strcmp(what, "closed") == 0) {
    return mprotect(watched, watched_size, PROT_NONE) != 0 ? -1 : advise(MADV_DONTNEED);
  }
  errno = 0;
  return strcmp(what, "emptied") == 0    ? empty()
         : strcmp(what, "guarded") == 0  ? guard()
         : strcmp(what, "unmapped") == 0 ? munmap(watched, watched_size)
         : strcmp(what, "mapped") == 0   ? map_own()
         : strcmp(what, "moved") == 0    ? move_out()
         : strcmp(what, "moved_in") == 0 ? move_in()
         : strcmp(what, "shrunk") == 0   ? (mremap(watched, watched_size, PAGE, 0) == watched ? 0 : -1)
         : strcmp(what, "later") == 0    ? advise(MADV_FREE)
         : strcmp(what, "child") == 0    ? advise(MADV_DONTFORK)
                                         : advise(MADV_WIPEONFORK);
}

int main(int argc, char **argv) {
  size_t const size = strtoul(argv[1], NULL, 10);
  int const keeps = strcmp(argv[2], "child") == 0;
  int const wiped = strcmp(argv[2], "wiped") == 0;
  size_t const first = strtoul(argv[4], NULL, 10) * PAGE;
  size_t const pages = strtoul(argv[5], NULL, 10) * PAGE;
  mallopt(M_MMAP_THRESHOLD, 16 * 1024);
  for (int round = 0; round < ROUNDS; round++) {
    char *const block = memalign(PAGE, size);
    memset(block, 1, size);
    watched = block + first;
    watched_size = pages != 0 ? pages : size;
    if (restrict_as(argv[2]) != 0) {
      return 3;
    }
    if ((keeps || wiped) && is_child(argv[3], block, size)) {
      return 0;
    }
    dispose(argv[3], block, size);
    use_again(size);
    if (wiped && is_child_with_all(size)) {
      return 0;
    }
  }
  puts("end");
  return 0;
}
