#include "tools/service/steering/writer.h"

#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/write_file.h"
#include "tools/service/steering/near.h"
#include "tools/service/steering/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHM_IS_GOING = 01000 }; /* SHM_DEST, of the kernel's headers */

/* ---- The segment ---- */

static bool is_there(int id) {
  struct shmid_ds s;
  return id >= 0 && shmctl(id, IPC_STAT, &s) == 0 && s.shm_perm.uid == geteuid() && s.shm_perm.cuid == geteuid() &&
         (s.shm_perm.mode & 0777) == 0600 && (s.shm_perm.mode & SHM_IS_GOING) == 0 && s.shm_segsz >= sizeof(rf_policy);
}

static rf_policy *attach(int id) {
  void *const at = shmat(id, NULL, 0);
  return at == (void *)-1 ? NULL : (rf_policy *)at;
}

static void detach(rf_policy_writer *w) {
  if (w->live != NULL) {
    (void)shmdt(w->live);
  }
  w->live = NULL;
  w->segment = -1;
}

/* Goes on with the segment and the nonce of the policy file that is there, if the file is whole. */
static void take_over(rf_policy_writer *w) {
  rf_policy before;
  rf_bump_arena arena = {NULL};
  int const fd = open(rf_bump_arena_print(&arena, "%s/" RF_POLICY_FILE, w->directory),
                      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  bool const whole = fd >= 0 && read(fd, &before, sizeof before) == (ssize_t)sizeof before &&
                     memcmp(before.magic, RF_POLICY_MAGIC, sizeof before.magic) == 0 &&
                     before.version == RF_POLICY_VERSION && rf_policy_crc(&before) == before.crc;
  if (whole && is_there(before.live)) {
    rf_policy *const live = attach(before.live);
    if (live != NULL && live->nonce == before.nonce && live->version == RF_POLICY_VERSION) {
      w->live = live;
      w->segment = before.live;
      w->policy.nonce = before.nonce;
    } else if (live != NULL) {
      (void)shmdt(live);
    }
  }
  if (fd >= 0) {
    (void)close(fd);
  }
  rf_bump_arena_free(&arena);
}

static void make_segment(rf_policy_writer *w) {
  w->segment = shmget(IPC_PRIVATE, sizeof(rf_policy), IPC_CREAT | IPC_EXCL | 0600);
  w->live = w->segment < 0 ? NULL : attach(w->segment);
  if (w->live == NULL) {
    rf_diag("no shared memory for steering: %s; processes take rules only when they start", strerror(errno));
    w->segment = -1;
  }
  if (getrandom(&w->policy.nonce, sizeof w->policy.nonce, 0) != (ssize_t)sizeof w->policy.nonce) {
    w->policy.nonce = (uint64_t)rf_store_now() << 20 ^ (uint64_t)getpid();
  }
}

/* Readers see an odd generation while the rest changes. One that stays odd is a collector's that died: the next one
 * ends it here. */
static void write_segment(rf_policy_writer *w) {
  uint32_t const odd = (__atomic_load_n(&w->live->generation, __ATOMIC_RELAXED) | 1U);
  __atomic_store_n(&w->live->generation, odd, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  w->policy.generation = odd;
  memcpy(w->live, &w->policy, offsetof(rf_policy, generation));
  memcpy(&w->live->crc, &w->policy.crc, sizeof w->policy - offsetof(rf_policy, crc));
  __atomic_store_n(&w->live->generation, odd + 1, __ATOMIC_RELEASE);
}

/* ---- The file ---- */

static bool write_policy(const char *path, const rf_policy *policy) {
  int const fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  bool const done = fd >= 0 && fchmod(fd, 0600) == 0 && rf_write_all(fd, (const char *)policy, sizeof *policy);
  return (fd < 0 || close(fd) == 0) && done;
}

static bool write_file(const rf_policy_writer *w) {
  rf_bump_arena arena = {NULL};
  const char *const path = rf_bump_arena_print(&arena, "%s/" RF_POLICY_FILE, w->directory);
  const char *const new_path = rf_bump_arena_print(&arena, "%s.new", path);
  rf_policy out = w->policy;
  out.generation = 0;
  bool const done = write_policy(new_path, &out) && rename(new_path, path) == 0;
  if (!done) {
    int const saved = errno;
    (void)unlink(new_path);
    errno = saved;
  }
  rf_bump_arena_free(&arena);
  return done;
}

/* ---- The policy ---- */

static void put(char *out, size_t room, sqlite3_stmt *s, int column) {
  (void)snprintf(out, room, "%s", rf_store_text(s, column));
}

static void add_rules(rf_policy *p, rf_store *store) {
  sqlite3_stmt *const s = rf_store_select(
      store, "SELECT id, kind, program, build, environment, options FROM steer WHERE ended = 0 ORDER BY id LIMIT 32",
      "");
  while (rf_store_row(store, s)) {
    rf_policy_rule *const r = &p->rules[p->rule_count++];
    r->number = (uint32_t)sqlite3_column_int64(s, 0);
    r->kind = (uint32_t)sqlite3_column_int64(s, 1);
    put(r->program, sizeof r->program, s, 2);
    put(r->build, sizeof r->build, s, 3);
    put(r->environment, sizeof r->environment, s, 4);
    put(r->options, sizeof r->options, s, 5);
  }
}

static void add_sites(rf_policy *p, rf_store *store) {
  sqlite3_stmt *const s = rf_store_select(
      store,
      "SELECT s.build_key, s.site_key, s.finding FROM steer_site s JOIN finding f ON f.id = s.finding WHERE s.raised ="
      " 1 AND s.site_key <> 0 ORDER BY f.last_seen DESC, s.finding LIMIT 256",
      "");
  while (rf_store_row(store, s)) {
    p->sites[p->site_count++] =
        (rf_policy_site){(uint64_t)sqlite3_column_int64(s, 0), (uint32_t)sqlite3_column_int64(s, 1),
                         (uint32_t)sqlite3_column_int64(s, 2)};
  }
}

static void make(rf_policy *p, const rf_policy_writer *w, rf_store *store) {
  memset(p, 0, sizeof *p);
  memcpy(p->magic, RF_POLICY_MAGIC, sizeof p->magic);
  p->version = RF_POLICY_VERSION;
  p->size = sizeof *p;
  p->nonce = w->policy.nonce;
  p->live = w->segment;
  p->newest = (uint32_t)rf_store_number(store, 0, "SELECT coalesce(max(id), 0) FROM steer", "");
  add_rules(p, store);
  add_sites(p, store);
  p->crc = rf_policy_crc(p);
}

static bool bring_up_to_date(rf_store *store) {
  if (!rf_steer_is_overdue(store) && !rf_steer_near_is_due(store)) {
    return !store->failed;
  }
  rf_store_begin(store);
  rf_steer_expire(store);
  rf_steer_near_step(store);
  return rf_store_commit(store);
}

void rf_policy_writer_open(rf_policy_writer *writer, const char *directory) {
  *writer = (rf_policy_writer){.directory = directory, .segment = -1};
  take_over(writer);
  if (writer->live == NULL) {
    make_segment(writer);
  }
}

/* A user who logs out may take the shared memory along. */
static void renew_segment(rf_policy_writer *w) {
  if (w->live != NULL && !is_there(w->segment)) {
    detach(w);
    make_segment(w);
    w->written = false;
  }
}

bool rf_policy_writer_step(rf_policy_writer *writer, rf_store *store) {
  rf_policy next;
  renew_segment(writer);
  if (!bring_up_to_date(store)) {
    return false;
  }
  make(&next, writer, store);
  bool const changed = memcmp(&next, &writer->policy, sizeof next) != 0;
  if (store->failed || (!changed && writer->written)) {
    return false;
  }
  writer->policy = next;
  if (writer->live != NULL && changed) {
    write_segment(writer);
    writer->policy.generation = 0;
  }
  writer->written = write_file(writer);
  if (!writer->written && !writer->complained) {
    rf_diag("%s/" RF_POLICY_FILE ": %s; new processes do not get the rules", writer->directory, strerror(errno));
  }
  writer->complained = !writer->written;
  return changed;
}

void rf_policy_writer_close(rf_policy_writer *writer) {
  struct shmid_ds s;
  rf_bump_arena arena = {NULL};
  bool const alone = writer->live != NULL && shmctl(writer->segment, IPC_STAT, &s) == 0 && s.shm_nattch == 1;
  if (alone && writer->policy.rule_count == 0) {
    (void)unlink(rf_bump_arena_print(&arena, "%s/" RF_POLICY_FILE, writer->directory));
    (void)shmctl(writer->segment, IPC_RMID, NULL);
  }
  if (writer->live != NULL) {
    detach(writer);
  }
  rf_bump_arena_free(&arena);
}
