#define _GNU_SOURCE
#include "steering.h"

#include "checkers/checked/mode_options.h"
#include "checkers/os/host.h"
#include "checkers/os/modules.h"
#include "checkers/report/collector_identity.h"
#include "site_choice.h"

#include <stdlib.h>
#include <string.h>

rf_steering rf_steering_now;

static void nowhere(void *context, const char *text, size_t length) {
  (void)context;
  (void)text;
  (void)length;
}

/* The collector's side has said what is wrong with a rule. One of a newer version's may have options not known here. */
static const rf_sink silence = {nowhere, NULL};

/* ---- This process ---- */

static void find_out_who(rf_policy_who *who, const rf_options *o) {
  char id[2 * RF_BUILD_ID_BYTES + 1];
  (void)rf_modules_program_path(who->program, sizeof who->program);
  rf_modules_program_id(id);
  _Static_assert(sizeof id <= sizeof who->build_id, "it has room there");
  memcpy(who->build_id, id, sizeof id);
  (void)rf_collector_text_of(who->version, sizeof who->version,
                             (rf_collector_text){o->build_version, o->build_version_length}, "RINGFENCE_VERSION");
  (void)rf_collector_text_of(who->commit, sizeof who->commit,
                             (rf_collector_text){o->build_commit, o->build_commit_length}, "RINGFENCE_COMMIT");
  (void)rf_collector_text_of(who->environment, sizeof who->environment,
                             (rf_collector_text){o->environment, o->environment_length}, "RINGFENCE_ENVIRONMENT");
  if (who->environment[0] == '\0') {
    memcpy(who->environment, "development", sizeof "development");
  }
}

/* ---- At the beginning ---- */

/* Their texts would be the rule's, which goes. */
static void keep_paths(rf_options *o, const rf_options *from) {
#define RF_OPTION_PATH(name, help)                                                                                     \
  o->name = from->name;                                                                                                \
  o->name##_length = from->name##_length;
#include <ringfence/options.inc>
}

static char modules[RF_SITE_MODULES];

/* The one whose text is kept. */
static void keep_modules(rf_options *o, const rf_options *from) {
  bool const changed = o->modules != from->modules && o->modules_length <= sizeof modules;
  if (changed) {
    memcpy(modules, o->modules, o->modules_length);
  }
  size_t const length = o->modules_length;
  keep_paths(o, from);
  if (changed) {
    o->modules = modules;
    o->modules_length = length;
  }
}

typedef struct start {
  rf_options options;
  rf_sink_buffer rules;
} start;

static void take_at_start(void *context, const rf_policy_rule *rule) {
  start *const s = (start *)context;
  rf_options const before = s->options;
  if (rule->kind == RF_POLICY_OPTIONS) {
    (void)rf_options_parse(&s->options, rule->options, "policy", &silence);
    keep_modules(&s->options, &before);
    s->options.help = before.help;
    rf_sink_str(&s->rules.sink, s->rules.length != 0 ? "," : "");
    rf_sink_uint(&s->rules.sink, rule->number);
  }
}

static void no_site(void *context, const rf_policy_site *site) {
  (void)context;
  (void)site;
}

static rf_live_options live_part(const rf_options *o) {
  return (rf_live_options){o->sample_rate, o->watch, o->raise, o->snapshot_every};
}

/* The environment names an option that comes out the same from two different beginnings. */
static rf_live_options named_by(const char *environment) {
  rf_options low = {.sample_rate = 1, .watch = 1, .raise = 1, .snapshot_every = 1};
  rf_options high = {.sample_rate = 2, .watch = 2, .raise = 2, .snapshot_every = 2};
  (void)rf_options_parse(&low, environment, "environment", &silence);
  (void)rf_options_parse(&high, environment, "environment", &silence);
  return (rf_live_options){low.sample_rate == high.sample_rate || low.sample_seed != 0,
                           low.watch == high.watch || low.sample_seed != 0, low.raise == high.raise,
                           low.snapshot_every == high.snapshot_every};
}

static rf_policy_head head; /* until it is attached */

void rf_steering_begin(rf_options *options, const rf_options *plain) {
  rf_steering *const now = &rf_steering_now;
  start s = {.options = *plain};
  rf_policy_taker const taker = {take_at_start, no_site, &s};
  const char *const variable = secure_getenv("RINGFENCE_COLLECTOR");
  const char *const folder = options->collector != NULL ? options->collector : variable;
  size_t const length = options->collector != NULL ? options->collector_length : folder != NULL ? strlen(folder) : 0;
  head.live = -1;
  if (length == 0 || (length == 4 && memcmp(folder, "none", 4) == 0) || secure_getenv(RF_BAZEL_TEST) != NULL) {
    return;
  }
  rf_sink_buffer_init(&s.rules, now->rules, sizeof now->rules);
  find_out_who(&now->who, options);
  if (!rf_policy_read_file(folder, length, &now->who, &taker, &head)) {
    now->rules[0] = '\0';
    head.live = -1;
    return;
  }
  now->newest = head.newest;
  now->own = named_by(rf_host_environment());
  rf_live_options const unsteered = live_part(options);
  (void)rf_options_parse(&s.options, rf_host_environment(), "environment", &silence);
  *options = s.options;
  now->plain = unsteered;
  rf_live_options const steered = live_part(options);
  now->limited = rf_steering_limits(&steered, options->mode);
}

bool rf_steering_limits(const rf_live_options *options, rf_mode mode) {
  const rf_live_options *const plain = &rf_steering_now.plain;
  return (mode == RF_MODE_SAMPLE && options->sample_rate != plain->sample_rate) ||
         (mode == RF_MODE_GUARD && options->watch != plain->watch);
}

void rf_steering_attach(void) {
  rf_steering_now.live = head.live >= 0 ? rf_policy_attach(&head) : NULL;
}

/* ---- While it runs ---- */

typedef struct reading {
  rf_steering_wish *wish;
  void (*site)(const rf_policy_site *site);
} reading;

/* Only these four options are live: a rule that names none of them changes nothing. */
static void take_options(rf_steering_wish *w, const rf_policy_rule *rule) {
  rf_live_options const before = w->options;
  rf_live_options const *const own = &rf_steering_now.own;
  rf_options o = {.sample_rate = before.sample_rate,
                  .watch = before.watch,
                  .raise = before.raise,
                  .snapshot_every = before.snapshot_every};
  (void)rf_options_parse(&o, rule->options, "policy", &silence);
  w->options.sample_rate = own->sample_rate != 0 ? before.sample_rate : o.sample_rate;
  w->options.watch = own->watch != 0 ? before.watch : o.watch;
  w->options.raise = own->raise != 0 ? before.raise : o.raise;
  w->options.snapshot_every = own->snapshot_every != 0 ? before.snapshot_every : o.snapshot_every;
  if (memcmp(&w->options, &before, sizeof before) != 0) {
    w->rule = rule->number;
  }
}

static void take_live(void *context, const rf_policy_rule *rule) {
  rf_steering_wish *const w = ((const reading *)context)->wish;
  bool const fresh = rule->number > rf_steering_now.newest;
  if (rule->kind == RF_POLICY_OPTIONS) {
    take_options(w, rule);
  } else if (rule->kind == RF_POLICY_SWEEP && fresh) {
    w->sweep = rule->number;
  } else if (rule->kind == RF_POLICY_SNAPSHOT && fresh) {
    w->snapshot = rule->number;
  }
}

static void take_site(void *context, const rf_policy_site *site) {
  const reading *const r = (const reading *)context;
  if (r->site != NULL) {
    r->site(site);
  }
}

bool rf_steering_read(rf_steering_wish *wish, void (*site)(const rf_policy_site *site), uint32_t *generation) {
  const rf_steering *const now = &rf_steering_now;
  rf_policy_head read;
  reading r = {wish, site};
  rf_policy_taker const taker = {take_live, take_site, &r};
  *wish = (rf_steering_wish){.options = now->plain};
  bool const done = rf_policy_read_live(now->live, &now->who, &taker, &read, generation);
  wish->newest = done ? read.newest : now->newest;
  return done;
}
