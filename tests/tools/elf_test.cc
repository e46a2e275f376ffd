#include "tools/ringfence/base/elf.h"

#include "tests/tools/elf_file.h"
#include "tools/ringfence/symbols/symbol_table.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

extern "C" {
ssize_t __real_pread(int fd, void *out, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *out, size_t size, off_t offset);
void *__real_rf_bump_arena_alloc(rf_bump_arena *arena, size_t size);
void *__wrap_rf_bump_arena_alloc(rf_bump_arena *arena, size_t size);
}

namespace {

size_t bytes_read;
size_t bytes_taken;

} // namespace

ssize_t __wrap_pread(int fd, void *out, size_t size, off_t offset) {
  bytes_read += size;
  return __real_pread(fd, out, size, offset);
}

void *__wrap_rf_bump_arena_alloc(rf_bump_arena *arena, size_t size) {
  bytes_taken += size;
  return __real_rf_bump_arena_alloc(arena, size);
}

namespace {

using ringfence_test::ElfFile;

// Both widths.
class Elf : public testing::TestWithParam<bool> {
protected:
  Elf() : memory_(memfd_create("elf_test", MFD_CLOEXEC)) { file_.is64 = GetParam(); }
  ~Elf() override {
    rf_bump_arena_free(&arena_);
    close(memory_);
  }

  rf_elf_status open(const std::string &bytes) {
    EXPECT_EQ(ftruncate(memory_, 0), 0);
    EXPECT_EQ(pwrite(memory_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    return rf_elf_open(&elf_, ("/proc/self/fd/" + std::to_string(memory_)).c_str(), &arena_);
  }

  ElfFile file_;
  rf_elf elf_ = {};
  rf_bump_arena arena_ = {nullptr};

private:
  int memory_;
};

bool any(const char *) {
  return true;
}
bool none(const char *) {
  return false;
}

TEST_P(Elf, ReadsTheHeader) {
  file_.machine = EM_AARCH64;
  file_.type = ET_REL;
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  EXPECT_EQ(elf_.is64, GetParam());
  EXPECT_EQ(elf_.machine, EM_AARCH64);
  EXPECT_EQ(elf_.type, ET_REL);
  rf_elf_close(&elf_);
}

TEST_P(Elf, ReadsLoaderNameAndBuildId) {
  file_.interpreter = "/lib/ld-linux.so.2";
  file_.soname = "libx.so.1";
  file_.build_id = std::string("\x01\xab\x00\xff", 4);
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  EXPECT_STREQ(rf_elf_interpreter(&elf_), "/lib/ld-linux.so.2");
  EXPECT_STREQ(rf_elf_dynamic_string(&elf_, DT_SONAME, any), "libx.so.1");
  EXPECT_EQ(rf_elf_dynamic_string(&elf_, DT_SONAME, none), nullptr);
  EXPECT_EQ(rf_elf_dynamic_string(&elf_, DT_NEEDED, any), nullptr);
  EXPECT_STREQ(rf_elf_build_id(&elf_), "01ab00ff");
  rf_elf_close(&elf_);
}

// The table of strings is known to go on as far as its segment does, which is the whole file here.
TEST_P(Elf, ANameThatLiesBehindItsTableIsNone) {
  file_.soname = "libx.so.1";
  for (uint64_t const behind : {file_.bytes().size(), size_t{1} << 20, size_t{0xFFFFFFFF}}) {
    file_.soname_at = behind;
    ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
    EXPECT_EQ(rf_elf_dynamic_string(&elf_, DT_SONAME, any), nullptr) << behind;
    rf_elf_close(&elf_);
  }
}

TEST_P(Elf, FindsTheBuildIdBehindANoteOfAnyLength) {
  for (size_t length = 1; length <= 9; length++) {
    file_.build_id = "\x12\x34\x56\x78";
    file_.other_note = std::string(length, 'n');
    ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
    const char *const id = rf_elf_build_id(&elf_);
    ASSERT_NE(id, nullptr) << length;
    EXPECT_STREQ(id, "12345678") << length;
    rf_elf_close(&elf_);
  }
}

// A made-up file may name one part of it thousands of times.
TEST_P(Elf, ReadsAFileOnceOrTwiceHoweverOftenItNamesItself) {
  file_.soname = "libx.so.1";
  file_.build_id = "id";
  file_.string_tables = 500;
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  bytes_read = bytes_taken = 0;
  EXPECT_STREQ(rf_elf_dynamic_string(&elf_, DT_SONAME, any), "libx.so.1");
  EXPECT_LE(bytes_read, 2 * elf_.size);
  EXPECT_LE(bytes_taken, 2 * elf_.size + 2);
  rf_elf_close(&elf_);
  file_.build_id.clear();
  file_.build_id.resize(5000, 'n');
  file_.note_segments = 60;
  std::string bytes = file_.bytes();
  for (size_t at = bytes.find(file_.build_id) - 8; bytes[at] == NT_GNU_BUILD_ID; at++) {
    bytes[at] = NT_GNU_ABI_TAG; // no id, after all
  }
  ASSERT_EQ(open(bytes), RF_ELF_OK);
  bytes_read = bytes_taken = 0;
  EXPECT_EQ(rf_elf_build_id(&elf_), nullptr);
  EXPECT_LE(bytes_read, elf_.size);
  EXPECT_LE(bytes_taken, elf_.size + elf_.segment_count);
  rf_elf_close(&elf_);
}

// The one that counts for the dynamic linker.
TEST_P(Elf, TheLastTableOfStringsCounts) {
  file_.soname = "libx.so.1";
  file_.string_tables = 2;
  std::string bytes = file_.bytes();
  size_t const width = GetParam() ? 8 : 4;
  auto const entry = [width](uint64_t tag, uint64_t value) {
    return std::string(reinterpret_cast<const char *>(&tag), width) +
           std::string(reinterpret_cast<const char *>(&value), width);
  };
  size_t const strings = bytes.find(file_.soname) - 1;
  bytes.replace(bytes.find(entry(DT_STRTAB, strings)), 2 * width, entry(DT_STRTAB, strings + 3));
  ASSERT_EQ(open(bytes), RF_ELF_OK);
  EXPECT_STREQ(rf_elf_dynamic_string(&elf_, DT_SONAME, any), "libx.so.1");
  rf_elf_close(&elf_);
}

TEST_P(Elf, HasASectionWhereItsContentsAreInTheFile) {
  file_.named_sections = {
      {".text", SHT_PROGBITS, "code"}, {".debug_line", SHT_NOBITS, "none"}, {".debug_empty", SHT_PROGBITS, ""}};
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  EXPECT_TRUE(rf_elf_has_section(&elf_, ".text"));
  EXPECT_FALSE(rf_elf_has_section(&elf_, ".debug_line"));
  EXPECT_FALSE(rf_elf_has_section(&elf_, ".debug_empty"));
  EXPECT_FALSE(rf_elf_has_section(&elf_, ".tex"));
  rf_elf_close(&elf_);
  file_.named_sections = {};
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  EXPECT_FALSE(rf_elf_has_section(&elf_, ".text"));
  rf_elf_close(&elf_);
}

TEST_P(Elf, ReadsFromTheSegmentThatAnAddressLiesIn) {
  file_.split_at = 40;
  const std::string bytes = file_.bytes();
  ASSERT_EQ(open(bytes), RF_ELF_OK);
  for (const size_t at : {size_t{36}, size_t{39}, size_t{40}, size_t{41}}) {
    std::string out(4, '\0');
    size_t const wanted = at < 40 && 40 - at < 4 ? 40 - at : 4;
    ASSERT_EQ(rf_elf_read(&elf_, at, out.data(), out.size()), wanted) << at;
    EXPECT_EQ(out.substr(0, wanted), bytes.substr(at, wanted)) << at;
  }
  std::string out(4, '\0');
  EXPECT_EQ(rf_elf_read(&elf_, bytes.size(), out.data(), out.size()), 0U);
  rf_elf_close(&elf_);
}

TEST_P(Elf, WithoutLoaderNameAndBuildId) {
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  EXPECT_EQ(rf_elf_interpreter(&elf_), nullptr);
  EXPECT_EQ(rf_elf_dynamic_string(&elf_, DT_SONAME, any), nullptr);
  EXPECT_EQ(rf_elf_build_id(&elf_), nullptr);
  rf_elf_close(&elf_);
}

TEST_P(Elf, ReadsBothSymbolTables) {
  file_.dynamic_symbols = {{"malloc", 0, 0, false}};
  file_.symbols = {{"main", 0x1000, 0x20}, {"rest", 0x2000, 0}};
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  rf_elf_symbol *s = nullptr;
  ASSERT_EQ(rf_elf_symbols(&elf_, SHT_DYNSYM, &s), 2u);
  EXPECT_STREQ(s[1].name, "malloc");
  EXPECT_FALSE(s[1].defined);
  ASSERT_EQ(rf_elf_symbols(&elf_, SHT_SYMTAB, &s), 3u);
  EXPECT_STREQ(s[1].name, "main");
  EXPECT_EQ(s[1].address, 0x1000u);
  EXPECT_EQ(s[1].size, 0x20u);
  EXPECT_TRUE(s[1].defined);
  EXPECT_TRUE(s[1].function);
  rf_elf_close(&elf_);
}

// A section is one of those that the file has, whatever lies behind them in memory.
TEST_P(Elf, SymbolsWhoseNamesAreInNoSectionAreNone) {
  file_.symbols = {{"main", 0x1000, 0x20}};
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  std::vector<rf_elf_section> sections(elf_.sections, elf_.sections + elf_.section_count);
  for (rf_elf_section &section : sections) {
    if (section.type == SHT_SYMTAB) {
      sections.push_back(sections[section.link]);
      break;
    }
  }
  ASSERT_EQ(sections.size(), elf_.section_count + 1);
  elf_.sections = sections.data();
  rf_elf_symbol *s = nullptr;
  EXPECT_EQ(rf_elf_symbols(&elf_, SHT_SYMTAB, &s), 2U);
  for (rf_elf_section &section : sections) {
    section.link = static_cast<uint32_t>(elf_.section_count);
  }
  EXPECT_EQ(rf_elf_symbols(&elf_, SHT_SYMTAB, &s), 0U);
  rf_elf_close(&elf_);
}

TEST_P(Elf, NamesTheFunctionThatAnAddressLiesIn) {
  file_.symbols = {
      {"second", 0x2000, 0x10}, {"first", 0x1000, 0x20}, {"alias", 0x2000, 0}, {"elsewhere", 0x1008, 8, false}};
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  const rf_symbol_table symbols = rf_symbol_table_read(&elf_);
  EXPECT_STREQ(rf_symbol_table_find(&symbols, 0x1000), "first");
  EXPECT_STREQ(rf_symbol_table_find(&symbols, 0x101f), "first");
  EXPECT_STREQ(rf_symbol_table_find(&symbols, 0x2005), "second");
  EXPECT_EQ(rf_symbol_table_find(&symbols, 0xfff), nullptr);
  EXPECT_EQ(rf_symbol_table_find(&symbols, 0x1020), nullptr);
  EXPECT_EQ(rf_symbol_table_find(&symbols, 0x2010), nullptr);
  rf_elf_close(&elf_);
}

// A function that the loader chooses is one by its resolver, which runs and may be in a stack.
TEST_P(Elf, FunctionsThatTheLoaderChoosesHaveNamesAndDataHasNone) {
  file_.symbols = {{"chosen", 0x1000, 0x20, true, STT_GNU_IFUNC}, {"data", 0x2000, 0x20, true, STT_OBJECT}};
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  const rf_symbol_table symbols = rf_symbol_table_read(&elf_);
  EXPECT_STREQ(rf_symbol_table_find(&symbols, 0x1010), "chosen");
  EXPECT_EQ(rf_symbol_table_find(&symbols, 0x2010), nullptr);
  rf_elf_close(&elf_);
}

TEST_P(Elf, OfNamesOfOneAddressTheOneThatReachesFarEnoughIsMeant) {
  file_.symbols = {{"long", 0x1000, 0x20}, {"short", 0x1000, 4}, {"brief", 0x2000, 4}, {"lengthy", 0x2000, 0x20}};
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  const rf_symbol_table symbols = rf_symbol_table_read(&elf_);
  EXPECT_STREQ(rf_symbol_table_find(&symbols, 0x1010), "long");
  EXPECT_STREQ(rf_symbol_table_find(&symbols, 0x2010), "lengthy");
  rf_elf_close(&elf_);
}

// Marks in assembly are functions without a size.
TEST_P(Elf, FunctionsWithoutSizeHideNotTheOneThatTheyLieIn) {
  file_.symbols = {{"outer", 0x1000, 0x20}, {"mark", 0x1008, 0}, {"second", 0x100c, 0}, {"far", 0x2000, 0}};
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  const rf_symbol_table symbols = rf_symbol_table_read(&elf_);
  EXPECT_STREQ(rf_symbol_table_find(&symbols, 0x1010), "outer");
  EXPECT_STREQ(rf_symbol_table_find(&symbols, 0x1008), "outer");
  EXPECT_EQ(rf_symbol_table_find(&symbols, 0x2000), nullptr);
  rf_elf_close(&elf_);
}

TEST_P(Elf, FallsBackOnTheDynamicSymbols) {
  file_.dynamic_symbols = {{"exported", 0x1000, 0x20}};
  ASSERT_EQ(open(file_.bytes()), RF_ELF_OK);
  const rf_symbol_table symbols = rf_symbol_table_read(&elf_);
  EXPECT_STREQ(rf_symbol_table_find(&symbols, 0x1001), "exported");
  rf_elf_close(&elf_);
}

TEST_P(Elf, TellsTheOtherByteOrder) {
  std::string bytes = file_.bytes();
  bytes[EI_DATA] = static_cast<char>(bytes[EI_DATA] ^ (ELFDATA2LSB ^ ELFDATA2MSB));
  bytes[18] = 0;
  bytes[19] = EM_S390;
  ASSERT_EQ(open(bytes), RF_ELF_BYTE_ORDER);
  EXPECT_EQ(elf_.machine, EM_S390);
}

TEST_P(Elf, TellsWhatIsNotElf) {
  EXPECT_EQ(open(""), RF_ELF_NOT_ELF);
  EXPECT_EQ(open("#!/bin/sh\n"), RF_ELF_NOT_ELF);
  EXPECT_EQ(open(std::string("\x7f"
                             "ELF",
                             4)),
            RF_ELF_NOT_ELF);
  EXPECT_EQ(elf_.fd, -1) << "it stays open";
  EXPECT_EQ(rf_elf_open(&elf_, "/nonexistent", &arena_), RF_ELF_UNREADABLE);
  EXPECT_EQ(rf_elf_open(&elf_, "/dev", &arena_), RF_ELF_NOT_ELF);
}

// Reads everything there is to read; the sanitizers say if a bad offset was believed.
void read_all(rf_elf *elf) {
  rf_elf_symbol *s = nullptr;
  (void)rf_elf_interpreter(elf);
  (void)rf_elf_dynamic_string(elf, DT_SONAME, any);
  (void)rf_elf_build_id(elf);
  (void)rf_elf_symbols(elf, SHT_DYNSYM, &s);
  const rf_symbol_table symbols = rf_symbol_table_read(elf);
  (void)rf_symbol_table_find(&symbols, 0x1000);
  rf_elf_close(elf);
}

TEST_P(Elf, SurvivesEveryTruncation) {
  file_.interpreter = "/lib/ld-linux.so.2";
  file_.soname = "x";
  file_.build_id = "id";
  file_.symbols = {{"main", 0x1000, 0x20}};
  const std::string whole = file_.bytes();
  for (size_t length = 0; length < whole.size(); length++) {
    if (open(whole.substr(0, length)) == RF_ELF_OK) {
      read_all(&elf_);
    }
  }
}

TEST_P(Elf, SurvivesEveryByteSetToEveryExtreme) {
  file_.interpreter = "/lib/ld-linux.so.2";
  file_.soname = "x";
  file_.build_id = "id";
  file_.symbols = {{"main", 0x1000, 0x20}};
  const std::string whole = file_.bytes();
  for (size_t at = SELFMAG; at < whole.size(); at++) {
    for (int const value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(value);
      if (open(bytes) == RF_ELF_OK) {
        read_all(&elf_);
      }
      rf_bump_arena_free(&arena_);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, Elf, testing::Bool(),
                         [](const testing::TestParamInfo<bool> &width) { return width.param ? "Wide" : "Narrow"; });

TEST(ElfMachine, HasTheNameThatPeopleUse) {
  EXPECT_STREQ(rf_elf_machine_name(EM_X86_64), "x86-64");
  EXPECT_STREQ(rf_elf_machine_name(0xfff0), "an unknown machine");
}

} // namespace
