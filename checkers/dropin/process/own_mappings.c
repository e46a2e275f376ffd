/* mmap, munmap and mremap as the library calls them itself, most of all to serve requests: to the system. A library
 * that is preloaded before it may have functions by these names, which allocate; the C library's malloc calls none,
 * either. The library is linked with --wrap for these three, so that its calls come here. */
#define _GNU_SOURCE
#include "checkers/dropin/os/raw_syscall.h"

#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>

void *__wrap_mmap(void *wish, size_t size, int rights, int how, int fd, off_t from);
int __wrap_munmap(void *start, size_t size);
void *__wrap_mremap(void *start, size_t size, size_t new_size, int how, ...);

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

void *__wrap_mmap(void *wish, size_t size, int rights, int how, int fd, off_t from) {
  long const argument[6] = {(long)wish, (long)size, rights, how, fd, (long)(from / RF_MMAP_OFFSET_UNIT)};
  return (void *)rf_syscall_errno(RF_MMAP_CALL, argument);
}

int __wrap_munmap(void *start, size_t size) {
  return (int)rf_syscall_errno(SYS_munmap, (const long[6]){(long)start, (long)size});
}

void *__wrap_mremap(void *start, size_t size, size_t new_size, int how, ...) {
  void *wish = NULL;
  if ((how & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0) {
    va_list list;
    va_start(list, how);
    wish = va_arg(list, void *);
    va_end(list);
  }
  return (void *)rf_syscall_errno(SYS_mremap,
                                  (const long[6]){(long)start, (long)size, (long)new_size, how, (long)wish});
}
