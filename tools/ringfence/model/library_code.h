/* Code of language runtimes that compilers put into the program itself, where its module does not tell it from the
 * program's own: templates of the C++ library, and the library of Rust. It does not tell where the program went wrong.
 * Safe in every thread. */
#ifndef RINGFENCE_TOOLS_MODEL_LIBRARY_CODE_H
#define RINGFENCE_TOOLS_MODEL_LIBRARY_CODE_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* True for source files of such a library, as debugging information names them. `file` may be NULL. */
bool rf_is_library_source(const char *file);

/* True for code of such a library: by its file, or where that is NULL, not known, by the function's name in source
 * form, which tells for Rust. The functions of the C++ library are known by namespaces (skip_rules.c). Either may be
 * NULL. */
bool rf_is_library_code(const char *file, const char *function);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_LIBRARY_CODE_H */
