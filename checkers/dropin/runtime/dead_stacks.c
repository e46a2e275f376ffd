#define _GNU_SOURCE
#include "dead_stacks.h"

#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__i386__))

/* Words of a descriptor that are read: fewer than it has in any version. */
#define WORDS (sizeof(void *) == 8 ? 0x700U / sizeof(uintptr_t) : 0x480U / sizeof(uintptr_t))
#define WORDS_MOST (0x700U / sizeof(uintptr_t))
#define ABOVE_MOST 0x4000U /* from a descriptor's beginning to the end of its stack's memory */

/* A descriptor's head, which a stack that is kept for the next thread still needs: the table of the loader's for
 * thread-local storage is known from there alone. The rest is the ended thread's, its result among it. */
#define HEAD (4 * sizeof(uintptr_t))

typedef struct dead_stack {
  uintptr_t descriptor; /* 0: none */
  size_t bounds;        /* word of the descriptor: start of the stack's memory, its size and that of its guard */
  size_t id;            /* offset of the thread's number, in bytes */
} dead_stack;

/* By the descriptor's address: a stack that is used again and again has one place. */
#define DEAD_STACKS 1024U
static dead_stack dead_stacks[DEAD_STACKS];

static uintptr_t own_descriptor(void) {
  uintptr_t descriptor;
#if defined(__x86_64__)
  __asm__("mov %%fs:0, %0" : "=r"(descriptor));
#else
  __asm__("mov %%gs:0, %0" : "=r"(descriptor));
#endif
  return descriptor;
}

static bool is_bounds(const uintptr_t *words, uintptr_t descriptor) {
  uintptr_t const start = words[0];
  uintptr_t const size = words[1];
  uintptr_t const guard = words[2];
  uintptr_t const end = start + size;
  return ((start | size | guard) & 0xFFF) == 0 && guard != 0 && guard < size && start < descriptor &&
         end > descriptor && end - descriptor < ABOVE_MOST;
}

static uint32_t id_at(const uintptr_t *words, size_t offset) {
  uint32_t id;
  memcpy(&id, (const char *)words + offset, sizeof id);
  return id;
}

void rf_dead_stacks_note(uint32_t id) {
  dead_stack g = {own_descriptor(), 0, 0};
  const uintptr_t *const words = (const uintptr_t *)g.descriptor;
  while (g.bounds + 3 <= WORDS && !is_bounds(words + g.bounds, g.descriptor)) {
    g.bounds++;
  }
  while (g.id < WORDS * sizeof *words && id_at(words, g.id) != id) {
    g.id += sizeof id;
  }
  if (g.bounds + 3 <= WORDS && g.id < WORDS * sizeof *words) {
    dead_stacks[(g.descriptor >> 12) % DEAD_STACKS] = g;
  }
}

/* The memory may be gone, or be something else by now. */
static bool read_descriptor(const dead_stack *g, uintptr_t *words) {
  size_t const size = WORDS * sizeof *words;
  struct iovec local = {NULL, size};
  local.iov_base = words; /* in an initialiser, clang-tidy does not see that it is written to */
  struct iovec const remote = {(void *)g->descriptor, size};
  return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* A descriptor begins with its own address, and has it once more as its third word. The number is -1 where another
 * thread has waited for the end. */
static bool is_dead(const dead_stack *g, const uintptr_t *words) {
  uint32_t const id = id_at(words, g->id);
  return words[0] == g->descriptor && words[2] == g->descriptor && is_bounds(words + g->bounds, g->descriptor) &&
         (id == 0 || id == UINT32_MAX);
}

/* Another thread has waited for the end, and has the result. */
static bool is_joined(const dead_stack *g, const uintptr_t *words) {
  return id_at(words, g->id) == UINT32_MAX;
}

bool rf_dead_stacks_each(bool (*visit)(uintptr_t start, uintptr_t end, void *context), void *context) {
  bool all = true;
  for (size_t i = 0; i < DEAD_STACKS; i++) {
    const dead_stack *const g = &dead_stacks[i];
    uintptr_t words[WORDS_MOST];
    if (g->descriptor == 0 || !read_descriptor(g, words) || !is_dead(g, words)) {
      continue;
    }
    uintptr_t const bottom = words[g->bounds];
    all = visit(bottom + words[g->bounds + 2], g->descriptor, context) && all;
    if (is_joined(g, words)) {
      all = visit(g->descriptor + HEAD, bottom + words[g->bounds + 1], context) && all;
    }
  }
  return all;
}

#else

void rf_dead_stacks_note(uint32_t id) {
  (void)id;
}

bool rf_dead_stacks_each(bool (*visit)(uintptr_t start, uintptr_t end, void *context), void *context) {
  (void)visit;
  (void)context;
  return true;
}

#endif
