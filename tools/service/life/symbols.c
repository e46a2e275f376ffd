#include "tools/service/life/symbols.h"

#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/read_file.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/symbols/symbolize.h"
#include "tools/service/exchange/child_limits.h"
#include "tools/service/exchange/curl.h"
#include "tools/service/exchange/symbol_files.h"
#include "tools/service/intake/names.h"
#include "tools/service/life/better_file.h"
#include "tools/service/life/path_file.h"
#include "tools/service/life/rekey.h"
#include "tools/service/life/snapshot_frames.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS = 400, LIFE_S = 120, FETCH_S = 100, MEMORY_GIB = 4, URLS = 8, ASK_AGAIN_MS = 86400000, WAIT_MS = 600000 };

/* ---- Events ---- */

static rf_record *read_record(rf_bump_arena *arena, const char *text) {
  const rf_json *const root = rf_json_parse(arena, text, strlen(text));
  rf_record *const record = rf_record_read(arena, rf_json_member(root, "finding"));
  if (record != NULL) {
    rf_record_trim(record, NULL, true);
  }
  return record;
}

/* Adds the frames without names that nothing is known of. Returns whether the record has any without names. */
static bool collect(rf_store *store, rf_bump_arena *arena, const rf_record *record, rf_frames *all) {
  bool nameless = false;
  rf_frame *f = NULL;
  for (unsigned i = 0; (f = rf_record_frame(record, i)) != NULL; i++) {
    nameless = rf_frames_add(store, arena, f, all) || nameless;
  }
  return nameless;
}

/* The frames without names of the events that the statement gives. Returns the last event. */
static int64_t gather(rf_store *store, rf_bump_arena *arena, sqlite3_stmt *s, rf_frames *all, int64_t last) {
  (void)rf_bump_arena_alloc(arena, 1); /* its first chunk stays when an event is forgotten */
  while (rf_store_row(store, s)) {
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    const rf_record *const record = read_record(arena, rf_store_text(s, 1));
    last = sqlite3_column_int64(s, 0);
    if (record != NULL && collect(store, arena, record, all)) {
      all->useful = true;
    } else {
      rf_bump_arena_reset(arena, mark);
    }
  }
  return last;
}

static rf_frames frames_of_events(rf_symbol_worker *worker, rf_store *store, rf_bump_arena *arena) {
  rf_frames all = {.list = NULL};
  worker->job = RF_SYMBOL_EVENTS;
  worker->after = rf_store_number(store, 0, "SELECT value FROM meta WHERE key = 'named'", "");
  worker->upto =
      gather(store, arena,
             rf_store_select(store, "SELECT b.event, b.text FROM body b WHERE b.event > ? ORDER BY b.event LIMIT ?",
                             "ii", worker->after, (int64_t)EVENTS),
             &all, worker->after);
  return all;
}

static rf_frames frames_of_snapshots(rf_symbol_worker *worker, rf_store *store, rf_bump_arena *arena) {
  rf_frames all = {.list = NULL};
  worker->job = RF_SYMBOL_SNAPSHOTS;
  worker->after = rf_store_number(store, 0, "SELECT value FROM meta WHERE key = 'named_snapshots'", "");
  worker->upto = rf_frames_of_snapshots(store, arena, worker->after, &all);
  return all;
}

/* The addresses of the build that are known, and the frames of all events of findings that lack names of it. What is
 * known of them stays until a file that was brought tells more. */
static rf_frames frames_of_build(rf_symbol_worker *worker, rf_store *store, rf_bump_arena *arena) {
  rf_frames all = {.list = NULL};
  rf_frames_of_build(store, arena, worker->build_id, &all);
  if (worker->path[0] == '\0') {
    rf_store_begin(store);
    /* A file that comes from now on has a row anew, and is looked at next. */
    rf_store_run(store, "UPDATE symbol_file SET looked = 2 WHERE build_id = ?", "t", worker->build_id);
    (void)rf_store_commit(store);
  }
  (void)gather(store, arena,
               rf_store_select(store,
                               "SELECT b.event, b.text FROM nameless n JOIN event e ON e.finding = n.finding JOIN body"
                               " b ON b.event = e.id WHERE n.build_id = ? ORDER BY b.event DESC LIMIT 10000",
                               "t", worker->build_id),
               &all, 0);
  return all;
}

/* ---- The child ---- */

static void put_frame(rf_bump_arena *arena, const rf_sink *sink, const rf_frame *f) {
  bool const by_path = rf_names_by_path(f);
  size_t const sources = rf_names_agree(arena, f) ? f->source_count : 0;
  rf_json_writer w = {.sink = sink};
  rf_json_open(&w, NULL, "{");
  rf_json_put_text(&w, "module", rf_names_module(arena, f));
  rf_json_put_text(&w, by_path ? "file" : "path", f->module);
  rf_json_put_number(&w, "offset", (int64_t)f->offset);
  rf_json_open(&w, "sources", "[");
  for (size_t i = 0; i < sources; i++) {
    rf_json_open(&w, NULL, "{");
    rf_json_put_text(&w, "function", f->sources[i].function);
    rf_json_put_text(&w, "file", f->sources[i].file);
    rf_json_put_number(&w, "line", (int64_t)f->sources[i].line);
    rf_json_close(&w, "}");
  }
  rf_json_close(&w, "]}");
  rf_sink_char(sink, '\n');
}

/* Files of the store are better than those of this machine: somebody brought them. */
static void choose_files(const rf_symbol_worker *worker, rf_bump_arena *arena, rf_frames all) {
  static const char *const kinds[] = {RF_SYMBOL_DEBUGINFO, RF_SYMBOL_EXECUTABLE};
  const char *id = NULL;
  const char *file = NULL;
  for (size_t i = 0; i < all.count; i++) {
    rf_frame *const f = all.list[i];
    if (f->build_id == NULL || f->build_id[0] == '\0') {
      continue;
    }
    if (id == NULL || strcmp(id, f->build_id) != 0) {
      id = f->build_id;
      file = worker->job == RF_SYMBOL_BUILD && worker->path[0] != '\0' && strcmp(id, worker->build_id) == 0
                 ? worker->path
                 : NULL;
      for (size_t k = 0; k < 2 && file == NULL; k++) {
        const char *const path = rf_symbol_path(arena, worker->directory, id, kinds[k]);
        file = path != NULL && access(path, R_OK) == 0 ? path : NULL;
      }
    }
    f->module = file == NULL ? f->module : file;
  }
}

static void name_frames(const rf_symbol_worker *worker, rf_bump_arena *arena, rf_frames all, const rf_sink *sink) {
  choose_files(worker, arena, all);
  rf_symbolize(arena, all.list, all.count);
  for (size_t i = 0; i < all.count; i++) {
    put_frame(arena, sink, all.list[i]);
  }
}

static const char unreachable[] = "-";

/* Asks the servers one after the other. The answer is the path of the file that came, or that none answered. */
static void fetch(const rf_symbol_worker *worker, rf_bump_arena *arena, const rf_sink *sink) {
  const char *at = worker->servers;
  const char *const path = rf_symbol_new_path(arena, worker->directory);
  bool answered = false;
  for (unsigned i = 0; i < URLS && at[strspn(at, " ")] != '\0'; i++) {
    at += strspn(at, " ");
    size_t const length = strcspn(at, " ");
    const char *const url = rf_bump_arena_print(arena, "%.*s%sbuildid/%s/debuginfo", (int)length, at,
                                                at[length - 1] == '/' ? "" : "/", worker->build_id);
    rf_curl const request = {
        .url = url, .output = path, .seconds = FETCH_S / URLS * 2, .most_bytes = RF_SYMBOL_FILE_MOST};
    rf_curl_answer answer;
    if (!rf_curl_run(arena, &request, &answer)) {
      return;
    }
    if (answer.status == 200) {
      rf_sink_str(sink, path);
      return;
    }
    answered = answered || answer.status != 0;
    (void)unlink(path);
    at += length;
  }
  rf_sink_str(sink, answered ? "" : unreachable);
}

static void be_child(const rf_symbol_worker *worker, rf_bump_arena *arena, rf_frames all) {
  rf_text_sink t;
  (void)setpgid(0, 0);
  rf_child_limit(LIFE_S, MEMORY_GIB);
  rf_text_sink_init(&t, arena);
  if (worker->job == RF_SYMBOL_FETCH) {
    fetch(worker, arena, &t.sink);
  } else {
    name_frames(worker, arena, all, &t.sink);
  }
  _exit(write(worker->answers, t.text, t.length) == (ssize_t)t.length ? 0 : 1);
}

static void start(rf_symbol_worker *worker, rf_bump_arena *arena, rf_frames all) {
  worker->answers = memfd_create("names", MFD_CLOEXEC);
  pid_t const child = worker->answers < 0 ? -1 : fork();
  if (child == 0) {
    be_child(worker, arena, all);
  }
  worker->child = child > 0 ? child : 0;
  worker->began = rf_store_steady();
}

/* ---- Answers ---- */

/* An answer without lines never takes the place of one with lines, which came from another file of the build, and one
 * without names that of none. Of a file that only its path names, the last one counts. */
static void store_answer(rf_store *store, rf_bump_arena *arena, const rf_json *root, const char *list) {
  const char *const build_id = rf_json_text(root, "module", "");
  const char *const file = rf_json_text(root, "file", NULL);
  if (file != NULL) {
    rf_path_file_note(store, arena, file);
    rf_store_run(store,
                 "INSERT INTO symbol(build_id, offset, text) VALUES(?1, ?2, ?3) ON CONFLICT(build_id, offset) DO UPDATE"
                 " SET text = ?3 WHERE ?3 <> '[]'",
                 "tit", build_id, rf_json_signed(root, "offset", 0), list);
    return;
  }
  bool const lines = strstr(list, "\"file\":") != NULL;
  rf_better_file_note(store, build_id, rf_json_text(root, "path", NULL), lines);
  rf_store_run(store,
               "INSERT INTO symbol(build_id, offset, text) VALUES(?1, ?2, ?3) ON CONFLICT(build_id, offset) DO UPDATE"
               " SET text = ?3 WHERE ?4 OR (instr(symbol.text, '\"file\":') = 0 AND ?3 <> '[]')",
               "titi", build_id, rf_json_signed(root, "offset", 0), list, (int64_t)lines);
}

static void store_names(rf_store *store, rf_bump_arena *arena, const char *text) {
  for (const char *line = text; *line != '\0';) {
    size_t const length = strcspn(line, "\n");
    const rf_json *const root = rf_json_parse(arena, line, length);
    const char *const sources = (const char *)memmem(line, length, "\"sources\":", 10);
    if (root != NULL && sources != NULL) {
      const char *const list = sources + 10;
      store_answer(store, arena, root, rf_bump_arena_text(arena, list, length - (size_t)(list - line) - 1));
    }
    line += length + (line[length] == '\n');
  }
}

static void end_events(rf_symbol_worker *worker, rf_store *store, rf_bump_arena *arena, bool useful) {
  if (useful) {
    rf_rekey_all(
        store, arena,
        rf_store_select(store,
                        "SELECT f.id FROM event e JOIN finding f ON f.id = e.finding WHERE e.id > ? AND e.id <= ?"
                        " AND e.id = f.richest_event",
                        "ii", worker->after, worker->upto));
  }
  rf_store_run(store, "INSERT OR REPLACE INTO meta(key, value) VALUES('named', ?)", "i", worker->upto);
}

static void end_build(rf_symbol_worker *worker, rf_store *store, rf_bump_arena *arena) {
  rf_rekey_all(
      store, arena,
      rf_store_select(store, "SELECT finding FROM nameless WHERE build_id = ? AND finding > 0", "t", worker->build_id));
  rf_frames_note_build(store, arena, worker->build_id);
  rf_frames_renew_sites(store, worker->build_id);
  rf_better_file_done(store, worker->build_id);
  rf_store_run(store, "UPDATE symbol_file SET looked = 1 WHERE build_id = ? AND looked = 2", "t", worker->build_id);
}

/* The build counts as asked for, and is asked for again in so many milliseconds. */
static bool note_asked(const rf_symbol_worker *worker, rf_store *store, int64_t again) {
  rf_store_begin(store);
  rf_store_run(
      store, "INSERT OR REPLACE INTO symbol_file(build_id, kind, name, bytes, time, looked) VALUES(?,'asked','',0,?,1)",
      "ti", worker->build_id, rf_store_now() - ASK_AGAIN_MS + again);
  return rf_store_commit(store);
}

/* A server may be anybody's: what it sends must be of the build that was asked for. */
static void end_fetch(rf_symbol_worker *worker, rf_store *store, rf_bump_arena *arena, const char *path) {
  char message[RF_SYMBOL_MESSAGE] = "";
  rf_symbol_file file;
  if (strcmp(path, unreachable) == 0) {
    rf_diag("no server of DEBUGINFOD_URLS answers: the next attempt is in %d minutes", WAIT_MS / 60000);
    worker->wait_until = rf_store_steady() + WAIT_MS;
    rf_store_begin(store);
    rf_store_run(store, "DELETE FROM symbol_file WHERE build_id = ? AND kind = 'asked'", "t", worker->build_id);
    (void)rf_store_commit(store);
    return;
  }
  if (path[0] == '\0') {
    (void)note_asked(worker, store, ASK_AGAIN_MS);
  } else if (!rf_symbol_probe(path, "the answer of a debuginfod", &file, message) ||
             strcmp(file.build_id, worker->build_id) != 0) {
    rf_diag("%s", message[0] != '\0' ? message : "a debuginfod sent the file of another build");
    (void)unlink(path);
    (void)note_asked(worker, store, ASK_AGAIN_MS);
  } else if (rf_symbol_adopt(store, arena, worker->directory, path, "debuginfod", &file, message) != RF_STORE_DONE) {
    rf_diag("%s", message);
  }
}

/* `useful`: some event has frames that names may be known of. */
static void take_answers(rf_symbol_worker *worker, rf_store *store, const char *text, bool useful) {
  rf_bump_arena arena = {NULL};
  if (worker->job == RF_SYMBOL_FETCH) {
    end_fetch(worker, store, &arena, text);
  } else {
    rf_store_begin(store);
    store_names(store, &arena, text);
    if (worker->job == RF_SYMBOL_BUILD) {
      end_build(worker, store, &arena);
    } else if (worker->job == RF_SYMBOL_SNAPSHOTS) {
      rf_frames_note(store, &arena, worker->after, worker->upto);
      rf_store_run(store, "INSERT OR REPLACE INTO meta(key, value) VALUES('named_snapshots', ?)", "i", worker->upto);
    } else if (worker->job == RF_SYMBOL_SITES) {
      rf_frames_end_sites(store, &worker->sites);
    } else if (worker->job == RF_SYMBOL_EVENTS) {
      end_events(worker, store, &arena, useful);
    }
    (void)rf_store_commit(store);
  }
  worker->job = RF_SYMBOL_IDLE;
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
    if (rf_store_steady() - worker->began > (int64_t)LIFE_S * 1000) {
      (void)kill(-worker->child, SIGKILL);
    }
    return false;
  }
  worker->child = 0;
  (void)lseek(worker->answers, 0, SEEK_SET);
  const char *const text = rf_read_all(&arena, worker->answers, &length);
  take_answers(worker, store, text == NULL ? "" : text, true);
  close_answers(worker);
  rf_bump_arena_free(&arena);
  return true;
}

/* ---- Jobs ---- */

static bool choose_build(rf_symbol_worker *worker, rf_store *store, rf_symbol_job job, sqlite3_stmt *s) {
  if (!rf_store_row(store, s)) {
    return false;
  }
  (void)snprintf(worker->build_id, sizeof worker->build_id, "%s", rf_store_text(s, 0));
  rf_store_done(s);
  worker->job = job;
  return true;
}

/* A build whose file came in, one that has a file with lines here, or else one whose file nobody has been asked for. */
static bool next_build(rf_symbol_worker *worker, rf_store *store) {
  worker->path[0] = '\0';
  if (choose_build(worker, store, RF_SYMBOL_BUILD,
                   rf_store_select(
                       store, "SELECT build_id FROM symbol_file WHERE looked <> 1 AND kind <> 'asked' LIMIT 1", ""))) {
    return true;
  }
  if (rf_better_file_next(store, worker->build_id, worker->path, RF_SYMBOL_TEXT)) {
    worker->job = RF_SYMBOL_BUILD;
    return true;
  }
  if (worker->servers == NULL || worker->servers[0] == '\0' || rf_store_steady() < worker->wait_until ||
      !choose_build(
          worker, store, RF_SYMBOL_FETCH,
          rf_store_select(
              store,
              "SELECT n.build_id FROM nameless n WHERE n.finding <> 0 AND NOT EXISTS (SELECT 1 FROM symbol_file s"
              " WHERE s.build_id = n.build_id AND (s.kind = 'debuginfo' OR (s.kind = 'asked' AND"
              " s.time > ?))) LIMIT 1",
              "i", rf_store_now() - ASK_AGAIN_MS))) {
    return false;
  }
  /* Asked again soon unless an answer is stored: the store may refuse it, or this process may end first. */
  bool const right = rf_symbol_id_is(worker->build_id);
  return note_asked(worker, store, right ? WAIT_MS : ASK_AGAIN_MS) && right;
}

/* Starts the next job; *named where one could be ended at once with names. False: there is none. */
static bool next_job(rf_symbol_worker *worker, rf_store *store, bool *named) {
  rf_bump_arena arena = {NULL};
  rf_frames all = frames_of_events(worker, store, &arena);
  bool there = worker->upto != worker->after;
  if (!there) {
    all = frames_of_snapshots(worker, store, &arena);
    there = worker->upto != worker->after;
  }
  if (!there) {
    worker->job = RF_SYMBOL_SITES;
    there = rf_frames_of_sites(store, &arena, &worker->sites, &all);
  }
  if (!there) {
    there = next_build(worker, store);
    worker->job = there ? worker->job : RF_SYMBOL_IDLE;
    if (worker->job == RF_SYMBOL_BUILD) {
      all = frames_of_build(worker, store, &arena);
    }
  }
  if (all.count != 0 || worker->job == RF_SYMBOL_FETCH) {
    start(worker, &arena, all);
  } else if (there) {
    *named = all.useful;
    take_answers(worker, store, "", all.useful);
  }
  rf_bump_arena_free(&arena);
  return there;
}

bool rf_symbol_worker_step(rf_symbol_worker *worker, rf_store *store) {
  bool named = false;
  if (worker->child != 0) {
    return look_after(worker, store, WNOHANG);
  }
  (void)next_job(worker, store, &named);
  return named;
}

void rf_symbol_worker_finish(rf_symbol_worker *worker, rf_store *store) {
  bool named = false;
  bool stored = true; /* else the same would be looked up for ever */
  while (stored && next_job(worker, store, &named) && !store->failed) {
    bool const started = worker->child != 0 || worker->job == RF_SYMBOL_IDLE;
    if (worker->child != 0) {
      (void)look_after(worker, store, 0);
    }
    stored = started && store->error[0] == '\0';
    if (!started) {
      rf_diag("no process can be started that looks up names: they stay unknown until the next time");
    }
  }
}

void rf_symbol_worker_end(rf_symbol_worker *worker) {
  if (worker->child != 0) {
    (void)kill(-worker->child, SIGKILL);
    (void)kill(worker->child, SIGKILL);
    (void)waitpid(worker->child, NULL, 0);
    worker->child = 0;
  }
  close_answers(worker);
  rf_frames_forget_sites(&worker->sites);
}
