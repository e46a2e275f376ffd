#include "steer.h"

#include "checkers/dropin/runtime/output.h"
#include "checkers/dropin/runtime/site_choice.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/report/collector.h"
#include "guarded_blocks.h"
#include "lib/core/compiler.h"

#include <ringfence/port.h>
#include <ringfence/sink.h>
#include <unistd.h>

static struct {
  const rf_steer_actions *actions;
  bool busy;           /* a thread takes a change; accessed atomically, as are the next */
  uint32_t generation; /* that holds */
  uint32_t refused;    /* one that is damaged */
  uint32_t drawing;    /* counts changes of the rate, each of which wants countdowns drawn anew */
  uint32_t raise;
  uint32_t rule; /* that settled the options last */
  rf_live_options options;
  uint64_t every_ns RF_ATOMIC_64; /* between snapshots; 0: none; accessed atomically, as is the next */
  uint64_t next_ns RF_ATOMIC_64;  /* when the next one is due */
} state = {.raise = 1};

typedef struct steered_thread {
  uint64_t looked_ns;
  uint32_t drawing;
  int32_t stretch; /* the present one, in allocations */
  int32_t rest;    /* of the countdown behind it */
  int32_t most;    /* of a stretch */
  int32_t least;   /* of a countdown */
} steered_thread;

static RF_THREAD_LOCAL steered_thread this_thread;

/* ---- Steps ---- */

static void tell(uint32_t rule, const char *done) {
  char text[256];
  rf_sink_buffer line;
  rf_collector_step(rule, done);
  if (rf_process.options.verbosity != 0) {
    rf_sink_buffer_init(&line, text, sizeof text);
    rf_sink_str(&line.sink, "ringfence: process ");
    rf_sink_uint(&line.sink, (uint64_t)rf_process_now());
    rf_sink_str(&line.sink, ": policy rule ");
    rf_sink_uint(&line.sink, rule);
    rf_sink_str(&line.sink, ": ");
    rf_sink_str(&line.sink, done);
    rf_sink_str(&line.sink, "\n");
    rf_output_say(line.data, line.length);
  }
}

static void tell_every(const rf_steering_wish *wish) {
  char text[64];
  rf_sink_buffer line;
  rf_sink_buffer_init(&line, text, sizeof text);
  rf_sink_str(&line.sink, "snapshot_every=");
  rf_sink_uint(&line.sink, wish->options.snapshot_every);
  rf_sink_str(&line.sink, rf_process.checked ? "" : ": this mode has no snapshots");
  tell(wish->rule != 0 ? wish->rule : state.rule, text);
}

static void tell_options(const rf_steering_wish *wish) {
  char text[128];
  bool const sample = rf_process.options.mode == RF_MODE_SAMPLE;
  rf_sink_buffer line;
  rf_sink_buffer_init(&line, text, sizeof text);
  rf_sink_str(&line.sink, sample ? "sample_rate=" : "watch=");
  rf_sink_uint(&line.sink, sample ? wish->options.sample_rate : wish->options.watch);
  rf_sink_str(&line.sink, ":raise=");
  rf_sink_uint(&line.sink, wish->options.raise);
  tell(wish->rule != 0 ? wish->rule : state.rule, text);
}

/* One in so many is looked at; each only where the user wants it, since it takes another way. */
static uint32_t rate_of(const rf_live_options *o, bool own) {
  uint32_t const asked = rf_process.options.mode == RF_MODE_SAMPLE ? o->sample_rate : o->watch;
  uint32_t const raised = asked / o->raise;
  return asked == 0 ? 0 : own && asked == 1 ? 1 : raised < 2 ? 2 : raised;
}

static bool is_sampling(void) {
  return rf_guarded_blocks.store != NULL &&
         (rf_process.options.mode == RF_MODE_SAMPLE || rf_process.options.mode == RF_MODE_GUARD);
}

static void set_rate(const rf_live_options *o, bool own) {
  __atomic_store_n(&state.raise, is_sampling() ? o->raise : 1, __ATOMIC_RELAXED);
  uint32_t const rate = rate_of(o, own);
  if (is_sampling() && rate != rf_guarded_blocks.rate) {
    __atomic_store_n(&rf_guarded_blocks.rate, rate, __ATOMIC_RELAXED);
    __atomic_fetch_add(&state.drawing, 1, __ATOMIC_RELEASE);
  }
}

/* The first one comes when the time has passed once. */
static void set_every(uint32_t seconds) {
  bool const tells = rf_process.checked || rf_collector_is_named();
  uint64_t const every = tells ? (uint64_t)seconds * 1000000000U : 0;
  __atomic_store_n(&state.next_ns, rf_port_now_ns() + every, __ATOMIC_RELAXED);
  __atomic_store_n(&state.every_ns, every, __ATOMIC_RELEASE);
}

static bool has_same_rates(const rf_live_options *a, const rf_live_options *b) {
  return a->sample_rate == b->sample_rate && a->watch == b->watch && a->raise == b->raise;
}

static bool set_options(const rf_steering_wish *wish) {
  bool const limited = rf_steering_limits(&wish->options, rf_process.options.mode);
  bool const same = has_same_rates(&wish->options, &state.options);
  if (wish->options.snapshot_every != state.options.snapshot_every) {
    set_every(wish->options.snapshot_every);
    tell_every(wish);
  }
  state.options = wish->options;
  if (same) {
    return false;
  }
  __atomic_store_n(&rf_steering_now.limited, limited, __ATOMIC_RELAXED);
  set_rate(&wish->options, !limited);
  return is_sampling();
}

/* ---- Changes ---- */

/* Call sites near a finding, of the policy that is being read: they are marked once it is known to be whole. Of the
 * thread that is busy. */
static struct {
  uint32_t keys[RF_POLICY_SITES];
  uint32_t count;
} near_findings;

static void note_site(const rf_policy_site *site) {
  if (near_findings.count < RF_POLICY_SITES) {
    near_findings.keys[near_findings.count++] = site->key;
  }
}

static void mark_sites(void) {
  for (uint32_t i = 0; i < near_findings.count; i++) {
    rf_site_set_near(near_findings.keys[i]);
  }
}

static void act(const rf_steering_wish *wish) {
  if (wish->sweep != 0) {
    tell(wish->sweep, "sweep");
    state.actions->sweep();
  }
  if (wish->snapshot != 0) {
    char name[32];
    rf_sink_buffer text;
    rf_sink_buffer_init(&text, name, sizeof name);
    rf_sink_str(&text.sink, "rule ");
    rf_sink_uint(&text.sink, wish->snapshot);
    tell(wish->snapshot, state.actions->snapshot(name) ? "snapshot" : "no snapshot: this mode has none");
  }
}

static void take(uint32_t seen) {
  rf_steering_wish wish;
  uint32_t generation = seen;
  bool told = false;
  if (rf_process_now() != rf_process.id) { /* a child of vfork: its parent sees the change itself */
    return;
  }
  if (__atomic_exchange_n(&state.busy, true, __ATOMIC_ACQUIRE)) {
    return;
  }
  near_findings.count = 0;
  bool const done = rf_steering_read(&wish, note_site, &generation);
  if (done) {
    mark_sites();
    told = set_options(&wish);
    rf_steering_now.newest = wish.newest;
    __atomic_store_n(&state.generation, generation, __ATOMIC_RELEASE);
  } else {
    __atomic_store_n(&state.refused, seen, __ATOMIC_RELAXED);
  }
  if (told) {
    tell_options(&wish);
  }
  state.rule = done && wish.rule != 0 ? wish.rule : state.rule;
  __atomic_store_n(&state.busy, false, __ATOMIC_RELEASE);
  if (done) {
    act(&wish);
  }
}

/* ---- Snapshots ---- */

/* One thread takes the snapshot, and the others go on. If the heap is busy it is left out: the next one comes. */
static void take_snapshot(uint64_t now, uint64_t every) {
  uint64_t next = __atomic_load_n(&state.next_ns, __ATOMIC_RELAXED);
  if (now < next || rf_process_now() != rf_process.id ||
      !__atomic_compare_exchange_n(&state.next_ns, &next, now + every, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    return;
  }
  char name[48];
  rf_sink_buffer text;
  rf_sink_buffer_init(&text, name, sizeof name);
  rf_sink_str(&text.sink, "after ");
  rf_sink_uint(&text.sink, (now - rf_process.start_ns) / 1000000000U);
  rf_sink_str(&text.sink, " s");
  state.actions->regular_snapshot(name);
}

/* ---- Looks ---- */

static int32_t bounded(uint64_t value, int32_t least, int32_t most) {
  return value < (uint64_t)least ? least : value > (uint64_t)most ? most : (int32_t)value;
}

/* A rate that the user settled, or a seed, holds whatever it costs. */
static bool is_bounded(void) {
  bool const limited = __atomic_load_n(&rf_steering_now.limited, __ATOMIC_RELAXED);
  return rf_process.options.sample_seed == 0 && (limited || rf_steer_raise() != 1);
}

/* How far this thread's allocations are apart says how many of them to let pass: more only little by little, since many
 * may be followed by few. */
static void pace(steered_thread *t) {
  uint64_t const now = rf_port_now_ns();
  uint64_t const since = now - t->looked_ns;
  uint64_t const each = since / (uint64_t)(t->stretch > 0 ? t->stretch : 1) + 1;
  t->looked_ns = now;
  int32_t const grown = t->most < RF_STEER_STRETCH / 2 ? 2 * t->most : RF_STEER_STRETCH;
  t->most = bounded(RF_STEER_EVERY_NS / each, 1, grown > 0 ? grown : 1);
  t->least = is_bounded() ? bounded(RF_STEER_LEAST_NS / each, 1, INT32_MAX) : 1;
}

/* True where the rate has changed. */
static bool look(steered_thread *t) {
  const rf_policy *const live = rf_steering_now.live;
  uint32_t const seen = live != NULL ? __atomic_load_n(&live->generation, __ATOMIC_ACQUIRE) : 1;
  pace(t);
  if (seen % 2 == 0 && seen != __atomic_load_n(&state.generation, __ATOMIC_RELAXED) &&
      seen != __atomic_load_n(&state.refused, __ATOMIC_RELAXED)) {
    take(seen);
  }
  uint64_t const every = __atomic_load_n(&state.every_ns, __ATOMIC_ACQUIRE);
  if (every != 0) {
    take_snapshot(t->looked_ns, every);
  }
  uint32_t const drawing = __atomic_load_n(&state.drawing, __ATOMIC_ACQUIRE);
  bool const changed = t->drawing != drawing;
  t->drawing = drawing;
  return changed;
}

static bool has_snapshots(void) {
  return __atomic_load_n(&state.every_ns, __ATOMIC_RELAXED) != 0;
}

bool rf_steer_paces(void) {
  return has_snapshots() || rf_steering_now.live != NULL || rf_steer_raise() != 1 ||
         __atomic_load_n(&rf_steering_now.limited, __ATOMIC_RELAXED);
}

int32_t rf_steer_stretch(int32_t drawn) {
  steered_thread *const t = &this_thread;
  if (!rf_steer_paces()) {
    return drawn;
  }
  int32_t const most = t->most > 0 ? t->most : 1;
  int32_t const all = drawn < t->least ? t->least : drawn;
  t->stretch = all < most ? all : most;
  t->rest = all - t->stretch;
  return t->stretch;
}

rf_steer_turn rf_steer_look(int32_t *left) {
  steered_thread *const t = &this_thread;
  int32_t const rest = t->rest;
  if (look(t)) {
    return RF_STEER_ANEW;
  }
  if (rest == 0) {
    return RF_STEER_DUE;
  }
  t->stretch = rest < t->most ? rest : t->most;
  t->rest = rest - t->stretch;
  *left = t->stretch;
  return RF_STEER_WAIT;
}

void rf_steer_tick(void) {
  steered_thread *const t = &this_thread;
  if ((has_snapshots() || rf_steering_now.live != NULL) && --t->rest < 0) {
    (void)look(t);
    t->stretch = t->most;
    t->rest = t->most;
  }
}

uint32_t rf_steer_raise(void) {
  return __atomic_load_n(&state.raise, __ATOMIC_RELAXED);
}

/* ---- Beginning ---- */

void rf_steer_begin(const rf_steer_actions *actions) {
  const rf_options *const o = &rf_process.options;
  state.actions = actions;
  if (is_sampling()) {
    rf_site_limit_to(o->modules, o->modules_length);
  }
  state.options = (rf_live_options){o->sample_rate, o->watch, o->raise, o->snapshot_every};
  if (o->snapshot_every != 0) {
    set_every(o->snapshot_every);
  }
  set_rate(&state.options, !rf_steering_now.limited);
  if (o->mode != RF_MODE_OFF) {
    rf_steering_attach();
  }
  if (rf_steering_now.live != NULL) {
    take(__atomic_load_n(&rf_steering_now.live->generation, __ATOMIC_ACQUIRE));
  }
}

void rf_steer_forked(void) {
  __atomic_store_n(&state.busy, false, __ATOMIC_RELEASE);
  __atomic_store_n(&state.next_ns, rf_port_now_ns() + state.every_ns, __ATOMIC_RELAXED);
}
