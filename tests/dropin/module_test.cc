// Modules by their addresses, and their paths.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

extern "C" {
#include "checkers/dropin/os/module.h"
#include "checkers/os/modules.h"
}

namespace {

const size_t kBytes = 4096;

void some_code() {}

// The path as the kernel tells it.
std::string file_of_its_own() {
  std::string const path = testing::TempDir() + "/mapped";
  std::ofstream(path) << "text";
  char *const resolved = realpath(path.c_str(), nullptr);
  std::string const result = resolved == nullptr ? std::string() : resolved;
  free(resolved);
  return result;
}

TEST(DropinModule, OfTheUserLieOutsideTheSystemsFolders) {
  for (const char *const path : {"/usr/bin/x", "/usr/lib/x.so", "/lib/x.so", "/lib32/x", "/lib64/x", "/libx32/x",
                                 "/bin/x", "/sbin/x", "/usr/locale"}) {
    EXPECT_FALSE(rf_module_is_users(path)) << path;
  }
  for (const char *const path : {"/home/x", "/usr/local/bin/x", "/usr/src/x", "/opt/usr/bin/x", "/libs/x", "/binary",
                                 "", "usr/bin/x", "/tmp/lib/x.so"}) {
    EXPECT_TRUE(rf_module_is_users(path)) << path;
  }
}

TEST(DropinModule, IsFoundByAnAddressOfItsCode) {
  static rf_known_modules modules;
  auto const here = reinterpret_cast<uintptr_t>(&some_code);
  const rf_known_module *const own = rf_known_module_find(&modules, here);
  ASSERT_NE(own, nullptr);
  EXPECT_TRUE(own->start <= here && here < own->end);
  EXPECT_FALSE(own->runtime);
  EXPECT_TRUE(own->named);
  EXPECT_EQ(rf_known_module_find(&modules, own->start), own);
  EXPECT_EQ(rf_known_module_find(&modules, own->end - 1), own);
  EXPECT_EQ(modules.count, 1U) << "it is known";
  const rf_known_module *const libc = rf_known_module_find(&modules, reinterpret_cast<uintptr_t>(&getpid));
  ASSERT_NE(libc, nullptr);
  EXPECT_EQ(modules.count, 2U);
  EXPECT_TRUE(libc->runtime);
  int local = 0;
  EXPECT_EQ(rf_known_module_find(&modules, reinterpret_cast<uintptr_t>(&local)), nullptr) << "no code";
  EXPECT_EQ(rf_known_module_find(&modules, 0), nullptr);
  EXPECT_EQ(modules.count, 2U);
  EXPECT_EQ(rf_known_module_find(&modules, own->end), nullptr) << "the program's data are behind its code";
  EXPECT_EQ(modules.count, 2U);
  static rf_known_modules full[2]; // and what is behind
  full[0].count = RF_KNOWN_MODULES;
  EXPECT_EQ(rf_known_module_find(full, here), nullptr) << "full";
  EXPECT_EQ(full[0].count, size_t{RF_KNOWN_MODULES});
  const rf_known_module *const program = rf_known_module_of_program(&modules);
  EXPECT_TRUE(program->named);
  EXPECT_EQ(program->users, own->users);
  EXPECT_EQ(program->end, UINTPTR_MAX);
}

TEST(DropinModule, ThatWasUnloadedIsKnownByItsFile) {
  static rf_known_modules modules;
  char *const program = realpath("/proc/self/exe", nullptr);
  ASSERT_NE(program, nullptr);
  std::string const copy = testing::TempDir() + "/plugin.so";
  std::ofstream(copy, std::ios::binary) << std::ifstream(program, std::ios::binary).rdbuf();
  rf_module gone = {};
  gone.start = 0x10000;
  gone.end = 0x12000;
  rf_modules_remember(&gone, "/gone/without/a/file");
  gone.start = 0x11000;
  gone.end = 0x14000;
  rf_modules_remember(&gone, copy.c_str());
  const rf_known_module *const plugin = rf_known_module_find(&modules, 0x11800);
  ASSERT_NE(plugin, nullptr);
  EXPECT_EQ(plugin->start, 0x11000U) << "the last one there";
  EXPECT_EQ(plugin->end, 0x14000U);
  EXPECT_TRUE(plugin->named);
  EXPECT_EQ(plugin->users, rf_module_is_users(copy.c_str()));
  EXPECT_FALSE(plugin->runtime);
  const rf_known_module *const other = rf_known_module_find(&modules, 0x10800);
  ASSERT_NE(other, nullptr);
  EXPECT_TRUE(other->named) << "nobody can tell what a file that is gone names";
  EXPECT_EQ(rf_known_module_find(&modules, 0x14000), nullptr);
  EXPECT_EQ(modules.count, 2U);
  unlink(copy.c_str());
  free(program);
}

TEST(DropinModule, HasAPathOrNone) {
  char path[4096];
  char *const program = realpath("/proc/self/exe", nullptr);
  ASSERT_NE(program, nullptr);
  EXPECT_TRUE(rf_module_path_of(reinterpret_cast<uintptr_t>(&some_code), path, sizeof path));
  EXPECT_STREQ(path, "") << "the program";
  EXPECT_TRUE(rf_module_path_of(reinterpret_cast<uintptr_t>(&getpid), path, sizeof path));
  size_t const length = strlen(path);
  EXPECT_NE(std::string(path).find("/libc"), std::string::npos);
#if defined(DLFO_STRUCT_HAS_EH_DBASE)
  Dl_info loaded;
  ASSERT_NE(dladdr(reinterpret_cast<void *>(&getpid), &loaded), 0);
  EXPECT_STREQ(path, loaded.dli_fname) << "as the loader names it";
#endif
  EXPECT_TRUE(rf_module_path_of(reinterpret_cast<uintptr_t>(&getpid), path, length + 1));
  EXPECT_FALSE(rf_module_path_of(reinterpret_cast<uintptr_t>(&getpid), path, length));
  EXPECT_FALSE(rf_module_path_of(1, path, sizeof path)) << "no memory";

  // Files that were mapped, and not loaded.
  std::string const mine = file_of_its_own();
  for (const std::string &file : {mine, std::string(program)}) {
    int const fd = open(file.c_str(), O_RDONLY);
    ASSERT_GE(fd, 0) << file;
    void *const mapped = mmap(nullptr, 2 * kBytes, PROT_READ, MAP_PRIVATE, fd, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    close(fd);
    EXPECT_TRUE(rf_module_path_of(reinterpret_cast<uintptr_t>(mapped), path, sizeof path));
    EXPECT_EQ(path, file == program ? std::string() : file);
    EXPECT_EQ(munmap(mapped, 2 * kBytes), 0);
    EXPECT_FALSE(rf_module_path_of(reinterpret_cast<uintptr_t>(mapped), path, sizeof path));
  }
  unlink(mine.c_str());
  free(program);
}

} // namespace
