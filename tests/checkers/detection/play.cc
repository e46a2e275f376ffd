// A bug's code in a process of its own.
#include "tests/checkers/detection/play.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace ringfence::detection {

namespace {

// ---- In the child ----

constexpr int kFound = 77; // exit code after a finding, which ends the process
constexpr int kFault = 78;
constexpr int kAnswered = 79; // refused with NULL
constexpr int kShowed = 80;

Scene *the_scene = nullptr;
int the_pipe = -1;

// The child's answer to its parent, which has the same memory.
rf_action tell(rf_reporter *self, const rf_finding *f) {
  (void)self;
  Message const message = message_of(*the_scene, *f);
  if (write(the_pipe, &message, sizeof message) != static_cast<ssize_t>(sizeof message)) {
    std::abort();
  }
  return RF_ACTION_HALT;
}

void end_at_fault(const rf_fault *fault, void *context) {
  (void)fault;
  (void)context;
  _exit(kFault);
}

[[noreturn]] void play_here(const Bug &bug, const rf_conformance_subject &subject, Mode mode, bool bad) {
  static rf_reporter reporter = {tell, nullptr, kFound, 0};
  rf_fault_handler_set(end_at_fault, nullptr);
  Answer const answer = perform(bug, subject, mode, bad, &reporter, [](Scene *scene) { the_scene = scene; });
  _exit(answer.refused ? kAnswered : answer.shown ? kShowed : 0);
}

// ---- In the parent ----

bool exited(int status, int code) {
  return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

std::string end_of(int status) {
  return WIFEXITED(status) ? "exit code " + std::to_string(WEXITSTATUS(status))
                           : "signal " + std::to_string(WTERMSIG(status));
}

How how_of(const Played &played, int status) {
  if (played.has_message) {
    return played.message.in_act ? How::kAtOnce : How::kLater;
  }
  return exited(status, kFault) || exited(status, kAnswered) ? How::kRefused
         : exited(status, kShowed)                           ? How::kShown
                                                             : How::kNot;
}

} // namespace

Played play(const Bug &bug, const rf_conformance_subject &subject, Mode mode, bool bad) {
  Played played;
  int ends[2];
  int status = 0;
  if (pipe(ends) != 0) {
    std::abort();
  }
  std::fflush(nullptr);
  pid_t const child = fork();
  if (child == 0) {
    close(ends[0]);
    the_pipe = ends[1];
    play_here(bug, subject, mode, bad);
  }
  close(ends[1]);
  played.has_message =
      read(ends[0], &played.message, sizeof played.message) == static_cast<ssize_t>(sizeof played.message);
  char byte;
  bool const more = played.has_message && read(ends[0], &byte, 1) == 1;
  close(ends[0]);
  waitpid(child, &status, 0);
  played.how = how_of(played, status);
  if (played.has_message && (more || !exited(status, kFound))) {
    played.trouble = "it went on after the finding: " + end_of(status);
  } else if (played.how == How::kNot && !exited(status, 0)) {
    played.trouble = end_of(status);
  }
  return played;
}

} // namespace ringfence::detection
