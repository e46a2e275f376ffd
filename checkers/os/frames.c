#include <ringfence/frames.h>

#include <string.h>

/* musl's loader is its C library. The last ones allocate for those who call them, as strdup does. */
static const char *const runtime_modules[] = {
    "libringfence", "libc.so", "libc-2.",    "ld-musl",     "libstdc++.so", "libc++.so",     "libc++abi.so",
    "ld-linux",     "ld-2.",   "libpthread", "libgcc_s.so", "libtalloc.so", "libglib-2.0.so"};

static const char *const runtime_functions[] = {"malloc",
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
                                                "operator new",
                                                "operator delete",
                                                "exit",
                                                "__run_exit_handlers",
                                                "__cxa_finalize",
                                                "_dl_fini",
                                                "__libc_start_main",
                                                "__libc_start_call_main",
                                                "_start"};

static bool begins(const char *text, const char *start) {
  return text[0] == start[0] && strncmp(text, start, strlen(start)) == 0; /* `start` is not empty */
}

static const char *file_name(const char *path) {
  const char *name = path;
  for (; *path != '\0'; path++) {
    name = *path == '/' ? path + 1 : name;
  }
  return name;
}

static bool is_runtime_module(const char *path) {
  const char *const name = file_name(path);
  for (size_t i = 0; i < sizeof runtime_modules / sizeof runtime_modules[0]; i++) {
    if (begins(name, runtime_modules[i])) {
      return true;
    }
  }
  return false;
}

static bool is_runtime_function(const char *name) {
  for (size_t i = 0; i < sizeof runtime_functions / sizeof runtime_functions[0]; i++) {
    size_t const length = strlen(runtime_functions[i]);
    /* "operator new(unsigned long)", but not "free_list". */
    if (begins(name, runtime_functions[i]) && strchr("([", name[length]) != NULL) {
      return true;
    }
  }
  return false;
}

bool rf_frame_is_runtime(const char *module, const char *function) {
  return (module != NULL && is_runtime_module(module)) || (function != NULL && is_runtime_function(function));
}
