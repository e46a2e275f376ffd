/* A malloc to preload behind the drop-in: keeps a header before each block, and takes its memory from the C library by
 * the names that it has of its own, which are the drop-in's, too. ONLY_ALIGNED_ALLOC, ONLY_POSIX_MEMALIGN or
 * ONLY_MEMALIGN leaves the other aligned functions out. It has a function of jemalloc's for blocks that its free takes,
 * too. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

void *__libc_malloc(size_t size);
void __libc_free(void *ptr);

unsigned long next_malloc_calls;

typedef struct header {
  void *start;
  size_t size;
  size_t mark;
  size_t unused;
} header;

#define MARK ((size_t)0x5AFEB10C)

static void *give(size_t align, size_t size) {
  __atomic_add_fetch(&next_malloc_calls, 1, __ATOMIC_RELAXED);
  if (align > PTRDIFF_MAX || size > PTRDIFF_MAX - align - sizeof(header)) {
    errno = ENOMEM;
    return NULL;
  }
  char *const start = __libc_malloc(size + align + sizeof(header));
  if (start == NULL) {
    return NULL;
  }
  header *const block = (header *)(((uintptr_t)start + sizeof(header) + align - 1) & ~(uintptr_t)(align - 1));
  block[-1] = (header){start, size, MARK, 0};
  return block;
}

void *malloc(size_t size) {
  return give(16, size);
}

void *calloc(size_t count, size_t size) {
  if (count != 0 && size > PTRDIFF_MAX / count) {
    errno = ENOMEM;
    return NULL;
  }
  void *const block = give(16, count * size);
  return block != NULL ? memset(block, 0, count * size) : NULL;
}

void free(void *ptr) {
  if (ptr != NULL) {
    header *const block = (header *)ptr - 1;
    if (block->mark != MARK) {
      __builtin_trap();
    }
    block->mark = 0;
    if (block->start != NULL) {
      __libc_free(block->start);
    }
  }
}

size_t malloc_usable_size(void *ptr) {
  return ptr != NULL ? ((header *)ptr)[-1].size : 0;
}

/* On pages of its own, which stay. */
void *mallocx(size_t size, int flags) {
  (void)flags;
  header *const block = mmap(NULL, sizeof *block + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) {
    return NULL;
  }
  *block = (header){NULL, size, MARK, 0};
  return block + 1;
}

void *realloc(void *ptr, size_t size) {
  bool const mapped = ptr != NULL && ((header *)ptr)[-1].start == NULL;
  void *const block = mapped ? mallocx(size, 0) : give(16, size);
  if (block != NULL && ptr != NULL) {
    size_t const old = malloc_usable_size(ptr);
    memcpy(block, ptr, old < size ? old : size);
    free(ptr);
  }
  return block;
}

#if !defined(ONLY_ALIGNED_ALLOC) && !defined(ONLY_POSIX_MEMALIGN)
void *memalign(size_t align, size_t size) {
  size_t power = 16;
  while (power < align && power <= PTRDIFF_MAX) {
    power *= 2;
  }
  if (power < align) {
    errno = EINVAL;
    return NULL;
  }
  return give(power, size);
}
#endif

#if !defined(ONLY_MEMALIGN) && !defined(ONLY_POSIX_MEMALIGN)
void *aligned_alloc(size_t align, size_t size) {
  return give(align < 16 ? 16 : align, size);
}
#endif

#if !defined(ONLY_MEMALIGN) && !defined(ONLY_ALIGNED_ALLOC)
int posix_memalign(void **out, size_t align, size_t size) {
  int const saved = errno;
  if ((align & (align - 1)) != 0 || align % sizeof(void *) != 0) {
    return EINVAL;
  }
  void *const block = give(align < 16 ? 16 : align, size);
  errno = saved;
  if (block != NULL) {
    *out = block;
  }
  return block != NULL ? 0 : ENOMEM;
}
#endif
