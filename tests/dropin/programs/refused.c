/* Calls with pointers that lead nowhere, in each place that the library looks at itself: they fail with EFAULT. */
#define _GNU_SOURCE
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROGRAM "/bin/true"

static char *const words[] = {(char[]){"true"}, NULL};

#define FAILS(call) EXPECT((call) == -1 && errno == EFAULT)

static void another_program_is_not_started(char *nowhere) {
  char *const *const nowhere_too = (char *const *)(void *)nowhere;
  char *const entries[] = {(char[]){"A=1"}, nowhere, (char[]){"B=2"}, NULL};
  int const program = open(PROGRAM, O_RDONLY | O_CLOEXEC);
  pid_t child;
  FAILS(execve(nowhere, words, environ));
  FAILS(execve(PROGRAM, nowhere_too, environ));
  FAILS(execve(PROGRAM, words, nowhere_too));
  FAILS(execve(PROGRAM, words, entries));
  FAILS(execv(nowhere, words));
  FAILS(execl(nowhere, "true", (char *)NULL));
  FAILS(execle(PROGRAM, "true", (char *)NULL, nowhere_too));
  FAILS(fexecve(program, words, nowhere_too));
  FAILS((int)syscall(SYS_execveat, AT_FDCWD, nowhere, words, environ, 0));
  FAILS(execveat(AT_FDCWD, nowhere, words, environ, 0));
  FAILS(execveat(program, nowhere, words, environ, 0));
  FAILS(execveat(AT_FDCWD, PROGRAM, words, entries, 0));
  EXPECT(posix_spawn(&child, nowhere, NULL, NULL, words, environ) == EFAULT);
  EXPECT(posix_spawnp(&child, PROGRAM, NULL, NULL, words, nowhere_too) == EFAULT);
  EXPECT(posix_spawn(&child, PROGRAM, NULL, NULL, words, nowhere_too) == EFAULT);
  EXPECT(posix_spawn(&child, PROGRAM, NULL, NULL, words, entries) == EFAULT);
  (void)close(program);
}

static void a_stack_for_handlers_is_not_set(char *nowhere) {
  FAILS(sigaltstack((const stack_t *)(void *)nowhere, NULL));
  FAILS(sigaltstack(NULL, (stack_t *)(void *)nowhere));
}

static char *volatile none; /* the compiler would know better */

static void a_program_has_a_name(void) {
  FAILS(execveat(AT_FDCWD, none, words, environ, 0));
  FAILS(execve(none, words, environ));
}

int main(void) {
  size_t const page = (size_t)sysconf(_SC_PAGESIZE);
  char *const pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(pages != MAP_FAILED);
  EXPECT(mprotect(pages + page, page, PROT_NONE) == 0);
  memset(pages, 'a', page);
  /* A closed page, the first one, and what begins well and ends in a closed page. NULL has a meaning in most places. */
  char *const each[] = {pages + page, (char *)8, pages + page - sizeof(void *)};
  for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
    another_program_is_not_started(each[i]);
    a_stack_for_handlers_is_not_set(each[i]);
  }
  a_program_has_a_name();
  return expect_done();
}
