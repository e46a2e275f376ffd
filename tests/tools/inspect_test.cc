#include "tools/ringfence/run/inspect.h"

#include "tests/tools/elf_file.h"
#include "tests/tools/run.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

namespace {

using ringfence_test::ElfFile;
using ringfence_test::scratch;
using ringfence_test::write_file;

// The loader of the tests themselves is one that exists.
const char *const kLoader = sizeof(void *) == 8 ? "/lib64/ld-linux-x86-64.so.2" : "/lib/ld-linux.so.2";

class Inspect : public testing::Test {
protected:
  Inspect() : program_(scratch("program")), library_(scratch("library")) {
    file_.interpreter = kLoader;
    write_file(library_, ElfFile{}.bytes());
  }
  ~Inspect() override {
    unlink(program_.c_str());
    unlink(library_.c_str());
    rf_bump_arena_free(&arena_);
  }

  rf_inspection inspect_bytes(const std::string &bytes, mode_t mode = 0755) {
    write_file(program_, bytes, mode);
    return rf_inspect(&arena_, program_.c_str(), library_.c_str(), identity_);
  }
  rf_inspection inspect(mode_t mode = 0755) { return inspect_bytes(file_.bytes(), mode); }

  ElfFile file_;
  rf_identity identity_ = {getuid(), getgid(), false};
  std::string program_;

private:
  std::string library_;
  rf_bump_arena arena_ = {nullptr};
};

TEST_F(Inspect, OrdinaryProgramsHaveNoObstacle) {
  file_.dynamic_symbols = {{"malloc", 0, 0, false}, {"main", 0x1000, 8}};
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_NONE);
  file_.type = ET_EXEC;
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_NONE);
}

TEST_F(Inspect, WithoutLoaderItIsStatic) {
  file_.interpreter.clear();
  const rf_inspection seen = inspect();
  EXPECT_EQ(seen.obstacle, RF_OBSTACLE_STATIC);
  EXPECT_EQ(seen.file, program_);
}

TEST_F(Inspect, AStaticProgramThatOnlyNamesTheCheckedMallocDoesNotHaveIt) {
  file_.interpreter.clear();
  file_.symbols = {{"rf_process_log_begin", 0, 0, false}};
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_STATIC);
  file_.symbols = {{"rf_process_log_begin", 0x1000, 8}};
  const rf_inspection seen = inspect();
  EXPECT_EQ(seen.obstacle, RF_OBSTACLE_NONE);
  EXPECT_TRUE(seen.linked_in);
}

TEST_F(Inspect, AnObjectThatIsCalledMallocIsNoMalloc) {
  file_.dynamic_symbols = {{"malloc", 0x1000, 8}};
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_OWN_MALLOC);
  file_.dynamic_symbols = {{"malloc", 0x1000, 8, true, STT_OBJECT}};
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_NONE);
}

TEST_F(Inspect, TheLoaderRunAsAProgramIsNot) {
  file_.interpreter.clear();
  file_.soname = "ld-linux-x86-64.so.2";
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_NONE);
}

TEST_F(Inspect, SetuidMattersWhereItChangesTheUser) {
  EXPECT_EQ(inspect(04755).obstacle, RF_OBSTACLE_NONE);
  identity_.user++;
  EXPECT_EQ(inspect(04755).obstacle, RF_OBSTACLE_SETUID);
  EXPECT_EQ(inspect(0755).obstacle, RF_OBSTACLE_NONE);
}

TEST_F(Inspect, SetgidMattersWhereItChangesTheGroup) {
  identity_.group++;
  EXPECT_EQ(inspect(02755).obstacle, RF_OBSTACLE_SETUID);
  EXPECT_EQ(inspect(02745).obstacle, RF_OBSTACLE_NONE) << "without the group's x it means mandatory locking";
}

TEST_F(Inspect, SetuidHasNoEffectWithoutNewPrivileges) {
  identity_.user++;
  identity_.no_new_privileges = true;
  EXPECT_EQ(inspect(04755).obstacle, RF_OBSTACLE_NONE);
}

TEST_F(Inspect, TellsTheOtherWidth) {
  file_.is64 = false;
  file_.machine = EM_386;
  const rf_inspection seen = inspect();
  EXPECT_EQ(seen.obstacle, RF_OBSTACLE_WIDTH);
  EXPECT_FALSE(seen.is64);
}

TEST_F(Inspect, TellsAnotherMachine) {
  file_.is64 = false;
  file_.machine = EM_ARM;
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_MACHINE) << "and not the other width";
  file_.is64 = true;
  file_.machine = EM_AARCH64;
  const rf_inspection seen = inspect();
  EXPECT_EQ(seen.obstacle, RF_OBSTACLE_MACHINE);
  EXPECT_STREQ(seen.detail, "ARM64");
}

TEST_F(Inspect, TellsAnotherByteOrder) {
  std::string bytes = file_.bytes();
  bytes[EI_DATA] = static_cast<char>(bytes[EI_DATA] ^ (ELFDATA2LSB ^ ELFDATA2MSB));
  EXPECT_EQ(inspect_bytes(bytes).obstacle, RF_OBSTACLE_MACHINE);
}

TEST_F(Inspect, TellsAnotherLibc) {
  // It must exist to be told from a missing one.
  const std::string folder = scratch("loaders");
  ASSERT_EQ(mkdir(folder.c_str(), 0755), 0);
  file_.interpreter = folder + "/ld-musl-x86_64.so.1";
  write_file(file_.interpreter, "");
  const rf_inspection seen = inspect();
  EXPECT_EQ(seen.obstacle, RF_OBSTACLE_LIBC);
  EXPECT_EQ(seen.detail, file_.interpreter);
  EXPECT_EQ(seen.kind, file_.is64 ? RF_LIBRARY_MUSL : RF_LIBRARY_NONE);
  unlink(file_.interpreter.c_str());
  rmdir(folder.c_str());
}

TEST_F(Inspect, TellsAMissingLoader) {
  file_.interpreter = "/nonexistent/ld-linux.so.9";
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_NO_LOADER);
}

TEST_F(Inspect, TellsASanitizersMalloc) {
  file_.dynamic_symbols = {{"malloc", 0x1000, 8}, {"__asan_init", 0, 0, false}};
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_SANITIZER);
  EXPECT_STREQ(inspect().detail, "AddressSanitizer");
  file_.dynamic_symbols = {{"__tsan_init", 0x1000, 8}};
  EXPECT_STREQ(inspect().detail, "ThreadSanitizer");
}

// As a library does that has its own way for such builds, and our linked-in malloc.
TEST_F(Inspect, AProgramThatLooksIfASanitizerIsThereHasNone) {
  file_.dynamic_symbols = {{"__asan_init", 0, 0, false, STT_NOTYPE, STB_WEAK}};
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_NONE);
  file_.dynamic_symbols = {{"__asan_init", 0x1000, 8, true, STT_FUNC, STB_WEAK}};
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_SANITIZER);
}

// gcc's is a library, whose malloc a preloaded one comes before; clang's is in the program.
TEST_F(Inspect, LeakSanitizerIsAnObstacleInTheProgramItselfAlone) {
  file_.dynamic_symbols = {{"malloc", 0, 0, false}, {"__lsan_init", 0, 0, false}};
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_NONE);
  file_.dynamic_symbols = {{"malloc", 0x1000, 8}, {"__lsan_init", 0x1000, 8}};
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_SANITIZER);
  EXPECT_STREQ(inspect().detail, "LeakSanitizer");
}

TEST_F(Inspect, TellsAMallocOfTheProgramsOwn) {
  file_.dynamic_symbols = {{"malloc", 0x1000, 8}};
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_OWN_MALLOC);
}

TEST_F(Inspect, TheCheckedMallocLinkedInIsNoObstacle) {
  file_.dynamic_symbols = {{"malloc", 0x1000, 8}};
  file_.symbols = {{"rf_process_log_begin", 0x1000, 8}};
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_NONE);
  EXPECT_TRUE(inspect().linked_in);
  file_.interpreter.clear();
  file_.dynamic_symbols.clear();
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_NONE);
  EXPECT_TRUE(inspect().linked_in);
}

TEST_F(Inspect, TellsWhatIsNoProgram) {
  file_.type = ET_REL;
  EXPECT_EQ(inspect().obstacle, RF_OBSTACLE_NOT_PROGRAM);
  EXPECT_EQ(inspect_bytes(file_.bytes().substr(0, 40)).obstacle, RF_OBSTACLE_NOT_PROGRAM);
}

TEST_F(Inspect, LooksThroughScripts) {
  file_.interpreter.clear();
  const std::string interpreter = scratch("interpreter");
  write_file(interpreter, file_.bytes(), 0755);
  const rf_inspection seen = inspect_bytes("#! " + interpreter + " -x\nhello\n");
  EXPECT_EQ(seen.obstacle, RF_OBSTACLE_STATIC);
  EXPECT_EQ(seen.file, interpreter);
  unlink(interpreter.c_str());
}

// As many as Linux follows.
TEST_F(Inspect, LooksThroughScriptsOfScripts) {
  file_.interpreter.clear();
  std::string last = scratch("interpreter");
  std::vector<std::string> made = {last};
  write_file(last, file_.bytes(), 0755);
  for (int i = 0; i < 4; i++) {
    made.push_back(scratch("script" + std::to_string(i)));
    write_file(made.back(), "#!" + last + "\n", 0755);
    last = made.back();
  }
  const rf_inspection seen = inspect_bytes("#!" + last + "\n");
  EXPECT_EQ(seen.obstacle, RF_OBSTACLE_STATIC);
  EXPECT_EQ(seen.file, made.front());
  made.push_back(scratch("script4"));
  write_file(made.back(), "#!" + last + "\n", 0755);
  const rf_inspection deeper = inspect_bytes("#!" + made.back() + "\n");
  EXPECT_EQ(deeper.obstacle, RF_OBSTACLE_NONE) << "the system refuses it";
  EXPECT_EQ(deeper.file, made[1]);
  for (const std::string &path : made) {
    unlink(path.c_str());
  }
}

TEST_F(Inspect, LooksThroughEnv) {
  file_.interpreter.clear();
  const std::string interpreter = scratch("interpreter");
  write_file(interpreter, file_.bytes(), 0755);
  const rf_inspection seen = inspect_bytes("#!/usr/bin/env -S A=b " + interpreter + " -x\nhello\n");
  EXPECT_EQ(seen.obstacle, RF_OBSTACLE_STATIC);
  unlink(interpreter.c_str());
}

TEST_F(Inspect, TellsAMissingInterpreter) {
  const rf_inspection seen = inspect_bytes("#!/nonexistent/python\n");
  EXPECT_EQ(seen.obstacle, RF_OBSTACLE_NO_SHELL);
  EXPECT_STREQ(seen.detail, "/nonexistent/python");
}

TEST_F(Inspect, EndsForAScriptThatRunsItself) {
  EXPECT_EQ(inspect_bytes("#!" + program_ + "\n").obstacle, RF_OBSTACLE_NONE);
}

TEST_F(Inspect, LeavesWhatItDoesNotKnowToTheSystem) {
  EXPECT_EQ(inspect_bytes("echo a script without a first line\n").obstacle, RF_OBSTACLE_NONE);
  EXPECT_EQ(inspect_bytes("").obstacle, RF_OBSTACLE_NONE);
  EXPECT_EQ(inspect_bytes("#!\n").obstacle, RF_OBSTACLE_NONE);
}

} // namespace
