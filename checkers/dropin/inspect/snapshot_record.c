#define _GNU_SOURCE
#include "snapshot_record.h"

#include "checkers/checked/snapshot_sites.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/os/proc_self.h"
#include "checkers/os/sort.h"
#include "checkers/report/collector.h"
#include "heap_shape.h"
#include "lib/core/compiler.h"
#include "process_log.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Mapped once; what is not used is never touched. */
typedef struct workspace {
  rf_heap_shape shape;
  rf_snapshot_sites sites;
  size_t room;
  const rf_snapshot_site *order[];
} workspace;

static workspace *work;
static bool gathering;

static bool get_memory(size_t sites) {
  if (work == NULL) {
    work = (workspace *)rf_record_table(sizeof *work + sites * sizeof work->order[0]);
    if (work != NULL) {
      work->room = sites;
    }
  }
  return work != NULL && work->room >= sites;
}

RF_COLD void rf_snapshot_record_begin(size_t sites) {
  gathering = rf_collector_is_named() && get_memory(sites);
  if (gathering) {
    rf_heap_shape_begin(&work->shape);
  }
}

RF_COLD void rf_snapshot_record_add(uintptr_t address, size_t size) {
  if (gathering) {
    rf_heap_shape_add(&work->shape, address, size);
  }
}

/* ---- Writing ---- */

/* Bytes of memory that the process has: the second number of statm counts pages. 0: not known. */
static uint64_t resident(void) {
  char text[128];
  int const fd = open(RF_PROC_PATH("statm"), O_RDONLY | O_CLOEXEC);
  ssize_t const length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  uint64_t pages = 0;
  if (fd >= 0) {
    (void)close(fd);
  }
  text[length > 0 ? length : 0] = '\0';
  const char *at = strchr(text, ' ');
  for (at = at == NULL ? text + strlen(text) : at + 1; *at >= '0' && *at <= '9'; at++) {
    pages = pages * 10 + (uint64_t)(*at - '0');
  }
  return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool has_more(const void *a, const void *b) {
  const rf_snapshot_site *const left = *(const rf_snapshot_site *const *)a;
  const rf_snapshot_site *const right = *(const rf_snapshot_site *const *)b;
  return left->bytes != right->bytes ? left->bytes > right->bytes : left->blocks > right->blocks;
}

static size_t put_in_order(const rf_snapshot *s) {
  size_t count = 0;
  for (size_t i = 0; i < s->capacity && count < work->room; i++) {
    if (s->sites[i].blocks != 0) {
      work->order[count++] = &s->sites[i];
    }
  }
  rf_sort((void *)work->order, count, sizeof work->order[0], has_more);
  return count;
}

static void put_totals(const rf_snapshot *s, rf_json_writer *json) {
  rf_json_put_text(json, "name", s->name);
  rf_json_put_text(json, "allocator", s->allocator);
  rf_json_put_unsigned(json, "blocks", s->blocks);
  rf_json_put_unsigned(json, "bytes", s->bytes);
  rf_json_put_unsigned(json, "peak", rf_process_log_peak());
  rf_json_put_unsigned(json, "resident", resident());
}

RF_COLD static bool put_snapshot(rf_sink_buffer *line, const rf_symbolizer *symbolizer, void *context) {
  const rf_snapshot *const s = (const rf_snapshot *)context;
  rf_json_writer json = {.sink = &line->sink};
  memset(&work->sites, 0, sizeof work->sites);
  work->sites.out = line;
  work->sites.symbolizer = symbolizer;
  rf_json_open(&json, NULL, "{");
  put_totals(s, &json);
  rf_heap_shape_write(&work->shape, &json);
  rf_snapshot_sites_write(&work->sites, &json, work->order, put_in_order(s), s->omitted_blocks, s->omitted_bytes);
  rf_json_close(&json, "}");
  return true;
}

RF_COLD void rf_snapshot_record_tell(const rf_snapshot *snapshot) {
  if (gathering) {
    (void)rf_log_reporter_collect_record("snapshot", put_snapshot, (void *)(uintptr_t)snapshot);
  }
}
