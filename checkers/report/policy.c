#include "policy.h"

#include <ringfence/suppress.h>
#include <string.h>

#include "checkers/os/base_name.h"
#include "crc32.h"
#include "lib/core/compiler.h"

#define CHECKED_FROM offsetof(rf_policy, nonce)
#define SITES_AT_ONCE 16U
#define LEAST_PREFIX 7U
#define IN_PAGE 0xFFFU

/* ---- Selectors ---- */

RF_COLD bool rf_policy_fits(const char *pattern, size_t length, const char *text) {
  char whole[RF_POLICY_PATTERN + 2];
  if (length > RF_POLICY_PATTERN) {
    return false;
  }
  whole[0] = '^';
  memcpy(whole + 1, pattern, length);
  whole[length + 1] = '$';
  return rf_suppression_matches(whole, length + 2, text);
}

static bool fits_program(const char *pattern, const char *path) {
  const char *const name = strchr(pattern, '/') == NULL ? rf_base_name(path) : path;
  return pattern[0] == '\0' || rf_policy_fits(pattern, strlen(pattern), name);
}

static bool begins(const char *text, const char *prefix) {
  size_t const length = strlen(prefix);
  return length >= LEAST_PREFIX && strncmp(text, prefix, length) == 0;
}

static bool fits_build(const char *build, const rf_policy_who *who) {
  return build[0] == '\0' || strcmp(build, who->version) == 0 || begins(who->commit, build) ||
         begins(who->build_id, build);
}

RF_COLD bool rf_policy_matches(const rf_policy_rule *rule, const rf_policy_who *who) {
  return fits_program(rule->program, who->program) && fits_build(rule->build, who) &&
         (rule->environment[0] == '\0' || strcmp(rule->environment, who->environment) == 0);
}

/* ---- Keys ---- */

RF_COLD uint64_t rf_policy_build_key(const char *build_id) {
  uint64_t key = 0;
  for (unsigned i = 0; i < 16; i++) {
    char const c = build_id[i];
    bool const digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) {
      return 0;
    }
    key = key << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
  }
  return key;
}

uint32_t rf_policy_site_key(const uintptr_t *frames, unsigned depth) {
  unsigned const used = depth < RF_POLICY_SITE_DEPTH ? depth : RF_POLICY_SITE_DEPTH;
  uint64_t key = used;
  for (unsigned i = 0; i < used; i++) {
    key = (key ^ (frames[i] & IN_PAGE)) * 0x9E3779B97F4A7C15U;
  }
  uint32_t const folded = (uint32_t)(key >> 32);
  return folded != 0 ? folded : 1;
}

/* ---- The CRC ---- */

/* The product of two polynomials modulo that of CRC-32, the highest bit being the constant. */
static uint32_t product(uint32_t a, uint32_t b) {
  uint32_t sum = 0;
  for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
    sum ^= (a & bit) != 0 ? b : 0;
    b = b >> 1 ^ ((b & 1) != 0 ? UINT32_C(0xEDB88320) : 0);
  }
  return sum;
}

/* Continues `crc` over `size` bytes of zero, without looking at them: times x^8 for each, by squares. */
static uint32_t crc_over_zeros(uint32_t crc, size_t size) {
  uint32_t power = UINT32_C(1) << (31 - 8);
  crc = ~crc;
  for (; size != 0; size >>= 1) {
    crc = size % 2 != 0 ? product(power, crc) : crc;
    power = product(power, power);
  }
  return ~crc;
}

static uint32_t crc_of(uint32_t crc, const void *used, size_t count, size_t most, size_t size) {
  return crc_over_zeros(rf_crc32(crc, used, count * size), (most - count) * size);
}

RF_COLD uint32_t rf_policy_crc(const rf_policy *policy) {
  uint32_t const rules = policy->rule_count < RF_POLICY_RULES ? policy->rule_count : RF_POLICY_RULES;
  uint32_t const sites = policy->site_count < RF_POLICY_SITES ? policy->site_count : RF_POLICY_SITES;
  const unsigned char *const checked = (const unsigned char *)policy + CHECKED_FROM;
  uint32_t crc = rf_crc32(0, checked, offsetof(rf_policy, rules) - CHECKED_FROM);
  crc = crc_of(crc, policy->rules, rules, RF_POLICY_RULES, sizeof policy->rules[0]);
  return crc_of(crc, policy->sites, sites, RF_POLICY_SITES, sizeof policy->sites[0]);
}

/* ---- Reading ---- */

/* The members before the rules. */
typedef struct start {
  char magic[8];
  uint32_t version;
  uint32_t size;
  uint32_t generation;
  uint32_t crc;
  uint64_t nonce;
  int32_t live;
  uint32_t newest;
  uint32_t rule_count;
  uint32_t site_count;
} start;

_Static_assert(sizeof(start) == offsetof(rf_policy, rules), "the head of rf_policy");

static bool is_policy(const start *s) {
  return memcmp(s->magic, RF_POLICY_MAGIC, sizeof s->magic) == 0 && s->version == RF_POLICY_VERSION &&
         s->size == sizeof(rf_policy) && s->rule_count <= RF_POLICY_RULES && s->site_count <= RF_POLICY_SITES;
}

/* Texts of a damaged rule may have no end. */
static void end_texts(rf_policy_rule *rule) {
  rule->program[sizeof rule->program - 1] = '\0';
  rule->build[sizeof rule->build - 1] = '\0';
  rule->environment[sizeof rule->environment - 1] = '\0';
  rule->options[sizeof rule->options - 1] = '\0';
}

static bool read_rules(const rf_policy_source *source, uint32_t count, const rf_policy_who *who,
                       const rf_policy_taker *taker, uint32_t *crc) {
  rf_policy_rule rule;
  for (uint32_t i = 0; i < count; i++) {
    if (!source->read(source->context, offsetof(rf_policy, rules) + i * sizeof rule, &rule, sizeof rule)) {
      return false;
    }
    *crc = rf_crc32(*crc, &rule, sizeof rule);
    end_texts(&rule);
    if (rf_policy_matches(&rule, who)) {
      taker->rule(taker->context, &rule);
    }
  }
  *crc = crc_over_zeros(*crc, (RF_POLICY_RULES - count) * sizeof rule);
  return true;
}

static bool read_sites(const rf_policy_source *source, uint32_t count, const rf_policy_who *who,
                       const rf_policy_taker *taker, uint32_t *crc) {
  rf_policy_site some[SITES_AT_ONCE];
  uint64_t const build = rf_policy_build_key(who->build_id);
  for (uint32_t i = 0; i < count; i += SITES_AT_ONCE) {
    uint32_t const read = count - i < SITES_AT_ONCE ? count - i : SITES_AT_ONCE;
    if (!source->read(source->context, offsetof(rf_policy, sites) + i * sizeof some[0], some, read * sizeof some[0])) {
      return false;
    }
    *crc = rf_crc32(*crc, some, read * sizeof some[0]);
    for (uint32_t n = 0; n < read && build != 0; n++) {
      if (some[n].build == build) {
        taker->site(taker->context, &some[n]);
      }
    }
  }
  *crc = crc_over_zeros(*crc, (RF_POLICY_SITES - count) * sizeof some[0]);
  return true;
}

RF_COLD bool rf_policy_read(const rf_policy_source *source, const rf_policy_who *who, const rf_policy_taker *taker,
                            rf_policy_head *head) {
  start s;
  if (!source->read(source->context, 0, &s, sizeof s) || !is_policy(&s)) {
    return false;
  }
  uint32_t crc = rf_crc32(0, &s.nonce, sizeof s - CHECKED_FROM);
  *head = (rf_policy_head){.nonce = s.nonce, .live = s.live, .newest = s.newest};
  return read_rules(source, s.rule_count, who, taker, &crc) && read_sites(source, s.site_count, who, taker, &crc) &&
         crc == s.crc;
}

/* ---- The segment ---- */

static bool read_segment(void *context, size_t at, void *out, size_t size) {
  memcpy(out, (const unsigned char *)context + at, size);
  return true;
}

RF_COLD bool rf_policy_read_live(const rf_policy *live, const rf_policy_who *who, const rf_policy_taker *taker,
                                 rf_policy_head *head, uint32_t *generation) {
  rf_policy_source const source = {read_segment, (void *)(uintptr_t)live};
  uint32_t const before = __atomic_load_n(&live->generation, __ATOMIC_ACQUIRE);
  if (before % 2 != 0 || !rf_policy_read(&source, who, taker, head)) {
    return false;
  }
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  *generation = before;
  return __atomic_load_n(&live->generation, __ATOMIC_RELAXED) == before;
}
