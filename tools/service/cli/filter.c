#include "tools/service/cli/filter.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/words.h"
#include "tools/service/cli/common.h"

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

bool rf_cli_filter_has_words(const rf_findings_filter *f) {
  return is_one_of(f->state, RF_FILTER_STATES, "state") && is_one_of(f->order, RF_FILTER_ORDERS, "order") &&
         is_given(f->build, "build") && is_given(f->new_in, "new-in") && is_given(f->environment, "env");
}

int rf_cli_filter_status(rf_store *store, const rf_findings_filter *f) {
  char message[RF_FILTER_MESSAGE] = "";
  if (rf_query_filter_is_known(store, f, message)) {
    return 0;
  }
  /* A build that could not be looked up may be there: that is no fault of the command line. */
  rf_diag("%s", store->failed ? store->error : message);
  return store->failed ? RF_EXIT_FAILED : RF_EXIT_USAGE;
}
