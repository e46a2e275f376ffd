/* A library that allocates when it is loaded, used and unloaded. */
#include <stdlib.h>
#include <string.h>

static char *state;

void *plugin_make(size_t size);
char *plugin_make_other(size_t size);
void plugin_free(void *ptr);

__attribute__((constructor)) static void loaded(void) {
  state = malloc(1000);
  memset(state, 1, 1000);
}

__attribute__((destructor)) static void unloaded(void) {
  free(state);
}

void *plugin_make(size_t size) {
  return calloc(1, size);
}

char *plugin_make_other(size_t size) {
  char *const p = malloc(size + 1);
  *p = 1;
  return p;
}

void plugin_free(void *ptr) {
  free(ptr);
}
