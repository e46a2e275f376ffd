#include "site_record.h"

#include <ringfence/report_json.h>
#include <ringfence/sink.h>
#include <string.h>
#include <unistd.h>

#include "checkers/os/host.h"
#include "checkers/os/modules.h"
#include "checkers/os/seen_sites.h"
#include "checkers/os/sort.h"
#include "lib/core/compiler.h"

#define TEXT_BYTES 16384U
#define RESERVE 1024U /* for the end of the text, and of a list */
#define ENTRY 40U     /* the longest "[offset,blocks]," */
#define ROUNDS 4U     /* of RF_MODULES modules each */
#define TRACES (RF_SEEN_SITES / RF_TRACE_DEPTH)

_Static_assert(RF_SEEN_SITES % RF_TRACE_DEPTH == 0, "sites fill whole traces");

/* Touched where a collector is named, at the end of the process. */
static struct {
  rf_seen_site sites[RF_SEEN_SITES];        /* as they were when the record was made: other threads go on */
  const rf_seen_site *order[RF_SEEN_SITES]; /* by address; those that are in the text are NULL */
  size_t count;
  size_t upto;
  uint32_t process;
  bool made; /* a text whose sites are not told yet */
  rf_trace traces[TRACES];
  const rf_trace *trace_list[TRACES];
  rf_modules modules;
  rf_sink_buffer out;
  char text[TEXT_BYTES];
} work;

static bool is_before(const void *a, const void *b) {
  return (*(const rf_seen_site *const *)a)->caller < (*(const rf_seen_site *const *)b)->caller;
}

static bool was_told(const rf_seen_site *s) {
  return s->told_by == work.process;
}

/* Sites that this process has told of say which modules it still runs. */
static size_t gather(void) {
  size_t first = 0;
  size_t dropped = 0;
  size_t const all = rf_seen_sites_copy(work.sites, &first, &work.upto, &dropped);
  work.count = 0;
  for (size_t i = 0; i < all; i++) {
    const rf_seen_site *const s = &work.sites[i];
    if (s->caller != 0 && (i >= first || s->watched != 0 || was_told(s))) {
      work.order[work.count++] = s;
    }
  }
  rf_sort((void *)work.order, work.count, sizeof work.order[0], is_before);
  return dropped;
}

/* ---- Modules ---- */

/* Loads the modules of the sites that are left, as many as there is room for. False if none is left. */
static bool load_modules(void) {
  size_t sites = 0;
  for (size_t i = 0; i < work.count; i++) {
    if (work.order[i] != NULL) {
      rf_trace *const t = &work.traces[sites / RF_TRACE_DEPTH];
      t->frames[sites % RF_TRACE_DEPTH] = work.order[i]->caller;
      t->depth = (unsigned)(sites % RF_TRACE_DEPTH) + 1;
      sites++;
    }
  }
  unsigned const count = (unsigned)((sites + RF_TRACE_DEPTH - 1) / RF_TRACE_DEPTH);
  for (unsigned i = 0; i < count; i++) {
    work.trace_list[i] = &work.traces[i];
  }
  if (count != 0) {
    rf_modules_load(&work.modules, work.trace_list, count);
  }
  return count != 0;
}

static bool is_in(const rf_module *m, size_t i) {
  return work.order[i] != NULL && work.order[i]->caller > m->start && work.order[i]->caller <= m->end;
}

/* ---- Writing ---- */

static void number(const char *name, uint64_t value) {
  rf_sink_str(&work.out.sink, ",\"");
  rf_sink_str(&work.out.sink, name);
  rf_sink_str(&work.out.sink, "\":");
  rf_sink_uint(&work.out.sink, value);
}

static bool has_room(size_t until) {
  return work.out.length + ENTRY < until;
}

static void put_site(const rf_module *m, const rf_seen_site *s, bool watched, bool more) {
  const rf_sink *const sink = &work.out.sink;
  rf_sink_str(sink, more ? "," : "");
  rf_sink_str(sink, watched ? "[" : "");
  rf_sink_uint(sink, s->caller - m->bias);
  if (watched) {
    rf_sink_char(sink, ',');
    rf_sink_uint(sink, s->watched);
    rf_sink_char(sink, ']');
  }
}

/* A list of a module: those of its sites that were watched, that were not, and that were watched again. */
typedef struct site_list {
  const char *name;
  bool watched;
  bool told;
} site_list;

/* Puts the sites of order[from] to order[end - 1] that belong to `list`, up to `until` in the text. Begins in the
 * middle, at another site in each process, so that several processes tell of all sites if one has no room for them. */
static void put_list(const rf_module *m, size_t from, size_t end, const site_list *list, size_t until) {
  size_t const count = end - from;
  /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): a module is put for a site of its own */
  size_t const begin = (size_t)(m->bias >> 12) % count; /* as good as drawn: modules lie elsewhere in each process */
  bool more = false;
  rf_sink_str(&work.out.sink, list->name);
  for (size_t i = 0; i < count && has_room(until); i++) {
    const rf_seen_site *const s = work.order[from + (begin + i) % count];
    if ((s->watched != 0) == list->watched && was_told(s) == list->told) {
      put_site(m, s, list->watched, more);
      more = true;
    }
  }
  rf_sink_char(&work.out.sink, ']');
}

static void put_lists(const rf_module *m, size_t from, size_t end, size_t until) {
  static const site_list lists[] = {{",\"watched\":[", true, false}, {",\"unwatched\":[", false, false}};
  static const site_list again = {",\"continued\":true,\"again\":[", true, true};
  size_t told = 0;
  for (size_t i = from; i < end; i++) {
    told += was_told(work.order[i]);
  }
  number("sites", end - from - told);
  for (unsigned i = 0; i < 2; i++) {
    put_list(m, from, end, &lists[i], until);
  }
  if (told != 0) {
    put_list(m, from, end, &again, until);
  }
}

/* False, with nothing written, where there is no room for it. */
static bool put_module(const rf_module *m, size_t from, size_t end, bool more) {
  const rf_sink *const sink = &work.out.sink;
  size_t const before = work.out.length;
  size_t const room = TEXT_BYTES - RESERVE;
  size_t const left = work.out.length < room ? room - work.out.length : 0;
  size_t const share = left * (end - from) / (work.count - from); /* of the room, as of the sites that are to come */
  size_t const until = work.out.length + share;
  rf_sink_str(sink, more ? ",{\"path\":" : "{\"path\":");
  rf_json_string(work.modules.text + m->path, sink);
  if (m->build_id[0] != '\0') {
    rf_sink_str(sink, ",\"build_id\":");
    rf_json_string(m->build_id, sink);
  }
  put_lists(m, from, end, until);
  rf_sink_char(sink, '}');
  bool const fits = work.out.length < TEXT_BYTES - RESERVE / 2;
  work.out.length = fits ? work.out.length : before;
  return fits;
}

/* The sites of a module are those from `from` to before what is returned. */
static size_t end_of(const rf_module *m, size_t from) {
  size_t end = from;
  while (end < work.count && is_in(m, end)) {
    end++;
  }
  return end;
}

/* NULL for code that is of no file, as a compiler makes it at run time. */
static const rf_module *module_of(size_t i) {
  for (unsigned k = 0; k < work.modules.count; k++) {
    const rf_module *const m = &work.modules.modules[k];
    if (is_in(m, i) && work.modules.text[m->path] == '/') {
      return m;
    }
  }
  return NULL;
}

/* Returns whether any module of this round had sites. */
static bool put_round(bool *more) {
  bool any = false;
  for (size_t i = 0; i < work.count;) {
    const rf_module *const m = work.order[i] == NULL ? NULL : module_of(i);
    size_t const end = m == NULL ? i + 1 : end_of(m, i);
    if (m != NULL && put_module(m, i, end, *more)) {
      memset((void *)&work.order[i], 0, (end - i) * sizeof work.order[0]);
      *more = true;
      any = true;
    }
    i = end;
  }
  return any;
}

static bool busy; /* accessed atomically */

RF_COLD const char *rf_site_record(void) {
  size_t dropped = 0;
  bool more = false;
  if (__atomic_exchange_n(&busy, true, __ATOMIC_ACQUIRE)) {
    return "";
  }
  rf_sink_buffer_init(&work.out, work.text, sizeof work.text);
  work.process = rf_host_process();
  dropped = gather();
  if (work.count != 0 || dropped != 0) {
    rf_sink_str(&work.out.sink, ",\"sites\":[");
    for (unsigned round = 0; round < ROUNDS && load_modules() && put_round(&more); round++) {
    }
    rf_sink_char(&work.out.sink, ']');
    for (size_t i = 0; i < work.count; i++) {
      dropped += work.order[i] != NULL && !was_told(work.order[i]);
    }
    number("sites_dropped", dropped);
  }
  work.text[work.out.length] = '\0';
  work.made = true;
  __atomic_store_n(&busy, false, __ATOMIC_RELEASE);
  return work.text;
}

void rf_site_record_forked(void) {
  if (__atomic_load_n(&busy, __ATOMIC_RELAXED)) {
    __atomic_store_n(&busy, false, __ATOMIC_RELAXED);
  }
}

RF_COLD void rf_site_record_told(void) {
  if (work.made && work.process == rf_host_process()) {
    rf_seen_sites_told(work.sites, work.upto, work.process);
  }
  work.made = false;
}
