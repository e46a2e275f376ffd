/* The functions of <malloc.h> that ask the heap about itself or tune it. Figures that this heap has are true; functions
 * with nothing to act on do nothing. In modes that hand requests on, these calls are handed on as well. */
#define _GNU_SOURCE
#include "checkers/dropin/heap/large.h"
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/real.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/tag_pause.h"
#include "forward.h"
#include "guarded_blocks.h"
#include "mallinfo.h"

#include <errno.h>
#include <malloc.h>
#include <ringfence/port.h>
#include <stdio.h>

#include "lib/core/compiler.h"

typedef struct totals {
  size_t caches;
  size_t mapped;      /* from the system */
  size_t big;         /* of these, for large blocks */
  size_t live;        /* requested bytes of live blocks */
  size_t quarantined; /* with overhead */
} totals;

static totals count(void) {
  rf_cache_figures figures;
  rf_heap_bytes const bytes = rf_heap_bytes_now();
  rf_page_figures paged;
  rf_cache_figures_of_all(&figures);
  rf_guarded_blocks_figures(&paged);
  return (totals){
      .caches = rf_cache_total(),
      .mapped = bytes.mapped + paged.open_bytes,
      .big = bytes.large,
      .live = figures.counters.used + paged.counters.used,
      .quarantined = figures.waiting + bytes.freed,
  };
}

/* Those of the next malloc; NULL where there is none, and where requests are not handed on. */
static struct {
  struct mallinfo2 (*mallinfo2)(void);
  struct mallinfo (*mallinfo)(void);
  int (*mallopt)(int param, int val);
  int (*malloc_trim)(size_t pad);
  void (*malloc_stats)(void);
  int (*malloc_info)(int options, FILE *fp);
} next;

void rf_mallinfo_begin(void) {
  if (rf_forward.now == RF_FORWARD_ON) {
    next.mallinfo2 = (struct mallinfo2(*)(void))rf_real("mallinfo2");
    next.mallinfo = (struct mallinfo(*)(void))rf_real("mallinfo");
    next.mallopt = (int (*)(int, int))rf_real("mallopt");
    next.malloc_trim = (int (*)(size_t))rf_real("malloc_trim");
    next.malloc_stats = (void (*)(void))rf_real("malloc_stats");
    next.malloc_info = (int (*)(int, FILE *))rf_real("malloc_info");
    rf_real_forget_errors();
  }
}

RF_COLD RF_EXPORT struct mallinfo2 mallinfo2(void) {
  if (next.mallinfo2 != NULL) {
    return next.mallinfo2();
  }
  totals const t = count();
  size_t const used = t.live + t.quarantined;
  return (struct mallinfo2){
      .arena = t.mapped - t.big,
      .hblkhd = t.big,
      .uordblks = t.live,
      .fordblks = t.mapped > used ? t.mapped - used : 0,
  };
}

/* For old programs: the same in int, truncated. */
RF_COLD RF_EXPORT struct mallinfo mallinfo(void) {
  if (next.mallinfo != NULL) {
    return next.mallinfo();
  }
  struct mallinfo2 const m = mallinfo2();
  return (struct mallinfo){
      .arena = (int)m.arena,
      .hblkhd = (int)m.hblkhd,
      .uordblks = (int)m.uordblks,
      .fordblks = (int)m.fordblks,
  };
}

/* The parameters are about a heap that is not in use: accepted, without effect. */
RF_COLD RF_EXPORT int mallopt(int param, int val) {
  if (next.mallopt != NULL) {
    return next.mallopt(param, val);
  }
  (void)param;
  (void)val;
  return 1;
}

/* Gives back what is kept for reuse. 1 where there was any. */
RF_COLD RF_EXPORT int malloc_trim(size_t pad) {
  if (next.malloc_trim != NULL) {
    return next.malloc_trim(pad);
  }
  rf_cache *const cache = rf_enter();
  size_t released = 0;
  (void)pad;
  if (cache != NULL) {
    uint64_t const checks = rf_tag_pause();
    released = rf_large_trim();
    rf_tag_resume(checks);
    rf_leave(cache);
  }
  return released != 0 ? 1 : 0;
}

static void line(const rf_sink *sink, const char *name, size_t value) {
  rf_sink_str(sink, name);
  rf_sink_uint(sink, value);
  rf_sink_str(sink, "\n");
}

RF_COLD RF_EXPORT void malloc_stats(void) {
  if (next.malloc_stats != NULL) {
    next.malloc_stats();
    return;
  }
  char text[256];
  rf_sink_buffer out;
  totals const t = count();
  rf_sink_buffer_init(&out, text, sizeof text);
  line(&out.sink, "Caches:          ", t.caches);
  line(&out.sink, "system bytes   = ", t.mapped);
  line(&out.sink, "in use bytes   = ", t.live);
  line(&out.sink, "held back      = ", t.quarantined);
  rf_port_log(out.data, out.length);
}

RF_COLD RF_EXPORT int malloc_info(int options, FILE *fp) {
  if (next.malloc_info != NULL) {
    return next.malloc_info(options, fp);
  }
  totals const t = count();
  if (options != 0) {
    return EINVAL; /* as glibc, whose manual says -1 */
  }
  return fprintf(fp,
                 "<malloc version=\"ringfence-1\">\n<caches count=\"%zu\"/>\n<system type=\"current\" size=\"%zu\"/>\n"
                 "<used type=\"current\" size=\"%zu\"/>\n<quarantine size=\"%zu\"/>\n</malloc>\n",
                 t.caches, t.mapped, t.live, t.quarantined) < 0
             ? -1
             : 0;
}
