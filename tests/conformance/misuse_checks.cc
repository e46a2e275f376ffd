// Misuse that must be refused, reported, and change nothing.
#include "tests/conformance/checks.h"

#include <algorithm>
#include <cstring>

namespace ringfence::conformance {

namespace {

// The permitted answers to a second free of a block whose neighbours are live.
std::initializer_list<rf_status> double_free_answers(const Env &env) {
  static const std::initializer_list<rf_status> exact = {RF_ERR_NOT_ALLOCATED};
  static const std::initializer_list<rf_status> either = {RF_ERR_NOT_ALLOCATED, RF_ERR_BAD_POINTER};
  return env.has(RF_SUBJECT_TELLS_DOUBLE_FREE) ? exact : either;
}

void DoubleFreeIsRefused(const Subject &subject) {
  Env env(subject);
  for (size_t const size : {0, 1, 16, 24, 100, 1000}) {
    env.must_alloc(served(subject, 20));
    unsigned char *const p = env.must_alloc(served(subject, size));
    env.must_alloc(served(subject, 20));
    env.free(p);
    env.refuse_free(p, double_free_answers(env), "a block that is free, between live ones");
    env.refuse_free(p, double_free_answers(env), "the same once more");
    env.verify();
  }
  env.verify_contents();
  env.free_all();
  env.verify();
}

void DoubleFreeOfAMergedBlockIsRefused(const Subject &subject) {
  Env env(subject);
  std::vector<unsigned char *> blocks;
  for (size_t i = 0; i < 8; i++) {
    blocks.push_back(env.must_alloc(served(subject, 48)));
  }
  for (size_t const i : {1, 3, 2, 6, 5, 7, 0}) {
    env.free(blocks[i]);
    for (size_t j = 0; j < 8; j++) {
      if (env.live().count(blocks[j]) == 0) {
        env.refuse_free(blocks[j], {RF_ERR_NOT_ALLOCATED, RF_ERR_BAD_POINTER}, "a block that is free");
      }
    }
  }
  env.verify();
  env.verify_contents();
  env.free_all();
  env.verify();
}

void ReallocOfAFreedBlockIsRefused(const Subject &subject) {
  Env env(subject);
  env.must_alloc(served(subject, 20));
  unsigned char *const p = env.must_alloc(served(subject, 40));
  env.must_alloc(served(subject, 20));
  env.free(p);
  env.refuse_realloc(p, served(subject, 10), "a freed block, to less");
  env.refuse_realloc(p, served(subject, 90), "a freed block, to more");
  env.verify();
  env.verify_contents();
}

void ResizeOfAFreedBlockIsRefused(const Subject &subject) {
  Env env(subject);
  env.must_alloc(served(subject, 20));
  unsigned char *const p = env.must_alloc(served(subject, 40));
  env.must_alloc(served(subject, 20));
  if (env.resize(p, served(subject, 39)) == RF_ERR_UNSUPPORTED) {
    return;
  }
  env.free(p);
  env.unchanged("resize of a freed block", 1,
                [&] { RF_REQUIRE(rf_resize(env.allocator(), p, served(subject, 10)) != RF_OK, ""); });
  env.verify();
}

void AFreedBlockHasNoUsableBytes(const Subject &subject) {
  Env env(subject);
  RF_REQUIRE(rf_usable_size(env.allocator(), nullptr) == 0, "NULL");
  env.must_alloc(served(subject, 20));
  unsigned char *const p = env.must_alloc(served(subject, 40));
  env.must_alloc(served(subject, 20));
  env.free(p);
  env.unchanged("usable_size", 0, [&] { RF_REQUIRE(rf_usable_size(env.allocator(), p) == 0, "freed block"); });
}

// The contents of a block must not make a pointer into it look like a block.
void refuse_inside(Env &env, unsigned char *block, size_t size, int fill) {
  if (fill >= 0) {
    std::memset(block, fill, size);
  }
  for (size_t offset = 1; offset < std::min<size_t>(size, 300); offset++) {
    env.refuse_free(block + offset, {RF_ERR_BAD_POINTER}, "a pointer into a block");
    env.unchanged("usable_size of a pointer into a block", 0,
                  [&] { RF_REQUIRE(rf_usable_size(env.allocator(), block + offset) == 0, "offset " << offset); });
  }
  env.fill(block);
}

void PointersIntoABlockAreRefused(const Subject &subject) {
  Env env(subject);
  for (size_t const size : {2, 16, 33, 64, 200, 1000}) {
    unsigned char *const p = env.must_alloc(served(subject, size));
    for (int const fill : {-1, 0x00, 0x01, 0x11, 0xCC, 0xFF}) {
      refuse_inside(env, p, served(subject, size), fill);
    }
    env.refuse_realloc(p + 1, 10, "a pointer into a block");
    env.verify();
  }
  env.verify_contents();
  env.free_all();
  env.verify();
}

// A program that holds addresses and small numbers in its blocks must not make headers of them.
void PointersIntoABlockOfPointersAreRefused(const Subject &subject) {
  Env env(subject);
  size_t const words = served(subject, 640) / sizeof(void *);
  unsigned char *const p = env.must_alloc(words * sizeof(void *));
  unsigned char *const q = env.must_alloc(served(subject, 64));
  for (size_t shape = 0; shape < 4; shape++) {
    for (size_t i = 0; i < words; i++) {
      void *const pointers[] = {p + i * sizeof(void *), q, env.arena(), p - sizeof(void *)};
      std::memcpy(p + i * sizeof(void *), &pointers[(i * shape + shape) % 4], sizeof(void *));
    }
    for (size_t offset = sizeof(void *); offset < words * sizeof(void *); offset += sizeof(void *)) {
      env.refuse_free(p + offset, {RF_ERR_BAD_POINTER}, "a pointer into a block of pointers");
    }
  }
  env.fill(p);
  env.verify();
  env.verify_contents();
}

void PointersJustBesideABlockAreRefused(const Subject &subject) {
  Env env(subject);
  env.must_alloc(served(subject, 40));
  unsigned char *const p = env.must_alloc(served(subject, 40));
  env.must_alloc(served(subject, 40));
  for (size_t distance = 1; distance <= 16; distance++) {
    if (env.live().count(p - distance) == 0) {
      env.refuse_free(p - distance, {RF_ERR_BAD_POINTER, RF_ERR_NOT_ALLOCATED}, "a pointer before a block");
    }
  }
  env.verify();
  env.verify_contents();
}

// Memory of several kinds that no allocator handed out.
const unsigned char read_only[256] = {1, 2, 3, 4};
unsigned char writable[256];

void ForeignPointersAreRefused(const Subject &subject) {
  Env env(subject);
  env.must_alloc(served(subject, 40));
  alignas(64) unsigned char on_stack[256];
  std::unique_ptr<unsigned char[]> const on_heap(new unsigned char[256]);
  for (int const fill : {0x00, 0xCC, 0xFF}) {
    std::memset(on_stack, fill, sizeof on_stack);
    std::memset(on_heap.get(), fill, 256);
    std::memset(writable, fill, sizeof writable);
    for (size_t const offset : {64, 65, 72, 80, 127}) {
      env.refuse_free(on_stack + offset, {RF_ERR_BAD_POINTER}, "a pointer to the stack");
      env.refuse_free(on_heap.get() + offset, {RF_ERR_BAD_POINTER}, "a pointer to the C library's heap");
      env.refuse_free(writable + offset, {RF_ERR_BAD_POINTER}, "a pointer to a global");
    }
  }
  env.refuse_free(const_cast<unsigned char *>(read_only + 128), {RF_ERR_BAD_POINTER}, "a pointer to constants");
  env.refuse_realloc(on_stack + 64, 10, "a pointer to the stack");
  env.unchanged("usable_size of a foreign pointer", 0,
                [&] { RF_REQUIRE(rf_usable_size(env.allocator(), on_stack + 64) == 0, ""); });
  env.verify();
  env.verify_contents();
}

void WildPointersAreRefused(const Subject &subject) {
  Env env(subject);
  env.must_alloc(served(subject, 40));
  for (uintptr_t const address : {uintptr_t{1}, uintptr_t{8}, uintptr_t{16}, uintptr_t{4096}, UINTPTR_MAX,
                                  UINTPTR_MAX - 7, UINTPTR_MAX - 15, UINTPTR_MAX / 2 + 1}) {
    env.refuse_free(reinterpret_cast<void *>(address), {RF_ERR_BAD_POINTER}, "a wild pointer");
    env.refuse_realloc(reinterpret_cast<void *>(address), 10, "a wild pointer");
  }
  env.verify();
}

void PointersAroundTheArenaAreRefused(const Subject &subject) {
  for (size_t const skew : {0, 1, 7, 8, 15}) {
    Env env(subject, 1024, skew);
    while (env.alloc(served(subject, 50)) != nullptr) {
    }
    for (size_t i = 0; i <= 40; i++) {
      env.refuse_free(env.arena() - i - 1, {RF_ERR_BAD_POINTER}, "a pointer before the arena");
      env.refuse_free(env.arena() + 1024 + i, {RF_ERR_BAD_POINTER}, "a pointer behind the arena");
      if (env.live().count(env.arena() + i) == 0) {
        env.refuse_free(env.arena() + i, {RF_ERR_BAD_POINTER, RF_ERR_NOT_ALLOCATED}, "a pointer to its first bytes");
      }
    }
    env.verify();
    env.verify_contents();
  }
}

void BlocksOfAnotherInstanceAreRefused(const Subject &subject) {
  Env env(subject);
  Env other(subject);
  env.must_alloc(served(subject, 40));
  unsigned char *const p = other.must_alloc(served(subject, 40));
  env.refuse_free(p, {RF_ERR_BAD_POINTER}, "a block of another instance");
  env.refuse_realloc(p, 10, "a block of another instance");
  env.verify();
  other.verify();
  other.free(p);
  other.verify();
}

void AfterARefusalAllGoesOnAsBefore(const Subject &subject) {
  Env env(subject);
  Random random(4711);
  for (size_t i = 0; i < 40; i++) {
    unsigned char *const p = env.must_alloc(served(subject, random.below(100)));
    env.must_alloc(served(subject, random.below(100)));
    env.free(p);
    env.refuse_free(p, {RF_ERR_NOT_ALLOCATED, RF_ERR_BAD_POINTER}, "a block that is free");
    env.must_alloc(served(subject, random.below(100)));
  }
  env.verify();
  env.verify_contents();
  env.free_all();
  env.verify();
}

} // namespace

std::vector<Check> misuse_checks() {
  return {
      RF_CHECK(DoubleFreeIsRefused, 0),
      RF_CHECK(DoubleFreeOfAMergedBlockIsRefused, 0),
      RF_CHECK(ReallocOfAFreedBlockIsRefused, 0),
      RF_CHECK(ResizeOfAFreedBlockIsRefused, 0),
      RF_CHECK(AFreedBlockHasNoUsableBytes, RF_SUBJECT_TELLS_DOUBLE_FREE),
      RF_CHECK(PointersIntoABlockAreRefused, 0),
      RF_CHECK(PointersIntoABlockOfPointersAreRefused, 0),
      RF_CHECK(PointersJustBesideABlockAreRefused, 0),
      RF_CHECK(ForeignPointersAreRefused, 0),
      RF_CHECK(WildPointersAreRefused, RF_SUBJECT_ARENA),
      RF_CHECK(PointersAroundTheArenaAreRefused, RF_SUBJECT_ARENA),
      RF_CHECK(BlocksOfAnotherInstanceAreRefused, 0),
      RF_CHECK(AfterARefusalAllGoesOnAsBefore, 0),
  };
}

} // namespace ringfence::conformance
