// Running a bug, or its twin, in a process of its own.
#include "tests/checkers/detection/scene.h"

#include "tests/conformance/subjects/subjects.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ringfence::detection {

const char *how_sign(How how) {
  switch (how) {
  case How::kNot:
  case How::kNotTried:
    return "-";
  case How::kRefused:
    return "refused";
  case How::kAtOnce:
    return "!";
  case How::kLater:
    return "f";
  case How::kShown:
    return "shows a fill";
  case How::kNoMode:
    return " ";
  }
  return "?";
}

std::vector<const rf_conformance_subject *> subjects() {
  return {rf_blockgroup_subject(),
          rf_handle_subject(),
          rf_lock_simple_subject(),
          rf_lock_std_subject(),
          rf_lock_tlsf_subject(),
          rf_memblocks_subject(),
          rf_memheap_of_three_subject(),
          rf_memheap_subject(),
          rf_mempool_subject(),
          rf_oom_subject(),
          rf_pool_subject(),
          rf_simple_subject(),
          rf_sizeclass_subject(),
          rf_sizeclass_fallback_subject(),
          rf_slab_subject(),
          rf_smallmem_subject(),
          rf_std_subject(),
          rf_tlsf_subject()};
}

// ---- What a bug's code does ----

unsigned char *Scene::make() {
  made_at_ = __LINE__ + 1;
  auto *const p = static_cast<unsigned char *>(rf_alloc(allocator_, bug_.size));
  if (p == nullptr) {
    std::fputs("no memory\n", stderr);
    std::_Exit(1);
  }
  std::memset(p, 1, bug_.size);
  block_ = reinterpret_cast<uintptr_t>(p);
  return p;
}

void Scene::drop(unsigned char *p) {
  dropped_at_ = __LINE__ + 1;
  (void)rf_free(allocator_, p);
}

void Scene::misuse(void *p) {
  misused_at_ = __LINE__ + 1;
  (void)rf_free(allocator_, p);
}

void Scene::act(const std::function<void()> &what) {
  in_act_ = true;
  what();
  in_act_ = false;
}

namespace {

// ---- In the child ----

constexpr size_t kArenaSize = 64 * 1024;
constexpr int kFound = 77; // exit code after a finding, which ends the process
constexpr int kFault = 78;
constexpr int kAnswered = 79; // refused with NULL
constexpr int kShowed = 80;

// The child's answer to its parent, which has the same memory.
struct Message {
  rf_finding finding;
  bool in_act;
  uintptr_t block;
  unsigned made_at;
  unsigned dropped_at;
  unsigned misused_at;
};

struct Child {
  Scene *scene;
  int pipe;
  rf_reporter reporter;
};

rf_action tell(rf_reporter *self, const rf_finding *f) {
  const auto *const child = static_cast<const Child *>(self->context);
  const Scene &scene = *child->scene;
  Message message = {};
  message.finding = *f;
  message.in_act = scene.in_act();
  message.block = scene.block();
  message.made_at = scene.made_at();
  message.dropped_at = scene.dropped_at();
  message.misused_at = scene.misused_at();
  if (write(child->pipe, &message, sizeof message) != static_cast<ssize_t>(sizeof message)) {
    std::abort();
  }
  return RF_ACTION_HALT;
}

void end_at_fault(const rf_fault *fault, void *context) {
  (void)fault;
  (void)context;
  _exit(kFault);
}

[[noreturn]] void play(const Bug &bug, const rf_conformance_subject &subject, Mode mode, bool bad, int pipe) {
  alignas(max_align_t) static unsigned char arenas[2][kArenaSize];
  std::vector<max_align_t> states[2];
  rf_allocator *inner[2];
  static Child child;
  child = {nullptr, pipe, {tell, &child, kFound, 0}};
  rf_fault_handler_set(end_at_fault, nullptr);
  for (unsigned i = 0; i < 2; i++) {
    states[i].resize(subject.state_size / sizeof(max_align_t) + 1);
    inner[i] = subject.make(states[i].data(), arenas[i], kArenaSize);
  }
  Checker checker(mode, inner[0], &child.reporter, bug.side);
  Checker other(mode, inner[1], &child.reporter, bug.side);
  Scene scene(bug, bad, checker.allocator(), other.allocator(), &checker);
  child.scene = &scene;
  bug.commit(scene);
  checker.end();
  other.end();
  _exit(scene.refused() ? kAnswered : scene.shown() ? kShowed : 0);
}

// ---- In the parent ----

struct Played {
  int status = 0;
  bool has_message = false;
  bool more = false;
  Message message = {};
};

Played run(const Bug &bug, const rf_conformance_subject &subject, Mode mode, bool bad) {
  Played played;
  int ends[2];
  if (pipe(ends) != 0) {
    std::abort();
  }
  std::fflush(nullptr);
  pid_t const child = fork();
  if (child == 0) {
    close(ends[0]);
    play(bug, subject, mode, bad, ends[1]);
  }
  close(ends[1]);
  played.has_message =
      read(ends[0], &played.message, sizeof played.message) == static_cast<ssize_t>(sizeof played.message);
  char byte;
  played.more = played.has_message && read(ends[0], &byte, 1) == 1;
  close(ends[0]);
  waitpid(child, &played.status, 0);
  return played;
}

bool exited(const Played &played, int code) {
  return WIFEXITED(played.status) && WEXITSTATUS(played.status) == code;
}

std::string end_of(const Played &played) {
  return WIFEXITED(played.status) ? "exit code " + std::to_string(WEXITSTATUS(played.status))
                                  : "signal " + std::to_string(WTERMSIG(played.status));
}

How how_of(const Played &played) {
  if (played.has_message) {
    return played.message.in_act ? How::kAtOnce : How::kLater;
  }
  return exited(played, kFault) || exited(played, kAnswered) ? How::kRefused
         : exited(played, kShowed)                           ? How::kShown
                                                             : How::kNot;
}

bool is_here(const rf_trace &trace, unsigned line, const char *function) {
  return trace.site != nullptr && trace.site->line == line && std::strcmp(trace.site->function, function) == 0 &&
         std::strstr(trace.site->file, "scene.cc") != nullptr && trace.thread != 0;
}

// The first thing that is wrong with a finding, or "".
std::string trouble_with(const Bug &bug, Mode mode, const Message &m) {
  const rf_finding &f = m.finding;
  if (f.bug != bug.kind) {
    return std::string("kind ") + rf_bug_name(f.bug);
  }
  if (std::strcmp(f.mode, mode_name(mode)) != 0) {
    return std::string("mode ") + f.mode;
  }
  if (f.access != bug.access && !(f.at_access && f.access == RF_ACCESS_UNKNOWN)) {
    return "access " + std::to_string(f.access);
  }
  if (std::to_string(f.cwe) != bug.cwe && bug.kind != RF_BUG_BUFFER_UNDERFLOW) {
    return "CWE " + std::to_string(f.cwe);
  }
  if (f.sequence != 1 || f.process == 0 || f.allocator == nullptr) {
    return "what every finding says";
  }
  if (f.at_access && f.found.depth == 0) {
    return "no instruction";
  }
  if (m.misused_at != 0 && m.in_act && !is_here(f.found, m.misused_at, "misuse")) {
    return "the place of the call";
  }
  if (!bug.has_block) {
    return f.block != 0                                                       ? "a block"
           : bug.kind != RF_BUG_BAD_FREE && f.size != bug.size && f.size != 0 ? "the size"
                                                                              : "";
  }
  if (f.block != m.block || f.address != m.block + static_cast<uintptr_t>(bug.offset) || f.offset != bug.offset) {
    return "address, block and offset " + std::to_string(f.offset);
  }
  if (f.size != bug.size || f.freed != bug.freed) {
    return "size " + std::to_string(f.size) + ", freed " + std::to_string(f.freed);
  }
  if (!is_here(f.allocated, m.made_at, "make")) {
    return "the place of the allocation";
  }
  return bug.freed && !is_here(f.released, m.dropped_at, "drop") ? "the place of the free" : "";
}

} // namespace

Outcome run_bad(const Bug &bug, const rf_conformance_subject &subject, Mode mode) {
  Outcome outcome;
  if (!mode_is_built(mode)) {
    outcome.how = How::kNoMode;
    return outcome;
  }
  if (expected_of(bug, subject.name, mode) == How::kNotTried) {
    outcome.how = How::kNotTried;
    return outcome;
  }
  Played const played = run(bug, subject, mode, true);
  outcome.how = how_of(played);
  if (played.has_message) {
    outcome.trouble = trouble_with(bug, mode, played.message);
    if (outcome.trouble.empty() && (played.more || !exited(played, kFound))) {
      outcome.trouble = "it went on after the finding: " + end_of(played);
    }
  } else if (outcome.how == How::kNot && !exited(played, 0)) {
    outcome.trouble = end_of(played);
  }
  return outcome;
}

Outcome run_good(const Bug &bug, const rf_conformance_subject &subject, Mode mode) {
  Outcome outcome;
  if (!mode_is_built(mode)) {
    outcome.how = How::kNoMode;
    return outcome;
  }
  Played const played = run(bug, subject, mode, false);
  if (played.has_message) {
    outcome.trouble = std::string("a finding: ") + rf_bug_name(played.message.finding.bug);
  } else if (!exited(played, 0)) {
    outcome.trouble = end_of(played);
  }
  return outcome;
}

} // namespace ringfence::detection
