#define _GNU_SOURCE
#include "snapshot_record.h"

#include "checkers/checked/snapshot_sites.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/os/sort.h"
#include "checkers/report/collector.h"
#include "heap_shape.h"
#include "process_log.h"

#include <fcntl.h>
#include <ringfence/report_json.h>
#include <string.h>
#include <unistd.h>

#define RESERVE ((size_t)128) /* for what stands behind the sites */

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

void rf_snapshot_record_begin(size_t sites) {
  gathering = rf_collector_is_named() && get_memory(sites);
  if (gathering) {
    rf_heap_shape_begin(&work->shape);
  }
}

void rf_snapshot_record_add(uintptr_t address, size_t size) {
  if (gathering) {
    rf_heap_shape_add(&work->shape, address, size);
  }
}

/* ---- Writing ---- */

static void number(const rf_sink *sink, const char *name, uint64_t value) {
  rf_sink_str(sink, ",\"");
  rf_sink_str(sink, name);
  rf_sink_str(sink, "\":");
  rf_sink_uint(sink, value);
}

/* Bytes of memory that the process has: the second number of statm counts pages. 0: not known. */
static uint64_t resident(void) {
  char text[128];
  int const fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
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

static void put_head(const rf_snapshot *s, const rf_sink *sink) {
  rf_sink_str(sink, "{\"name\":");
  rf_json_string(s->name, sink);
  rf_sink_str(sink, ",\"allocator\":");
  rf_json_string(s->allocator, sink);
  number(sink, "blocks", s->blocks);
  number(sink, "bytes", s->bytes);
  number(sink, "peak", rf_process_log_peak());
  number(sink, "resident", resident());
  rf_sink_char(sink, ',');
}

static bool put_snapshot(rf_sink_buffer *line, const rf_symbolizer *symbolizer, void *context) {
  const rf_snapshot *const s = (const rf_snapshot *)context;
  size_t blocks = s->omitted_blocks;
  size_t bytes = s->omitted_bytes;
  put_head(s, &line->sink);
  rf_heap_shape_write(&work->shape, &line->sink);
  rf_sink_str(&line->sink, ",\"sites\":");
  memset(&work->sites, 0, sizeof work->sites);
  work->sites.out = line;
  work->sites.symbolizer = symbolizer;
  size_t const count = put_in_order(s);
  for (size_t i = rf_snapshot_sites_write(&work->sites, work->order, count, RESERVE); i < count; i++) {
    blocks += work->order[i]->blocks;
    bytes += work->order[i]->bytes;
  }
  number(&line->sink, "omitted_blocks", blocks);
  number(&line->sink, "omitted_bytes", bytes);
  rf_sink_char(&line->sink, '}');
  return true;
}

void rf_snapshot_record_tell(const rf_snapshot *snapshot) {
  if (gathering) {
    (void)rf_log_reporter_collect_record("snapshot", put_snapshot, (void *)(uintptr_t)snapshot);
  }
}
