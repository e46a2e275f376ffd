// The symbols of this very program, of files that are damaged, and of some that are none.
#include "checkers/os/modules.h"
#include "checkers/os/symbols.h"

#include "tests/checkers/own_program.h"

#include <ringfence/frames.h>

#include <gtest/gtest.h>

#include <link.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace ringfence {
namespace {

TEST(Symbols, AFileThatIsNoneHasNoNames) {
  char name[16] = "kept";
  EXPECT_FALSE(rf_symbols_function("/nowhere/at/all", 1, name, sizeof name));
  EXPECT_FALSE(rf_symbols_function("/proc/self/maps", 1, name, sizeof name));
  EXPECT_FALSE(rf_symbols_function("/", 1, name, sizeof name));
  EXPECT_FALSE(rf_symbols_function(this_program().c_str(), UINT64_MAX, name, sizeof name));
  EXPECT_STREQ(name, "kept");
}

// The place of rf_test_caller's call, and its name, whose text is in `modules`.
bool name_a_call(uintptr_t *pc, rf_modules *modules, rf_frame_name *name) {
  rf_trace trace = {};
  trace.frames[0] = *pc = rf_test_caller();
  trace.depth = 1;
  const rf_trace *const traces[] = {&trace};
  rf_modules_load(modules, traces, 1);
  rf_symbolizer const symbolizer = rf_modules_symbolizer(modules, false);
  return symbolizer.name(symbolizer.context, *pc, 0, name);
}

// From its first byte on, up to the next one.
TEST(Symbols, AFunctionBeginsAtItsFirstByte) {
  rf_modules modules = {};
  uintptr_t pc = 0;
  rf_frame_name name;
  ASSERT_TRUE(name_a_call(&pc, &modules, &name));
  uint64_t const start = name.offset - (pc - reinterpret_cast<uintptr_t>(&rf_test_caller));
  char function[64] = "";
  ASSERT_TRUE(rf_symbols_function(name.module, start, function, sizeof function));
  EXPECT_STREQ(function, "rf_test_caller");
  function[0] = '\0';
  (void)rf_symbols_function(name.module, start - 1, function, sizeof function);
  EXPECT_STRNE(function, "rf_test_caller");
}

TEST(Symbols, AreInAProgramThatIsNotStripped) {
  EXPECT_TRUE(rf_symbols_present(this_program().c_str()));
  EXPECT_FALSE(rf_symbols_present("/nowhere/at/all"));
  EXPECT_FALSE(rf_symbols_present("/proc/self/maps"));
  EXPECT_TRUE(rf_symbols_readable(this_program().c_str()));
  EXPECT_FALSE(rf_symbols_readable("/nowhere/at/all"));
}

// A file of one symbol table, whose sections are named by nothing.
void write_symbols(const std::string &path, const std::vector<ElfW(Sym)> &symbols, const std::string &names) {
  struct {
    ElfW(Ehdr) header;
    ElfW(Shdr) sections[3];
  } image = {};
  std::memcpy(image.header.e_ident, ELFMAG, SELFMAG);
  image.header.e_ident[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
  image.header.e_shoff = offsetof(decltype(image), sections);
  image.header.e_shentsize = sizeof image.sections[0];
  image.header.e_shnum = 3;
  image.sections[1].sh_type = SHT_SYMTAB;
  image.sections[1].sh_offset = sizeof image;
  image.sections[1].sh_size = symbols.size() * sizeof symbols[0];
  image.sections[1].sh_link = 2;
  image.sections[2].sh_type = SHT_STRTAB;
  image.sections[2].sh_offset = sizeof image + image.sections[1].sh_size;
  image.sections[2].sh_size = names.size();
  FILE *const out = std::fopen(path.c_str(), "wb");
  ASSERT_NE(out, nullptr) << path;
  std::fwrite(&image, sizeof image, 1, out);
  std::fwrite(symbols.data(), sizeof symbols[0], symbols.size(), out);
  std::fwrite(names.data(), 1, names.size(), out);
  std::fclose(out);
}

TEST(Symbols, AreThoseOfFunctionsThatTheFileDefines) {
  std::string const path = testing::TempDir() + "symbols_of_kinds";
  auto const symbol = [](uint32_t name, unsigned char kind, uint16_t section, uint64_t value, uint64_t size) {
    ElfW(Sym) s = {};
    s.st_name = name;
    s.st_info = kind;
    s.st_shndx = section;
    s.st_value = static_cast<decltype(s.st_value)>(value);
    s.st_size = static_cast<decltype(s.st_size)>(size);
    return s;
  };
  write_symbols(path,
                {symbol(1, STT_FUNC, SHN_UNDEF, 0x1000, 16), symbol(3, STT_OBJECT, 1, 0x1000, 16),
                 symbol(5, STT_FUNC | STB_WEAK << 4, 1, 0x1000, 16), symbol(7, STT_FUNC, 1, 0x1010, 0),
                 symbol(0, STT_FUNC, 1, 0x2000, 16), symbol(8, STT_FUNC, 1, 0x3000, 16)},
                std::string("\0a\0b\0c\0dd", 9));
  char name[8] = "";
  EXPECT_TRUE(rf_symbols_function(path.c_str(), 0x1000, name, sizeof name));
  EXPECT_STREQ(name, "c");
  EXPECT_TRUE(rf_symbols_function(path.c_str(), 0x100F, name, sizeof name));
  EXPECT_FALSE(rf_symbols_function(path.c_str(), 0x0FFF, name, sizeof name));
  EXPECT_FALSE(rf_symbols_function(path.c_str(), 0x1010, name, sizeof name)) << "one of no size";
  EXPECT_FALSE(rf_symbols_function(path.c_str(), 0x2000, name, sizeof name)) << "it has no name";
  EXPECT_FALSE(rf_symbols_function(path.c_str(), 0x3000, name, sizeof name)) << "its name does not end";
  unlink(path.c_str());
}

TEST(Symbols, ANameThatIsTooLongIsCut) {
  rf_modules modules = {};
  uintptr_t pc = 0;
  rf_frame_name name;
  ASSERT_TRUE(name_a_call(&pc, &modules, &name));
  char function[8];
  ASSERT_TRUE(rf_symbols_function(this_program().c_str(), name.offset - 1, function, sizeof function));
  EXPECT_STREQ(function, "rf_test");
}

// Each byte of a real file's headers and symbols changed, and the file cut short everywhere: no name, or some name.
TEST(Symbols, ADamagedFileIsSurvived) {
  std::vector<char> whole;
  FILE *const in = std::fopen(this_program().c_str(), "rb");
  ASSERT_NE(in, nullptr);
  whole.resize(64 * 1024);
  whole.resize(std::fread(whole.data(), 1, whole.size(), in));
  std::fclose(in);
  std::string const path = testing::TempDir() + "/symbols_damaged";
  char name[32];
  for (size_t i = 0; i < 64; i++) {
    std::vector<char> damaged = whole;
    damaged[i] = static_cast<char>(~damaged[i]);
    FILE *const out = std::fopen(path.c_str(), "wb");
    ASSERT_NE(out, nullptr);
    std::fwrite(damaged.data(), 1, i % 2 == 0 ? damaged.size() : i * 7, out);
    std::fclose(out);
    (void)rf_symbols_function(path.c_str(), 0x1234, name, sizeof name);
  }
  std::remove(path.c_str());
}

} // namespace
} // namespace ringfence
