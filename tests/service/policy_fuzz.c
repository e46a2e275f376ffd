/* A policy of any bytes: a process that reads it takes nothing of one that is not whole, and every text ends. The first
 * byte says whether head and checksum are made right, so that what is behind them is reached. */
#include "checkers/report/policy.h"

#include <ringfence/options.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
  if (!condition) {
    abort();
  }
}

static const rf_policy_who who = {
    .program = "/srv/app/parser",
    .build_id = "be7dfb93042ae49cd82408722167b81a71b0bb00",
    .version = "2.1.0",
    .commit = "4f2c9a1d00",
    .environment = "production",
};

typedef struct taken {
  unsigned rules;
  unsigned sites;
} taken;

static void drop(void *context, const char *text, size_t length) {
  (void)context;
  (void)text;
  (void)length;
}

static void take_rule(void *context, const rf_policy_rule *rule) {
  taken *const t = (taken *)context;
  rf_sink const silence = {drop, NULL};
  rf_options options;
  rf_options_default(&options);
  require(memchr(rule->program, 0, sizeof rule->program) != NULL);
  require(memchr(rule->build, 0, sizeof rule->build) != NULL);
  require(memchr(rule->environment, 0, sizeof rule->environment) != NULL);
  require(memchr(rule->options, 0, sizeof rule->options) != NULL);
  require(rf_policy_matches(rule, &who));
  (void)rf_options_parse(&options, rule->options, "policy", &silence);
  t->rules++;
}

static void take_site(void *context, const rf_policy_site *site) {
  require(site->build == rf_policy_build_key(who.build_id));
  ((taken *)context)->sites++;
}

static uint32_t number_at(const rf_policy *p, size_t at) {
  uint32_t value;
  memcpy(&value, (const unsigned char *)p + at, sizeof value);
  return value;
}

/* As the form has it, said anew. */
static bool is_whole(const rf_policy *p) {
  return memcmp(p, "RFPOLICY", 8) == 0 && number_at(p, 8) == 1 && number_at(p, 12) == sizeof *p &&
         number_at(p, 16) % 2 == 0 && number_at(p, 20) == rf_policy_crc(p) && number_at(p, 40) <= RF_POLICY_RULES &&
         number_at(p, 44) <= RF_POLICY_SITES;
}

static void make_head(rf_policy *p, bool all) {
  memcpy(p->magic, RF_POLICY_MAGIC, sizeof p->magic);
  p->version = RF_POLICY_VERSION;
  p->size = sizeof *p;
  p->generation &= ~1U;
  if (all) {
    p->rule_count %= RF_POLICY_RULES + 1;
    p->site_count %= RF_POLICY_SITES + 1;
  }
  p->crc = rf_policy_crc(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static rf_policy policy;
  taken t = {0, 0};
  rf_policy_taker const taker = {take_rule, take_site, &t};
  rf_policy_head head;
  uint32_t generation = 1;
  memset(&policy, 0, sizeof policy);
  if (size == 0) {
    return 0;
  }
  memcpy(&policy, data + 1, size - 1 < sizeof policy ? size - 1 : sizeof policy);
  if (data[0] % 4 != 0) {
    make_head(&policy, data[0] % 4 != 1);
  }
  bool const read = rf_policy_read_live(&policy, &who, &taker, &head, &generation);
  require(read == is_whole(&policy));
  require(t.rules <= RF_POLICY_RULES && t.sites <= RF_POLICY_SITES);
  if (read) {
    require(generation == policy.generation && head.nonce == policy.nonce && head.newest == policy.newest);
    require(t.rules <= policy.rule_count && t.sites <= policy.site_count);
  }
  return 0;
}
