#define _GNU_SOURCE
#include "dead_stacks.h"

#include "checkers/dropin/os/pages.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__i386__))

/* Words of a descriptor that are read: fewer than it has in any version. */
#define WORDS (sizeof(void *) == 8 ? 0x700U / sizeof(uintptr_t) : 0x480U / sizeof(uintptr_t))
#define WORDS_MOST (0x700U / sizeof(uintptr_t))
#define ABOVE_MOST 0x4000U /* from a descriptor's beginning to the end of its stack's memory */

#define BELOW_ID 24U    /* words of a descriptor before its thread's number, at least */
#define BEHIND_ID 0x20U /* bytes behind it that may be those of an address or of an offset */

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
#define NEAR 32U /* places, for stacks that lie a multiple of 4 MiB apart */
static dead_stack dead_stacks[DEAD_STACKS];
static bool has_any; /* a process without threads need not read them all; accessed atomically */

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

/* Offset of the calling thread's number, `id`, in its descriptor. */
static size_t id_offset(uint32_t id) {
  const uintptr_t *const words = (const uintptr_t *)own_descriptor();
  size_t offset = BELOW_ID * sizeof *words;
  while (offset < WORDS * sizeof *words && id_at(words, offset) != id) {
    offset += sizeof id;
  }
  return offset;
}

/* Sets *bounds to the word where the bounds of the stack begin. False where there are none. */
static bool find_bounds(const uintptr_t *words, uintptr_t descriptor, size_t *bounds) {
  for (size_t word = 0; word + 3 <= WORDS; word++) {
    if (is_bounds(words + word, descriptor)) {
      *bounds = word;
      return true;
    }
  }
  return false;
}

/* The number is -1 where another thread has waited for the end. */
static bool has_no_thread(const uintptr_t *words, size_t offset) {
  uint32_t const id = id_at(words, offset);
  return id == 0 || id == UINT32_MAX;
}

/* Its own, or a free one near its first; where there is none the first is given up. */
static dead_stack *place_of(uintptr_t descriptor) {
  uintptr_t const first = descriptor >> 12;
  for (uintptr_t i = 0; i < NEAR; i++) {
    dead_stack *const g = &dead_stacks[(first + i) % DEAD_STACKS];
    if (g->descriptor == descriptor || g->descriptor == 0) {
      return g;
    }
  }
  return &dead_stacks[first % DEAD_STACKS];
}

/* Keeps the stack with the descriptor at `descriptor`, whose content is `words`. Returns its lowest address; 0: not
 * known, and it is not kept. */
static uintptr_t keep(uintptr_t descriptor, const uintptr_t *words, size_t id) {
  dead_stack g = {descriptor, 0, id};
  if (id >= WORDS * sizeof *words || !find_bounds(words, descriptor, &g.bounds)) {
    return 0;
  }
  *place_of(descriptor) = g;
  __atomic_store_n(&has_any, true, __ATOMIC_RELAXED);
  return words[g.bounds] + words[g.bounds + 2];
}

uintptr_t rf_dead_stacks_note(uint32_t id) {
  uintptr_t const descriptor = own_descriptor();
  uintptr_t const start = keep(descriptor, (const uintptr_t *)descriptor, id_offset(id));
  uintptr_t const here = (uintptr_t)__builtin_frame_address(0);
  return start <= here && here < descriptor ? start : 0;
}

/* The memory may be gone, or be something else by now. */
static bool read_memory(uintptr_t from, void *to, size_t size) {
  struct iovec local = {NULL, size};
  local.iov_base = to; /* in an initialiser, clang-tidy does not see that it is written to */
  struct iovec const remote = {(void *)from, size};
  return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* A descriptor begins with its own address, and has it once more as its third word. */
static bool is_descriptor(const uintptr_t *words, uintptr_t address) {
  return words[0] == address && words[2] == address;
}

/* False where there is no descriptor at `address`. */
static bool read_descriptor(uintptr_t address, uintptr_t *words) {
  return read_memory(address, words, WORDS * sizeof *words) && is_descriptor(words, address);
}

/* ---- Stacks of threads that never called the heap ---- */

/* A descriptor is in the last bytes of a stack's memory. */
#define TOP 4096U
#define STACK_LEAST 0x4000U /* PTHREAD_STACK_MIN, of which a closed page is no part */
#define DESCRIPTOR_ALIGN 64U

/* The copy does not stay: where the drop-in is linked in, it lies among the program's data, whose pointers count. */
static void look_below(uintptr_t end, size_t id) {
  static uintptr_t top[TOP / sizeof(uintptr_t)];
  size_t const step = DESCRIPTOR_ALIGN / sizeof top[0];
  size_t const count = sizeof top / sizeof top[0];
  bool const known = read_memory(end - sizeof top, top, sizeof top);
  for (size_t i = 0; known && i + WORDS <= count; i += step) {
    uintptr_t const address = end - sizeof top + i * sizeof top[0];
    if (is_descriptor(top + i, address)) {
      (void)keep(address, top + i, id);
    }
  }
  memset(top, 0, sizeof top);
}

/* Bytes of a stack where the program does not choose. */
static size_t usual_stack(void) {
  struct rlimit limit;
  bool const limited = getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return limited ? rf_pages_round((size_t)limit.rlim_cur) : (size_t)2 << 20;
}

void rf_dead_stacks_look(uintptr_t start, uintptr_t end, uint32_t id) {
  if (end - start < STACK_LEAST || id == 0) {
    return;
  }
  size_t const usual = usual_stack();
  size_t const offset = id_offset(id);
  look_below(end, offset);
  if (usual >= TOP && usual < end - start) {
    look_below(start + usual, offset);
  }
}

/* ---- Stacks that the C library lists ----
 *
 * Two words right before a thread's number link its descriptor into one of three lists: stacks in use, those of the
 * program's making, those kept for the next thread. The heads of the lists lie side by side. */

#define LINK 2U                 /* words: next, previous */
#define HEADS 2                 /* on either side of a list's head */
#define LISTED_MOST (1U << 16U) /* of one list: what is read may be no list at all */

/* The place of the descriptor's link, by the offset of its number. */
static uintptr_t link_of(uintptr_t descriptor, size_t id) {
  return descriptor + id - LINK * sizeof(uintptr_t);
}

/* Reads the descriptor that has its link at `link`. False where there is none. */
static bool read_linked(uintptr_t link, size_t id, uintptr_t *descriptor, uintptr_t *words) {
  *descriptor = link - link_of(0, id);
  return read_descriptor(*descriptor, words);
}

/* The head of the list that the calling thread is in; 0: not found. */
static uintptr_t own_head(size_t id) {
  uintptr_t words[WORDS_MOST];
  uintptr_t descriptor;
  uintptr_t link = link_of(own_descriptor(), id);
  for (unsigned i = 0; i < LISTED_MOST; i++) {
    if (!read_linked(link, id, &descriptor, words)) {
      return link;
    }
    link = words[id / sizeof *words - LINK];
  }
  return 0;
}

static void keep_listed(uintptr_t head, size_t id) {
  uintptr_t words[WORDS_MOST];
  uintptr_t descriptor;
  uintptr_t before = head;
  uintptr_t link;
  bool linked = read_memory(head, &link, sizeof link);
  for (unsigned i = 0; i < LISTED_MOST && linked && link != head; i++) {
    linked = read_linked(link, id, &descriptor, words) && words[id / sizeof *words - 1] == before;
    if (linked) {
      if (has_no_thread(words, id)) {
        (void)keep(descriptor, words, id);
      }
      before = link;
      link = words[id / sizeof *words - LINK];
    }
  }
}

void rf_dead_stacks_list(uint32_t id) {
  size_t const offset = id_offset(id);
  uintptr_t const head = id != 0 && offset < WORDS * sizeof(uintptr_t) ? own_head(offset) : 0;
  for (intptr_t i = -HEADS; head != 0 && i <= HEADS; i++) {
    keep_listed(head + (uintptr_t)i * LINK * sizeof(uintptr_t), offset);
  }
}

uintptr_t rf_stack_start(uintptr_t own, uintptr_t callers) {
  uintptr_t words[WORDS_MOST];
  uintptr_t const descriptor = own + (own_descriptor() - callers);
  size_t bounds;
  bool const known = read_descriptor(descriptor, words) && find_bounds(words, descriptor, &bounds);
  return known ? words[bounds] + words[bounds + 2] : 0;
}

/* ---- Which are dead ---- */

/* Its creator has marked it until the thread runs: a number of -1 between that of the thread and the bounds. */
static bool is_being_made(const dead_stack *g, const uintptr_t *words) {
  size_t const end = g->bounds * sizeof *words;
  size_t at = g->id + BEHIND_ID;
  while (at < end && id_at(words, at) != UINT32_MAX) {
    at += sizeof(uint32_t);
  }
  return at < end;
}

static bool is_dead(const dead_stack *g, const uintptr_t *words) {
  return is_bounds(words + g->bounds, g->descriptor) && has_no_thread(words, g->id) && !is_being_made(g, words);
}

/* The flags of a thread's end lie behind the head of its list of robust mutexes, which the kernel reads: its second
 * word is the distance from a mutex's link to its futex, small and negative. */
#define LEAST_DISTANCE (-0x100)
#define FLAGS_BEHIND 4U /* words */
#define EXITING 0x10U   /* no destructor of the thread's runs any more */
#define FREED 0x20U     /* the C library may give the stack to the next thread */

/* True once the thread's result cannot be asked for any more: another thread has joined it, or it was detached. Up to
 * glibc 2.42 other words of the descriptor say so as well, later the flags alone. */
static bool is_joined(const dead_stack *g, const uintptr_t *words) {
  size_t word = g->id / sizeof *words + 1;
  while (word < g->bounds && !((intptr_t)words[word] < 0 && (intptr_t)words[word] > LEAST_DISTANCE)) {
    word++;
  }
  word += FLAGS_BEHIND;
  return word < g->bounds && (words[word] & (EXITING | FREED)) == (EXITING | FREED);
}

bool rf_dead_stacks_each(bool (*visit)(uintptr_t start, uintptr_t end, void *context), void *context) {
  bool all = true;
  for (size_t i = 0; i < DEAD_STACKS && __atomic_load_n(&has_any, __ATOMIC_RELAXED); i++) {
    const dead_stack *const g = &dead_stacks[i];
    uintptr_t words[WORDS_MOST];
    if (g->descriptor == 0 || !read_descriptor(g->descriptor, words) || !is_dead(g, words)) {
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

uintptr_t rf_dead_stacks_note(uint32_t id) {
  (void)id;
  return 0;
}

void rf_dead_stacks_look(uintptr_t start, uintptr_t end, uint32_t id) {
  (void)start;
  (void)end;
  (void)id;
}

void rf_dead_stacks_list(uint32_t id) {
  (void)id;
}

uintptr_t rf_stack_start(uintptr_t own, uintptr_t callers) {
  (void)own;
  (void)callers;
  return 0;
}

bool rf_dead_stacks_each(bool (*visit)(uintptr_t start, uintptr_t end, void *context), void *context) {
  (void)visit;
  (void)context;
  return true;
}

#endif
