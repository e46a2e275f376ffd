#include "tests/checkers/detection/commit.h"

#if defined(__unix__)
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#endif

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

} // namespace

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

namespace {

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

} // namespace

void free_in_a_walk(Scene &scene) {
  unsigned char *const p = scene.make();
  scene.act([&] { (void)rf_walk(scene.allocator(), scene.bad() ? call_back : count_only, &scene); });
  scene.drop(p);
}

} // namespace ringfence::detection
