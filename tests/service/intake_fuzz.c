/* Lines of a spool, as a hostile process may write them. All that is taken in must come out as JSON, and as pages. */
#include "tools/ringfence/base/sinks.h"
#include "tools/service/intake/intake.h"
#include "tools/service/page/page.h"
#include "tools/service/query/query.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
  if (!condition) {
    abort();
  }
}

typedef struct asked {
  rf_bump_arena arena;
  rf_store *store;
  rf_text_sink json;
  rf_query query;
} asked;

static const rf_json *answer(asked *a, bool fine) {
  require(fine);
  const rf_json *const root = rf_json_parse(&a->arena, a->json.text, a->json.length);
  require(root != NULL);
  return root;
}

static void begin(asked *a, rf_store *store) {
  *a = (asked){.store = store};
  rf_text_sink_init(&a->json, &a->arena);
  a->query = (rf_query){store, &a->arena, {.sink = &a->json.sink}};
}

/* Pages hold no markup of a record's: every '<' is one of ours. */
static void show(asked *a, const rf_json *root, rf_page_maker *make) {
  rf_text_sink out;
  rf_text_sink_init(&out, &a->arena);
  rf_page const page = {.arena = &a->arena,
                        .sink = &out.sink,
                        .json = root,
                        .store = a->store,
                        .may_triage = true,
                        .zoom = 2,
                        .directory = ".",
                        .back = "/processes?program=app"};
  make(&page);
  require(strstr(out.text, "<zzz") == NULL);
  rf_bump_arena_free(&a->arena);
}

/* Each snapshot alone, compared with the first, and made wide at some frame. */
static void ask_processes(rf_store *store) {
  rf_processes_filter const all = {.limit = 10};
  asked a;
  begin(&a, store);
  show(&a, answer(&a, rf_query_processes(&a.query, &all)), rf_page_processes);
  int64_t const snapshots = rf_store_number(store, 0, "SELECT coalesce(max(id), 0) FROM snapshot", "");
  for (int64_t id = 1; id <= snapshots && id <= 4; id++) {
    int64_t const process = rf_store_number(store, 0, "SELECT process FROM snapshot WHERE id = ?", "i", id);
    for (int64_t against = 0; against < 2; against++) {
      begin(&a, store);
      const rf_json *const root = answer(&a, rf_query_process(&a.query, process, id, against));
      require(rf_json_member(root, "error") == NULL);
      show(&a, root, rf_page_process);
    }
  }
}

static void ask(rf_store *store) {
  rf_findings_filter const all = {.state = "all"};
  asked a;
  begin(&a, store);
  show(&a, answer(&a, rf_query_findings(&a.query, &all)), rf_page_findings);
  int64_t const findings = rf_store_number(store, 0, "SELECT count(*) FROM finding", "");
  for (int64_t id = 1; id <= findings && id <= 4; id++) {
    begin(&a, store);
    show(&a, answer(&a, rf_query_finding(&a.query, id, 0, 0)), rf_page_of_finding);
  }
  begin(&a, store);
  rf_coverage_filter const any = {.module = NULL};
  show(&a, answer(&a, rf_query_coverage(&a.query, &any)), rf_page_coverage);
  rf_sites_filter const sites = {.module = 1, .watched = "all"};
  begin(&a, store);
  show(&a, answer(&a, rf_query_sites(&a.query, &sites)), rf_page_module);
  begin(&a, store);
  show(&a, answer(&a, rf_query_builds(&a.query, 0, 0)), rf_page_builds);
  ask_processes(store);
}

/* Each finding counts what its days count. */
static void check_counts(rf_store *store) {
  require(rf_store_number(store, 0,
                          "SELECT count(*) FROM finding f WHERE count <> (SELECT sum(count) FROM counter c WHERE "
                          "c.finding = f.id AND c.kind = 1)",
                          "") == 0);
  require(rf_store_number(store, 0, "SELECT (SELECT count(*) FROM event) <> (SELECT count(*) FROM body)", "") == 0);
  require(rf_store_number(store, 0,
                          "SELECT (SELECT count(*) FROM snapshot WHERE whole) <> (SELECT count(*) FROM snapshot_body)",
                          "") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static rf_intake_options const options = {.rules = {{"sample", RF_WINDOW_GUARDS}}, .rule_count = 1, .alerts = true};
  rf_store store;
  rf_intake intake;
  char *const text = (char *)malloc(size + 1);
  require(text != NULL && rf_store_open(&store, ":memory:", RF_STORE_CREATE));
  require(rf_intake_init(&intake, &store, &options));
  memcpy(text, data, size);
  for (size_t at = 0; at < size;) {
    const char *const feed = (const char *)memchr(text + at, '\n', size - at);
    size_t const length = feed == NULL ? size - at : (size_t)(feed - (text + at));
    rf_intake_line(&intake, text + at, length);
    at += length + 1;
  }
  require(rf_intake_commit(&intake));
  check_counts(&store);
  ask(&store);
  rf_intake_deinit(&intake);
  rf_store_close(&store);
  free(text);
  return 0;
}
