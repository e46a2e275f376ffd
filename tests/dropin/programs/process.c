/* Ends in many ways, with or without damage done: argv[1] says how, argv[2] "bad" does the damage, "deaf" keeps
 * SIGABRT away. */
#define _GNU_SOURCE
#include "process.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *volatile kept;

/* The way of that name. NULL: there is none. */
static const way *find(const way *list, const char *name) {
  for (; list->name != NULL; list++) {
    size_t const length = strlen(list->name);
    if (list->name[length - 1] == '*' ? strncmp(list->name, name, length - 1) == 0 : strcmp(list->name, name) == 0) {
      return list;
    }
  }
  return NULL;
}

int main(int argc, char **argv) {
  const way *const lists[] = {process_ends,    process_signals,   process_wild_accesses,
                              process_threads, process_sandboxes, process_descriptors};
  printf("output"); /* not flushed: must not be lost at any end but those that lose it anyway */
  kept = malloc(10);
  memset(kept, 1, 10);
  if (argc > 2 && strcmp(argv[2], "bad") == 0) {
    kept[10] = 1;
  }
  if (argc > 2 && strcmp(argv[2], "deaf") == 0) {
    ignore_aborts();
  }
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    const way *const found = find(lists[i], argc > 1 ? argv[1] : "");
    if (found != NULL) {
      return found->end(argv);
    }
  }
  return 2;
}
