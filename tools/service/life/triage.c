#include "tools/service/life/triage.h"

#include "tools/service/intake/builds.h"
#include "tools/service/intake/renew.h"
#include "tools/service/life/decision.h"
#include "tools/service/life/split.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int64_t root_of(rf_store *store, int64_t id) {
  return rf_store_number(store, 0, "SELECT coalesce(merged_into, id) FROM finding WHERE id = ?", "i", id);
}

/* ---- Texts ---- */

static bool refuse(char *message, const char *before, int64_t finding, const char *behind) {
  (void)snprintf(message, RF_TRIAGE_MESSAGE, "%s %" PRId64 "%s", before, finding, behind);
  return false;
}

static bool is_blank(const char *text) {
  return text[strspn(text, " \t\r\n")] == '\0';
}

bool rf_triage_check(const rf_triage *t, char message[RF_TRIAGE_MESSAGE]) {
  if (t->text != NULL && strlen(t->text) > RF_TRIAGE_TEXT) {
    return rf_decision_refuse(message, "the text is too long");
  }
  if (strcmp(t->action, "fix") == 0 && t->text != NULL && is_blank(t->text)) {
    return rf_decision_refuse(message, "the build that has the fix has an empty name; is a variable not set?");
  }
  if (strcmp(t->action, "ignore") == 0 && (t->text == NULL || is_blank(t->text))) {
    return rf_decision_refuse(message, "give a reason: --because TEXT");
  }
  return strcmp(t->action, "split") != 0 || t->text == NULL || strcmp(t->text, "undo") == 0 ||
         rf_split_check(t->text, message);
}

/* ---- Actions: each within the transaction ---- */

static bool fix(rf_store *store, int64_t id, const char *text, char *message) {
  int64_t const build = text == NULL ? 0 : rf_build_named(store, text);
  if (build == RF_BUILD_AMBIGUOUS) {
    return rf_decision_refuse(message,
                              "several builds begin so: give more of the name (`ringfence builds` lists them)");
  }
  rf_store_run(store,
               "UPDATE finding SET state = 'fixed', because = NULL, fixed_in = ?2, fixed_build = nullif(?3, 0),"
               " fixed_at = ?4, fixed_after = coalesce((SELECT max(id) FROM build), 0) WHERE id = ?1",
               "itii", id, text, build, rf_store_now());
  rf_decision_note(store, id, "fixed", text == NULL ? "in the next build" : text);
  (void)snprintf(message, RF_TRIAGE_MESSAGE, "finding %" PRId64 " is fixed in %s%s", id,
                 text == NULL ? "the next build" : text,
                 text != NULL && build == 0 ? ", a build that has not been seen yet" : "");
  return true;
}

static bool ignore(rf_store *store, int64_t id, const char *text, char *message) {
  rf_store_run(store,
               "UPDATE finding SET state = 'ignored', because = ?2, fixed_in = NULL, fixed_build = NULL, fixed_at ="
               " NULL WHERE id = ?1",
               "it", id, text);
  rf_decision_note(store, id, "ignored", text);
  (void)snprintf(message, RF_TRIAGE_MESSAGE, "finding %" PRId64 " is ignored", id);
  return true;
}

static bool reopen(rf_store *store, int64_t id, char *message) {
  rf_store_run(store,
               "UPDATE finding SET state = 'open', because = NULL, fixed_in = NULL, fixed_build = NULL, fixed_at ="
               " NULL WHERE id = ?",
               "i", id);
  rf_decision_note(store, id, "opened", "");
  (void)snprintf(message, RF_TRIAGE_MESSAGE, "finding %" PRId64 " is open", id);
  return true;
}

static bool merge(rf_store *store, int64_t id, int64_t other, char *message) {
  if (other == id) {
    return rf_decision_refuse(message, "they are one finding already");
  }
  rf_decision_join(store, id, other);
  (void)snprintf(message, RF_TRIAGE_MESSAGE, "finding %" PRId64 " is part of %" PRId64 " now", other, id);
  return true;
}

/* Undoes a merge. */
static bool part(rf_store *store, int64_t id, int64_t root, char *message) {
  char text[64];
  rf_store_run(store, "UPDATE finding SET merged_into = NULL, merged_via = NULL WHERE id = ?", "i", id);
  rf_store_run(store, "UPDATE finding SET merged_into = ?1, merged_via = NULL WHERE merged_via = ?1", "i", id);
  rf_renew(store, root);
  rf_renew(store, id);
  (void)snprintf(text, sizeof text, "finding %" PRId64, id);
  rf_decision_note(store, root, "split", text);
  (void)snprintf(message, RF_TRIAGE_MESSAGE, "finding %" PRId64 " stands alone again", id);
  return true;
}

static bool split(rf_store *store, int64_t id, const char *how, char *message) {
  int64_t const root = root_of(store, id);
  if (how == NULL) {
    return root != id ? part(store, id, root, message)
                      : refuse(message, "finding", id,
                               " was not merged into another; to make it several, say by what (--by RULE) or of which "
                               "events (--events N,N)");
  }
  bool const undo = strcmp(how, "undo") == 0;
  bool const done = undo ? rf_split_undo(store, id, message) : rf_split_apply(store, id, how, message);
  if (done && !undo) {
    rf_decision_note(store, id, "split", how);
  }
  return done;
}

static bool act(rf_store *store, const rf_triage *t, char *message) {
  bool const merges = strcmp(t->action, "merge") == 0;
  int64_t const root = root_of(store, t->id);
  int64_t const other = merges ? root_of(store, t->other) : 0;
  if (root == 0 || (merges && other == 0)) {
    return refuse(message, "there is no finding", root == 0 ? t->id : t->other, "");
  }
  if (strcmp(t->action, "fix") == 0) {
    return fix(store, root, t->text, message);
  }
  if (strcmp(t->action, "ignore") == 0) {
    return ignore(store, root, t->text, message);
  }
  if (strcmp(t->action, "reopen") == 0) {
    return reopen(store, root, message);
  }
  if (merges) {
    return merge(store, root, other, message);
  }
  return strcmp(t->action, "split") == 0 ? split(store, t->id, t->text, message)
                                         : rf_decision_refuse(message, "there is no such action");
}

rf_store_outcome rf_triage_apply(rf_store *store, const rf_triage *t, char message[RF_TRIAGE_MESSAGE]) {
  if (!rf_triage_check(t, message)) {
    return RF_STORE_REFUSED;
  }
  rf_store_begin(store);
  bool const done = act(store, t, message);
  if (!done && !store->failed) {
    rf_store_rollback(store);
    return RF_STORE_REFUSED;
  }
  if (!rf_store_commit(store)) {
    (void)rf_decision_refuse(message, store->error);
    return RF_STORE_FAILED;
  }
  return RF_STORE_DONE;
}
