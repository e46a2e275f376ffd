// Memory goes back the way it came.
#include "tests/dropin/run.h"

#include <cstring>
#include <gtest/gtest.h>

#include <utility>

namespace ringfence_test {
namespace {

struct Mismatch {
  const char *name; // in programs/mismatches.cc
  const char *allocation;
  const char *deallocation;
};

void PrintTo(const Mismatch &mismatch, std::ostream *out) {
  *out << mismatch.name;
}

const Mismatch kMismatches[] = {
    {"malloc_delete", "malloc", "operator delete"},
    {"malloc_delete_array", "malloc", "operator delete[]"},
    {"new_free", "operator new", "free"},
    {"new_delete_array", "operator new", "operator delete[]"},
    {"new_array_free", "operator new[]", "free"},
    {"new_array_delete", "operator new[]", "operator delete"},
    {"aligned_new_plain_delete", "operator new(std::align_val_t)", "operator delete"},
    {"slightly_aligned_new_plain_delete", "operator new(std::align_val_t)", "operator delete"},
    {"plain_new_aligned_delete", "operator new", "operator delete(std::align_val_t)"},
    {"aligned_new_array_aligned_delete", "operator new[](std::align_val_t)", "operator delete(std::align_val_t)"},
};

class Mismatched : public testing::TestWithParam<Mismatch> {};

INSTANTIATE_TEST_SUITE_P(Each, Mismatched, testing::ValuesIn(kMismatches),
                         [](const testing::TestParamInfo<Mismatch> &it) { return std::string(it.param.name); });

TEST_P(Mismatched, IsFoundAndBothCallsAreNamed) {
  Result const result = run({program("mismatches"), GetParam().name});
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.out, "");
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.findings[0]["bug"].text, "alloc-dealloc-mismatch");
  EXPECT_EQ(result.findings[0]["allocation"].text, GetParam().allocation);
  EXPECT_EQ(result.findings[0]["deallocation"].text, GetParam().deallocation);
}

// Such a program has a jump by each name whose address it takes, which is all that others see of the function.
TEST(Mismatches, AreFoundInProgramsForFixedAddresses) {
  for (const char *const mode : {"mode=guard", "mode=page"}) {
    for (const Mismatch &mismatch : kMismatches) {
      SCOPED_TRACE(std::string(mode) + " " + mismatch.name);
      Result const result = run({program("mismatches_fixed"), mismatch.name}, with(mode));
      EXPECT_EQ(result.err, "");
      ASSERT_EQ(result.findings.size(), 1U);
      EXPECT_EQ(result.findings[0]["allocation"].text, mismatch.allocation);
      EXPECT_EQ(result.findings[0]["deallocation"].text, mismatch.deallocation);
    }
    Result const result = run({program("mismatches_fixed"), "new_delete_of_another_size"}, with(mode));
    ASSERT_EQ(result.findings.size(), 1U);
    EXPECT_EQ(result.findings[0]["bug"].text, "new-delete-type-mismatch");
  }
}

TEST(Mismatches, ReallocOfWhatNewMadeIsFound) {
  for (const char *const mode : {"mode=guard", "mode=page"}) {
    Result const result = run({program("mismatches"), "new_realloc"}, with(mode));
    ASSERT_EQ(result.findings.size(), 1U) << mode;
    EXPECT_EQ(result.findings[0]["bug"].text, "alloc-dealloc-mismatch") << mode;
    EXPECT_EQ(result.findings[0]["allocation"].text, "operator new") << mode;
    EXPECT_EQ(result.findings[0]["deallocation"].text, "realloc") << mode;
  }
}

TEST(Mismatches, DeleteThatBelievesInAnotherSizeIsFound) {
  for (const char *name :
       {"new_delete_of_another_size", "aligned_new_delete_of_another_size", "new_array_delete_array_of_another_size",
        "aligned_new_array_delete_array_of_another_size"}) {
    Result const result = run({program("mismatches"), name});
    ASSERT_EQ(result.findings.size(), 1U) << name;
    EXPECT_EQ(result.findings[0]["bug"].text, "new-delete-type-mismatch") << name;
    EXPECT_EQ(result.findings[0]["size"].number, 48) << name;
  }
}

TEST(Mismatches, DeleteThatBelievesInAnotherAlignmentIsFound) {
  const std::pair<const char *, const char *> cases[] = {
      {"aligned_new_delete_of_another_alignment", "64; alignment given to the deallocation: 128"},
      {"aligned_new_delete_sized_of_another_alignment", "64; alignment given to the deallocation: 8"},
      {"slightly_aligned_new_delete_of_another_alignment", "16; alignment given to the deallocation: 64"},
      {"aligned_new_array_delete_array_of_another_alignment", "4096; alignment given to the deallocation: 64"},
  };
  for (auto const &[name, alignments] : cases) {
    for (const char *const mode : {"mode=guard", "mode=page", "mode=sample:sample_rate=1"}) {
      if (strstr(mode, "sample") != nullptr && strstr(name, "array") != nullptr) {
        continue; // 100,000 bytes are more than blocks have that are sampled
      }
      SCOPED_TRACE(testing::Message() << name << ", " << mode);
      Result const result = run({program("mismatches"), name}, with(mode));
      EXPECT_EQ(result.status, 99);
      ASSERT_EQ(result.findings.size(), 1U);
      EXPECT_EQ(result.findings[0]["bug"].text, "alloc-dealloc-mismatch");
      EXPECT_EQ(result.findings[0]["detail"].text, std::string("alignment of the allocated object: ") + alignments);
    }
  }
}

TEST(Mismatches, FreeSizedWithAnotherSizeIsFound) {
  for (const char *name : {"malloc_free_sized_of_another_size", "aligned_alloc_free_of_another_size"}) {
    Result const result = run({program("mismatches"), name});
    ASSERT_EQ(result.findings.size(), 1U) << name;
    EXPECT_EQ(result.findings[0]["bug"].text, "new-delete-type-mismatch") << name;
    EXPECT_EQ(result.findings[0]["size"].number, 48) << name;
  }
}

// The text that the process itself writes, without the command.
TEST(Mismatches, NamesOfFunctionsAreReadable) {
  How how;
  how.log = false;
  Result const result = run({program("mismatches"), "new_delete_of_another_size"}, how);
  EXPECT_NE(result.err.find("(anonymous namespace)::"), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("_ZN"), std::string::npos) << result.err;
}

TEST(Mismatches, PairsThatBelongTogetherAreSilent) {
  for (const char *name :
       {"malloc_free", "new_delete", "new_delete_sized", "new_array_delete_array", "aligned_new_delete",
        "aligned_new_array_delete_array", "slightly_aligned_new_delete", "aligned_alloc_free", "malloc_free_sized",
        "calloc_free_sized", "aligned_alloc_free_aligned_sized"}) {
    for (const char *const mode : {"mode=guard", "mode=page", "mode=sample:sample_rate=1"}) {
      SCOPED_TRACE(testing::Message() << name << ", " << mode);
      Result const result = run({program("mismatches"), name}, with(mode));
      EXPECT_EQ(result.status, 0);
      EXPECT_EQ(result.err, "");
      EXPECT_EQ(result.findings.size(), 0U);
    }
  }
}

// A block of one library's operator new, deleted by the other, came from malloc as far as can be seen.
TEST(Mismatches, ObjectsOfLibrariesWithTheirOwnRuntimeAreSilent) {
  Result const result = run({program("exchange"), program("libown_runtime.so")});
  EXPECT_EQ(result.out, "ok\n");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.findings.size(), 0U);
}

} // namespace
} // namespace ringfence_test
