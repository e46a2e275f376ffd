// The C library's last words (checkers/dropin/runtime/libc_abort.c): which of them are findings, of which kind, from
// where in the program, and that none is made of any other abort. The message, the stack and the C library's place are
// this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/runtime/caller.h"
#include "checkers/dropin/runtime/libc_abort.h"
#include "checkers/dropin/runtime/state.h"
void __wrap_rf_runtime_find(const char *function, rf_runtime *out);
void *__wrap_rf_libc_private(const char *name);
pid_t __wrap_rf_process_now(void);
extern const char __ehdr_start[];
extern const char etext[];
}
#undef _Static_assert

#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <ucontext.h>
#include <unwind.h>
#include <vector>

namespace {

constexpr uintptr_t kLibc = 0x70000000;
constexpr uintptr_t kLibcSize = 0x1000;
constexpr uintptr_t kProgram = 0x50000000;

struct Message {
  unsigned size;
  char text[300];
};

struct World {
  std::vector<uintptr_t> stack;
  size_t read = 0; // frames of it
  pid_t process = 77;
  bool ending = false; // at the finding
  rf_finding finding = {};
  int findings = 0;
};

World world;
Message last_words;
Message *published; // as glibc's __abort_msg

rf_action record(rf_reporter *, const rf_finding *f) {
  world.finding = *f;
  world.ending = rf_process.ending;
  world.findings++;
  return RF_ACTION_CONTINUE;
}

rf_reporter reporter = {record, nullptr, 1, 0};

} // namespace

extern "C" {

void __wrap_rf_runtime_find(const char *function, rf_runtime *out) {
  if (std::strcmp(function, "abort") == 0) {
    *out = {kLibc, kLibcSize};
  }
}

void *__wrap_rf_libc_private(const char *name) {
  return std::strcmp(name, "__abort_msg") == 0 ? &published : nullptr;
}

pid_t __wrap_rf_process_now() {
  return world.process;
}

_Unwind_Reason_Code __wrap__Unwind_Backtrace(_Unwind_Trace_Fn step, void *argument) {
  for (world.read = 0; world.read < world.stack.size();) {
    world.read++;
    if (step(nullptr, argument) != _URC_NO_REASON) {
      return _URC_END_OF_STACK;
    }
  }
  return _URC_END_OF_STACK;
}

_Unwind_Word __wrap__Unwind_GetIP(_Unwind_Context *) {
  return world.stack[world.read - 1];
}
}

namespace ringfence_test {
namespace {

using Stack = std::vector<uintptr_t>;

const Stack kAbort = {kLibc + 1, kLibc + 2, kLibc + 3, kProgram, kProgram + 8};

class LibcAbort : public testing::Test {
protected:
  LibcAbort() {
    world = World();
    world.stack = kAbort;
    rf_process = {};
    rf_process.id = 77;
    rf_process.options.mode = RF_MODE_SAMPLE;
    rf_process.guard_options.reporter = &reporter;
    published = nullptr;
    rf_libc_abort_init();
  }

  // The kind of the finding after these words; RF_BUG_LEAK: there was none.
  static rf_bug bug_of(const std::string &text) {
    ucontext_t context = {};
    last_words.size = 4096;
    std::memset(last_words.text, 0, sizeof last_words.text);
    std::memcpy(last_words.text, text.data(), text.size());
    published = &last_words;
    world.findings = 0;
    rf_libc_abort_report(&context);
    return world.findings == 1 ? world.finding.bug : RF_BUG_LEAK;
  }

  static Stack frames() {
    const rf_trace &found = world.finding.found;
    return {found.frames, found.frames + found.depth};
  }
};

TEST_F(LibcAbort, OfMallocIsAFindingOfItsKind) {
  struct {
    const char *text;
    rf_bug bug;
  } const cases[] = {
      {"free(): double free detected in tcache 2\n", RF_BUG_DOUBLE_FREE},
      {"double free or corruption (fasttop)\n", RF_BUG_DOUBLE_FREE},
      {"double free or corruption (!prev)\n", RF_BUG_DOUBLE_FREE},
      {"double free or corruption (out)\n", RF_BUG_METADATA},
      {"free(): invalid pointer\n", RF_BUG_BAD_FREE},
      {"munmap_chunk(): invalid pointer\n", RF_BUG_BAD_FREE},
      {"mremap_chunk(): invalid pointer\n", RF_BUG_BAD_FREE},
      {"realloc(): invalid pointer\n", RF_BUG_BAD_FREE},
      {"free(): invalid next size (fast)\n", RF_BUG_METADATA},
      {"realloc(): invalid next size\n", RF_BUG_METADATA},
      {"malloc(): corrupted top size\n", RF_BUG_METADATA},
      {"malloc_consolidate(): invalid chunk size\n", RF_BUG_METADATA},
      {"tcache_thread_shutdown(): unaligned tcache chunk detected\n", RF_BUG_METADATA},
      {"corrupted double-linked list\n", RF_BUG_METADATA},
      {"corrupted double-linked list (not small)\n", RF_BUG_METADATA},
      {"corrupted size vs. prev_size while consolidating\n", RF_BUG_METADATA},
      {"invalid fastbin entry (free)\n", RF_BUG_METADATA},
      {"break adjusted to free malloc space\n", RF_BUG_METADATA},
      {"Fatal error: glibc detected an invalid stdio handle\n", RF_BUG_USE_AFTER_FREE},
      {"*** buffer overflow detected ***: terminated\n", RF_BUG_STOPPED_OVERFLOW},
      {"*** stack smashing detected ***: terminated\n", RF_BUG_STACK_OVERFLOW},
  };
  for (auto const &each : cases) {
    EXPECT_EQ(bug_of(each.text), each.bug) << each.text;
    EXPECT_STREQ(world.finding.allocator, "malloc");
    EXPECT_STREQ(world.finding.mode, "sample");
  }
}

TEST_F(LibcAbort, OfAnythingElseIsNone) {
  EXPECT_EQ(bug_of("program: main.c:3: main: Assertion `x' failed.\n"), RF_BUG_LEAK);
  EXPECT_EQ(bug_of("free()"), RF_BUG_LEAK);
  EXPECT_EQ(bug_of("*** %n in writable segment detected ***: terminated\n"), RF_BUG_LEAK);
  EXPECT_EQ(bug_of(""), RF_BUG_LEAK);
  published = nullptr;
  ucontext_t context = {};
  rf_libc_abort_report(&context);
  EXPECT_EQ(world.findings, 0) << "it has said nothing";
  EXPECT_FALSE(rf_process.ending);
}

TEST_F(LibcAbort, OfAChildOfVforkIsNone) {
  world.process = 78;
  EXPECT_EQ(bug_of("free(): invalid pointer\n"), RF_BUG_LEAK);
}

TEST_F(LibcAbort, OfAStreamIsNoneWhereAFindingExplainsIt) {
  rf_process.findings = 1;
  EXPECT_EQ(bug_of("Fatal error: glibc detected an invalid stdio handle\n"), RF_BUG_LEAK);
  EXPECT_EQ(bug_of("free(): invalid pointer\n"), RF_BUG_BAD_FREE);
}

TEST_F(LibcAbort, OfAWriteIsNoneWhereThatWasReported) {
  rf_libc_abort_is_told();
  EXPECT_EQ(bug_of("*** buffer overflow detected ***: terminated\n"), RF_BUG_LEAK);
  EXPECT_EQ(bug_of("*** stack smashing detected ***: terminated\n"), RF_BUG_LEAK);
  EXPECT_EQ(bug_of("free(): invalid pointer\n"), RF_BUG_BAD_FREE);
}

TEST_F(LibcAbort, SaysWhatTheCLibrarySaid) {
  (void)bug_of("free(): invalid pointer\nmore");
  EXPECT_STREQ(world.finding.detail, "the C library's malloc says: free(): invalid pointer");
  (void)bug_of("Fatal error: glibc detected an invalid stdio handle");
  EXPECT_STREQ(world.finding.detail, "the C library says: Fatal error: glibc detected an invalid stdio handle");
  (void)bug_of("*** stack smashing detected ***: terminated\n");
  EXPECT_STREQ(world.finding.detail, "the C library says: *** stack smashing detected ***: terminated");
  (void)bug_of("free(): " + std::string(200, 'x'));
  std::string const said = world.finding.detail;
  EXPECT_EQ(said.size(), 127U);
  EXPECT_EQ(said, ("the C library's malloc says: free(): " + std::string(200, 'x')).substr(0, 127));
}

TEST_F(LibcAbort, EndsTheProcessByItsSignalAlone) {
  for (bool const before : {false, true}) {
    rf_process.ending = before;
    (void)bug_of("free(): invalid pointer\n");
    EXPECT_TRUE(world.ending);
    EXPECT_EQ(rf_process.ending, before);
  }
}

TEST_F(LibcAbort, IsFoundAtTheProgramsCall) {
  (void)bug_of("free(): invalid pointer\n");
  EXPECT_EQ(frames(), (Stack{kProgram, kProgram + 8}));
  world.stack.insert(world.stack.end(), {kLibc + 9, 0, kProgram + 16});
  (void)bug_of("free(): invalid pointer\n");
  EXPECT_EQ(frames(), (Stack{kProgram, kProgram + 8, kLibc + 9})) << "behind it all frames, to the stack's end";
}

// Before the C library's come this handler's, and perhaps those of the kernel's page for system calls.
TEST_F(LibcAbort, IsNotFoundInFramesBeforeTheCLibrarys) {
  world.stack = {kProgram + 1,          kLibc + kLibcSize, kLibc,     kProgram + 2,
                 kLibc + kLibcSize - 1, kProgram + 4,      kLibc + 6, kProgram + 3};
  (void)bug_of("free(): invalid pointer\n");
  EXPECT_EQ(frames(), Stack{kProgram + 3});
}

TEST_F(LibcAbort, FramesOfTheLibraryArePassedOver) {
  auto const ours = reinterpret_cast<uintptr_t>(__ehdr_start);
  auto const end = reinterpret_cast<uintptr_t>(etext);
  world.stack = {kLibc + 1, kLibc + 2, kLibc + 3, ours, end - 1, kProgram};
  (void)bug_of("free(): invalid pointer\n");
  EXPECT_EQ(frames(), (Stack{ours, end - 1, kProgram})) << "linked in, they may be the program's";
  rf_process.library = true;
  (void)bug_of("free(): invalid pointer\n");
  EXPECT_EQ(frames(), Stack{kProgram});
  world.stack = {kLibc + 1, kLibc + 2, kLibc + 3, end, kProgram};
  (void)bug_of("free(): invalid pointer\n");
  EXPECT_EQ(frames(), (Stack{end, kProgram}));
}

TEST_F(LibcAbort, AsManyFramesAsAFindingHoldsAreKept) {
  world.stack.resize(3 + RF_TRACE_DEPTH + 5, kProgram + 4);
  (void)bug_of("free(): invalid pointer\n");
  EXPECT_EQ(frames().size(), size_t{RF_TRACE_DEPTH});
  EXPECT_EQ(world.read, size_t{3 + RF_TRACE_DEPTH});
}

TEST_F(LibcAbort, WithoutUnwindTablesItIsFoundWhereTheSignalCame) {
  world.stack = {kLibc + 1};
  ucontext_t context = {};
#if defined(__x86_64__)
  context.uc_mcontext.gregs[REG_RIP] = 0x1234;
#endif
  (void)bug_of("free(): invalid pointer\n");
  rf_libc_abort_report(&context);
#if defined(__x86_64__)
  ASSERT_NE(world.finding.found.depth, 0U);
  EXPECT_EQ(world.finding.found.frames[0], 0x1234U);
#endif
}

#if defined(__x86_64__) || defined(__i386__)

// Where SIGABRT ends nothing, abort executes an instruction that only the kernel may.
TEST_F(LibcAbort, ItsOwnFaultIsThatOfAnInstructionOfTheCLibrarys) {
#if defined(__x86_64__)
  constexpr int kPc = REG_RIP;
#else
  constexpr int kPc = REG_EIP;
#endif
  void *const place = mmap(reinterpret_cast<void *>(kLibc), kLibcSize, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  ASSERT_EQ(reinterpret_cast<uintptr_t>(place), kLibc);
  auto *const code = static_cast<unsigned char *>(place);
  unsigned char elsewhere = 0xF4;
  code[8] = 0xF4;
  code[9] = 0x90;
  ucontext_t context = {};
  auto const at = [&](const void *pc) {
    context.uc_mcontext.gregs[kPc] = static_cast<greg_t>(reinterpret_cast<uintptr_t>(pc));
    return rf_libc_abort_is_its_fault(&context);
  };
  EXPECT_TRUE(at(code + 8));
  EXPECT_FALSE(at(code + 9));
  EXPECT_FALSE(at(&elsewhere)) << "the program's own";
  ASSERT_EQ(munmap(place, kLibcSize), 0);
  EXPECT_FALSE(at(code + 8)) << "nothing is there to be read";
}

#endif

} // namespace
} // namespace ringfence_test
