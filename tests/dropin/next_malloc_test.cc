// The malloc behind ours (checkers/dropin/malloc/next_malloc.c), with functions behind that are the test's: those that
// it lacks are made of those that it has.
extern "C" {
#include "checkers/dropin/malloc/next_malloc.h"
}

#include "tests/dropin/alone.h"

#include <link.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

namespace {

using ringfence_test::alone;

std::map<std::string, void *> behind;
std::map<std::string, void *> behind_libc;
unsigned not_found; // since errors were forgotten
unsigned never_found;

} // namespace

// The linker puts these in front of the C library's and of ours.
extern "C" {
char *__wrap_dlerror(void);
void *__wrap_dlsym(void *handle, const char *name);
void *__wrap_rf_libc_private(const char *name);

// As bash has one: a function of the C library's that is the program's own.
char *getenv(const char *name) {
  size_t const length = strlen(name);
  for (char **line = environ; *line != nullptr; line++) {
    if (strncmp(*line, name, length) == 0 && (*line)[length] == '=') {
      return *line + length + 1;
    }
  }
  return nullptr;
}

char *__wrap_dlerror() {
  not_found = 0;
  return nullptr;
}

void *__wrap_dlsym(void *handle, const char *name) {
  EXPECT_EQ(handle, RTLD_NEXT);
  bool const found = behind.count(name) != 0;
  not_found += found ? 0 : 1;
  never_found += found ? 0 : 1;
  return found ? behind[name] : nullptr;
}

void *__wrap_rf_libc_private(const char *name) {
  return behind_libc.count(name) != 0 ? behind_libc[name] : nullptr;
}
}

namespace {

char block[16];
size_t asked_align;
size_t asked_size;
int error_behind;

void *a_malloc(size_t) {
  return block;
}
void *a_calloc(size_t, size_t) {
  return block;
}
void *a_realloc(void *ptr, size_t) {
  return ptr;
}
void a_free(void *) {}
size_t a_usable_size(void *) {
  return sizeof block;
}
void *an_aligned(size_t align, size_t size) {
  asked_align = align;
  asked_size = size;
  return error_behind == 0 ? block : nullptr;
}
int a_posix_memalign(void **out, size_t align, size_t size) {
  asked_align = align;
  asked_size = size;
  *out = error_behind == 0 ? block : *out;
  return error_behind;
}

template <typename Function> void *pointer_to(Function *function) {
  return reinterpret_cast<void *>(function);
}

void put_plain() {
  behind = {{"malloc", pointer_to(a_malloc)},
            {"calloc", pointer_to(a_calloc)},
            {"realloc", pointer_to(a_realloc)},
            {"free", pointer_to(a_free)},
            {"malloc_usable_size", pointer_to(a_usable_size)}};
}

rf_malloc_functions find_with(const char *name, void *function) {
  rf_malloc_functions next = {};
  put_plain();
  behind[name] = function;
  EXPECT_TRUE(rf_next_malloc_find(&next));
  return next;
}

void expect_posix(const rf_malloc_functions &next, size_t align, int expected) {
  void *out = nullptr;
  EXPECT_EQ(next.posix_memalign(&out, align, 100), expected) << align;
  EXPECT_EQ(out, expected == 0 ? block : nullptr);
}

// Blocks of a library's other functions are for its own free alone.
TEST(NextMalloc, HasOthersInTheLibraryOfItsFree) {
  alone([] {
    put_plain();
    behind["memalign"] = pointer_to(an_aligned);
    for (const char *const name : {"mallocx", "tc_malloc", "mi_malloc", "another"}) {
      rf_malloc_functions next = {};
      behind[name] = pointer_to(a_malloc);
      EXPECT_TRUE(rf_next_malloc_find(&next));
      EXPECT_EQ(next.has_others, std::string(name) != "another") << name;
      behind[name] = stdout; // an address in the C library
      EXPECT_TRUE(rf_next_malloc_find(&next));
      EXPECT_FALSE(next.has_others) << name;
      EXPECT_EQ(not_found, 0U) << "the program's next dlerror would tell of it";
      behind.erase(name);
    }
  });
}

// A name that is not found would have the loader allocate before requests can be handed on.
TEST(NextMalloc, TheCLibraryIsNotAskedForFunctionsThatItHasNot) {
  alone([] {
    for (auto *const name :
         {"malloc", "calloc", "realloc", "free", "malloc_usable_size", "memalign", "aligned_alloc", "posix_memalign"}) {
      behind[name] = pointer_to(puts);
    }
    rf_malloc_functions next = {};
    EXPECT_TRUE(rf_next_malloc_find(&next));
    EXPECT_FALSE(next.has_others);
    EXPECT_EQ(never_found, 0U);
  });
}

TEST(NextMalloc, OfMemalignAloneHasTheOthers) {
  alone([] {
    rf_malloc_functions const next = find_with("memalign", pointer_to(an_aligned));
    EXPECT_EQ(next.memalign, an_aligned);
    EXPECT_EQ(next.aligned_alloc, an_aligned);
    expect_posix(next, 64, 0);
    EXPECT_EQ(asked_align, 64U);
    EXPECT_EQ(asked_size, 100U);
    expect_posix(next, sizeof(void *), 0);
    for (size_t const align : {0, 1, 2, 4, 24, 48}) {
      expect_posix(next, align, sizeof(void *) == align ? 0 : EINVAL);
    }
    error_behind = ENOMEM;
    expect_posix(next, 64, ENOMEM);
  });
}

TEST(NextMalloc, OfAlignedAllocAloneHasTheOthers) {
  alone([] {
    rf_malloc_functions const next = find_with("aligned_alloc", pointer_to(an_aligned));
    EXPECT_EQ(next.aligned_alloc, an_aligned);
    EXPECT_EQ(next.memalign(24, 100), block);
    EXPECT_EQ(asked_align, 32U);
    EXPECT_EQ(next.memalign(1, 100), block);
    EXPECT_EQ(asked_align, 16U);
    EXPECT_EQ(next.memalign(SIZE_MAX, 100), nullptr);
    EXPECT_EQ(errno, EINVAL);
    expect_posix(next, 64, 0);
    EXPECT_EQ(asked_align, 64U);
  });
}

TEST(NextMalloc, OfPosixMemalignAloneHasTheOthers) {
  alone([] {
    rf_malloc_functions const next = find_with("posix_memalign", pointer_to(a_posix_memalign));
    EXPECT_EQ(next.posix_memalign, a_posix_memalign);
    for (auto *const function : {next.memalign, next.aligned_alloc}) {
      EXPECT_EQ(function(24, 100), block);
      EXPECT_EQ(asked_align, 32U);
      EXPECT_EQ(asked_size, 100U);
      EXPECT_EQ(function(SIZE_MAX, 100), nullptr);
      EXPECT_EQ(errno, EINVAL);
      error_behind = ENOMEM;
      EXPECT_EQ(function(32, 100), nullptr);
      EXPECT_EQ(errno, ENOMEM);
      error_behind = 0;
    }
  });
}

TEST(NextMalloc, IsNoneWhereAFunctionIsMissing) {
  alone([] {
    rf_malloc_functions next = {};
    put_plain();
    EXPECT_FALSE(rf_next_malloc_find(&next)) << "no aligned one";
    for (const char *const name : {"malloc", "calloc", "realloc", "free", "malloc_usable_size"}) {
      put_plain();
      behind["memalign"] = pointer_to(an_aligned);
      EXPECT_TRUE(rf_next_malloc_find(&next));
      behind.erase(name);
      EXPECT_FALSE(rf_next_malloc_find(&next)) << name;
    }
  });
}

struct Module {
  uintptr_t inside;
  uintptr_t end; // behind its last byte
};

// Finds the end of the last part of the test's own module.
int find_end(dl_phdr_info *info, size_t, void *context) {
  auto *const module = static_cast<Module *>(context);
  bool mine = false;
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) &part = info->dlpi_phdr[i];
    uintptr_t const start = info->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD) {
      mine = mine || module->inside - start < part.p_memsz;
      module->end = start + part.p_memsz;
    }
  }
  return mine ? 1 : 0;
}

// Functions of another module are not taken beside those of malloc's, unless that has none.
TEST(NextMalloc, TakesAlignedFunctionsOfOneModule) {
  alone([] {
    Module module = {reinterpret_cast<uintptr_t>(pointer_to(a_malloc)), 0};
    ASSERT_EQ(dl_iterate_phdr(find_end, &module), 1);
    auto *const last = reinterpret_cast<void *>(module.end - 1); // NOLINT(performance-no-int-to-ptr)
    auto *const end = reinterpret_cast<void *>(module.end);      // NOLINT(performance-no-int-to-ptr)
    rf_malloc_functions next = {};
    put_plain();
    behind["aligned_alloc"] = pointer_to(an_aligned);
    behind["memalign"] = last;
    EXPECT_TRUE(rf_next_malloc_find(&next));
    EXPECT_EQ(pointer_to(next.memalign), last);
    next = {};
    behind["memalign"] = end;
    EXPECT_TRUE(rf_next_malloc_find(&next));
    EXPECT_NE(pointer_to(next.memalign), end);
    EXPECT_EQ(next.memalign(32, 1), block);
    next = {};
    behind.erase("aligned_alloc");
    EXPECT_TRUE(rf_next_malloc_find(&next));
    EXPECT_EQ(pointer_to(next.memalign), end);
    next = {};
    behind.erase("memalign");
    behind["posix_memalign"] = end;
    EXPECT_TRUE(rf_next_malloc_find(&next)) << "whichever it is";
    EXPECT_EQ(pointer_to(next.posix_memalign), end);
  });
}

TEST(NextMalloc, OfTheCLibrarysPrivateNamesIsWhatThereIs) {
  alone([] {
    rf_malloc_functions const next = find_with("memalign", pointer_to(an_aligned));
    rf_malloc_functions libc = {};
    behind_libc = {{"__libc_malloc", block}, {"__libc_memalign", block + 1}};
    rf_next_malloc_find_libc(&next, &libc);
    EXPECT_EQ(pointer_to(libc.malloc), block);
    EXPECT_EQ(pointer_to(libc.memalign), block + 1);
    EXPECT_EQ(libc.calloc, next.calloc);
    EXPECT_EQ(libc.free, next.free);
    EXPECT_EQ(libc.usable_size, next.usable_size);
    EXPECT_EQ(libc.posix_memalign, next.posix_memalign);
  });
}

} // namespace
