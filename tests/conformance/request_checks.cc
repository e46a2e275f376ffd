// The answers of alloc, calloc and strdup to every kind of request.
#include "tests/conformance/checks.h"

#include <cstring>

namespace ringfence::conformance {

namespace {

void EverySizeIsServed(const Subject &subject) {
  Env env(subject);
  for (size_t const size : sizes_to_try(subject)) {
    unsigned char *const p = env.must_alloc(size);
    env.verify();
    env.free(p);
    env.verify();
  }
}

void LiveBlocksNeverOverlap(const Subject &subject) {
  Env env(subject);
  for (size_t size = 0; size < 100; size++) {
    env.alloc(served(subject, size));
    env.alloc(served(subject, 100 - size));
  }
  env.verify();
  env.verify_contents();
  env.free_all();
  env.verify();
}

void AllocOfZeroGivesABlockToFree(const Subject &subject) {
  Env env(subject);
  unsigned char *const first = env.must_alloc(0);
  unsigned char *const second = env.must_alloc(0);
  unsigned char *const third = env.must_alloc(0, 1);
  env.verify();
  env.free(second);
  env.free(first);
  env.free(third);
  env.verify();
}

void FreeOfNullDoesNothing(const Subject &subject) {
  Env env(subject);
  env.must_alloc(served(subject, 40));
  env.unchanged("free(NULL)", 0, [&] { RF_REQUIRE(rf_free(env.allocator(), nullptr) == RF_OK, "free(NULL)"); });
}

void SizesBeyondTheLimitGiveNull(const Subject &subject) {
  Env env(subject);
  rf_allocator *const a = env.allocator();
  unsigned char *const p = env.must_alloc(served(subject, 40));
  for (size_t const size : {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 3, SIZE_MAX - 7, SIZE_MAX - 15, SIZE_MAX - 16,
                            SIZE_MAX - 31, SIZE_MAX - 63, SIZE_MAX - 4095, SIZE_MAX / 2 + 1, RF_SIZE_LIMIT + 1}) {
    env.unchanged("a size beyond the limit", Env::kAnyReports, [&] {
      RF_REQUIRE(rf_alloc(a, size) == nullptr, "alloc of " << size);
      RF_REQUIRE(rf_aligned_alloc(a, 1, size) == nullptr, "alloc of " << size << " aligned to 1");
      RF_REQUIRE(rf_aligned_alloc(a, 4096, size) == nullptr, "alloc of " << size << " aligned to 4096");
      RF_REQUIRE(rf_calloc(a, 1, size) == nullptr, "calloc of 1 times " << size);
      RF_REQUIRE(rf_calloc(a, size, 1) == nullptr, "calloc of " << size << " times 1");
      RF_REQUIRE(rf_realloc(a, nullptr, size) == nullptr, "realloc of NULL to " << size);
      RF_REQUIRE(rf_realloc(a, p, size) == nullptr, "realloc to " << size);
      RF_REQUIRE(rf_resize(a, p, size) == RF_ERR_INVALID, "resize to " << size);
    });
  }
  env.verify();
  env.free(p);
}

void SizesUpToTheLimitFailAndCount(const Subject &subject) {
  Env env(subject);
  rf_allocator *const a = env.allocator();
  for (size_t const size : unservable_sizes(subject)) {
    env.failing("alloc near the limit", [&] { RF_REQUIRE(rf_alloc(a, size) == nullptr, "size " << size); });
    env.failing("aligned alloc near the limit",
                [&] { RF_REQUIRE(rf_aligned_alloc(a, 4096, size) == nullptr, "size " << size); });
  }
}

void SizesAboveTheLargestServedFail(const Subject &subject) {
  Env env(subject);
  if (subject.max_size == 0) {
    return;
  }
  env.must_alloc(subject.max_size);
  env.failing("alloc", [&] { RF_REQUIRE(rf_alloc(env.allocator(), subject.max_size + 1) == nullptr, ""); });
}

void CallocWhoseProductWrapsGivesNull(const Subject &subject) {
  Env env(subject);
  rf_allocator *const a = env.allocator();
  size_t const half = SIZE_MAX / 2 + 1;
  env.unchanged("calloc that wraps", Env::kAnyReports, [&] {
    RF_REQUIRE(rf_calloc(a, half, 2) == nullptr, "");
    RF_REQUIRE(rf_calloc(a, 2, half) == nullptr, "");
    RF_REQUIRE(rf_calloc(a, SIZE_MAX, SIZE_MAX) == nullptr, "");
    RF_REQUIRE(rf_calloc(a, SIZE_MAX / 16 + 2, 16) == nullptr, "");
    RF_REQUIRE(rf_calloc(a, 3, SIZE_MAX / 3 + 1) == nullptr, "");
  });
}

void CallocZeroesWhatWasUsedBefore(const Subject &subject) {
  Env env(subject);
  size_t const count = served(subject, 63) / 7;
  env.free(env.must_alloc(count * 7));
  unsigned char *const p = env.alloc_by(count * 7, kAlign, [&] {
    void *const fresh = rf_calloc(env.allocator(), count, 7);
    RF_REQUIRE(fresh != nullptr, "");
    for (size_t i = 0; i < count * 7; i++) {
      RF_REQUIRE(static_cast<unsigned char *>(fresh)[i] == 0, "byte " << i);
    }
    return fresh;
  });
  env.verify();
  env.free(p);
  RF_REQUIRE(env.alloc_by(0, kAlign, [&] { return rf_calloc(env.allocator(), 0, 8); }) != nullptr, "calloc(0, 8)");
  RF_REQUIRE(env.alloc_by(0, kAlign, [&] { return rf_calloc(env.allocator(), 8, 0); }) != nullptr, "calloc(8, 0)");
  env.verify();
}

void AlignmentsThatAreNoPowerOfTwoGiveNull(const Subject &subject) {
  Env env(subject);
  rf_allocator *const a = env.allocator();
  unsigned char *const p = env.must_alloc(served(subject, 24));
  for (size_t const align :
       {size_t{0}, size_t{3}, size_t{6}, size_t{12}, size_t{24}, size_t{4095}, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2}) {
    env.unchanged("an alignment that is no power of two", Env::kAnyReports, [&] {
      RF_REQUIRE(rf_aligned_alloc(a, align, 16) == nullptr, "alignment " << align);
      RF_REQUIRE(rf_aligned_alloc(a, align, 0) == nullptr, "alignment " << align);
      RF_REQUIRE(rf_realloc_at(a, p, 16, align, RF_HERE) == nullptr, "alignment " << align);
      RF_REQUIRE(rf_realloc_at(a, nullptr, 16, align, RF_HERE) == nullptr, "alignment " << align);
    });
  }
  env.free(p);
}

void AlignmentsFrom1To4096AreHonoured(const Subject &subject) {
  Env env(subject, kArena, 24);
  for (size_t const align : aligns_to_try(subject)) {
    for (size_t const size : {0, 1, 8, 13, 64, 100, 1000}) {
      unsigned char *const before = env.must_alloc(served(subject, 9));
      unsigned char *const p = env.must_alloc(served(subject, size), align);
      env.must_alloc(served(subject, size), align);
      env.verify();
      env.free(before);
      env.free(p);
      env.verify();
      env.free_all();
    }
  }
  env.verify();
}

// Requests that a system might serve, at the cost of gigabytes.
bool is_costly(const Env &env, size_t align) {
  return !env.has(RF_SUBJECT_ARENA) && align > (size_t{1} << 24) && align < RF_SIZE_LIMIT >> 12;
}

void AlignmentsNearTheWrapGiveNullOrAreHonoured(const Subject &subject) {
  Env env(subject);
  for (size_t align = size_t{1} << 13; align != 0; align <<= 1) {
    if (is_costly(env, align)) {
      continue;
    }
    for (size_t const size : {size_t{0}, size_t{1}, size_t{4096}, RF_SIZE_LIMIT}) {
      if (unsigned char *const p = env.alloc(size, align)) {
        env.free(p);
      }
    }
    env.verify();
  }
}

void EveryUsableByteMayBeWritten(const Subject &subject) {
  Env env(subject);
  for (size_t const size : sizes_to_try(subject)) {
    if (env.alloc(size) == nullptr) { // which fills it
      break;
    }
  }
  env.verify();
  env.verify_contents();
  env.free_all();
  env.verify();
}

void StrdupCopiesTheText(const Subject &subject) {
  Env env(subject);
  for (const char *const text : {"", "a", "a text of more than sixteen characters"}) {
    size_t const size = std::strlen(text) + 1;
    if (size == served(subject, size)) {
      env.alloc_by(size, 1, [&] {
        char *const copy = rf_strdup(env.allocator(), text);
        RF_REQUIRE(copy != nullptr && copy != text && std::strcmp(copy, text) == 0, text);
        return copy;
      });
    }
  }
  env.verify();
}

} // namespace

std::vector<Check> request_checks() {
  return {
      RF_CHECK(EverySizeIsServed, 0),
      RF_CHECK(LiveBlocksNeverOverlap, 0),
      RF_CHECK(AllocOfZeroGivesABlockToFree, 0),
      RF_CHECK(FreeOfNullDoesNothing, 0),
      RF_CHECK(SizesBeyondTheLimitGiveNull, 0),
      RF_CHECK(SizesUpToTheLimitFailAndCount, 0),
      RF_CHECK(SizesAboveTheLargestServedFail, 0),
      RF_CHECK(CallocWhoseProductWrapsGivesNull, 0),
      RF_CHECK(CallocZeroesWhatWasUsedBefore, 0),
      RF_CHECK(AlignmentsThatAreNoPowerOfTwoGiveNull, 0),
      RF_CHECK(AlignmentsFrom1To4096AreHonoured, 0),
      RF_CHECK(AlignmentsNearTheWrapGiveNullOrAreHonoured, 0),
      RF_CHECK(EveryUsableByteMayBeWritten, 0),
      RF_CHECK(StrdupCopiesTheText, 0),
  };
}

} // namespace ringfence::conformance
