#include "tests/checkers/detection/native.h"

#include <ringfence/blockgroup.h>
#include <ringfence/checked_pools.h>
#include <ringfence/memblocks.h>
#include <ringfence/mempool.h>
#include <ringfence/pool_watch.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace ringfence::detection {
namespace {

// ---- Our own pools ----

RF_MEMBLOCKS_DEFINE_STATIC(blocks, kNativeSize, 8, 8);

unsigned char *take_blocks() {
  void *p = nullptr;
  (void)rf_memblocks_alloc(&blocks, 1, &p);
  return static_cast<unsigned char *>(p);
}

bool give_blocks(unsigned char *p) {
  void *in = p;
  return rf_memblocks_free(&blocks, 1, &in) == RF_OK;
}

rf_memblocks *choose(rf_blockgroup *group, void *config) {
  (void)group;
  (void)config;
  return &blocks;
}

rf_blockgroup *group() {
  static rf_blockgroup the_group;
  static rf_blockgroup_member member;
  static bool made =
      rf_blockgroup_init(&the_group, choose) == RF_OK && rf_blockgroup_add(&the_group, &member, &blocks) == RF_OK;
  return made ? &the_group : nullptr;
}

unsigned char *take_group() {
  void *p = nullptr;
  (void)rf_blockgroup_alloc(group(), nullptr, 1, &p, nullptr);
  return static_cast<unsigned char *>(p);
}

bool give_group(unsigned char *p) {
  void *in = p;
  return rf_blockgroup_free(group(), 1, &in) == RF_OK;
}

rf_mempool pool;

unsigned char *take_pool() {
  alignas(16) static unsigned char memory[1024];
  // At this alignment a block's header lies just before it, and just behind the one before.
  static bool made = rf_mempool_init(&pool, memory, sizeof memory, kNativeSize, sizeof(uintptr_t)) == RF_OK;
  void *p = nullptr;
  return made && rf_mempool_alloc(&pool, 0, &p) == RF_OK ? static_cast<unsigned char *>(p) : nullptr;
}

bool give_pool(unsigned char *p) {
  return rf_mempool_free(&pool, p) == RF_OK;
}

void end_pool() {
  (void)rf_mempool_deinit(&pool);
}

// ---- Bugs ----

bool g_refused = false;
uintptr_t g_block = 0;

unsigned char *take(const NativePool &p) {
  unsigned char *const block = p.take();
  if (block == nullptr) {
    std::abort();
  }
  std::memset(block, 1, kNativeSize);
  return block;
}

void give(const NativePool &p, unsigned char *block) {
  g_refused = !p.give(block) || g_refused;
}

// Compilers know that it is a bug.
void scribble(unsigned char *p, size_t count) {
  for (size_t i = 0; i < count; i++) {
    static_cast<volatile unsigned char *>(p)[i] = 1;
  }
}

void write_after_free(const NativePool &p, bool bad) {
  unsigned char *const block = take(p);
  g_block = reinterpret_cast<uintptr_t>(block);
  if (!bad) {
    scribble(block + 16, 8);
  }
  give(p, block);
  if (bad) {
    scribble(block + 16, 8);
  }
  give(p, take(p));
}

// Behind the block, into one that is free.
void overflow(const NativePool &p, bool bad) {
  unsigned char *const block = take(p);
  g_block = reinterpret_cast<uintptr_t>(block);
  scribble(block + kNativeSize - 16, bad ? 32 : 16);
  give(p, block);
}

void overflow_into_freed(const NativePool &p, bool bad) {
  unsigned char *const block = take(p);
  unsigned char *const next = take(p);
  give(p, next);
  g_block = reinterpret_cast<uintptr_t>(block);
  scribble(block + kNativeSize - 16, bad ? 32 : 16);
  give(p, block);
}

void overflow_into_live(const NativePool &p, bool bad) {
  unsigned char *const block = take(p);
  unsigned char *const next = take(p);
  g_block = reinterpret_cast<uintptr_t>(block);
  scribble(block + kNativeSize - 16, bad ? 32 : 16);
  give(p, block);
  give(p, next);
}

void double_free(const NativePool &p, bool bad) {
  unsigned char *const block = take(p);
  give(p, block);
  if (bad) {
    give(p, block);
  }
}

void free_inside(const NativePool &p, bool bad) {
  give(p, take(p) + (bad ? 16 : 0));
}

// ---- In the child ----

constexpr int kFound = 77;
constexpr int kRefused = 78;

struct Message {
  rf_finding finding;
  uintptr_t block;
};

rf_action tell(rf_reporter *self, const rf_finding *f) {
  Message message = {};
  message.finding = *f;
  message.block = g_block;
  if (write(*static_cast<const int *>(self->context), &message, sizeof message) !=
      static_cast<ssize_t>(sizeof message)) {
    std::abort();
  }
  return RF_ACTION_HALT;
}

void end_at_fault(const rf_fault *fault, void *context) {
  (void)fault;
  (void)context;
  _exit(kRefused);
}

rf_mode rf_mode_of(Mode mode) {
  return mode == Mode::kPage     ? RF_MODE_PAGE
         : mode == Mode::kGuard  ? RF_MODE_GUARD
         : mode == Mode::kSample ? RF_MODE_SAMPLE
                                 : RF_MODE_OFF;
}

[[noreturn]] void play(const NativeBug &bug, const NativePool &p, Mode mode, bool bad, int pipe) {
  static int out;
  out = pipe;
  static rf_reporter reporter = {tell, &out, kFound, 0};
  rf_checked_options options = {};
  rf_options_default(&options.settings);
  options.settings.mode = rf_mode_of(mode);
  options.reporter = &reporter;
  rf_fault_handler_set(end_at_fault, nullptr);
  (void)rf_checked_pools_init(&options);
  bug.commit(p, bad);
  if (p.end != nullptr) {
    p.end();
  }
  (void)rf_pool_watch_sweep();
  _exit(g_refused ? kRefused : 0);
}

// ---- In the parent ----

std::string trouble_with(const NativeBug &bug, Mode mode, const Message &m) {
  const rf_finding &f = m.finding;
  if (f.bug != bug.kind || std::to_string(f.cwe) != bug.cwe) {
    return std::string("kind ") + rf_bug_name(f.bug);
  }
  if (std::strcmp(f.mode, mode_name(mode)) != 0) {
    return std::string("mode ") + f.mode;
  }
  if (f.block != m.block || f.offset != bug.offset || f.size != kNativeSize) {
    return "block, size or offset " + std::to_string(f.offset);
  }
  if (f.freed != (bug.kind == RF_BUG_USE_AFTER_FREE) || f.allocated.depth == 0) {
    return "the calls of the block";
  }
  return f.freed && f.released.depth == 0 && f.released.site == nullptr ? "the place of the free" : "";
}

} // namespace

// In the order of off, sample, guard, page, asan.
const std::vector<NativeBug> kNativeBugs = {
    {"WriteAfterFree",
     "write after free",
     "416",
     RF_BUG_USE_AFTER_FREE,
     16,
     write_after_free,
     {How::kNot, How::kNot, How::kLater, How::kLater, How::kAtOnce}},
    {"OverflowIntoABlockNeverOut",
     "write past the end, into a block that was never out",
     "122",
     RF_BUG_BUFFER_OVERFLOW,
     kNativeSize,
     overflow,
     {How::kNot, How::kNot, How::kLater, How::kLater, How::kAtOnce}},
    {"OverflowIntoAFreedBlock",
     "write past the end, into a freed block",
     "122",
     RF_BUG_BUFFER_OVERFLOW,
     kNativeSize,
     overflow_into_freed,
     {How::kNot, How::kNot, How::kLater, How::kLater, How::kAtOnce}},
    {"OverflowIntoALiveBlock",
     "write past the end, into a live block",
     "122",
     RF_BUG_BUFFER_OVERFLOW,
     kNativeSize,
     overflow_into_live,
     {How::kNot, How::kNot, How::kNot, How::kNot, How::kNot}},
    {"DoubleFree",
     "double free",
     "415",
     RF_BUG_DOUBLE_FREE,
     0,
     double_free,
     {How::kRefused, How::kRefused, How::kRefused, How::kRefused, How::kRefused}},
    {"FreeOfAnInteriorPointer",
     "free of a pointer into a block",
     "761",
     RF_BUG_BAD_FREE,
     16,
     free_inside,
     {How::kRefused, How::kRefused, How::kRefused, How::kRefused, How::kRefused}},
};

// Pools that keep a pointer between two blocks see that it was overwritten, when the second block is freed.
How expected_of(const NativeBug &bug, const NativePool &p, Mode mode) {
  bool const has_pointers = std::strcmp(p.name, "mempool") == 0 || std::strcmp(p.name, "rt_mp") == 0;
  if (has_pointers && std::strcmp(bug.name, "OverflowIntoALiveBlock") == 0) {
    return mode == Mode::kAsan ? How::kAtOnce : How::kRefused;
  }
  return bug.expected[static_cast<size_t>(mode)];
}

const std::vector<NativePool> &native_pools() {
  static const std::vector<NativePool> all = [] {
    std::vector<NativePool> pools = {{"memblocks", take_blocks, give_blocks, nullptr},
                                     {"blockgroup", take_group, give_group, nullptr},
                                     {"mempool", take_pool, give_pool, end_pool}};
    for (const std::vector<NativePool> &more : {zephyr_pools(), rtthread_pools()}) {
      pools.insert(pools.end(), more.begin(), more.end());
    }
    return pools;
  }();
  return all;
}

bool native_mode_is_built(Mode mode) {
  return mode != Mode::kAsan && mode_is_built(mode);
}

Outcome run_native(const NativeBug &bug, const NativePool &p, Mode mode, bool bad) {
  Outcome outcome;
  Message message;
  int ends[2];
  int status = 0;
  if (pipe(ends) != 0) {
    std::abort();
  }
  pid_t const child = fork();
  if (child == 0) {
    play(bug, p, mode, bad, ends[1]);
  }
  close(ends[1]);
  bool const found = read(ends[0], &message, sizeof message) == static_cast<ssize_t>(sizeof message);
  close(ends[0]);
  waitpid(child, &status, 0);
  int const code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.how = found ? How::kLater : code == kRefused ? How::kRefused : How::kNot;
  if (found) {
    outcome.trouble = trouble_with(bug, mode, message);
  } else if (code != 0 && code != kRefused) {
    outcome.trouble = "it ended with " + std::to_string(status);
  }
  if (!bad && outcome.how != How::kNot) {
    outcome.trouble = "a correct program is not silent";
  }
  return outcome;
}

} // namespace ringfence::detection
