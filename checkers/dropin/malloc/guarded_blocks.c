#define _GNU_SOURCE
#include "guarded_blocks.h"

#include "checkers/checked/mode_options.h"
#include "checkers/dropin/heap/heap.h"
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/caller.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/site_choice.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/tag_fault.h"
#include "checkers/dropin/runtime/thread.h"
#include "page_time.h"
#include "steer.h"
#include "watched_sites.h"

#include <ringfence/port.h>
#include <ringfence/sink.h>
#include <string.h>
#include <sys/resource.h>

#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"
#include "checkers/os/memory_tags.h"
#include "checkers/os/stack_walk.h"
#include "checkers/shared/wrapper.h"

#define SAMPLE_DEPTH 16U

rf_guarded_blocks_state rf_guarded_blocks;
RF_THREAD_LOCAL rf_sample_pick rf_guarded_blocks_pick;
RF_THREAD_LOCAL int32_t rf_guarded_blocks_left;

/* Guard looks at an allocation for the sake of a new stack: the drawn one is so many behind it. 0: it does not. */
static RF_THREAD_LOCAL int32_t drawn_behind;

static struct {
  uint64_t seed;
  uint32_t threads;   /* that have drawn; accessed atomically */
  uint64_t inherited; /* blocks served before the fork */
  bool samples;       /* not all blocks are watched, but by lot */
  bool guard;         /* few are, as time allows */
  bool certain;       /* guard, and a seed was given: each that is looked at */
  /* Guard: when the next block may be watched. Of 64 bits: 32 would take half an hour without one for a time to come.
   * Accessed atomically, as is the next. */
  uint64_t next_us RF_ATOMIC_64;
  uint32_t known; /* looks at paths that had been watched */
} state;

/* The number of the first allocation that guard watches: each power of two up to `rate` is as likely, so that some runs
 * watch an allocation that a short program makes once, at its start. */
static uint32_t first_look(rf_sample_pick *pick, uint32_t rate) {
  uint64_t const random = rf_random_next(&pick->random);
  uint32_t const power = (uint32_t)1 << (random >> 32) % (rf_log2(rate) + 1);
  return power + ((uint32_t)random & (power - 1));
}

/* True where the thread draws for the first time, of numbers of its own. */
static bool begins_to_draw(rf_sample_pick *pick) {
  if (pick->drawn != 0) {
    return false;
  }
  rf_sample_seed(pick, state.seed + __atomic_fetch_add(&state.threads, 1, __ATOMIC_RELAXED));
  return true;
}

static bool draw(uint32_t rate) {
  rf_sample_pick *const pick = &rf_guarded_blocks_pick;
  if (begins_to_draw(pick) && state.guard) {
    pick->drawn = 1;
    pick->left = first_look(pick, rate) - 1;
    if (pick->left != 0) {
      return false;
    }
  }
  return rf_sample_due_slow(pick, rate);
}

bool rf_guarded_blocks_draw(int32_t *left) {
  if (rf_is_forbidden(RF_CALLS_OF_PAGES)) {
    *left = INT32_MAX;
    return false;
  }
  uint32_t rate = __atomic_load_n(&rf_guarded_blocks.rate, __ATOMIC_RELAXED);
  if (rate == 1 || rf_page_time_is_limited()) { /* page_wants may put the next one off */
    rf_steer_tick();
    *left = 0;
    return true;
  }
  rf_steer_turn const turn = rf_steer_paces() ? rf_steer_look(left) : RF_STEER_DUE;
  if (turn == RF_STEER_WAIT) {
    return false;
  }
  rate = __atomic_load_n(&rf_guarded_blocks.rate, __ATOMIC_RELAXED);
  bool const due = rate != 0 && draw(rate) && turn == RF_STEER_DUE;
  *left = rf_steer_stretch(rate != 0 ? (int32_t)rf_guarded_blocks_pick.left : INT32_MAX);
  return due;
}

/* ---- Which to watch ---- */

#define EVERY_US 2500U   /* a watched block costs some ten microseconds */
#define SAVED_US 7500U   /* so long a time may have been saved up */
#define KNOWN_ONE_IN 16U /* of the looks at paths that had been watched */

static uint64_t now_us(void) {
  return rf_port_now_ns() / 1000;
}

/* `next` may lie before the clock began. */
static bool is_too_soon(void) {
  uint64_t const next = __atomic_load_n(&state.next_us, __ATOMIC_RELAXED);
  return (int64_t)(now_us() - next) < 0;
}

static void spend_time(void) {
  uint64_t const now = now_us();
  uint64_t const next = __atomic_load_n(&state.next_us, __ATOMIC_RELAXED);
  uint64_t const from = now - next > SAVED_US ? now - SAVED_US : next;
  __atomic_store_n(&state.next_us, from + EVERY_US, __ATOMIC_RELAXED);
}

/* True where a path that had been watched is due again. */
static bool is_wanted_again(uint32_t key) {
  uint32_t const raise = rf_steer_raise();
  if (raise != 1) {
    return rf_site_wants(key, KNOWN_ONE_IN * raise);
  }
  return __atomic_fetch_add(&state.known, 1, __ATOMIC_RELAXED) % KNOWN_ONE_IN == 0;
}

static bool guard_wants(const rf_origin *origin) {
  if (state.certain && !rf_site_is_limited()) {
    return true;
  }
  if (!state.certain && is_too_soon()) {
    return false;
  }
  uint32_t const key = rf_site_key(origin);
  if (!rf_site_may_be_watched(key, origin->caller)) {
    return false;
  }
  if (!state.certain && !rf_watched_sites_add(key) && !is_wanted_again(key)) {
    return false;
  }
  spend_time();
  return true;
}

/* The table of sites decides nothing. */
static bool sites_are_alike(void) {
  return rf_steer_raise() == 1 && !rf_site_is_limited();
}

bool rf_guarded_blocks_want_site(const rf_origin *caller) {
  if (sites_are_alike()) {
    return true;
  }
  uint32_t const raise = rf_steer_raise();
  uint32_t const key = rf_site_key(caller);
  return rf_site_may_be_watched(key, caller->caller) && (raise == 1 || rf_site_wants(key, raise));
}

#define PUT_OFF 128U /* allocations, on average, from one look to the next where there is no time for more */

static int32_t put_off(void) {
  rf_sample_pick *const pick = &rf_guarded_blocks_pick;
  if (begins_to_draw(pick)) {
    pick->drawn = 1;
  }
  return (int32_t)(1 + (uint32_t)(rf_random_next(&pick->random) >> 32) % (2 * PUT_OFF));
}

/* In mode page: all as long as there is time, then paths that come for the first time. */
static bool page_wants(const rf_origin *origin) {
  if (rf_page_time_left()) {
    return true;
  }
  rf_guarded_blocks_left = put_off();
  return rf_watched_sites_add(rf_site_key(origin));
}

/* In mode sample from a heap of our own, where a policy may not take more time than guard does; true in mode page. */
static bool sample_wants(const rf_origin *origin) {
  rf_caller_trace called;
  bool const limited = __atomic_load_n(&rf_steering_now.limited, __ATOMIC_RELAXED);
  if (limited && is_too_soon()) {
    return false;
  }
  if (!sites_are_alike() && !rf_guarded_blocks_want_site(rf_caller_of(origin, &called))) {
    return false;
  }
  if (limited) {
    spend_time();
  }
  return true;
}

static bool wants(const rf_origin *origin) {
  return rf_page_time_is_limited() ? page_wants(origin) : state.guard ? guard_wants(origin) : sample_wants(origin);
}

/* A stack that is new to the depot: what comes next may well be new, too. Draws nothing, so that a seed always draws
 * the same. */
static void look_at_next(void) {
  if (rf_is_forbidden(RF_CALLS_OF_PAGES)) {
    return;
  }
  bool const may = state.certain || rf_page_time_is_limited() || !is_too_soon();
  if (rf_guarded_blocks_left > 1 && drawn_behind == 0 && may) {
    drawn_behind = rf_guarded_blocks_left - 1;
    rf_guarded_blocks_left = 1;
  }
}

bool rf_guarded_blocks_due(const rf_origin *origin) {
  if (RF_LIKELY(rf_guarded_blocks_left > 0)) {
    return false;
  }
  bool due = true;
  if (rf_is_forbidden(RF_CALLS_OF_PAGES)) {
    rf_guarded_blocks_left = INT32_MAX;
    return false;
  }
  if (drawn_behind != 0) {
    rf_guarded_blocks_left = drawn_behind;
    drawn_behind = 0;
  } else {
    due = rf_guarded_blocks_draw(&rf_guarded_blocks_left);
  }
  return due && wants(origin);
}

/* ---- The beginning ---- */

/* The hint in findings of blocks that guard watches. The text stays. */
static const char *how_to_repeat(const rf_options *o) {
  static char text[192];
  rf_sink_buffer line;
  rf_sink_buffer_init(&line, text, sizeof text - 1);
  rf_sink_str(&line.sink,
              "the block was one of the few that guard watches; to watch it again: RINGFENCE_OPTIONS=watch=");
  rf_sink_uint(&line.sink, o->watch);
  rf_sink_str(&line.sink, ":sample_seed=");
  rf_sink_uint(&line.sink, state.seed);
  return text;
}

static void look_at_new_stacks(rf_stack_depot *depot) {
  if (depot != NULL) {
    depot->added = look_at_next;
  }
}

static void begin_guard(const rf_options *o, rf_stack_depot *depot) {
  state.guard = true;
  state.certain = o->sample_seed != 0;
  if (o->watch_sites != NULL) {
    rf_watched_sites_begin(o->watch_sites);
  }
  look_at_new_stacks(depot);
}

/* Any other rate than 1 lets requests take the shortest way, where it is nobody's turn. */
#define AS_TIME_ALLOWS 2U

static uint32_t rate_of(const rf_options *o) {
  return o->mode == RF_MODE_SAMPLE   ? o->sample_rate
         : o->mode == RF_MODE_GUARD  ? o->watch
         : rf_page_time_is_limited() ? AS_TIME_ALLOWS
                                     : 1;
}

/* Address space that serves no block of the program: where that is limited, the program needs nearly all of it. */
#define CLOSED_SHARE 16U

/* The end of the line that says that there are no more pages: how further blocks are checked. */
static const char *fallback_of(rf_mode mode) {
  switch (mode) {
  case RF_MODE_SAMPLE:
    return "further ones are not sampled";
  case RF_MODE_GUARD:
    return "reads of further ones are not checked";
  default:
    return "further ones are checked as in mode guard";
  }
}

/* At most `most` bytes of it. */
static size_t within_limit(size_t most) {
  struct rlimit space;
  bool const limited = getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur / CLOSED_SHARE < most;
  return limited ? (size_t)space.rlim_cur / CLOSED_SHARE : most;
}

void rf_guarded_blocks_begin(const rf_options *o, rf_stack_depot *depot, rf_reporter *reporter) {
  bool const guard = o->mode == RF_MODE_GUARD && o->watch != 0 && o->signals;
  bool const sampling = o->mode == RF_MODE_SAMPLE || guard;
  rf_options_keep_sites(depot);
  if (!sampling && o->mode != RF_MODE_PAGE) {
    return;
  }
  /* One that can be named by an option, where it is told. */
  state.seed = o->sample_seed != 0 ? o->sample_seed : guard ? (uint32_t)rf_host_secret() | 1U : rf_host_secret();
  bool const shows = sampling ? o->sample_slots <= RF_SAMPLE_KEEPS : o->page_close == RF_PAGE_CLOSING_RIGHTS;
  rf_page_store_options const options = {
      .allocator = "malloc",
      .mode = rf_mode_name(o->mode),
      .reporter = reporter,
      .depot = depot,
      .stack_depth = o->mode == RF_MODE_SAMPLE && o->stack_depth < SAMPLE_DEPTH ? SAMPLE_DEPTH : o->stack_depth,
      .side = guard && o->align == RF_PAGE_BOTH ? RF_PAGE_RIGHT : o->align, /* where most stray reads are */
      .quarantine = sampling ? SIZE_MAX : within_limit(o->closed),
      .fill_alloc = o->mode == RF_MODE_SAMPLE ? 0 : o->fill_alloc,
      .note = guard ? how_to_repeat(o) : NULL,
      .read_all = sampling || shows
                      ? NULL
                      : "programs that read all of their mappings (a collector, a checkpoint) need page_close=rights",
      .slots = sampling ? o->sample_slots : 0,
      .largest = sampling ? RF_SAMPLE_LARGEST_DEFAULT : 0,
      .space = sampling ? within_limit(SIZE_MAX) : 0,
      .memory = o->page_memory,
      .seed = sampling ? 0 : o->page_seed,
      .watches_seldom = true,
      .moves_pages = !sampling && rf_process.library && o->page_close == RF_PAGE_CLOSING_QUICK,
      .shows_pages = shows,
      .keeps_pages = o->mode == RF_MODE_SAMPLE && o->sample_slots <= RF_SAMPLE_KEEPS, /* guard watches seldom */
      .fallback = fallback_of(o->mode),
  };
  state.samples = sampling;
  if (!sampling) {
    rf_page_time_begin(o->page_time);
    if (rf_page_time_is_limited()) {
      look_at_new_stacks(depot);
    }
  }
  state.next_us = now_us() - SAVED_US;
  rf_guarded_blocks.reporter = reporter;
  rf_guarded_blocks.keeps_alignment = o->align >= RF_PAGE_EXACT;
  rf_guarded_blocks.store = rf_page_store_open(&options);
  if (rf_guarded_blocks.store != NULL) {
    if (o->mode == RF_MODE_SAMPLE) {
      (void)rf_page_store_reserve(rf_guarded_blocks.store); /* so that it is known where blocks will lie */
    } else if (guard) {
      begin_guard(o, depot);
    }
    __atomic_store_n(&rf_guarded_blocks.rate, rate_of(o), __ATOMIC_RELEASE);
  }
  rf_guarded_blocks_left = 0;
}

/* ---- Requests ---- */

/* Threads are known by their cache, and are looked at when leaks are. */
static void bind_thread(void) {
  if (rf_process.checked && rf_current_thread.cache == NULL && !rf_current_thread.binding && !rf_current_thread.ended) {
    rf_cache *const cache = rf_enter();
    if (cache != NULL) {
      rf_leave(cache);
    }
  }
}

/* The store asks for its number. */
static void know_thread(void) {
  if (rf_is_forbidden(RF_CALL_GETTID)) {
    (void)rf_thread_id();
  }
}

void *rf_guarded_blocks_alloc(const rf_page_request *request, const rf_origin *origin) {
  know_thread();
  bind_thread();
  uint64_t const entered = rf_page_time_enter();
  void *const block = rf_page_store_alloc(rf_guarded_blocks.store, request, origin);
  rf_page_time_leave(entered);
  return block;
}

bool rf_guarded_blocks_own(const void *ptr) {
  return rf_guarded_blocks.store != NULL && rf_page_store_owns(rf_guarded_blocks.store, ptr);
}

void rf_guarded_blocks_free(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  rf_page_block freed;
  know_thread();
  uint64_t const entered = rf_page_time_enter();
  rf_status const status = rf_page_store_free(rf_guarded_blocks.store, ptr, family, size, origin, &freed);
  rf_page_time_leave(entered);
  if (status == RF_OK) {
    rf_signals_freed((uintptr_t)freed.ptr, freed.size);
  }
}

bool rf_guarded_blocks_usable_size(const void *ptr, size_t *size) {
  rf_page_block block;
  bool const live = rf_page_store_find(rf_guarded_blocks.store, ptr, &block);
  *size = live ? block.size : 0;
  return live;
}

void rf_guarded_blocks_tell_of(const void *ptr, rf_finding *f) {
  if (rf_guarded_blocks_own(ptr)) {
    rf_page_store_tell_of(rf_guarded_blocks.store, ptr, f);
  }
}

/* Blocks move, so that stale pointers show; big ones grow where they are as long as there is room behind them, and they
 * end where they are to end. */
bool rf_guarded_blocks_realloc(void *ptr, size_t size, const rf_origin *origin, void **moved, size_t *old_size) {
  rf_page_block block;
  if (!rf_page_store_find(rf_guarded_blocks.store, ptr, &block)) {
    (void)rf_page_store_refuse(rf_guarded_blocks.store, ptr, origin);
    return false;
  }
  bool const big =
      block.size >= RF_PAGE_GROWS_FROM && rf_page_store_ends_as_well(rf_guarded_blocks.store, block.size, size);
  *old_size = block.size;
  if (big && rf_page_store_resize(rf_guarded_blocks.store, ptr, size, origin) == RF_OK) {
    *moved = ptr;
    return true;
  }
  rf_page_store_return_rights(rf_guarded_blocks.store, ptr); /* its bytes are moved, here or by the caller */
  rf_page_request const request = {
      .size = size, .align = RF_ALIGN_DEFAULT, .room = big ? size : 0, .like = big ? ptr : NULL};
  bool const due = !rf_guarded_blocks_passes() && rf_guarded_blocks_due(origin);
  *moved = due ? rf_guarded_blocks_alloc(&request, origin) : NULL;
  if (*moved != NULL) {
    rf_pages_move(*moved, ptr, block.size < size ? block.size : size);
    rf_guarded_blocks_free(ptr, RF_FAMILY_REALLOC, SIZE_MAX, origin);
  }
  return true;
}

size_t rf_guarded_blocks_sweep(uint64_t budget_ns, const rf_origin *origin) {
  return rf_guarded_blocks.store != NULL ? rf_page_store_sweep(rf_guarded_blocks.store, budget_ns, origin) : 0;
}

void rf_guarded_blocks_figures(rf_page_figures *out) {
  memset(out, 0, sizeof *out);
  if (rf_guarded_blocks.store != NULL) {
    rf_page_store_figures(rf_guarded_blocks.store, out);
  }
}

void rf_guarded_blocks_figures_unlocked(rf_page_figures *out) {
  memset(out, 0, sizeof *out);
  if (rf_guarded_blocks.store != NULL) {
    rf_page_store_figures_unlocked(rf_guarded_blocks.store, out);
  }
}

/* A request that the heap refused as well is no block. */
uint64_t rf_guarded_blocks_unpaged(const rf_page_figures *figures, const rf_counters *heap) {
  if (rf_guarded_blocks.store == NULL || state.samples) {
    return 0;
  }
  if (rf_page_time_is_limited()) {
    return heap->allocations;
  }
  return figures->declined > heap->failures ? figures->declined - heap->failures : 0;
}

void rf_guarded_blocks_handlers_changed(void) {
  if (rf_memory_tags_on()) {
    rf_tag_faults_watch();
  } else if (rf_guarded_blocks.store != NULL) {
    rf_page_store_watch(rf_guarded_blocks.store);
  }
}

/* ---- For debuggers: tools/gdb/ringfence.py ---- */

extern const uintptr_t __ringfence_debugger[];
RF_EXPORT __attribute__((used))
const uintptr_t __ringfence_debugger[] = {1, (uintptr_t)rf_heap_debugger, (uintptr_t)rf_page_debugger};

/* ---- Forks ---- */

void rf_guarded_blocks_forked(void) {
  rf_page_time_forked();
  rf_watched_sites_inherit();
}

void rf_guarded_blocks_inherit(void) {
  rf_page_figures now;
  rf_guarded_blocks_figures(&now);
  state.inherited = now.counters.allocations;
}

bool rf_guarded_blocks_inherited(const rf_page_block *block) {
  return block->serial < state.inherited;
}
