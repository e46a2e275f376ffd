/* A program with functions of the C library's that are its own, and allocate: mmap, clock_gettime. The C library's
 * malloc calls neither. */
#define _GNU_SOURCE
#include "expect.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static __thread int inside;

static void allocate(void) {
  if (!inside) {
    inside = 1;
    free(malloc(20));
    inside = 0;
  }
}

#if defined(SYS_mmap2)
#define MMAP_CALL SYS_mmap2
#define OFFSET_UNIT(offset) ((offset) / 4096)
#else
#define MMAP_CALL SYS_mmap
#define OFFSET_UNIT(offset) (offset)
#endif

void *mmap(void *at, size_t size, int rights, int flags, int file, off_t offset) {
  allocate();
  return (void *)syscall(MMAP_CALL, at, size, rights, flags, file, OFFSET_UNIT(offset));
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  allocate();
  return (int)syscall(SYS_clock_gettime, clock, now);
}

static void *use(void *unused) {
  for (size_t i = 0; i < 1000; i++) {
    free(malloc(i * 30));
  }
  return unused;
}

int main(void) {
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, use, NULL) == 0);
  EXPECT(pthread_join(thread, NULL) == 0);
  for (size_t i = 0; i < 1000; i++) {
    free(malloc(i * 300));
  }
  pid_t const child = fork();
  if (child == 0) {
    free(malloc(9));
    exit(0);
  }
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
  return expect_done();
}
