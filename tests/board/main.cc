// On an emulated board: that locks mask interrupts, that an interrupt is told from main code, as are its faults, the
// bytes that a block takes, the conformance suite on every allocator, every bug of the detection table on every
// allocator in every mode that a board has, then an allocator that is broken, which the suite must find.
#include "tests/board/board.h"
#include "tests/board/run.h"

#include "tests/checkers/detection/scene.h"
#include "tests/conformance/broken.h"
#include "tests/conformance/env.h"
#include "tests/conformance/subjects/subjects.h"

#include <ringfence/guard.h>
#include <ringfence/guard_small.h>
#include <ringfence/port.h>
#include <ringfence/simple.h>
#include <ringfence/tlsf.h>

#include <cstdlib>

namespace {

using namespace ringfence;

// ---- std, which needs a malloc that aligns for any type, as C demands ----

bool is_mallocs(const std::string &allocator) {
  return allocator == "std" || allocator == "lock_std" || allocator == "sizeclass_fallback";
}

bool malloc_aligns() {
  static void *blocks[8];
  bool aligned = true;
  for (void *&block : blocks) {
    block = std::malloc(20 + static_cast<size_t>(&block - blocks));
    aligned = aligned && rf_is_aligned(block, RF_ALIGN_DEFAULT);
  }
  for (void *const block : blocks) {
    std::free(block);
  }
  return aligned;
}

bool is_left_out(const std::string &allocator) {
  static bool const aligns = malloc_aligns();
  return !aligns && is_mallocs(allocator);
}

// ---- Cost ----

constexpr size_t kSize = 20;

// From one block of 20 bytes to the next.
std::string cost(rf_allocator *allocator) {
  auto const *const first = static_cast<const char *>(rf_alloc(allocator, kSize));
  auto const *const second = static_cast<const char *>(rf_alloc(allocator, kSize));
  return std::to_string(second - first);
}

void tell_cost() {
  alignas(max_align_t) static unsigned char arena[4096];
  rf_tlsf heap;
  (void)rf_tlsf_init(&heap, arena, sizeof arena);
  board::say("cost: " + cost(&heap.base));
  rf_guard_small small;
  (void)rf_guard_small_init(&small, &heap.base, 0);
  board::say(" | " + cost(&small.base));
  rf_guard guard;
  (void)rf_guard_init(&guard, &heap.base, nullptr);
  board::say(" | " + cost(&guard.base) + "\n");
}

// ---- Locks ----

// From the first lock to the last unlock, no interrupt is served.
bool locks_mask_interrupts() {
  rf_mutex outer;
  rf_mutex inner;
  bool const made = rf_mutex_init(&outer) == RF_OK && rf_mutex_init(&inner) == RF_OK;
  board_unmask_interrupts();
  bool good = made && !board_masks_interrupts();
  rf_mutex_lock(&outer);
  good = good && board_masks_interrupts();
  rf_mutex_lock(&inner);
  rf_mutex_unlock(&inner);
  good = good && board_masks_interrupts();
  rf_mutex_unlock(&outer);
  return good && !board_masks_interrupts();
}

// ---- Interrupts ----

rf_guard g_guard;
void *g_block = nullptr;
uint32_t g_finders[2]; // of the first findings; 0: none
size_t g_findings = 0;
bool g_waits = false;

rf_action note_finder(rf_reporter *self, const rf_finding *f) {
  (void)self;
  if (g_findings < 2) {
    g_finders[g_findings] = f->bug == RF_BUG_DOUBLE_FREE ? f->found.thread : 0;
  }
  g_findings++;
  return RF_ACTION_CONTINUE;
}

rf_reporter g_reporter = {note_finder, nullptr, RF_EXITCODE_DEFAULT, 0};

void free_again() {
  rf_free(&g_guard.base, g_block);
}

void free_again_and_wait() {
  free_again();
  rf_event never;
  g_waits = rf_port_in_interrupt() && rf_event_init(&never) == RF_OK &&
            rf_event_wait(&never, RF_WAIT_FOREVER) == RF_ERR_TIMEOUT;
}

// A block is freed a second time in main code, and a third time in an interrupt, where nothing is waited for.
bool interrupts_are_told() {
  alignas(max_align_t) static unsigned char arena[4096];
  static rf_tlsf heap;
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.reporter = &g_reporter;
  (void)rf_tlsf_init(&heap, arena, sizeof arena);
  (void)rf_guard_init(&g_guard, &heap.base, &options);
  g_block = rf_alloc(&g_guard.base, kSize);
  rf_free(&g_guard.base, g_block);
  free_again();
  board_interrupt(free_again_and_wait);
  return g_waits && g_findings == 2 && g_finders[0] == 1 && g_finders[1] > 1 && !rf_port_in_interrupt();
}

rf_simple g_elsewhere;
const rf_allocator_ops *g_heap_ops = nullptr;
size_t g_faults = 0;

void refuse_elsewhere() {
  rf_free(&g_elsewhere.base, &g_faults);
}

void *alloc_interrupted(rf_allocator *heap, size_t size, size_t align, const rf_site *site) {
  board_interrupt(refuse_elsewhere);
  return g_heap_ops->alloc(heap, size, align, site);
}

// An interrupt that comes while a guard is inside its heap frees what is no block of another heap without a checker:
// the program's fault, and no finding of the guard's.
bool faults_of_interrupts_are_their_own() {
  alignas(max_align_t) static unsigned char arena[2048];
  alignas(max_align_t) static unsigned char other[256];
  static rf_tlsf heap;
  g_findings = 0;
  (void)rf_simple_init(&g_elsewhere, other, sizeof other);
  (void)rf_tlsf_init(&heap, arena, sizeof arena);
  g_heap_ops = heap.base.ops;
  rf_allocator_ops ops = *g_heap_ops;
  ops.alloc = alloc_interrupted;
  heap.base.ops = &ops;
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.reporter = &g_reporter;
  (void)rf_guard_init(&g_guard, &heap.base, &options);
  rf_fault_handler_set([](const rf_fault *, void *) { g_faults++; }, nullptr);
  void *const block = rf_alloc(&g_guard.base, kSize);
  rf_fault_handler_set(nullptr, nullptr);
  return block != nullptr && rf_free(&g_guard.base, block) == RF_OK && g_findings == 0 && g_faults == 1;
}

// ---- Conformance ----

void run(const conformance::Subject &subject) {
  if (is_left_out(subject.name)) {
    board::say("conformance: " + std::string(subject.name) + ": left out, malloc does not align\n");
    return;
  }
  conformance::Note const note([&] { return std::string(subject.name); });
  size_t count = 0;
  for (const conformance::Check &check : conformance::all_checks()) {
    if (conformance::applies(check, subject)) {
      conformance::Note const which([&] { return std::string(check.name); });
      conformance::begin_counting_faults();
      check.run(subject);
      conformance::end_counting_faults();
      count++;
    }
  }
  board::say("conformance: " + std::string(subject.name) + ": " + std::to_string(count) + " checks\n");
}

// ---- Detection ----

using detection::How;
using detection::Mode;

// The bytes behind a block of malloc's are the C library's own data, which it uses on.
bool spares_malloc(const detection::Bug &bug, const std::string &allocator, Mode mode) {
  return !is_mallocs(allocator) || mode != Mode::kOff || bug.access != RF_ACCESS_WRITE || bug.offset < 0;
}

size_t g_wrong = 0;

void expect(bool good, const detection::Bug &bug, const std::string &allocator, Mode mode, const std::string &text) {
  if (!good) {
    board::say(std::string(bug.name) + " on " + allocator + " in mode " + detection::mode_name(mode) + ": " + text +
               "\n");
    g_wrong++;
  }
}

void detect(const detection::Bug &bug, const rf_conformance_subject &subject, Mode mode) {
  detection::Outcome const bad = detection::run_bad(bug, subject, mode);
  detection::Outcome const good = detection::run_good(bug, subject, mode);
  How const expected = detection::expected_of(bug, subject.name, mode);
  expect(std::string(detection::how_sign(bad.how)) == detection::how_sign(expected), bug, subject.name, mode,
         std::string(detection::how_sign(bad.how)) + " instead of " + detection::how_sign(expected));
  expect(bad.trouble.empty(), bug, subject.name, mode, bad.trouble);
  expect(good.trouble.empty(), bug, subject.name, mode, "its twin: " + good.trouble);
}

void detect_in(Mode mode) {
  size_t count = 0;
  for (const rf_conformance_subject *const subject : detection::subjects()) {
    for (const detection::Bug &bug : detection::kBugs) {
      if (!is_left_out(subject->name) && detection::mode_takes(mode, *subject) &&
          spares_malloc(bug, subject->name, mode)) {
        detect(bug, *subject, mode);
        count++;
      }
    }
  }
  board::say(std::string("detection: ") + detection::mode_name(mode) + ": " + std::to_string(count) + " bugs\n");
}

} // namespace

int main() {
  if (!locks_mask_interrupts()) {
    board::say("interrupts are served under a lock, or not after it\n");
    board::failed();
  }
  if (!interrupts_are_told()) {
    board::say("an interrupt is not told from main code\n");
    board::failed();
  }
  if (!faults_of_interrupts_are_their_own()) {
    board::say("a fault of an interrupt's is not its own\n");
    board::failed();
  }
  tell_cost();
  for (const conformance::Subject *const subject : {RF_SUBJECTS(RF_SUBJECT_CALLED) rf_guard_small_subject()}) {
    run(*subject);
  }
  for (Mode const mode : {Mode::kOff, Mode::kGuard, Mode::kGuardSmall}) {
    detect_in(mode);
  }
  if (g_wrong != 0) {
    board::failed();
  }
  board::must_fail();
  run(conformance::broken_subject(conformance::Fault::kObeysDoubleFree));
  board_end(1); // it was not found
}
