#include "tools/service/exchange/forward.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/subprocess.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DELAY_MOST_S = 60, LINE_MOST = 256 * 1024 };

void rf_forward_init(rf_forward *f) {
  rf_text_sink_init(&f->batch, &f->arena);
}

void rf_forward_deinit(rf_forward *f) {
  rf_bump_arena_free(&f->arena);
}

static void clear(rf_forward *f) {
  rf_bump_arena_free(&f->arena);
  rf_text_sink_init(&f->batch, &f->arena);
  f->records = 0;
}

/* ---- One try ---- */

rf_curl rf_forward_request(rf_bump_arena *arena, const char *url, const char *token, const char *body_file) {
  return (rf_curl){
      .url = rf_web_below(arena, url, "/api/v1/records"),
      .body_file = body_file,
      .type = "application/x-ndjson",
      .header = token == NULL ? NULL : rf_bump_arena_print(arena, "Authorization: Bearer %s", token),
  };
}

const char *rf_forward_refusal(rf_bump_arena *arena, const rf_curl_answer *answer) {
  const char *otherwise = "the server there is not a collector";
  if (answer->status == 413) {
    otherwise = "a server before the collector takes no request of this size";
  } else if (answer->status >= 502 && answer->status <= 504) {
    otherwise = "a server before the collector has no answer of it";
  }
  const rf_json *const root = rf_json_parse(arena, answer->text, strlen(answer->text));
  return answer->status == 0
             ? "no collector answers"
             : rf_bump_arena_print(arena, "status %d: %s", answer->status, rf_json_text(root, "error", otherwise));
}

const rf_json *rf_forward_taken(rf_bump_arena *arena, const rf_curl_answer *answer, const char **why) {
  const rf_json *const root = rf_json_parse(arena, answer->text, strlen(answer->text));
  if (answer->status == 200 && rf_json_member(root, "taken") != NULL) {
    return root;
  }
  *why = rf_forward_refusal(arena, answer);
  return NULL;
}

static void complain(rf_forward *f, const char *why) {
  if (!f->complained) {
    rf_diag("%s: %s; records wait here", f->url, why);
    f->complained = true;
  }
}

static bool try_once(rf_forward *f) {
  rf_bump_arena arena = {NULL};
  int const fd = rf_subprocess_input(f->batch.text, f->batch.length);
  if (fd < 0) {
    complain(f, rf_bump_arena_print(&arena, "the request has no place: %s", strerror(errno)));
    rf_bump_arena_free(&arena);
    return false;
  }
  const char *const body = rf_bump_arena_print(&arena, "/proc/%d/fd/%d", (int)getpid(), fd);
  rf_curl const request = rf_forward_request(&arena, f->url, f->token, body);
  rf_curl_answer answer;
  bool sent = rf_curl_run(&arena, &request, &answer);
  (void)close(fd);
  if (sent) {
    const char *why = NULL;
    const rf_json *const taken = rf_forward_taken(&arena, &answer, &why);
    sent = taken != NULL;
    f->sent += sent ? f->records : 0;
    f->twice += sent ? rf_json_unsigned(taken, "twice", 0) : 0;
    if (!sent) {
      complain(f, why);
    }
  }
  rf_bump_arena_free(&arena);
  return sent;
}

/* ---- Batches ---- */

bool rf_forward_flush(rf_forward *f) {
  unsigned delay = 1;
  for (unsigned i = 0; f->batch.length != 0; i++) {
    if (try_once(f)) {
      if (f->complained) {
        rf_diag("%s accepts records again", f->url);
        f->complained = false;
      }
      clear(f);
      return true;
    }
    if (i + 1 == f->tries || *f->stop != 0) {
      clear(f);
      return false;
    }
    struct timespec const wait = {(time_t)delay, 0};
    (void)nanosleep(&wait, NULL);
    delay = delay * 2 > DELAY_MOST_S ? DELAY_MOST_S : delay * 2;
    if (*f->stop != 0) {
      clear(f);
      return false;
    }
  }
  return true;
}

bool rf_forward_line(rf_forward *f, const char *line, size_t length) {
  if (length > LINE_MOST || memchr(line, '\0', length) != NULL) {
    f->lost++;
    return true;
  }
  if (f->batch.length + length + 1 > RF_FORWARD_BATCH && !rf_forward_flush(f)) {
    return false;
  }
  rf_sink_mem(&f->batch.sink, line, length);
  rf_sink_char(&f->batch.sink, '\n');
  f->records++;
  return true;
}
