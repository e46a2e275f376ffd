#define _GNU_SOURCE
#include "kernel_roots.h"

#include "checkers/dropin/os/procfs.h"
#include "checkers/os/maps.h"

#include <fcntl.h>
#include <ringfence/sink.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Lines with an address in hexadecimal behind a mark ---- */

/* 0 where there is none. */
static uintptr_t address_after(const char *line, const char *mark) {
  const char *at = strstr(line, mark);
  if (at == NULL) {
    return 0;
  }
  at += strlen(mark);
  at += strspn(at, " ");
  return (uintptr_t)rf_maps_take_hex(&at);
}

/* Visits the addresses of all whole lines of `text`; the answer is the beginning of the rest. */
static char *visit_lines(rf_roots *roots, char *text, const char *mark) {
  for (char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
    *end = '\0';
    uintptr_t const address = address_after(text, mark);
    roots->visit(&address, 1, roots->context);
  }
  return text;
}

/* Lines are far shorter than the buffer. */
static void visit_file(rf_roots *roots, const char *path, const char *mark) {
  char *const buffer = (char *)roots->buffer;
  size_t kept = 0;
  ssize_t got;
  int const file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return;
  }
  while ((got = read(file, buffer + kept, RF_ROOTS_BUFFER - 1 - kept)) > 0) {
    buffer[kept + (size_t)got] = '\0';
    const char *const rest = visit_lines(roots, buffer, mark);
    kept = strlen(rest);
    memmove(buffer, rest, kept);
  }
  (void)close(file);
}

/* ---- Who holds them ---- */

static void path_of(char *text, size_t size, const char *folder, uint32_t descriptor) {
  rf_sink_buffer path;
  rf_sink_buffer_init(&path, text, size);
  rf_sink_str(&path.sink, folder);
  rf_sink_uint(&path.sink, descriptor);
}

static bool is_epoll(uint32_t descriptor) {
  static const char kind[] = "anon_inode:[eventpoll]";
  char path[64];
  char target[sizeof kind];
  path_of(path, sizeof path, "/proc/thread-self/fd/", descriptor);
  long const length = syscall(SYS_readlinkat, AT_FDCWD, path, target, sizeof target);
  return length == (long)sizeof kind - 1 && memcmp(target, kind, sizeof kind - 1) == 0;
}

/* "tfd: 5 events: 19 data: 5555deadbeef pos:0 …" for each descriptor that is watched. */
static void visit_descriptor(uint32_t descriptor, void *context) {
  char path[64];
  if (is_epoll(descriptor)) {
    path_of(path, sizeof path, "/proc/thread-self/fdinfo/", descriptor);
    visit_file(context, path, "data:");
  }
}

void rf_kernel_roots_read(rf_roots *roots) {
  stack_t handlers = {.ss_sp = NULL};
  (void)sigaltstack(NULL, &handlers);
  uintptr_t const stack = (uintptr_t)handlers.ss_sp;
  roots->visit(&stack, 1, roots->context);
  (void)rf_procfs_each_descriptor(visit_descriptor, roots);
  visit_file(roots, "/proc/self/timers", "/"); /* "signal: 10/00005555deadbeef" for each timer */
}
