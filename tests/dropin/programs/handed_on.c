/* Every function of malloc's family, in turn on each other's blocks; says how many requests reached a malloc that was
 * preloaded behind the drop-in. Has a dl_iterate_phdr of its own, which allocates: the drop-in calls it while it looks
 * for the malloc behind. `early` says where these blocks lie. */
#define _GNU_SOURCE
#include "expect.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *ptr);
void *reallocarray(void *ptr, size_t count, size_t size);

/* ---- Before the malloc behind is known ---- */

enum { EARLY = 3 };

static char *early[EARLY];
static unsigned early_count;
static bool early_refused = true; /* what cannot be had is not given then either */

int dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *context) {
  if (early_count < EARLY) {
    static volatile size_t huge = SIZE_MAX - 20;
    early_refused = early_refused && malloc(huge) == NULL;
    char *block = early_count == 1 ? calloc(4, 25) : malloc(50);
    memset(block, 'e', 50);
    early[early_count++] = early_count == 2 ? realloc(block, 100) : block;
  }
  free(malloc(10));
  return ((int (*)(int (*)(struct dl_phdr_info *, size_t, void *), void *))dlsym(RTLD_NEXT, "dl_iterate_phdr"))(
      visit, context);
}

/* How many of them are in a library's own memory. */
static int early_in_a_library(void) {
  int found = 0;
  Dl_info info;
  for (unsigned i = 0; i < early_count; i++) {
    found += dladdr(early[i], &info) != 0 ? 1 : 0;
  }
  return found;
}

static bool filled(const char *block, char with, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (block[i] != with) {
      return false;
    }
  }
  return true;
}

/* One of them moves to where a block was among others, which keep their contents. */
static void one_from_before_gets_smaller(void) {
  enum { OTHERS = 40, SMALL = 24 };
  char *others[OTHERS];
  for (unsigned i = 0; i < OTHERS; i++) {
    others[i] = memset(malloc(SMALL), 'o', SMALL);
  }
  free(others[OTHERS / 2]);
  others[OTHERS / 2] = early[2] = realloc(early[2], SMALL);
  EXPECT(early[2] != NULL && filled(early[2], 'e', SMALL));
  for (unsigned i = 0; i < OTHERS; i++) {
    EXPECT(i == OTHERS / 2 || filled(others[i], 'o', SMALL));
    free(i != OTHERS / 2 ? others[i] : NULL);
  }
}

static void blocks_from_before_go_on(void) {
  if (early_count == 0) {
    return; /* without the drop-in */
  }
  EXPECT(early_refused);
  for (unsigned i = 0; i < early_count; i++) {
    EXPECT(filled(early[i], 'e', 50) && malloc_usable_size(early[i]) >= 50);
    EXPECT((uintptr_t)early[i] % 16 == 0);
  }
  early[0] = realloc(early[0], 5000);
  EXPECT(early[0] != NULL && filled(early[0], 'e', 50));
  if (early_count == EARLY) {
    one_from_before_gets_smaller();
  }
  for (unsigned i = 0; i < early_count; i++) {
    free(early[i]);
  }
}

/* ---- All functions ---- */

enum { KINDS = 12, BLOCKS = 600 };

static void *allocate(unsigned kind, size_t size) {
  void *block = NULL;
  switch (kind) {
  case 0:
    return malloc(size);
  case 1:
    return calloc(1, size);
  case 2:
    return realloc(NULL, size);
  case 3:
    return reallocarray(NULL, 1, size);
  case 4:
    return aligned_alloc(64, size);
  case 5:
    return memalign(4096, size);
  case 6:
    return posix_memalign(&block, 32, size) == 0 ? block : NULL;
  case 7:
    return aligned_alloc(16, size);
  case 8:
    return pvalloc(size);
  case 9:
    return valloc(size);
  case 10:
    return __libc_malloc(size);
  default:
    return __libc_memalign(256, size);
  }
}

static const size_t alignments[KINDS] = {1, 1, 1, 1, 64, 4096, 32, 16, 4096, 4096, 1, 256};

/* Blocks of __libc_malloc go to __libc_free where there is a malloc of its own behind. */
static void release(unsigned kind, void *block) {
  if (kind >= 10) {
    __libc_free(block);
  } else {
    free(block);
  }
}

static void each_kind_is_whole_aligned_and_apart(void) {
  static unsigned char *blocks[BLOCKS];
  for (unsigned i = 0; i < BLOCKS; i++) {
    size_t const size = i * 7 % 500 + (i % 50 == 0 ? 200000 : 0);
    blocks[i] = allocate(i % KINDS, size);
    EXPECT(blocks[i] != NULL && (uintptr_t)blocks[i] % alignments[i % KINDS] == 0);
    memset(blocks[i], (int)(i % 251), size);
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    size_t const size = i * 7 % 500 + (i % 50 == 0 ? 200000 : 0);
    EXPECT(filled((char *)blocks[i], (char)(i % 251), size));
    if (i % KINDS < 10 && size != 0) {
      EXPECT(malloc_usable_size(blocks[i]) >= size);
      blocks[i] = realloc(blocks[i], size * 2);
      EXPECT(blocks[i] != NULL && filled((char *)blocks[i], (char)(i % 251), size));
    }
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    release(i % KINDS, blocks[i]);
  }
}

static void functions_of_the_c_library_meet_them(void) {
  for (unsigned i = 0; i < 100; i++) {
    char *text = NULL;
    size_t size = 0;
    EXPECT(asprintf(&text, "%u", i) > 0);
    free(text);
    FILE *const memory = open_memstream(&text, &size);
    fprintf(memory, "%100u", i);
    fclose(memory);
    EXPECT(size == 100);
    free(text);
    char *const copy = strdup("text");
    EXPECT(strcmp(copy, "text") == 0);
    free(copy);
  }
}

static void nothing_is_served_that_cannot_be(void) {
  static volatile size_t huge = SIZE_MAX;
  void *volatile block = malloc(10);
  errno = 0;
  EXPECT(malloc(huge) == NULL && errno == ENOMEM);
  errno = 0;
  EXPECT(calloc(huge / 2, 3) == NULL && errno == ENOMEM);
  errno = 0;
  EXPECT(realloc(block, huge - 100) == NULL && errno == ENOMEM);
  errno = 0;
  EXPECT(reallocarray(block, huge / 2, 4) == NULL && errno == ENOMEM);
  free(block);
}

/* Alignments that are no power of two are rounded up by memalign, and refused by the others. */
static void aligned_functions_say_why_not(void) {
  static volatile size_t huge = SIZE_MAX;
  static volatile size_t odd = 24;
  void *block = memalign(odd, 10);
  EXPECT(block != NULL && (uintptr_t)block % 32 == 0);
  free(block);
  errno = 0;
  EXPECT(memalign(huge, 10) == NULL && errno == EINVAL);
  errno = 0;
  EXPECT(memalign(64, huge / 2) == NULL && errno == ENOMEM);
  errno = 0;
  EXPECT(aligned_alloc(64, huge / 2) == NULL && errno == ENOMEM);
  block = &errno;
  EXPECT(posix_memalign(&block, 64, huge / 2) == ENOMEM && block == &errno);
  EXPECT(posix_memalign(&block, odd, 10) == EINVAL && block == &errno);
  EXPECT(posix_memalign(&block, sizeof(void *) / 2, 10) == EINVAL && block == &errno);
  EXPECT(posix_memalign(&block, 64, 10) == 0 && block != &errno && (uintptr_t)block % 64 == 0);
  free(block);
}

static void *use(void *unused) {
  for (unsigned i = 0; i < 20000; i++) {
    char *block = malloc(i % 300);
    block = realloc(block, 1 + i % 700);
    block[i % 700] = 1;
    free(block);
  }
  return unused;
}

static void threads_and_children_go_on(void) {
  pthread_t threads[4];
  for (unsigned i = 0; i < 4; i++) {
    EXPECT(pthread_create(&threads[i], NULL, use, NULL) == 0);
  }
  for (unsigned i = 0; i < 5; i++) {
    pid_t const child = fork();
    if (child == 0) {
      use(NULL);
      _exit(0);
    }
    int status = -1;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
  }
  for (unsigned i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
  }
}

/* Blocks that come and go as quickly as can be. */
static int many(void) {
  for (unsigned i = 0; i < 3000000; i++) {
    free(malloc(32));
  }
  return 0;
}

static int a_hundred_by_posix_memalign(void) {
  for (unsigned i = 0; i < 100; i++) {
    void *block = NULL;
    EXPECT(posix_memalign(&block, 64, 32) == 0);
    free(block);
  }
  return expect_done();
}

/* Blocks of mallocx are resized and freed by the usual functions. `wrong`: a static object is freed, too. */
static int blocks_of_its_other_functions(bool wrong) {
  void *(*const other)(size_t, int) = (void *(*)(size_t, int))dlsym(RTLD_DEFAULT, "mallocx");
  EXPECT(other != NULL);
  char *block = other(100, 0);
  EXPECT(malloc_usable_size(block) >= 100);
  strcpy(block, "other");
  block = realloc(block, 5000);
  EXPECT(block != NULL && strcmp(block, "other") == 0);
  free(block);
  free(other(200, 0));
  if (wrong) {
    free(&early_count);
  }
  return expect_done();
}

/* The program's error is still there after questions to the heap, which free nothing between two of them. */
static int errors_of_the_loader_stay(void) {
#if defined(__GLIBC__)
  EXPECT(dlsym(RTLD_DEFAULT, "no_such_function") == NULL);
  struct mallinfo const before = mallinfo();
  void *const block = malloc(20000); /* more than a thread keeps of its own: the figures change */
  struct mallinfo const after = mallinfo();
  EXPECT(after.uordblks != before.uordblks);
  (void)malloc_trim(0);
  EXPECT(mallopt(M_PERTURB, 0) == 1);
  free(block);
  EXPECT(dlerror() != NULL);
#endif
  return expect_done();
}

int main(int argc, char **argv) {
  const unsigned long *const calls = dlsym(RTLD_DEFAULT, "next_malloc_calls");
  if (argc > 1 && strcmp(argv[1], "posix_memalign") == 0) {
    return a_hundred_by_posix_memalign();
  }
  if (argc > 1 && strcmp(argv[1], "dlerror") == 0) {
    return errors_of_the_loader_stay();
  }
  if (argc > 1 && strcmp(argv[1], "others") == 0) {
    return blocks_of_its_other_functions(argc > 2);
  }
  if (argc > 1 && strcmp(argv[1], "early") == 0) {
    printf("%d of %u\n", early_in_a_library(), early_count);
  }
  blocks_from_before_go_on();
  if (argc > 1 && strcmp(argv[1], "many") == 0) {
    return many();
  }
  each_kind_is_whole_aligned_and_apart();
  functions_of_the_c_library_meet_them();
  nothing_is_served_that_cannot_be();
  if (argc > 1 && strcmp(argv[1], "aligned") == 0) {
    aligned_functions_say_why_not();
  }
  threads_and_children_go_on();
  if (calls != NULL) {
    printf("%s\n", *calls > 1000 ? "many behind" : *calls > 0 ? "few behind" : "none behind");
  }
  return expect_done();
}
