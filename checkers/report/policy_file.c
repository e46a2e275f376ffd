/* The policy of a collector's folder, and its segment. */
#define _GNU_SOURCE
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ringfence/sink.h>

#include "checkers/os/forbidden_calls.h"
#include "checkers/os/spool_file.h"
#include "checkers/os/uncancelled.h"
#include "lib/core/compiler.h"

/* ---- The file ---- */

static bool is_own(const struct stat *st) {
  return st->st_uid == geteuid() && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int open_own(const char *folder) {
  struct stat st;
  int fd = -1;
  int const place = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
  if (place < 0) {
    return -1;
  }
  if (fstat(place, &st) == 0 && is_own(&st)) {
    fd = openat(place, RF_POLICY_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  }
  (void)close(place);
  if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || !is_own(&st) || st.st_size != sizeof(rf_policy))) {
    (void)close(fd);
    return -1;
  }
  return fd;
}

static int open_shared(const char *start) {
  char path[RF_SPOOL_PATH];
  rf_sink_buffer text;
  struct stat st;
  rf_sink_buffer_init(&text, path, sizeof path);
  rf_sink_str(&text.sink, start);
  rf_sink_uint(&text.sink, geteuid());
  return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) ? open_own(path) : -1;
}

/* The first folder that has one: as a collector chooses its folder. */
static int open_any(const char *folder, size_t length) {
  rf_spool_file places;
  int fd = -1;
  rf_spool_file_init(&places, folder, length);
  for (unsigned i = 0; i < 2 && fd < 0; i++) {
    fd = places.places[i][0] != '\0' ? open_own(places.places[i]) : -1;
  }
  bool const any = length == 4 && memcmp(folder, "auto", 4) == 0;
  for (unsigned i = 0; i < RF_SPOOL_SHARED_PLACES && any && fd < 0; i++) {
    fd = open_shared(places.shared[i]);
  }
  return fd;
}

static bool read_at(void *context, size_t at, void *out, size_t size) {
  ssize_t got = 0;
  do {
    got = pread(*(const int *)context, out, size, (off_t)at);
  } while (got < 0 && errno == EINTR);
  return got == (ssize_t)size;
}

RF_COLD bool rf_policy_read_file(const char *folder, size_t length, const rf_policy_who *who,
                                 const rf_policy_taker *taker, rf_policy_head *head) {
  if (rf_is_forbidden(RF_CALL_OPEN | RF_CALL_SPOOL)) {
    return false;
  }
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin();
  int fd = getauxval(AT_SECURE) == 0 ? open_any(folder, length) : -1;
  rf_policy_source const source = {read_at, &fd};
  bool const done = fd >= 0 && rf_policy_read(&source, who, taker, head);
  if (fd >= 0) {
    (void)close(fd);
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
  return done;
}

/* ---- The segment ---- */

static bool is_ours(int id) {
  struct shmid_ds segment;
  return shmctl(id, IPC_STAT, &segment) == 0 && segment.shm_perm.uid == geteuid() &&
         segment.shm_perm.cuid == geteuid() && (segment.shm_perm.mode & (S_IWGRP | S_IWOTH)) == 0 &&
         segment.shm_segsz >= sizeof(rf_policy);
}

RF_COLD const rf_policy *rf_policy_attach(const rf_policy_head *head) {
  int const saved = errno;
  const rf_policy *found = NULL;
  if (head->live >= 0 && is_ours(head->live)) {
    void *const at = shmat(head->live, NULL, SHM_RDONLY);
    found = at != (void *)-1 ? (const rf_policy *)at : NULL;
    if (found != NULL && (memcmp(found->magic, RF_POLICY_MAGIC, sizeof found->magic) != 0 ||
                          found->version != RF_POLICY_VERSION || found->nonce != head->nonce)) {
      (void)shmdt(at);
      found = NULL;
    }
  }
  errno = saved;
  return found;
}
