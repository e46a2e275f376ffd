/* The least that a malloc to preload can do: it hands each request on. For the cost of handing on by itself. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <stdlib.h>

static struct {
  void *(*malloc)(size_t size);
  void *(*calloc)(size_t nmemb, size_t size);
  void *(*realloc)(void *ptr, size_t size);
  void (*free)(void *ptr);
} next;

/* Before the first request: the library is loaded with -z initfirst. */
__attribute__((constructor)) static void find(void) {
  next.malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
  next.calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
  next.realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
  next.free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
}

void *malloc(size_t size) {
  return next.malloc(size);
}

void *calloc(size_t nmemb, size_t size) {
  return next.calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size) {
  return next.realloc(ptr, size);
}

void free(void *ptr) {
  next.free(ptr);
}
