// Linked into each program and library whose reach is measured: marks each basic block that runs, by its place, in a
// file that all processes share. So a process that is killed, forks or aborts has told all that it did, and no memory
// is allocated for it. RF_REACHED_FILE is the name of the file; a process that cannot map it marks nothing.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// The linker's: begin and end of what is executed.
extern char const __ehdr_start[] __attribute__((visibility("hidden")));
extern char const __etext[] __attribute__((visibility("hidden")));

// Two calls stand at least 5 bytes apart.
enum { BYTES_PER_MARK = 4 };

#define NO_MARKS ((unsigned char *)-1)

static unsigned char *marks;

static size_t mark_of(char const *code) {
  return (size_t)(code - __ehdr_start) / BYTES_PER_MARK;
}

// By system calls: a library under test replaces the functions.
static unsigned char *open_marks(void) {
  int const kept = errno;
  long const fd = syscall(SYS_openat, AT_FDCWD, RF_REACHED_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  long at = -1;
  if (fd >= 0 && syscall(SYS_ftruncate, fd, mark_of(__etext) + 1) == 0) {
    at = syscall(SYS_mmap, NULL, mark_of(__etext) + 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (fd >= 0) {
    syscall(SYS_close, fd);
  }
  errno = kept;
  return (unsigned char *)at;
}

void __sanitizer_cov_trace_pc(void) __attribute__((visibility("hidden")));

// The compiler calls it at the begin of each basic block. A function that ends with it jumps here, and returns into the
// code of others.
void __sanitizer_cov_trace_pc(void) {
  unsigned char *to = __atomic_load_n(&marks, __ATOMIC_RELAXED);
  size_t const mark = mark_of(__builtin_return_address(0));
  if (mark > mark_of(__etext)) {
    return;
  }
  if (to == NULL) {
    to = open_marks();
    __atomic_store_n(&marks, to, __ATOMIC_RELAXED);
  }
  if (to != NO_MARKS) {
    to[mark] = 1;
  }
}
