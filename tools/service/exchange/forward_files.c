/* The files that are forwarded: segments of a spool, and JSON lines. */
#include "tools/service/exchange/forward.h"

#include "checkers/report/fnv.h"
#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/json.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/read_file.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/base/write_file.h"
#include "tools/service/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names in a folder, in an arena. */
typedef struct names {
  char **list;
  size_t count;
} names;

/* `order`: for qsort. */
static names list_names(rf_bump_arena *arena, int folder, bool (*wanted)(const char *name),
                        int (*order)(const void *a, const void *b)) {
  names out = {.list = NULL};
  int const fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *const d = fd < 0 ? NULL : fdopendir(fd);
  for (const struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d)) {
    if (wanted(e->d_name)) {
      RF_APPENDED(arena, out.list, out.count) = rf_bump_arena_copy(arena, e->d_name);
    }
  }
  if (d != NULL) {
    (void)closedir(d);
  } else if (fd >= 0) {
    (void)close(fd);
  }
  if (out.count != 0) {
    qsort(out.list, out.count, sizeof *out.list, order);
  }
  return out;
}

/* ---- Lines ---- */

enum { BUFFER = 1 << 20, TAIL = 4096 };

/* Takes a line, without its line feed, that begins at `at`. False ends the reading. */
typedef bool line_taker(void *context, const char *line, size_t length, uint64_t at);

/* Calls `take` with the whole lines from *at on, in pieces: files may be larger than memory. Sets *at behind the last
 * one that was taken; *tail to the bytes of a line without an end. A line that is longer than the buffer is passed
 * over. */
static bool read_lines(rf_forward *f, int fd, uint64_t *at, size_t *tail, line_taker *take, void *context) {
  char *const buffer = (char *)malloc(BUFFER);
  ssize_t got = 0;
  bool fine = buffer != NULL;
  bool skipping = false; /* the rest of a line that is too long */
  while (fine && (got = pread(fd, buffer, BUFFER, (off_t)*at)) > 0) {
    size_t used = 0;
    const char *feed = NULL;
    while (fine && (feed = (const char *)memchr(buffer + used, '\n', (size_t)got - used)) != NULL) {
      size_t const length = (size_t)(feed - (buffer + used));
      fine = skipping || length == 0 || take(context, buffer + used, length, *at + used);
      skipping = skipping && !fine;
      used += fine ? length + 1 : 0;
    }
    if (used == 0 && got < BUFFER) {
      break;
    }
    bool const too_long = used == 0 && fine;
    f->lost += too_long && !skipping;
    skipping = skipping || too_long;
    *at += too_long ? (uint64_t)got : used;
  }
  *tail = fine && got > 0 ? (size_t)got : 0;
  free(buffer);
  return fine && got >= 0;
}

/* ---- Spools ---- */

/* A writer that was killed leaves half a line, and the next one continues behind it: the last record counts. */
static bool send_record(rf_forward *f, const char *line, size_t length) {
  static const char start[] = "{\"record\":";
  const char *const end = line + length;
  const char *whole = line;
  for (const char *at = line; at != NULL; whole = at != NULL ? at : whole) {
    at = (const char *)memmem(at + 1, (size_t)(end - at - 1), start, strlen(start));
  }
  f->lost += whole != line;
  return rf_forward_line(f, whole, (size_t)(end - whole));
}

static bool take_record(void *context, const char *line, size_t length, uint64_t at) {
  (void)at;
  return send_record((rf_forward *)context, line, length);
}

static bool send_segment(rf_forward *f, int folder, const char *name) {
  uint64_t at = 0;
  size_t tail = 0;
  int const fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  struct stat st;
  /* A process still writes to it, or it is no file. */
  if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (fd >= 0) {
      (void)close(fd);
    }
    return true;
  }
  bool const fine = read_lines(f, fd, &at, &tail, take_record, f) && rf_forward_flush(f);
  f->lost += fine && tail != 0;
  if (fine) {
    (void)unlinkat(folder, name, 0);
  }
  (void)close(fd);
  return fine;
}

static bool is_written(const char *name) {
  return strcmp(name, "current") == 0 || strncmp(name, "segment-", 8) == 0;
}

static bool is_taken(const char *name) {
  return strncmp(name, "taken-", 6) == 0;
}

/* As `serve` does: the lower number is the older one. */
static int by_number(const void *a, const void *b) {
  const char *const left = *(const char *const *)a;
  const char *const right = *(const char *const *)b;
  size_t const lengths[] = {strlen(left), strlen(right)};
  return lengths[0] != lengths[1] ? (lengths[0] > lengths[1]) - (lengths[0] < lengths[1]) : strcmp(left, right);
}

/* As `serve` takes them: under a name that no process writes to. It remembers how far it has taken in the file of a
 * number, also one that is gone: theirs are small, those of the time are none of them. */
static void rename_written(rf_bump_arena *arena, int folder) {
  names const taken = list_names(arena, folder, is_taken, by_number);
  names const written = list_names(arena, folder, is_written, rf_by_name);
  long long next = (long long)rf_store_now();
  for (size_t i = 0; i < taken.count; i++) {
    long long const number = strtoll(taken.list[i] + 6, NULL, 10);
    next = number >= next ? number + 1 : next;
  }
  for (size_t i = 0; i < written.count; i++) {
    struct stat st;
    if (fstatat(folder, written.list[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size != 0) {
      (void)renameat(folder, written.list[i], folder, rf_bump_arena_print(arena, "taken-%lld", next++));
    }
  }
}

bool rf_forward_spool(rf_forward *f, int directory) {
  rf_bump_arena arena = {NULL};
  int const folder = openat(directory, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  bool fine = true;
  if (folder >= 0) {
    rename_written(&arena, folder);
    names const taken = list_names(&arena, folder, is_taken, by_number);
    for (size_t i = 0; i < taken.count && fine; i++) {
      fine = send_segment(f, folder, taken.list[i]);
    }
    (void)close(folder);
  }
  rf_bump_arena_free(&arena);
  return fine;
}

/* ---- Files of JSON lines ---- */

/* The module of main, or of the last frame that has one. */
static const char *program_of(const rf_json *finding) {
  const char *program = "";
  const rf_json *const frames = rf_json_member(rf_json_member(finding, "found"), "frames");
  for (const rf_json *f = frames == NULL ? NULL : frames->first; f != NULL; f = f->next) {
    program = rf_json_text(f, "module", program);
    if (strcmp(rf_json_text(f, "function", ""), "main") == 0) {
      break;
    }
  }
  return program;
}

/* The id is of the line and its place: a file that is sent again, or from elsewhere, counts once. */
static const char *wrapped(rf_bump_arena *arena, const rf_json *finding, const char *line, size_t length, uint64_t at,
                           int64_t time) {
  char host[128] = "";
  rf_text_sink t;
  rf_text_sink_init(&t, arena);
  rf_json_writer w = {.sink = &t.sink};
  uint64_t const sum = rf_fnv_bytes(RF_FNV_START ^ at, line, length);
  (void)gethostname(host, sizeof host - 1);
  rf_json_open(&w, NULL, "{");
  rf_json_put_text(&w, "record", "finding");
  rf_json_put_number(&w, "version", 1);
  rf_json_put_text(&w, "id", rf_bump_arena_print(arena, "lines-%016" PRIx64 "-%" PRIu64, sum, at));
  rf_json_put_text(&w, "time", rf_time_text(arena, time, "%Y-%m-%dT%H:%M:%S.000000Z"));
  rf_json_put_number(&w, "pid", rf_json_signed(finding, "pid", 0));
  rf_json_put_text(&w, "host", host);
  rf_json_put_text(&w, "program", program_of(finding));
  rf_json_put_text(&w, "mode", rf_json_text(finding, "mode", "guard"));
  rf_json_put_text(&w, "environment", rf_env_or("RINGFENCE_ENVIRONMENT", "development"));
  rf_json_open(&w, "build", "{");
  rf_json_put_text(&w, "version", rf_env_or("RINGFENCE_VERSION", ""));
  rf_json_put_text(&w, "commit", rf_env_or("RINGFENCE_COMMIT", ""));
  rf_json_close(&w, "}");
  rf_json_put_number(&w, "count", rf_json_signed(finding, "times", 1));
  rf_json_put_number(&w, "dropped", 0);
  rf_sink_str(&t.sink, ",\"finding\":");
  rf_sink_mem(&t.sink, line, length);
  rf_json_close(&w, "}");
  return t.text;
}

/* A file of JSON lines that is being read. */
typedef struct lines_file {
  rf_forward *forward;
  int64_t time; /* when it was written last: s since 1970 */
} lines_file;

static bool take_json_line(void *context, const char *line, size_t length, uint64_t at) {
  const lines_file *const file = (const lines_file *)context;
  rf_forward *const f = file->forward;
  rf_bump_arena arena = {NULL};
  bool fine = true;
  length -= line[length - 1] == '\r';
  const rf_json *const root = rf_json_parse(&arena, line, length);
  if (rf_json_text(root, "record", NULL) != NULL) {
    fine = rf_forward_line(f, line, length);
  } else if (strcmp(rf_json_text(root, "type", ""), "finding") == 0) {
    const char *const record = wrapped(&arena, root, line, length, at, file->time);
    fine = rf_forward_line(f, record, strlen(record));
  } else {
    f->lost += root == NULL && length != 0;
  }
  rf_bump_arena_free(&arena);
  return fine;
}

/* Whole lines from `from` on; *upto is where the first one begins that is not whole. */
static bool send_file(rf_forward *f, int fd, uint64_t from, uint64_t *upto) {
  struct stat st;
  uint64_t at = from;
  size_t tail = 0;
  *upto = from;
  if (fstat(fd, &st) != 0 || (uint64_t)st.st_size <= from) {
    return true;
  }
  lines_file file = {f, (int64_t)st.st_mtime};
  bool const fine = read_lines(f, fd, &at, &tail, take_json_line, &file) && rf_forward_flush(f);
  *upto = fine ? at : from;
  return fine;
}

static bool is_lines(const char *name) {
  return name[0] != '.' && (rf_ends_with(name, ".jsonl") || rf_ends_with(name, ".json"));
}

/* A checksum of the last bytes before the offset; 0 where there are no such. */
static uint64_t sum_before(int fd, uint64_t offset) {
  char bytes[TAIL];
  size_t const size = offset < TAIL ? (size_t)offset : TAIL;
  ssize_t const got = pread(fd, bytes, size, (off_t)(offset - size));
  return got == (ssize_t)size ? rf_fnv_bytes(RF_FNV_START, bytes, size) : 0;
}

/* `state` has a line "inode offset sum" for each file, of earlier versions without the sum: one that took another's
 * name begins anew, and so does one that was emptied, or whose number another has got, however long it is now. */
static uint64_t known_offset(const char *state, uint64_t inode, int fd, uint64_t size) {
  for (const char *line = state; line != NULL && *line != '\0';) {
    char *end = NULL;
    uint64_t const number = strtoull(line, &end, 10);
    if (number == inode && *end == ' ') {
      uint64_t const offset = strtoull(end + 1, &end, 10);
      bool const same = *end != ' ' || strtoull(end + 1, NULL, 10) == sum_before(fd, offset);
      return same && offset <= size ? offset : 0;
    }
    line += strcspn(line, "\n");
    line += *line == '\n';
  }
  return 0;
}

static bool write_state(int directory, const char *text, size_t length) {
  static const char fresh[] = ".ringfence-forwarded.new";
  int const fd = openat(directory, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  bool const written = fd >= 0 && rf_write_all(fd, text, length) && fsync(fd) == 0;
  int const saved = errno;
  bool const closed = fd >= 0 && close(fd) == 0;
  if (!written) {
    errno = saved;
  }
  return closed && written && renameat(directory, fresh, directory, ".ringfence-forwarded") == 0;
}

/* Notes how far the lines were sent; in *unnoted where the folder cannot be written, which is said once. */
static void note_state(int directory, const rf_text_sink *state, char **unnoted) {
  bool const noted = write_state(directory, state->text, state->length);
  if (!noted && *unnoted == NULL) {
    rf_diag("how far lines were sent cannot be noted in their folder (.ringfence-forwarded): %s; the next `forward` "
            "sends them again",
            strerror(errno));
  }
  free(*unnoted);
  *unnoted = noted ? NULL : strdup(state->text);
}

bool rf_forward_folder(rf_forward *f, int directory, char **unnoted) {
  rf_bump_arena arena = {NULL};
  rf_text_sink state;
  size_t length = 0;
  bool fine = true;
  bool moved = false;
  int const old = openat(directory, ".ringfence-forwarded", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  const char *const known = *unnoted != NULL ? *unnoted : old < 0 ? "" : rf_read_all(&arena, old, &length);
  rf_text_sink_init(&state, &arena);
  names const files = list_names(&arena, directory, is_lines, rf_by_name);
  for (size_t i = 0; i < files.count; i++) {
    struct stat st;
    int const fd = openat(directory, files.list[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
      uint64_t const from = known_offset(known, (uint64_t)st.st_ino, fd, (uint64_t)st.st_size);
      uint64_t upto = from;
      fine = fine && send_file(f, fd, from, &upto);
      moved = moved || upto != from;
      rf_sink_str(&state.sink, rf_bump_arena_print(&arena, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", (uint64_t)st.st_ino,
                                                   upto, sum_before(fd, upto)));
    }
    if (fd >= 0) {
      (void)close(fd);
    }
  }
  if (moved || *unnoted != NULL) {
    note_state(directory, &state, unnoted);
  }
  if (old >= 0) {
    (void)close(old);
  }
  rf_bump_arena_free(&arena);
  return fine;
}
