#define _GNU_SOURCE
#include "kernel_roots.h"

#include "checkers/dropin/os/procfs.h"
#include "checkers/dropin/runtime/handed_over.h"
#include "checkers/os/chars.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/maps.h"
#include "checkers/os/proc_self.h"
#include "lib/core/compiler.h"

#include <fcntl.h>
#include <limits.h>
#include <ringfence/sink.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
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
  at += rf_chars_in(at, " ");
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
RF_COLD static void visit_file(rf_roots *roots, const char *path, const char *mark) {
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

/* ---- Bytes that wait to be read ---- */

#define CARRIED_MOST (sizeof(uintptr_t) - 1)

/* A message may begin at any byte, and a word lie across the border of two pieces: the last bytes of one, the first
 * `carried` of the buffer, are visited again with the next. Returns how many are left there for that. */
static size_t visit_piece(rf_roots *roots, size_t carried, size_t got) {
  unsigned char last[CARRIED_MOST];
  size_t const size = carried + got;
  size_t const kept = size < sizeof last ? size : sizeof last;
  memcpy(last, roots->buffer + size - kept, kept);
  roots->any_byte = true;
  rf_roots_visit_buffer(roots, size);
  roots->any_byte = false;
  memcpy(roots->buffer, last, kept);
  return kept;
}

static void read_pipe(rf_roots *roots, int own) {
  size_t carried = 0;
  ssize_t got;
  while ((got = read(own, roots->buffer + carried, RF_ROOTS_BUFFER - carried)) > 0) {
    carried = visit_piece(roots, carried, (size_t)got);
  }
}

/* The program may have enlarged its pipe; a new one is small where the user has many. */
static void enlarge(int own, int theirs) {
  int const size = fcntl(theirs, F_GETPIPE_SZ);
  if (size > fcntl(own, F_GETPIPE_SZ)) {
    (void)fcntl(own, F_SETPIPE_SZ, size);
  }
}

/* A copy of them goes to a pipe of our own; they stay. Fails for the end of a pipe that is written to. Of a pipe that
 * keeps messages apart (O_DIRECT) a read gives one of them. */
static void visit_pipe(rf_roots *roots, int descriptor) {
  int own[2];
  if (pipe2(own, O_CLOEXEC | O_NONBLOCK) != 0) {
    return;
  }
  enlarge(own[1], descriptor);
  if (tee(descriptor, own[1], INT_MAX, SPLICE_F_NONBLOCK) > 0) {
    read_pipe(roots, own[0]);
  }
  (void)close(own[0]);
  (void)close(own[1]);
}

/* Each look begins where the one before ended, and so comes to all messages. Shut down, or empty, a socket gives 0. */
static void visit_messages(rf_roots *roots, int descriptor) {
  int const start = 0;
  int before = -1; /* none */
  socklen_t length = sizeof before;
  bool const goes_on = getsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &before, &length) == 0 &&
                       setsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof start) == 0;
  size_t carried = 0;
  ssize_t got;
  do {
    got = recv(descriptor, roots->buffer + carried, RF_ROOTS_BUFFER - carried, MSG_PEEK | MSG_DONTWAIT);
    carried = got > 0 ? visit_piece(roots, carried, (size_t)got) : 0;
  } while (goes_on && got > 0);
  if (goes_on) {
    (void)setsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &before, sizeof before);
  }
}

/* Visits what the kernel keeps for a socket between processes, or within one. */
static void visit_socket(rf_roots *roots, int descriptor) {
  int domain = 0;
  socklen_t length = sizeof domain;
  if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX) {
    visit_messages(roots, descriptor);
  }
}

/* "tfd: 5 events: 19 data: 5555deadbeef pos:0 …" for each descriptor that is watched. */
static void visit_epoll(rf_roots *roots, uint32_t descriptor) {
  char path[64];
  path_of(path, sizeof path, RF_PROC_PATH("fdinfo/"), descriptor);
  visit_file(roots, path, "data:");
}

RF_COLD static void visit_descriptor(uint32_t descriptor, void *context) {
  char path[64];
  char kind[32] = "";
  path_of(path, sizeof path, RF_PROC_PATH("fd/"), descriptor);
  (void)syscall(SYS_readlinkat, AT_FDCWD, path, kind, sizeof kind - 1);
  if (rf_roots_begins(kind, "anon_inode:[eventpoll]")) {
    visit_epoll(context, descriptor);
  } else if (rf_roots_begins(kind, "pipe:[") && !rf_is_forbidden(RF_CALL_PEEK)) {
    visit_pipe(context, (int)descriptor);
  } else if (rf_roots_begins(kind, "socket:[") && !rf_is_forbidden(RF_CALL_PEEK)) {
    visit_socket(context, (int)descriptor);
  }
}

void rf_kernel_roots_read(rf_roots *roots) {
  stack_t handlers = {.ss_sp = NULL};
  (void)sigaltstack(NULL, &handlers);
  uintptr_t const stack = (uintptr_t)handlers.ss_sp;
  roots->visit(&stack, 1, roots->context);
  (void)rf_procfs_each_descriptor(visit_descriptor, roots);
  rf_handed_over_visit(roots->visit, roots->context);
  visit_file(roots, "/proc/self/timers", "/"); /* "signal: 10/00005555deadbeef" for each timer */
}
