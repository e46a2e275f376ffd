#include "tools/service/exchange/symbol_files.h"

#include "tools/ringfence/base/elf.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/write_file.h"
#include "tools/service/exchange/child_limits.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROBE_S = 5, PROBE_GIB = 1, LEFTOVER_MS = 3600000 };

/* ---- Names ---- */

bool rf_symbol_id_is(const char *text) {
  size_t const length = strlen(text);
  return length >= 4 && length < RF_SYMBOL_ID && length % 2 == 0 && strspn(text, "0123456789abcdef") == length;
}

const char *rf_symbol_path(rf_bump_arena *arena, const char *directory, const char *build_id, const char *kind) {
  return build_id == NULL || !rf_symbol_id_is(build_id)
             ? NULL
             : rf_bump_arena_print(arena, "%s/symbols/%s-%s", directory, build_id, kind);
}

const char *rf_symbol_new_path(rf_bump_arena *arena, const char *directory) {
  static unsigned made;
  (void)mkdir(rf_bump_arena_print(arena, "%s/symbols", directory), 0700);
  /* In a container each server is process 1: the time tells its files from those of one that was killed. */
  return rf_bump_arena_print(arena, "%s/symbols/new-%d-%" PRId64 "-%u", directory, (int)getpid(), rf_store_steady(),
                             ++made);
}

/* ---- Reading ---- */

static const char *fault_of(rf_elf_status status) {
  switch (status) {
  case RF_ELF_UNREADABLE:
    return "cannot be read";
  case RF_ELF_BYTE_ORDER:
    return "is of a machine with the other byte order, which symbolizers here do not read";
  case RF_ELF_DAMAGED:
    return "is a damaged ELF file";
  default:
    return "is no ELF file: upload the program, the library, or its file of debug information";
  }
}

/* The answer of the child. */
typedef struct told {
  rf_symbol_file file;
  char fault[RF_SYMBOL_MESSAGE];
} told;

static void read_elf(const char *path, told *out) {
  rf_bump_arena arena = {NULL};
  rf_elf elf;
  rf_elf_status const status = rf_elf_open(&elf, path, &arena);
  if (status != RF_ELF_OK) {
    (void)snprintf(out->fault, sizeof out->fault, "%s", fault_of(status));
    return;
  }
  const char *const id = rf_elf_build_id(&elf);
  if (id == NULL || !rf_symbol_id_is(id)) {
    (void)snprintf(out->fault, sizeof out->fault, "has no build-id: link it with -Wl,--build-id");
    return;
  }
  (void)snprintf(out->file.build_id, sizeof out->file.build_id, "%s", id);
  out->file.bytes = elf.size;
  for (size_t i = 0; i < elf.section_count; i++) {
    const rf_elf_section *const s = &elf.sections[i];
    out->file.debuginfo = out->file.debuginfo || s->type == SHT_SYMTAB;
    out->file.executable = out->file.executable || (s->type == SHT_PROGBITS && (s->flags & SHF_EXECINSTR) != 0);
  }
  out->file.lines = rf_elf_has_section(&elf, ".debug_line") || rf_elf_has_section(&elf, ".zdebug_line");
  if (!out->file.debuginfo && !out->file.executable) {
    (void)snprintf(out->fault, sizeof out->fault, "has neither symbols nor code");
  }
}

static void be_child(int answers, const char *path) {
  told out = {.fault = ""};
  rf_child_limit(PROBE_S, PROBE_GIB);
  read_elf(path, &out);
  _exit(write(answers, &out, sizeof out) == (ssize_t)sizeof out ? 0 : 1);
}

bool rf_symbol_probe(const char *path, const char *name, rf_symbol_file *out, char message[RF_SYMBOL_MESSAGE]) {
  int pair[2];
  told answer;
  if (pipe2(pair, O_CLOEXEC) != 0) {
    (void)snprintf(message, RF_SYMBOL_MESSAGE, "%s: %s", name, strerror(errno));
    return false;
  }
  pid_t const child = fork();
  if (child == 0) {
    be_child(pair[1], path);
  }
  (void)close(pair[1]);
  /* The pipe's end tells of the child's, whatever became of it. */
  bool const whole = child > 0 && read(pair[0], &answer, sizeof answer) == (ssize_t)sizeof answer;
  (void)close(pair[0]);
  while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  if (!whole || answer.fault[0] != '\0') {
    (void)snprintf(message, RF_SYMBOL_MESSAGE, "%.150s %.140s", name,
                   whole ? answer.fault : "cannot be read within the limits of time and memory");
    return false;
  }
  *out = answer.file;
  return rf_symbol_id_is(out->build_id);
}

/* ---- Keeping ---- */

static void note(rf_store *store, const rf_symbol_file *f, const char *kind, const char *name) {
  rf_store_run(store, "DELETE FROM symbol_file WHERE build_id = ? AND kind = 'asked'", "t", f->build_id);
  rf_store_run(store, "INSERT OR REPLACE INTO symbol_file(build_id, kind, name, bytes, time) VALUES(?,?,?,?,?)",
               "tttii", f->build_id, kind, name, (int64_t)f->bytes, rf_store_now());
}

enum { KINDS = 2 };

/* The files of a build, and which of them a new one is put in place of. */
typedef struct places {
  const char *paths[KINDS];
  const char *names[KINDS];
  const char *before[KINDS]; /* what lies there, under another name; NULL: it has none */
  bool free[KINDS];          /* nothing lies there */
  bool put[KINDS];
  unsigned old; /* what the best one that stays tells: worth_of */
} places;

/* No file, or none that can be read: 0. */
static unsigned worth_of(const rf_symbol_file *f) {
  return 1U + (f->debuginfo ? 1U : 0U) + (f->lines ? 2U : 0U);
}

static unsigned worth_at(const char *path) {
  char message[RF_SYMBOL_MESSAGE];
  rf_symbol_file there;
  return access(path, R_OK) == 0 && rf_symbol_probe(path, "", &there, message) ? worth_of(&there) : 0;
}

/* An executable that has its symbols is both. */
static places places_of(rf_bump_arena *arena, const char *directory, const rf_symbol_file *f) {
  places p = {.names = {RF_SYMBOL_DEBUGINFO, RF_SYMBOL_EXECUTABLE}};
  bool const has[KINDS] = {f->debuginfo, f->executable};
  for (int i = 0; i < KINDS; i++) {
    p.paths[i] = rf_symbol_path(arena, directory, f->build_id, p.names[i]);
    unsigned const old = has[i] ? worth_at(p.paths[i]) : 0;
    p.put[i] = has[i] && old <= worth_of(f);
    p.old = has[i] && !p.put[i] && old > p.old ? old : p.old;
  }
  return p;
}

static bool place(const char *path, const places *p) {
  if (!p->put[0] && !p->put[1]) {
    return unlink(path) == 0;
  }
  if (p->put[0] && p->put[1]) {
    (void)unlink(p->paths[1]);
    if (link(path, p->paths[1]) != 0) {
      return false;
    }
  }
  return rename(path, p->paths[p->put[0] ? 0 : 1]) == 0;
}

/* Keeps the files that are to be replaced, until it is clear that they are. */
static void keep_before(rf_bump_arena *arena, const char *directory, places *p) {
  for (int i = 0; i < KINDS; i++) {
    const char *const name = p->put[i] ? rf_symbol_new_path(arena, directory) : NULL;
    p->before[i] = name != NULL && link(p->paths[i], name) == 0 ? name : NULL;
    p->free[i] = name != NULL && p->before[i] == NULL && errno == ENOENT;
  }
}

/* The new file is in their place, or, where it could not be noted, they are in it again. */
static void settle(const char *path, const places *p, bool noted) {
  for (int i = 0; i < KINDS; i++) {
    if (!noted && p->free[i]) {
      (void)unlink(p->paths[i]);
    }
    if (!noted && p->before[i] != NULL) {
      (void)rename(p->before[i], p->paths[i]);
    }
    if (p->before[i] != NULL) { /* one name of two, where both were of one file still */
      (void)unlink(p->before[i]);
    }
  }
  (void)unlink(path);
}

static const char *kept_text(const places *p) {
  return p->old == 0  ? ""
         : p->old > 2 ? "; one with lines is there already, and stays"
                      : "; one with symbols is there already, and stays";
}

/* Puts the file into its places and notes it, or neither. */
static bool keep(rf_store *store, const char *directory, const char *path, const places *p, const rf_symbol_file *f,
                 const char *shown, char message[RF_SYMBOL_MESSAGE]) {
  rf_store_begin(store);
  if (!store->failed && !place(path, p)) {
    (void)snprintf(message, RF_SYMBOL_MESSAGE, "%.100s cannot be kept in %.100s/symbols: %s", shown, directory,
                   strerror(errno));
    rf_store_rollback(store);
    return false;
  }
  for (int i = 0; i < KINDS; i++) {
    if (p->put[i]) {
      note(store, f, p->names[i], shown);
    }
  }
  if (!rf_store_commit(store)) {
    (void)snprintf(message, RF_SYMBOL_MESSAGE, "%s", store->error);
    return false;
  }
  return true;
}

rf_store_outcome rf_symbol_adopt(rf_store *store, rf_bump_arena *arena, const char *directory, const char *path,
                                 const char *name, rf_symbol_file *out, char message[RF_SYMBOL_MESSAGE]) {
  const char *const shown = rf_base_name(name);
  if (!rf_symbol_probe(path, shown, out, message)) {
    (void)unlink(path);
    return RF_STORE_REFUSED;
  }
  places p = places_of(arena, directory, out);
  keep_before(arena, directory, &p);
  bool const kept = keep(store, directory, path, &p, out, shown, message);
  settle(path, &p, kept);
  if (!kept) {
    return RF_STORE_FAILED;
  }
  (void)snprintf(message, RF_SYMBOL_MESSAGE, "%.100s: %s of build %s%s", shown,
                 !out->executable ? "symbols"
                 : out->debuginfo ? "program and symbols"
                                  : "program without symbols",
                 out->build_id, kept_text(&p));
  return RF_STORE_DONE;
}

static bool copy(const char *from, const char *to) {
  static char buffer[1 << 16];
  int const in = open(from, O_RDONLY | O_CLOEXEC);
  int const out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  ssize_t got = out < 0 ? -1 : 1;
  while (got > 0) {
    got = read(in, buffer, sizeof buffer);
    if (got > 0 && !rf_write_all(out, buffer, (size_t)got)) {
      got = -1;
    }
  }
  int const saved = errno;
  if (in >= 0) {
    (void)close(in);
  }
  bool const closed = out >= 0 && close(out) == 0;
  if (out >= 0 && got < 0) {
    (void)unlink(to);
  }
  errno = saved;
  return got == 0 && closed;
}

bool rf_symbol_add(rf_store *store, rf_bump_arena *arena, const char *directory, const char *path, rf_symbol_file *out,
                   char message[RF_SYMBOL_MESSAGE]) {
  const char *const to = rf_symbol_new_path(arena, directory);
  if (!rf_symbol_probe(path, rf_base_name(path), out, message)) {
    return false;
  }
  if (!copy(path, to)) {
    (void)snprintf(message, RF_SYMBOL_MESSAGE, "%.150s cannot be copied: %s", path, strerror(errno));
    return false;
  }
  return rf_symbol_adopt(store, arena, directory, to, path, out, message) == RF_STORE_DONE;
}

/* ---- Limits ---- */

static void drop_leftovers(rf_bump_arena *arena, const char *directory) {
  const char *const folder = rf_bump_arena_print(arena, "%s/symbols", directory);
  DIR *const d = opendir(folder);
  for (const struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d)) {
    struct stat st;
    if (strncmp(e->d_name, "new-", 4) == 0 && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        (int64_t)st.st_mtime * 1000 < rf_store_now() - LEFTOVER_MS) {
      (void)unlinkat(dirfd(d), e->d_name, 0);
    }
  }
  if (d != NULL) {
    (void)closedir(d);
  }
}

void rf_symbol_thin(rf_store *store, rf_bump_arena *arena, const char *directory, int64_t most) {
  static const char sum[] = "SELECT coalesce(sum(bytes), 0) FROM symbol_file";
  drop_leftovers(arena, directory);
  while (most != 0 && !store->failed && rf_store_number(store, 0, sum, "") > most) {
    sqlite3_stmt *const s = rf_store_select(
        store, "SELECT build_id, kind FROM symbol_file WHERE bytes > 0 ORDER BY time, build_id, kind LIMIT 1", "");
    if (!rf_store_row(store, s)) {
      return;
    }
    const char *const id = rf_bump_arena_copy(arena, rf_store_text(s, 0));
    const char *const kind = rf_bump_arena_copy(arena, rf_store_text(s, 1));
    rf_store_done(s);
    const char *const path = rf_symbol_path(arena, directory, id, kind);
    rf_store_begin(store);
    rf_store_run(store, "DELETE FROM symbol_file WHERE build_id = ? AND kind = ?", "tt", id, kind);
    if (!rf_store_commit(store)) {
      return; /* until the next time: the row is there still */
    }
    if (path != NULL) {
      (void)unlink(path);
    }
  }
}
