/* SARIF: the rules, which are the kinds of finding, with CWE as taxonomy. */
#include "tools/ringfence/render/sarif_impl.h"

#include "tools/ringfence/base/version.h"
#include "tools/ringfence/model/bug_info.h"

static bool is_used(const rf_document *d, rf_bug bug) {
  for (size_t i = 0; i < d->count; i++) {
    if (d->records[i]->finding.bug == bug) {
      return true;
    }
  }
  for (size_t i = 0; i < d->hidden_count; i++) {
    if (d->hidden[i]->finding.bug == bug) {
      return true;
    }
  }
  return false;
}

void rf_sarif_taxon(rf_sarif *s, unsigned cwe) {
  rf_json_put_text(&s->w, "id", rf_bump_arena_print(s->arena, "%u", cwe));
  rf_json_open(&s->w, "toolComponent", "{");
  rf_json_put_text(&s->w, "name", "CWE");
  rf_json_put_number(&s->w, "index", 0); /* of the taxonomies; without it the driver is meant */
  rf_json_close(&s->w, "}");
}

static const char *cwe_page(rf_sarif *s, unsigned cwe) {
  return rf_bump_arena_print(s->arena, "https://cwe.mitre.org/data/definitions/%u.html", cwe);
}

static void rule(rf_sarif *s, rf_bug bug) {
  unsigned const cwe = rf_bug_cwe(bug, RF_ACCESS_UNKNOWN);
  rf_json_open(&s->w, NULL, "{");
  rf_json_put_text(&s->w, "id", rf_bug_name(bug));
  rf_json_put_text(&s->w, "name", rf_bug_title(bug));
  rf_sarif_message(s, "shortDescription", rf_bug_summary(bug));
  rf_sarif_message(s, "fullDescription", rf_bug_meaning(bug));
  rf_sarif_message(s, "help", rf_bug_advice(bug));
  rf_json_put_text(&s->w, "helpUri", cwe == 0 ? NULL : cwe_page(s, cwe));
  rf_json_open(&s->w, "defaultConfiguration", "{");
  rf_json_put_text(&s->w, "level", rf_bug_level(bug));
  rf_json_close(&s->w, "}");
  rf_json_open(&s->w, "relationships", "[{");
  rf_json_open(&s->w, "target", "{");
  rf_sarif_taxon(s, cwe);
  rf_json_close(&s->w, "}");
  rf_json_open(&s->w, "kinds", "[");
  rf_json_put_text(&s->w, NULL, "superset");
  rf_json_close(&s->w, "]}]");
  rf_json_open(&s->w, "properties", "{");
  rf_json_open(&s->w, "tags", "[");
  rf_json_put_text(&s->w, NULL, "security");
  rf_json_put_text(&s->w, NULL, "memory");
  rf_json_put_text(&s->w, NULL, rf_bump_arena_print(s->arena, "external/cwe/cwe-%03u", cwe));
  rf_json_close(&s->w, "]");
  rf_json_put_text(&s->w, "precision", "very-high");
  rf_json_put_text(&s->w, "security-severity", rf_bug_severity(bug));
  rf_json_close(&s->w, "}}");
}

static void rules(rf_sarif *s) {
  int count = 0;
  rf_json_open(&s->w, "rules", "[");
  for (unsigned i = 0; i < RF_BUG_COUNT; i++) {
    s->rules[i] = -1;
    if (is_used(s->d, (rf_bug)i)) {
      s->rules[i] = count++;
      rule(s, (rf_bug)i);
    }
  }
  rf_json_close(&s->w, "]");
}

void rf_sarif_driver(rf_sarif *s) {
  rf_json_open(&s->w, "tool", "{");
  rf_json_open(&s->w, "driver", "{");
  rf_json_put_text(&s->w, "name", "Ringfence");
  rf_json_put_text(&s->w, "fullName", "Ringfence " RF_VERSION);
  rf_json_put_text(&s->w, "informationUri", "https://registry.bazel.build/modules/ringfence");
  rf_json_put_text(&s->w, "version", RF_VERSION);
  rf_json_put_text(&s->w, "semanticVersion", RF_VERSION);
  rules(s);
  rf_json_open(&s->w, "supportedTaxonomies", "[{");
  rf_json_put_text(&s->w, "name", "CWE");
  rf_json_put_number(&s->w, "index", 0);
  rf_json_close(&s->w, "}]}}");
}

static void add_cwe(unsigned *list, size_t *count, unsigned cwe) {
  for (size_t i = 0; i < *count; i++) {
    if (list[i] == cwe) {
      return;
    }
  }
  list[(*count)++] = cwe;
}

void rf_sarif_taxonomies(rf_sarif *s) {
  size_t const most = s->d->count + s->d->hidden_count + RF_BUG_COUNT;
  unsigned *const list = (unsigned *)rf_bump_arena_array(s->arena, most + 1, sizeof *list);
  size_t count = 0;
  for (unsigned i = 0; i < RF_BUG_COUNT; i++) {
    if (s->rules[i] >= 0) {
      add_cwe(list, &count, rf_bug_cwe((rf_bug)i, RF_ACCESS_UNKNOWN));
    }
  }
  for (size_t i = 0; i < s->d->count; i++) {
    add_cwe(list, &count, s->d->records[i]->finding.cwe);
  }
  for (size_t i = 0; i < s->d->hidden_count; i++) {
    add_cwe(list, &count, s->d->hidden[i]->finding.cwe);
  }
  rf_json_open(&s->w, "taxonomies", "[{");
  rf_json_put_text(&s->w, "name", "CWE");
  rf_json_put_text(&s->w, "organization", "MITRE");
  rf_json_put_text(&s->w, "informationUri", "https://cwe.mitre.org/");
  rf_sarif_message(s, "shortDescription", "The MITRE Common Weakness Enumeration");
  rf_json_open(&s->w, "taxa", "[");
  for (size_t i = 0; i < count; i++) {
    if (list[i] != 0) {
      rf_json_open(&s->w, NULL, "{");
      rf_json_put_text(&s->w, "id", rf_bump_arena_print(s->arena, "%u", list[i]));
      rf_json_put_text(&s->w, "helpUri", cwe_page(s, list[i]));
      rf_json_close(&s->w, "}");
    }
  }
  rf_json_close(&s->w, "]}]");
}
