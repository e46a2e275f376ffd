// One run of a bug's code, as play.cc has it in a process of its own and tests/board on a board.
#ifndef RINGFENCE_TESTS_CHECKERS_DETECTION_PLAY_H
#define RINGFENCE_TESTS_CHECKERS_DETECTION_PLAY_H

#include "tests/checkers/detection/scene.h"

namespace ringfence::detection {

// The first finding, and where the program was then.
struct Message {
  rf_finding finding;
  bool in_act;
  uintptr_t block;
  unsigned made_at;
  unsigned dropped_at;
  unsigned misused_at;
};

Message message_of(const Scene &scene, const rf_finding &finding);

struct Played {
  How how = How::kNot;
  bool has_message = false;
  Message message = {};
  std::string trouble; // an end that fits neither a finding nor its absence
};

// Commits the bug or, where not `bad`, does the same correctly.
Played play(const Bug &bug, const rf_conformance_subject &subject, Mode mode, bool bad);

// How calls were answered, where nothing was reported.
struct Answer {
  bool refused;
  bool shown;
};

// The program itself: makes the allocators, wraps them, runs the bug's code, ends the checkers. `ready` is told the
// scene before the code runs.
Answer perform(const Bug &bug, const rf_conformance_subject &subject, Mode mode, bool bad, rf_reporter *reporter,
               void (*ready)(Scene *scene));

} // namespace ringfence::detection

#endif // RINGFENCE_TESTS_CHECKERS_DETECTION_PLAY_H
