extern "C" {
#include "checkers/os/library_kind.h"
}

#include <gtest/gtest.h>
#include <string>

namespace {

enum Layout : unsigned { kInstalled, kBuilt };

std::string beside(const char *path, rf_library_kind from, rf_library_kind to, Layout layout = kInstalled) {
  char out[64];
  return rf_library_beside(path, from, to, layout, out, sizeof out) ? out : "";
}

TEST(LibraryKind, ALoaderTellsTheCLibrary) {
  EXPECT_EQ(rf_libc_of_loader("ld-linux-x86-64.so.2"), RF_LIBC_GLIBC);
  EXPECT_EQ(rf_libc_of_loader("ld-linux.so.2"), RF_LIBC_GLIBC);
  EXPECT_EQ(rf_libc_of_loader("ld64.so.1"), RF_LIBC_GLIBC);
  EXPECT_EQ(rf_libc_of_loader("ld-musl-x86_64.so.1"), RF_LIBC_MUSL);
  EXPECT_EQ(rf_libc_of_loader("ld-uClibc.so.0"), RF_LIBC_OTHER);
  EXPECT_EQ(rf_libc_of_loader("linker64"), RF_LIBC_OTHER);
}

TEST(LibraryKind, OfEachProgramOrNone) {
  EXPECT_EQ(rf_library_kind_of(EM_X86_64, true, RF_LIBC_GLIBC), RF_LIBRARY_MAIN);
  EXPECT_EQ(rf_library_kind_of(EM_AARCH64, true, RF_LIBC_GLIBC), RF_LIBRARY_MAIN);
  EXPECT_EQ(rf_library_kind_of(EM_386, false, RF_LIBC_GLIBC), RF_LIBRARY_I386);
  EXPECT_EQ(rf_library_kind_of(EM_X86_64, true, RF_LIBC_MUSL), RF_LIBRARY_MUSL);
  EXPECT_EQ(rf_library_kind_of(EM_386, false, RF_LIBC_MUSL), RF_LIBRARY_NONE);
  EXPECT_EQ(rf_library_kind_of(EM_X86_64, false, RF_LIBC_GLIBC), RF_LIBRARY_NONE) << "x32";
  EXPECT_EQ(rf_library_kind_of(EM_X86_64, true, RF_LIBC_OTHER), RF_LIBRARY_NONE);
}

TEST(LibraryKind, EachLiesBesideEachOther) {
  const struct {
    rf_library_kind kind;
    const char *installed;
    const char *built;
  } all[] = {
      {RF_LIBRARY_MAIN, "/usr/lib/lib.so.0", "/bin/dropin/lib.so"},
      {RF_LIBRARY_I386, "/usr/lib/ringfence/i386/lib.so.0", "/bin/dropin/i386/lib.so"},
      {RF_LIBRARY_MUSL, "/usr/lib/ringfence/musl/lib.so.0", "/bin/dropin/musl/lib.so"},
  };
  for (const auto &from : all) {
    for (const auto &to : all) {
      EXPECT_EQ(beside(from.installed, from.kind, to.kind), to.installed);
      EXPECT_EQ(beside(from.built, from.kind, to.kind, kBuilt), to.built);
    }
  }
}

TEST(LibraryKind, APathFitsWithTheByteThatEndsIt) {
  const std::string other = "/a/musl/lib.so";
  char out[32];
  for (size_t room = 0; room <= other.size() + 1; room++) {
    bool const fits = room > other.size();
    EXPECT_EQ(rf_library_beside("/a/lib.so", RF_LIBRARY_MAIN, RF_LIBRARY_MUSL, kBuilt, out, room), fits) << room;
    EXPECT_EQ(fits ? out : other, other);
  }
}

TEST(LibraryKind, NoneLiesWhereTheFirstDoesNot) {
  EXPECT_EQ(beside("/usr/lib/lib.so.0", RF_LIBRARY_MUSL, RF_LIBRARY_MAIN), "");
  EXPECT_EQ(beside("lib.so.0", RF_LIBRARY_MAIN, RF_LIBRARY_MUSL), "") << "no folder";
  EXPECT_EQ(beside("/usr/lib/lib.so.0", RF_LIBRARY_NONE, RF_LIBRARY_MAIN), "");
  EXPECT_EQ(beside("/usr/lib/lib.so.0", RF_LIBRARY_MAIN, RF_LIBRARY_NONE), "");
  EXPECT_EQ(
      beside("/a/long/path/of/more/than/sixty/four/bytes/with/its/name/lib.so.0", RF_LIBRARY_MAIN, RF_LIBRARY_MUSL),
      "");
}

} // namespace
