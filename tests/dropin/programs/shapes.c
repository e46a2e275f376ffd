/* Loads the libraries argv[1], argv[2], ... one after another; each leaves a block behind. Says where they were. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) static int use(const char *path) {
  void *const library = dlopen(path, RTLD_NOW);
  if (library == NULL) {
    puts(dlerror());
    return 1;
  }
  void *(*const make)(size_t) = (void *(*)(size_t))dlsym(library, "shape_make");
  memset(make(33), 1, 33);
  printf("%p\n", (void *)make);
  return dlclose(library);
}

int main(int argc, char **argv) {
  int failed = 0;
  for (int i = 1; i < argc; i++) {
    failed |= use(argv[i]);
  }
  return failed;
}
