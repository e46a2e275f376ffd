// dlclose (checkers/dropin/process/intercept_dlclose_glibc.c): modules that go are remembered with their names, and the
// rules for their code are forgotten. The linker, and who remembers, are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/process/intercept_files.h"
#include "checkers/dropin/process/unloaded_places.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/modules.h"
#include "checkers/os/stack_rules.h"
void __wrap_rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count);
void __wrap_rf_modules_remember(const rf_module *module, const char *path);
void __wrap_rf_stack_rules_forget(void);
void *__wrap_rf_record_alloc(size_t size);
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>
#include <string>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

constexpr uintptr_t kBase = 0x40000000;
constexpr uintptr_t kStep = 0x100000;
constexpr uintptr_t kCode = 0x3000; // of a module, from its base

struct Module {
  std::string name;
  uintptr_t base;
};

struct World {
  std::vector<Module> modules;
  Calls calls;
  unsigned long long unloads = 5;
  bool counts = true; // dlpi_subs is there
  bool named = true;
  bool has_memory = true;
  int result = 0;
  void (*within)() = nullptr; // called while a module is remembered
  void (*destructor)() = nullptr;
  unsigned long loads = 0;
  unsigned kept = 0;
};

World world;

std::string take() {
  std::string all;
  for (const std::string &each : world.calls) {
    all += each + ";";
  }
  world.calls.clear();
  return all;
}

void add(const std::string &name, unsigned number) {
  world.modules.push_back({name, kBase + number * kStep});
}

int their_dlclose(void *handle) {
  auto const *const name = static_cast<const char *>(handle);
  if (world.destructor != nullptr) {
    world.destructor();
  }
  for (size_t i = 0; i < world.modules.size(); i++) {
    if (world.modules[i].name == name) {
      world.modules.erase(world.modules.begin() + static_cast<ptrdiff_t>(i));
      world.unloads++;
      break;
    }
  }
  return world.result;
}

int close(const char *name) {
  return dlclose(const_cast<char *>(name));
}

} // namespace

extern "C" {

void *__real_dlsym(void *handle, const char *name);

void *__wrap_dlsym(void *handle, const char *name) {
  return std::strcmp(name, "dlclose") == 0 ? reinterpret_cast<void *>(their_dlclose) : __real_dlsym(handle, name);
}

// Each has a segment of data before its code, whose start lies within a page, and a program header of another kind.
int __wrap_dl_iterate_phdr(int (*visit)(dl_phdr_info *, size_t, void *), void *context) {
  for (const Module &each : world.modules) {
    ElfW(Phdr) headers[3] = {};
    headers[0].p_type = PT_LOAD;
    headers[0].p_flags = PF_R | PF_W;
    headers[1].p_type = PT_GNU_STACK;
    headers[1].p_flags = PF_R | PF_X;
    headers[1].p_vaddr = 0x1000;
    headers[2].p_type = PT_LOAD;
    headers[2].p_flags = PF_R | PF_X;
    headers[2].p_vaddr = kCode + 0x123;
    dl_phdr_info info = {};
    info.dlpi_addr = each.base;
    info.dlpi_phdr = headers;
    info.dlpi_phnum = 3;
    info.dlpi_adds = 99;
    info.dlpi_subs = world.counts ? world.unloads : 0;
    size_t const size = world.counts ? sizeof info : offsetof(dl_phdr_info, dlpi_subs);
    if (visit(&info, size, context) != 0) {
      return 1;
    }
  }
  return 0;
}

void __wrap_rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count) {
  world.loads++;
  EXPECT_EQ(count, 1U);
  EXPECT_EQ(traces[0]->depth, 1U);
  modules->count = 0;
  for (const Module &each : world.modules) {
    // Frames are return addresses: one at the first byte of the code would be that of a call before it.
    if (traces[0]->frames[0] == each.base + kCode + 1 && world.named) {
      modules->count = 1;
      modules->modules[0] = {};
      modules->modules[0].start = 4;
      modules->modules[0].end = each.base + kCode + 0x1000;
      modules->modules[0].bias = each.base;
      modules->modules[0].path = 2;
      std::strcpy(modules->text, "x");
      std::strcpy(modules->text + 2, ("/lib/" + each.name).c_str());
    }
  }
}

void __wrap_rf_modules_remember(const rf_module *module, const char *path) {
  uintptr_t const number = (module->start - kBase - kCode) / kStep;
  EXPECT_EQ(module->start, kBase + number * kStep + kCode);
  EXPECT_EQ(module->end, module->start + 0x1000);
  EXPECT_EQ(module->bias, kBase + number * kStep);
  world.calls.push_back("remember " + std::string(path) + " " + std::to_string(number));
  if (world.within != nullptr) {
    void (*const within)() = world.within;
    world.within = nullptr;
    within();
  }
}

void rf_unloaded_places_keep(uintptr_t start, uintptr_t end, const char *path) {
  EXPECT_EQ(end, start + 0x1000);
  EXPECT_EQ((start - kBase) % kStep, kCode);
  EXPECT_EQ(std::string(path).rfind("/lib/", 0), 0U);
  world.kept++;
}

void __wrap_rf_stack_rules_forget() {
  world.calls.emplace_back("forget");
}

// The bytes behind a record are another one's.
void *__wrap_rf_record_alloc(size_t size) {
  static char memory[100000];
  static size_t used;
  char *const p = memory + used;
  std::memset(p, 'o', sizeof memory - used);
  used += size;
  return world.has_memory ? p : nullptr;
}
}

namespace ringfence_test {
namespace {

void in_a_process(void (*test)()) {
  alone([test] {
    world = World();
    rf_process = {};
    rf_process.options.mode = RF_MODE_GUARD;
    add("program", 0);
    add("libc.so", 1);
    add("a.so", 2);
    add("b.so", 3);
    test();
  });
}

TEST(InterceptDlclose, AModuleThatGoesIsRemembered) {
  in_a_process([] {
    EXPECT_EQ(close("a.so"), 0);
    EXPECT_EQ(take(), "remember /lib/a.so 2;forget;");
    EXPECT_EQ(close("b.so"), 0);
    EXPECT_EQ(take(), "remember /lib/b.so 3;forget;");
    EXPECT_EQ(close("none"), 0);
    EXPECT_EQ(take(), "") << "it is still in use by others: nothing went";
    EXPECT_EQ(world.loads, 4U) << "each module is looked up once";
  });
}

TEST(InterceptDlclose, TheResultIsTheLinkers) {
  in_a_process([] {
    world.result = -1;
    EXPECT_EQ(close("none"), -1);
  });
}

TEST(InterceptDlclose, ModulesThatCameSinceAreKnown) {
  in_a_process([] {
    close("a.so");
    add("c.so", 2); // where the other was
    add("d.so", 7);
    take();
    close("d.so");
    EXPECT_EQ(take(), "remember /lib/d.so 7;forget;");
    close("c.so");
    EXPECT_EQ(take(), "remember /lib/c.so 2;forget;");
  });
}

// As where a destructor loads one, or another thread does.
TEST(InterceptDlclose, AModuleThatCameMeanwhileIsKnownLater) {
  in_a_process([] {
    world.destructor = [] { add("late.so", 9); };
    close("a.so");
    EXPECT_EQ(take(), "remember /lib/a.so 2;forget;");
    EXPECT_EQ(world.loads, 4U);
    world.destructor = nullptr;
    close("late.so");
    EXPECT_EQ(take(), "remember /lib/late.so 9;forget;");
  });
}

TEST(InterceptDlclose, AllThatGoAtOnceAreRemembered) {
  in_a_process([] {
    world.destructor = [] {
      world.destructor = nullptr;
      close("b.so");
    };
    close("a.so");
    EXPECT_EQ(take(), "remember /lib/b.so 3;forget;remember /lib/a.so 2;forget;");
    EXPECT_EQ(world.kept, 2U) << "and so are their places";
  });
}

TEST(InterceptDlclose, RulesAreForgottenAlwaysWhereTheLinkerDoesNotCount) {
  in_a_process([] {
    world.counts = false;
    close("none");
    EXPECT_EQ(take(), "forget;");
  });
}

TEST(InterceptDlclose, AModuleWithoutANameOrMemoryForItIsNotRemembered) {
  in_a_process([] {
    world.named = false;
    close("a.so");
    EXPECT_EQ(take(), "forget;");
    world.named = true;
    world.has_memory = false;
    close("b.so");
    EXPECT_EQ(take(), "forget;");
  });
}

TEST(InterceptDlclose, MoreModulesThanAreKeptAreNotRemembered) {
  in_a_process([] {
    for (unsigned i = 4; i < 300; i++) {
      add("many" + std::to_string(i), i);
    }
    close("many255");
    EXPECT_EQ(take(), "remember /lib/many255 255;forget;");
    close("many299");
    EXPECT_EQ(take(), "forget;");
  });
}

TEST(InterceptDlclose, WhileAnotherThreadIsAtItTheRulesAreForgotten) {
  in_a_process([] {
    world.within = [] {
      take();
      close("none");
      EXPECT_EQ(take(), "forget;forget;") << "before and after";
    };
    close("a.so");
    EXPECT_EQ(take(), "forget;");
    close("b.so");
    EXPECT_EQ(take(), "remember /lib/b.so 3;forget;") << "then it goes on as before";
  });
}

TEST(InterceptDlclose, AChildThatWasMadeMeanwhileRemembersItsOwn) {
  in_a_process([] {
    world.within = [] {
      alone([] {
        rf_dlclose_forked();
        take();
        close("b.so");
        EXPECT_EQ(take(), "remember /lib/a.so 2;remember /lib/b.so 3;forget;") << "a.so had been remembered in part";
      });
    };
    close("a.so");
    EXPECT_EQ(world.within, nullptr);
  });
}

TEST(InterceptDlclose, InModeOffNobodyLooks) {
  in_a_process([] {
    rf_process.options.mode = RF_MODE_OFF;
    EXPECT_EQ(close("a.so"), 0);
    EXPECT_EQ(world.modules.size(), 3U);
    EXPECT_EQ(take(), "");
    EXPECT_EQ(world.loads, 0U);
  });
}

} // namespace
} // namespace ringfence_test
