/* A test of rf_checked_test: attributes that cc_test has come where they belong. */
#include <ringfence/tlsf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if !defined(BY_COPTS) || !defined(BY_DEFINES) || !defined(BY_LOCAL_DEFINES)
#error "an attribute of the compiler did not come"
#endif

/* Does not link without them. */
extern char by_linkopts[];
int by_malloc(void);

/* The file that the build names is there, and says so. */
static bool is_data(const char *path) {
  char text[8] = {0};
  FILE *const file = path == NULL ? NULL : fopen(path, "r");
  bool const right = file != NULL && fgets(text, sizeof text, file) != NULL && strcmp(text, "data\n") == 0;
  if (file != NULL) {
    (void)fclose(file);
  }
  printf("%s: %s\n", path == NULL ? "no path" : path, right ? "there" : "not there");
  return right;
}

int main(int argc, char **argv) {
  static unsigned char arena[1 << 12];
  static rf_tlsf heap;
  bool const made = rf_tlsf_init(&heap, arena, sizeof arena) == RF_OK;
  const char *const mode = getenv("BUILT_BY");
  const char *const dollar = getenv("DOLLAR");
  bool const named = mode != NULL && *mode != '\0' && *mode != '$' && dollar != NULL && strcmp(dollar, "$HOME") == 0;
  printf("BUILT_BY %s, DOLLAR %s, %p\n", mode == NULL ? "" : mode, dollar == NULL ? "" : dollar, (void *)by_linkopts);
  return made && named && by_malloc() == 1 && argc == 2 && is_data(argv[1]) && is_data(getenv("DATA")) ? 0 : 1;
}
