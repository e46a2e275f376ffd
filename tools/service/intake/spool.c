#include "tools/service/intake/spool.h"

#include "checkers/os/spool_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* One transaction takes in no more bytes: its pages still fit into the cache of the store. */
enum { BUFFER = 2 << 20, LOCK_WAIT_MS = 1000, LOCK_LOOK_MS = 10 };

static const char current[] = "current";
static const char segment[] = "segment-"; /* made by processes that could not have the lock of the current file */
static const char ours[] = "taken-";      /* ours: a number is used again only when its position is forgotten */

/* ---- Opening ---- */

static bool say(char *error, size_t size, const char *what, const char *path) {
  (void)snprintf(error, size, "%s %s: %s", what, path, strerror(errno));
  return false;
}

static bool make_folders(const char *path) {
  char part[4096];
  (void)snprintf(part, sizeof part, "%s", path);
  for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(part, 0700) != 0 && errno != EEXIST) {
      return false;
    }
    *slash = '/';
  }
  return mkdir(part, 0700) == 0 || errno == EEXIST;
}

/* By way of the folder's descriptor: names of sockets are short, paths in a build's sandbox are long. */
static int open_doorbell(int directory) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/doorbell", directory);
  int const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  (void)unlinkat(directory, "doorbell", 0);
  mode_t const mask = umask(0177);
  int const bound = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&address, sizeof address);
  (void)umask(mask);
  if (bound != 0 && fd >= 0) {
    (void)close(fd);
  }
  return bound == 0 ? fd : -1;
}

static bool say_open_to_others(char *error, size_t size, const char *directory, const char *folder) {
  (void)snprintf(error, size, "%s%s belongs to another user or is open to others: use a folder of mode 0700", directory,
                 folder);
  return false;
}

/* Opens DIR/spool, made where it is missing, in the folder that is open and ours. */
static bool open_folder(rf_spool *spool, const char *directory, char *error, size_t error_size) {
  (void)mkdirat(spool->directory, "spool", 0700);
  spool->folder = openat(spool->directory, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (spool->folder < 0) {
    return say(error, error_size, "cannot use the spool in", directory);
  }
  if (!rf_spool_is_own(spool->folder)) {
    return say_open_to_others(error, error_size, directory, "/spool");
  }
  spool->buffer = (char *)malloc(BUFFER);
  return spool->buffer != NULL || say(error, error_size, "cannot use the spool in", directory);
}

bool rf_spool_lock(int directory) {
  struct timespec const wait = {0, LOCK_LOOK_MS * 1000000L};
  int64_t const last = rf_store_steady() + LOCK_WAIT_MS;
  bool locked = flock(directory, LOCK_EX | LOCK_NB) == 0;
  while (!locked && errno == EWOULDBLOCK && rf_store_steady() < last) {
    (void)nanosleep(&wait, NULL);
    locked = flock(directory, LOCK_EX | LOCK_NB) == 0;
  }
  return locked;
}

bool rf_spool_open_directory(const char *directory, int *fd, char *error, size_t error_size) {
  *fd = -1;
  if (!make_folders(directory)) {
    return say(error, error_size, "cannot make", directory);
  }
  *fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*fd < 0) {
    return say(error, error_size, "cannot open", directory);
  }
  if (!rf_spool_is_own(*fd)) {
    return say_open_to_others(error, error_size, directory, "");
  }
  return true;
}

bool rf_spool_open(rf_spool *spool, const char *directory, char *error, size_t error_size) {
  *spool = (rf_spool){.directory = -1, .folder = -1, .doorbell = -1, .next = 1};
  if (!rf_spool_open_directory(directory, &spool->directory, error, error_size)) {
    return false;
  }
  if (!rf_spool_lock(spool->directory)) {
    (void)snprintf(error, error_size, "another `ringfence serve` runs on %s", directory);
    return false;
  }
  if (!open_folder(spool, directory, error, error_size)) {
    return false;
  }
  spool->doorbell = open_doorbell(spool->directory);
  return true;
}

void rf_spool_open_shared(rf_spool *spool, const char *directory) {
  char error[1]; /* its reason is for nobody */
  *spool = (rf_spool){.directory = -1, .folder = -1, .doorbell = -1, .next = 1};
  (void)snprintf(spool->label, sizeof spool->label, "%s/", directory);
  spool->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (spool->directory < 0 || !rf_spool_is_own(spool->directory) || flock(spool->directory, LOCK_EX | LOCK_NB) != 0 ||
      !open_folder(spool, directory, error, sizeof error)) {
    rf_spool_close(spool);
  }
}

void rf_spool_close(rf_spool *spool) {
  if (spool->doorbell >= 0) {
    (void)unlinkat(spool->directory, "doorbell", 0);
    (void)close(spool->doorbell);
  }
  if (spool->folder >= 0) {
    (void)close(spool->folder);
  }
  if (spool->directory >= 0) {
    (void)close(spool->directory);
  }
  free(spool->buffer);
  spool->directory = spool->folder = spool->doorbell = -1;
  spool->buffer = NULL;
}

void rf_spool_drain_doorbell(const rf_spool *spool) {
  char bytes[64];
  for (int i = 0; i < 4096 && spool->doorbell >= 0 && recv(spool->doorbell, bytes, sizeof bytes, 0) >= 0; i++) {
  }
}

/* ---- Segments ---- */

static int64_t number_of(const char *name) {
  char *end = NULL;
  if (strncmp(name, ours, strlen(ours)) != 0) {
    return -1;
  }
  long long const number = strtoll(name + strlen(ours), &end, 10);
  return *end == '\0' && number > 0 && number < INT64_MAX / 2 ? number : -1;
}

static int by_number(const void *a, const void *b) {
  int64_t const left = *(const int64_t *)a;
  int64_t const right = *(const int64_t *)b;
  return (left > right) - (left < right);
}

/* Calls `each` with the names in the spool. */
static void list_names(rf_spool *spool, void (*each)(rf_spool *spool, const char *name)) {
  int const fd = openat(spool->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *const d = fd < 0 ? NULL : fdopendir(fd);
  for (const struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d)) {
    each(spool, e->d_name);
  }
  if (d != NULL) {
    (void)closedir(d);
  } else if (fd >= 0) {
    (void)close(fd);
  }
}

/* An entry that is no regular file is not taken in, but its number is not used again. */
static void note_number(rf_spool *spool, const char *name) {
  int64_t const number = number_of(name);
  struct stat st;
  spool->next = number >= spool->next ? number + 1 : spool->next;
  if (number >= 0 && spool->count < RF_SPOOL_SEGMENTS && fstatat(spool->folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISREG(st.st_mode)) {
    spool->numbers[spool->count++] = number;
  }
}

/* Makes a file of writers one of ours, unless it is empty or no file. */
static void cut(rf_spool *spool, const char *name) {
  struct stat st;
  char renamed[32];
  if ((strcmp(name, current) != 0 && strncmp(name, segment, strlen(segment)) != 0) ||
      spool->count == RF_SPOOL_SEGMENTS || fstatat(spool->folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(st.st_mode) || st.st_size == 0) {
    return;
  }
  (void)snprintf(renamed, sizeof renamed, "%s%lld", ours, (long long)spool->next);
  if (renameat(spool->folder, name, spool->folder, renamed) == 0) {
    spool->numbers[spool->count++] = spool->next++;
  }
}

/* Sets spool->numbers to all that is to be taken in, in order. */
static void list_segments(rf_spool *spool, rf_store *store) {
  int64_t const known =
      rf_store_number(store, 0,
                      "SELECT max(CAST(substr(name, length(?1) + 7) AS INTEGER)) FROM segment WHERE substr(name, 1,"
                      " length(?1) + 6) = ?1 || 'taken-'",
                      "t", spool->label);
  spool->next = known >= spool->next ? known + 1 : spool->next;
  spool->count = 0;
  list_names(spool, note_number);
  list_names(spool, cut);
  qsort(spool->numbers, spool->count, sizeof spool->numbers[0], by_number);
}

/* ---- One segment ---- */

typedef struct reader {
  rf_spool *spool;
  rf_intake *intake;
  const char *name;
  int fd;
  int64_t taken; /* up to here, committed */
  bool skipping; /* the rest of a line that is too long */
} reader;

/* A writer that was killed, or a full disk, leaves half a line, and the next writer continues behind it. */
static void take_line(rf_intake *intake, char *line, size_t length) {
  static const char start[] = "{\"record\":";
  char *whole = line;
  for (char *at = line; at != NULL && length - (size_t)(at - line) > strlen(start);) {
    at = (char *)memmem(at + 1, length - (size_t)(at + 1 - line), start, strlen(start));
    whole = at != NULL ? at : whole;
  }
  if (whole != line) {
    rf_intake_loss(intake, "half-written lines", 1);
  }
  rf_intake_line(intake, whole, length - (size_t)(whole - line));
}

static bool commit(const reader *r, int64_t taken) {
  rf_intake_begin(r->intake);
  rf_store_run(r->intake->store, "INSERT OR REPLACE INTO segment(name, taken) VALUES(?, ?)", "ti", r->name, taken);
  if (r->spool->finished[0] != '\0') {
    rf_store_run(r->intake->store, "DELETE FROM segment WHERE name = ?", "t", r->spool->finished);
  }
  bool const done = rf_intake_commit(r->intake);
  if (done) {
    r->spool->finished[0] = '\0';
  }
  return done;
}

/* Takes the lines in the buffer, which was read from r->taken on. Returns the bytes used. */
static size_t take_buffer(reader *r, size_t size) {
  char *const buffer = r->spool->buffer;
  size_t at = 0;
  while (at < size && !rf_intake_is_full(r->intake)) {
    char *const feed = (char *)memchr(buffer + at, '\n', size - at);
    if (feed == NULL) {
      break;
    }
    size_t const length = (size_t)(feed - (buffer + at));
    if (r->skipping) {
      r->skipping = false;
    } else if (length != 0) {
      take_line(r->intake, buffer + at, length);
    }
    at += length + 1;
  }
  if (at == 0 && size == BUFFER) {
    rf_intake_loss(r->intake, r->skipping ? "further pieces of lines too long" : "lines too long", 1);
    r->skipping = true;
    at = size;
  }
  return at;
}

/* One transaction. Returns false after a failure; *done at the end of the segment. */
static bool take_piece(reader *r, bool *done) {
  ssize_t const got = pread(r->fd, r->spool->buffer, BUFFER, (off_t)r->taken);
  if (got < 0) {
    rf_store_fail(r->intake->store, SQLITE_IOERR, "reading the spool");
    return false;
  }
  size_t used = take_buffer(r, (size_t)got);
  *done = got < BUFFER && (used == (size_t)got || !rf_intake_is_full(r->intake));
  if (*done && used < (size_t)got) {
    rf_intake_loss(r->intake, "half-written lines", 1);
    used = (size_t)got;
  }
  if (!commit(r, r->taken + (int64_t)used)) {
    return false;
  }
  r->taken += (int64_t)used;
  return true;
}

typedef enum outcome { FAILED, LEFT, TAKEN } outcome;

static outcome take_segment(rf_spool *spool, rf_intake *intake, int64_t number, bool once, bool *more) {
  char name[32];
  char row[sizeof spool->finished];
  (void)snprintf(name, sizeof name, "%s%lld", ours, (long long)number);
  (void)snprintf(row, sizeof row, "%s%s", spool->label, name);
  reader r = {.spool = spool, .intake = intake, .name = row};
  r.fd = openat(spool->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (r.fd < 0) {
    return LEFT;
  }
  if (flock(r.fd, LOCK_EX | LOCK_NB) != 0) {
    spool->held++;
    (void)close(r.fd);
    return LEFT;
  }
  r.taken = rf_store_number(intake->store, 0, "SELECT taken FROM segment WHERE name = ?", "t", row);
  bool done = false;
  bool fine = true;
  do {
    fine = take_piece(&r, &done);
  } while (fine && !done && (!once || r.skipping));
  if (fine && done && unlinkat(spool->folder, name, 0) == 0) {
    memcpy(spool->finished, row, sizeof row);
  }
  *more = *more || (fine && !done);
  (void)close(r.fd);
  return fine ? TAKEN : FAILED;
}

bool rf_spool_take(rf_spool *spool, rf_intake *intake, bool once, bool *more) {
  *more = false;
  spool->held = 0;
  if (spool->folder < 0) {
    return true;
  }
  list_segments(spool, intake->store);
  for (size_t i = 0; i < spool->count; i++) {
    outcome const one = take_segment(spool, intake, spool->numbers[i], once, more);
    if (one == FAILED) {
      return false;
    }
    if (once && one == TAKEN) {
      *more = *more || i + 1 < spool->count;
      return true;
    }
  }
  return true;
}

uint64_t rf_spool_waiting(const char *directory) {
  char path[4096];
  struct stat st;
  uint64_t sum = 0;
  (void)snprintf(path, sizeof path, "%s/spool", directory);
  DIR *const d = opendir(path);
  for (const struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d)) {
    if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
      sum += (uint64_t)st.st_size;
    }
  }
  if (d != NULL) {
    (void)closedir(d);
  }
  return sum;
}
