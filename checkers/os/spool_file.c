#define _GNU_SOURCE /* secure_getenv, O_PATH, sigtimedwait */
#include "spool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <ringfence/port.h>
#include <ringfence/sink.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "above_standard.h"
#include "clock.h"
#include "held_signals.h"
#include "lib/core/compiler.h"
#include "proc_self.h"
#include "refused_write.h"
#include "same_file.h"
#include "soft_limit.h"
#include "uncancelled.h"

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

#define LOCK_TRIES 4
#define SEGMENT_TRIES 16

static const char current[] = "spool/current";
static const char *const shared_starts[RF_SPOOL_SHARED_PLACES] = RF_SPOOL_SHARED_STARTS;

/* ---- Places ---- */

static void put_place(char out[RF_SPOOL_PATH], const char *folder, size_t length, const char *rest) {
  rf_sink_buffer text;
  rf_sink_buffer_init(&text, out, RF_SPOOL_PATH);
  rf_sink_mem(&text.sink, folder, length);
  rf_sink_str(&text.sink, rest);
  if (text.length + 1 == RF_SPOOL_PATH || out[0] != '/') {
    out[0] = '\0';
  }
}

static void put_own_place(char out[RF_SPOOL_PATH], const char *variable, const char *rest) {
  const char *const folder = secure_getenv(variable);
  if (folder != NULL) {
    put_place(out, folder, strlen(folder), rest);
  }
}

static void put_relative_place(char out[RF_SPOOL_PATH], const char *wanted, size_t length) {
  char folder[RF_SPOOL_PATH];
  rf_sink_buffer text;
  if (getcwd(folder, sizeof folder) == NULL) {
    return;
  }
  rf_sink_buffer_init(&text, out, RF_SPOOL_PATH);
  rf_sink_str(&text.sink, folder);
  rf_sink_char(&text.sink, '/');
  rf_sink_mem(&text.sink, wanted, length);
  if (text.length + 1 == RF_SPOOL_PATH) {
    out[0] = '\0';
  }
}

RF_COLD void rf_spool_file_init(rf_spool_file *spool, const char *wanted, size_t length) {
  int const saved = errno;
  memcpy((void *)spool->shared, (const void *)shared_starts, sizeof spool->shared);
  spool->places[0][0] = '\0';
  spool->places[1][0] = '\0';
  spool->too_large = false;
  spool->arrived = 0;
  spool->descriptor = -1;
  if (length == 4 && memcmp(wanted, "auto", 4) == 0) {
    put_own_place(spool->places[0], "XDG_STATE_HOME", "/ringfence");
    put_own_place(spool->places[1], "HOME", "/.local/state/ringfence");
  } else if (wanted[0] == '/') {
    put_place(spool->places[0], wanted, length, "");
  } else {
    put_relative_place(spool->places[0], wanted, length);
  }
  errno = saved;
}

/* The folders of all users' own in folders of everybody's. */
static void put_shared_place(char out[RF_SPOOL_PATH], const char *start) {
  rf_sink_buffer text;
  rf_sink_buffer_init(&text, out, RF_SPOOL_PATH);
  rf_sink_str(&text.sink, start);
  rf_sink_uint(&text.sink, geteuid());
}

/* ---- Folders ---- */

static int open_folder(const char *path, bool shared) {
  return rf_above_standard(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | (shared ? O_NOFOLLOW : 0)));
}

/* Makes the folder and those above it that are missing. */
static void make_folders(const char *path) {
  char part[RF_SPOOL_PATH];
  size_t const length = strlen(path);
  for (size_t i = 1; i <= length; i++) {
    if (path[i] == '/' || path[i] == '\0') {
      memcpy(part, path, i);
      part[i] = '\0';
      (void)mkdir(part, 0700);
    }
  }
}

RF_COLD bool rf_spool_is_own(int folder) {
  struct stat st;
  return fstat(folder, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int open_place(const char *path, bool shared) {
  int folder = open_folder(path, shared);
  if (folder < 0 && errno == ENOENT) {
    if (shared) {
      (void)mkdir(path, 0700);
    } else {
      make_folders(path);
    }
    folder = open_folder(path, shared);
  }
  if (folder >= 0 && shared && !rf_spool_is_own(folder)) {
    (void)close(folder);
    return -1;
  }
  return folder;
}

/* ---- The file ---- */

static int open_file(int folder) {
  int const flags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  int fd = openat(folder, current, flags, 0600);
  if (fd < 0 && errno == ENOENT) {
    (void)mkdirat(folder, "spool", 0700);
    fd = openat(folder, current, flags, 0600);
  }
  return rf_above_standard(fd);
}

typedef enum outcome { DONE, BUSY, FAILED } outcome;

/* A collector renames the file and locks it; the path then names another one, or none. */
static outcome lock(int folder, int fd, struct stat *st) {
  struct stat named;
  if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode)) {
    return FAILED;
  }
  if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return BUSY;
  }
  bool const same = fstatat(folder, current, &named, AT_SYMLINK_NOFOLLOW) == 0 && rf_is_same_file(&named, st);
  return same ? DONE : BUSY;
}

/* As write(2) answers, but signals are passed over. A line is written at once: the limit for sizes of files, where the
 * program may raise it, is raised before. */
static ssize_t write_once(rf_spool_file *spool, int fd, const char *bytes, size_t size) {
  rf_soft_limit sizes = {.files = true};
  ssize_t written = 0;
  bool const raised = rf_soft_limit_raise(&sizes);
  do {
    written = write(fd, bytes, size);
  } while (written < 0 && errno == EINTR);
  int const error = errno;
  if (raised) {
    rf_soft_limit_lower(&sizes);
  }
  errno = error;
  spool->too_large = spool->too_large || (written < 0 && errno == EFBIG);
  return written;
}

/* A line that a full disk or a killed writer cut short is ended first, so that it costs itself only. */
static outcome append(rf_spool_file *spool, int fd, char *line, size_t size) {
  struct stat st;
  char last = '\n';
  bool const cut = fstat(fd, &st) == 0 && st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
  line[-1] = '\n';
  ssize_t const written = write_once(spool, fd, line - cut, size + cut);
  size_t const own = written > (ssize_t)cut ? (size_t)written - cut : 0;
  spool->arrived = own > spool->arrived ? own : spool->arrived;
  return written == (ssize_t)(size + cut) ? DONE : FAILED;
}

static outcome append_locked(rf_spool_file *spool, int folder, char *line, size_t size) {
  struct stat st;
  int const fd = open_file(folder);
  if (fd < 0) {
    return FAILED;
  }
  spool->descriptor = fd;
  outcome result = lock(folder, fd, &st);
  if (result == DONE) {
    if ((st.st_mode & 0600) != 0600) {
      (void)fchmod(fd, 0600); /* a umask may take the user's own rights */
    }
    result = append(spool, fd, line, size);
  }
  (void)flock(fd, LOCK_UN); /* a child of fork may have a copy of the descriptor */
  spool->descriptor = -1;
  (void)close(fd);
  return result;
}

/* ---- A segment of its own, where a collector hangs with the lock ---- */

static void put_name(char *out, size_t room, const char *start, uint64_t number) {
  rf_sink_buffer text;
  rf_sink_buffer_init(&text, out, room);
  rf_sink_str(&text.sink, start);
  rf_sink_uint(&text.sink, number);
}

/* Written under a name that collectors pass over; then it is whole, and gets one that they take. */
static outcome write_segment(rf_spool_file *spool, int folder, const char *line, size_t size) {
  char before[64];
  char name[64];
  uint64_t number = rf_clock_ns(CLOCK_REALTIME);
  put_name(before, sizeof before, "spool/new-", number ^ (uint64_t)getpid() << 40);
  int const fd = rf_above_standard(openat(folder, before, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd < 0) {
    return FAILED;
  }
  outcome result = write_once(spool, fd, line, size) == (ssize_t)size ? BUSY : FAILED;
  (void)close(fd);
  for (unsigned i = 0; i < SEGMENT_TRIES && result == BUSY; i++) {
    put_name(name, sizeof name, "spool/segment-", number++);
    if (linkat(folder, before, folder, name, 0) == 0) {
      result = DONE;
    }
  }
  (void)unlinkat(folder, before, 0);
  return result;
}

/* ---- The doorbell ---- */

/* Too long a path for a socket's address is reached by the folder's descriptor. */
static void put_doorbell(char *out, size_t room, const char *path, int folder) {
  rf_sink_buffer text;
  rf_sink_buffer_init(&text, out, room);
  rf_sink_str(&text.sink, path);
  rf_sink_str(&text.sink, "/doorbell");
  if (text.length + 1 == room) {
    rf_sink_buffer_init(&text, out, room);
    rf_sink_str(&text.sink, RF_PROC_PATH("fd/"));
    rf_sink_uint(&text.sink, (uint64_t)folder);
    rf_sink_str(&text.sink, "/doorbell");
  }
}

/* True where a collector listens, also one that is behind. */
static bool ring_doorbell(int folder, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  put_doorbell(address.sun_path, sizeof address.sun_path, path, folder);
  int const fd = rf_above_standard(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd < 0) {
    return false;
  }
  ssize_t const sent =
      sendto(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&address, sizeof address);
  bool const listens = sent == 1 || errno == EAGAIN;
  (void)close(fd);
  return listens;
}

RF_COLD bool rf_spool_file_ring(const char *folder) {
  int const saved = errno;
  int const fd = open_folder(folder, false);
  bool const listens = fd >= 0 && ring_doorbell(fd, folder);
  if (fd >= 0) {
    (void)close(fd);
  }
  errno = saved;
  return listens;
}

/* ---- Appending ---- */

static bool append_to(rf_spool_file *spool, const char *path, bool shared, char *line, size_t size, bool ring) {
  outcome result = BUSY;
  int const folder = open_place(path, shared);
  if (folder < 0) {
    return false;
  }
  for (unsigned i = 0; i < LOCK_TRIES && result == BUSY; i++) {
    if (i != 0) {
      (void)sched_yield();
    }
    result = append_locked(spool, folder, line, size);
  }
  if (result == BUSY) {
    result = write_segment(spool, folder, line, size);
  }
  if (result == DONE && ring) {
    (void)ring_doorbell(folder, path);
  }
  (void)close(folder);
  return result == DONE;
}

static bool append_anywhere(rf_spool_file *spool, char *line, size_t size, bool ring) {
  char path[RF_SPOOL_PATH];
  for (unsigned i = 0; i < 2; i++) {
    if (spool->places[i][0] != '\0' && append_to(spool, spool->places[i], false, line, size, ring)) {
      return true;
    }
  }
  for (unsigned i = 0; i < RF_SPOOL_SHARED_PLACES && spool->shared[i] != NULL; i++) {
    put_shared_place(path, spool->shared[i]);
    if (append_to(spool, path, true, line, size, ring)) {
      return true;
    }
  }
  return false;
}

/* Also in a program that has used up its descriptors. */
static bool append_in_any_case(rf_spool_file *spool, char *line, size_t size, bool ring) {
  rf_soft_limit descriptors = {.files = false};
  errno = 0;
  bool done = append_anywhere(spool, line, size, ring);
  if (!done && errno == EMFILE && rf_soft_limit_raise(&descriptors)) {
    done = append_anywhere(spool, line, size, ring);
    rf_soft_limit_lower(&descriptors);
  }
  return done;
}

/* A file at its size limit sends SIGXFSZ, which is taken back; no handler of the program runs in between, which might
 * fork, or leave by longjmp. Faults are not blocked. */
RF_COLD bool rf_spool_file_append(rf_spool_file *spool, char *line, size_t size, bool ring) {
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin();
  sigset_t blocked;
  sigset_t before;
  sigset_t pending;
  rf_all_but_faults(&blocked);
  (void)sigpending(&pending);
  (void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
  spool->too_large = false;
  spool->arrived = 0;
  bool const done = append_in_any_case(spool, line, size, ring);
  spool->arrived = done ? size : spool->arrived;
  if (spool->too_large && sigismember(&pending, SIGXFSZ) == 0 && !rf_refused_write_take(SIGXFSZ, true)) {
    (void)sigaddset(&before, SIGXFSZ);
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  rf_uncancelled_end(cancellation);
  errno = saved;
  return done;
}

/* Inside fork, which is no point of cancellation; close is one. */
RF_COLD void rf_spool_file_forked(rf_spool_file *spool) {
  int const cancellation = rf_uncancelled_begin();
  if (spool->descriptor > STDERR_FILENO) {
    (void)close(spool->descriptor);
  }
  rf_uncancelled_end(cancellation);
  spool->descriptor = -1;
}
