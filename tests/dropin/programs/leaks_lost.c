/* Blocks that are lost: nothing points to them, or only what is no root. */
#define _GNU_SOURCE
#include "leaks.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ringfence/dropin.h>

void one(void) {
  void *volatile p = malloc(33);
  p = NULL;
  (void)p;
}

static void many_of_one_origin(void) {
  for (int i = 0; i < 10; i++) {
    void *volatile p = malloc(20);
    p = NULL;
    (void)p;
  }
}

/* Paths of the same length, with the same innermost calls. */
NOINLINE static void along(unsigned path, unsigned left, size_t size) {
  if (left == 0) {
    void *volatile p = malloc(size);
    p = NULL;
    (void)p;
  } else if (path % 2 == 0) {
    along(path / 2, left - 1, size);
  } else {
    along(path / 2, left - 1, size);
  }
}

static void by_many_paths(void) {
  for (unsigned path = 0; path < 256; path++) {
    along(path, 8, 100 + path * 37 % 256);
  }
}

static void a_tree(void) {
  node *volatile root = make_node(make_node(NULL, NULL), make_node(NULL, make_node(NULL, NULL)));
  root = NULL;
  (void)root;
}

static void a_ring(void) {
  node *volatile a = make_node(NULL, NULL);
  a->left = make_node(a, NULL);
  a = NULL;
  (void)a;
}

/* The address is left in freed memory, and in the spare room of a live block's neighbourhood. */
static void noted_in_a_freed_block(void) {
  void **const holder = malloc(sizeof(void *) * 4);
  holder[2] = malloc(33);
  free(holder);
}

/* The middle of the longest run of zeroes in the writable data of the preloaded library: a table's spare room. */
static int find_spare_word(struct dl_phdr_info *info, size_t size, void *context) {
  uintptr_t const ours = (uintptr_t)__ringfence_check_leaks - info->dlpi_addr;
  const ElfW(Phdr) *data = NULL;
  int found = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *const p = &info->dlpi_phdr[i];
    found |= p->p_type == PT_LOAD && ours - p->p_vaddr < p->p_memsz;
    data = p->p_type == PT_LOAD && (p->p_flags & PF_W) != 0 ? p : data;
  }
  if (found && data != NULL) {
    void **const words = (void **)((info->dlpi_addr + data->p_vaddr + 15) & ~(uintptr_t)15);
    size_t longest = 0;
    for (size_t i = 0, run = 0; i < data->p_memsz / sizeof *words - 2; i++) {
      run = words[i] == NULL ? run + 1 : 0;
      if (run > longest) {
        longest = run;
        *(void ***)context = &words[i - run / 2];
      }
    }
  }
  return found;
}

static void noted_by_the_library(void) {
  void **spare = NULL;
  if (__ringfence_check_leaks != NULL) {
    dl_iterate_phdr(find_spare_word, &spare);
    *spare = malloc(33);
  }
}

static void overwritten(void) {
  in_a_global = malloc(33);
  in_a_global = NULL;
}

static void by_realloc(void) {
  void *volatile p = malloc(10);
  p = realloc(p, 500);
  p = NULL;
}

static void by_the_c_library(void) {
  char *line = NULL;
  size_t size = 0;
  FILE *const f = fopen("/proc/self/status", "r");
  (void)!getline(&line, &size, f);
  fclose(f);
  char *volatile text = strdup("a copy");
  text = NULL;
  (void)text;
}

const test_case lost_blocks[] = {
    {"one", one},
    {"many_of_one_origin", many_of_one_origin},
    {"by_many_paths", by_many_paths},
    {"a_tree", a_tree},
    {"a_ring", a_ring},
    {"noted_in_a_freed_block", noted_in_a_freed_block},
    {"noted_by_the_library", noted_by_the_library},
    {"overwritten", overwritten},
    {"by_realloc", by_realloc},
    {"by_the_c_library", by_the_c_library},
    {NULL, NULL},
};
