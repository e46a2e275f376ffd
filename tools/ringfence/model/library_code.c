#include "tools/ringfence/model/library_code.h"

#include "tools/ringfence/base/paths.h"

#include <stddef.h>
#include <string.h>

/* rustc names its library's files by its own commit, those that the library takes in from elsewhere by /rust/deps, and
 * where the library's sources are installed by their place; Debian's build has a folder of its own. */
bool rf_is_library_source(const char *file) {
  static const char *const anywhere[] = {"/include/c++/", "/c++/v1/", "/rustlib/src/rust/library/"};
  static const char *const starts[] = {"/rustc/", "/rust/deps/", "/usr/src/rustc-"};
  if (file == NULL) {
    return false;
  }
  for (size_t i = 0; i < sizeof anywhere / sizeof anywhere[0]; i++) {
    if (strstr(file, anywhere[i]) != NULL) {
      return true;
    }
  }
  for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
    if (rf_begins_with(file, starts[i])) {
      return true;
    }
  }
  return false;
}

/* Only names that no C++ program is likely to have: namespaces named core and alloc are common. */
static bool is_rust_library_function(const char *function) {
  static const char *const starts[] = {"<alloc::",
                                       "<core::",
                                       "<std::",
                                       "<hashbrown::",
                                       "__rust_",
                                       "__rustc::",
                                       "__rdl_",
                                       "alloc::alloc::",
                                       "alloc::boxed::",
                                       "alloc::collections::",
                                       "alloc::ffi::c_str::",
                                       "alloc::fmt::",
                                       "alloc::raw_vec::",
                                       "alloc::rc::",
                                       "alloc::slice::",
                                       "alloc::str::",
                                       "alloc::string::",
                                       "alloc::sync::",
                                       "alloc::vec::",
                                       "core::ops::function::",
                                       "core::panicking::",
                                       "core::ptr::drop_in_place",
                                       "hashbrown::map::",
                                       "hashbrown::raw::",
                                       "std::rt::lang_start",
                                       "std::sys::backtrace::__rust_"};
  for (size_t i = 0; function != NULL && i < sizeof starts / sizeof starts[0]; i++) {
    if (rf_begins_with(function, starts[i])) {
      return true;
    }
  }
  return false;
}

bool rf_is_library_code(const char *file, const char *function) {
  return file != NULL ? rf_is_library_source(file) : is_rust_library_function(function);
}
