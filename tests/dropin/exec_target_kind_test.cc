// Why the library will not be in a program that is executed, and which one its loader needs: over programs that the
// test makes, and over rights, an own path and a PATH that are the test's.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/process/exec_target.h"
#include "checkers/dropin/runtime/output.h"
}
#undef _Static_assert

#include "tests/tools/elf_file.h"

#include <gtest/gtest.h>
#include <ringfence/port.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <fstream>
#include <link.h>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <vector>

namespace {

// ---- What the source asks the system for ----

struct World {
  std::string own_path;
  uid_t user = 1000;
  uid_t effective_user = 1000;
  gid_t group = 1000;
  gid_t effective_group = 1000;
  bool no_new_privileges = false;
  bool may_gain = true; // on this mount
  ssize_t capabilities = -1;
  uid_t owner = 1000; // of every file
  gid_t owners = 1000;
  std::vector<std::string> opened;
  int opened_with = 0;
  bool log_lost = false;
  std::string unreadable; // to this user
};

World world;

} // namespace

extern "C" {
int __real_open(const char *path, int flags, ...);
int __real_fstat(int fd, struct stat *out);
int __real_access(const char *path, int mode);

int __wrap_dladdr(const void *, Dl_info *out) {
  out->dli_fname = world.own_path.c_str();
  return 1;
}

uid_t __wrap_getuid() {
  return world.user;
}
uid_t __wrap_geteuid() {
  return world.effective_user;
}
gid_t __wrap_getgid() {
  return world.group;
}
gid_t __wrap_getegid() {
  return world.effective_group;
}

bool __wrap_rf_output_log_is_lost() {
  return world.log_lost;
}

int __wrap_prctl(int, ...) {
  return world.no_new_privileges ? 1 : 0;
}

int __wrap_fstat(int fd, struct stat *out) {
  int const result = __real_fstat(fd, out);
  out->st_uid = world.owner;
  out->st_gid = world.owners;
  return result;
}

int __wrap_fstatvfs(int, struct statvfs *out) {
  *out = {};
  out->f_flag = world.may_gain ? 0 : ST_NOSUID;
  return 0;
}

ssize_t __wrap_fgetxattr(int, const char *name, void *, size_t) {
  EXPECT_STREQ(name, "security.capability");
  return world.capabilities;
}

int __wrap_access(const char *path, int mode) {
  return path == world.unreadable && (mode & R_OK) != 0 ? -1 : __real_access(path, mode);
}

int __wrap_open(const char *path, int flags, ...) {
  world.opened.emplace_back(path);
  world.opened_with = flags;
  return __real_open(path, flags);
}
}

namespace ringfence_test {
namespace {

constexpr bool kWide = sizeof(void *) == 8;
constexpr uint16_t kMachine = kWide ? EM_X86_64 : EM_386;
const char *const kLoader = kWide ? "/lib64/ld-linux-x86-64.so.2" : "/lib/ld-linux.so.2";
const char *const kMuslLoader = kWide ? "/lib/ld-musl-x86_64.so.1" : "/lib/ld-musl-i386.so.1";
const char *const kOtherWidth = kWide ? "32-bit" : "64-bit";

#if defined(__x86_64__) || defined(__i386__)

class ExecTargetKind : public testing::Test {
protected:
  ExecTargetKind() {
    world = World();
    own_elf_.is64 = kWide;
    own_elf_.machine = kMachine;
    own_elf_.interpreter = kLoader;
    be_at(own_folder());
  }

  // Libraries of 64 bits with glibc lie in the folder itself.
  std::string own_folder() const { return top_ + (kWide ? "/lib/" : "/lib/ringfence/i386/"); }

  static void be_at(const std::string &folder) {
    world.own_path = folder + "libown.so";
    rf_exec_target_init();
  }

  std::string put(const std::string &name, const std::string &bytes, mode_t mode = 0755) const {
    std::string const path = name[0] == '/' ? name : top_ + "/" + name;
    for (size_t at = top_.size(); (at = path.find('/', at + 1)) != std::string::npos;) {
      (void)mkdir(path.substr(0, at).c_str(), 0755);
    }
    std::ofstream(path, std::ios::binary) << bytes;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }

  const rf_exec_target &find(const std::string &path, bool search = false, char *const *environment = environ) {
    world.opened.clear();
    rf_exec_target_find(path.c_str(), search, environment, target_.get());
    return *target_;
  }

  const rf_exec_target &find(const ElfFile &elf, mode_t mode = 0755) { return find(put("program", elf.bytes(), mode)); }

  std::string reason(const ElfFile &elf, mode_t mode = 0755) {
    const rf_exec_target &found = find(elf, mode);
    return found.unchecked != nullptr ? found.unchecked : "";
  }

  // The reason for the program at own_path_, with an environment of one entry.
  std::string reason_in(const std::string &entry) {
    std::string copy = entry;
    char *const environment[] = {copy.data(), nullptr};
    const rf_exec_target &found = find(own_path_, false, environment);
    return found.unchecked != nullptr ? found.unchecked : "";
  }

  ElfFile made(bool is64, uint16_t machine, const std::string &interpreter) const {
    ElfFile elf;
    elf.is64 = is64;
    elf.machine = machine;
    elf.interpreter = interpreter;
    return elf;
  }

  static std::string folder() {
    std::string name = testing::TempDir() + "exec_target_kind.XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    return name;
  }

  std::string const top_ = folder();
  ElfFile own_elf_;
  std::string own_path_;
  std::unique_ptr<rf_exec_target> target_ = std::make_unique<rf_exec_target>();
};

TEST_F(ExecTargetKind, IsToldByProcessorWidthAndLoader) {
  uint16_t const other = kWide ? EM_386 : EM_X86_64;
  const char *const other_loader = kWide ? "/lib/ld-linux.so.2" : "/lib64/ld-linux-x86-64.so.2";
  struct {
    bool is64;
    uint16_t machine;
    std::string interpreter; // "": none
    std::string reason;
    bool other_preload;
  } const rows[] = {
      {kWide, kMachine, kLoader, "", false},
      {kWide, kMachine, kMuslLoader, "with musl", true},
      {kWide, kMachine, "/lib/ld-uClibc.so.0", "with another C library", true},
      {kWide, kMachine, "", "static", false},
      {!kWide, other, other_loader, kOtherWidth, false},
      {!kWide, other, "/lib/ld-musl-other.so.1", kOtherWidth, true},
      {!kWide, other, "", kOtherWidth, false},
      {kWide, kWide ? EM_AARCH64 : EM_ARM, kLoader, "for another processor", false},
      {!kWide, kWide ? EM_ARM : EM_AARCH64, kLoader, kOtherWidth, false},
  };
  for (auto const &row : rows) {
    SCOPED_TRACE(row.reason + " " + row.interpreter);
    EXPECT_EQ(reason(made(row.is64, row.machine, row.interpreter)), row.reason);
    EXPECT_EQ(target_->other_preload, row.other_preload);
    EXPECT_STREQ(target_->library, "");
  }
}

TEST_F(ExecTargetKind, OfALoaderThatIsRunItselfIsToldByItsName) {
  std::string const own = put("ld-linux-any.so.2", made(kWide, kMachine, "").bytes());
  EXPECT_EQ(find(own).unchecked, nullptr);
  EXPECT_FALSE(target_->other_preload);
  std::string const musl = put("ld-musl-any.so.1", made(kWide, kMachine, "").bytes());
  EXPECT_STREQ(find(musl).unchecked, "with musl");
  EXPECT_TRUE(target_->other_preload);
}

// The headers of segments, of which the last one names the loader.
std::string with_segments(unsigned count) {
  ElfFile elf;
  elf.is64 = kWide;
  elf.machine = kMachine;
  elf.interpreter = kLoader;
  std::string bytes = elf.bytes();
  ElfW(Ehdr) header;
  ElfW(Phdr) loader;
  std::memcpy(&header, bytes.data(), sizeof header);
  std::memcpy(&loader, bytes.data() + header.e_phoff, sizeof loader);
  EXPECT_EQ(loader.p_type, static_cast<uint32_t>(PT_INTERP));
  ElfW(Phdr) const other = {};
  header.e_phoff = static_cast<decltype(header.e_phoff)>(bytes.size());
  header.e_phnum = static_cast<uint16_t>(count);
  header.e_shnum = 0;
  std::memcpy(&bytes[0], &header, sizeof header);
  for (unsigned i = 0; i < count; i++) {
    bytes.append(reinterpret_cast<const char *>(i + 1 < count ? &other : &loader), sizeof other);
  }
  return bytes;
}

TEST_F(ExecTargetKind, IsToldByAnyOfItsFirstSegments) {
  for (unsigned const count : {1U, 5U, 13U, 64U}) {
    EXPECT_EQ(find(put("program", with_segments(count))).unchecked, nullptr) << count;
  }
  EXPECT_STREQ(find(put("program", with_segments(65))).unchecked, "static") << "more are not looked at";
}

TEST_F(ExecTargetKind, IsToldByALoaderWhosePathIsNoLongerThanThereAre) {
  own_elf_.interpreter = "/" + std::string(PATH_MAX - 2, 'x'); // and the NUL
  EXPECT_EQ(reason(own_elf_), "static") << "a longer path is none";
  own_elf_.interpreter.pop_back();
  EXPECT_EQ(reason(own_elf_), "with another C library");
}

// ---- Libraries beside ours ----

TEST_F(ExecTargetKind, HasTheLibraryThatLiesBesideOurs) {
  ElfFile const musl = made(true, EM_X86_64, "/lib/ld-musl-x86_64.so.1");
  ElfFile const narrow = made(false, EM_386, "/lib/ld-linux.so.2");
  ElfFile const wide = made(true, EM_X86_64, "/lib64/ld-linux-x86-64.so.2");
  struct {
    ElfFile elf;
    std::string of; // the others' folder in an installation
  } const rows[] = {{musl, "musl/"}, {kWide ? narrow : wide, kWide ? "i386/" : ""}};
  for (auto const &row : rows) {
    SCOPED_TRACE(row.of);
    be_at(own_folder());
    EXPECT_NE(reason(row.elf), "");
    std::string const library = put("lib/" + (row.of.empty() ? "" : "ringfence/" + row.of) + "libown.so", "");
    world.unreadable = library;
    EXPECT_NE(reason(row.elf), "") << "its loader would complain, and go on without";
    world.unreadable.clear();
    EXPECT_EQ(reason(row.elf), "");
    EXPECT_TRUE(target_->other_preload);
    EXPECT_EQ(target_->library, library);
    // In a build's tree.
    be_at(top_ + (kWide ? "/bin/" : "/bin/i386/"));
    std::string const built = put("bin/" + row.of + "libown.so", "");
    EXPECT_EQ(reason(row.elf), "");
    EXPECT_EQ(target_->library, built);
  }
}

TEST_F(ExecTargetKind, HasNoneWhosePathLDPreloadCannotName) {
  std::string const in_folder = kWide ? "" : "ringfence/i386/";
  ElfFile const musl = made(true, EM_X86_64, "/lib/ld-musl-x86_64.so.1");
  for (const char *const name : {"li b", "li:b", "li$b"}) {
    put(std::string(name) + "/ringfence/musl/libown.so", "");
    be_at(top_ + "/" + name + "/" + in_folder);
    EXPECT_EQ(reason(musl), kWide ? "with musl" : "64-bit") << name;
    EXPECT_STREQ(target_->library, "");
  }
}

TEST_F(ExecTargetKind, HasNoLibraryWhereItIsNotCheckedForAnotherReason) {
  put("lib/ringfence/musl/libown.so", "");
  ElfFile const musl = made(true, EM_X86_64, "/lib/ld-musl-x86_64.so.1");
  world.owner = 0;
  EXPECT_EQ(reason(musl, 04755), "setuid or setgid");
  EXPECT_STREQ(target_->library, "");
  EXPECT_TRUE(target_->other_preload) << "ours would keep it from starting";
}

TEST_F(ExecTargetKind, RecordsNothingWhereTheLogIsLostToIt) {
  world.log_lost = true;
  EXPECT_EQ(reason(own_elf_), "without access to the records");
  EXPECT_FALSE(target_->other_preload);
  EXPECT_EQ(reason(made(kWide, kMachine, "")), "static") << "which it would be anywhere";
}

TEST_F(ExecTargetKind, HasTheLibraryForItThoughTheLogIsLost) {
  ElfFile const musl = made(true, EM_X86_64, "/lib/ld-musl-x86_64.so.1");
  std::string const library = put("lib/ringfence/musl/libown.so", "");
  world.log_lost = true;
  EXPECT_EQ(reason(musl), "without access to the records");
  EXPECT_TRUE(target_->other_preload);
  EXPECT_EQ(target_->library, library);
}

// ---- Rights ----

TEST_F(ExecTargetKind, GainsRightsOfAnotherAlone) {
  EXPECT_EQ(reason(own_elf_, 06755), "") << "its user's own";
  world.owner = 0;
  EXPECT_EQ(reason(own_elf_, 0755), "");
  EXPECT_EQ(reason(own_elf_, 04755), "setuid or setgid");
  world.owner = world.user;
  world.owners = 0;
  EXPECT_EQ(reason(own_elf_, 04755), "");
  EXPECT_EQ(reason(own_elf_, 02755), "setuid or setgid");
  EXPECT_EQ(reason(own_elf_, 02745), "") << "locks of files, once";
}

TEST_F(ExecTargetKind, GainsNoRightsWhereTheSystemGivesNone) {
  world.owner = 0;
  world.capabilities = 20;
  world.no_new_privileges = true;
  EXPECT_EQ(reason(own_elf_, 04755), "");
  world.no_new_privileges = false;
  world.may_gain = false;
  EXPECT_EQ(reason(own_elf_, 04755), "");
}

TEST_F(ExecTargetKind, GainsTheCapabilitiesOfItsFileUnlessItHasAll) {
  for (ssize_t const size : {-1, 0}) {
    world.capabilities = size;
    EXPECT_EQ(reason(own_elf_), "") << size;
  }
  world.capabilities = 20;
  EXPECT_EQ(reason(own_elf_), "with file capabilities");
  world.user = world.effective_user = 0;
  EXPECT_EQ(reason(own_elf_), "");
}

TEST_F(ExecTargetKind, HasTheRightsOfAnotherUserWhereThisProcessHas) {
  world.effective_user = 0;
  EXPECT_EQ(reason(own_elf_), "with the rights of another user");
  world.effective_user = world.user;
  world.effective_group = 0;
  EXPECT_EQ(reason(own_elf_), "with the rights of another user");
}

// ---- LD_PRELOAD ----

TEST_F(ExecTargetKind, IsWithoutTheLibraryWhereItsEnvironmentDoesNotNameIt) {
  own_path_ = put("program", own_elf_.bytes());
  EXPECT_EQ(reason_in("A=1"), "") << "it was not preloaded itself";
  setenv("LD_PRELOAD", "/x/libown.so:/x/libother.so", 1);
  be_at(own_folder());
  unsetenv("LD_PRELOAD");
  EXPECT_EQ(reason_in("A=1"), "without LD_PRELOAD");
  EXPECT_EQ(reason_in("LD_PRELOAD=/x/libother.so"), "without LD_PRELOAD");
  EXPECT_EQ(reason_in("RINGFENCE_HELPER=1"), "");
  EXPECT_EQ(reason_in("LD_PRELOAD=libown.so"), "");
  EXPECT_EQ(reason_in("LD_PRELOAD=/x/libown.so:/x/libother.so"), "");
  EXPECT_STREQ(find(own_path_, false, nullptr).unchecked, "without LD_PRELOAD");
}

// ---- RINGFENCE_OPTIONS ----

TEST_F(ExecTargetKind, RecordsNothingForTheCommandWhereItsOptionsAreOthers) {
  own_path_ = put("program", own_elf_.bytes());
  rf_options const before = rf_process.options;
  auto const start_with = [](const char *options) {
    rf_sink_buffer warnings;
    char warning[128];
    rf_sink_buffer_init(&warnings, warning, sizeof warning);
    rf_options_default(&rf_process.options);
    (void)rf_options_parse(&rf_process.options, options, "test", &warnings.sink);
  };
  std::string const lost = "without the command's options";
  start_with("log=/tmp/found:halt=0");
  EXPECT_EQ(reason_in("A=1"), "") << "there is no command";
  start_with("halt=0:suppressions='a:log=b':format=json:summary=1:help=0:log='/t:mp/x/%p'");
  EXPECT_EQ(reason_in("A=1"), lost);
  EXPECT_EQ(reason_in("RINGFENCE_OPTIONS=quarantine=16M"), lost);
  EXPECT_EQ(reason_in("RINGFENCE_OPTIONS=summary=1:log='/t:mp/y/%p'"), lost);
  EXPECT_EQ(reason_in("RINGFENCE_OPTIONS=summary=1:log='/t:mp/x/%p'x"), lost);
  EXPECT_EQ(reason_in("RINGFENCE_OPTIONS=summary=1:log='/t:mp/x/%p'"), "");
  EXPECT_EQ(reason_in("RINGFENCE_OPTIONS=summary=1:log='/t:mp/x/%p':quarantine=16M"), "");
  start_with("summary=1:log=\"/t:mp/x/%p\"");
  EXPECT_EQ(reason_in("RINGFENCE_OPTIONS=summary=1:log=\"/t:mp/x/%p\""), "");
  EXPECT_EQ(reason_in("RINGFENCE_OPTIONS=log=\"/t:mp/x/%p\":summary=1"), "");
  start_with("summary=1:log='/t:mp/x/%p':exitcode=0");
  EXPECT_EQ(reason_in("RINGFENCE_OPTIONS=summary=1:log='/t:mp/x/%p'"), "") << "it records all the same";
  std::string const longer = "summary=1:log=/" + std::string(PATH_MAX, 'x');
  start_with(longer.c_str());
  EXPECT_EQ(reason_in("A=1"), "") << "longer than a path";
  start_with("halt=0");
  EXPECT_EQ(reason_in("A=1"), "");
  rf_process.options = before;
}

// ---- Scripts and files ----

// Linux starts a program by five scripts, each the interpreter of the one before, and by no more.
TEST_F(ExecTargetKind, IsFoundBehindAsManyScriptsAsTheSystemFollows) {
  std::string path = put("program", made(kWide, kMachine, "").bytes());
  std::string const program = path;
  for (int scripts = 1; scripts <= 6; scripts++) {
    path = put("script" + std::to_string(scripts), "#!" + path + "\n");
    bool const followed = scripts <= 5;
    EXPECT_STREQ(find(path).unchecked, followed ? "static" : nullptr) << scripts;
    EXPECT_TRUE(!followed || target_->file == program) << scripts;
  }
}

TEST_F(ExecTargetKind, IsNamedInAFirstLineOfAnyLengthThatTheSystemReads) {
  ASSERT_EQ(chdir(top_.c_str()), 0);
  put("p", made(kWide, kMachine, "").bytes());
  EXPECT_STREQ(find(put("script", "#!p")).unchecked, "static");
  EXPECT_STREQ(find(put("script", "#!" + std::string(252, ' ') + "p")).unchecked, "static");
  EXPECT_STREQ(find(put("script", "#!\t p\t-x\n")).unchecked, "static");
  ASSERT_EQ(chdir("/"), 0);
}

TEST_F(ExecTargetKind, IsNotOpenedWhereItCannotBeExecuted) {
  EXPECT_EQ(reason(made(kWide, kMachine, ""), 0644), "");
  EXPECT_TRUE(world.opened.empty());
  ASSERT_EQ(mkfifo((top_ + "/fifo").c_str(), 0755), 0);
  EXPECT_EQ(find(top_ + "/fifo").unchecked, nullptr);
  EXPECT_TRUE(world.opened.empty()) << "it would wait for who writes";
  EXPECT_EQ(find(top_).unchecked, nullptr);
  EXPECT_TRUE(world.opened.empty());
  EXPECT_EQ(reason(made(kWide, kMachine, "")), "static");
  EXPECT_EQ(world.opened, std::vector<std::string>{top_ + "/program"});
  EXPECT_EQ(world.opened_with & (O_ACCMODE | O_CLOEXEC | O_NOCTTY), O_RDONLY | O_CLOEXEC | O_NOCTTY)
      << "another thread may start a program meanwhile";
}

TEST_F(ExecTargetKind, OfNoFileIsNotKnown) {
  uint64_t const before = rf_port_now_ns();
  std::memset(target_.get(), '#', sizeof *target_);
  rf_exec_target_find(nullptr, false, environ, target_.get());
  EXPECT_EQ(target_->unchecked, nullptr);
  EXPECT_FALSE(target_->other_preload);
  EXPECT_STREQ(target_->file, "") << "callers look at it";
  EXPECT_STREQ(target_->library, "");
  EXPECT_GE(target_->time_ns, before);
  EXPECT_LE(target_->time_ns, rf_port_now_ns());
}

TEST_F(ExecTargetKind, OfALongerNameThanThereAreIsNotKnown) {
  std::memset(target_->file, '#', sizeof target_->file);
  EXPECT_EQ(find(std::string(PATH_MAX, 'x')).unchecked, nullptr);
  EXPECT_STREQ(target_->library, "");
  EXPECT_STREQ(target_->file, "");
  EXPECT_EQ(std::string(target_->file + 1, sizeof target_->file - 1), std::string(PATH_MAX - 1, '#'));
  EXPECT_EQ(find(std::string(PATH_MAX - 1, 'x')).unchecked, nullptr);
  EXPECT_EQ(target_->file, std::string(PATH_MAX - 1, 'x'));
}

TEST_F(ExecTargetKind, ThatIsNowhereInPathIsNoProgramOfBefore) {
  std::string const before = getenv("PATH");
  EXPECT_EQ(reason(made(kWide, kMachine, "")), "static");
  setenv("PATH", std::string(PATH_MAX, 'x').c_str(), 1);
  EXPECT_EQ(find("program", true).unchecked, nullptr);
  EXPECT_TRUE(world.opened.empty());
  setenv("PATH", before.c_str(), 1);
}

#endif

} // namespace
} // namespace ringfence_test
