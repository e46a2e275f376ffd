// A bug's code on a board, which goes on after a finding: nothing of it may be left for the next.
#include "tests/checkers/detection/play.h"

namespace ringfence::detection {

namespace {

Scene *the_scene;
Played *the_played;

rf_action tell(rf_reporter *self, const rf_finding *f) {
  (void)self;
  if (!the_played->has_message) {
    the_played->has_message = true;
    the_played->message = message_of(*the_scene, *f);
    the_played->how = the_scene->in_act() ? How::kAtOnce : How::kLater;
  }
  return RF_ACTION_CONTINUE;
}

void refused(const rf_fault *fault, void *context) {
  (void)fault;
  (void)context;
  if (!the_played->has_message) {
    the_played->how = How::kRefused;
  }
}

} // namespace

Played play(const Bug &bug, const rf_conformance_subject &subject, Mode mode, bool bad) {
  Played played;
  rf_reporter reporter = {tell, nullptr, RF_EXITCODE_DEFAULT, 0};
  the_played = &played;
  rf_fault_handler_set(refused, nullptr);
  Answer const answer = perform(bug, subject, mode, bad, &reporter, [](Scene *scene) { the_scene = scene; });
  rf_fault_handler_set(nullptr, nullptr);
  if (played.how == How::kNot && (answer.refused || answer.shown)) {
    played.how = answer.refused ? How::kRefused : How::kShown;
  }
  return played;
}

} // namespace ringfence::detection
