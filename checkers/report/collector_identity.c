#define _GNU_SOURCE /* secure_getenv, CLOCK_BOOTTIME */
#include "collector_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "checkers/os/clock.h"
#include "checkers/os/host.h"
#include "checkers/os/modules.h"
#include "checkers/os/uncancelled.h"
#include "json_writer.h"
#include "lib/core/compiler.h"

#define PATH_BYTES 1024
#define NAME_BYTES 256

/* ---- Ids and times ---- */

RF_COLD void rf_collector_identity_renew(rf_collector_identity *id) {
  id->process = rf_host_process();
  id->start_ns = rf_clock_ns(CLOCK_BOOTTIME);
}

RF_COLD void rf_collector_put_id(const rf_collector_identity *id, uint64_t sequence, const rf_sink *sink) {
  rf_sink_str(sink, id->boot);
  rf_sink_char(sink, '-');
  rf_sink_uint(sink, id->process);
  rf_sink_char(sink, '-');
  rf_sink_uint(sink, id->start_ns);
  rf_sink_char(sink, '-');
  rf_sink_uint(sink, sequence);
}

static void put_digits(const rf_sink *sink, char before, unsigned value, unsigned digits) {
  char text[8];
  text[0] = before;
  for (unsigned i = digits; i != 0; i--) {
    text[i] = (char)('0' + value % 10);
    value /= 10;
  }
  rf_sink_mem(sink, text, digits + 1);
}

/* Days since 1970 as a date: years begin in March here, so that the leap day is a year's last. gmtime takes locks. */
RF_COLD void rf_collector_put_time(const rf_sink *sink) {
  uint64_t const us = rf_clock_ns(CLOCK_REALTIME) / 1000;
  uint64_t const seconds = us / 1000000;
  unsigned const clock = (unsigned)(seconds % 86400);
  uint64_t const days = seconds / 86400 + 719468;
  unsigned const of_era = (unsigned)(days % 146097);
  unsigned const year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  unsigned const day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  unsigned const month = (5 * day_of_year + 2) / 153;
  unsigned const civil = month < 10 ? month + 3 : month - 9;
  rf_sink_uint(sink, days / 146097 * 400 + year_of_era + (civil <= 2));
  put_digits(sink, '-', civil, 2);
  put_digits(sink, '-', day_of_year - (153 * month + 2) / 5 + 1, 2);
  put_digits(sink, 'T', clock / 3600, 2);
  put_digits(sink, ':', clock / 60 % 60, 2);
  put_digits(sink, ':', clock % 60, 2);
  put_digits(sink, '.', (unsigned)(us % 1000000), 6);
  rf_sink_char(sink, 'Z');
}

/* ---- The fields ---- */

static void read_boot(char out[37]) {
  int const fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  ssize_t const got = fd < 0 ? -1 : read(fd, out, 36);
  if (fd >= 0) {
    (void)close(fd);
  }
  out[36] = '\0';
  if (got != 36) {
    out[0] = '0';
    out[1] = '\0';
  }
}

RF_COLD const char *rf_collector_text_of(char *out, size_t room, rf_collector_text option, const char *variable) {
  const char *const other = option.at != NULL ? NULL : secure_getenv(variable);
  rf_sink_buffer text;
  rf_sink_buffer_init(&text, out, room);
  if (option.at != NULL) {
    rf_sink_mem(&text.sink, option.at, option.length);
  } else if (other != NULL) {
    rf_sink_str(&text.sink, other);
  }
  return out[0] == '\0' ? NULL : out;
}

static void put_program(rf_json_writer *w) {
  char path[PATH_BYTES];
  (void)rf_modules_program_path(path, sizeof path);
  rf_json_put_text(w, "program", path);
}

static void put_host(rf_json_writer *w) {
  struct utsname system;
  rf_json_put_text(w, "host", uname(&system) == 0 ? system.nodename : "");
}

static void put_build(rf_json_writer *w, const rf_collector_options *options) {
  char text[NAME_BYTES];
  char build_id[2 * RF_BUILD_ID_BYTES + 1];
  rf_modules_program_id(build_id);
  rf_json_open(w, "build", "{");
  rf_json_put_text(w, "version", rf_collector_text_of(text, sizeof text, options->version, "RINGFENCE_VERSION"));
  rf_json_put_text(w, "commit", rf_collector_text_of(text, sizeof text, options->commit, "RINGFENCE_COMMIT"));
  rf_json_put_text(w, "build_id", build_id[0] != '\0' ? build_id : NULL);
  rf_json_close(w, "}");
}

/* "k=v,k=v"; a label without a value counts for nothing. */
static void put_labels_of(rf_json_writer *w, const char *at, size_t length) {
  const char *const end = at + length;
  while (at < end) {
    const char *const comma = (const char *)memchr(at, ',', (size_t)(end - at));
    const char *const stop = comma == NULL ? end : comma;
    const char *const equals = (const char *)memchr(at, '=', (size_t)(stop - at));
    if (equals != NULL && equals != at && equals - at < NAME_BYTES && stop - equals <= NAME_BYTES) {
      char name[NAME_BYTES];
      char value[NAME_BYTES];
      memcpy(name, at, (size_t)(equals - at));
      name[equals - at] = '\0';
      memcpy(value, equals + 1, (size_t)(stop - equals - 1));
      value[stop - equals - 1] = '\0';
      rf_json_put_text(w, name, value);
    }
    at = stop + (stop < end);
  }
}

/* `path` as it is called outside of Bazel's sandbox, where START/sandbox/NAME/NUMBER/execroot/REST is
 * START/execroot/REST: the length of the start, and the rest. The whole path where it lies in none. */
static size_t find_sandbox(const char *path, const char **rest) {
  static const char start[] = "/sandbox/";
  const char *sandbox = NULL;
  for (const char *at = strstr(path, start); at != NULL; at = strstr(at + 1, start)) {
    sandbox = at;
  }
  const char *const execroot = sandbox == NULL ? NULL : strstr(sandbox, "/execroot/");
  *rest = execroot == NULL ? path : execroot;
  return execroot == NULL ? 0 : (size_t)(sandbox - path);
}

static bool has_log(const char *start, size_t length, const char *rest, const char *end, unsigned attempt) {
  char path[PATH_BYTES];
  rf_sink_buffer text;
  rf_sink_buffer_init(&text, path, sizeof path);
  rf_sink_mem(&text.sink, start, length);
  rf_sink_mem(&text.sink, rest, rest < end ? (size_t)(end - rest) : 0);
  rf_sink_str(&text.sink, "/test_attempts/attempt_");
  rf_sink_uint(&text.sink, attempt);
  rf_sink_str(&text.sink, ".log");
  return access(path, F_OK) == 0;
}

/* Bazel does not tell a test that is tried again, but has put the logs of the attempts before into a folder beside the
 * test's own. 0: not known. */
static unsigned attempt_of_bazel(void) {
  enum { MOST = 100 };
  const char *const xml = secure_getenv("XML_OUTPUT_FILE");
  const char *const end = xml == NULL ? NULL : strrchr(xml, '/');
  const char *rest = NULL;
  unsigned attempt = 1;
  if (end == NULL) {
    return 0;
  }
  size_t const before = find_sandbox(xml, &rest);
  while (attempt < MOST && (has_log(xml, before, rest, end, attempt) || has_log(xml, 0, xml, end, attempt))) {
    attempt++;
  }
  return attempt;
}

static void put_labels_of_bazel(rf_json_writer *w) {
  static const char *const names[][2] = {
      {"bazel_target", RF_BAZEL_TEST},
      {"shard", "TEST_SHARD_INDEX"},
      {"shards", "TEST_TOTAL_SHARDS"},
      {"run", "TEST_RUN_NUMBER"},
  };
  char number[16];
  rf_sink_buffer text;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    rf_json_put_text(w, names[i][0], secure_getenv(names[i][1]));
  }
  rf_sink_buffer_init(&text, number, sizeof number);
  unsigned const attempt = attempt_of_bazel();
  rf_sink_uint(&text.sink, attempt);
  rf_json_put_text(w, "attempt", attempt != 0 ? number : NULL);
}

static void put_labels(rf_json_writer *w, const rf_collector_options *options) {
  const char *const own = options->labels.at != NULL ? NULL : secure_getenv("RINGFENCE_LABELS");
  rf_json_open(w, "labels", "{");
  rf_json_put_text(w, "policy", options->policy);
  if (secure_getenv(RF_BAZEL_TEST) != NULL) {
    put_labels_of_bazel(w);
  }
  if (options->labels.at != NULL) {
    put_labels_of(w, options->labels.at, options->labels.length);
  } else if (own != NULL) {
    put_labels_of(w, own, strlen(own));
  }
  rf_json_close(w, "}");
}

static bool is_development(const char *environment) {
  static const char *const names[] = {"development", "ci", "test"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(environment, names[i]) == 0) {
      return true;
    }
  }
  return false;
}

static void put_fields(rf_collector_identity *id, const rf_collector_options *options, bool labels) {
  char text[NAME_BYTES];
  rf_sink_buffer fields;
  rf_sink_buffer_init(&fields, id->fields, sizeof id->fields);
  rf_json_writer w = {.sink = &fields.sink, .more = true};
  const char *const named = rf_collector_text_of(text, sizeof text, options->environment, "RINGFENCE_ENVIRONMENT");
  const char *const environment = named != NULL ? named : "development";
  id->development = is_development(environment);
  put_host(&w);
  put_program(&w);
  rf_json_put_text(&w, "mode", options->mode);
  rf_json_put_text(&w, "environment", environment);
  put_build(&w, options);
  if (labels) {
    put_labels(&w, options);
  }
  if (fields.length + 1 == sizeof id->fields) {
    id->fields[0] = '\0'; /* cut: no JSON */
  }
}

RF_COLD void rf_collector_identity_init(rf_collector_identity *id, const rf_collector_options *options) {
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin(); /* a cancelled thread would leave a collector that is half begun */
  read_boot(id->boot);
  rf_collector_identity_renew(id);
  put_fields(id, options, true);
  if (id->fields[0] == '\0') {
    put_fields(id, options, false);
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
}
