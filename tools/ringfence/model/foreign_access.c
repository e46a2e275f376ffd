#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/model/foreign.h"

#include <string.h>

void rf_foreign_outside(rf_foreign_finding *f, uint64_t start) {
  uint64_t const end = f->block + f->size;
  if (f->bug == RF_BUG_BUFFER_OVERFLOW && f->block != 0 && start >= f->block && start < end &&
      f->access_size > end - start) {
    f->access_size -= end - start;
    f->address = end;
  }
}

bool rf_foreign_is_source_of_sanitizer(const char *file) {
  return file != NULL && (strstr(file, "/libsanitizer/") != NULL || strstr(file, "/compiler-rt/lib/") != NULL);
}

/* True if `text` starts with one of `starts`, the last of which is NULL. */
static bool starts_with_any(const char *text, const char *const *starts) {
  for (; text != NULL && *starts != NULL; starts++) {
    if (rf_begins_with(text, *starts)) {
      return true;
    }
  }
  return false;
}

bool rf_foreign_is_interceptor(const rf_foreign_frame *frame) {
  static const char *const names[] = {"__interceptor_", "___interceptor_", "__asan_mem", "__hwasan_mem", NULL};
  static const char *const plain[] = {"mem", "str", "wcs", "wmem", NULL}; /* clang's, which then have no file */
  static const char *const modules[] = {"libasan", "libhwasan", "libclang_rt.", NULL};
  const char *const module = frame->module == NULL ? NULL : rf_base_name(frame->module);
  return rf_foreign_is_source_of_sanitizer(frame->file) || starts_with_any(frame->function, names) ||
         (frame->file == NULL && starts_with_any(frame->function, plain)) || starts_with_any(module, modules);
}
