#define _GNU_SOURCE
#include "watched_sites.h"

#include <ringfence/port.h>
#include <ringfence/sink.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkers/os/host.h"
#include "checkers/os/modules.h"

#define SITES 8192U /* a power of two */
#define FULL (SITES / 4 * 3)
#define FRESH 1024U /* to be written by one process; the next ones write the rest */
#define LINE 9U     /* eight digits and a newline */
#define PATH_BYTES 512U

static struct {
  uint32_t table[SITES]; /* keys, open addressing; 0: free; accessed atomically, as are the counts */
  uint32_t count;
  uint32_t fresh[FRESH];
  uint32_t fresh_count;
  uint32_t fresh_first; /* what is before was a parent's */
  char path[PATH_BYTES];
} sites;

/* ---- The table ---- */

static bool insert(uint32_t key) {
  if (__atomic_load_n(&sites.count, __ATOMIC_RELAXED) >= FULL) {
    return false;
  }
  for (uint32_t at = key % SITES;; at = (at + 1) % SITES) {
    uint32_t there = 0;
    if (__atomic_compare_exchange_n(&sites.table[at], &there, key, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
      __atomic_fetch_add(&sites.count, 1, __ATOMIC_RELAXED);
      return true;
    }
    if (there == key) {
      return false;
    }
  }
}

bool rf_watched_sites_add(uint32_t key) {
  bool const added = insert(key);
  if (added && sites.path[0] != '\0') {
    uint32_t const at = __atomic_fetch_add(&sites.fresh_count, 1, __ATOMIC_RELAXED);
    if (at < FRESH) {
      __atomic_store_n(&sites.fresh[at], key, __ATOMIC_RELAXED);
    }
  }
  return added;
}

/* ---- The file ---- */

static void read_lines(const char *text, size_t length) {
  uint32_t key = 0;
  for (size_t i = 0; i < length; i++) {
    char const c = text[i];
    if (c >= '0' && c <= '9') {
      key = key << 4 | (uint32_t)(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      key = key << 4 | (uint32_t)(c - 'a' + 10);
    } else if (key != 0) {
      (void)insert(key);
      key = 0;
    }
  }
}

static void say_no_folder(const char *folder) {
  char text[PATH_BYTES + 64];
  rf_sink_buffer line;
  rf_sink_buffer_init(&line, text, sizeof text);
  rf_sink_str(&line.sink, "ringfence: watch_sites: no folder for files: ");
  rf_sink_str(&line.sink, folder);
  rf_sink_str(&line.sink, "\n");
  rf_port_log(line.data, line.length);
}

void rf_watched_sites_begin(const char *folder) {
  char id[2 * RF_BUILD_ID_BYTES + 1];
  char path[PATH_BYTES];
  struct stat is;
  size_t length = 0;
  rf_sink_buffer name;
  rf_modules_program_id(id);
  rf_sink_buffer_init(&name, path, sizeof path);
  rf_sink_str(&name.sink, folder);
  rf_sink_str(&name.sink, "/");
  rf_sink_str(&name.sink, id[0] != '\0' ? id : "unnamed");
  rf_sink_str(&name.sink, ".sites");
  if (stat(folder, &is) != 0 || !S_ISDIR(is.st_mode) || access(folder, W_OK | X_OK) != 0 ||
      name.length + 1 == sizeof path) { /* it may be cut */
    say_no_folder(folder);
    return;
  }
  const char *const text = rf_host_read_file(path, &length);
  if (text != NULL) {
    read_lines(text, length);
  }
  memcpy(sites.path, path, name.length + 1);
}

/* Writes nothing where nothing was added: a page that is written costs the child a fault. */
void rf_watched_sites_inherit(void) {
  uint32_t const added = __atomic_load_n(&sites.fresh_count, __ATOMIC_RELAXED);
  if (sites.fresh_first != added) {
    sites.fresh_first = added;
  }
}

/* One write: other processes append to the same file. */
void rf_watched_sites_end(void) {
  static char text[FRESH * LINE];
  uint32_t const added = __atomic_load_n(&sites.fresh_count, __ATOMIC_RELAXED);
  uint32_t const end = added < FRESH ? added : FRESH;
  size_t length = 0;
  for (uint32_t i = sites.fresh_first; i < end; i++) {
    for (unsigned digit = 0; digit < LINE - 1; digit++) {
      text[length++] = "0123456789abcdef"[sites.fresh[i] >> (28 - 4 * digit) & 0xF];
    }
    text[length++] = '\n';
  }
  int const file = length != 0 ? rf_host_open(sites.path) : -1;
  if (file >= 0) {
    (void)rf_host_write(file, text, length);
    rf_host_close(file);
  }
  if (sites.fresh_first != end) {
    sites.fresh_first = end;
  }
}
