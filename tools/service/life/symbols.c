#include "tools/service/life/symbols.h"

#include "tools/ringfence/base/read_file.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/render/json_write.h"
#include "tools/ringfence/symbols/symbolize.h"
#include "tools/service/intake/describe.h"
#include "tools/service/intake/names.h"
#include "tools/service/life/triage.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITHOUT_MEMORY_LIMIT 1 /* its shadow is address space */
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(WITHOUT_MEMORY_LIMIT)
#define WITHOUT_MEMORY_LIMIT 1
#endif

enum { EVENTS = 400, LIFE_S = 120, MEMORY_GIB = 4 };

/* ---- Events ---- */

static rf_record *read_record(rf_bump_arena *arena, const char *text) {
  const rf_json *const root = rf_json_parse(arena, text, strlen(text));
  rf_record *const record = rf_record_read(arena, rf_json_member(root, "finding"));
  if (record != NULL) {
    rf_record_trim(record, NULL, true);
  }
  return record;
}

typedef struct frames {
  rf_frame **list;
  size_t count;
  bool useful; /* some event has frames that names may be known of */
} frames;

/* Adds the frames without names that nothing is known of. Returns whether the record has any without names. */
static bool collect(rf_store *store, rf_bump_arena *arena, const rf_record *record, frames *all) {
  const rf_stack *const stacks[] = {&record->found, &record->allocated, &record->released};
  bool nameless = false;
  for (size_t i = 0; i < 3; i++) {
    for (unsigned k = 0; k < stacks[i]->count; k++) {
      rf_frame *const f = &stacks[i]->frames[k];
      if (f->module != NULL && f->source_count == 0) {
        nameless = true;
        if (!rf_names_known(store, f)) {
          RF_APPENDED(arena, all->list, all->count) = f;
        }
      }
    }
  }
  return nameless;
}

/* The frames without names of the next events. Sets worker->upto. */
static frames next_frames(rf_symbol_worker *worker, rf_store *store, rf_bump_arena *arena) {
  frames all = {.list = NULL};
  worker->after = rf_store_number(store, 0, "SELECT value FROM meta WHERE key = 'named'", "");
  worker->upto = worker->after;
  sqlite3_stmt *const s =
      rf_store_select(store, "SELECT b.event, b.text FROM body b WHERE b.event > ? ORDER BY b.event LIMIT ?", "ii",
                      worker->after, (int64_t)EVENTS);
  while (rf_store_row(store, s)) {
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    const rf_record *const record = read_record(arena, rf_bump_arena_print(arena, "%s", rf_store_text(s, 1)));
    worker->upto = sqlite3_column_int64(s, 0);
    if (record != NULL && collect(store, arena, record, &all)) {
      all.useful = true;
    } else {
      rf_bump_arena_reset(arena, mark);
    }
  }
  return all;
}

/* ---- The child ---- */

static void put_frame(const rf_sink *sink, const rf_frame *f) {
  rf_json_writer w = {.sink = sink};
  rf_json_open(&w, NULL, "{");
  rf_json_put_text(&w, "module", rf_names_module(f));
  rf_json_put_number(&w, "offset", (int64_t)f->offset);
  rf_json_open(&w, "sources", "[");
  for (size_t i = 0; i < f->source_count; i++) {
    rf_json_open(&w, NULL, "{");
    rf_json_put_text(&w, "function", f->sources[i].function);
    rf_json_put_text(&w, "file", f->sources[i].file);
    rf_json_put_number(&w, "line", (int64_t)f->sources[i].line);
    rf_json_close(&w, "}");
  }
  rf_json_close(&w, "]}");
  rf_sink_char(sink, '\n');
}

static void be_child(int answers, rf_bump_arena *arena, frames all) {
  struct rlimit const seconds = {LIFE_S, LIFE_S};
  struct rlimit const memory = {(rlim_t)MEMORY_GIB << 30, (rlim_t)MEMORY_GIB << 30};
  sigset_t none;
  (void)sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  (void)setpgid(0, 0);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)setrlimit(RLIMIT_CPU, &seconds);
#ifndef WITHOUT_MEMORY_LIMIT
  (void)setrlimit(RLIMIT_AS, &memory);
#else
  (void)memory;
#endif
  (void)alarm(LIFE_S);
  rf_text_sink t;
  rf_symbolize(arena, all.list, all.count);
  rf_text_sink_init(&t, arena);
  for (size_t i = 0; i < all.count; i++) {
    put_frame(&t.sink, all.list[i]);
  }
  _exit(write(answers, t.text, t.length) == (ssize_t)t.length ? 0 : 1);
}

static void start(rf_symbol_worker *worker, rf_bump_arena *arena, frames all) {
  worker->answers = memfd_create("names", MFD_CLOEXEC);
  pid_t const child = worker->answers < 0 ? -1 : fork();
  if (child == 0) {
    be_child(worker->answers, arena, all);
  }
  worker->child = child > 0 ? child : 0;
  worker->began = rf_store_now();
}

/* ---- Answers ---- */

static void store_names(rf_store *store, rf_bump_arena *arena, const char *text) {
  for (const char *line = text; *line != '\0';) {
    size_t const length = strcspn(line, "\n");
    const rf_json *const root = rf_json_parse(arena, line, length);
    const char *const sources = (const char *)memmem(line, length, "\"sources\":", 10);
    if (root != NULL && sources != NULL) {
      const char *const list = sources + 10;
      rf_store_run(store, "INSERT OR REPLACE INTO symbol(build_id, offset, text) VALUES(?,?,?)", "tit",
                   rf_json_text(root, "module", ""), rf_json_signed(root, "offset", 0),
                   rf_bump_arena_text(arena, list, length - (size_t)(list - line) - 1));
    }
    line += length + (line[length] == '\n');
  }
}

/* Names change keys: functions take the place of offsets. A finding that is another one by them becomes part of it; the
 * old key stays an alias, since processes go on to send offsets. */
static void key_again(rf_store *store, rf_bump_arena *arena, const rf_record *record, int64_t id) {
  rf_event_keys const keys = rf_event_keys_of(arena, record);
  rf_store_run(
      store,
      "UPDATE finding SET key = ?2, algorithm = ?3, access_key = ?4, allocation_key = ?5, free_key = ?6 WHERE id = ?1",
      "iiiiii", id, keys.group, keys.algorithm, keys.access, keys.allocation, keys.release);
  rf_store_run(store, "INSERT OR IGNORE INTO key(key, finding) VALUES(?, ?)", "ii", keys.group, id);
  int64_t const owner = rf_store_number(
      store, id, "SELECT coalesce(f.merged_into, f.id) FROM key k JOIN finding f ON f.id = k.finding WHERE k.key = ?",
      "i", keys.group);
  if (owner != id &&
      rf_store_number(store, 1, "SELECT merged_into IS NOT NULL FROM finding WHERE id = ?", "i", id) == 0) {
    rf_triage_join(store, owner, id);
    rf_store_run(store, "UPDATE activity SET alert = 0 WHERE finding = ? AND alert = 1", "i", id);
  }
}

/* Findings of these events get the words and keys that names allow. */
static void describe_again(const rf_symbol_worker *worker, rf_store *store, rf_bump_arena *arena) {
  sqlite3_stmt *const s = rf_store_select(
      store,
      "SELECT f.id, b.text, n.text FROM event e JOIN finding f ON f.id = e.finding JOIN body b ON b.event = e.id JOIN"
      " name n ON n.id = e.program WHERE e.id > ? AND e.id <= ? AND e.id = f.richest_event",
      "ii", worker->after, worker->upto);
  while (rf_store_row(store, s)) {
    rf_batch_finding f = {.id = sqlite3_column_int64(s, 0)};
    rf_record *const record = read_record(arena, rf_bump_arena_print(arena, "%s", rf_store_text(s, 1)));
    if (record != NULL) {
      rf_names_apply(store, arena, record);
      rf_record_trim(record, NULL, false);
      key_again(store, arena, record, f.id);
      rf_describe(arena, arena, record, rf_store_text(s, 2), &f);
      rf_store_run(store, "UPDATE finding SET title = ?, place = ? WHERE id = ?", "tti", f.title, f.place, f.id);
      rf_store_run(store, "UPDATE words SET text = ? WHERE finding = ?", "ti", f.search, f.id);
    }
  }
}

/* `text` NULL: no event has anything to name. */
static void take_answers(rf_symbol_worker *worker, rf_store *store, const char *text) {
  rf_bump_arena arena = {NULL};
  rf_store_begin(store);
  if (text != NULL) {
    store_names(store, &arena, text);
    describe_again(worker, store, &arena);
  }
  rf_store_run(store, "INSERT OR REPLACE INTO meta(key, value) VALUES('named', ?)", "i", worker->upto);
  (void)rf_store_commit(store);
  rf_bump_arena_free(&arena);
}

static void close_answers(rf_symbol_worker *worker) {
  if (worker->answers > 0) {
    (void)close(worker->answers);
  }
  worker->answers = 0;
}

static bool look_after(rf_symbol_worker *worker, rf_store *store, int flags) {
  rf_bump_arena arena = {NULL};
  size_t length = 0;
  pid_t const ended = waitpid(worker->child, NULL, flags);
  if (ended != worker->child) {
    if (rf_store_now() - worker->began > (int64_t)LIFE_S * 1000) {
      (void)kill(-worker->child, SIGKILL);
    }
    return false;
  }
  worker->child = 0;
  (void)lseek(worker->answers, 0, SEEK_SET);
  const char *const text = rf_read_all(&arena, worker->answers, &length);
  take_answers(worker, store, text == NULL ? "" : text);
  close_answers(worker);
  rf_bump_arena_free(&arena);
  return true;
}

bool rf_symbol_worker_step(rf_symbol_worker *worker, rf_store *store) {
  if (worker->child != 0) {
    return look_after(worker, store, WNOHANG);
  }
  rf_bump_arena arena = {NULL};
  frames const all = next_frames(worker, store, &arena);
  bool named = false;
  if (all.count != 0) {
    start(worker, &arena, all);
  } else if (worker->upto != worker->after) {
    take_answers(worker, store, all.useful ? "" : NULL);
    named = all.useful;
  }
  rf_bump_arena_free(&arena);
  return named;
}

void rf_symbol_worker_finish(rf_symbol_worker *worker, rf_store *store) {
  do {
    (void)rf_symbol_worker_step(worker, store);
    if (worker->child != 0) {
      (void)look_after(worker, store, 0);
    }
  } while (worker->upto != worker->after && !store->failed);
}

void rf_symbol_worker_end(rf_symbol_worker *worker) {
  if (worker->child != 0) {
    (void)kill(-worker->child, SIGKILL);
    (void)kill(worker->child, SIGKILL);
    (void)waitpid(worker->child, NULL, 0);
    worker->child = 0;
  }
  close_answers(worker);
}
