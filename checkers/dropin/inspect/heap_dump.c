#define _GNU_SOURCE
#include "heap_dump.h"

#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/init.h"
#include "checkers/dropin/runtime/output.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/os/modules.h"
#include "checkers/os/uncancelled.h"
#include "lib/core/compiler.h"

#include <errno.h>
#include <ringfence/dropin.h>
#include <ringfence/dump.h>
#include <ringfence/port.h>
#include <ringfence/snapshot.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SITES 1024U /* call sites told apart; the rest is counted together */
#define SITES_SHOWN 10U
#define FRAMES 6U /* of a call site */
#define LOCK_MS 200U
#define TEXT_BYTES 4096

/* One dump at a time; what it works with is too large for the stacks that signal handlers run on. */
typedef struct workspace {
  rf_snapshot_site table[SITES];
  rf_snapshot sites;
  rf_modules modules;
  char text[TEXT_BYTES];
  size_t used;
} workspace;

static workspace *work; /* made when it is first needed */
static uint32_t busy;   /* a dump is being made; accessed atomically */

/* ---- Output ---- */

/* Records for the command are JSON, and people look at standard error. */
static void send(const char *text, size_t size) {
  if (rf_process.options.format == RF_FORMAT_TEXT) {
    rf_output_write(text, size);
  } else {
    rf_output_say(text, size);
  }
}

static void flush(void) {
  if (work->used != 0) {
    send(work->text, work->used);
    work->used = 0;
  }
}

/* As few writes as there can be. */
RF_COLD static void put(void *context, const char *text, size_t length) {
  (void)context;
  while (length != 0) {
    size_t const room = sizeof work->text - work->used;
    size_t const some = length < room ? length : room;
    memcpy(work->text + work->used, text, some);
    work->used += some;
    text += some;
    length -= some;
    if (work->used == sizeof work->text) {
      flush();
    }
  }
}

static const rf_sink sink = {put, NULL};

/* ---- Call sites ---- */

static void add(const rf_trace *allocated, size_t size) {
  rf_trace site = *allocated;
  site.depth = site.depth < FRAMES ? site.depth : FRAMES;
  rf_snapshot_add(&work->sites, &site, size);
}

RF_COLD static bool add_block(const rf_view *view, void *context) {
  rf_trace allocated;
  (void)context;
  rf_check_trace(view->slot->allocated, view->slot->allocated_by, &allocated);
  add(&allocated, view->size);
  return true;
}

RF_COLD static bool add_paged(const rf_page_block *block, void *context) {
  rf_trace allocated;
  (void)context;
  if (rf_page_store_allocated(rf_guarded_blocks.store, block->ptr, &allocated)) {
    add(&allocated, block->size);
  }
  return true;
}

static void put_count(size_t count, const char *what) {
  rf_sink_uint(&sink, count);
  rf_sink_str(&sink, what);
  rf_sink_str(&sink, count == 1 ? "" : "s");
}

static void put_frame(const rf_symbolizer *symbolizer, unsigned index, uintptr_t pc) {
  rf_frame_name name;
  rf_sink_str(&sink, "      #");
  rf_sink_uint(&sink, index);
  rf_sink_char(&sink, ' ');
  rf_sink_ptr(&sink, (const void *)pc);
  if (symbolizer->name(symbolizer->context, pc, 0, &name)) {
    if (name.function != NULL) {
      rf_sink_str(&sink, " in ");
      rf_sink_str(&sink, name.function);
    }
    rf_sink_str(&sink, " (");
    rf_sink_str(&sink, name.module);
    rf_sink_char(&sink, '+');
    rf_sink_hex(&sink, name.offset, 1);
    rf_sink_char(&sink, ')');
  }
  rf_sink_char(&sink, '\n');
}

static void put_sum(size_t bytes, size_t blocks) {
  rf_sink_str(&sink, "    ");
  put_count(bytes, " byte");
  rf_sink_str(&sink, " in ");
  put_count(blocks, " block");
}

static void put_site(rf_snapshot_site *site) {
  rf_trace *const trace = &site->allocated;
  const rf_trace *const traces[] = {trace};
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&work->modules, true);
  put_sum(site->bytes, site->blocks);
  rf_sink_char(&sink, '\n');
  trace->depth = rf_process_without_entry(trace->frames, trace->depth);
  rf_modules_load(&work->modules, traces, 1);
  for (unsigned i = 0; i < trace->depth; i++) {
    put_frame(&symbolizer, i, trace->frames[i]);
  }
}

/* The one with the most bytes that was not shown yet. */
static rf_snapshot_site *largest(void) {
  rf_snapshot_site *best = NULL;
  for (unsigned i = 0; i < SITES; i++) {
    rf_snapshot_site *const site = &work->table[i];
    if (site->blocks != 0 && (best == NULL || site->bytes > best->bytes)) {
      best = site;
    }
  }
  return best;
}

static void put_sites(void) {
  size_t blocks = work->sites.blocks;
  size_t bytes = work->sites.bytes;
  rf_snapshot_site *site;
  rf_sink_str(&sink, "  live blocks by call site\n");
  for (unsigned i = 0; i < SITES_SHOWN && (site = largest()) != NULL; i++) {
    put_site(site);
    blocks -= site->blocks;
    bytes -= site->bytes;
    site->blocks = 0;
  }
  if (blocks != 0) {
    put_sum(bytes, blocks);
    rf_sink_str(&sink, " from other call sites\n");
  }
}

/* ---- The heap ---- */

static void dump_heap(void) {
  rf_sink_str(&sink, "heap: ");
  if (!rf_lock_all(LOCK_MS)) {
    rf_sink_str(&sink, "in use all the time; left out\n");
    return;
  }
  (void)rf_dump(rf_heap_allocator(), &sink, NULL);
  if (rf_process.checked) {
    rf_heap_walk(add_block, NULL);
  }
  rf_unlock_all();
}

/* Blocks on pages of their own. Their store may be asked from anywhere. */
static void dump_paged(void) {
  rf_page_figures figures;
  rf_guarded_blocks_figures(&figures);
  rf_sink_str(&sink, "pages: ");
  put_count(figures.counters.blocks, " block");
  rf_sink_str(&sink, ", ");
  rf_sink_uint(&sink, figures.counters.used);
  rf_sink_str(&sink, " bytes used, on pages of ");
  rf_sink_uint(&sink, figures.open_bytes);
  rf_sink_str(&sink, " bytes\n");
  rf_page_store_each(rf_guarded_blocks.store, add_paged, NULL);
}

static bool begin(void) {
  if (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE) != 0) {
    return false;
  }
  if (work == NULL) {
    work = rf_record_table(sizeof *work);
  }
  if (work == NULL) {
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
    return false;
  }
  rf_snapshot_init(&work->sites, NULL, work->table, SITES);
  work->used = 0;
  return true;
}

RF_COLD static void dump(void) {
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin();
  if (begin()) {
    rf_sink_str(&sink, "ringfence: process ");
    rf_sink_uint(&sink, (uint64_t)getpid());
    rf_sink_str(&sink, ": memory now\n");
    dump_heap();
    if (rf_forward.now == RF_FORWARD_ON) {
      rf_sink_str(&sink,
                  "only sampled blocks are listed; the others belong to the malloc that would run without Ringfence\n");
    }
    if (rf_guarded_blocks.store != NULL) {
      dump_paged();
    }
    if (rf_process.checked) {
      put_sites();
    }
    flush();
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
}

/* ---- Now, or when it can be ---- */

void rf_heap_dump_forked(void) {
  rf_forget_job();
  busy = 0;
}

bool rf_heap_dump_is_under_way(void) {
  return __atomic_load_n(&busy, __ATOMIC_RELAXED) != 0;
}

/* The structure that this thread is inside of may be half changed: the next that enters it dumps. */
static void ask(void) {
  if (rf_is_inside()) {
    rf_post_job(dump);
  } else {
    dump();
  }
}

static void on_signal(int number) {
  (void)number;
  ask();
}

RF_EXPORT void __ringfence_dump(void) {
  rf_process_init();
  ask();
}

void ringfence_dump(void) __attribute__((visibility("default"), alias("__ringfence_dump")));

/* ---- The signal ---- */

int rf_dump_signal_number(rf_dump_signal choice) {
  switch (choice) {
  case RF_DUMP_SIGUSR1:
    return SIGUSR1;
  case RF_DUMP_SIGUSR2:
    return SIGUSR2;
  case RF_DUMP_SIGQUIT:
    return SIGQUIT;
  case RF_DUMP_SIGHUP:
    return SIGHUP;
  case RF_DUMP_NONE:
    break;
  }
  return 0;
}

void rf_heap_dump_init(void) {
  int const number = rf_dump_signal_number(rf_process.options.dump_signal);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  (void)sigemptyset(&action.sa_mask);
  if (number != 0) {
    rf_signals_install(number, &action, false);
  }
}
