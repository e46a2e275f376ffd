/* Ends with descriptors that the program has closed, or put files of its own at. */
#define _GNU_SOURCE
#include "process.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_all(void) {
  fclose(stdout);
  fclose(stderr);
}

static int with_streams_closed(char **argv) {
  atexit(close_all);
  return 3;
}

static int after_printing_them(char **argv) {
  struct stat file;
  for (int i = 0; i < 4096; i++) {
    if (fstat(i, &file) == 0) {
      printf(" %d", i);
    }
  }
  return 3;
}

/* As a daemon does that wants to begin with nothing open. Then reads a byte of a freed block. */
static int after_closing_others(char **argv) {
  const char *const how = argv[3];
  char *volatile block = malloc(50);
  free(block);
  if (strcmp(how, "range") == 0) {
    (void)close_range(3, ~0U, 0);
  } else if (strcmp(how, "from") == 0) {
    closefrom(3);
  } else if (strcmp(how, "copies") == 0) {
    for (int i = 3; i < 4096; i++) {
      (void)dup2(0, i);
    }
  } else {
    for (int i = 3; i < 4096; i++) {
      (void)close(i);
    }
  }
  return block[0] == 0 ? 3 : 1;
}

static int with_its_log_moved(char **argv) {
  setuid(getuid()); /* the file may not be opened any more */
  rename(argv[3], argv[4]);
  return 3;
}

static int with_a_file_in_the_place_of_standard_error(char **argv) {
  close(STDERR_FILENO);
  return open(argv[3], O_RDWR | O_CREAT, 0600) == STDERR_FILENO && write(STDERR_FILENO, "data", 4) == 4 ? 3 : 1;
}

static int with_standard_error_redirected(char **argv) {
  return dup2(open(argv[3], O_RDWR | O_CREAT, 0600), STDERR_FILENO) == STDERR_FILENO ? 3 : 1;
}

const way process_descriptors[] = {
    {"closed", with_streams_closed},
    {"descriptors", after_printing_them},
    {"closes", after_closing_others},
    {"moved", with_its_log_moved},
    {"reused", with_a_file_in_the_place_of_standard_error},
    {"redirected", with_standard_error_redirected},
    {NULL, NULL},
};
