#include "tools/service/exchange/forward.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/json.h"
#include "tools/service/exchange/curl.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 1 << 20, SECONDS = 60, DELAY_MOST_S = 60, LINE_MOST = 256 * 1024 };

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

/* In memory: a full disk must not keep findings from leaving. */
static int file_of(const rf_forward *f) {
  int const fd = memfd_create("batch", MFD_CLOEXEC);
  for (size_t done = 0; fd >= 0 && done < f->batch.length;) {
    ssize_t const n = write(fd, f->batch.text + done, f->batch.length - done);
    if (n <= 0) {
      (void)close(fd);
      return -1;
    }
    done += (size_t)n;
  }
  return fd;
}

static const char *failure(rf_bump_arena *arena, const rf_curl_answer *a, const rf_json *root) {
  if (a->status == 0) {
    return "no collector answers";
  }
  return rf_bump_arena_print(arena, "status %d: %s", a->status,
                             rf_json_text(root, "error", "the server there is not a collector"));
}

static bool try_once(rf_forward *f) {
  rf_bump_arena arena = {NULL};
  int const fd = file_of(f);
  rf_curl const request = {
      .url = rf_bump_arena_print(&arena, "%s/api/v1/records", f->url),
      .body_file = rf_bump_arena_print(&arena, "/proc/%d/fd/%d", (int)getpid(), fd),
      .type = "application/x-ndjson",
      .header = f->token == NULL ? NULL : rf_bump_arena_print(&arena, "Authorization: Bearer %s", f->token),
      .seconds = SECONDS,
  };
  rf_curl_answer answer;
  bool sent = fd >= 0 && rf_curl_run(&arena, &request, &answer);
  if (fd >= 0) {
    (void)close(fd);
  }
  if (sent) {
    const rf_json *const root = rf_json_parse(&arena, answer.text, strlen(answer.text));
    sent = answer.status == 200 && rf_json_member(root, "taken") != NULL;
    f->sent += sent ? f->records : 0;
    f->twice += sent ? rf_json_unsigned(root, "twice", 0) : 0;
    if (!sent && !f->complained) {
      rf_diag("%s: %s; records wait here", f->url, failure(&arena, &answer, root));
      f->complained = true;
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
  if (f->batch.length + length + 1 > BATCH && !rf_forward_flush(f)) {
    return false;
  }
  rf_sink_mem(&f->batch.sink, line, length);
  rf_sink_char(&f->batch.sink, '\n');
  f->records++;
  return true;
}
