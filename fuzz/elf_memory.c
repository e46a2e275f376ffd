#define _GNU_SOURCE
#include "elf_memory.h"

#include "tools/ringfence/base/arena.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>

/* No descriptors of the process. */
#define FILE_NUMBER 0x454C46
#define OTHER_NUMBER 0x454C47

int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_fstat(int fd, struct stat *out);
void *__wrap_mmap(void *at, size_t size, int rights, int flags, int fd, off_t offset);
int __wrap_munmap(void *start, size_t size);
ssize_t __wrap_pread(int fd, void *out, size_t size, off_t offset);
ssize_t __wrap_readlink(const char *path, char *out, size_t size);
unsigned long __wrap_getauxval(unsigned long type);
bool __wrap_rf_host_readable(const void *p, size_t size);
void *__wrap_rf_bump_arena_alloc(rf_bump_arena *arena, size_t size);
void *__wrap_rf_bump_arena_array(rf_bump_arena *arena, size_t count, size_t size);

int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
int __real_fstat(int fd, struct stat *out);
void *__real_mmap(void *at, size_t size, int rights, int flags, int fd, off_t offset);
int __real_munmap(void *start, size_t size);
ssize_t __real_pread(int fd, void *out, size_t size, off_t offset);
ssize_t __real_readlink(const char *path, char *out, size_t size);
unsigned long __real_getauxval(unsigned long type);
bool __real_rf_host_readable(const void *p, size_t size);
void *__real_rf_bump_arena_alloc(rf_bump_arena *arena, size_t size);
void *__real_rf_bump_arena_array(rf_bump_arena *arena, size_t count, size_t size);

rf_elf_memory rf_elf_file;
static unsigned reads;

static bool is_ours(int fd) {
  return fd == FILE_NUMBER || fd == OTHER_NUMBER;
}

static int open_other(const char *path) {
  unsigned const number = rf_elf_file.others++;
  if (number < RF_ELF_PATHS) {
    size_t const length = strnlen(path, RF_ELF_PATH_BYTES - 1);
    memcpy(rf_elf_file.paths[number], path, length);
    rf_elf_file.paths[number][length] = '\0';
  }
  if (number + 1 != rf_elf_file.present) {
    errno = ENOENT;
    return -1;
  }
  rf_elf_file.open++;
  return OTHER_NUMBER;
}

int __wrap_open(const char *path, int flags, ...) {
  if (rf_elf_file.bytes == NULL) {
    va_list arguments;
    va_start(arguments, flags);
    unsigned const mode = va_arg(arguments, unsigned);
    va_end(arguments);
    return __real_open(path, flags, mode);
  }
  if (strcmp(path, RF_ELF_PATH) != 0) {
    return open_other(path);
  }
  rf_elf_file.open++;
  return FILE_NUMBER;
}

int __wrap_close(int fd) {
  if (!is_ours(fd)) {
    return __real_close(fd);
  }
  rf_elf_file.open--;
  return 0;
}

int __wrap_fstat(int fd, struct stat *out) {
  if (!is_ours(fd)) {
    return __real_fstat(fd, out);
  }
  memset(out, 0, sizeof *out);
  out->st_mode = S_IFREG;
  out->st_size = (off_t)(fd == FILE_NUMBER ? rf_elf_file.announced : rf_elf_file.other_size);
  return 0;
}

void *__wrap_mmap(void *at, size_t size, int rights, int flags, int fd, off_t offset) {
  if (!is_ours(fd)) {
    return __real_mmap(at, size, rights, flags, fd, offset);
  }
  rf_elf_file.open++;
  return (void *)(uintptr_t)(fd == FILE_NUMBER ? rf_elf_file.bytes : rf_elf_file.other);
}

int __wrap_munmap(void *start, size_t size) {
  if (start != NULL && (start == rf_elf_file.bytes || start == rf_elf_file.other)) {
    rf_elf_file.open--;
    return 0;
  }
  return __real_munmap(start, size);
}

ssize_t __wrap_pread(int fd, void *out, size_t size, off_t offset) {
  if (!is_ours(fd)) {
    return __real_pread(fd, out, size, offset);
  }
  if (rf_elf_file.interrupted && reads++ % 2 == 0) {
    errno = EINTR;
    return -1;
  }
  if (offset < 0) {
    errno = EINVAL;
    return -1;
  }
  size_t const left = (uint64_t)offset < rf_elf_file.size ? rf_elf_file.size - (size_t)offset : 0;
  size_t const most = size < rf_elf_file.piece ? size : rf_elf_file.piece;
  size_t const given = most < left ? most : left;
  memcpy(out, rf_elf_file.bytes + (given != 0 ? (size_t)offset : 0), given);
  rf_elf_file.read += given;
  return (ssize_t)given;
}

ssize_t __wrap_readlink(const char *path, char *out, size_t size) {
  if (strcmp(path, RF_ELF_PATH) != 0) {
    return __real_readlink(path, out, size);
  }
  errno = EINVAL;
  return -1;
}

unsigned long __wrap_getauxval(unsigned long type) {
  if (rf_elf_file.segments == NULL || (type != AT_PHDR && type != AT_PHNUM)) {
    return __real_getauxval(type);
  }
  return type == AT_PHDR ? (unsigned long)rf_elf_file.segments : rf_elf_file.segment_count;
}

/* The image of a program is its file here. */
bool __wrap_rf_host_readable(const void *p, size_t size) {
  if (rf_elf_file.bytes == NULL) {
    return __real_rf_host_readable(p, size);
  }
  uintptr_t const into = (uintptr_t)p - (uintptr_t)rf_elf_file.bytes;
  return size != 0 && into < rf_elf_file.size && size <= rf_elf_file.size - into;
}

void *__wrap_rf_bump_arena_alloc(rf_bump_arena *arena, size_t size) {
  rf_elf_file.taken += size;
  return __real_rf_bump_arena_alloc(arena, size);
}

void *__wrap_rf_bump_arena_array(rf_bump_arena *arena, size_t count, size_t size) {
  rf_elf_file.taken += count * size;
  return __real_rf_bump_arena_array(arena, count, size);
}
