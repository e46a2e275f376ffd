// The code of a bug, or of its twin, and whether what was found is right.
#include "tests/checkers/detection/play.h"

#include "checkers/os/memory_tags.h"
#include "tests/conformance/subjects/subjects.h"

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
  return {RF_SUBJECTS(RF_SUBJECT_CALLED)};
}

// ---- The code of bugs ----

unsigned char *Scene::make() {
  made_at_ = __LINE__ + 1;
  auto *const p = static_cast<unsigned char *>(rf_alloc(allocator_, bug_.size));
  if (p == nullptr) {
    std::abort();
  }
  std::memset(p, 1, bug_.size);
  block_ = rf_tag_remove(reinterpret_cast<uintptr_t>(p));
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

Message message_of(const Scene &scene, const rf_finding &finding) {
  Message message = {};
  message.finding = finding;
  message.in_act = scene.in_act();
  message.block = scene.block();
  message.made_at = scene.made_at();
  message.dropped_at = scene.dropped_at();
  message.misused_at = scene.misused_at();
  return message;
}

Answer perform(const Bug &bug, const rf_conformance_subject &subject, Mode mode, bool bad, rf_reporter *reporter,
               void (*ready)(Scene *scene)) {
  constexpr size_t kArenaSize = 64 * 1024;
  alignas(max_align_t) static unsigned char arenas[2][kArenaSize];
  static std::vector<max_align_t> states[2];
  rf_allocator *inner[2];
  for (unsigned i = 0; i < 2; i++) {
    states[i].resize(subject.state_size / sizeof(max_align_t) + 1);
    inner[i] = subject.make(states[i].data(), arenas[i], kArenaSize);
  }
  Checker checker(mode, inner[0], reporter, bug.side);
  Checker other(mode, inner[1], reporter, bug.side);
  Scene scene(bug, bad, checker.allocator(), other.allocator(), &checker);
  ready(&scene);
  bug.commit(scene);
  checker.end();
  other.end();
  return {scene.refused(), scene.shown()};
}

// ---- Is it right? ----

namespace {

// A board has neither processes nor, in the guard's headers, threads.
#if defined(__unix__)
constexpr bool kProcesses = true;
#else
constexpr bool kProcesses = false;
#endif

bool is_site(const rf_trace &trace, unsigned line, const char *function) {
  return trace.site != nullptr && trace.site->line == line && std::strcmp(trace.site->function, function) == 0 &&
         std::strstr(trace.site->file, "scene.cc") != nullptr;
}

bool is_here(const rf_trace &trace, unsigned line, const char *function) {
  return is_site(trace, line, function) && (trace.thread != 0 || !kProcesses);
}

// guard_small knows neither threads nor processes, and no more of a block than its header.
std::string trouble_with_small(const Bug &bug, const Message &m) {
  const rf_finding &f = m.finding;
  constexpr ptrdiff_t kHeader = 2 * sizeof(void *);
  bool const of_header = bug.has_block && bug.offset < 0;
  bool const of_block = bug.has_block && f.bug != RF_BUG_BAD_FREE && !of_header;
  rf_bug const kind = bug.kind == RF_BUG_DEALLOC_MISMATCH ? RF_BUG_BAD_FREE : bug.kind;
  if (bug.offset < -kHeader && f.bug == RF_BUG_BAD_FREE) { // the heap's header before it is gone, too
    return f.address == m.block ? "" : "the address of the free";
  }
  if (f.bug != kind) {
    return std::string("kind ") + rf_bug_name(f.bug);
  }
  if (m.misused_at != 0 && m.in_act && !is_site(f.found, m.misused_at, "misuse")) {
    return "the place of the call";
  }
  if (of_header && (f.address >= m.block || m.block - f.address > kHeader)) {
    return "the address of the header";
  }
  if (!of_block) {
    return f.block != 0 ? "a block" : "";
  }
  if (f.block != m.block || f.address != m.block + static_cast<uintptr_t>(bug.offset) || f.size != bug.size) {
    return "address, block and size " + std::to_string(f.size);
  }
  if (!is_site(f.allocated, m.made_at, "make")) {
    return "the place of the allocation";
  }
  return bug.freed && !is_site(f.released, m.dropped_at, "drop") ? "the place of the free" : "";
}

// The first thing that is wrong with a finding, or "".
std::string trouble_with(const Bug &bug, Mode mode, const Message &m) {
  const rf_finding &f = m.finding;
  if (mode == Mode::kGuardSmall) {
    return trouble_with_small(bug, m);
  }
  if (f.bug != bug.kind) {
    return std::string("kind ") + rf_bug_name(f.bug);
  }
  if (std::strcmp(f.mode, mode_name(mode)) != 0) {
    return std::string("mode ") + f.mode;
  }
  if (f.access != bug.access && !(f.at_access && f.access == RF_ACCESS_UNKNOWN)) {
    return "access " + std::to_string(f.access);
  }
  bool const direction = !f.at_access || f.access != RF_ACCESS_UNKNOWN;
  if (std::to_string(f.cwe) != bug.cwe && bug.kind != RF_BUG_BUFFER_UNDERFLOW && direction) {
    return "CWE " + std::to_string(f.cwe);
  }
  if (f.sequence != 1 || (f.process != 0) != kProcesses || f.allocator == nullptr) {
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
  bool const lost = !kProcesses && bug.offset <= -16; // the header of a board is short
  if (!lost && !is_here(f.allocated, m.made_at, "make")) {
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
  Played const played = play(bug, subject, mode, true);
  outcome.how = played.how;
  outcome.trouble = played.has_message ? trouble_with(bug, mode, played.message) : played.trouble;
  if (outcome.trouble.empty()) {
    outcome.trouble = played.trouble;
  }
  return outcome;
}

Outcome run_good(const Bug &bug, const rf_conformance_subject &subject, Mode mode) {
  Outcome outcome;
  if (!mode_is_built(mode)) {
    outcome.how = How::kNoMode;
    return outcome;
  }
  Played const played = play(bug, subject, mode, false);
  if (played.has_message) {
    outcome.trouble = std::string("a finding: ") + rf_bug_name(played.message.finding.bug);
  } else if (played.how != How::kNot) {
    outcome.trouble = how_sign(played.how);
  } else {
    outcome.trouble = played.trouble;
  }
  return outcome;
}

} // namespace ringfence::detection
