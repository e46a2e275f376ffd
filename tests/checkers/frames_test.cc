// Frames of allocators and of runtimes, which reports leave out.
#include <ringfence/frames.h>

#include <gtest/gtest.h>

#include <string>

namespace ringfence {
namespace {

TEST(RuntimeFrames, AreThoseOfAllocatorsAndOfTheRuntimes) {
  for (const char *const module :
       {"/usr/lib/libc.so.6", "libc.so.6", "/lib/libc-2.31.so", "/x/libstdc++.so.6.0.30", "libc++.so.1",
        "libc++abi.so.1", "/lib64/ld-linux-x86-64.so.2", "ld-2.31.so", "libpthread-2.31.so", "libgcc_s.so.1",
        "/a/libringfence.so", "/lib/ld-musl-x86_64.so.1", "/usr/lib/libglib-2.0.so.0.7400.6", "libtalloc.so.2"}) {
    EXPECT_TRUE(rf_frame_is_runtime(module, nullptr)) << module;
  }
  for (const char *const module :
       {"/usr/lib/libcurl.so.4", "/libc.so.6/program", "mylibc.so.6", "libgio-2.0.so.0", "program", "", "/"}) {
    EXPECT_FALSE(rf_frame_is_runtime(module, nullptr)) << module;
    EXPECT_FALSE(rf_frame_is_runtime(module, "main")) << module;
    EXPECT_TRUE(rf_frame_is_runtime(module, "malloc")) << module;
  }
  for (const char *const function : {"malloc",
                                     "calloc",
                                     "realloc",
                                     "reallocarray",
                                     "free",
                                     "strdup",
                                     "strndup",
                                     "valloc",
                                     "memalign",
                                     "posix_memalign",
                                     "pvalloc",
                                     "cfree",
                                     "aligned_alloc",
                                     "operator new(unsigned long)",
                                     "operator new[](unsigned)",
                                     "operator delete(void*)",
                                     "exit",
                                     "__run_exit_handlers",
                                     "__cxa_finalize",
                                     "_dl_fini",
                                     "__libc_start_main",
                                     "__libc_start_call_main",
                                     "_start"}) {
    EXPECT_TRUE(rf_frame_is_runtime(nullptr, function)) << function;
    EXPECT_FALSE(rf_frame_is_runtime(nullptr, (std::string(function, 3) + "x").c_str())) << function;
  }
  for (const char *const function : {"free_list", "mallocate", "my_malloc", "main", "", "exits", "_starter"}) {
    EXPECT_FALSE(rf_frame_is_runtime(nullptr, function)) << function;
  }
  EXPECT_FALSE(rf_frame_is_runtime(nullptr, nullptr));
}

} // namespace
} // namespace ringfence
