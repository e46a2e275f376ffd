#include "tools/service/cli/filter.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/words.h"
#include "tools/service/intake/builds.h"

#include <string.h>

static bool is_one_of(const char *value, const char *names, const char *option) {
  if (value != NULL && !rf_is_word_of(value, names)) {
    rf_diag("--%s %s: use one of: %s", option, value, names);
    return false;
  }
  return true;
}

/* Such as --new-in "$COMMIT" where the variable is not set: a gate must not pass for it. */
static bool is_given(const char *name, const char *option) {
  if (name != NULL && name[0] == '\0') {
    rf_diag("--%s has an empty name; is a variable not set?", option);
    return false;
  }
  return true;
}

static bool is_known_build(rf_store *store, const char *build) {
  int64_t const id = build == NULL ? 0 : rf_build_named(store, build);
  if (id == RF_BUILD_AMBIGUOUS) {
    rf_diag("several builds begin with %s: give more of the name; `ringfence builds` lists them", build);
    return false;
  }
  if (build != NULL && id == 0) {
    rf_diag("no build is called %s; `ringfence builds` lists them", build);
    return false;
  }
  return true;
}

/* One that was never heard of is a slip of the pen, or nothing was checked there: neither may pass a gate. */
static bool is_known_environment(rf_store *store, const char *name) {
  if (name != NULL && rf_store_number(store, 0, "SELECT 1 FROM name WHERE kind = 2 AND text = ?", "t", name) == 0) {
    rf_diag("no process has reported from environment %s; `ringfence coverage` lists those that have", name);
    return false;
  }
  return true;
}

bool rf_cli_filter_has_words(const rf_findings_filter *f) {
  return is_one_of(f->state, RF_FILTER_STATES, "state") && is_one_of(f->order, RF_FILTER_ORDERS, "order") &&
         is_given(f->build, "build") && is_given(f->new_in, "new-in") && is_given(f->environment, "env");
}

bool rf_cli_filter_is_right(rf_store *store, const rf_findings_filter *f) {
  return is_known_build(store, f->build) && is_known_build(store, f->new_in) &&
         is_known_environment(store, f->environment);
}
