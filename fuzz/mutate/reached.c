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

// A library under test replaces the functions; and a static program comes here before it has an errno.
static long call(long number, long a, long b, long c, long d, long e) {
#if defined(__x86_64__)
  register long fourth __asm__("r10") = d;
  register long fifth __asm__("r8") = e;
  register long sixth __asm__("r9") = 0;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                   : "rcx", "r11", "memory");
  return result;
#else
  int const kept = errno;
  long const result = syscall(number, a, b, c, d, e, 0L);
  errno = kept;
  return result;
#endif
}

static unsigned char *open_marks(void) {
  long const size = (long)mark_of(__etext) + 1;
  long const fd = call(SYS_openat, AT_FDCWD, (long)RF_REACHED_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600, 0);
  long at = -1;
  if (fd >= 0) {
    if (call(SYS_ftruncate, fd, size, 0, 0, 0) == 0) {
      at = call(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    }
    (void)call(SYS_close, fd, 0, 0, 0, 0);
  }
  return at > 0 ? (unsigned char *)at : NO_MARKS;
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
