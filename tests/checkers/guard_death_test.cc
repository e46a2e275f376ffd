// Each bug ends the program with the exit code and a report that says what it was, over each allocator; the same
// program without the bug ends as it should and says nothing.
#include "tests/checkers/found_on_purpose.h"
#include "tests/checkers/heaps.h"

#include <ringfence/guard.h>
#include <ringfence/reporter.h>

#include <cstdlib>
#include <string>
#include <tuple>
#include <vector>

namespace ringfence {
namespace {

// A program; `bug` says whether it commits its bug.
using Program = void (*)(rf_guard &guard, bool bug);

struct Case {
  const char *name;
  Program program;
  const char *report; // what standard error must hold, as a regular expression
};

rf_allocator *of(rf_guard &guard) {
  return &guard.base;
}

char *text(void *p) {
  return static_cast<char *>(p);
}

// clang-format off
const Case kCases[] = {
    {"Overflow", [](rf_guard &g, bool bug) {
       char *const p = text(rf_alloc(of(g), 16));
       p[bug ? 16 : 15] = 1;
       rf_free(of(g), p);
     },
     "heap-buffer-overflow on address.*WRITE of size 1 at.*0 bytes after 16-byte region.*allocated by thread T0 here"},
    {"Underflow", [](rf_guard &g, bool bug) {
       char *const p = text(rf_alloc(of(g), 16));
       p[bug ? -2 : 0] = 1;
       rf_free(of(g), p);
     },
     "heap-buffer-underflow on address.*WRITE of size 1 at.*2 bytes before 16-byte region"},
    {"UseAfterFree", [](rf_guard &g, bool bug) {
       char *const p = text(rf_alloc(of(g), 16));
       if (!bug) {
         p[5] = 1;
       }
       rf_free(of(g), p);
       if (bug) {
         p[5] = 1;
       }
     },
     "heap-use-after-free on address.*5 bytes inside of 16-byte region.*freed by.*previously allocated by"},
    {"DoubleFree", [](rf_guard &g, bool bug) {
       void *const p = rf_alloc(of(g), 16);
       rf_free(of(g), p);
       if (bug) {
         rf_free(of(g), p);
       }
     },
     "double-free on address.*FREE of.*freed by.*previously allocated by"},
    {"InteriorFree", [](rf_guard &g, bool bug) {
       char *const p = text(rf_alloc(of(g), 16));
       rf_free(of(g), p + (bug ? 4 : 0));
     },
     "bad-free on address.*the pointer is inside a block.*4 bytes inside of 16-byte region"},
    {"StackFree", [](rf_guard &g, bool bug) {
       alignas(64) char local[256];
       void *const p = rf_alloc(of(g), 16);
       rf_free(of(g), bug ? local + 128 : p);
     },
     "bad-free on address.*the pointer is to the stack"},
    {"Mismatch", [](rf_guard &g, bool bug) {
       void *const p = rf_guard_alloc_from(&g, 16, 16, RF_FAMILY_NEW_ARRAY, nullptr);
       rf_guard_free_from(&g, p, bug ? RF_FAMILY_NEW : RF_FAMILY_NEW_ARRAY, SIZE_MAX, nullptr);
     },
     "alloc-dealloc-mismatch .operator new.. vs operator delete. on address"},
    {"SizedDelete", [](rf_guard &g, bool bug) {
       void *const p = rf_guard_alloc_from(&g, 16, 16, RF_FAMILY_NEW, nullptr);
       rf_guard_free_from(&g, p, RF_FAMILY_NEW, bug ? 8 : 16, nullptr);
     },
     "new-delete-type-mismatch.*size of the allocated object: 16 bytes; size given to the deallocation: 8 bytes"},
    {"Leak", [](rf_guard &g, bool bug) {
       void *const p = rf_alloc(of(g), 16);
       if (!bug) {
         rf_free(of(g), p);
       }
     },
     "memory-leak of 16 byte.s. in 1 object.s."},
    {"NegativeSize", [](rf_guard &g, bool bug) { rf_free(of(g), rf_alloc(of(g), bug ? SIZE_MAX - 2 : 1)); },
     "allocation-size-too-big: requested 0xf*d bytes"},
    {"CallocOverflow", [](rf_guard &g, bool bug) { rf_free(of(g), rf_calloc(of(g), bug ? SIZE_MAX : 1, 3)); },
     "calloc-overflow: [0-9]* . 3 does not fit a size"},
    {"BadAlignment", [](rf_guard &g, bool bug) { rf_free(of(g), rf_aligned_alloc(of(g), bug ? 24 : 32, 3)); },
     "invalid-allocation-alignment: 24 is no power of two"},
    {"Metadata", [](rf_guard &g, bool bug) {
       char *const p = text(rf_alloc(of(g), 16));
       *(bug ? p - 20 : p) ^= 1;
       rf_free(of(g), p);
     },
     "metadata-corruption on address.*the block's metadata were overwritten"},
};
// clang-format on

[[noreturn]] void run(const HeapKind &kind, Program program, bool bug) {
  std::vector<unsigned char> arena(64 * 1024);
  std::unique_ptr<Heap> const heap = kind.make(arena.data(), arena.size());
  rf_report_options options;
  rf_report_options_default(&options);
  rf_log_reporter reporter;
  rf_log_reporter_init(&reporter, &options);
  rf_guard_options guard_options;
  rf_guard_options_default(&guard_options);
  guard_options.reporter = &reporter.base;
  guard_options.leaks_at_deinit = true;
  rf_guard guard;
  rf_guard_init(&guard, heap->allocator(), &guard_options);
  program(guard, bug);
  guard.base.ops->deinit(&guard.base);
  std::_Exit(3);
}

// A dot of the expression matches no line feed here; the report has many lines.
std::string over_lines(const std::string &expression) {
  std::string out;
  for (size_t i = 0; i < expression.size(); i++) {
    bool const any = expression.compare(i, 2, ".*") == 0;
    out += any ? "(.|\n)*" : expression.substr(i, 1);
    i += any ? 1 : 0;
  }
  return out;
}

using Parameter = std::tuple<HeapKind, Case>;

class GuardDeathTest : public testing::TestWithParam<Parameter> {};

TEST_P(GuardDeathTest, TheBugEndsTheProgramWithAReport) {
  const auto &[kind, bug] = GetParam();
  EXPECT_EXIT(run(kind, bug.program, true), testing::ExitedWithCode(99), over_lines(bug.report));
}

TEST_P(GuardDeathTest, TheCorrectTwinIsSilent) {
  const auto &[kind, bug] = GetParam();
  EXPECT_EXIT(run(kind, bug.program, false), testing::ExitedWithCode(3), "^$");
}

std::string name_of(const testing::TestParamInfo<Parameter> &info) {
  return std::string(std::get<1>(info.param).name) + "_" + std::get<0>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(Over, GuardDeathTest, testing::Combine(testing::ValuesIn(kHeaps), testing::ValuesIn(kCases)),
                         name_of);

} // namespace
} // namespace ringfence
