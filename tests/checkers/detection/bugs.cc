// The bugs: each the code that commits it, what must be said of it, and how each mode tells it.
#include "tests/checkers/detection/scene.h"

#if defined(__unix__)
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <cstring>

namespace ringfence::detection {
namespace {

// Volatile accesses cannot be left out or moved.
unsigned char peek(const volatile unsigned char *p) {
  return *p;
}

// The byte at `p`, where it can be read, else 0. Neither a fault nor an access that a sanitizer sees.
unsigned char byte_at(volatile unsigned char *p) {
#if defined(__unix__)
  unsigned char byte = 0;
  iovec const here = {&byte, 1};
  iovec const there = {const_cast<unsigned char *>(p), 1};
  (void)syscall(SYS_process_vm_readv, getpid(), &here, 1UL, &there, 1UL, 0UL);
  return byte;
#else
  return *p;
#endif
}

// Changes what is there, which may be a seal and thus any byte.
void poke(volatile unsigned char *p) {
  *p = static_cast<unsigned char>(~byte_at(p));
}

// The offset that the bug touches; its twin touches the nearest byte of the block.
ptrdiff_t place(const Scene &scene) {
  ptrdiff_t const offset = scene.bug().offset;
  ptrdiff_t const last = static_cast<ptrdiff_t>(scene.bug().size) - 1;
  return scene.bad() ? offset : offset < 0 ? 0 : offset > last ? last : offset;
}

// ---- Outside of a block ----

void write_outside(Scene &scene) {
  unsigned char *const p = scene.make();
  scene.act([&] { poke(p + place(scene)); });
  scene.drop(p);
}

void read_outside(Scene &scene) {
  unsigned char *const p = scene.make();
  scene.act([&] { (void)peek(p + place(scene)); });
  scene.drop(p);
}

// From where an allocator may keep its header up to the block.
void overwrite_header(Scene &scene) {
  unsigned char *const p = scene.make();
  scene.act([&] {
    for (ptrdiff_t i = place(scene); i < 0; i++) {
      poke(p + i);
    }
  });
  scene.drop(p);
}

// ---- After the free ----

void write_after_free(Scene &scene) {
  unsigned char *const p = scene.make();
  if (scene.bad()) {
    scene.drop(p);
  }
  scene.act([&] { poke(p + scene.bug().offset); });
  if (!scene.bad()) {
    scene.drop(p);
  }
}

void read_after_free(Scene &scene) {
  unsigned char *const p = scene.make();
  if (scene.bad()) {
    scene.drop(p);
  }
  scene.act([&] { scene.shows(peek(p + scene.bug().offset) == RF_PATTERN_FREED); });
  if (!scene.bad()) {
    scene.drop(p);
  }
}

void read_uninitialised(Scene &scene) {
  unsigned char *const p = scene.make();
  auto *const q = static_cast<unsigned char *>(rf_alloc(scene.allocator(), scene.bug().size));
  if (!scene.bad()) {
    std::memset(q, 0, scene.bug().size);
  }
  scene.act([&] { scene.shows(peek(q + scene.bug().offset) == RF_PATTERN_NEW); });
  rf_free(scene.allocator(), q);
  scene.drop(p);
}

// ---- Wrong frees ----

void double_free(Scene &scene) {
  unsigned char *const p = scene.make();
  scene.drop(p);
  if (scene.bad()) {
    scene.act([&] { scene.misuse(p); });
  }
}

// Frees at the bug's offset: inside the block, or beside a multiple of its alignment.
void free_inside(Scene &scene) {
  unsigned char *const p = scene.make();
  if (scene.bad()) {
    scene.act([&] { scene.misuse(p + scene.bug().offset); });
  }
  scene.drop(p);
}

void free_stack(Scene &scene) {
  alignas(64) unsigned char object[256] = {};
  unsigned char *const p = scene.make();
  if (scene.bad()) {
    scene.act([&] { scene.misuse(object + 128); });
  }
  scene.drop(p);
}

void free_global(Scene &scene) {
  alignas(64) static unsigned char object[256];
  unsigned char *const p = scene.make();
  if (scene.bad()) {
    scene.act([&] { scene.misuse(object + 128); });
  }
  scene.drop(p);
}

// The block is the allocator's beside this one.
void free_elsewhere(Scene &scene) {
  unsigned char *const p = scene.make();
  if (scene.bad()) {
    scene.act([&] { (void)rf_free(scene.other(), p); });
  }
  scene.drop(p);
}

void leak(Scene &scene) {
  unsigned char *const p = scene.make();
  if (!scene.bad()) {
    scene.drop(p);
  }
}

// ---- Requests that can never be served ----

void overflowing_product(Scene &scene) {
  size_t const count = scene.bad() ? SIZE_MAX / 4 : 4;
  scene.act([&] {
    void *const p = rf_calloc(scene.allocator(), count, 8);
    scene.answered(p == nullptr);
    rf_free(scene.allocator(), p);
  });
}

void negative_size(Scene &scene) {
  size_t const size = scene.bad() ? static_cast<size_t>(-8) : 8;
  scene.act([&] {
    void *const p = rf_alloc(scene.allocator(), size);
    scene.answered(p == nullptr);
    rf_free(scene.allocator(), p);
  });
}

void bad_alignment(Scene &scene) {
  size_t const align = scene.bad() ? 24 : 16;
  scene.act([&] {
    void *const p = rf_aligned_alloc(scene.allocator(), align, 8);
    scene.answered(p == nullptr);
    rf_free(scene.allocator(), p);
  });
}

// ---- Wrong moments ----

void use_after_deinit(Scene &scene) {
  unsigned char *const p = scene.make();
  scene.drop(p);
  if (scene.bad()) {
    scene.end_checker();
    scene.act([&] { (void)rf_alloc(scene.allocator(), 8); });
  }
}

bool call_back(const rf_block *block, void *context) {
  if (block->used) {
    static_cast<Scene *>(context)->misuse(block->ptr);
  }
  return !block->used;
}

bool count_only(const rf_block *block, void *context) {
  (void)block;
  (void)context;
  return true;
}

void free_in_a_walk(Scene &scene) {
  unsigned char *const p = scene.make();
  scene.act([&] { (void)rf_walk(scene.allocator(), scene.bad() ? call_back : count_only, &scene); });
  scene.drop(p);
}

constexpr How kNot = How::kNot;
constexpr How kRefused = How::kRefused;
constexpr How kAtOnce = How::kAtOnce;
constexpr How kLater = How::kLater;
constexpr How kShown = How::kShown;
constexpr How kNotTried = How::kNotTried;

const char kBare[] = "nobody looks";
const char kSlack[] = "the bytes up to the end of the page are open; they are filled and compared";
const char kOtherEnd[] = "the block lies at the other end of its page";
const char kHeader[] = "where the allocator has a header there, and sees it";
const char kRead[] = "a read leaves no trace";
const char kSampledOnly[] = "sampled blocks only";
const char kPassed[] = "what it destroys is another block's, or nobody's";
const char kSmallHeader[] =
    "as damage of the block's header, without the block; on 32 bit one in 11 such headers passes for sound";
const char kTagSlack[] = "within the last 16 bytes: guard bytes, compared at the free";
const char kSmallBlock[] = "without the block";
const char kSmallRefused[] = "NULL, and no finding";

} // namespace

// In the order of off, sample (of a block that is sampled), guard, page, asan, mte, guard_small.
const std::vector<Bug> kBugs = {
    {"WriteBehind",
     "write past the end, where the page ends (`align=right`)",
     "122",
     RF_BUG_BUFFER_OVERFLOW,
     RF_ACCESS_WRITE,
     true,
     32,
     32,
     false,
     RF_PAGE_RIGHT,
     write_outside,
     {kNot, kAtOnce, kLater, kAtOnce, kAtOnce, kAtOnce, kLater},
     {kBare, kSampledOnly, "guard bytes, compared at the free", nullptr, nullptr, nullptr,
      "guard bytes, compared at the free"}},
    {"WriteBehindAtTheOtherSide",
     "write past the end, where the page begins (`align=left`)",
     "122",
     RF_BUG_BUFFER_OVERFLOW,
     RF_ACCESS_WRITE,
     true,
     32,
     32,
     false,
     RF_PAGE_LEFT,
     write_outside,
     {kNot, kLater, kLater, kLater, kAtOnce, kAtOnce, kLater},
     {kBare, kOtherEnd, "guard bytes, compared at the free", kOtherEnd, nullptr, nullptr,
      "guard bytes, compared at the free"}},
    {"WriteBehindIntoSlack",
     "write one byte past the end of a block of 13 bytes",
     "122",
     RF_BUG_BUFFER_OVERFLOW,
     RF_ACCESS_WRITE,
     true,
     13,
     13,
     false,
     RF_PAGE_RIGHT,
     write_outside,
     {kNot, kLater, kLater, kLater, kAtOnce, kLater, kLater},
     {kBare, kSlack, "the guard begins at the exact byte", kSlack, nullptr, kTagSlack,
      "the guard begins at the exact byte"}},
    {"WriteFarBehind",
     "write 5000 bytes past the end",
     "122",
     RF_BUG_BUFFER_OVERFLOW,
     RF_ACCESS_WRITE,
     true,
     32,
     5032,
     false,
     RF_PAGE_RIGHT,
     write_outside,
     {kNotTried, kAtOnce, kNotTried, kAtOnce, kAtOnce, kAtOnce, kNotTried},
     {kBare, kSampledOnly, kPassed, nullptr, nullptr, nullptr, kPassed}},
    {"WriteBefore",
     "write before the start, where the page begins (`align=left`)",
     "124",
     RF_BUG_BUFFER_UNDERFLOW,
     RF_ACCESS_WRITE,
     true,
     32,
     -1,
     false,
     RF_PAGE_LEFT,
     write_outside,
     {kRefused, kAtOnce, kLater, kAtOnce, kAtOnce, kAtOnce, kLater},
     {kHeader, kSampledOnly, "guard bytes, compared at the free", nullptr, nullptr, nullptr, kSmallHeader}},
    {"WriteBeforeAtTheOtherSide",
     "write before the start, where the page ends (`align=right`)",
     "124",
     RF_BUG_BUFFER_UNDERFLOW,
     RF_ACCESS_WRITE,
     true,
     32,
     -1,
     false,
     RF_PAGE_RIGHT,
     write_outside,
     {kRefused, kLater, kLater, kLater, kAtOnce, kAtOnce, kLater},
     {kHeader, kOtherEnd, "guard bytes, compared at the free", kOtherEnd, nullptr, nullptr, kSmallHeader}},
    {"ReadBehind",
     "read past the end",
     "126",
     RF_BUG_BUFFER_OVERFLOW,
     RF_ACCESS_READ,
     true,
     32,
     32,
     false,
     RF_PAGE_RIGHT,
     read_outside,
     {kNot, kAtOnce, kNot, kAtOnce, kAtOnce, kAtOnce, kNot},
     {kBare, kSampledOnly, kRead, "in slack: a read leaves no trace", nullptr, nullptr, kRead}},
    {"ReadBefore",
     "read before the start",
     "127",
     RF_BUG_BUFFER_UNDERFLOW,
     RF_ACCESS_READ,
     true,
     32,
     -1,
     false,
     RF_PAGE_LEFT,
     read_outside,
     {kNot, kAtOnce, kNot, kAtOnce, kAtOnce, kAtOnce, kNot},
     {kBare, kSampledOnly, kRead, "in slack: a read leaves no trace", nullptr, nullptr, kRead}},
    {"WriteAfterFree",
     "write after free",
     "416",
     RF_BUG_USE_AFTER_FREE,
     RF_ACCESS_WRITE,
     true,
     32,
     16,
     true,
     RF_PAGE_BOTH,
     write_after_free,
     {kNot, kAtOnce, kLater, kAtOnce, kAtOnce, kAtOnce, kLater},
     {kBare, kSampledOnly, "the fill, compared when the block leaves the quarantine", nullptr, nullptr, nullptr,
      "the fill, compared when the block leaves the ring of 8"}},
    {"ReadAfterFree",
     "read after free",
     "416",
     RF_BUG_USE_AFTER_FREE,
     RF_ACCESS_READ,
     true,
     32,
     16,
     true,
     RF_PAGE_BOTH,
     read_after_free,
     {kNot, kAtOnce, kShown, kAtOnce, kAtOnce, kAtOnce, kShown},
     {kBare, kSampledOnly, "a read leaves no trace; it shows 0xCC", nullptr, nullptr, nullptr,
      "a read leaves no trace; it shows 0xCC"}},
    {"DoubleFree",
     "double free",
     "415",
     RF_BUG_DOUBLE_FREE,
     RF_ACCESS_FREE,
     true,
     32,
     0,
     true,
     RF_PAGE_BOTH,
     double_free,
     {kRefused, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce},
     {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr}},
    {"FreeOfTheStack",
     "free of a pointer to the stack",
     "590",
     RF_BUG_BAD_FREE,
     RF_ACCESS_FREE,
     false,
     32,
     0,
     false,
     RF_PAGE_BOTH,
     free_stack,
     {kRefused, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce},
     {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr}},
    {"FreeOfAGlobal",
     "free of a pointer to a global",
     "590",
     RF_BUG_BAD_FREE,
     RF_ACCESS_FREE,
     false,
     32,
     0,
     false,
     RF_PAGE_BOTH,
     free_global,
     {kRefused, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce},
     {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr}},
    {"FreeOfAnInteriorPointer",
     "free of a pointer into a block",
     "761",
     RF_BUG_BAD_FREE,
     RF_ACCESS_FREE,
     true,
     48,
     16,
     false,
     RF_PAGE_BOTH,
     free_inside,
     {kRefused, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce},
     {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, kSmallBlock}},
    {"FreeOfAMisalignedPointer",
     "free of a misaligned pointer",
     "761",
     RF_BUG_BAD_FREE,
     RF_ACCESS_FREE,
     true,
     48,
     5,
     false,
     RF_PAGE_BOTH,
     free_inside,
     {kRefused, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce},
     {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, kSmallBlock}},
    {"FreeThroughAnotherAllocator",
     "free through another allocator",
     "762",
     RF_BUG_DEALLOC_MISMATCH,
     RF_ACCESS_FREE,
     true,
     32,
     0,
     false,
     RF_PAGE_BOTH,
     free_elsewhere,
     {kRefused, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce},
     {nullptr, "sampled blocks only; of others what the allocator refuses", nullptr, nullptr, nullptr, nullptr,
      "as a bad free"}},
    {"Leak",
     "leak",
     "401",
     RF_BUG_LEAK,
     RF_ACCESS_UNKNOWN,
     true,
     32,
     0,
     false,
     RF_PAGE_BOTH,
     leak,
     {kNot, kNot, kLater, kLater, kLater, kLater, kLater},
     {kBare, "most blocks are not known", "at deinit or exit", "at deinit or exit", "at deinit or exit",
      "at deinit or exit", "at deinit"}},
    {"MetadataOverwritten",
     "the 16 bytes before a block overwritten, where allocators keep their headers",
     "123",
     RF_BUG_BUFFER_UNDERFLOW,
     RF_ACCESS_WRITE,
     true,
     32,
     -16,
     false,
     RF_PAGE_LEFT,
     overwrite_header,
     {kRefused, kAtOnce, kLater, kAtOnce, kAtOnce, kAtOnce, kLater},
     {kHeader, kSampledOnly, "guard bytes, compared at the free", nullptr, nullptr, nullptr, kSmallHeader}},
    {"OverflowingProduct",
     "count × size that wraps",
     "190",
     RF_BUG_CALLOC_OVERFLOW,
     RF_ACCESS_UNKNOWN,
     false,
     8,
     0,
     false,
     RF_PAGE_BOTH,
     overflowing_product,
     {kRefused, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kRefused},
     {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, kSmallRefused}},
    {"NegativeSize",
     "negative size",
     "190",
     RF_BUG_SIZE_TOO_BIG,
     RF_ACCESS_UNKNOWN,
     false,
     static_cast<size_t>(-8),
     0,
     false,
     RF_PAGE_BOTH,
     negative_size,
     {kRefused, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kRefused},
     {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, kSmallRefused}},
    {"BadAlignment",
     "alignment that is no power of two",
     "190",
     RF_BUG_BAD_ALIGNMENT,
     RF_ACCESS_UNKNOWN,
     false,
     8,
     0,
     false,
     RF_PAGE_BOTH,
     bad_alignment,
     {kRefused, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kRefused},
     {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, kSmallRefused}},
    {"UseAfterDeinit",
     "use of an allocator after deinit",
     "672",
     RF_BUG_ENDED,
     RF_ACCESS_UNKNOWN,
     false,
     32,
     0,
     false,
     RF_PAGE_BOTH,
     use_after_deinit,
     {kNotTried, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kNot},
     {"a bare allocator over memory that may be gone", nullptr, nullptr, nullptr, nullptr, nullptr,
      "alloc gives NULL; a free is told"}},
    {"FreeInAWalk",
     "a callback that calls the allocator by which it is called",
     "1265",
     RF_BUG_REENTRY,
     RF_ACCESS_UNKNOWN,
     false,
     32,
     0,
     false,
     RF_PAGE_BOTH,
     free_in_a_walk,
     {kNotTried, kNotTried, kAtOnce, kAtOnce, kAtOnce, kAtOnce, kNot},
     {kBare, "the allocator's own walk runs", nullptr, nullptr, nullptr, nullptr, "it has no walk"}},
    {"ReadOfUninitialisedMemory",
     "read of uninitialised memory",
     "457",
     RF_BUG_COUNT,
     RF_ACCESS_READ,
     true,
     32,
     16,
     false,
     RF_PAGE_BOTH,
     read_uninitialised,
     {kNot, kNot, kShown, kShown, kShown, kShown, kNot},
     {kBare, "fresh pages read as zero", "it shows 0xCD", "it shows 0xCD", "it shows 0xCD", "it shows 0xCD",
      "it fills no new blocks"}},
};

const char kApart[] = "what it knows of its blocks stands elsewhere";
const char kMallocs[] =
    "a block of malloc's; so far behind it is another's block, or nobody's memory, where AddressSanitizer stops it "
    "without a finding";

const char kNoTags[] = "pages of malloc's have tags once a block is on them";

#if defined(__i386__) || (defined(__riscv) && __riscv_xlen == 32)
const char kPadding[] = "the byte before the block is padding of its header";
#endif

const std::vector<Exception> kExceptions = {
    {"WriteBefore", "blockgroup", Mode::kOff, How::kNot, kApart},
    {"WriteBefore", "handle", Mode::kOff, How::kNot, kApart},
    {"WriteBefore", "memblocks", Mode::kOff, How::kNot, kApart},
    {"WriteBefore", "pool", Mode::kOff, How::kNot, kApart},
    {"WriteBefore", "slab", Mode::kOff, How::kNot, kApart},
    {"WriteBeforeAtTheOtherSide", "blockgroup", Mode::kOff, How::kNot, kApart},
    {"WriteBeforeAtTheOtherSide", "handle", Mode::kOff, How::kNot, kApart},
    {"WriteBeforeAtTheOtherSide", "memblocks", Mode::kOff, How::kNot, kApart},
    {"WriteBeforeAtTheOtherSide", "pool", Mode::kOff, How::kNot, kApart},
    {"WriteBeforeAtTheOtherSide", "slab", Mode::kOff, How::kNot, kApart},
    {"MetadataOverwritten", "blockgroup", Mode::kOff, How::kNot, kApart},
    {"MetadataOverwritten", "handle", Mode::kOff, How::kNot, kApart},
    {"MetadataOverwritten", "memblocks", Mode::kOff, How::kNot, kApart},
    {"MetadataOverwritten", "pool", Mode::kOff, How::kNot, kApart},
    {"MetadataOverwritten", "slab", Mode::kOff, How::kNot, kApart},
#if defined(__i386__) || (defined(__riscv) && __riscv_xlen == 32)
    {"WriteBefore", "sizeclass", Mode::kOff, How::kNot, kPadding},
    {"WriteBefore", "sizeclass_fallback", Mode::kOff, How::kNot, kPadding},
    {"WriteBeforeAtTheOtherSide", "sizeclass", Mode::kOff, How::kNot, kPadding},
    {"WriteBeforeAtTheOtherSide", "sizeclass_fallback", Mode::kOff, How::kNot, kPadding},
#endif
    {"WriteFarBehind", "std", Mode::kAsan, How::kNotTried, kMallocs},
    {"WriteFarBehind", "lock_std", Mode::kAsan, How::kNotTried, kMallocs},
    {"WriteFarBehind", "sizeclass_fallback", Mode::kAsan, How::kNotTried, kMallocs},
    {"WriteFarBehind", "std", Mode::kMte, How::kNotTried, kNoTags},
    {"WriteFarBehind", "lock_std", Mode::kMte, How::kNotTried, kNoTags},
    {"WriteFarBehind", "sizeclass_fallback", Mode::kMte, How::kNotTried, kNoTags},
    {"ReadAfterFree", "handle", Mode::kOff, How::kShown, "it fills what is freed"},
};

How expected_of(const Bug &bug, const std::string &allocator, Mode mode) {
  for (const Exception &e : kExceptions) {
    if (e.mode == mode && std::strcmp(e.bug, bug.name) == 0 && (e.allocator == nullptr || allocator == e.allocator)) {
      return e.how;
    }
  }
  return bug.expected[static_cast<size_t>(mode)];
}

} // namespace ringfence::detection
