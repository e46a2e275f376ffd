/* Functions that allocate for the program, freed by free: those of malloc's family that tools put in place of every
 * malloc (Valgrind), and those that they leave alone must fit together. `wrong` writes behind a block. */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *reallocarray(void *ptr, size_t count, size_t size);

static void grow(void) {
  char *block = malloc(20);
  strcpy(block, "grown");
  block = reallocarray(block, 400, 20);
  block = realloc(block, 100);
  block = reallocarray(block, 1, 50);
  puts(block);
  free(block);
}

static void copy(void) {
  char *const whole = strdup("copied");
  char *const part = strndup(whole, 4);
  char *text = NULL;
  printf("%s %s %d\n", whole, part, asprintf(&text, "%d", 12345));
  free(whole);
  free(part);
  free(text);
}

static void read_lines(const char *path) {
  FILE *const file = fopen(path, "r");
  char *line = NULL;
  size_t size = 0;
  size_t lines = 0;
  while (getline(&line, &size, file) > 0) {
    lines++;
  }
  free(line);
  fclose(file);
  puts(lines != 0 ? "read" : "empty");
}

static void align(void) {
  void *block = NULL;
  free(memalign(64, 100));
  free(aligned_alloc(64, 128));
  free(valloc(100));
  printf("%d\n", posix_memalign(&block, 64, 100));
  free(block);
}

int main(int argc, char **argv) {
  grow();
  copy();
  read_lines("/proc/self/maps");
  align();
  if (argc > 1 && strcmp(argv[1], "wrong") == 0) {
    char *const block = malloc(20);
    ((volatile char *)block)[20] = 1;
    free(block);
  }
  return 0;
}
