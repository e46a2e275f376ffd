// The search for the names of a stripped program.
#include "checkers/os/symbols.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

extern "C" {
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_munmap(void *start, size_t size);
int __wrap_munmap(void *start, size_t size);
}

namespace {

// This folder is /usr/lib/debug.
std::string system_folder;
std::vector<std::string> opened;
unsigned unmapped;

} // namespace

int __wrap_munmap(void *start, size_t size) {
  unmapped++;
  return __real_munmap(start, size);
}

int __wrap_open(const char *path, int flags, ...) {
  std::string const place = "/usr/lib/debug";
  std::string name = path;
  opened.push_back(name);
  if (name.rfind(place, 0) == 0) {
    name = system_folder + name.substr(place.size());
  }
  va_list arguments;
  va_start(arguments, flags);
  unsigned const mode = va_arg(arguments, unsigned);
  va_end(arguments);
  return __real_open(name.c_str(), flags, mode);
}

namespace {

// A file of these sections, and nothing that could run.
struct Sections {
  std::vector<ElfW(Shdr)> headers{ElfW(Shdr){}};
  std::string names = std::string(1, '\0');
  std::string body;

  Sections &add(uint32_t type, const std::string &name, const std::string &contents) {
    ElfW(Shdr) header{};
    header.sh_name = static_cast<uint32_t>(names.size());
    header.sh_type = type;
    header.sh_offset = sizeof(ElfW(Ehdr)) + body.size();
    header.sh_size = contents.size();
    headers.push_back(header);
    names += name + '\0';
    body += contents + std::string((8 - contents.size() % 8) % 8, '\0');
    return *this;
  }

  void write(const std::string &path, uint16_t machine = EM_NONE) {
    add(SHT_STRTAB, ".shstrtab", "");
    headers.back().sh_size = names.size();
    body += names + std::string((8 - names.size() % 8) % 8, '\0');
    ElfW(Ehdr) elf{};
    std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
    elf.e_ident[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    elf.e_machine = machine;
    elf.e_shoff = sizeof elf + body.size();
    elf.e_shentsize = sizeof(ElfW(Shdr));
    elf.e_shnum = static_cast<uint16_t>(headers.size());
    elf.e_shstrndx = static_cast<uint16_t>(headers.size() - 1);
    FILE *const out = std::fopen(path.c_str(), "wb");
    ASSERT_NE(out, nullptr) << path;
    std::fwrite(&elf, sizeof elf, 1, out);
    std::fwrite(body.data(), 1, body.size(), out);
    std::fwrite(headers.data(), sizeof headers[0], headers.size(), out);
    std::fclose(out);
  }
};

std::string debug_link(const std::string &name) {
  return name + std::string(4 - name.size() % 4, '\0') + "CRC.";
}

// Bytes as they are in a file.
template <typename T> std::string bytes_of(const T &value) {
  return std::string(reinterpret_cast<const char *>(&value), sizeof value);
}

std::string function(uint32_t name, uint64_t start, uint64_t size, unsigned char type = STT_FUNC) {
  ElfW(Sym) s{};
  s.st_name = name;
  s.st_info = type;
  s.st_shndx = 1;
  s.st_value = static_cast<decltype(s.st_value)>(start);
  s.st_size = static_cast<decltype(s.st_size)>(size);
  return bytes_of(s);
}

std::string name_in(const std::string &path, uint64_t address) {
  char name[64];
  std::memset(name, 'x', sizeof name);
  return rf_symbols_function(path.c_str(), address, name, sizeof name) ? name : "";
}

// Headers of another size are none that are known.
TEST(Symbols, NeedSectionsOfTheKnownSize) {
  std::string const path = testing::TempDir() + "/symbols_of_another_size";
  for (int const more : {0, -8, 8}) {
    Sections s;
    s.add(SHT_STRTAB, ".strings", std::string("\0full\0", 6));
    s.add(SHT_SYMTAB, ".symtab", function(1, 0x1000, 16));
    s.headers.back().sh_link = 1;
    s.write(path);
    auto const size = static_cast<uint16_t>(static_cast<int>(sizeof(ElfW(Shdr))) + more);
    int const file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(pwrite(file, &size, sizeof size, offsetof(ElfW(Ehdr), e_shentsize)), 2);
    (void)close(file);
    EXPECT_EQ(name_in(path, 0x1000), more == 0 ? "full" : "") << more;
    EXPECT_EQ(rf_symbols_present(path.c_str()), more == 0) << more;
  }
  (void)unlink(path.c_str());
}

// A name that just does not fit loses its last character to the NUL.
TEST(Symbols, ANameIsCutToTheRoom) {
  std::string const path = testing::TempDir() + "/symbols_of_a_long_name";
  Sections s;
  s.add(SHT_STRTAB, ".strings", std::string("\0full\0", 6));
  s.add(SHT_SYMTAB, ".symtab", function(1, 0x1000, 16));
  s.headers.back().sh_link = 1;
  s.write(path);
  const std::string cut[] = {"", "", "f", "fu", "ful", "full", "full"};
  for (size_t room = 0; room < 7; room++) {
    char name[] = "xxxxxxx";
    EXPECT_EQ(rf_symbols_function(path.c_str(), 0x1000, name, room), room != 0);
    EXPECT_EQ(room != 0 ? name : "", cut[room]) << room;
    EXPECT_EQ(name[room], 'x') << room;
  }
  (void)unlink(path.c_str());
}

// The code that chooses one of several functions (memcpy's in the C library, for one) is a function, too.
TEST(Symbols, NameFunctionsOfEitherKindAndNothingElse) {
  std::string const path = testing::TempDir() + "/symbols_of_kinds";
  for (int const type : {STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_TLS, STT_GNU_IFUNC}) {
    Sections s;
    s.add(SHT_STRTAB, ".strings", std::string("\0full\0", 6));
    s.add(SHT_SYMTAB, ".symtab", function(1, 0x1000, 16, static_cast<unsigned char>(type)));
    s.headers.back().sh_link = 1;
    s.write(path);
    EXPECT_EQ(name_in(path, 0x1000), type == STT_FUNC || type == STT_GNU_IFUNC ? "full" : "") << type;
  }
  (void)unlink(path.c_str());
}

// On 32-bit ARM the lowest bit of a function's address tells its instruction set, and nothing about where it lies.
TEST(Symbols, OfThumbCodeLieAtEvenAddresses) {
  std::string const path = testing::TempDir() + "/symbols_of_thumb";
  for (int const machine : {EM_ARM, EM_AARCH64}) {
    Sections s;
    s.add(SHT_STRTAB, ".strings", std::string("\0full\0", 6));
    s.add(SHT_SYMTAB, ".symtab", function(1, 0x1001, 16));
    s.headers.back().sh_link = 1;
    s.write(path, static_cast<uint16_t>(machine));
    EXPECT_EQ(name_in(path, 0x1000), machine == EM_ARM ? "full" : "");
    EXPECT_EQ(name_in(path, 0x100F), "full");
    EXPECT_EQ(name_in(path, 0x1010), machine == EM_ARM ? "" : "full");
  }
  (void)unlink(path.c_str());
}

// That of linking wherever it stands, that for dynamic linking where there is no other.
TEST(Symbols, AreThoseOfTheFullTableOrThoseOfDynamicLinking) {
  std::string const path = testing::TempDir() + "/symbols_tables";
  std::string const names("\0dynamic\0full\0", 14);
  std::string const dynamic = function(1, 0x1000, 16);
  std::string const full = function(9, 0x1000, 16);
  auto const add = [&](Sections *s, uint32_t type, uint32_t link) {
    s->add(type, ".symbols", type == SHT_SYMTAB ? full : dynamic);
    s->headers.back().sh_link = link;
  };
  for (int i = 0; i < 4; i++) {
    Sections s;
    s.add(SHT_STRTAB, ".strings", names);
    s.add(SHT_PROGBITS, ".text", "x");
    if (i != 1) {
      add(&s, SHT_DYNSYM, 1);
    }
    if (i != 0) {
      add(&s, SHT_SYMTAB, 1);
    }
    if (i == 3) {
      add(&s, SHT_DYNSYM, 1);
    }
    s.write(path);
    EXPECT_EQ(name_in(path, 0x1008), i == 0 ? "dynamic" : "full") << i;
    EXPECT_EQ(name_in(path, 0x1010), "") << i;
    EXPECT_EQ(rf_symbols_present(path.c_str()), i != 0) << "names for people: " << i;
  }
  for (int i = 0; i < 7; i++) { // what lies outside of the file is not read, nor what ends before it begins
    Sections s;
    s.add(SHT_STRTAB, ".strings", names);
    s.headers.back().sh_offset += i == 1 ? 1000000U : 0U;
    s.headers.back().sh_size += i == 2 ? 1000000U : 0U;
    s.headers.back().sh_size = i == 5 ? 0U - s.headers.back().sh_offset : s.headers.back().sh_size;
    add(&s, SHT_SYMTAB, 1);
    s.headers.back().sh_offset += i == 3 ? 1000000U : 0U;
    s.headers.back().sh_size += i == 4 ? 1000000U : 0U;
    s.headers.back().sh_size = i == 6 ? 0U - s.headers.back().sh_offset : s.headers.back().sh_size;
    s.write(path);
    EXPECT_EQ(name_in(path, 0x1008), i == 0 ? "full" : "") << i;
  }
  for (uint32_t const link : {5U, 6U, UINT32_MAX}) { // 5 sections
    Sections s;
    s.add(SHT_STRTAB, ".strings", names);
    s.add(SHT_PROGBITS, ".text", "x");
    add(&s, SHT_SYMTAB, link);
    s.write(path);
    EXPECT_EQ(name_in(path, 0x1008), "") << link;
  }
  std::remove(path.c_str());
}

TEST(Symbols, NamesOfSectionsAreInOneOfThem) {
  std::string const path = testing::TempDir() + "/symbols_sections";
  Sections s;
  s.add(SHT_PROGBITS, ".debug_line", "x").write(path);
  ASSERT_TRUE(rf_symbols_present(path.c_str()));
  std::string whole(4096, '\0');
  FILE *const in = std::fopen(path.c_str(), "rb");
  ASSERT_NE(in, nullptr);
  whole.resize(std::fread(&whole[0], 1, whole.size(), in));
  std::fclose(in);
  ElfW(Ehdr) elf;
  std::memcpy(&elf, whole.data(), sizeof elf);
  auto const present = [&](uint16_t names, uint16_t count) {
    elf.e_shstrndx = names;
    elf.e_shnum = count;
    FILE *const out = std::fopen(path.c_str(), "wb");
    std::fwrite(&elf, sizeof elf, 1, out);
    std::fwrite(&whole[sizeof elf], 1, whole.size() - sizeof elf, out);
    std::fwrite(&s.headers.back(), sizeof s.headers[0], 1, out); // one more, behind the table
    std::fclose(out);
    return rf_symbols_present(path.c_str());
  };
  EXPECT_TRUE(present(2, 3));
  EXPECT_TRUE(present(3, 4));
  EXPECT_FALSE(present(3, 3)) << "it is behind the table";
  EXPECT_FALSE(present(4, 3));
  EXPECT_FALSE(present(0, 3)) << "no names are there";
  EXPECT_FALSE(present(5, 5)) << "the file is shorter";
  std::remove(path.c_str());
}

// Memory that was used for something else: what is left there is taken for nothing.
__attribute__((noinline)) void leave_words_below(uintptr_t word) {
  volatile uintptr_t words[512];
  for (volatile uintptr_t &w : words) {
    w = word;
  }
}

TEST(Symbols, WhatWasNotMappedIsNotUnmapped) {
  std::string const folder = testing::TempDir();
  for (const char *const path : {"/nowhere/at/all", "/", "/dev/null"}) {
    unsigned const before = unmapped;
    char name[8];
    leave_words_below(0x10000);
    EXPECT_FALSE(rf_symbols_function(path, 1, name, sizeof name));
    leave_words_below(0x10000);
    EXPECT_FALSE(rf_symbols_present(path));
    EXPECT_EQ(unmapped, before) << path;
  }
  std::string const path = folder + "/symbols_unmapped";
  Sections().add(SHT_SYMTAB, ".symtab", "").write(path);
  unsigned const before = unmapped;
  errno = 77;
  EXPECT_TRUE(rf_symbols_present(path.c_str()));
  EXPECT_EQ(unmapped, before + 1);
  char name[8];
  EXPECT_FALSE(rf_symbols_function(path.c_str(), 1, name, sizeof name));
  EXPECT_EQ(unmapped, before + 2);
  EXPECT_FALSE(rf_symbols_function("/nowhere/at/all", 1, name, sizeof name));
  EXPECT_EQ(errno, 77);
  int state = -1;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
  EXPECT_EQ(state, PTHREAD_CANCEL_ENABLE);
  std::remove(path.c_str());
}

TEST(Symbols, ArePresentWhereAFileForDebuggersIsBesideAStrippedOne) {
  std::string const folder = testing::TempDir() + "/symbols_debug";
  std::string const program = folder + "/program";
  std::string const same_folder = folder + "/program.debug";
  std::string const below = folder + "/.debug";
  mkdir(folder.c_str(), 0700);
  mkdir(below.c_str(), 0700);
  Sections().write(program);
  EXPECT_FALSE(rf_symbols_present(program.c_str()));
  Sections().add(SHT_PROGBITS, ".debug_line", "x").write(program);
  EXPECT_TRUE(rf_symbols_present(program.c_str()));
  Sections().add(SHT_PROGBITS, ".gnu_debuglink", debug_link("program.debug")).write(program);
  EXPECT_FALSE(rf_symbols_present(program.c_str())) << "there is none";
  for (const std::string &path : {same_folder, below + "/program.debug"}) {
    Sections().add(SHT_SYMTAB, ".symtab", "").write(path);
    EXPECT_TRUE(rf_symbols_present(program.c_str())) << path;
    Sections().add(SHT_PROGBITS, ".text", "").write(path);
    EXPECT_FALSE(rf_symbols_present(program.c_str())) << "it has no names, either: " << path;
    std::remove(path.c_str());
  }
  Sections().add(SHT_PROGBITS, ".debug_line", "x").write(same_folder);
  std::string const link = folder + "/link";
  ASSERT_EQ(symlink(program.c_str(), link.c_str()), 0);
  EXPECT_TRUE(rf_symbols_present(link.c_str())) << "as /proc/self/exe is one";
  for (const std::string &odd : {std::string("program.debug"), std::string(), std::string(5000, 'a') + '\0'}) {
    Sections().add(SHT_PROGBITS, ".gnu_debuglink", odd).write(program);
    EXPECT_FALSE(rf_symbols_present(program.c_str())) << "no name that ends, or none, or too long a one";
  }
  for (const std::string &path : {program, same_folder, link}) {
    std::remove(path.c_str());
  }
  rmdir(below.c_str());
  rmdir(folder.c_str());
}

// Nor does one that ends before it should.
TEST(Symbols, ADamagedBuildIdNamesNoFile) {
  std::string const program = testing::TempDir() + "/symbols_noted";
  auto const note = [](uint32_t name, uint32_t id, uint32_t type, const std::string &rest) {
    uint32_t const words[] = {name, id, type};
    return std::string(reinterpret_cast<const char *>(words), sizeof words) + rest;
  };
  std::string const owner("GNU\0", 4);
  for (const std::string &odd :
       {std::string(), std::string("short"), note(4, 2, NT_GNU_BUILD_ID, owner + "\xff\xff"),
        note(4, 0, NT_GNU_BUILD_ID, owner), note(4, 5000, NT_GNU_BUILD_ID, owner + "ab"),
        note(4, UINT32_MAX, NT_GNU_BUILD_ID, owner), note(UINT32_MAX, UINT32_MAX, 1, owner + "ab"),
        note(4, 4, 1, owner + "abcd") + note(4, 1000, NT_GNU_BUILD_ID, owner + std::string(1000, 'a'))}) {
    Sections().add(SHT_NOTE, ".note", odd).write(program);
    EXPECT_FALSE(rf_symbols_present(program.c_str())) << odd.size();
  }
  std::remove(program.c_str());
}

std::string note(const std::string &owner, uint32_t type, const std::string &contents) {
  uint32_t const words[] = {static_cast<uint32_t>(owner.size()), static_cast<uint32_t>(contents.size()), type};
  auto const whole = [](const std::string &text) { return text + std::string((4 - text.size() % 4) % 4, '\0'); };
  return std::string(reinterpret_cast<const char *>(words), sizeof words) + whole(owner) + whole(contents);
}

class SystemSymbols : public testing::Test {
protected:
  SystemSymbols() {
    system_folder = folder_ + "/debug";
    for (const char *const name : {"", "/debug", "/debug/.build-id", "/debug/.build-id/ab"}) {
      EXPECT_EQ(mkdir((folder_ + name).c_str(), 0700), 0);
    }
    Sections().add(SHT_SYMTAB, ".symtab", "").write(system_folder + "/.build-id/ab/cdef01.debug");
    Sections().add(SHT_SYMTAB, ".symtab", "").write(system_folder + "/.build-id/ab/.debug");
    opened.clear();
  }
  ~SystemSymbols() override { EXPECT_EQ(std::system(("rm -r " + folder_).c_str()), 0); }

  bool present_with(const std::string &notes) {
    Sections().add(SHT_NOTE, ".note", notes).write(program_);
    return rf_symbols_present(program_.c_str());
  }

  std::string folder_ = testing::TempDir() + "/system_symbols";
  std::string program_ = folder_ + "/program";
  std::string owner_ = std::string("GNU\0", 4);
  std::string id_ = "\xab\xcd\xef\x01";
};

TEST_F(SystemSymbols, AreThoseOfTheBuildIdWhicheverNoteHasIt) {
  std::string const id = note(owner_, NT_GNU_BUILD_ID, id_);
  EXPECT_TRUE(present_with(id));
  EXPECT_EQ(opened.back(), "/usr/lib/debug/.build-id/ab/cdef01.debug");
  for (size_t length = 0; length < 9; length++) {
    EXPECT_TRUE(present_with(note(owner_, 1, std::string(length, 'x')) + id)) << length;
    EXPECT_TRUE(present_with(note(std::string(length, 'y'), 5, "abc") + id)) << length;
  }
  EXPECT_TRUE(present_with(note(std::string("GNX\0", 4), NT_GNU_BUILD_ID, "\xab\xcc") + id)) << "another owner's";
  EXPECT_FALSE(present_with(note(owner_, NT_GNU_BUILD_ID, "\xab"))) << "a byte is no id";
  EXPECT_FALSE(present_with(note(owner_, NT_GNU_BUILD_ID, id_ + "\x01")));
  EXPECT_FALSE(present_with(note(owner_, 1, id_)));
  Sections().add(SHT_SYMTAB, ".symtab", "").write(system_folder + "/.build-id/ab/cdef00.debug");
  EXPECT_FALSE(present_with(id.substr(0, id.size() - 1))) << "cut: a zero that follows is no part of it";
  for (size_t size = 0; size <= id.size(); size++) { // what follows the section is none of its
    Sections s;
    s.add(SHT_NOTE, ".note", id);
    s.headers.back().sh_size = size;
    s.write(program_);
    EXPECT_EQ(rf_symbols_present(program_.c_str()), size == id.size()) << size;
  }
}

TEST_F(SystemSymbols, MayLieInTheSystemsFolderAsTheProgramDoesInItsOwn) {
  std::string const place = system_folder + folder_;
  ASSERT_EQ(std::system(("mkdir -p " + place).c_str()), 0);
  Sections().add(SHT_PROGBITS, ".gnu_debuglink", debug_link("program.debug")).write(program_);
  EXPECT_FALSE(rf_symbols_present(program_.c_str()));
  EXPECT_EQ(opened.back(), "/usr/lib/debug" + program_ + ".debug");
  Sections().add(SHT_SYMTAB, ".symtab", "").write(place + "/program.debug");
  EXPECT_TRUE(rf_symbols_present(program_.c_str()));
}

// One that may have been cut off is not followed.
TEST_F(SystemSymbols, OfALinkAreLookedForBesideItsTargetUpTo1022Bytes) {
  std::string const name(200, 'p');
  Sections().add(SHT_PROGBITS, ".gnu_debuglink", debug_link("program.debug")).write(folder_ + "/" + name);
  Sections().add(SHT_SYMTAB, ".symtab", "").write(program_ + ".debug");
  ASSERT_EQ(mkdir((folder_ + "/links").c_str(), 0700), 0);
  std::string const link = folder_ + "/links/link";
  for (size_t const length : {500U, 1000U, 1021U, 1022U, 1023U, 1024U, 1100U, 2000U}) {
    std::string const target = folder_ + std::string(length - folder_.size() - name.size(), '/') + name;
    ASSERT_EQ(target.size(), length);
    ASSERT_EQ(symlink(target.c_str(), link.c_str()), 0);
    EXPECT_EQ(rf_symbols_present(link.c_str()), length <= 1022) << length;
    unlink(link.c_str());
  }
}

// A path that may have been cut names no file: 1023 bytes are the most.
TEST_F(SystemSymbols, OfALinkAreNoneWhereThePathIsCut) {
  std::string deep = folder_;
  while (deep.size() < 900) {
    deep += "/" + std::string(std::min<size_t>(200, std::max<size_t>(1, 900 - deep.size())), 'p');
    ASSERT_EQ(mkdir(deep.c_str(), 0700), 0);
  }
  std::string const program = deep + "/program";
  for (size_t const length : {1000U, 1022U, 1023U, 1024U, 1025U, 1026U, 1100U}) {
    std::string const name(length - deep.size() - 1, 'n');
    ASSERT_LT(name.size(), 256U);
    Sections().add(SHT_PROGBITS, ".gnu_debuglink", debug_link(name)).write(program);
    for (size_t const file : {length, size_t{1023}, size_t{1024}, size_t{1025}}) { // those that a cut one would name
      if (file <= length) {
        Sections().add(SHT_SYMTAB, ".symtab", "").write((deep + "/" + name).substr(0, file));
      }
    }
    EXPECT_EQ(rf_symbols_present(program.c_str()), length <= 1023) << length;
  }
}

} // namespace
