/* Counts the lines of its input, does something with a block of SIZE bytes, and exits with 3: hunted WHAT SIZE [FILE].
 * The findings are marked. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile char *block;
static volatile char seen;

static void touch(const char *what, size_t size) {
  if (strcmp(what, "read-after") == 0) {
    seen = block[size]; /* read-after */
  } else if (strcmp(what, "read-before") == 0) {
    seen = block[-1]; /* read-before */
  } else if (strcmp(what, "write-after") == 0) {
    block[size] = 1; /* write-after */
  } else if (strcmp(what, "write-before") == 0) {
    block[-1] = 1; /* write-before */
  } else if (strcmp(what, "read-freed") == 0) {
    free((void *)block);
    seen = block[0]; /* read-freed */
    block = malloc(size);
  } else if (strcmp(what, "write-freed") == 0) {
    free((void *)block);
    block[0] = 1; /* write-freed */
    block = malloc(size);
  } else if (strcmp(what, "take-in-after") == 0) {
    int const zeros = open("/dev/zero", O_RDONLY);
    printf("%zd bytes\n", read(zeros, (void *)block, size + 1)); /* take-in-after */
  } else if (strcmp(what, "put-out-after") == 0) {
    memset((void *)block, 'a', size);
    (void)!write(STDOUT_FILENO, (void *)block, size + 1);
  }
}

/* Programs that do not do the same each time, or mind where a block is. */
static void differ(const char *what) {
  if (strcmp(what, "temporary") == 0) {
    char name[4096];
    (void)snprintf(name, sizeof name, "%s/only-once", getenv("TMPDIR"));
    printf("%s\n", access(name, F_OK) == 0 ? "there" : "not there");
    (void)fclose(fopen(name, "w"));
  } else if (strcmp(what, "aligned") == 0 && (uintptr_t)block % 8 != 0) {
    abort();
  } else if (strcmp(what, "crash") == 0 && (uintptr_t)block % 8 != 0) {
    *(volatile char *)64 = 1;
  } else if (strcmp(what, "process") == 0) {
    printf("process %d\n", (int)getpid());
  }
}

int main(int argc, char **argv) {
  char line[256];
  int lines = 0;
  FILE *const in = argc > 3 ? fopen(argv[3], "r") : stdin;
  if (in == NULL) {
    fprintf(stderr, "no input\n");
    return 4;
  }
  while (fgets(line, sizeof line, in) != NULL) {
    lines++;
  }
  if (argc > 3) {
    (void)remove(argv[3]);
  }
  block = malloc(strtoul(argv[2], NULL, 10));
  touch(argv[1], strtoul(argv[2], NULL, 10));
  differ(argv[1]);
  free((void *)block);
  printf("%d lines\n", lines);
  fprintf(stderr, "done\n");
  return 3;
}
