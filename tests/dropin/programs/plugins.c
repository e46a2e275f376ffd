/* Libraries that come and go: argv[1] is one. With "deep", those bound to their own dependencies first (RTLD_DEEPBIND)
 * use the C library's malloc, and their blocks still meet our free. */
#define _GNU_SOURCE
#include "expect.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

typedef void *(*make_function)(size_t size);
typedef void (*free_function)(void *ptr);

static bool deep;

static void use(const char *path, int flags) {
  void *const library = dlopen(path, RTLD_NOW | flags);
  EXPECT(library != NULL);
  if (library == NULL) {
    puts(dlerror());
    return;
  }
  make_function const make = (make_function)dlsym(library, "plugin_make");
  free_function const release = (free_function)dlsym(library, "plugin_free");
  EXPECT(make != NULL && release != NULL);
  release(make(100));
  free(make(100));
  char *const moved = realloc(make(100), 200);
  EXPECT(moved != NULL && moved[99] == 0 && malloc_usable_size(moved) >= 200);
  free(moved);
  if (!deep || (flags & RTLD_DEEPBIND) == 0) {
    release(malloc(100));
  }
  EXPECT(dlsym(library, "no such symbol") == NULL && dlerror() != NULL);
  EXPECT(dlclose(library) == 0);
}

/* Two leaks in a library that is unloaded. */
static int leak(const char *path) {
  void *const library = dlopen(path, RTLD_NOW);
  if (library == NULL) {
    return 1;
  }
  memset(((make_function)dlsym(library, "plugin_make"))(33), 1, 33);
  memset(((make_function)dlsym(library, "plugin_make_other"))(33), 1, 33);
  return dlclose(library);
}

/* A leak in a library whose file is deleted as soon as it is loaded. */
static int leak_deleted(const char *path) {
  void *const library = dlopen(path, RTLD_NOW);
  if (library == NULL || unlink(path) != 0) {
    return 1;
  }
  memset(((make_function)dlsym(library, "plugin_make"))(33), 1, 33);
  return 0;
}

/* This program has no C++ runtime before it loads a library that needs one. */
static int try_cxx(const char *path) {
  EXPECT(dlsym(RTLD_DEFAULT, "__cxa_throw") == NULL && dlerror() != NULL);
  void *const library = dlopen(path, RTLD_NOW);
  EXPECT(library != NULL);
  if (library != NULL) {
    int (*const try_all)(size_t) = (int (*)(size_t))dlsym(library, "plugin_try");
    EXPECT(try_all != NULL && try_all(SIZE_MAX / 2 + 1) == 3); /* larger than any object */
    EXPECT(dlclose(library) == 0);
  }
  return expect_done();
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[2], "cxx") == 0) {
    return try_cxx(argv[1]);
  }
  if (argc == 3 && strcmp(argv[2], "leak") == 0) {
    return leak(argv[1]);
  }
  if (argc == 3 && strcmp(argv[2], "deleted") == 0) {
    return leak_deleted(argv[1]);
  }
  deep = argc == 3 && strcmp(argv[2], "deep") == 0;
  for (int i = 0; i < 20; i++) {
    use(argv[1], RTLD_LOCAL);
    use(argv[1], RTLD_DEEPBIND);
    use("libplugin.so", RTLD_LOCAL); /* found by this program's RUNPATH */
  }
  EXPECT(dlopen("/nonexistent.so", RTLD_NOW) == NULL && dlerror() != NULL);
  return expect_done();
}
