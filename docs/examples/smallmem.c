#include <ringfence/smallmem.h>
#include <stdio.h>
#include <string.h>

static _Alignas(16) unsigned char arena[1024];
static const char *current = "main"; /* on an RTOS: the running thread's name */

/* The first letters of the name, as many as a word holds. */
static uintptr_t owner_of(const rf_site *site) {
  uintptr_t word = 0;
  size_t const length = strlen(current);
  (void)site;
  memcpy(&word, current, length < sizeof word ? length : sizeof word);
  return word;
}

static bool print(const rf_block *block, void *context) {
  uintptr_t const owner = rf_smallmem_owner((const rf_smallmem *)context, block->ptr);
  char name[sizeof owner + 1] = {0};
  memcpy(name, &owner, sizeof owner);
  printf("%4zu bytes %s%s\n", block->size, block->used ? "of " : "free", name);
  return true;
}

int main(void) {
  rf_smallmem heap;
  if (rf_smallmem_init_owned(&heap, arena, sizeof arena, owner_of) != RF_OK) {
    return 1;
  }
  rf_allocator *const a = &heap.base;
  void *const stack = rf_alloc(a, 256);
  current = "gui";
  void *const image = rf_alloc(a, 400);
  current = "net";
  rf_free(a, stack);
  void *const packet = rf_alloc(a, 60);
  rf_walk(a, print, &heap);
  rf_free(a, image);
  rf_free(a, packet);
  return rf_check(a, NULL) == RF_OK ? 0 : 1;
}
