/* Files of symbols: taken in, and given out as debuginfod does. */
#include "tools/service/exchange/symbol_files.h"
#include "tools/service/http/request.h"

#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/sinks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- In ---- */

void rf_upload_begin(rf_request *r) {
  if (strcmp(r->path, "/api/v1/symbols") != 0 || strcmp(r->method, "POST") != 0) {
    return;
  }
  if (!rf_connections_upload(r->connections, r->entry)) {
    r->refusal = MHD_HTTP_SERVICE_UNAVAILABLE;
    r->refused = RF_REQUEST_TOO_MANY;
    return;
  }
  r->file_path = rf_symbol_new_path(&r->arena, r->http->options->directory);
  r->file = open(r->file_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (r->file < 0) {
    r->refusal = MHD_HTTP_INSUFFICIENT_STORAGE;
    r->refused = "cannot create a file in the folder of symbols: its disk is full, or cannot be written";
  }
}

static const char *kinds_of(const rf_symbol_file *f) {
  return !f->executable ? "debuginfo" : f->debuginfo ? "debuginfo executable" : "executable";
}

enum MHD_Result rf_upload_end(rf_request *r) {
  char message[RF_SYMBOL_MESSAGE] = "";
  rf_symbol_file file;
  const char *const given = rf_request_argument(r, "name");
  bool const closed = close(r->file) == 0;
  r->file = -1;
  if (!closed) {
    (void)unlink(r->file_path);
    return rf_reply_error(r, MHD_HTTP_INSUFFICIENT_STORAGE, "the collector's disk is full");
  }
  r->http->store->code = SQLITE_OK;
  rf_store_outcome const outcome =
      rf_symbol_adopt(r->http->store, &r->arena, r->http->options->directory, r->file_path,
                      given == NULL || given[0] == '\0' ? "the file" : given, &file, message);
  if (outcome == RF_STORE_FAILED) {
    return rf_reply_store_error(r, MHD_HTTP_INSUFFICIENT_STORAGE, message);
  }
  if (outcome == RF_STORE_REFUSED) {
    return rf_reply_error(r, MHD_HTTP_BAD_REQUEST, message);
  }
  rf_text_sink t;
  rf_text_sink_init(&t, &r->arena);
  rf_json_writer w = {.sink = &t.sink};
  rf_json_open(&w, NULL, "{");
  rf_json_put_text(&w, "done", message);
  rf_json_put_text(&w, "build_id", file.build_id);
  rf_json_put_text(&w, "kinds", kinds_of(&file));
  rf_json_close(&w, "}");
  return rf_reply_json(r, MHD_HTTP_OK, t.text);
}

/* ---- Out ---- */

static int open_file(rf_request *r, struct stat *st) {
  const char *const id = r->path + strlen("/buildid/");
  const char *const slash = strchr(id, '/');
  const char *const kind = slash == NULL ? "" : slash + 1;
  if (strcmp(kind, RF_SYMBOL_DEBUGINFO) != 0 && strcmp(kind, RF_SYMBOL_EXECUTABLE) != 0) {
    return -1;
  }
  const char *const path = rf_symbol_path(&r->arena, r->http->options->directory,
                                          rf_bump_arena_text(&r->arena, id, (size_t)(slash - id)), kind);
  int const fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd >= 0 && fstat(fd, st) != 0) {
    (void)close(fd);
    return -1;
  }
  return fd;
}

enum MHD_Result rf_reply_buildid(rf_request *r) {
  struct stat st;
  int const fd = open_file(r, &st);
  if (fd < 0) {
    return rf_reply_error(r, MHD_HTTP_NOT_FOUND, "there is no such file for this build-id");
  }
  struct MHD_Response *const response = MHD_create_response_from_fd64((uint64_t)st.st_size, fd);
  if (response == NULL) {
    (void)close(fd);
    return MHD_NO;
  }
  (void)MHD_add_response_header(response, "Content-Type", "application/octet-stream");
  (void)MHD_add_response_header(response, "X-DEBUGINFOD-SIZE",
                                rf_bump_arena_print(&r->arena, "%" PRId64, (int64_t)st.st_size));
  rf_reply_headers(response);
  enum MHD_Result const queued = MHD_queue_response(r->connection, MHD_HTTP_OK, response);
  MHD_destroy_response(response);
  return queued;
}
